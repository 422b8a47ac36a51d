//! Runs on points: they train, resume, sample and are drawn by the same kernels and objectives as
//! images, and what is about pictures is refused by one clear error.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::Bench;
use ebm::config::yaml;
use ebm::models::ModelConfig;
use ebm::objective::ObjectiveConfig;
use ebm::sampling::KernelConfig;
use tch::{Kind, Tensor};

const MODEL: &str = "
name: points
input: [2]
layers: [{linear: {out: 16}}, silu, {linear: {out: 1}}]
";

const EXPERIMENT: &str = "
seed: 3
threads: 1
data: {dataset: {toy: {density: two-moons, count: 500}}, validation: 50}
model: points_model.yaml
sampler: {kernel: {mala: {step_size: 0.05}}, n_steps: 4, init: {uniform: [-4, 4]}}
compute: {precision: f32, layout: contiguous}
buffer: {size: 64}
objective: {contrastive: {}}
optimizer: {algorithm: {adam: {}}, lr: 1.0e-2}
train: {steps: 12, batch_size: 16, log_every: 4, checkpoint_every: 6, keep: 3}
report: {every: 6, images: 40, sample_steps: 8, tensorboard: false}
";

fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("points_model.yaml"), MODEL).unwrap();
    let levels = format!("{MODEL}levels: {{low: 0.1, high: 3, form: {{input: {{data_std: 1}}}}}}\n");
    fs::write(bench.path("levels.yaml"), levels).unwrap();
    fs::write(bench.path("points.yaml"), EXPERIMENT).unwrap();
    bench
}

/// What is set beside the examples of all kinds.
const MORE: [&[&str]; 10] = [
    &["seed=4"],
    &["sampler.warm_up={steps: 30, accept: 0.6}"],
    &["sampler.warm_up={steps: 40, accept: 0.6, mass: true}"],
    &[
        "sampler.kernel={tempering: {kernel: {mala: {step_size: 0.05}}, temperatures: [2, 5]}}",
        "sampler.warm_up={steps: 30, accept: 0.6, swaps: 0.3}",
    ],
    &[
        "sampler.kernel={hmc: {step_size: 0.2, leapfrog_steps: 3, jitter: 0.1, mass: [1, 2]}}",
        "sampler.start=noise",
    ],
    &[
        "sampler.kernel={random-walk: {step_size: 0.3}}",
        "sampler.start=data",
        "optimizer.ema=0.9",
    ],
    &[
        "objective={nce: {noise: {gaussian: {mean: 0, std: 2}}}}",
        "sampler=null",
        "optimizer.sam={rho: 0.05}",
    ],
    &[
        "objective={flow-matching: {}, contrastive: {from: 3, trim: 0.2, floor: -0.1}}",
        "sampler.kernel={transport: {step_size: 0.3, until: 0.5, heat: 0.2}}",
        "sampler.start=halves",
    ],
    &[
        "objective={contrastive: {}, cooperative: {latent: 3, hidden: [8, 6]}}",
        "sampler.start=noise",
        "optimizer.ema=0.9",
    ],
    &["objective={nce: {noise: {mixture: {components: 3}}}}", "sampler=null"],
];

/// Every kernel, every term that needs no labels, every kind of model.
fn variants() -> Vec<Vec<String>> {
    let inline = |tree: serde_yaml::Value| serde_json::to_string(&tree).unwrap();
    let mut all: Vec<Vec<String>> = MORE
        .iter()
        .map(|sets| sets.iter().map(|set| set.to_string()).collect())
        .collect();
    let section = |kernel: &KernelConfig| format!("sampler.kernel={}", inline(yaml::to_value(kernel)));
    let (recovery, others): (Vec<_>, Vec<_>) = KernelConfig::examples()
        .into_iter()
        .partition(|kernel| kernel.word() == "recovery");
    for kernel in others {
        let mut sets = vec![section(&kernel)];
        sets.extend(kernel.build(1).facts().levels.map(|_| "model=levels.yaml".to_owned()));
        all.push(sets);
    }
    for model in ModelConfig::examples() {
        all.push(vec![format!("model={}", inline(yaml::to_value(&model)))]);
    }
    for (key, objective) in ObjectiveConfig::examples() {
        let (asks, mut tree) = (objective.asks(), yaml::to_value(&objective));
        if asks.labels {
            continue;
        }
        if asks.chain_end || asks.generator {
            // It stands beside a term of the data.
            tree["contrastive"] = serde_yaml::Value::Mapping(Default::default());
        }
        let mut sets = vec![format!("objective={}", inline(tree))];
        let langevin = "sampler.kernel={langevin: {step_size: 0.05, noise_scale: 0.1}}";
        sets.extend(asks.chain_end.then(|| langevin.to_owned()));
        sets.extend(asks.levels.map(|_| "model=levels.yaml".to_owned()));
        sets.extend(asks.own_chains.then(|| "sampler.start=noise".to_owned()));
        sets.extend((key == "recovery").then(|| section(&recovery[0])));
        all.push(sets);
    }
    all
}

