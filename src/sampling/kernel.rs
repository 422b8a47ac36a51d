//! What every Markov kernel shares: the state of a batch of chains, a step, and what a step tells.

use tch::{Kind, Tensor};

use crate::energy::Energy;
use crate::rng::Stream;
use crate::space::{Space, Values};

/// A batch of chains between two steps.
#[derive(Debug)]
pub struct ChainState {
    /// Where the chains are, `[B,..]`, f32.
    pub x: Tensor,
    /// E(x), `[B]`, for kernels that carry it from one step to the next.
    pub energy: Option<Tensor>,
    /// dE/dx, of the shape of `x`, for kernels that carry it.
    pub grad: Option<Tensor>,
    /// The momenta of kernels that keep them, of the shape of `x`.
    pub momentum: Option<Tensor>,
    /// The running mean of dE/dx squared of kernels that scale their steps by it, of the shape of `x`.
    pub square: Option<Tensor>,
    /// The step size, `[]`, f32, where a warm-up sets it; else the kernel's own number holds.
    pub step_size: Option<Tensor>,
    /// The scale of each number of a state, `[1,..]`, f32, where a warm-up finds it or a temperature
    /// asks for it; else it is 1.
    pub scale: Option<Tensor>,
    /// The temperatures of a kernel that goes through several, as multiples of its own, `[R]`, f32,
    /// from 1 on; a warm-up may own them.
    pub ladder: Option<Tensor>,
    /// The replicas at the hotter rungs, coldest first, of kernels that keep them.
    pub replicas: Vec<ChainState>,
    /// The chains inside of a kernel that moves others than its own, and the states that they are told
    /// from, `[B,..]`.
    pub inside: Option<Box<(ChainState, Tensor)>>,
    /// How many steps were made.
    pub step: usize,
    /// Memory of the shape of `x` that a step may use as it likes.
    pub scratch: Tensor,
}

impl ChainState {
    /// Chains before their first step. `x` is copied: what the caller holds stays as it is.
    pub fn new(x: &Tensor) -> Self {
        let start = x.detach();
        let mut own = Tensor::empty(start.size(), (Kind::Float, start.device()));
        own.copy_(&start);
        Self {
            scratch: own.empty_like(),
            x: own,
            energy: None,
            grad: None,
            momentum: None,
            square: None,
            step_size: None,
            scale: None,
            ladder: None,
            replicas: Vec::new(),
            inside: None,
            step: 0,
        }
    }

    /// What goes from one step to the next, in a fixed order.
    pub(super) fn tensors(&self) -> [Option<&Tensor>; 7] {
        [
            Some(&self.x),
            self.energy.as_ref(),
            self.grad.as_ref(),
            self.momentum.as_ref(),
            self.square.as_ref(),
            self.step_size.as_ref(),
            self.scale.as_ref(),
        ]
    }

    /// The same in memory of its own, but for what a warm-up owns.
    pub(super) fn copied(&self) -> Self {
        let copy = |t: &Option<Tensor>| t.as_ref().map(Tensor::copy);
        Self {
            x: self.x.copy(),
            energy: copy(&self.energy),
            grad: copy(&self.grad),
            momentum: copy(&self.momentum),
            square: copy(&self.square),
            scratch: self.scratch.copy(),
            replicas: self.replicas.iter().map(Self::copied).collect(),
            inside: self.inside.as_deref().map(|(s, x)| Box::new((s.copied(), x.copy()))),
            ..self.shared()
        }
    }

    /// Copies what goes from one step to the next out of `other` into this one's memory.
    ///
    /// # Panics
    /// Where one holds a tensor that the other lacks: a kernel starts with all that its steps leave.
    pub(super) fn take_from(&self, other: &Self) {
        for (own, new) in self.tensors().into_iter().zip(other.tensors()) {
            match (own, new) {
                (None, None) => {}
                (Some(own), Some(new)) if own.data_ptr() == new.data_ptr() => {}
                (Some(own), Some(new)) => own.shallow_clone().copy_(new),
                _ => panic!("a step leaves other tensors than its kernel starts with"),
            }
        }
    }

    /// The same memory under another handle.
    pub(super) fn shared(&self) -> Self {
        let share = |t: &Option<Tensor>| t.as_ref().map(Tensor::shallow_clone);
        Self {
            x: self.x.shallow_clone(),
            energy: share(&self.energy),
            grad: share(&self.grad),
            momentum: share(&self.momentum),
            square: share(&self.square),
            step_size: share(&self.step_size),
            scale: share(&self.scale),
            ladder: share(&self.ladder),
            replicas: self.replicas.iter().map(Self::shared).collect(),
            inside: self
                .inside
                .as_deref()
                .map(|(s, x)| Box::new((s.shared(), x.shallow_clone()))),
            step: self.step,
            scratch: self.scratch.shallow_clone(),
        }
    }
}

/// What a person may want to know of a step. It stays on the device; what a kernel does not know is
/// absent, at every step alike.
#[derive(Debug, Default)]
pub struct StepInfo {
    /// The probability with which each proposal was accepted, `[B]`, of kernels that reject.
    pub accept_prob: Option<Tensor>,
    /// The Euclidean norm of each state's gradient before any clipping, `[B]`.
    pub grad_norm: Option<Tensor>,
    /// The energy at the state after the step, `[B]`, of kernels that know it.
    pub energy: Option<Tensor>,
    /// The mean probability with which neighbours of a ladder swapped, `[R - 1]`, of kernels that swap.
    pub swap_prob: Option<Tensor>,
    /// How many gradients each chain's step took, `[B]`, of kernels whose steps differ in that.
    pub gradients: Option<Tensor>,
}

