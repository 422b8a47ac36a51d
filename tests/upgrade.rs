//! Files of earlier versions: they mean what they meant, in today's keys, from a file, a run or `--set`.

mod common;

use std::path::Path;

use common::Bench;
use ebm::config::yaml;
use ebm::experiment::Experiment;

const HEAD: &str = "
name: old
data: {dataset: {strokes: {count: 60, size: 8}}, validation: 10}
model: {name: tiny, input: [1, 8, 8], output: logits, layers: [flatten, {linear: {out: 2}}]}
optimizer: {algorithm: {adam: {}}, lr: 0.001}
train: {steps: 4, batch_size: 8}
";

fn read(text: &str, sets: &[&str]) -> Experiment {
    let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
    let mut e = Experiment::from_text(&format!("{HEAD}{text}"), Path::new("old.yaml"), &sets).unwrap();
    e.notices.clear();
    e
}

/// Pairs of a text of an earlier version and of today's that says the same.
const PAIRS: [(&str, &str); 6] = [
    (
        "sampler: {n_steps: 3, step_size: 10, noise_scale: 0.005, grad_clip: {value: 0.03}, clamp: [-1, 1], \
         order: [noise, clamp, gradient, clamp], precision: f32, layout: contiguous, chain_batch: 4, init: {uniform: [-1, 1]}}\n\
         objective: {energy_reg: 0.1, data_noise: 0.03}",
        "sampler: {kernel: {langevin: {step_size: 10, noise_scale: 0.005, grad_clip: {value: 0.03}, clamp: [-1, 1], \
         order: [noise, clamp, gradient, clamp]}}, n_steps: 3, init: {uniform: [-1, 1]}}\n\
         compute: {precision: f32, layout: contiguous, chain_batch: 4}\n\
         objective: {contrastive: {energy_reg: 0.1}}\ndata.noise: 0.03",
    ),
    (
        "sampler: {n_steps: 3, step_size: 10, temperature: 0.5, step_schedule: {linear: {end: 0.1}}, network_mode: training}\n\
         objective: {negatives: noise, p_x_weight: 0.5, p_y_given_x_weight: 2, label_smoothing: 0.1, labelled_noise: 0.2, statistics: data}",
        "sampler: {kernel: {langevin: {step_size: 10, temperature: 0.5, step_schedule: {linear: {end: 0.1}}}}, n_steps: 3, \
         network_mode: training, start: noise}\n\
         objective: {contrastive: {weight: 0.5}, cross-entropy: {weight: 2, label_smoothing: 0.1}}\n\
         data.labelled_noise: 0.2\ntrain.statistics: data",
    ),
    (
        "sampler: {n_steps: 3, step_size: 10}\n\
         objective: {chains: by-class, p_x_weight: 0, p_y_given_x_weight: 1, p_x_given_y_weight: 0.7, energy_reg: 0.2, p_x_from: 2}",
        "sampler: {kernel: {langevin: {step_size: 10}}, n_steps: 3, classes: kept}\n\
         objective: {cross-entropy: {}, conditional: {weight: 0.7, energy_reg: 0.2, from: 2}}",
    ),
    (
        "sampler: {n_steps: 3, step_size: 10}\n\
         objective: {chains: with-class, p_x_y_weight: 0.3, p_x_given_y_weight: 0, p_y_given_x_weight: 0}",
        "sampler: {kernel: {langevin: {step_size: 10}}, n_steps: 3, classes: drawn}\n\
         objective: {contrastive: {}, joint: {weight: 0.3}}",
    ),
    (
        "sampler: {n_steps: 3, step_size: 10, clamp: [-1, 1]}\nobjective: {kl_weight: 0.4, entropy_weight: 1, chains: joint}",
        "sampler: {kernel: {langevin: {step_size: 10, clamp: [-1, 1]}}, n_steps: 3}\n\
         objective: {contrastive: {}, chain-kl: {weight: 0.4}, chain-entropy: {weight: 1}}",
    ),
    (
        "sampler: {n_steps: 3, step_size: 10}",
        "sampler: {kernel: {langevin: {step_size: 10}}, n_steps: 3}\nobjective: {contrastive: {}}",
    ),
];