#[test]
fn every_kind_resumes_bit_for_bit() {
    let bench = bench();
    for (i, sets) in variants().iter().enumerate() {
        let train = |more: &[&str]| {
            let mut command = bench.command("train points.yaml");
            sets.iter().for_each(|set| {
                command.arg("--set").arg(set);
            });
            let out = command.args(more).output().unwrap();
            assert!(out.status.success(), "{sets:?}: {}", common::text(&out.stderr));
        };
        let [whole, parts] = ["whole", "parts"].map(|name| format!("{name}{i}"));
        // One picture along the way is enough of them.
        let every = if i == 0 { "report.every=6" } else { "report.every=0" };
        train(&["--out", &whole, "--set", every]);
        train(&["--out", &parts, "--set", "report.every=0", "--set", "train.steps=6"]);
        train(&["--out", &parts, "--set", "report.every=0", "--resume"]);
        let [a, b] = [&whole, &parts].map(|run| bench.checkpoint(run, 12));
        for (name, bytes) in a.iter().filter(|(name, _)| name.ends_with(".safetensors")) {
            assert!(bytes == &b[name], "{sets:?}: {name} differs");
        }
        assert!(bench.path(&whole).join("samples/final.png").is_file(), "{sets:?}");
        let drawn = bench.path(&whole).join("samples/step-000006.png").is_file();
        assert_eq!(drawn, i == 0, "{sets:?}");
    }
}

/// By an energy that is linear, chains that hardly move, and noise that lies far from all data.
#[test]
fn chains_of_halves_start_at_data_and_at_noise() {
    let bench = bench();
    let far = |start: &str| {
        let sets = [
            "model={name: line, input: [2], layers: [{linear: {out: 1}}]}",
            "sampler.kernel={random-walk: {step_size: 1.0e-9}}",
            "sampler.init={gaussian: {mean: 1.0e+5, std: 1.0e-3}}",
            "train={steps: 1, batch_size: 7, log_every: 1}",
            "report.every=0",
            &format!("sampler.start={start}"),
        ];
        let mut command = bench.command(&format!("train points.yaml --out {start}"));
        sets.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", common::text(&out.stderr));
        let lines = fs::read_to_string(bench.path(start).join("metrics.jsonl")).unwrap();
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        first["energy_neg"].as_f64().unwrap()
    };
    let [data, halves, noise] = ["data", "halves", "noise"].map(far);
    assert!(data.abs() < 1e-3 * noise.abs(), "{data} at data, {noise} at noise");
    assert!((halves / noise - 4.0 / 7.0).abs() < 1e-3, "{halves} of {noise}");
}

