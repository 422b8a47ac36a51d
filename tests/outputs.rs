//! What commands write, and into what: links, pipes, devices, modes, and a stdout that takes
//! nothing.

mod common;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{Bench, text};

fn trained() -> Bench {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=2");
    bench
}

/// Runs `ebm` in a shell, with what follows it there, such as a redirection.
fn shell(bench: &Bench, before: &str, line: &str, after: &str) -> Output {
    let command = format!("{before} {} {line} {after}", env!("CARGO_BIN_EXE_ebm"));
    let mut bash = Command::new("bash");
    bash.args(["-c", &command]).current_dir(bench.dir.path());
    bash.env_remove("RUST_BACKTRACE").output().unwrap()
}

/// Commands, each with a file as its output.
fn writers(to: &str) -> [String; 5] {
    [
        format!("export run {to}"),
        format!("ood run --against uniform --limit 8 --scores log_px --json {to}"),
        format!("ood run --against uniform --limit 8 --scores log_px --csv {to}"),
        format!("evaluate run --parts quality -n 8 --steps 1 --json {to}"),
        format!("sample run -n 1 --steps 1 --out {to}"),
    ]
}

fn begins(bytes: &[u8]) -> bool {
    let heads: [&[u8]; 3] = [b"{", b"[", b"\x89PNG"];
    // A safetensors file begins with the length of its header, a table with its first column.
    heads.iter().any(|h| bytes.starts_with(h)) || bytes.starts_with(b"set,") || bytes.get(8) == Some(&b'{')
}

#[test]
fn a_link_is_written_through_and_a_mode_is_kept() {
    let bench = trained();
    fs::create_dir(bench.path("far")).unwrap();
    let (link, target) = (bench.path("link.png"), bench.path("far/target.png"));
    symlink("far/target.png", &link).unwrap();
    for line in writers("link.png") {
        // First through a link that leads to nothing yet, then into what is there.
        for _ in 0..2 {
            bench.succeeds(&line);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{line}");
            assert!(begins(&fs::read(&target).unwrap()), "{line}");
            let mode = || fs::metadata(&target).unwrap().permissions().mode() & 0o777;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
            bench.succeeds(&line);
            assert_eq!(mode(), 0o600, "{line}");
        }
        fs::remove_file(&target).unwrap();
    }
    let names: Vec<_> = fs::read_dir(bench.path("far")).unwrap().collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn new_files_follow_the_umask_and_what_lies_beside_stays() {
    let bench = trained();
    fs::write(bench.path("new.png.tmp"), "mine").unwrap();
    let out = shell(&bench, "umask 027;", "sample run -n 1 --steps 1 --out new.png", "");
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(fs::metadata(bench.path("new.png")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(fs::read(bench.path("new.png.tmp")).unwrap(), b"mine");
}

#[test]
fn a_pipe_stays_a_pipe_and_its_reader_gets_the_file() {
    let bench = trained();
    let pipe = bench.path("pipe.png");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for line in writers("pipe.png") {
        let child = bench
            .command(&line)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut read = Vec::new();
        fs::File::open(&pipe).unwrap().read_to_end(&mut read).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{line}: {}", text(&out.stderr));
        assert!(begins(&read), "{line}: {} bytes", read.len());
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo(), "{line}");
    }
}

#[test]
fn a_device_stays_a_device() {
    let bench = trained();
    let before = fs::metadata("/dev/null").unwrap();
    assert!(before.file_type().is_char_device());
    for line in writers("/dev/null") {
        bench.succeeds(&line);
        let after = fs::symlink_metadata("/dev/null").unwrap();
        assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()), "{line}");
    }
    symlink("/dev/full", bench.path("full.png")).unwrap();
    for line in writers("full.png") {
        bench.fails(&line, 1, &["full.png", "No space left"]);
    }
}

