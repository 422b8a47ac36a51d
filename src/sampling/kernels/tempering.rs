//! Parallel tempering.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{KernelConfig, KernelSpec, Mala};
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, StepInfo};
use crate::sampling::metropolis::{choose, test};
use crate::sampling::rungs::{Found, Rung, check_inner, check_ladder, ladder, rungs};
use crate::space::Space;

/// Each chain has replicas at higher temperatures, moved by the same kernel; after each step
/// neighbours swap states with probability min(1, exp((1/T_a - 1/T_b)(E_a - E_b))) (Geyer 1991;
/// Hukushima & Nemoto 1996).
///
/// Where the kernel inside is exact, chain and replicas together keep their densities exactly. Replicas
/// start as copies of their chain, so the first steps of a chain are not exact: chains are to be long.
/// In training with `start: persistent` the buffer keeps the replicas of each of its chains, so that
/// they go on as the chain does and steps of training may be short (Desjardins et al. 2010); with
/// another start they start anew at every step of training. A step costs one of the kernel inside for
/// the chain and for each replica. Hot replicas cross between modes, and swaps hand down what they
/// find: the hottest rung is to cross freely, and neighbours to swap in a fifth to a half of the
/// steps. A warm-up with `swaps` finds such a ladder. Where the kernel inside has a step size that a
/// warm-up can find, its lengths grow by the root of the temperature.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tempering {
    /// The kernel that moves chain and replicas.
    pub kernel: Box<KernelConfig>,
    /// The temperatures of the replicas, as multiples of that of the kernel: above 1, rising.
    pub temperatures: Vec<f64>,
}

impl KernelSpec for Tempering {
    fn check(&self, c: &Checker) -> Result<()> {
        check_ladder(c, &self.temperatures)?;
        check_inner(c, &self.kernel)
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        Box::new(Replicas {
            kernel: self.kernel.build(n_steps),
            temperatures: self.temperatures.clone(),
        })
    }

    fn example() -> Self {
        Self {
            kernel: Box::new(KernelConfig::Mala(Mala::example())),
            temperatures: vec![2.0, 4.0],
        }
    }
}

/// The kernel of a [`Tempering`].
#[derive(Debug)]
struct Replicas {
    kernel: Box<dyn Kernel>,
    temperatures: Vec<f64>,
}

impl Replicas {
    /// Offers a swap to the chains of two rungs, and returns its mean probability, `[]`.
    fn swap(&self, a: &Rung, b: &Rung, states: (&mut ChainState, &mut ChainState), rng: &mut Stream) -> Tensor {
        let (at_a, at_b) = states;
        let (level_a, level_b) = (a.level(at_a, rng), b.level(at_b, rng));
        let colder = (a.heat.reciprocal() - b.heat.reciprocal()) / self.kernel.facts().temperature;
        let (taken, probability) = test(&((&level_a - &level_b) * colder), rng);
        let x = choose(&taken, &at_b.x, &at_a.x);
        at_b.x = choose(&taken, &at_a.x, &at_b.x);
        at_a.x = x;
        if at_a.energy.is_some() {
            at_a.energy = Some(choose(&taken, &level_b, &level_a));
            at_b.energy = Some(choose(&taken, &level_a, &level_b));
        }
        if let (Some(grad_a), Some(grad_b)) = (at_a.grad.take(), at_b.grad.take()) {
            at_a.grad = Some(choose(&taken, &grad_b, &grad_a));
            at_b.grad = Some(choose(&taken, &grad_a, &grad_b));
        }
        probability.mean(Kind::Float)
    }

    /// Offers swaps to neighbours, first from rung 0, then from rung 1 on; returns the mean
    /// probability of each pair, `[R - 1]`.
    fn swaps(&self, rungs: &[Rung], states: &mut [ChainState], rng: &mut Stream) -> Tensor {
        let mut told: Vec<Option<Tensor>> = rungs.iter().skip(1).map(|_| None).collect();
        for first in 0..2 {
            for i in (first..told.len()).step_by(2) {
                let (low, high) = states.split_at_mut(i + 1);
                let pair = (&mut low[i], &mut high[0]);
                told[i] = Some(self.swap(&rungs[i], &rungs[i + 1], pair, rng));
            }
        }
        let told: Vec<Tensor> = told.into_iter().flatten().collect();
        Tensor::stack(&told, 0)
    }
}

impl Kernel for Replicas {
    fn facts(&self) -> Facts {
        Facts {
            random: true,
            compares: true,
            ..self.kernel.facts()
        }
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        self.kernel.fits(space)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        let copies: Vec<Tensor> = self.temperatures.iter().map(|_| x.shallow_clone()).collect();
        self.start_with(energy, x, &copies, rng)
    }

    fn replicas(&self) -> usize {
        self.temperatures.len()
    }

    fn start_with(&self, energy: &dyn Energy, x: &Tensor, replicas: &[Tensor], rng: &mut Stream) -> ChainState {
        assert_eq!(replicas.len(), self.replicas(), "a replica at each temperature");
        let ladder = ladder(&self.temperatures, x.device());
        let mut state = self.kernel.start(energy, x, rng);
        let hotter = rungs(energy, &ladder).into_iter().skip(1).zip(replicas);
        let hotter = hotter.map(|(rung, x)| rung.start(&*self.kernel, x, rng));
        state.replicas = hotter.collect();
        state.ladder = Some(ladder);
        state
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let ladder = s.ladder.take().expect("chains start with a ladder");
        let replicas = std::mem::take(&mut s.replicas);
        let rungs = rungs(energy, &ladder);
        let found = Found::on(&s);
        let (cold, mut info) = self.kernel.step(energy, s, rng);
        let mut states = vec![cold];
        for (replica, rung) in replicas.into_iter().zip(&rungs[1..]) {
            let (moved, told) = rung.step(&*self.kernel, replica, &found, rng);
            if let (Some(all), Some(more)) = (&mut info.gradients, told.gradients) {
                *all += more;
            }
            states.push(moved);
        }
        info.swap_prob = Some(self.swaps(&rungs, &mut states, rng));
        let replicas = states.split_off(1);
        let mut s = states.remove(0);
        if info.energy.is_some() {
            info.energy = Some(rungs[0].level(&s, rng));
        }
        (s.ladder, s.replicas) = (Some(ladder), replicas);
        (s, info)
    }

    fn words(&self) -> String {
        format!(
            "parallel tempering at {:?} of {}",
            self.temperatures,
            self.kernel.words()
        )
    }

    fn step_size(&self) -> Option<f64> {
        self.kernel.step_size()
    }

    fn has_masses(&self) -> bool {
        self.kernel.has_masses()
    }

    fn has_temperatures(&self) -> bool {
        true
    }

    fn ladder(&self) -> Option<&[f64]> {
        Some(&self.temperatures)
    }

    fn without_noise(&self) -> Option<Box<dyn Kernel>> {
        self.kernel.without_noise()
    }
}