/// Replicas lie beside their chains in a checkpoint; chains of another kernel can start from it too.
#[test]
fn replicas_go_on_from_step_to_step_and_resume_bit_for_bit() {
    let bench = bench();
    let tempering = "tempering: {kernel: {mala: {step_size: 0.05}}, temperatures: [2, 5]}";
    let tempered = EXPERIMENT.replace("mala: {step_size: 0.05}", tempering);
    fs::write(bench.path("tempered.yaml"), &tempered).unwrap();
    bench.succeeds("train tempered.yaml --out whole");
    bench.succeeds("train tempered.yaml --out parts --set train.steps=6");
    bench.succeeds("train tempered.yaml --out parts --resume");
    let [a, b] = ["whole", "parts"].map(|run| bench.checkpoint(run, 12).remove("buffer.safetensors").unwrap());
    assert!(a == b, "the buffers differ");
    let file = bench.path("parts/checkpoints/step-12/buffer.safetensors");
    let saved: BTreeMap<String, Tensor> = Tensor::read_safetensors(file).unwrap().into_iter().collect();
    assert_eq!(saved["replicas"].size(), [64, 2, 2]);
    let apart = (&saved["replicas"] - saved["chains"].unsqueeze(1))
        .abs()
        .amax([2], false);
    // 192 draws of 64 slots, 5 % of which start afresh: replicas leave their chain and each other.
    let left = apart.gt(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
    assert!(left > 0.8, "{left}");
    fs::write(
        bench.path("other.yaml"),
        "{kernel: {mala: {step_size: 0.05}}, n_steps: 4}",
    )
    .unwrap();
    bench.succeeds("sample parts --from buffer --sampler other.yaml -n 30 --steps 3 --out points.npy");
}

#[test]
fn points_are_sampled_as_a_heat_map_or_as_numbers() {
    let bench = bench();
    bench.succeeds("train points.yaml --out run");
    bench.succeeds("sample run -n 30 --out map.png");
    assert!(fs::read(bench.path("map.png")).unwrap().starts_with(b"\x89PNG"));
    let told = bench.succeeds("sample run -n 30 --steps 40 --out points.npy --diagnostics");
    let points = Tensor::read_npy(bench.path("points.npy")).unwrap();
    assert_eq!((points.size(), points.kind()), (vec![30, 2], tch::Kind::Float));
    for word in [
        "energy",
        "coordinate 2",
        "R-hat",
        "ess bulk",
        "30 chains of 20 draws",
        "accepted",
    ] {
        assert!(told.contains(word), "{word} in {told}");
    }
    assert!(bench.path("points.traces.png").is_file());
    bench.succeeds("sample run --from data --out data.npy -n 5 --steps 0");
}

#[test]
fn the_monitor_keeps_the_best_of_points() {
    let bench = bench();
    let looks = "train points.yaml --set evaluate.every=4 --set evaluate.images=40";
    let whole = format!("{looks} --set data.dataset.toy.density=rings");
    bench.succeeds(&format!("{whole} --out run"));
    let lines = |run: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(bench.path(run).join("metrics.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .filter(|line| line.get("energy_distance_fresh").is_some())
            .collect()
    };
    let found = lines("run");
    assert_eq!(found.len(), 3, "{found:?}");
    for key in ["start", "train", "buffer"] {
        assert!(
            found[0][format!("energy_distance_{key}")].is_number(),
            "{key} in {}",
            found[0]
        );
    }
    assert!(found[0]["total_variation"].is_number(), "{}", found[0]);
    let train = found[0]["energy_distance_train"].as_f64().unwrap();
    let start = found[0]["energy_distance_start"].as_f64().unwrap();
    assert!(
        train.abs() < 0.1 && start > train,
        "training points {train}, uniform ones {start}"
    );
    let best: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path("run/checkpoints/best.json")).unwrap()).unwrap();
    let least = |a: &f64, b: &f64| a.total_cmp(b);
    let fresh = found.iter().map(|line| line["energy_distance_fresh"].as_f64().unwrap());
    assert_eq!(best["value"].as_f64().unwrap(), -fresh.min_by(least).unwrap(), "{best}");
    // A run in two sittings looks at the same numbers.
    bench.succeeds(&format!("{whole} --out parts --set train.steps=6"));
    bench.succeeds(&format!("{whole} --out parts --resume"));
    let numbers = |line: &serde_json::Value| line["energy_distance_fresh"].as_f64();
    assert_eq!(
        lines("parts").iter().map(numbers).collect::<Vec<_>>(),
        found.iter().map(numbers).collect::<Vec<_>>()
    );
    bench.succeeds("train points.yaml --out other --set evaluate.every=12 --set evaluate.images=40");
    assert!(
        !lines("other")[0]["total_variation"].is_number(),
        "two moons have no closed form"
    );
}

#[test]
fn a_run_without_a_sampler_takes_one_by_a_file() {
    let bench = bench();
    let nce = bench
        .command("train points.yaml --out run --set sampler=null --set")
        .arg("objective={nce: {}}")
        .output()
        .unwrap();
    assert!(nce.status.success(), "{}", String::from_utf8_lossy(&nce.stderr));
    bench.fails("sample run -n 5 --steps 3", 2, &["sampler", "--sampler FILE"]);
    let section =
        "kernel: {hmc: {step_size: 0.1, leapfrog_steps: 2}}\nn_steps: 3\ninit: {gaussian: {mean: 0, std: 1}}\n";
    fs::write(bench.path("section.yaml"), section).unwrap();
    bench.succeeds("sample run -n 5 --steps 3 --sampler section.yaml --out a.npy");
    bench.succeeds("sample run -n 5 --steps 3 --sampler points.yaml --out b.npy");
    let [a, b] = ["a.npy", "b.npy"].map(|name| fs::read(bench.path(name)).unwrap());
    assert!(a != b, "each by its own kernel and start");
    fs::write(
        bench.path("bad.yaml"),
        "kernel: {langevin: {step_size: 0.1}}\nn_step: 3\n",
    )
    .unwrap();
    bench.fails("sample run --sampler bad.yaml", 2, &["bad.yaml", "`n_step`"]);
}

