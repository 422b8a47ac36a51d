//! Finds LibTorch, refuses a wrong one with the remedy, and makes every binary find it at run time.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs};

/// The LibTorch release that the pinned `tch` is generated from.
const VERSION: &str = "2.11.0";

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_LIB");
    let root = libtorch_root();
    println!("cargo:rerun-if-changed={}", root.join("build-version").display());
    let lib = env::var_os("LIBTORCH_LIB")
        .map_or_else(|| root.clone(), PathBuf::from)
        .join("lib");
    check(&root, &lib);
    link(&lib);
    describe_source();
}

fn libtorch_root() -> PathBuf {
    match env::var_os("LIBTORCH") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("libtorch"),
    }
}

/// Ends the build with the remedy unless `root` holds LibTorch of the right version.
fn check(root: &Path, lib: &Path) {
    if !root.join("include/ATen/ATen.h").exists() || !lib.join("libtorch_cpu.so").exists() {
        fail(&format!("no LibTorch in {}", root.display()));
    }
    match fs::read_to_string(root.join("build-version")) {
        Ok(found) if found.trim().split('+').next() == Some(VERSION) => {}
        Ok(found) => fail(&format!(
            "LibTorch in {} is {}, not {VERSION}",
            root.display(),
            found.trim()
        )),
        Err(_) if header_version(root).as_deref() == Some(VERSION) => {}
        Err(_) => fail(&format!(
            "LibTorch in {} is {}, not {VERSION}",
            root.display(),
            header_version(root).unwrap_or_else(|| "of an unknown version".into())
        )),
    }
}

/// The version that the headers state; a Python package of torch carries no `build-version` file.
fn header_version(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("include/torch/headeronly/version.h")).ok()?;
    let value = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(&format!("#define {name} ")))?;
        line.split_whitespace().nth(2).map(str::to_owned)
    };
    Some(format!(
        "{}.{}.{}",
        value("TORCH_VERSION_MAJOR")?,
        value("TORCH_VERSION_MINOR")?,
        value("TORCH_VERSION_PATCH")?
    ))
}

fn fail(what: &str) -> ! {
    println!("cargo:warning={what}");
    eprintln!(
        "error: {what}\n  remedy: run ./download_libtorch.sh, or set LIBTORCH to the folder of a LibTorch {VERSION} (the one that holds include/ and lib/)"
    );
    exit(1);
}

/// The library path goes into the binary, and CUDA is linked although no symbol of it is named.
fn link(lib: &Path) {
    let lib = fs::canonicalize(lib).unwrap_or_else(|_| lib.to_path_buf());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        println!("cargo:rustc-link-arg=-L{}", lib.display());
        println!("cargo:rustc-link-arg=-Wl,--allow-shlib-undefined,--no-as-needed,-ltorch_cuda,-lc10_cuda,--as-needed");
    }
}

/// What a run's record says of the program that made it: commit, and whether the tree was clean.
fn describe_source() {
    let git = |args: &[&str]| {
        let out = Command::new("git")
            .args(args)
            .output()
            .ok()
            .filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| !s.is_empty());
    println!(
        "cargo:rustc-env=EBM_BUILD={commit}{}",
        if dirty { "-dirty" } else { "" }
    );
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/index");
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=build.rs");
}
