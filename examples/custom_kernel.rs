// A kernel of one's own: a random walk whose proposals are long now and then, so that chains cross from one mode to
// another. It runs wherever the library's own kernels do.
use ebm::energy::Energy;
use ebm::rng::Stream;
use ebm::sampling::{ChainState, Facts, Kernel, Needs, StepInfo, run_chain};
use ebm::space::{each, sum_each};
use tch::{Device, Kind, Tensor};

/// Proposals x + s z, where s is `short` for nine chains in ten and `long` for the others.
#[derive(Debug)]
struct TwoScales {
    short: f64,
    long: f64,
}

impl Kernel for TwoScales {
    fn facts(&self) -> Facts {
        Facts::exact(1.0, Needs::Energies)
    }

    fn words(&self) -> String {
        format!("a random walk of two scales, {} and {}", self.short, self.long)
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let _guard = tch::no_grad_guard();
        let (size, device) = (s.x.size(), s.x.device());
        let rare = rng.uniform(&size[..1], 0.0, 1.0, device).lt(0.1).to_kind(Kind::Float);
        let scale = rare * (self.long - self.short) + self.short;
        let proposal = &s.x + rng.normal(&size, device) * each(&scale, &s.x);
        // The proposal is as likely one way as the other, so energies alone decide.
        let probability = (energy.energy(&s.x) - energy.energy(&proposal)).clamp_max(0.0).exp();
        let taken = rng.uniform(&size[..1], 0.0, 1.0, device).less_tensor(&probability);
        s.x = proposal.where_self(&each(&taken, &proposal), &s.x);
        s.step += 1;
        let info = StepInfo {
            accept_prob: Some(probability),
            ..StepInfo::default()
        };
        (s, info)
    }
}

/// Two narrow modes at -4 and 4, the right one twice as likely.
struct Modes;

impl Energy for Modes {
    fn energy(&self, x: &Tensor) -> Tensor {
        let left = sum_each(&(x + 4.0).square()) * -2.0;
        let right = sum_each(&(x - 4.0).square()) * -2.0 + 2f64.ln();
        left.logaddexp(&right).neg()
    }
}

/// The share of chains that end in the right mode, all of which start in the left one.
fn right(kernel: &dyn Kernel, chains: i64, steps: usize) -> f64 {
    let start = Tensor::full([chains, 1], -4.0, (Kind::Float, Device::Cpu));
    let end = run_chain(kernel, &Modes, start, steps, &mut Stream::new(0, "example")).x;
    end.gt(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

fn main() {
    let kernel = TwoScales { short: 0.5, long: 6.0 };
    println!(
        "{}: {:.3} of the chains in the right mode, 0.667 are due",
        kernel.words(),
        right(&kernel, 1000, 500)
    );
}
