//! Levels of noise: what a level does to an energy, and what terms and kernels make of it.

mod common;

use common::{Bench, text};
use ebm::config::yaml;
use ebm::energy::{Energy, FrozenEnergy, LiveEnergy, energy_and_grad};
use ebm::nn::{Mode, Network, NetworkConfig};
use ebm::rng::Stream;
use ebm::sampling::{Kernel, KernelConfig, run_chain};
use ebm::space::sum_each;
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

fn network(input: &str, form: &str, output: &str) -> Network {
    let (layers, last) = match input {
        "[3]" => ("linear: {out: 8}", "linear"),
        _ => ("conv: {out: 4, kernel: 3, padding: 1}", "conv"),
    };
    let flat = if last == "conv" { "flatten, " } else { "" };
    let out = if output == "logits" { 3 } else { 1 };
    let text = format!(
        "{{name: levels, input: {input}, output: {output}, levels: {{low: 0.1, high: 3, form: {form}}}, \
         layers: [{layers}, silu, {flat}linear: {{out: {out}}}]}}"
    );
    let place = std::path::Path::new("levels.yaml");
    let config: NetworkConfig = yaml::typed(yaml::parse(&text, place).unwrap(), place).unwrap();
    Network::new(&config, Device::Cpu, &mut Stream::new(1, "weights")).unwrap()
}

/// Every form, shape and output.
fn all() -> Vec<Network> {
    let mut all = Vec::new();
    for form in ["divided", "{input: {data_std: 0.7}}"] {
        for input in ["[3]", "[2, 5, 4]"] {
            all.extend(["energy", "negative-energy", "logits"].map(|output| network(input, form, output)));
        }
    }
    all
}

fn states(network: &Network, n: i64) -> Tensor {
    let mut size = network.config().input.clone();
    size.insert(0, n);
    Stream::new(2, "states").normal(&size, Device::Cpu)
}

/// The way without autograd, autograd on the frozen copy and on the live network, and parts of a batch find the
/// same, at a level for each state, at one for all, and at the lowest where none is given.
#[test]
fn all_ways_find_the_same_energy_and_gradient() {
    for network in all() {
        let (x, words) = (states(&network, 5), format!("{:?}", network.config()));
        let frozen = FrozenEnergy::new(&network, Kind::Float, 1.0);
        let parts = FrozenEnergy::new(&network, Kind::Float, 1.0).in_parts(Some(2));
        let live = LiveEnergy::new(&network, Mode::Eval, 1.0);
        for sigma in [
            Tensor::from_slice(&[0.1f32, 0.4, 1.0, 2.0, 3.0]),
            Tensor::full([0i64; 0], 0.6, CPU),
        ] {
            let energies: [&dyn Energy; 3] = [&frozen, &parts, &live];
            let found = energies.map(|energy| energy_and_grad(&*energy.at_level(&sigma).unwrap(), &x));
            let slow = by_autograd(&*frozen.at_level(&sigma).unwrap(), &x);
            for other in &found {
                assert!(other.energy.allclose(&slow[0], 1e-5, 1e-5, false), "{words}");
                assert!(other.grad.allclose(&slow[1], 1e-4, 1e-5, false), "{words}");
            }
        }
        let lowest = frozen.at_level(&Tensor::from_slice(&[0.1f32])).unwrap().energy(&x);
        assert!(frozen.energy(&x).allclose(&lowest, 1e-6, 1e-6, false), "{words}");
        assert!(live.energy(&x).allclose(&lowest, 1e-5, 1e-5, false), "{words}");
    }
}

fn by_autograd(energy: &dyn Energy, x: &Tensor) -> [Tensor; 2] {
    let x = x.copy().set_requires_grad(true);
    let energies = energy.energy(&x);
    let grad = Tensor::run_backward(&[energies.sum(Kind::Float)], &[&x], false, false).remove(0);
    [energies.detach(), grad]
}

/// Two modes on one number, at -4 and 3, of deviations 0.3 and 0.5 and weights 0.3 and 0.7, at any level of noise.
struct Smoothed(Tensor);

const MODES: [(f64, f64, f64); 2] = [(-4.0, 0.3, 0.3), (3.0, 0.5, 0.7)];

