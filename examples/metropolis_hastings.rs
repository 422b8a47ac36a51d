// Metropolis-Hastings for one number, the standard deviation of a Gaussian of which 1,000 points
// were observed. Its states are looked at in two ways: every one, as often as the chain stays
// there, and only proposals that were accepted. The first are draws from the posterior. The second
// are not: see docs/src/guides/metropolis.md.
use std::path::{Path, PathBuf};

use ebm::energy::Energy;
use ebm::report;
use ebm::rng::Stream;
use ebm::sampling::diagnostics::{Diagnostics, Traces, mcse_mean};
use ebm::sampling::kernels::RandomWalk;
use ebm::sampling::{ChainState, StepInfo, Watch, run_chain_watched};
use tch::{Device, Kind, Tensor};

/// The standard deviation of a proposal.
const STEP: f64 = 1.0;
/// The share of draws at the beginning that is left out.
const WARM_UP: f64 = 0.25;

/// Minus the log posterior of sigma, up to a constant, under a flat prior on sigma > 0: of n points
/// whose mean is taken for known and whose deviation about it is s, n log(sigma / s) + n ((s /
/// sigma)^2 - 1) / 2.
struct Deviation {
    n: f64,
    s: f64,
}

impl Energy for Deviation {
    fn energy(&self, sigma: &Tensor) -> Tensor {
        let ratio = sigma.view([-1]) / self.s;
        let inside = ratio.log() * self.n + (ratio.square().reciprocal() - 1.0) * (self.n / 2.0);
        // A deviation of 0 or less has no probability.
        inside.where_self(&ratio.gt(0.0), &Tensor::from(f32::INFINITY))
    }
}

impl Deviation {
    /// Of so many of 30,000 points of N(10, 3^2), drawn without replacement.
    fn observed(n: i64, rng: &mut Stream) -> Self {
        let all = rng.normal(&[30_000], Device::Cpu) * 3.0 + 10.0;
        let which = rng.permutation(30_000, Device::Cpu).narrow(0, 0, n);
        let found = all.index_select(0, &which).to_kind(Kind::Double);
        Self {
            n: n as f64,
            s: found.std(false).double_value(&[]),
        }
    }
}

/// A density of one number on an even grid.
struct Law {
    at: Tensor,
    /// The masses of cells.
    shares: Tensor,
}

impl Law {
    /// The posterior, by quadrature within 8 of its deviations.
    fn posterior(of: &Deviation) -> Self {
        let reach = 8.0 / (2.0 * of.n).sqrt();
        let at = Tensor::linspace(1.0 - reach, 1.0 + reach, 1601, (Kind::Double, Device::Cpu)) * of.s;
        let shares = of.energy(&at).neg().softmax(0, Kind::Double);
        Self { at, shares }
    }

    /// Where a chain on this density accepts: in proportion to the density and to the probability
    /// that a proposal from there is taken.
    fn of_moves(&self) -> Self {
        let apart = (self.at.unsqueeze(0) - self.at.unsqueeze(1)) / STEP;
        let proposal = (apart.square() * -0.5).exp();
        let taken = self.shares.unsqueeze(0).minimum(&self.shares.unsqueeze(1)) * proposal;
        let moves = taken.sum_dim_intlist(1, false, Kind::Double);
        Self {
            at: self.at.shallow_clone(),
            shares: &moves / moves.sum(Kind::Double),
        }
    }

    /// Its mean and its standard deviation.
    fn moments(&self) -> [f64; 2] {
        let mean = self.at.dot(&self.shares);
        let variance = (&self.at - &mean).square().dot(&self.shares);
        [mean, variance.sqrt()].map(|t| t.double_value(&[]))
    }

    /// Its quantiles at even shares, which stand for draws.
    fn quantiles(&self, count: i64) -> Vec<f64> {
        let even = (Tensor::arange(count, (Kind::Double, Device::Cpu)) + 0.5) / count as f64;
        let up_to = self.shares.cumsum(0, Kind::Double);
        let cells = even.searchsorted(&up_to, false, false, "left", None::<&Tensor>);
        numbers(&self.at.index_select(0, &cells.clamp_max(self.at.size()[0] - 1)))
    }
}

fn numbers(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t).expect("a row of f64")
}

/// Keeps the states of a chain, and those of them that were accepted proposals.
struct Recorder {
    all: Traces,
    every: Vec<f64>,
    accepted: Vec<f64>,
    last: f64,
}

