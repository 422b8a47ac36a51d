//! Simulated annealing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{KernelConfig, KernelSpec, Mala};
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, StepInfo};
use crate::sampling::rungs::{Found, Rung, check_inner};
use crate::space::Space;

/// The temperature of the kernel inside falls along the chain, from `from` to `to` times its own, each
/// step by the same factor (Kirkpatrick et al. 1983).
///
/// With a `to` near 0 chains end in low minima: it searches the least energy, and draws from no
/// distribution. With a `to` of 1 a chain begins hot and ends at the kernel's own temperature. The
/// fall takes the whole chain, however long it is.
///
/// A kernel whose step size a warm-up can find moves by lengths that fall with the root of the
/// temperature. Another, such as `langevin`, keeps its step size, and is stable only while step_size
/// times the largest curvature of E, over the factor of the temperature, stays below 2.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annealing {
    /// The kernel that moves chains.
    pub kernel: Box<KernelConfig>,
    /// The factor of the temperature at the first step.
    pub from: f64,
    /// The factor at the last step, at most `from`.
    pub to: f64,
}

impl KernelSpec for Annealing {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("from", self.from)?;
        c.positive("to", self.to)?;
        c.ensure(self.to <= self.from, "to", self.to, "a number at most `from`")?;
        check_inner(c, &self.kernel)
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        Box::new(Annealed {
            kernel: self.kernel.build(n_steps),
            from: self.from,
            to: self.to,
            n_steps,
        })
    }

    fn example() -> Self {
        Self {
            kernel: Box::new(KernelConfig::Mala(Mala::example())),
            from: 5.0,
            to: 0.05,
        }
    }
}

/// The kernel of an [`Annealing`] over so many steps.
#[derive(Debug)]
struct Annealed {
    kernel: Box<dyn Kernel>,
    from: f64,
    to: f64,
    n_steps: usize,
}

impl Annealed {
    /// The factor of the temperature at step `k` (from 0).
    fn heat(&self, k: usize) -> f64 {
        let last = self.n_steps.saturating_sub(1);
        let way = match last {
            0 => 1.0,
            last => k.min(last) as f64 / last as f64,
        };
        self.from * (self.to / self.from).powf(way)
    }

    fn rung<'a>(&self, energy: &'a dyn Energy, k: usize, x: &Tensor) -> Rung<'a> {
        let heat = Tensor::full([0i64; 0], self.heat(k), (Kind::Float, x.device()));
        Rung { energy, heat }
    }
}

impl Kernel for Annealed {
    fn facts(&self) -> Facts {
        // The density that a run's energies are of is that of the kernel inside.
        Facts {
            exact: false,
            ..self.kernel.facts()
        }
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        self.kernel.fits(space)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        self.rung(energy, 0, x).start(&*self.kernel, x, rng)
    }

    fn step(&self, energy: &dyn Energy, s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let rung = self.rung(energy, s.step, &s.x);
        let (s, mut info) = rung.step(&*self.kernel, s, &Found::default(), rng);
        // What is accepted at a temperature that falls is no acceptance of a target.
        info.accept_prob = None;
        (s, info)
    }

    fn words(&self) -> String {
        format!(
            "annealing from {} to {} times the temperature of {}",
            self.from,
            self.to,
            self.kernel.words()
        )
    }

    fn without_noise(&self) -> Option<Box<dyn Kernel>> {
        self.kernel.without_noise()
    }

    fn has_temperatures(&self) -> bool {
        true
    }
}
