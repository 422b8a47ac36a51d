//! The trajectories of a batch of chains, which double in step with each other.

use tch::{Kind, Tensor};

use crate::energy::Energy;
use crate::rng::Stream;
use crate::sampling::dial::Dial;
use crate::sampling::hamiltonian::Phase;
use crate::sampling::metropolis::choose;
use crate::space::sum_each;

/// A state so many times less likely than the first, exp(-1000), ends a trajectory: it diverges.
const DIVERGED: f64 = -1000.0;

/// A trajectory of each chain: its ends, the state drawn from it so far, and sums over it.
pub(super) struct Tree {
    temperature: f64,
    first: Phase,
    /// The earliest and the latest point in time.
    ends: [Phase; 2],
    /// The state drawn from the trajectory.
    pub proposal: Phase,
    /// The logarithm of the sum of the states' weights exp(H(first) - H), `[B]`.
    log_weight: Tensor,
    /// The sum of the momenta.
    momenta: Tensor,
    /// Which chains go on, bool `[B]`.
    going: Tensor,
    /// The sum of min(1, exp(H(first) - H)) over the leaves beside the first, and their number, `[B]`.
    pub accepted: Tensor,
    pub leaves: Tensor,
}

/// What a doubling adds to each chain.
struct Half {
    /// Its far end.
    end: Phase,
    proposal: Phase,
    log_weight: Tensor,
    momenta: Tensor,
}

impl Tree {
    /// Trajectories of one state each.
    pub fn new(first: Phase, temperature: f64) -> Self {
        let zeros = first.at_x.energy.zeros_like();
        Self {
            temperature,
            ends: [first.shared(), first.shared()],
            proposal: first.shared(),
            momenta: first.momentum.shallow_clone(),
            going: zeros.ones_like().to_kind(Kind::Bool),
            log_weight: zeros.shallow_clone(),
            accepted: zeros.shallow_clone(),
            leaves: zeros,
            first,
        }
    }

    /// Doubles the trajectories that still go on, from 2^depth states each; says whether one goes on
    /// after it.
    pub fn double(&mut self, energy: &dyn Energy, stride: &Dial, depth: usize, rng: &mut Stream) -> bool {
        let [early, late] = &self.ends;
        let forwards = rng.uniform(&self.leaves.size(), 0.0, 1.0, self.leaves.device()).lt(0.5);
        let sign = forwards.to_kind(Kind::Float) * 2.0 - 1.0;
        let signed = stride.times_each(&sign, &self.first.x);
        let (half, whole) = self.half(energy, &signed, late.chosen(&forwards, early), depth, rng);
        let [early, late] = &self.ends;
        let late = half.end.chosen(&whole.logical_and(&forwards), late);
        let early = half.end.chosen(&whole.logical_and(&forwards.logical_not()), early);
        // The new half is preferred, which leaves the target as it is (Betancourt 2017, A.3.1).
        let ratio = (&half.log_weight - &self.log_weight).exp();
        let u = rng.uniform(&ratio.size(), 0.0, 1.0, ratio.device());
        let taken = u.less_tensor(&ratio).logical_and(&whole);
        self.proposal = half.proposal.chosen(&taken, &self.proposal);
        self.momenta = choose(&whole, &(&self.momenta + &half.momenta), &self.momenta);
        let log_weight = self.log_weight.logaddexp(&half.log_weight);
        self.log_weight = choose(&whole, &log_weight, &self.log_weight);
        let turned = turns(&early.momentum, &late.momentum, &self.momenta);
        self.going = whole.logical_and(&turned.logical_not());
        self.ends = [early, late];
        any(&self.going)
    }