impl Watch for Recorder {
    fn started(&mut self, state: &mut ChainState) {
        self.last = state.x.double_value(&[0, 0]);
    }

    fn seen(&mut self, _: usize, state: &mut ChainState, info: &StepInfo) {
        self.all.record(&state.x, info);
        let now = state.x.double_value(&[0, 0]);
        // A proposal lies elsewhere than where the chain stands, so that a move is an acceptance.
        if now != self.last {
            self.accepted.push(now);
        }
        self.every.push(now);
        self.last = now;
    }
}

/// What is left of draws without the first of them.
fn settled(draws: &[f64]) -> &[f64] {
    &draws[(draws.len() as f64 * WARM_UP) as usize..]
}

/// A mean or a deviation, and its Monte Carlo standard error.
type Estimate = (f64, f64);

/// The mean and the standard deviation of draws.
fn estimates(draws: &[f64]) -> [Estimate; 2] {
    let trace = Tensor::from_slice(draws).unsqueeze(1);
    let error = |t: &Tensor| mcse_mean(t).expect("a chain that moves");
    let mean = trace.mean(Kind::Double).double_value(&[]);
    let squares = (&trace - mean).square();
    let std = squares.mean(Kind::Double).double_value(&[]).sqrt();
    // To first order the error of a root is that of the square over twice the root.
    [(mean, error(&trace)), (std, error(&squares) / (2.0 * std))]
}

/// What a chain and quadrature say of the posterior.
struct Found {
    posterior: Law,
    moves: Law,
    every: Vec<f64>,
    accepted: Vec<f64>,
    diagnostics: Diagnostics,
}

/// One chain of so many iterations from sigma = 1.
fn sample(iterations: usize, seed: u64) -> Found {
    let mut rng = Stream::new(seed, "metropolis-hastings");
    let target = Deviation::observed(1000, &mut rng);
    let posterior = Law::posterior(&target);
    let kernel = RandomWalk {
        step_size: STEP,
        temperature: 1.0,
    };
    let warm_up = (iterations as f64 * WARM_UP) as usize;
    let mut seen = Recorder {
        all: Traces::new(iterations, warm_up, &[1, 1], Device::Cpu, &mut rng),
        every: Vec::new(),
        accepted: Vec::new(),
        last: 0.0,
    };
    let start = Tensor::ones([1, 1], (Kind::Float, Device::Cpu));
    run_chain_watched(&kernel, &target, start, iterations, &mut rng, &mut seen);
    Found {
        moves: posterior.of_moves(),
        posterior,
        every: settled(&seen.every).to_vec(),
        accepted: settled(&seen.accepted).to_vec(),
        diagnostics: seen.all.finish(),
    }
}

impl Found {
    fn print(&self) {
        let law = |name: &str, [mean, std]: [f64; 2]| println!("{name:<34} mean {mean:.4}           std {std:.4}");
        let draws = |name: &str, [mean, std]: [Estimate; 2]| {
            let (m, m_error, s, s_error) = (mean.0, mean.1, std.0, std.1);
            println!("{name:<34} mean {m:.4} +- {m_error:.4} std {s:.4} +- {s_error:.4}");
        };
        law("posterior, by quadrature", self.posterior.moments());
        draws("every state", estimates(&self.every));
        law("accepted proposals, by quadrature", self.moves.moments());
        draws("accepted proposals alone", estimates(&self.accepted));
        print!("{}", self.diagnostics);
    }

    /// Draws the posterior with both sets of draws over it.
    fn draw(&self, png: &Path) -> ebm::Result<()> {
        let sets = [
            ("posterior (quadrature)", self.posterior.quantiles(40_000)),
            ("every state", self.every.clone()),
            ("accepted proposals alone", self.accepted.clone()),
        ];
        let sets = sets.map(|(name, draws)| (name.to_owned(), draws));
        report::histogram(&sets, "Draws of a standard deviation", "sigma", png)
    }
}

/// `cargo run --release --example metropolis_hastings -- DRAWS.png TRACES.png`
fn main() -> ebm::Result<()> {
    let mut paths = std::env::args().skip(1).map(PathBuf::from);
    let found = sample(50_000, 0);
    found.print();
    if let Some(png) = paths.next() {
        found.draw(&png)?;
    }
    match paths.next() {
        Some(png) => found.diagnostics.draw("One chain of random-walk Metropolis", &png),
        None => Ok(()),
    }
}