impl Energy for Smoothed {
    fn energy(&self, x: &Tensor) -> Tensor {
        let variance = |deviation: f64| self.0.square().view([-1, 1]) + deviation * deviation;
        let log = MODES.map(|(at, deviation, weight)| {
            let variance = variance(deviation);
            ((x - at).square() / &variance + variance.log()) * -0.5 + weight.ln()
        });
        sum_each(&log[0].logaddexp(&log[1])).neg()
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        Some(Box::new(Smoothed(sigma.shallow_clone())))
    }
}

/// Draws of the modes with noise of a level.
fn draws(n: i64, level: f64, rng: &mut Stream) -> Tensor {
    let left = rng.uniform(&[n, 1], 0.0, 1.0, Device::Cpu).lt(MODES[0].2);
    let of = |z: Tensor, i: usize| z * MODES[i].1 + MODES[i].0;
    let z = rng.normal(&[n, 1], Device::Cpu);
    let x = of(z.shallow_clone(), 0).where_self(&left, &of(z, 1));
    x + rng.normal(&[n, 1], Device::Cpu) * level
}

fn kernel(text: &str, n_steps: usize) -> Box<dyn Kernel> {
    let place = std::path::Path::new("kernel");
    let config: KernelConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    config.build(n_steps)
}

/// Where chains of `n` steps end.
fn ends(text: &str, n: usize, start: &Tensor) -> Tensor {
    let lowest = Smoothed(Tensor::from_slice(&[0.05f32]));
    run_chain(
        &*kernel(text, n),
        &lowest,
        start.shallow_clone(),
        n,
        &mut Stream::new(5, text),
    )
    .x
}

/// Holds the share of the right mode, and mean and variance within each, to those of modes of deviations with noise of
/// a level, to 5 standard errors and a share of each deviation that the steps are known to be off by.
fn holds(x: &Tensor, level: f64, off: f64, words: &str) {
    let n = x.size()[0] as f64;
    let right = x.gt(0.0);
    let share = right.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    let error = (MODES[0].2 * MODES[1].2 / n).sqrt();
    println!("{words}: share {share:.4} +- {error:.4}");
    assert!(
        (share - MODES[1].2).abs() < 5.0 * error,
        "{words}: a share of {share} +- {error}"
    );
    for (i, inside) in [right.logical_not(), right].into_iter().enumerate() {
        let (at, deviation, _) = MODES[i];
        let deviation = deviation.hypot(level);
        let x = x.masked_select(&inside).to_kind(Kind::Double);
        let n = x.numel() as f64;
        let (mean, found) = (x.mean(Kind::Double).double_value(&[]), x.std(true).double_value(&[]));
        println!("{words}: mode {i}: mean {mean:.4}, deviation {found:.4} for {deviation:.4}");
        let allowed = (5.0 / n.sqrt() + off) * deviation;
        assert!((mean - at).abs() < allowed, "{words}: a mean of {mean} for {at}");
        let allowed = (5.0 / (2.0 * n).sqrt() + off) * deviation;
        assert!(
            (found - deviation).abs() < allowed,
            "{words}: a deviation of {found} for {deviation}"
        );
    }
}

/// Each level's chains are exact but for their step; what comes out is the density at the lowest level, or, with
/// the last step, the mean of what its noise hides: each deviation s becomes s^2 / sqrt(s^2 + low^2).
#[test]
fn annealed_langevin_finds_the_shares_of_modes() {
    tch::set_num_threads(1);
    let start = draws(4000, 10.0, &mut Stream::new(4, "start"));
    let text = "{annealed-langevin: {high: 10, low: 0.05, count: 25, step_size: 0.1, denoise: false}}";
    // A step of 0.1 sigma^2 widens the noise by 2.6 % of sigma, and a mode of deviation 0.3 at level 0.05 relaxes in
    // 370 such steps, so that the higher level's width is left: it may be as wide as 0.3 with noise of 0.12.
    holds(&ends(text, 2500, &start), 0.05, 0.1, "annealed Langevin");
    // The last step alone moves each state to the mean of what noise hides.
    let last = |denoise: bool| {
        let text =
            format!("{{annealed-langevin: {{high: 10, low: 0.5, count: 9, step_size: 0.1, denoise: {denoise}}}}}");
        let start = draws(500, 10.0, &mut Stream::new(4, "start"));
        let n = 300;
        let lowest = Smoothed(Tensor::from_slice(&[0.5f32]));
        run_chain(&*kernel(&text, n), &lowest, start, n, &mut Stream::new(5, "denoise")).x
    };
    let (without, with) = (last(false), last(true));
    let grad = energy_and_grad(&Smoothed(Tensor::from_slice(&[0.5f32])), &without).grad;
    let due = &without - grad * 0.25;
    assert!(with.allclose(&due, 1e-5, 1e-5, false));
}

