//! Bad input through the real binary: what is wrong is named, in time, and nothing is left behind.

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Bench, text};

const SMALL: &str = r#"{"name":"m","input":[1,28,28],"layers":["flatten",{"linear":{"out":1}}]}"#;

/// Training must be refused with code 2 before a data set is loaded or a folder exists; stderr names each of `mentions`.
fn refused_at_once(bench: &Bench, options: &str, mentions: &[&str]) {
    let stderr = bench.fails(&format!("train tiny.yaml --out run {options}"), 2, mentions);
    assert!(stderr.contains("remedy: "), "{stderr}");
    assert!(
        !stderr.contains("training images"),
        "the data set was loaded:\n{stderr}"
    );
    assert_no_run(bench);
}

/// The folder is as the bench made it: no run, no half of one.
fn assert_no_run(bench: &Bench) {
    let names: Vec<_> = std::fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with('.') || n.contains("run"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn unknown_keys_name_their_nearest_neighbour() {
    let bench = Bench::new();
    for (set, mentions) in [
        (
            "sampler.kernel.langevin.stepsize=3",
            ["sampler.kernel.langevin", "`stepsize`", "`step_size`"],
        ),
        (
            r#"optimizer.algorithm={"adam":{"beta":[0,0]}}"#,
            ["optimizer.algorithm.adam", "`beta`", "`betas`"],
        ),
        (
            r#"data.dataset={"strokes":{"cuont":3}}"#,
            ["data.dataset.strokes", "`cuont`", "`count`"],
        ),
        (
            r#"sampler.kernel.langevin.grad_clip={"valeu":3}"#,
            ["sampler.kernel.langevin.grad_clip", "`valeu`", "`value`"],
        ),
        (
            r#"sampler.kernel.langevin.noise_schedule={"linear":{"endd":3}}"#,
            ["sampler.kernel.langevin.noise_schedule.linear", "`endd`", "`end`"],
        ),
        (
            "sampler.start=persistant",
            ["sampler.start", "`persistant`", "`persistent`"],
        ),
        (
            "sampler.network_mode=trianing",
            ["sampler.network_mode", "`trianing`", "`training`"],
        ),
        ("evaluate.ood=[unifrom]", ["evaluate.ood[0]", "`unifrom`", "`uniform`"]),
        ("trian.steps=3", ["tiny.yaml", "`trian`", "`train`"]),
    ] {
        refused_at_once(&bench, &format!("--set {set}"), &mentions);
    }
}

#[test]
fn unknown_keys_in_an_architecture_file_name_that_file() {
    let bench = Bench::new();
    let model = std::fs::read_to_string(bench.path("tiny_model.yaml")).unwrap();
    std::fs::write(bench.path("tiny_model.yaml"), model.replace("kernel", "kernal")).unwrap();
    refused_at_once(
        &bench,
        "",
        &["tiny_model.yaml", "layers[0].conv", "`kernal`", "`kernel`"],
    );
    bench.fails("check tiny_model.yaml", 2, &["layers[0].conv", "`kernal`", "`kernel`"]);
    std::fs::write(bench.path("tiny_model.yaml"), model.replace("- silu", "- sliu")).unwrap();
    refused_at_once(&bench, "", &["tiny_model.yaml", "layers[1]", "`sliu`", "`silu`"]);
}

#[test]
fn wrong_types() {
    let bench = Bench::new();
    for (set, mentions) in [
        ("train.steps=many", ["train.steps", "many"]),
        ("train.steps=-1", ["train.steps", "-1"]),
        ("train.steps=1.5", ["train.steps", "1.5"]),
        ("sampler=3", ["sampler", "3"]),
        (
            "sampler.kernel.langevin.clamp=[1]",
            ["sampler.kernel.langevin.clamp", "1"],
        ),
        ("optimizer.lr=[1]", ["optimizer.lr", "sequence"]),
        ("model=[1]", ["model", "sequence"]),
    ] {
        refused_at_once(&bench, &format!("--set {set}"), &mentions);
    }
}

#[test]
fn values_out_of_range() {
    let bench = Bench::new();
    for (key, value) in [
        ("threads", "0"),
        ("threads", "4000000000"),
        ("device", "gpu"),
        ("name", "a/b"),
        ("data.limit", "0"),
        ("data.augment.pad_crop", "8"),
        ("sampler.n_steps", "0"),
        ("sampler.kernel.langevin.step_size", "-1"),
        ("sampler.kernel.langevin.step_size", ".inf"),
        ("sampler.kernel.langevin.noise_scale", ".nan"),
        ("sampler.kernel.langevin.clamp", "[.nan,1]"),
        ("sampler.kernel.langevin.clamp", "[1,-1]"),
        ("buffer.reinit_prob", "1.1"),
        ("buffer.size", "7"),
        ("objective.contrastive.energy_reg", "-0.1"),
        ("optimizer.lr", "0"),
        ("optimizer.lr", ".nan"),
        ("optimizer.ema", "1"),
        ("train.steps", "0"),
        ("train.batch_size", "0"),
        ("train.log_every", "0"),
        ("train.keep", "0"),
        ("guard.every", "0"),
        ("guard.lr_factor", "2"),
        ("evaluate.limit", "0"),
        ("report.images", "0"),
    ] {
        refused_at_once(&bench, &format!("--set {key}={value}"), &[key, "out of range"]);
    }
    for (set, key) in [
        (
            r#"buffer.augment={"resized_crop":[0.5,0.1]}"#,
            "buffer.augment.resized_crop",
        ),
        (r#"buffer.augment={"jitter":{"hue":0.6}}"#, "buffer.augment.jitter.hue"),
        (r#"buffer.augment={"grey":1.5}"#, "buffer.augment.grey"),
        (
            r#"sampler.init={"class-gaussians":{"jitter":0}}"#,
            "sampler.init.class-gaussians.jitter",
        ),
        (r#"sampler.init={"uniform":[-.inf,.inf]}"#, "sampler.init.uniform"),
        (
            r#"sampler.init={"gaussian":{"mean":.nan,"std":1}}"#,
            "sampler.init.gaussian.mean",
        ),
        (
            r#"optimizer.algorithm={"adam":{"betas":[0,1]}}"#,
            "optimizer.algorithm.betas",
        ),
        (
            r#"optimizer.schedule={"exponential":{"gamma":0}}"#,
            "optimizer.schedule.exponential.gamma",
        ),
        (
            r#"sampler.kernel.langevin.inner={"steps":0,"step_size":0.2}"#,
            "sampler.kernel.langevin.inner.steps",
        ),
        (
            r#"sampler.kernel.langevin.inner={"steps":5,"step_size":0}"#,
            "sampler.kernel.langevin.inner.step_size",
        ),
        (
            "sampler.kernel.langevin.step_size=0",
            "sampler.kernel.langevin.step_size",
        ),
        (r#"optimizer.sam={"rho":0}"#, "optimizer.sam.rho"),
        ("objective.contrastive.trim=1", "objective.contrastive.trim"),
        ("objective.contrastive.floor=.inf", "objective.contrastive.floor"),
        (
            r#"objective.flow-matching={"until":0}"#,
            "objective.flow-matching.until",
        ),
        (
            r#"objective.flow-matching={"until":1.1}"#,
            "objective.flow-matching.until",
        ),
        (r#"objective.flow-matching={"std":0}"#, "objective.flow-matching.std"),
        (
            r#"objective.equilibrium-matching={"std":-1}"#,
            "objective.equilibrium-matching.std",
        ),
        (
            r#"objective.equilibrium-matching={"decay":1}"#,
            "objective.equilibrium-matching.decay",
        ),
        (
            r#"objective.equilibrium-matching={"scale":0}"#,
            "objective.equilibrium-matching.scale",
        ),
        (
            r#"sampler.kernel={"transport":{"heat":-1}}"#,
            "sampler.kernel.transport.heat",
        ),
        (
            r#"sampler.kernel={"transport":{"heat":1,"until":0}}"#,
            "sampler.kernel.transport.until",
        ),
        (
            r#"sampler.kernel={"transport":{"heat":1,"step_size":0}}"#,
            "sampler.kernel.transport.step_size",
        ),
    ] {
        refused_at_once(&bench, &format!("--set {set}"), &[key, "out of range"]);
    }
}

#[test]
fn networks_that_cannot_be_built_or_do_not_fit_the_data() {
    let bench = Bench::new();
    let model = |input: &str, layers: &str| format!(r#"--set model={{"name":"m","input":{input},"layers":{layers}}}"#);
    let end = r#""flatten",{"linear":{"out":1}}"#;
    refused_at_once(
        &bench,
        &model("[1,8,8]", &format!(r#"[{{"conv":{{"out":4,"kernel":9}}}},{end}]"#)),
        &["model.layers[0].conv.kernel", "9x9", "8x8"],
    );
    refused_at_once(&bench, &model("[1,8,8]", "[flatten]"), &["model", "64"]);
    refused_at_once(&bench, &model("[1,8,8]", "[]"), &["model.layers"]);
    refused_at_once(
        &bench,
        &model("[1,9,8]", &format!("[{end}]")),
        &["[1, 8, 8]", "[1, 9, 8]"],
    );
    refused_at_once(
        &bench,
        &model("[3,8,8]", &format!("[{end}]")),
        &["[1, 8, 8]", "[3, 8, 8]"],
    );
    refused_at_once(&bench, "--set data.dataset=cifar10", &["[3, 32, 32]", "[1, 8, 8]"]);
    refused_at_once(&bench, "--set model=nowhere.yaml", &["nowhere.yaml", "no such file"]);
}

#[test]
fn files_that_are_no_experiment() {
    let bench = Bench::new();
    for (name, bytes, mention) in [
        ("empty.yaml", &b""[..], "missing field `data`"),
        ("list.yaml", b"- a\n- b\n", "sequence"),
        ("word.yaml", b"hello\n", "hello"),
        ("twice.yaml", b"train: 1\ntrain: 2\n", "duplicate"),
        ("open.yaml", b"a: [\n", "not valid YAML"),
        ("bytes.yaml", b"\xff\xfe\x00", "UTF-8"),
    ] {
        std::fs::write(bench.path(name), bytes).unwrap();
        for command in ["check", "train --out run"] {
            let stderr = bench.fails(&format!("{command} {name}"), 2, &[name, mention, "remedy"]);
            assert!(!stderr.contains("panicked"), "{stderr}");
        }
    }
    bench.fails("check .", 2, &["is a folder"]);
    bench.fails("check nowhere.yaml", 2, &["nowhere.yaml", "no such file"]);
    bench.fails("train nowhere.yaml", 2, &["nowhere.yaml", "no such file"]);
    bench.fails(
        "check tiny_model.yaml --set a=1",
        2,
        &["--set a=1", "architecture file"],
    );
    assert_no_run(&bench);
}

#[test]
fn a_name_that_no_file_can_have_is_refused_and_not_told_at_length() {
    let bench = Bench::new();
    for n in [5_000, 1_000_000] {
        let name = "9".repeat(n);
        let text = std::fs::read_to_string(bench.path("tiny.yaml")).unwrap();
        let text = text.replace("model: tiny_model.yaml", &format!("model: '{name}'"));
        std::fs::write(bench.path("long.yaml"), text).unwrap();
        let stderr = bench.fails(
            "train long.yaml --out run",
            2,
            &["no name that a file can have", "remedy"],
        );
        assert!(stderr.len() < 20_000, "{} bytes", stderr.len());
        assert_no_run(&bench);
    }
}

#[test]
fn changes_that_cannot_be_read() {
    let bench = Bench::new();
    refused_at_once(&bench, "--set train.steps", &["--set train.steps", "KEY=VALUE"]);
    refused_at_once(&bench, "--set =5", &["unknown key ``"]);
    refused_at_once(&bench, "--set train..steps=5", &["train", "unknown key ``"]);
    refused_at_once(
        &bench,
        "--set train.steps=[1",
        &["--set train.steps=[1", "not valid YAML"],
    );
    refused_at_once(&bench, "--set seed.x=1", &["--set seed.x=1", "plain value"]);
}

#[test]
fn usage_errors_exit_with_2() {
    let bench = Bench::new();
    for line in [
        "",
        "paint",
        "train",
        "train tiny.yaml --speed 3",
        "train tiny.yaml --seed -1",
        "train tiny.yaml --resume --init-from x",
        "sample",
        "sample run -n 0",
        "sample run -n 100000000000000",
        "sample run --steps -1",
        "sample run --from nowhere",
        "sample run --checkpoint first",
        "score run",
        "score run a.png --format xml",
        "import x.safetensors",
        "export run",
    ] {
        bench.fails(line, 2, &["--help"]);
    }
    assert_eq!(bench.ebm("--help").status.code(), Some(0));
    assert_eq!(bench.ebm("--version").status.code(), Some(0));
}

fn idx(dims: &[u32], bytes: usize) -> Vec<u8> {
    let mut out = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
    out.extend(vec![7; bytes]);
    out
}

#[test]
fn data_that_is_truncated_or_of_the_wrong_magic() {
    let bench = Bench::new();
    let options = format!(r#"--set model={SMALL} --set data={{"dataset":{{"idx":{{"images":"stack"}}}}}}"#);
    std::fs::write(bench.path("stack"), idx(&[3, 28, 28], 3 * 784 - 1)).unwrap();
    refused_at_once(&bench, &options, &["stack", "truncated"]);
    std::fs::write(bench.path("stack"), idx(&[3 * 784], 3 * 784)).unwrap();
    refused_at_once(&bench, &options, &["stack", "wrong magic"]);
    std::fs::remove_file(bench.path("stack")).unwrap();
    refused_at_once(&bench, &options, &["stack", "no such file"]);
}

#[test]
fn a_named_set_that_is_missing_or_has_the_wrong_hash() {
    let bench = Bench::new();
    let options = format!(r#"--set model={SMALL} --set data={{"dataset":"mnist","root":"sets"}}"#);
    refused_at_once(
        &bench,
        &options,
        &["sets/mnist/train-images-idx3-ubyte", "download_data.sh mnist"],
    );
    std::fs::create_dir_all(bench.path("sets/mnist")).unwrap();
    for name in ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"] {
        std::fs::write(bench.path("sets/mnist").join(name), idx(&[2, 28, 28], 2 * 784)).unwrap();
    }
    refused_at_once(
        &bench,
        &options,
        &["train-images-idx3-ubyte", "SHA-256", "download_data.sh mnist"],
    );
}

#[test]
fn folders_without_pictures_or_with_one_that_does_not_decode() {
    let bench = Bench::new();
    let options = r#"--set data={"dataset":{"folder":{"path":"photos"}}}"#;
    refused_at_once(&bench, options, &["photos", "no such file or folder"]);
    std::fs::create_dir(bench.path("photos")).unwrap();
    refused_at_once(&bench, options, &["photos", "no picture"]);
    for i in 0..3 {
        std::fs::write(
            bench.path("photos").join(format!("{i}.png")),
            b"\x89PNG\r\n\x1a\nbroken",
        )
        .unwrap();
    }
    refused_at_once(&bench, options, &["photos/", ".png"]);
}

#[test]
fn sets_to_evaluate_against_are_found_missing_before_training() {
    let bench = Bench::new();
    for (set, mention) in [
        (r#"[{"data":"fashion-mnist"}]"#, "download_data.sh fashion-mnist"),
        (r#"[{"data":{"folder":{"path":"nowhere"}}}]"#, "nowhere"),
        (r#"[{"data":"svhn"}]"#, "cropped digits"),
    ] {
        bench.fails(
            &format!(
                "train tiny.yaml --out run --root {} --set evaluate.ood={set}",
                bench.dir.path().display()
            ),
            2,
            &[mention],
        );
        assert_no_run(&bench);
    }
}

#[test]
fn a_quarter_turn_needs_square_images() {
    let bench = Bench::new();
    let model = std::fs::read_to_string(bench.path("tiny_model.yaml")).unwrap();
    std::fs::write(bench.path("tiny_model.yaml"), model.replace("[1, 8, 8]", "[1, 8, 6]")).unwrap();
    refused_at_once(
        &bench,
        "--set evaluate.ood=[rotated]",
        &["evaluate.ood", "8 x 6", "square"],
    );
}

#[test]
fn more_held_out_than_there_is_and_more_than_fits_into_memory() {
    let bench = Bench::new();
    bench.fails(
        "train tiny.yaml --out run --set data.validation=60",
        2,
        &["data.validation", "60"],
    );
    assert_no_run(&bench);
    bench.fails(
        "train tiny.yaml --out run --set buffer.size=100000000000",
        2,
        &["buffer.size", "memory", "remedy"],
    );
    assert_no_run(&bench);
}

#[test]
fn places_where_no_run_can_be_made() {
    let bench = Bench::new();
    bench.fails(
        "train tiny.yaml --out tiny.yaml",
        2,
        &["something else is already there"],
    );
    bench.fails(
        "train tiny.yaml --out tiny.yaml/deeper",
        2,
        &["tiny.yaml/deeper", "--out"],
    );
    bench.fails("train tiny.yaml --out nowhere/..", 2, &["nowhere/..", "--out"]);
    std::fs::create_dir(bench.path("full")).unwrap();
    bench.fails("train tiny.yaml --out full", 2, &["something else is already there"]);
    assert!(std::fs::read_dir(bench.path("full")).unwrap().next().is_none());
    let stderr = bench.fails("train tiny.yaml --out /proc/deep-ebm-run", 1, &["/proc"]);
    assert_eq!(stderr.matches("os error").count(), 1, "said twice:\n{stderr}");
    assert_no_run(&bench);
}

#[test]
fn a_run_that_is_there_is_not_overwritten() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=2");
    let before = std::fs::read(bench.path("run/metrics.jsonl")).unwrap();
    bench.fails(
        "train tiny.yaml --out run",
        2,
        &["a run is already there", "--resume", "--out"],
    );
    assert_eq!(std::fs::read(bench.path("run/metrics.jsonl")).unwrap(), before);
}

#[test]
fn folders_that_are_no_run() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("plain")).unwrap();
    for command in [
        "train tiny.yaml --resume --out",
        "sample",
        "score --format csv",
        "export",
    ] {
        let rest = match command {
            "export" => "x.safetensors",
            "score --format csv" => "tiny.yaml",
            _ => "",
        };
        bench.fails(&format!("{command} nowhere {rest}"), 2, &["nowhere", "no such run"]);
        bench.fails(
            &format!("{command} plain {rest}"),
            2,
            &["plain", "not the folder of a run"],
        );
        bench.fails(&format!("{command} tiny.yaml {rest}"), 2, &["tiny.yaml", "no such run"]);
    }
    bench.fails(
        "train tiny.yaml --out run --init-from nowhere",
        2,
        &["nowhere", "no such run"],
    );
    assert!(!bench.path("run").exists());
    assert!(std::fs::read_dir(bench.path("plain")).unwrap().next().is_none());
}

#[test]
fn cuda_that_is_absent() {
    let bench = Bench::new();
    if tch::Cuda::is_available() {
        eprintln!("skipped: this machine has CUDA");
        return;
    }
    refused_at_once(&bench, "--device cuda", &["device cuda", "--device cpu"]);
    refused_at_once(&bench, "--device cuda:1", &["device cuda:1"]);
    bench.succeeds("train tiny.yaml --out made --set train.steps=1");
    bench.fails("sample made --device cuda", 2, &["device cuda"]);
    bench.fails("score made made/samples/final.png --device cuda", 2, &["device cuda"]);
    bench.fails(
        "sample made --device tpu",
        2,
        &["device tpu", "auto, cpu, cuda or cuda:N"],
    );
}

#[test]
fn one_process_a_run() {
    let bench = Bench::new();
    let line = "train tiny.yaml --out run --set train.steps=100000 --set optimizer.schedule=constant";
    let mut command = bench.command(line);
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&bench.path("run/checkpoints/step-10/manifest.json"));
    let resolved = std::fs::read(bench.path("run/resolved.yaml")).unwrap();
    let second = bench.fails(
        &format!("{line} --resume --set train.keep=7"),
        2,
        &["run", "another process is training this run"],
    );
    assert!(!second.contains("going on"), "{second}");
    assert_eq!(std::fs::read(bench.path("run/resolved.yaml")).unwrap(), resolved);
    assert!(first.try_wait().unwrap().is_none(), "the first goes on");
    first.kill().unwrap();
    first.wait().unwrap();
    // A lock that outlived its process would make a killed run unusable.
    let out = bench.ebm("train tiny.yaml --out run --resume --set optimizer.schedule=constant --set train.steps=1");
    assert!(out.status.success(), "{}", text(&out.stderr));
}

fn wait_for(path: &Path) {
    let clock = Instant::now();
    while !path.exists() {
        assert!(clock.elapsed() < Duration::from_secs(120), "no {}", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn of_two_that_begin_the_same_run_one_goes_on() {
    let bench = Bench::new();
    let start = || {
        let mut command = bench.command("train tiny.yaml --out run --set train.steps=3");
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let outs = [start(), start()].map(|child| child.wait_with_output().unwrap());
    let mut codes = outs.each_ref().map(|o| o.status.code());
    codes.sort_unstable();
    let stderr = outs.each_ref().map(|o| text(&o.stderr)).join("\n");
    assert_eq!(codes, [Some(0), Some(2)], "{stderr}");
    assert!(stderr.contains("a run is already there"), "{stderr}");
    assert!(bench.path("run/checkpoints/step-3").exists());
    std::fs::remove_dir_all(bench.path("run")).unwrap();
    assert_no_run(&bench);
}