#[test]
fn standard_output_and_descriptors_are_written_to() {
    let bench = trained();
    let cases = [
        ("/dev/stdout", [">caught", ">>caught", "| cat >caught"]),
        ("/dev/fd/3", ["3>caught", "3>>caught", "3>&1 >/dev/null | cat >caught"]),
    ];
    for (name, redirections) in cases {
        for line in writers(name) {
            for after in redirections {
                fs::write(bench.path("caught"), "").unwrap();
                let out = shell(&bench, "", &line, after);
                assert!(out.status.success(), "{line} {after}: {}", text(&out.stderr));
                let caught = fs::read(bench.path("caught")).unwrap();
                assert!(
                    begins(&caught),
                    "{line} {after}: {:?}",
                    text(&caught[..caught.len().min(40)])
                );
            }
        }
    }
    bench.fails("export run /dev/fd/77", 2, &["/dev/fd/77", "cannot be written"]);
}

#[test]
fn folders_of_pictures_keep_what_is_there_as_it_is() {
    let bench = trained();
    fs::create_dir(bench.path("images")).unwrap();
    symlink("../elsewhere.png", bench.path("images/00001.png")).unwrap();
    bench.succeeds("sample run -n 3 --steps 1 --out images");
    assert!(
        fs::symlink_metadata(bench.path("images/00001.png"))
            .unwrap()
            .is_symlink()
    );
    for name in ["images/00000.png", "elsewhere.png", "images/00002.png"] {
        assert!(fs::read(bench.path(name)).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    assert_eq!(fs::read_dir(bench.path("images")).unwrap().count(), 3);
}

#[test]
fn a_file_that_may_not_be_written_is_refused_before_the_work() {
    let bench = trained();
    symlink("loop", bench.path("loop")).unwrap();
    fs::create_dir(bench.path("folder")).unwrap();
    for line in &writers("loop")[..4] {
        bench.fails(line, 2, &["loop", "cannot be written"]);
    }
    for line in &writers("folder")[..4] {
        bench.fails(line, 2, &["folder", "it is a folder"]);
    }
}

/// Commands that print, each with what it must have written all the same.
const PRINTERS: [(&str, &str); 9] = [
    ("train tiny.yaml --out other --set train.steps=2", "other/results.json"),
    (
        "train tiny.yaml --out run --resume --set train.steps=2",
        "run/results.json",
    ),
    ("sample run -n 1 --steps 1 --out grid.png", "grid.png"),
    ("score run image.png", "run/resolved.yaml"),
    (
        "evaluate run --parts quality -n 8 --steps 1 --json all.json",
        "all.json",
    ),
    (
        "ood run --against uniform --limit 8 --json ood.json --csv ood.csv",
        "ood.csv",
    ),
    ("threshold run --score log_px --on test", "run/threshold.json"),
    ("check tiny.yaml", "tiny.yaml"),
    ("--help", "tiny.yaml"),
];

fn refused_output(after: &str, reason: &str) {
    let bench = trained();
    bench.succeeds("sample run -n 1 --steps 1 --out images");
    fs::rename(bench.path("images/00000.png"), bench.path("image.png")).unwrap();
    for (line, written) in PRINTERS {
        let out = shell(&bench, "", line, after);
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{line}: {stderr}");
        let said = format!("error: standard output: {reason}");
        assert_eq!(stderr.matches("error: ").count(), 1, "{line}: {stderr}");
        assert!(stderr.contains(&said) && !stderr.contains("panic"), "{line}: {stderr}");
        assert!(bench.path(written).exists(), "{line}: no {written}");
    }
}

#[test]
fn a_full_stdout_is_one_error_after_the_files_are_written() {
    refused_output(">/dev/full", "No space left on device");
}

#[test]
fn a_closed_stdout_is_one_error_after_the_files_are_written() {
    refused_output(">&-", "Bad file descriptor");
}

#[test]
fn a_full_stderr_stops_nothing() {
    let bench = trained();
    for line in [
        "train tiny.yaml --out other --set train.steps=2",
        "export run x.safetensors",
        "ood run --against uniform --limit 8",
    ] {
        let out = shell(&bench, "", line, "2>/dev/full");
        assert!(out.status.success(), "{line}");
    }
    assert!(Path::new(&bench.path("x.safetensors")).exists());
}