/// Today's text, whose last lines may set single keys of sections above.
fn today(text: &str) -> Experiment {
    let is_set = |line: &&str| ["data.", "train."].iter().any(|head| line.starts_with(head));
    let (sets, sections): (Vec<&str>, Vec<&str>) = text.lines().partition(is_set);
    let sets: Vec<String> = sets.iter().map(|s| s.replace(": ", "=")).collect();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    read(&sections.join("\n"), &sets)
}

#[test]
fn an_old_file_means_what_it_meant() {
    for (old, new) in PAIRS {
        assert_eq!(read(old, &[]), today(new), "{old}");
        // What is written down is of today's form, and read back as it is.
        let written = yaml::to_text(&read(old, &[]));
        let again = Experiment::from_text(&written, Path::new("resolved.yaml"), &[]).unwrap();
        assert_eq!(again, read(old, &[]), "{written}");
    }
}

#[test]
fn keys_are_set_in_either_form_on_files_of_either_form() {
    let sets = [
        ("sampler.step_size=5", "sampler.kernel.langevin.step_size=5"),
        (
            "sampler.grad_clip={norm: 1}",
            "sampler.kernel.langevin.grad_clip={norm: 1}",
        ),
        ("sampler.precision=bf16", "compute.precision=bf16"),
        ("objective.energy_reg=0.5", "objective.contrastive.energy_reg=0.5"),
        ("objective.p_x_weight=0.5", "objective.contrastive.weight=0.5"),
        ("objective.data_noise=0.5", "data.noise=0.5"),
        ("objective.negatives=data", "sampler.start=data"),
        ("objective.p_y_given_x_weight=0.5", "objective.cross-entropy.weight=0.5"),
    ];
    let (old, new) = (PAIRS[5].0, PAIRS[5].1);
    for (before, now) in sets {
        let expected = read(new, &[now]);
        assert_ne!(expected, read(new, &[]), "{now} changes something");
        for (text, set) in [(old, before), (old, now), (new, before)] {
            assert_eq!(read(text, &[set]), expected, "{set} on {text}");
        }
    }
    // A key of a kernel is that of whichever kernel the file has.
    let mala = "sampler: {kernel: {mala: {step_size: 0.1}}, n_steps: 3}";
    assert_eq!(
        read(mala, &["sampler.step_size=0.2"]),
        read(mala, &["sampler.kernel.mala.step_size=0.2"])
    );
}

#[test]
fn a_key_without_a_new_place_is_refused_by_its_name() {
    let refuse = |text: &str| {
        let text = format!("{HEAD}{text}");
        Experiment::from_text(&text, Path::new("old.yaml"), &[])
            .unwrap_err()
            .to_string()
    };
    let orphan = refuse("sampler: {n_steps: 3, step_size: 10}\nobjective: {label_smoothing: 0.1}");
    assert!(orphan.contains("label_smoothing"), "{orphan}");
    let unknown = refuse("sampler: {n_steps: 3, step_size: 10, stepsize: 1}");
    assert!(unknown.contains("`stepsize`"), "{unknown}");
    let number = refuse("sampler: {n_steps: 3, step_size: fast}");
    assert!(number.contains("sampler.kernel.langevin.step_size"), "{number}");
}

#[test]
fn check_prints_an_old_file_in_todays_form() {
    let bench = Bench::new();
    for (old, _) in PAIRS {
        let text = format!("# What it is for.\n# And what to expect.\n{HEAD}{old}\n");
        std::fs::write(bench.path("old.yaml"), text).unwrap();
        let upgraded = bench.succeeds("check old.yaml --upgrade");
        assert!(
            upgraded.starts_with("# What it is for.\n# And what to expect.\n"),
            "{upgraded}"
        );
        let load = |text: &str| Experiment::from_text(text, Path::new("old.yaml"), &[]).unwrap();
        let mut before = load(&format!("{HEAD}{old}"));
        before.notices.clear();
        assert_eq!(load(&upgraded), before, "{upgraded}");
        std::fs::write(bench.path("new.yaml"), &upgraded).unwrap();
        assert_eq!(
            bench.succeeds("check new.yaml --upgrade"),
            upgraded,
            "nothing is left to upgrade"
        );
    }
    bench.fails("check old.yaml --upgrade --set seed=1", 2, &["--upgrade"]);
}
