// Pictures of two kinds, 3 crosses to 7 frames, with a barrier of energy between them: chains of one temperature stay
// with the kind that they fall to, tempered ones find the shares.
use std::path::Path;

use ebm::energy::{Energy, EnergyGrad};
use ebm::report;
use ebm::rng::Stream;
use ebm::sampling::kernels::{Hmc, Tempering};
use ebm::sampling::{Kernel, KernelConfig, run_chain_watched};
use ebm::{data, space};
use tch::{Device, Kind, Tensor};

/// Pixels of a side.
const SIDE: i64 = 8;
/// The standard deviation of the noise of each pixel.
const NOISE: f64 = 0.3;
/// The weight of crosses; frames have the rest.
const CROSSES: f64 = 0.3;
/// Pictures in a row of a panel, and rows.
const PANEL: i64 = 10;

/// -log(0.3 N(x; cross, 0.3^2) + 0.7 N(x; frame, 0.3^2)), up to a constant.
struct TwoKinds {
    /// The two pictures, `[1,8,8]` each.
    kinds: [Tensor; 2],
}

impl TwoKinds {
    fn new() -> Self {
        let of = |drawn: &dyn Fn(i64, i64) -> bool| {
            let bright = |i: i64| if drawn(i / SIDE, i % SIDE) { 0.35f32 } else { -0.35 };
            let pixels: Vec<f32> = (0..SIDE * SIDE).map(bright).collect();
            Tensor::from_slice(&pixels).view([1, SIDE, SIDE])
        };
        let edge = |i: i64| i == 1 || i == SIDE - 2;
        let inside = |i: i64| (1..SIDE - 1).contains(&i);
        Self {
            kinds: [
                of(&|y, x| (3..5).contains(&y) || (3..5).contains(&x)),
                of(&|y, x| inside(y) && inside(x) && (edge(y) || edge(x))),
            ],
        }
    }

    /// The logarithms of weight times density of both kinds, `[B,2]`, up to a constant.
    fn logs(&self, x: &Tensor) -> Tensor {
        let log =
            |kind: &Tensor, weight: f64| space::sum_each(&(x - kind).square()) * (-0.5 / (NOISE * NOISE)) + weight.ln();
        let [cross, frame] = &self.kinds;
        Tensor::stack(&[log(cross, CROSSES), log(frame, 1.0 - CROSSES)], 1)
    }

    /// 1 for a cross, 0 for a frame, `[B]`: by which is the likelier.
    fn crosses(&self, x: &Tensor) -> Tensor {
        let logs = self.logs(x);
        logs.select(1, 0).gt_tensor(&logs.select(1, 1)).to_kind(Kind::Float)
    }

    /// Exact draws.
    fn draw(&self, n: i64, rng: &mut Stream) -> Tensor {
        let cross = rng.uniform(&[n, 1, 1, 1], 0.0, 1.0, Device::Cpu).lt(CROSSES);
        let [a, b] = &self.kinds;
        a.where_self(&cross, b) + rng.normal(&[n, 1, SIDE, SIDE], Device::Cpu) * NOISE
    }
}

impl Energy for TwoKinds {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.logs(x).logsumexp([1], false).neg()
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let logs = self.logs(x);
        let shares = logs.softmax(1, Kind::Float).view([-1, 2, 1, 1, 1]);
        let mean = (shares * Tensor::stack(&self.kinds, 0)).sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        Some(EnergyGrad {
            energy: logs.logsumexp([1], false).neg(),
            grad: (x - mean) / (NOISE * NOISE),
        })
    }
}

/// What chains found.
struct Found {
    name: String,
    /// The share of crosses and its standard error.
    share: f64,
    error: f64,
    /// A panel of pictures, u8 `[1,H,W]`.
    panel: Tensor,
}

/// Chains from uniform noise; the share is of the second half of their steps, and its error from the spread of chains.
fn run(name: &str, kernel: &dyn Kernel, chains: i64, steps: usize) -> Found {
    let energy = TwoKinds::new();
    let mut rng = Stream::new(0, "example");
    let start = rng.uniform(&[chains, 1, SIDE, SIDE], -1.0, 1.0, Device::Cpu);
    let mut sum = Tensor::zeros(chains, (Kind::Float, Device::Cpu));
    let mut look = |k: usize, x: &Tensor| {
        if k > steps / 2 {
            sum += energy.crosses(x);
        }
    };
    let end = run_chain_watched(kernel, &energy, start, steps, &mut rng, &mut look);
    let of_chains = sum / (steps - steps / 2) as f64;
    found(name, &of_chains, &end.x)
}

/// From the share of crosses of each chain, `[B]`.
fn found(name: &str, of_chains: &Tensor, x: &Tensor) -> Found {
    Found {
        name: name.into(),
        share: of_chains.mean(Kind::Double).double_value(&[]),
        error: of_chains.std(true).double_value(&[]) / (of_chains.size()[0] as f64).sqrt(),
        panel: panel(x),
    }
}

/// The first hundred of `x` as one picture.
fn panel(x: &Tensor) -> Tensor {
    let tiles = data::to_u8(&x.narrow(0, 0, PANEL * PANEL)).pad([0, 1, 0, 1], "constant", 255.0);
    let rows = tiles.view([PANEL, PANEL, SIDE + 1, SIDE + 1]).permute([0, 2, 1, 3]);
    let side = PANEL * (SIDE + 1);
    rows.reshape([1, side, side])
        .narrow(1, 0, side - 1)
        .narrow(2, 0, side - 1)
}

/// Plain chains, tempered ones, and exact draws.
fn compare(chains: i64, steps: usize) -> [Found; 3] {
    let hmc = Hmc {
        step_size: 0.15,
        leapfrog_steps: 5,
        temperature: 1.0,
        mass: None,
        jitter: 0.2,
    };
    let tempered = KernelConfig::Tempering(Tempering {
        kernel: Box::new(KernelConfig::Hmc(hmc.clone())),
        temperatures: (1..=10).map(|k| 1.35f64.powi(k)).collect(),
    });
    let energy = TwoKinds::new();
    let exact = energy.draw(chains, &mut Stream::new(1, "example"));
    [
        run("hmc", &hmc, chains, steps),
        run("tempered hmc", &*tempered.build(steps), chains, steps),
        found("exact draws", &energy.crosses(&exact), &exact),
    ]
}

fn draw(found: &[Found], png: &Path) -> ebm::Result<()> {
    let percent = |f: &Found| format!("{}: {:.0} ± {:.0} % crosses", f.name, 100.0 * f.share, 100.0 * f.error);
    let captions: Vec<String> = found.iter().map(percent).collect();
    let panels: Vec<&Tensor> = found.iter().map(|f| &f.panel).collect();
    let large = Tensor::stack(&panels, 0);
    let large = large
        .repeat_interleave_self_int(3, 2, None)
        .repeat_interleave_self_int(3, 3, None);
    report::sheet(&large, &captions, found.len(), png)
}

/// `cargo run --release --example tempering [PICTURE.png]`
fn main() -> ebm::Result<()> {
    let found = compare(200, 1000);
    println!("share of crosses; {CROSSES} is right");
    for f in &found {
        println!("{:>12}  {:.3} ± {:.3}", f.name, f.share, f.error);
    }
    let png = std::env::args().nth(1).unwrap_or_else(|| "tempering.png".into());
    draw(&found, Path::new(&png))
}