/// What a kernel asks of an energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Its values.
    Energies,
    /// Its gradient.
    Gradients,
    /// Its first layer apart from the rest ([`Energy::stages`]).
    Stages,
    /// Its gradient at levels of noise ([`Energy::at_level`]).
    Levels,
}

/// What is known of a kernel before it makes a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    /// T of the target exp(-E/T).
    pub temperature: f64,
    /// What it asks of the energy.
    pub needs: Needs,
    /// Whether it leaves exactly that target as it is, by accepting or rejecting.
    pub exact: bool,
    /// Whether a step compares energies, to accept, reject or swap: they are to depend on the state
    /// alone.
    pub compares: bool,
    /// Whether a step draws random numbers.
    pub random: bool,
    /// Whether a chain's step depends on where the others of its batch are.
    pub coupled: bool,
    /// The levels of noise that it goes through, from the first of these to the second, if any.
    pub levels: Option<[f64; 2]>,
    /// The interval that it clamps states to, if any.
    pub interval: Option<[f64; 2]>,
    /// Whether every step ends inside that interval.
    pub ends_inside: bool,
}

impl Facts {
    /// Of a kernel that draws, is not exact, clamps nothing, and whose chains are independent.
    pub fn of(temperature: f64, needs: Needs) -> Self {
        Self {
            temperature,
            needs,
            exact: false,
            compares: false,
            random: true,
            coupled: false,
            levels: None,
            interval: None,
            ends_inside: false,
        }
    }

    /// The same of an exact kernel.
    pub fn exact(temperature: f64, needs: Needs) -> Self {
        Self {
            exact: true,
            compares: true,
            ..Self::of(temperature, needs)
        }
    }
}

/// A Markov kernel. It holds parameters only: state and randomness go in and come out.
pub trait Kernel: std::fmt::Debug + Send {
    /// What is known of it before any step.
    fn facts(&self) -> Facts;

    /// Whether it can move states of this space.
    ///
    /// # Errors
    /// Says what stands against it.
    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        match space.values {
            Values::Real => Ok(()),
            Values::Binary => Err("moves real numbers, and these states are binary".into()),
        }
    }

    /// Chains at `x`, with everything that a step leaves beside it.
    fn start(&self, _energy: &dyn Energy, x: &Tensor, _rng: &mut Stream) -> ChainState {
        ChainState::new(x)
    }

    /// How many replicas at hotter rungs it keeps for each chain.
    fn replicas(&self) -> usize {
        0
    }

    /// Chains at `x` whose replicas go on from `replicas`, `[B,..]` each, coldest first: as many as
    /// [`replicas`](Self::replicas) says.
    ///
    /// # Panics
    /// For a kernel without replicas.
    fn start_with(&self, _energy: &dyn Energy, _x: &Tensor, _replicas: &[Tensor], _rng: &mut Stream) -> ChainState {
        panic!("a kernel without replicas is given some")
    }

    /// One step of every chain of the batch.
    fn step(&self, energy: &dyn Energy, state: ChainState, rng: &mut Stream) -> (ChainState, StepInfo);

    /// How it moves, for people: its numbers, as `step_size 0.1`.
    fn words(&self) -> String;

    /// The step size that a warm-up begins with, of a kernel that reads
    /// [`step_size`](ChainState::step_size) and [`scale`](ChainState::scale), and tells its acceptance.
    fn step_size(&self) -> Option<f64> {
        None
    }

    /// Whether it goes through temperatures itself, so that another such kernel cannot hold it.
    fn has_temperatures(&self) -> bool {
        false
    }

    /// The temperatures above 1 that a warm-up begins with, of a kernel that reads
    /// [`ladder`](ChainState::ladder) and tells its swaps.
    fn ladder(&self) -> Option<&[f64]> {
        None
    }

    /// The masses that its file gives to each number of a state, which a warm-up cannot find as well.
    fn has_masses(&self) -> bool {
        false
    }

    /// What moves the chains of training, `n_steps` long, of a kernel that goes through levels one after
    /// another where training draws them.
    fn of_training(&self, _n_steps: usize) -> Option<Box<dyn Kernel>> {
        None
    }

    /// The same movement after a chain's last step, without its noise, where it has such a thing.
    fn without_noise(&self) -> Option<Box<dyn Kernel>> {
        None
    }

    /// The step as part of a graph, where it can be differentiated.
    fn with_graph(&self) -> Option<&dyn GraphStep> {
        None
    }

    /// Where every step does the same whatever its number: words that tell this kernel with its
    /// parameters from others.
    ///
    /// Such a step takes nothing from the host but the kernel's own parameters. On CUDA it is
    /// recorded once and replayed. Without it, every step is run by itself.
    fn identity(&self) -> Option<String> {
        None
    }
}

/// A step that can be differentiated with respect to its start and to the energy's parameters.
pub trait GraphStep {
    /// Step `k` (from 0) of chains at `x`, `[B,..]`, with standard normal `noise` of the same shape.
    fn step_with_graph(&self, energy: &dyn Energy, x: &Tensor, noise: &Tensor, k: usize) -> Tensor;
}
