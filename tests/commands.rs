//! The commands that use a trained run: sample, score, check, export, import.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Bench, text};
use ebm::data::{ScoreInput, to_unit};
use ebm::energy::{Energy, FrozenEnergy};
use ebm::files::{self, Named};
use ebm::run::{self, RunDir, Weights, Which};
use ebm::sampling::KernelConfig;
use image::AnimationDecoder;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// A bench with a trained run in it.
fn trained() -> Bench {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run");
    bench
}

fn bytes(bench: &Bench, name: &str) -> Vec<u8> {
    fs::read(bench.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The shape and bytes of a u8 `.npy` file, read by hand.
fn npy(bytes: &[u8]) -> (String, &[u8]) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = text(&bytes[10..10 + header]);
    assert!(
        text.contains("'|u1'") && text.contains("'fortran_order': False"),
        "{text}"
    );
    let shape = text
        .split_once("'shape': (")
        .unwrap()
        .1
        .split_once(')')
        .unwrap()
        .0
        .to_owned();
    (shape, &bytes[10 + header..])
}

#[test]
fn sample_writes_grids_stacks_and_folders() {
    let bench = trained();
    bench.succeeds("sample run -n 9 --steps 3 --out new/folder/grid.png");
    let grid = image::open(bench.path("new/folder/grid.png")).unwrap();
    assert_eq!(grid.width(), grid.height(), "nine images are three by three");
    bench.succeeds("sample run -n 5 --steps 3 --out stack.npy");
    let stack = bytes(&bench, "stack.npy");
    let (shape, pixels) = npy(&stack);
    assert_eq!((shape.as_str(), pixels.len()), ("5, 1, 8, 8", 5 * 64));
    assert_eq!(bench.succeeds("sample run -n 5 --steps 3 --out pictures"), "pictures\n");
    for i in 0..5 {
        let picture = image::open(bench.path(&format!("pictures/0000{i}.png")))
            .unwrap()
            .to_luma8();
        assert_eq!(
            picture.as_raw()[..],
            pixels[i * 64..(i + 1) * 64],
            "the same images in either form"
        );
    }
    assert_eq!(fs::read_dir(bench.path("pictures")).unwrap().count(), 5);
    assert_eq!(bench.succeeds("sample run -n 2 --steps 1"), "run/samples/sample.png\n");
    bench.fails("sample run -n 2 --out x.jpg", 2, &["x.jpg", ".png", ".npy"]);
    bench.fails("sample run -n 2 --out tiny.yaml", 2, &["tiny.yaml"]);
    let long = "sample run -n 1 --steps 1000000000000 --out x.gif";
    bench.fails(long, 2, &["x.gif"]);
}

#[test]
fn sample_repeats_by_its_seed() {
    let bench = trained();
    for from in ["noise", "buffer", "data"] {
        let draw = |name: &str, seed: u64, steps: u64| {
            let options = format!("--from {from} --seed {seed} --steps {steps}");
            bench.succeeds(&format!("sample run -n 6 --out {name}.npy {options}"));
            bytes(&bench, &format!("{name}.npy"))
        };
        let first = draw("a", 3, 4);
        assert!(first == draw("b", 3, 4), "{from}: the same seed differs");
        assert!(first != draw("c", 4, 4), "{from}: another seed does not differ");
        assert!(first != draw("d", 3, 9), "{from}: --steps has no effect");
    }
}

#[test]
fn sample_starts_where_it_is_told_to() {
    let bench = trained();
    let starts = |from: &str| {
        bench.succeeds(&format!("sample run -n 20 --steps 0 --from {from} --out {from}.npy"));
        let all = bytes(&bench, &format!("{from}.npy"));
        npy(&all).1.to_vec()
    };
    let buffer = files::read(&bench.path("run/checkpoints/step-40/buffer.safetensors")).unwrap();
    let chains = buffer.values().find(|t| t.dim() == 4).expect("the chains");
    let chains = Vec::<u8>::try_from(ebm::data::to_u8(chains).view(-1)).unwrap();
    let known: Vec<_> = chains.chunks(64).collect();
    let drawn = starts("buffer");
    assert!(drawn.chunks(64).all(|x| known.contains(&x)), "chains of the checkpoint");
    let distinct: std::collections::BTreeSet<_> = drawn.chunks(64).collect();
    assert_eq!(distinct.len(), 20);
    let mean = |x: &[u8]| x.iter().map(|v| f64::from(*v)).sum::<f64>() / x.len() as f64;
    // 1280 uniform levels: mean 127.5, standard error 73.9 / sqrt(1280) = 2.07; five of them.
    assert!((mean(&starts("noise")) - 127.5).abs() < 10.4);
    let experiment = RunDir::open(&bench.path("run")).unwrap().experiment().unwrap();
    let data = ebm::data::open(&experiment.data, [1, 8, 8], Device::Cpu).unwrap();
    let images = Vec::<u8>::try_from(data.train.pixels.view(-1)).unwrap();
    let images: Vec<_> = images.chunks(64).collect();
    assert!(
        starts("data").chunks(64).all(|x| images.contains(&x)),
        "images of the training set"
    );
    bench.fails("sample run -n 33 --from buffer", 2, &["32 chains", "33"]);
    bench.succeeds("train tiny.yaml --out free --set objective.negatives=noise --set train.steps=1");
    bench.fails("sample free --from buffer", 2, &["no persistent chains"]);
}

#[test]
fn sample_films_its_chains() {
    let bench = trained();
    let out = bench.succeeds("sample run -n 4 --steps 10 --out here/x.png --trace");
    assert_eq!(out, "here/x.png\nhere/x.film.gif\nhere/x.strip.png\n");
    let gif = fs::File::open(bench.path("here/x.film.gif")).unwrap();
    let film = image::codecs::gif::GifDecoder::new(BufReader::new(gif)).unwrap();
    let frames = film.into_frames().collect_frames().unwrap();
    assert_eq!(frames.len(), 11, "the start and ten steps");
    assert!(frames[0].buffer() != frames[10].buffer(), "the chains move");
    let strip = image::open(bench.path("here/x.strip.png")).unwrap();
    assert!(
        strip.width() > strip.height(),
        "11 columns, 4 rows: {}x{}",
        strip.width(),
        strip.height()
    );
    bench.succeeds("sample run -n 2 --steps 0 --out still.png --trace");
    image::open(bench.path("still.strip.png")).unwrap();
}

#[test]
fn sample_and_score_take_the_weights_that_are_asked_for() {
    let bench = trained();
    let draw = |options: &str| {
        bench.succeeds(&format!("sample run -n 4 --steps 9 --out x.npy {options}"));
        (
            bytes(&bench, "x.npy"),
            bench.succeeds(&format!("score run x.npy {options}")),
        )
    };
    let by_default = draw("");
    assert!(by_default == draw("--weights ema --checkpoint last") && by_default == draw("--checkpoint 40"));
    let energies = |options: &str| bench.succeeds(&format!("score run x.npy {options}"));
    assert_ne!(energies("--weights raw"), energies("--weights ema"));
    assert_ne!(energies("--checkpoint 20"), energies("--checkpoint 40"));
}

/// The rows of a table of csv as path, index, energy.
fn rows(csv: &str) -> Vec<(String, usize, f32)> {
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("path,index,energy"));
    let row = |line: &str| {
        let parts: Vec<_> = line.rsplitn(3, ',').collect();
        (
            parts[2].to_owned(),
            parts[1].parse().unwrap(),
            parts[0].parse().unwrap(),
        )
    };
    lines.map(row).collect()
}

