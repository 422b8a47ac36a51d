//! A mixture of Gaussians with full covariances, fitted to training states by expectation-maximisation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad_guard};

use super::normal::{Normal, rows, starts};
use crate::config::Checker;
use crate::data::Images;
use crate::energy::draw_classes;
use crate::error::{Error, Result};
use crate::memory::available;
use crate::models::Density;
use crate::rng::Stream;

/// q(x) = sum_k pi_k N(x; mu_k, Sigma_k + jitter I), fitted before the first step by
/// expectation-maximisation (Dempster et al. 1977) from greedy k-means++ seeds (Arthur & Vassilvitskii 2007).
///
/// The fit depends on the training states alone, not on the seed, so that a run that is resumed finds
/// it again. A pass takes about N K D^2 multiplications in double precision, and the fit 24 K D^2 bytes.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureNoise {
    /// How many Gaussians; at most as many as training states.
    pub components: usize,
    /// Added to the variance of each number in each component: all that is left of one that has
    /// collapsed.
    #[serde(default = "jitter")]
    pub jitter: f64,
    /// The most passes of expectation-maximisation. They end earlier where the mean log-likelihood
    /// grows by less than 1e-5 for each number of a state.
    #[serde(default = "iterations")]
    pub iterations: u64,
}

fn jitter() -> f64 {
    1e-3
}

fn iterations() -> u64 {
    100
}

/// Growth of the mean log-likelihood, for each number of a state, below which the fit has converged.
const LEAST_GROWTH: f64 = 1e-5;

/// Responsibilities below this are left out: almost all are in many dimensions.
const LEAST_SHARE: f64 = 1e-12;

/// What a component without states is taken to have, so that nothing is divided by 0.
const LEAST_COUNT: f64 = 1e-9;

impl MixtureNoise {
    /// Checks its numbers; `c` stands at the section.
    pub(super) fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("components", self.components as u64)?;
        c.positive("jitter", self.jitter)?;
        c.at_least_one("iterations", self.iterations)
    }

    /// Refuses more components than states, and covariances that memory does not hold.
    fn ensure_fits(&self, train: &Images) -> Result<()> {
        let key = "objective.nce.noise.mixture.components";
        let (n, k) = (train.len(), self.components as u128);
        if k > n as u128 {
            return Err(Error::input(
                key,
                format!("{k} components cannot be fitted to {n} training states"),
                "give fewer components, or use more of the data (data.limit)",
            ));
        }
        let d = train.shape().iter().product::<i64>() as u128;
        let (bytes, free) = (24 * k * d * d, u128::from(available()));
        if train.device() == Device::Cpu && bytes > free {
            return Err(Error::input(
                key,
                format!(
                    "{k} covariances of {d} x {d} numbers take {} MiB to fit, {} are free",
                    bytes >> 20,
                    free >> 20
                ),
                "give fewer components, or noise: {data: {jitter: 1.0e-3}}",
            ));
        }
        Ok(())
    }
}

/// A mixture that was fitted.
#[derive(Debug)]
pub struct FittedMixture {
    /// `[K]`, normalised.
    log_weights: Tensor,
    normals: Vec<Normal>,
}

impl FittedMixture {
    /// Fits a mixture to training states; sums are in double precision, over batches of states.
    ///
    /// Passes never make the states less likely: one that would, by what the jitter costs, is the
    /// last and is not taken.
    ///
    /// # Errors
    /// Fewer states than components, covariances that memory does not hold, and a jitter too small
    /// for them to be positive definite.
    pub fn fit(train: &Images, config: &MixtureNoise) -> Result<Self> {
        let _guard = no_grad_guard();
        config.ensure_fits(train)?;
        let least = LEAST_GROWTH * train.shape().iter().product::<i64>() as f64;
        let seeds = seeds(train, config.components);
        let mut best = Sums::of(train, seeds.shallow_clone(), |x| nearest(x, &seeds)).mixture(config.jitter)?;
        let (mut sums, mut likelihood) = best.expectation(train);
        for _ in 0..config.iterations {
            let next = sums.mixture(config.jitter)?;
            let (of_next, found) = next.expectation(train);
            let growth = found - likelihood;
            if growth.is_nan() || growth < 0.0 {
                break;
            }
            (best, sums, likelihood) = (next, of_next, found);
            if growth < least {
                break;
            }
        }
        Ok(Self {
            log_weights: best.log_weights.to_kind(Kind::Float),
            normals: best.normals.iter().map(|normal| normal.to_kind(Kind::Float)).collect(),
        })
    }

    /// The means of the components, `[K,D]`.
    fn means(&self) -> Tensor {
        let means: Vec<&Tensor> = self.normals.iter().map(|normal| &normal.mean).collect();
        Tensor::stack(&means, 0)
    }

    /// log pi_k + log N(x; k) of states `[B,..]`, `[B,K]`.
    fn joint(&self, x: &Tensor) -> Tensor {
        let each: Vec<Tensor> = self.normals.iter().map(|normal| normal.log(x)).collect();
        Tensor::stack(&each, 1) + &self.log_weights
    }

    /// The moments of each component's share of the states, and their mean log-likelihood.
    fn expectation(&self, train: &Images) -> (Sums, f64) {
        let mut likelihood = Tensor::zeros([0i64; 0], (Kind::Double, train.device()));
        let sums = Sums::of(train, self.means(), |x| {
            let joint = self.joint(x);
            let log = joint.logsumexp(1, true);
            likelihood += log.sum(Kind::Double);
            (joint - log).exp()
        });
        (sums, likelihood.double_value(&[]) / train.len() as f64)
    }
}

impl Density for FittedMixture {
    fn log(&self, x: &Tensor) -> Tensor {
        self.joint(x).logsumexp(1, false)
    }

