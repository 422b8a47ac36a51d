//! Finds LibTorch, refuses a wrong one with the remedy, and makes every binary find it at run time.
//!
//! Cargo may compile torch-sys before it runs this. There, torch-sys itself refuses another version, and a
//! missing LibTorch ends at `.cargo/remedy/torch/torch.h`, which names the remedy too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The LibTorch release that the pinned `tch` is generated from.
const VERSION: &str = "2.11.0";

fn main() {
    describe_source();
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    let root = libtorch_root();
    // As in torch-sys: LIBTORCH_LIB names the folder that holds lib/, where it is not LIBTORCH.
    let lib = env::var_os("LIBTORCH_LIB")
        .map_or_else(|| root.clone(), PathBuf::from)
        .join("lib");
    // A missing file makes Cargo run this again, which is what a folder that is refused needs.
    println!("cargo::rerun-if-changed={}", version_file(&root).display());
    match check(&root, &lib) {
        Ok(()) => {
            compile_shim(&root, &lib);
            link(&lib);
        }
        Err(what) => println!(
            "cargo::error={what}; remedy: run ./download_libtorch.sh, or set LIBTORCH to the folder of a LibTorch \
             {VERSION} (the one that holds include/ and lib/)"
        ),
    }
}

fn libtorch_root() -> PathBuf {
    env::var_os("LIBTORCH").map_or_else(|| manifest_dir().join("libtorch"), PathBuf::from)
}

fn manifest_dir() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
}

/// What is wrong with the LibTorch in `root`, if anything is.
fn check(root: &Path, lib: &Path) -> Result<(), String> {
    let shown = root.display();
    if root.is_relative() {
        return Err(format!(
            "LIBTORCH={shown} is relative, and each crate would look for it somewhere else"
        ));
    }
    if !root.join("include/ATen/ATen.h").exists() || !lib.join("libtorch_cpu.so").exists() {
        return Err(format!("no LibTorch in {shown}"));
    }
    match stated_version(root) {
        Some(found) if found == VERSION => Ok(()),
        Some(found) => Err(format!("the LibTorch in {shown} is {found}, not {VERSION}")),
        None => Err(format!("the LibTorch in {shown} does not say its version")),
    }
}

/// The C++ that reaches what `tch` does not; `cuda_shim` tells the Rust side whether its part for CUDA is there.
fn compile_shim(root: &Path, lib: &Path) {
    const SOURCES: [&str; 5] = ["shim", "convolution", "memory", "counters", "reads"];
    println!("cargo::rustc-check-cfg=cfg(cuda_shim)");
    println!("cargo::rerun-if-changed=src/ffi");
    let include = env::var_os("LIBTORCH_INCLUDE")
        .map_or_else(|| root.to_path_buf(), PathBuf::from)
        .join("include");
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(&include)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .files(SOURCES.map(|name| format!("src/ffi/{name}.cpp")));
    if lib.join("libtorch_cuda.so").exists() {
        match cuda_headers(&include, root) {
            Some(headers) => {
                build.include(headers).file("src/ffi/cuda.cpp");
                println!("cargo::rustc-cfg=cuda_shim");
            }
            None => println!(
                "cargo::warning=the CUDA headers were not found, so CUDA graphs are left out; remedy: set CUDA_HOME to \
                 the CUDA toolkit, or install LibTorch by ./download_libtorch.sh cuda, which brings them"
            ),
        }
    }
    build.compile("ebm_shim");
    divert_reads();
}

/// The folder of the CUDA headers that LibTorch's own include: with LibTorch, in the toolkit, or in the Python packages
/// that lie beside that of torch.
fn cuda_headers(include: &Path, root: &Path) -> Option<PathBuf> {
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].map(|name| {
        println!("cargo::rerun-if-env-changed={name}");
        env::var_os(name).map(PathBuf::from)
    });
    let toolkits = toolkits.into_iter().flatten().chain([PathBuf::from("/usr/local/cuda")]);
    let packages = root.parent().map(|packages| packages.join("nvidia"));
    let packages = packages
        .and_then(|folder| fs::read_dir(folder).ok())
        .into_iter()
        .flatten();
    let packages = packages.flatten().map(|package| package.path().join("include"));
    let mut folders = [include.to_path_buf()]
        .into_iter()
        .chain(toolkits.map(|toolkit| toolkit.join("include")))
        .chain(packages);
    let all = ["cuda.h", "cuda_runtime_api.h", "crt/host_defines.h"];
    folders.find(|folder| all.iter().all(|name| folder.join(name).exists()))
}

/// In the tests, what reads a tensor's memory for `tch` goes through `src/ffi/reads.cpp`, which counts it.
fn divert_reads() {
    const READING: [&str; 9] = [
        "at_copy_data",
        "at_data_ptr",
        "at_print",
        "at_to_string",
        "at_save",
        "at_save_to_stream",
        "at_save_multi",
        "at_save_multi_to_stream",
        "at_save_image",
    ];
    for name in READING {
        println!("cargo::rustc-link-arg-tests=-Wl,--wrap={name}");
    }
    // Some linkers look through this archive once, before the calls that need it.
    println!("cargo::rustc-link-arg-tests=-Wl,--undefined=__wrap_at_copy_data");
}

fn version_file(root: &Path) -> PathBuf {
    let stated = root.join("build-version");
    // A Python package of torch carries no `build-version`.
    if stated.exists() {
        stated
    } else {
        root.join("include/torch/headeronly/version.h")
    }
}

/// The release that a LibTorch states, without the flavour after the `+`.
fn stated_version(root: &Path) -> Option<String> {
    let file = version_file(root);
    let text = fs::read_to_string(&file).ok()?;
    if file.ends_with("build-version") {
        return text.trim().split('+').next().map(str::to_owned);
    }
    let value = |part: &str| {
        let start = format!("#define TORCH_VERSION_{part} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).map(str::trim)
    };
    Some(format!("{}.{}.{}", value("MAJOR")?, value("MINOR")?, value("PATCH")?))
}

/// The library path goes into the binary, and CUDA is linked although no symbol of it is named.
fn link(lib: &Path) {
    let lib = fs::canonicalize(lib).unwrap_or_else(|_| lib.to_path_buf());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        println!("cargo::rustc-link-arg=-L{}", lib.display());
        // The GPU's own libraries may be absent where the program is only built.
        println!(
            "cargo::rustc-link-arg=-Wl,--allow-shlib-undefined,--no-as-needed,-ltorch_cuda,-lc10_cuda,--as-needed"
        );
    }
}

/// What a run's record says of the program that made it: the commit, and whether its sources were clean.
fn describe_source() {
    const SOURCES: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    // Without the lock, git would refresh its index here and so start this script again at every build.
    let status = ["--no-optional-locks", "status", "--porcelain", "--"];
    let dirty = git(&[&status[..], &SOURCES].concat()).is_some_and(|changes| !changes.is_empty());
    println!(
        "cargo::rustc-env=EBM_BUILD={commit}{}",
        if dirty { "-dirty" } else { "" }
    );
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    // In a worktree `.git` is a file, so git is asked; the log of HEAD grows with every commit and checkout.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn git(args: &[&str]) -> Option<String> {
    let out = Command::new("git")
        .args(args)
        .current_dir(manifest_dir())
        .output()
        .ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