/// What the library says of the same files, one image at a time.
fn by_the_library(run: &Path, paths: &[PathBuf]) -> Vec<f32> {
    let trained = run::load(&RunDir::open(run).unwrap(), Which::Last, Weights::Ema, Device::Cpu).unwrap();
    let sampler = trained.experiment.sampler().unwrap();
    let temperature = sampler.temperature();
    let energy = FrozenEnergy::new(trained.network().unwrap(), Kind::Float, temperature);
    let _guard = tch::no_grad_guard();
    ScoreInput::new(paths, trained.experiment.model.image().unwrap(), Default::default())
        .map(|item| f32::try_from(energy.energy(&to_unit(&item.image.unwrap().unsqueeze(0)))).unwrap())
        .collect()
}

/// Sums of at most 64 products of f32 in another order differ by less than 64 epsilons of their size.
fn assert_close(a: f32, b: f32) {
    assert!((a - b).abs() <= 64.0 * f32::EPSILON * a.abs().max(1.0), "{a} and {b}");
}

#[test]
fn score_reads_files_folders_and_stacks() {
    let bench = trained();
    bench.succeeds("sample run -n 300 --steps 1 --out stack.npy");
    bench.succeeds("sample run -n 300 --steps 1 --out pictures");
    let stack = bytes(&bench, "stack.npy");
    let mut idx = vec![0, 0, 8, 3];
    [300u32, 8, 8].iter().for_each(|d| idx.extend(d.to_be_bytes()));
    idx.extend(npy(&stack).1);
    fs::write(bench.path("images-idx3-ubyte"), idx).unwrap();
    let scored = |paths: &str| rows(&bench.succeeds(&format!("score run {paths}")));
    let of_stack = scored("stack.npy");
    assert_eq!(of_stack.len(), 300, "more than a batch");
    let library = by_the_library(&bench.path("run"), &[bench.path("stack.npy")]);
    for (i, ((path, index, energy), expected)) in of_stack.iter().zip(library).enumerate() {
        assert_eq!((path.as_str(), *index), ("stack.npy", i));
        assert_close(*energy, expected);
    }
    let energies = |rows: Vec<(String, usize, f32)>| rows.into_iter().map(|r| r.2).collect::<Vec<_>>();
    let expected = energies(of_stack);
    assert!(energies(scored("images-idx3-ubyte")) == expected);
    let folder = scored("pictures");
    assert_eq!((folder[7].0.as_str(), folder[7].1), ("pictures/00007.png", 0));
    assert!(energies(folder) == expected);
    // Alone, and behind others in a batch.
    let few = scored("pictures/00270.png stack.npy pictures/00000.png");
    assert_eq!(few.len(), 302);
    assert_close(few[0].2, expected[270]);
    assert_close(few[301].2, expected[0]);
    assert_close(few[300].2, expected[299]);
}