#[test]
fn predictor_and_corrector_find_the_data() {
    tch::set_num_threads(1);
    let mut rng = Stream::new(4, "start");
    let start = draws(4000, 40.0, &mut rng);
    for corrector in [0, 1] {
        let text = format!(
            "{{predictor-corrector: {{process: {{ve: {{low: 0.02, high: 40}}}}, corrector_steps: {corrector}, snr: 0.1}}}}"
        );
        // The predictor is an Euler step of the reverse diffusion, right to the order of the steps' size: levels are
        // 1.9 % apart.
        holds(&ends(&text, 400, &start), 0.0, 0.03, &text);
    }
    let text = "{predictor-corrector: {process: {vp: {beta_min: 0.1, beta_max: 20, end: 0.001}}, corrector_steps: 0}}";
    let start = rng.normal(&[4000, 1], Device::Cpu);
    holds(&ends(text, 1000, &start), 0.0, 0.03, text);
}

/// A chain of one step: the corrector at the first level, by the ratio of mean norms, then the predictor to no noise.
#[test]
fn the_corrector_keeps_its_ratio_of_gradient_to_noise() {
    let (sigma, snr) = (0.7, 0.3);
    let text = format!("{{predictor-corrector: {{process: {{ve: {{low: 0.2, high: {sigma}}}}}, snr: {snr}}}}}");
    let start = draws(5, sigma, &mut Stream::new(4, "start"));
    let found = ends(&text, 1, &start);
    let z = Stream::new(5, &text).normal(&[5, 1], Device::Cpu);
    let energy = Smoothed(Tensor::from_slice(&[sigma as f32]));
    let score = |x: &Tensor| energy_and_grad(&energy, x).grad.neg();
    let norm = |t: &Tensor| t.abs().mean(Kind::Double).double_value(&[]);
    let s = score(&start);
    let step = 2.0 * (snr * norm(&z) / norm(&s)).powi(2);
    let corrected = &start + s * step + z * (2.0 * step).sqrt();
    let due = &corrected + score(&corrected) * (sigma * sigma);
    assert!(found.allclose(&due, 1e-4, 1e-5, false), "{found} for {due}");
}

/// Chains of data given noised data leave the data's law as it is, if they are long enough.
#[test]
fn recovery_goes_down_the_levels() {
    tch::set_num_threads(1);
    let start = draws(3000, 6.0, &mut Stream::new(4, "start"));
    let text = "{recovery: {kernel: {hmc: {step_size: 0.25, leapfrog_steps: 5}}, levels: [0.2, 0.5, 1.2, 2.5, 6], denoise: false}}";
    holds(&ends(text, 400, &start), 0.2, 0.0, "recovery");
}

/// The file of a tiny experiment on points of a model with levels, with `sets` applied, is refused naming `mentions`.
fn refused(bench: &Bench, sets: &[&str], mentions: &[&str]) {
    let mut command = bench.command("check levels.yaml --file-only");
    sets.iter().for_each(|set| {
        command.args(["--set", set]);
    });
    let out = command.output().unwrap();
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{sets:?}\n{stderr}");
    assert!(stderr.contains("remedy: "), "{stderr}");
    for mention in mentions {
        assert!(stderr.contains(mention), "{sets:?}: no {mention} in\n{stderr}");
    }
}

const EXPERIMENT: &str = "
data: {dataset: {toy: {density: two-moons, count: 500}}}
model:
  name: levels
  input: [2]
  levels: {low: 0.1, high: 3, form: {input: {data_std: 1}}}
  layers: [{linear: {out: 8}}, silu, {linear: {out: 1}}]
sampler:
  kernel: {annealed-langevin: {high: 3, low: 0.1, count: 5, step_size: 0.2}}
  n_steps: 20
  start: noise
objective: {noise-conditional: {low: 0.1, high: 3}}
optimizer: {algorithm: {adam: {}}, lr: 1.0e-3}
train: {steps: 2, batch_size: 8}
";

