// An energy of one's own: a ring in the plane. Hamiltonian Monte Carlo draws from it, and a recorder of chains says how
// well they have mixed.
use ebm::energy::Energy;
use ebm::rng::Stream;
use ebm::sampling::diagnostics::{Diagnostics, Traces};
use ebm::sampling::kernels::Hmc;
use ebm::sampling::{ChainState, StepInfo, Watch, run_chain_watched};
use ebm::space::norms;
use tch::{Device, Tensor};

/// Points at a distance of about 3 from the origin, give or take 0.3.
struct Ring;

impl Energy for Ring {
    fn energy(&self, x: &Tensor) -> Tensor {
        (norms(x) - 3.0).square() / (2.0 * 0.3 * 0.3)
    }
}

/// Hands each step of the chains to a recorder, which stays on their device.
struct Recorder(Traces);

impl Watch for Recorder {
    fn seen(&mut self, _: usize, state: &mut ChainState, info: &StepInfo) {
        self.0.record(&state.x, info);
    }
}

/// Draws from the ring by chains of `steps`, half of which are left out of the figures.
fn draw(chains: i64, steps: usize) -> Diagnostics {
    let mut rng = Stream::new(0, "example");
    let start = rng.normal(&[chains, 2], Device::Cpu);
    let kernel = Hmc {
        step_size: 0.15,
        leapfrog_steps: 20,
        temperature: 1.0,
        mass: None,
        jitter: 0.2,
    };
    let mut recorder = Recorder(Traces::new(steps, steps / 2, &start.size(), Device::Cpu, &mut rng));
    run_chain_watched(&kernel, &Ring, start, steps, &mut rng, &mut recorder);
    recorder.0.finish()
}

fn main() {
    print!("{}", draw(64, 400));
}