    /// The next 2^depth states from `end` on, and whether they neither turned nor diverged, bool `[B]`.
    fn half(
        &mut self,
        energy: &dyn Energy,
        stride: &Dial,
        end: Phase,
        depth: usize,
        rng: &mut Stream,
    ) -> (Half, Tensor) {
        let mut going = self.going.shallow_clone();
        let mut marks = Marks::default();
        let mut half: Option<Half> = None;
        for leaf in 0..1usize << depth {
            let from = half.as_ref().map_or(&end, |half| &half.end);
            let next = from.leapfrog(energy, stride, (self.temperature, 1), rng);
            let at = next.chosen(&going, from);
            let log = at.fall(&self.first, self.temperature);
            let log = log.nan_to_num(f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY);
            let counted = going.to_kind(Kind::Float);
            self.accepted = &self.accepted + log.clamp_max(0.0).exp() * &counted;
            self.leaves = &self.leaves + &counted;
            let grown = match half {
                None => Half::of(at, log.shallow_clone()),
                Some(half) => half.with(at, &log, &going, rng),
            };
            let turned = marks.turned(leaf, &grown.end.momentum, &grown.momenta);
            going = going.logical_and(&log.ge(DIVERGED)).logical_and(&turned.logical_not());
            half = Some(grown);
            if !any(&going) {
                break;
            }
        }
        (half.expect("a half has a state"), going)
    }
}

impl Half {
    /// Of one state with this log weight.
    fn of(at: Phase, log_weight: Tensor) -> Self {
        Self {
            proposal: at.shared(),
            momenta: at.momentum.shallow_clone(),
            log_weight,
            end: at,
        }
    }

    /// One state more, where a chain is still going: it is drawn in proportion to its weight.
    fn with(self, at: Phase, log: &Tensor, going: &Tensor, rng: &mut Stream) -> Self {
        let log_weight = self.log_weight.logaddexp(log);
        let u = rng.uniform(&log.size(), 0.0, 1.0, log.device());
        let taken = u.less_tensor(&(log - &log_weight).exp()).logical_and(going);
        Self {
            proposal: at.chosen(&taken, &self.proposal),
            momenta: self.momenta + &at.momentum,
            log_weight,
            end: at,
        }
    }
}

/// The first states of all balanced subtrees that are not complete yet, each with the sum of momenta
/// up to it, so that each subtree is tested for a turn when its last state is there.
#[derive(Default)]
struct Marks(Vec<(Tensor, Tensor)>);

impl Marks {
    /// Whether a subtree that ends in state `leaf` (from 0) has turned, bool `[B]`; `momenta` is the
    /// sum of all up to it.
    fn turned(&mut self, leaf: usize, momentum: &Tensor, momenta: &Tensor) -> Tensor {
        if leaf.is_multiple_of(2) {
            // The subtrees that begin earlier and are not complete: one for each bit of leaf / 2.
            self.0.truncate((leaf / 2).count_ones() as usize);
            self.0.push((momentum.shallow_clone(), momenta.shallow_clone()));
            let shape = &momentum.size()[..1];
            return Tensor::zeros(shape, (Kind::Bool, momentum.device()));
        }
        // As many subtrees end here as `leaf` has ones at its end; the last marks are theirs.
        let ending = leaf.trailing_ones() as usize;
        let tests = self.0.iter().rev().take(ending);
        let tests = tests.map(|(first, before)| turns(first, momentum, &(momenta - before + first)));
        tests
            .reduce(|any, turned| any.logical_or(&turned))
            .expect("an odd state ends a subtree")
    }
}

/// Whether a trajectory whose first and last momenta and sum of momenta these are has turned, bool
/// `[B]`: the generalised criterion of Betancourt (2017), in which each end counts half.
fn turns(first: &Tensor, last: &Tensor, sum: &Tensor) -> Tensor {
    let between = sum - (first + last) * 0.5;
    let along = |end: &Tensor| sum_each(&(end * &between));
    along(first).le(0.0).logical_or(&along(last).le(0.0))
}

/// Whether one of the flags is up; the host waits for it.
fn any(flags: &Tensor) -> bool {
    flags.any().int64_value(&[]) != 0
}