#[test]
fn levels_that_do_not_fit_are_refused_before_work_begins() {
    let bench = Bench::new();
    std::fs::write(bench.path("levels.yaml"), EXPERIMENT).unwrap();
    bench.succeeds("check levels.yaml --file-only");
    let (kernel, term) = ("sampler.kernel.annealed-langevin", "objective.noise-conditional");
    let recovery = |levels: &str, term: &str| {
        format!(
            "sampler.kernel={{recovery: {{kernel: {{langevin: {{step_size: 0.1}}}}, levels: {levels}}}}};\
             objective={{recovery: {{levels: {term}}}}}"
        )
    };
    let cases: [(&str, &[&str]); 14] = [
        (
            "sampler.kernel.annealed-langevin.low=4",
            &["annealed-langevin.low", "fall"],
        ),
        ("sampler.kernel.annealed-langevin.count=1", &["annealed-langevin.count"]),
        (
            "sampler.kernel.annealed-langevin.step_size=2",
            &["annealed-langevin.step_size"],
        ),
        (
            "sampler.kernel.annealed-langevin.high=4",
            &[kernel, "from level 0.1 to 4", "0.1 to 3"],
        ),
        (
            "sampler.kernel={predictor-corrector: {process: {ve: {low: 3, high: 3}}}}",
            &["process.ve.low", "fall"],
        ),
        (
            "sampler.kernel={predictor-corrector: {process: {vp: {beta_min: 3, beta_max: 1, end: 0.1}}}}",
            &["process.vp.beta_max", "fall"],
        ),
        (
            "sampler.kernel={predictor-corrector: {process: {vp: {beta_min: 0.1, beta_max: 20, end: 0.01}}}}",
            &["predictor-corrector", "0.1 to 3"],
        ),
        ("objective.noise-conditional.low=3", &["noise-conditional.high"]),
        ("objective.noise-conditional.count=1", &["noise-conditional.count"]),
        ("objective.noise-conditional.high=3.5", &[term, "3.5", "0.1 to 3"]),
        ("model.levels=null", &[kernel, "the model takes none"]),
        ("model.levels.low=-1", &["levels.low", "above 0"]),
        ("model.reference_std=1", &["reference_std", "levels"]),
        (
            "sampler.kernel={annealing: {kernel: {annealed-langevin: {high: 3, low: 0.1, count: 5, step_size: 0.2}}, from: 2, to: 1}}",
            &["annealing.kernel.annealed-langevin", "levels of noise"],
        ),
    ];
    for (set, mentions) in cases {
        refused(&bench, &[set], mentions);
    }
    for (levels, term, mentions) in [
        ("[0.1, 1, 0.5]", "[0.1, 1, 0.5]", &["levels", "fall"]),
        ("[0.1, 1, 2]", "[0.1, 1, 3]", &["recovery.levels", "the same"]),
    ] {
        let sets = recovery(levels, term);
        let sets: Vec<&str> = sets.split(';').collect();
        refused(&bench, &sets, mentions);
    }
    refused(
        &bench,
        &["sampler.kernel={recovery: {kernel: {langevin: {step_size: 0.1, clamp: [-1, 1]}}, levels: [0.1, 1, 2]}}"],
        &["recovery.kernel.langevin", "clamps"],
    );
    refused(
        &bench,
        &[
            "sampler.kernel={recovery: {kernel: {langevin: {step_size: 0.1}}, levels: [0.1, 1, 2]}}",
            "objective={recovery: {levels: [0.1, 1, 2]}, contrastive: {}}",
        ],
        &["objective.recovery", "contrastive asks for states"],
    );
    refused(
        &bench,
        &[
            "sampler.kernel={langevin: {step_size: 0.1, inner: {steps: 2, step_size: 0.1}}}",
            "objective={contrastive: {}}",
        ],
        &["langevin.inner", "level of noise"],
    );
    refused(
        &bench,
        &["objective={recovery: {levels: [0.1, 1, 2]}}"],
        &["objective.recovery", "kernel recovery"],
    );
    refused(
        &bench,
        &[
            "sampler.kernel={recovery: {kernel: {langevin: {step_size: 0.1}}, levels: [0.1, 1, 2]}}",
            "objective={contrastive: {}}",
        ],
        &["sampler.kernel.recovery", "the term recovery alone"],
    );
}
