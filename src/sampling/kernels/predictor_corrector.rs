//! Predictor-corrector sampling down the levels of noise of an energy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::look;
use crate::space::norms;

/// A step of the reverse diffusion from one level of noise to the next, after steps of Langevin
/// dynamics at the level (Song et al. 2021), from much noise to none over the whole chain.
///
/// The corrector x <- x + e s + sqrt(2 e) z, where s is the score, takes e = 2 a (snr |z| / |s|)^2 with
/// the mean norms of the batch, so that noise and gradient keep their ratio; a is 1 of the process
/// `ve`, 1 - beta of `vp`. The last step ends without noise. It is for energies that take a level; a
/// run starts its chains at N(0, high^2) of `ve` (`init`), at N(0, 1) of `vp`.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorCorrector {
    /// How noise was added to the data.
    pub process: Process,
    /// The ratio of the corrector's gradient to its noise, r.
    #[serde(default = "ratio")]
    pub snr: f64,
    /// Langevin steps at each level; 0 leaves the predictor alone.
    #[serde(default = "once")]
    pub corrector_steps: usize,
}

/// A process that turns data into noise.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Process {
    /// Noise of growing variance is added: levels fall from `high` to `low` by a constant factor.
    Ve {
        /// The last level above none, in the units of states.
        low: f64,
        /// The first level.
        high: f64,
    },
    /// The data shrink as noise is added, and the variance stays: the rate beta(t) rises linearly
    /// over t from 0 to 1.
    Vp {
        /// beta(0)
        beta_min: f64,
        /// beta(1)
        beta_max: f64,
        /// The t of the last step, above 0.
        end: f64,
    },
}

fn ratio() -> f64 {
    0.16
}

fn once() -> usize {
    1
}

impl KernelSpec for PredictorCorrector {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("snr", self.snr)?;
        match self.process {
            Process::Ve { low, high } => {
                c.positive("process.ve.low", low)?;
                c.positive("process.ve.high", high)?;
                let expected = "a number below `high`, so that the levels fall";
                c.ensure(low < high, "process.ve.low", low, expected)
            }
            Process::Vp {
                beta_min,
                beta_max,
                end,
            } => {
                c.non_negative("process.vp.beta_min", beta_min)?;
                c.positive("process.vp.beta_max", beta_max)?;
                let expected = "a number above `beta_min`, so that the levels fall";
                c.ensure(beta_min < beta_max, "process.vp.beta_max", beta_max, expected)?;
                let inside = 0.0 < end && end < 1.0;
                c.ensure(inside, "process.vp.end", end, "a number above 0 and below 1")
            }
        }
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        Box::new(Reverse {
            config: self.clone(),
            n_steps: n_steps.max(1),
        })
    }

    fn example() -> Self {
        Self {
            process: Process::Ve { low: 0.2, high: 2.0 },
            snr: ratio(),
            corrector_steps: once(),
        }
    }
}

/// Where a step of the reverse process stands.
struct Place {
    /// The level sigma of the energy.
    sigma: f64,
    /// The state is `shrink` times data with noise of deviation sigma.
    shrink: f64,
    /// The mean of the predictor is `keep` x + `gain` s, its noise of deviation sqrt(gain).
    keep: f64,
    gain: f64,
    /// What multiplies the corrector's step.
    alpha: f64,
}

impl Process {
    /// The place of step `k` of `n` (from 0).
    fn place(&self, k: usize, n: usize) -> Place {
        let way = |k: usize| k as f64 / (n - 1).max(1) as f64;
        match *self {
            Self::Ve { low, high } => {
                let level = |k: usize| high * (low / high).powf(way(k));
                // A chain of one step goes from the first level to none.
                let (sigma, next) = (level(k), if k + 1 < n { level(k + 1) } else { 0.0 });
                Place {
                    sigma,
                    shrink: 1.0,
                    keep: 1.0,
                    gain: sigma * sigma - next * next,
                    alpha: 1.0,
                }
            }
            Self::Vp { end, .. } => {
                let t = 1.0 - (1.0 - end) * way(k);
                let beta = (self.beta(t) / n as f64).min(1.0);
                let shrink = (-0.5 * self.integral(t)).exp();
                Place {
                    sigma: self.level(t),
                    shrink,
                    keep: 2.0 - (1.0 - beta).sqrt(),
                    gain: beta,
                    alpha: 1.0 - beta,
                }
            }
        }
    }

