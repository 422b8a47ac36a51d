//! What kernels that go through several temperatures share: the energy at one of them, chains there,
//! and a ladder of them.

use tch::{Device, Kind, Tensor};

use super::kernel::{ChainState, Kernel, Needs, StepInfo};
use super::kernels::KernelConfig;
use super::metropolis::level;
use crate::config::Checker;
use crate::energy::{Energy, EnergyGrad, Identity};
use crate::error::Result;
use crate::rng::Stream;

/// E(x) / heat, with a heat that lies on the device, `[]`: what a kernel moves by on a hotter rung.
pub(super) struct Heated<'a> {
    pub energy: &'a dyn Energy,
    pub heat: Tensor,
}

impl Energy for Heated<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.energy.energy(x) / &self.heat
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let found = self.energy.direct(x)?;
        Some(EnergyGrad {
            energy: found.energy / &self.heat,
            grad: found.grad / &self.heat,
        })
    }

    fn draws(&self) -> bool {
        self.energy.draws()
    }

    fn changes(&self) -> bool {
        self.energy.changes()
    }

    fn identity(&self) -> Option<Identity> {
        let mut identity = self.energy.identity()?;
        identity.words = format!("({}) / heat", identity.words);
        identity.reads.push(self.heat.shallow_clone());
        Some(identity)
    }
}

/// What a warm-up has found for chains at heat 1.
#[derive(Default)]
pub(super) struct Found {
    step_size: Option<Tensor>,
    scale: Option<Tensor>,
}

impl Found {
    /// Of chains on the lowest rung.
    pub fn on(state: &ChainState) -> Self {
        let share = |t: &Option<Tensor>| t.as_ref().map(Tensor::shallow_clone);
        Self {
            step_size: share(&state.step_size),
            scale: share(&state.scale),
        }
    }
}

/// Chains at one heat. What a state carries from step to step is of E itself, whatever the heat, so
/// that it holds where the heat changes or states are swapped.
pub(super) struct Rung<'a> {
    pub energy: &'a dyn Energy,
    pub heat: Tensor,
}

impl Rung<'_> {
    /// Chains of the kernel at `x`.
    pub fn start(&self, kernel: &dyn Kernel, x: &Tensor, rng: &mut Stream) -> ChainState {
        let mut state = kernel.start(&self.heated(), x, rng);
        Self::multiply(&mut state, &self.heat);
        state
    }

    /// A step of the kernel here. Lengths grow by the root of the heat, as a Gaussian's width does,
    /// for kernels that read [`ChainState::scale`]; what a warm-up has found at heat 1 holds too.
    pub fn step(
        &self,
        kernel: &dyn Kernel,
        mut state: ChainState,
        found: &Found,
        rng: &mut Stream,
    ) -> (ChainState, StepInfo) {
        let root = self.heat.sqrt();
        state.scale = Some(match &found.scale {
            Some(scale) => scale * root,
            None => root.view(&vec![1; state.x.dim()][..]),
        });
        state.step_size = found.step_size.as_ref().map(Tensor::shallow_clone);
        if self.energy.changes() {
            (state.energy, state.grad) = (None, None);
        }
        Self::multiply(&mut state, &self.heat.reciprocal());
        let (mut state, mut info) = kernel.step(&self.heated(), state, rng);
        Self::multiply(&mut state, &self.heat);
        info.energy = info.energy.map(|energy| energy * &self.heat);
        (state, info)
    }

    /// Multiplies the energies and gradients that chains carry.
    fn multiply(state: &mut ChainState, by: &Tensor) {
        for carried in [&mut state.energy, &mut state.grad] {
            *carried = carried.take().map(|t| t * by);
        }
    }

    /// E of the states, `[B]`.
    pub fn level(&self, state: &ChainState, rng: &mut Stream) -> Tensor {
        match &state.energy {
            Some(energy) => energy.shallow_clone(),
            None => level(self.energy, &state.x, rng),
        }
    }

    fn heated(&self) -> Heated<'_> {
        Heated {
            energy: self.energy,
            heat: self.heat.shallow_clone(),
        }
    }
}

/// The rungs of a ladder `[R]`.
pub(super) fn rungs<'a>(energy: &'a dyn Energy, ladder: &Tensor) -> Vec<Rung<'a>> {
    let heats = (0..ladder.size()[0]).map(|i| ladder.select(0, i));
    heats.map(|heat| Rung { energy, heat }).collect()
}

/// The ladder 1, `hotter[0]`, ..., `[R]`, f32.
pub(super) fn ladder(hotter: &[f64], device: Device) -> Tensor {
    let all: Vec<f64> = std::iter::once(1.0).chain(hotter.iter().copied()).collect();
    Tensor::from_slice(&all).to_kind(Kind::Float).to_device(device)
}

/// Checks the key `temperatures`: rungs above 1, each hotter than the one before.
pub(super) fn check_ladder(c: &Checker, hotter: &[f64]) -> Result<()> {
    let rises = hotter
        .iter()
        .zip(std::iter::once(&1.0).chain(hotter))
        .all(|(t, before)| t > before);
    c.ensure(
        rises && !hotter.is_empty() && hotter.iter().all(|t| t.is_finite()),
        "temperatures",
        format!("{hotter:?}"),
        "at least one number above 1, each above the one before, such as [2, 4, 8]",
    )
}

/// Checks the key `kernel` of a kernel that runs it at several temperatures.
pub(super) fn check_inner(c: &Checker, kernel: &KernelConfig) -> Result<()> {
    kernel.check(&c.at("kernel"))?;
    let inner = kernel.build(1);
    let what = if inner.facts().needs == Needs::Stages {
        "moves through the first layer of a network, which has no temperature"
    } else if inner.facts().needs == Needs::Levels {
        "goes through levels of noise"
    } else if inner.has_temperatures() {
        "goes through temperatures itself"
    } else {
        return Ok(());
    };
    c.conflict(
        &format!("kernel.{}", kernel.word()),
        what,
        "choose another kernel inside",
    )
}