    fn draw(&self, size: &[i64], device: Device, rng: &mut Stream) -> Tensor {
        let z = rng.normal(size, device).flatten(1, -1);
        let gumbel = rng.gumbel(&[size[0], self.normals.len() as i64], device);
        let of = draw_classes(&self.log_weights.unsqueeze(0).expand_as(&gumbel), &gumbel);
        let mut x = self.means().index_select(0, &of);
        // Every factor multiplies every row, most of them zeroed: which rows are whose, the host does not know.
        for (k, normal) in self.normals.iter().enumerate() {
            x += normal.spread(&(&z * of.eq(k as i64).unsqueeze(1)));
        }
        x.view(size)
    }
}

/// Moments of states around some centres, each state shared out to the components, f64.
struct Sums {
    /// `[K,D]`
    centres: Tensor,
    /// Shares of states, `[K]`.
    counts: Tensor,
    /// Of each component, x - centre, `[D]`.
    first: Vec<Tensor>,
    /// Of each component, (x - centre)(x - centre)', `[D,D]`.
    second: Vec<Tensor>,
}

impl Sums {
    /// Sums over all states; `shares` gives those of states `[B,D]`, `[B,K]`.
    fn of(train: &Images, centres: Tensor, mut shares: impl FnMut(&Tensor) -> Tensor) -> Self {
        let (k, d) = (centres.size()[0], centres.size()[1]);
        let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Double, train.device()));
        let mut sums = Self {
            centres,
            counts: zeros(&[k]),
            first: (0..k).map(|_| zeros(&[d])).collect(),
            second: (0..k).map(|_| zeros(&[d, d])).collect(),
        };
        for from in starts(train) {
            let x = rows(train, from);
            let shares = shares(&x);
            let shares = &shares * shares.gt(LEAST_SHARE);
            sums.counts += shares.sum_dim_intlist(0, false, Kind::Double);
            for i in 0..k {
                sums.add(i, &x, &shares.select(1, i));
            }
        }
        sums
    }

    /// Adds the states of which a component has a share.
    fn add(&mut self, i: i64, x: &Tensor, share: &Tensor) {
        let at = share.nonzero().squeeze_dim(1);
        let centred = x.index_select(0, &at) - self.centres.select(0, i);
        let shared = &centred * share.index_select(0, &at).unsqueeze(1);
        self.first[i as usize] += shared.sum_dim_intlist(0, false, Kind::Double);
        let _ = self.second[i as usize].addmm_(&shared.tr(), &centred);
    }

    /// The mixture of most likelihood for these shares, but for the jitter; a component without
    /// states keeps its centre.
    fn mixture(&self, jitter: f64) -> Result<FittedMixture> {
        let counts = self.counts.clamp_min(LEAST_COUNT);
        let normal = |i: usize| {
            let count = counts.get(i as i64);
            let shift = &self.first[i] / &count;
            let covariance = &self.second[i] / &count - shift.outer(&shift);
            Normal::of(self.centres.get(i as i64) + shift, covariance, jitter)
        };
        let normals = (0..self.second.len()).map(normal).collect::<Option<Vec<_>>>();
        Ok(FittedMixture {
            log_weights: counts.log().log_softmax(0, Kind::Double),
            normals: normals.ok_or_else(|| {
                Error::input(
                    "objective.nce.noise.mixture.jitter",
                    format!("the covariance of a component is not positive definite with {jitter}"),
                    "give a larger one, or fewer components",
                )
            })?,
        })
    }
}

/// All of each state of `[B,D]` to the nearest of centres `[K,D]`, `[B,K]`.
fn nearest(x: &Tensor, centres: &Tensor) -> Tensor {
    let squares = |k: i64| (x - centres.get(k)).square().sum_dim_intlist(1, false, Kind::Double);
    let all: Vec<Tensor> = (0..centres.size()[0]).map(squares).collect();
    let of = Tensor::stack(&all, 1).argmin(1, false);
    of.one_hot(centres.size()[0]).to_kind(Kind::Double)
}

/// States far from each other, f64 `[K,D]`: each is the best of a few that are drawn by their squared
/// distance from those before.
fn seeds(train: &Images, k: usize) -> Tensor {
    let rng = &mut Stream::new(0, "nce-mixture");
    let (n, device) = (train.len(), train.device());
    let tried = 2 + (k as f64).ln() as i64;
    let state = |at: i64| train.chunk(at, 1).flatten(1, -1).to_kind(Kind::Double);
    let first = state(rng.integers(n, 1, device).int64_value(&[0]));
    let mut far = distances(train, &first);
    let mut seeds = vec![first];
    while seeds.len() < k {
        // The largest of log d^2 and Gumbel numbers is a draw in proportion to d^2.
        let drawn = (far.log().to_kind(Kind::Float) + rng.gumbel(&[tried, n], device)).argmax(1, false);
        let of = |i: i64| {
            let seed = state(drawn.int64_value(&[i]));
            let far = far.minimum(&distances(train, &seed));
            (far.sum(Kind::Double).double_value(&[]), seed, far)
        };
        let best = (0..tried).map(of).min_by(|a, b| a.0.total_cmp(&b.0));
        let (_, seed, nearer) = best.expect("some are drawn");
        far = nearer;
        seeds.push(seed);
    }
    Tensor::cat(&seeds, 0)
}

/// Squared distances of all states from one, `[1,D]`, f64 `[N]`.
fn distances(train: &Images, from: &Tensor) -> Tensor {
    let batch = |at| {
        (rows(train, at) - from)
            .square()
            .sum_dim_intlist(1, false, Kind::Double)
    };
    Tensor::cat(&starts(train).map(batch).collect::<Vec<_>>(), 0)
}