#[test]
fn what_is_of_pictures_is_refused_of_points() {
    let bench = bench();
    bench.succeeds("train points.yaml --out run --set train.steps=2 --set report.every=0");
    for command in [
        "ood run --against uniform",
        "score run run/samples/final.png",
        "evaluate run --parts quality",
    ] {
        bench.fails(command, 2, &["`points`", "[2]", "images [channels, height, width]"]);
    }
    bench.fails("sample run --trace", 2, &["--trace", "points"]);
    bench.fails("sample run --out folder", 2, &["folder", "points"]);
    let train = "train points.yaml --out other --set";
    for (set, key) in [
        ("evaluate.best=frechet", "evaluate.best"),
        ("evaluate.ood=[uniform]", "evaluate.ood"),
        ("data.augment.flip=true", "data.augment"),
        (r#"sampler.init={"class-gaussians":{}}"#, "sampler.init.class-gaussians"),
        ("data.dataset=mnist", "data.dataset"),
    ] {
        bench.fails(&format!("{train} {set}"), 2, &[key]);
    }
    let images = r#"train tiny.yaml --out other --set data.dataset={"toy":{"density":"rings"}}"#;
    bench.fails(images, 2, &["model.input", "points"]);
}

#[test]
fn what_does_not_fit_together_is_refused_before_work_begins() {
    let bench = bench();
    let refused = [
        ("space={values:binary}", "sampler.kernel.mala", "binary"),
        (
            "sampler.kernel={langevin:{step_size:0.1}} --set sampler.warm_up={steps:9,accept:0.5}",
            "sampler.warm_up",
            "langevin",
        ),
        ("sampler=null", "objective.contrastive", "needs chains"),
        (
            "objective={cross-entropy:{}}",
            "objective.cross-entropy",
            "needs classes",
        ),
        ("objective={chain-kl:{},contrastive:{}}", "objective.chain-kl", "`mala`"),
        (
            "sampler.network_mode=training",
            "sampler.network_mode",
            "compares energies",
        ),
        (
            "sampler.kernel={hmc:{step_size:0.1,leapfrog_steps:2,mass:[1,2,3]}}",
            "sampler.kernel.hmc",
            "3 masses",
        ),
        (
            "sampler.warm_up={steps:9,accept:0.5,swaps:0.3}",
            "sampler.warm_up.swaps",
            "no ladder",
        ),
        (
            "sampler.kernel={hmc:{step_size:0.1,leapfrog_steps:2,mass:[2]}} --set \
             sampler.warm_up={steps:9,accept:0.5,mass:true}",
            "sampler.warm_up.mass",
            "masses",
        ),
        (
            "sampler.kernel={tempering:{kernel:{mala:{step_size:0.1}},temperatures:[]}}",
            "sampler.kernel.tempering.temperatures",
            "at least one",
        ),
        (
            "sampler.kernel={tempering:{kernel:{mala:{step_size:0.1}},temperatures:[4,2]}}",
            "sampler.kernel.tempering.temperatures",
            "above the one before",
        ),
        (
            "sampler.kernel={tempering:{kernel:{annealing:{kernel:{mala:{step_size:0.1}},from:2,to:1}},temperatures:[4]}}",
            "sampler.kernel.tempering.kernel.annealing",
            "temperatures itself",
        ),
        (
            "sampler.kernel={tempered-transitions:{kernel:{langevin:{step_size:0.1}},temperatures:[4]}}",
            "sampler.kernel.tempered-transitions.kernel.langevin",
            "accepts or rejects",
        ),
        (
            "sampler.kernel={annealing:{kernel:{mala:{step_size:0.1}},from:1,to:2}}",
            "sampler.kernel.annealing.to",
            "at most `from`",
        ),
        (
            "sampler.kernel={annealing:{kernel:{mala:{step_size:0.1}},from:2,to:1}} --set sampler.network_mode=training",
            "sampler.network_mode",
            "compares energies",
        ),
        (
            "sampler.kernel={tempering:{kernel:{langevin:{step_size:0.1}},temperatures:[4]}} --set \
             sampler.network_mode=training",
            "sampler.network_mode",
            "compares energies",
        ),
        (
            "sampler.kernel={preconditioned:{step_size:0.1,decay:1}}",
            "sampler.kernel.preconditioned.decay",
            "below 1",
        ),
        (
            "sampler.kernel={generalised-hmc:{step_size:0.1,persistence:1}}",
            "sampler.kernel.generalised-hmc.persistence",
            "below 1",
        ),
        (
            "sampler.kernel={stein:{step_size:0.1,bandwidth:0}}",
            "sampler.kernel.stein.bandwidth",
            "above 0",
        ),
        (
            "sampler.warm_up={steps:9,accept:0.5,swaps:1}",
            "sampler.warm_up.swaps",
            "between 0 and 1",
        ),
        (
            "objective={energy-discrepancy:{sigma:1,samples:0}}",
            "objective.energy-discrepancy.samples",
            "1 or more",
        ),
        (
            "objective={multiscale:{low:2,high:1,reference:0.2}}",
            "objective.multiscale.high",
            "at least `low`",
        ),
        (
            "objective={sliced:{directions:0}}",
            "objective.sliced.directions",
            "1 or more",
        ),
        (
            "sampler.start=noise --set objective={contrastive:{},cooperative:{latent:0,hidden:[4]}}",
            "objective.cooperative.latent",
            "1 or more",
        ),
        (
            "sampler.start=noise --set objective={contrastive:{},cooperative:{latent:2,hidden:[4,0]}}",
            "objective.cooperative.hidden[1]",
            "1 or more",
        ),
        (
            "sampler.start=noise --set objective={contrastive:{},cooperative:{latent:2,hidden:[4],sigma:0}}",
            "objective.cooperative.sigma",
            "above 0",
        ),
        (
            "sampler.start=noise --set objective={cooperative:{latent:2,hidden:[4]}}",
            "objective.cooperative",
            "no term trains",
        ),
        (
            "objective={contrastive:{},cooperative:{latent:2,hidden:[4]}}",
            "sampler.start",
            "starts them itself",
        ),
        (
            "sampler=null --set objective={denoising:{sigma:0.3},cooperative:{latent:2,hidden:[4]}}",
            "objective.cooperative",
            "needs chains",
        ),
        (
            "sampler.kernel={nuts:{step_size:0.1,max_depth:30}}",
            "sampler.kernel.nuts.max_depth",
            "from 1 to 20",
        ),
        (
            "objective={contrastive:{},nce:{},chain-kl:{from:3}} --set sampler.kernel={langevin:{step_size:0.1}}",
            "objective.chain-kl.from",
            "begin together",
        ),
        ("buffer.storage=u8", "buffer.storage", "[-1, 1]"),
        (
            "objective={denoising:{sigma:0}}",
            "objective.denoising.sigma",
            "above 0",
        ),
        ("objective={}", "objective", "nothing is left"),
        (
            "model={gaussian-mixture:{input:[2],components:2}} --set compute.precision=bf16",
            "compute.precision",
            "networks",
        ),
        (
            "model={gaussian-mixture:{input:[2],components:0}}",
            "model.gaussian-mixture.components",
            "out of range",
        ),
        (
            "model={gaussian-mixture:{input:[2],component:2}}",
            "model.gaussian-mixture",
            "did you mean `components`",
        ),
        (
            "model={gausian-mixture:{input:[2],components:2}}",
            "model",
            "did you mean `gaussian-mixture`",
        ),
        ("model=5", "model", "gaussian-mixture"),
        (
            "objective={nce:{}} --set sampler=null --set evaluate.every=4",
            "evaluate.every",
            "how chains move",
        ),
        (
            "model={gaussian-mixture:{input:[2],components:2},name:x}",
            "model",
            "unknown key `name`",
        ),
        (
            "model={gaussian-mixture:{input:[2],components:2}} --set sampler.classes=kept",
            "sampler.classes",
            "needs classes",
        ),
    ];
    for (set, key, what) in refused {
        let set = set.replace(':', ": ").replace(',', ", ");
        let mut command = bench.command("check points.yaml --file-only");
        set.split(" --set ").for_each(|one| {
            command.arg("--set").arg(one);
        });
        let out = command.output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{set}: {told}");
        assert!(
            told.contains(key) && told.contains(what) && told.contains("remedy"),
            "{set}: {told}"
        );
        assert_eq!(told.matches("error").count(), 1, "{told}");
    }
}