    /// beta(t)
    fn beta(&self, t: f64) -> f64 {
        match *self {
            Self::Ve { .. } => 0.0,
            Self::Vp { beta_min, beta_max, .. } => beta_min + t * (beta_max - beta_min),
        }
    }

    /// The integral of beta from 0 to t.
    fn integral(&self, t: f64) -> f64 {
        0.5 * t * (self.beta(0.0) + self.beta(t))
    }

    /// The level of noise at t in units of the data, of `vp`.
    fn level(&self, t: f64) -> f64 {
        self.integral(t).exp_m1().sqrt()
    }

    /// The levels that a chain meets, the lowest first.
    fn levels(&self) -> [f64; 2] {
        match *self {
            Self::Ve { low, high } => [low, high],
            Self::Vp { end, .. } => [self.level(end), self.level(1.0)],
        }
    }
}

/// The kernel of a [`PredictorCorrector`] over so many steps.
#[derive(Debug)]
struct Reverse {
    config: PredictorCorrector,
    n_steps: usize,
}

impl Reverse {
    /// The score at x of the density of this place.
    fn score(&self, energy: &dyn Energy, place: &Place, x: &Tensor, rng: &mut Stream) -> Tensor {
        // The density of shrink y is that of y, whose noise is of level sigma.
        look(energy, &(x / place.shrink), rng).grad / -place.shrink
    }

    /// One Langevin step at this place.
    fn correct(&self, energy: &dyn Energy, place: &Place, x: &Tensor, rng: &mut Stream) -> Tensor {
        let score = self.score(energy, place, x, rng);
        let z = rng.normal(&x.size(), x.device());
        let mean = |t: &Tensor| norms(t).mean(Kind::Float);
        let step = (mean(&z) / mean(&score) * self.config.snr).square() * (2.0 * place.alpha);
        x + score * &step + z * (step * 2.0).sqrt()
    }
}

impl Kernel for Reverse {
    fn facts(&self) -> Facts {
        Facts {
            coupled: self.config.corrector_steps > 0,
            levels: Some(self.config.process.levels()),
            ..Facts::of(1.0, Needs::Levels)
        }
    }

    /// # Panics
    /// For an energy without [`at_level`](Energy::at_level).
    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        // A longer chain keeps the last level.
        let k = s.step.min(self.n_steps - 1);
        let place = self.config.process.place(k, self.n_steps);
        let sigma = Tensor::full([0i64; 0], place.sigma, (Kind::Float, s.x.device()));
        let energy = energy
            .at_level(&sigma)
            .expect("predictor and corrector are for energies of levels");
        for _ in 0..self.config.corrector_steps {
            s.x = self.correct(&*energy, &place, &s.x, rng);
        }
        let score = self.score(&*energy, &place, &s.x, rng);
        s.x = &s.x * place.keep + &score * place.gain;
        if k + 1 < self.n_steps {
            s.x = &s.x + rng.normal(&s.x.size(), s.x.device()) * place.gain.sqrt();
        }
        s.step += 1;
        let info = StepInfo {
            grad_norm: Some(norms(&score)),
            ..StepInfo::default()
        };
        (s, info)
    }

    fn words(&self) -> String {
        let [low, high] = self.config.process.levels();
        format!(
            "predictor and {} corrector steps over levels from {high:.4} to {low:.4}, snr {}",
            self.config.corrector_steps, self.config.snr
        )
    }

    fn has_temperatures(&self) -> bool {
        true
    }
}