#[test]
fn score_writes_json_lines_too() {
    let bench = trained();
    bench.succeeds("sample run -n 3 --steps 1 --out stack.npy");
    let csv = rows(&bench.succeeds("score run stack.npy"));
    let lines = bench.succeeds("score run stack.npy --format jsonl");
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    for (line, (path, index, energy)) in lines.iter().zip(csv) {
        assert_eq!(line["path"], path);
        assert_eq!(line["index"], index);
        assert_eq!(line["energy"].as_f64().unwrap() as f32, energy);
    }
}

#[test]
fn score_goes_on_after_what_cannot_be_read() {
    let bench = trained();
    bench.succeeds("sample run -n 3 --steps 1 --out pictures");
    fs::write(bench.path("pictures/00001.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    fs::write(bench.path("cut.npy"), b"\x93NUMPY").unwrap();
    let out = bench.ebm("score run nowhere.png pictures cut.npy tiny.yaml");
    assert_eq!(out.status.code(), Some(1));
    let named: Vec<_> = rows(&text(&out.stdout)).into_iter().map(|r| r.0).collect();
    assert_eq!(named, ["pictures/00000.png", "pictures/00002.png"]);
    let stderr = text(&out.stderr);
    for mention in [
        "nowhere.png",
        "pictures/00001.png",
        "cut.npy",
        "tiny.yaml",
        "2 images scored, 4 could not be",
    ] {
        assert!(stderr.contains(mention), "`{mention}` is not in\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn score_takes_any_file_name() {
    let bench = trained();
    bench.succeeds("sample run -n 1 --steps 1 --out pictures");
    let odd = std::ffi::OsString::from_vec(b"no\xfftext.png".to_vec());
    for name in [odd, "a,\"b\"\nc.png".into(), "--looks-like-an-option.png".into()] {
        fs::copy(bench.path("pictures/00000.png"), bench.dir.path().join(&name)).unwrap();
        let out = bench.command("score run --").arg(&name).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{name:?}: {}", text(&out.stderr));
        assert!(text(&out.stdout).starts_with("path,index,energy\n"));
    }
    let out = bench.command("score run --").arg("a,\"b\"\nc.png").output().unwrap();
    assert!(
        text(&out.stdout).contains("\"a,\"\"b\"\"\nc.png\",0,"),
        "{}",
        text(&out.stdout)
    );
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_quietly() {
    let bench = trained();
    bench.succeeds("sample run -n 2 --steps 1 --out stack.npy");
    for line in ["score run stack.npy", "check tiny.yaml", "sample run -n 1 --steps 1"] {
        let mut child = bench
            .command(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert!(!stderr.contains("anic") && !stderr.contains("rror"), "{line}: {stderr}");
        assert_eq!(
            status.signal(),
            Some(signal_hook::consts::SIGPIPE),
            "{line}: {status:?}"
        );
    }
}

#[test]
fn check_prints_shapes_parameters_and_work() {
    let bench = Bench::new();
    let table = bench.succeeds("check tiny_model.yaml");
    for word in ["tiny: 1x8x8 -> one energy", "4x4x4"] {
        assert!(table.contains(word), "`{word}` is not in\n{table}");
    }
    let total = table.lines().find(|l| l.starts_with("total")).unwrap();
    // Convolution: 4 kernels of 3x3 and biases; linear: 64 and 1. MACs: 16 positions x 36, and 64.
    assert_eq!(total.split_whitespace().collect::<Vec<_>>(), ["total", "105", "640"]);
    let experiment = bench.succeeds("check tiny.yaml --set sampler.n_steps=5 --set train.steps=18446744073709551615");
    for word in ["105", "5 steps of step_size 10", "batch 8", "accepted"] {
        assert!(experiment.contains(word), "`{word}` is not in\n{experiment}");
    }
    // noise_scale^2 / (2 step_size) = 0.005^2 / 20
    assert!(experiment.contains("temperature 1.2500e-6"), "{experiment}");
}

#[test]
fn check_accepts_every_file_that_is_shipped() {
    let bench = Bench::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["models", "experiments"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "yaml") {
                let stdout = bench.succeeds(&format!("check {} --file-only", path.display()));
                assert!(stdout.contains("total"), "{}: {stdout}", path.display());
                assert_eq!(
                    stdout.ends_with("accepted\n"),
                    folder == "experiments",
                    "{}: {stdout}",
                    path.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "only {seen} files");
}

#[test]
fn check_of_the_file_alone_needs_no_pictures_but_training_does() {
    let bench = Bench::new();
    let set = |fit: &str| format!(r#"--set data.dataset={{"folder":{{"path":"photos","fit":"{fit}"}}}}"#);
    for fit in ["crop", "stretch", "pad"] {
        bench.succeeds(&format!("check tiny.yaml --file-only {}", set(fit)));
        for command in ["check tiny.yaml", "train tiny.yaml --out run"] {
            let line = format!("{command} {}", set(fit));
            bench.fails(&line, 2, &["photos", "no such file or folder"]);
        }
    }
    bench.fails(&format!("check tiny.yaml --file-only {}", set("exact")), 2, &["photos"]);
    assert!(!bench.path("run").exists());
}

/// A trained run with images and the table of their energies.
fn scored() -> (Bench, String) {
    let bench = trained();
    bench.succeeds("sample run -n 40 --steps 2 --out stack.npy");
    let table = bench.succeeds("score run stack.npy");
    (bench, table)
}

#[test]
fn export_has_the_names_of_pytorch_and_import_gives_the_same_energies() {
    let (bench, table) = scored();
    bench.succeeds("export run new/x.safetensors");
    let tensors = files::read(&bench.path("new/x.safetensors")).unwrap();
    let names: Vec<_> = tensors.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "0.bias",
            "0.weight_orig",
            "0.weight_u",
            "0.weight_v",
            "3.bias",
            "3.weight"
        ]
    );
    assert_eq!(tensors["0.weight_orig"].size(), [4, 1, 3, 3]);
    assert_eq!(tensors["3.weight"].size(), [1, 64]);
    bench.succeeds("import new/x.safetensors --model tiny_model.yaml --out copy --sampler tiny.yaml");
    assert_eq!(bench.succeeds("score copy stack.npy"), table, "bit for bit");
    bench.succeeds("sample copy -n 1 --steps 2");
    bench.succeeds("export copy again.safetensors");
    assert!(bytes(&bench, "again.safetensors") == bytes(&bench, "new/x.safetensors"));
    bench.succeeds("export run raw.safetensors --weights raw");
    assert!(bytes(&bench, "raw.safetensors") != bytes(&bench, "new/x.safetensors"));
    bench.fails("export run run", 2, &["run"]);
    assert!(!bench.path("run.tmp").exists());
}

#[test]
fn an_imported_run_has_the_sampler_that_was_given() {
    let (bench, _) = scored();
    bench.succeeds("export run x.safetensors");
    let section = "n_steps: 17\nstep_size: 2.5\nnoise_scale: 0.01\n";
    fs::write(bench.path("section.yaml"), section).unwrap();
    let import = "import x.safetensors --model tiny_model.yaml";
    bench.succeeds(&format!("{import} --out a --sampler section.yaml"));
    bench.succeeds(&format!("{import} --out b --sampler tiny.yaml"));
    let sampler = |run: &str| {
        let run = RunDir::open(&bench.path(run)).unwrap();
        run.experiment().unwrap().sampler.unwrap()
    };
    let KernelConfig::Langevin(langevin) = sampler("a").kernel else {
        panic!("the section names no kernel, which is Langevin's")
    };
    assert_eq!((sampler("a").n_steps, langevin.step_size), (17, 2.5));
    assert_eq!(sampler("b"), sampler("run"));
    fs::write(bench.path("section.yaml"), "n_steps: 17\nstepsize: 2.5\n").unwrap();
    bench.fails(
        &format!("{import} --out c --sampler section.yaml"),
        2,
        &["section.yaml", "`stepsize`", "known here: kernel"],
    );
    bench.fails(
        &format!("{import} --out c --sampler nowhere.yaml"),
        2,
        &["nowhere.yaml"],
    );
    assert!(!bench.path("c").exists());
}

#[test]
fn import_negates() {
    let (bench, table) = scored();
    bench.succeeds("export run x.safetensors");
    bench.succeeds("import x.safetensors --model tiny_model.yaml --out same --sampler tiny.yaml");
    bench.succeeds("import x.safetensors --model tiny_model.yaml --out negative --sampler tiny.yaml --negate");
    let energies = |table: &str| rows(table).into_iter().map(|r| r.2).collect::<Vec<_>>();
    let negative = energies(&bench.succeeds("score negative stack.npy"));
    assert_eq!(energies(&table).iter().map(|e| -e).collect::<Vec<_>>(), negative);
}

/// The run's tensors under other names, in a file.
fn renamed(bench: &Bench, to: &str, name: impl Fn(&str) -> String, extra: &[(&str, Tensor)]) {
    let tensors = files::read(&bench.path("x.safetensors")).unwrap();
    let mut other: Named = tensors.into_iter().map(|(n, t)| (name(&n), t)).collect();
    other.extend(extra.iter().map(|(n, t)| ((*n).to_owned(), t.shallow_clone())));
    fs::write(bench.path(to), files::encode(&other).unwrap()).unwrap();
}

#[test]
fn import_takes_a_prefix_off_and_maps_names() {
    let (bench, table) = scored();
    bench.succeeds("export run x.safetensors");
    let model = "--model tiny_model.yaml --sampler tiny.yaml";
    let loss = [("loss.weight", Tensor::ones([3], (Kind::Float, Device::Cpu)))];
    renamed(&bench, "prefixed.safetensors", |n| format!("module.net.{n}"), &loss);
    bench.succeeds(&format!(
        "import prefixed.safetensors {model} --prefix module.net. --out a"
    ));
    assert_eq!(bench.succeeds("score a stack.npy"), table);
    bench.fails(
        &format!("import prefixed.safetensors {model} --out b"),
        2,
        &["missing (6): 0.bias", "loss.weight"],
    );
    bench.fails(
        &format!("import prefixed.safetensors {model} --prefix net. --out b"),
        2,
        &["`net.`", "--prefix"],
    );
    let swapped = |n: &str| n.replace("3.", "head.");
    renamed(&bench, "mapped.safetensors", swapped, &[]);
    fs::write(bench.path("names.yaml"), "head.weight: 3.weight\nhead.bias: 3.bias\n").unwrap();
    bench.succeeds(&format!("import mapped.safetensors {model} --map names.yaml --out c"));
    assert_eq!(bench.succeeds("score c stack.npy"), table);
    renamed(&bench, "both.safetensors", |n| format!("m.{}", swapped(n)), &loss);
    bench.succeeds(&format!(
        "import both.safetensors {model} --prefix m. --map names.yaml --out d"
    ));
    assert_eq!(bench.succeeds("score d stack.npy"), table);
    fs::write(bench.path("names.yaml"), "haed.weight: 3.weight\n").unwrap();
    let line = format!("import mapped.safetensors {model} --map names.yaml --out b");
    bench.fails(&line, 2, &["names.yaml", "`haed.weight`", "mapped.safetensors"]);
    fs::write(bench.path("names.yaml"), "head.weight: 3.weight\nhead.bias: 3.weight\n").unwrap();
    bench.fails(&line, 2, &["names.yaml", "`3.weight`"]);
    fs::write(bench.path("names.yaml"), "- a\n").unwrap();
    bench.fails(&line, 2, &["names.yaml", "sequence"]);
    assert!(!bench.path("b").exists());
}

#[test]
fn import_is_strict_and_leaves_nothing_behind() {
    let (bench, _) = scored();
    bench.succeeds("export run x.safetensors");
    let model = "--model tiny_model.yaml";
    let one = || Tensor::ones([1], (Kind::Float, Device::Cpu));
    renamed(&bench, "extra.safetensors", str::to_owned, &[("4.weight", one())]);
    bench.fails(
        &format!("import extra.safetensors {model} --out b"),
        2,
        &["not of this network (1): 4.weight"],
    );
    renamed(&bench, "shape.safetensors", str::to_owned, &[("3.weight", one())]);
    bench.fails(
        &format!("import shape.safetensors {model} --out b"),
        2,
        &["3.weight is Float [1], expected Float [1, 64]"],
    );
    let tensors = files::read(&bench.path("x.safetensors")).unwrap();
    let most: BTreeMap<_, _> = tensors.into_iter().filter(|(n, _)| n != "3.bias").collect();
    fs::write(bench.path("less.safetensors"), files::encode(&most).unwrap()).unwrap();
    bench.fails(
        &format!("import less.safetensors {model} --out b"),
        2,
        &["missing (1): 3.bias"],
    );
    let whole = bytes(&bench, "x.safetensors");
    fs::write(bench.path("cut.safetensors"), &whole[..whole.len() - 9]).unwrap();
    bench.fails(
        &format!("import cut.safetensors {model} --out b"),
        2,
        &["cut.safetensors"],
    );
    fs::write(bench.path("text.safetensors"), "hello").unwrap();
    bench.fails(
        &format!("import text.safetensors {model} --out b"),
        2,
        &["text.safetensors"],
    );
    bench.fails(
        &format!("import nowhere.safetensors {model} --out b"),
        2,
        &["nowhere.safetensors", "no such file"],
    );
    bench.fails(
        "import x.safetensors --model nowhere.yaml --out b",
        2,
        &["nowhere.yaml"],
    );
    bench.fails(
        &format!("import x.safetensors {model} --out run"),
        2,
        &["a run is already there"],
    );
    assert!(!bench.path("b").exists());
    let left: Vec<_> = fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn an_imported_run_says_why_it_cannot_be_trained() {
    let (bench, _) = scored();
    bench.succeeds("export run x.safetensors");
    bench.succeeds("import x.safetensors --model tiny_model.yaml --sampler tiny.yaml --out copy");
    bench.fails(
        "train copy/resolved.yaml --out copy --resume",
        2,
        &["data.dataset", "`none`"],
    );
    bench.succeeds("train tiny.yaml --out tuned --init-from copy --set train.steps=1");
}
