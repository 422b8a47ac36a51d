//! Records scalar quantities of running chains in memory of their device.

use tch::{Device, Kind, Tensor, no_grad_guard};

use super::moments::values;
use super::summary::{Diagnostics, Trace};
use crate::rng::Stream;
use crate::sampling::kernel::StepInfo;

/// States of at most so many numbers have a trace of each.
const MOST_COORDINATES: i64 = 8;
/// Larger states have traces of so many projections.
const PROJECTIONS: i64 = 4;

/// Traces of a batch of chains, filled step by step.
///
/// They are the energy where it is given, every coordinate of a state of at most 8 numbers, else 4
/// projections on fixed random directions, and the Euclidean norm. The host reads nothing before
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct Traces {
    n_steps: i64,
    warm_up: i64,
    recorded: i64,
    names: Vec<String>,
    /// Random unit vectors as columns, `[D,4]`; none where coordinates are recorded.
    directions: Option<Tensor>,
    /// `[n_steps, quantities, B]`, f32.
    positions: Tensor,
    /// `[n_steps, B]`, f32, from the first step that gives one; NaN at steps without.
    energies: Option<Tensor>,
    /// The probabilities of acceptance after warm-up.
    accepted: Mean,
    /// The gradients of a step after warm-up.
    gradients: Mean,
    /// The probabilities of swaps after warm-up.
    swaps: Mean,
}

/// The mean of what steps tell, of those that tell it.
#[derive(Debug, Default)]
struct Mean {
    sum: Option<Tensor>,
    steps: i64,
}

impl Mean {
    fn add(&mut self, told: Option<&Tensor>) {
        if let Some(told) = told {
            let sum = self.sum.get_or_insert_with(|| told.zeros_like());
            let _ = sum.g_add_(&told.detach());
            self.steps += 1;
        }
    }

    /// Of each entry over the steps, on the host; none where no step told it.
    fn of_each(&self) -> Option<Tensor> {
        let sum = self.sum.as_ref()?;
        Some(sum.to_kind(Kind::Double).to_device(Device::Cpu) / self.steps as f64)
    }

    /// Over steps and entries.
    fn of_all(&self) -> Option<f64> {
        let mean = self.of_each()?.mean(Kind::Double).double_value(&[]);
        mean.is_finite().then_some(mean)
    }
}

impl Traces {
    /// Room for `n_steps` steps of chains of states `[B, ...]` of this `shape`.
    ///
    /// The first `warm_up` steps are kept but enter no figure. `rng` gives the directions of the
    /// projections.
    ///
    /// # Panics
    /// Where the shape has no dimension.
    pub fn new(n_steps: usize, warm_up: usize, shape: &[i64], device: Device, rng: &mut Stream) -> Self {
        let (chains, numbers) = (shape[0], shape[1..].iter().product::<i64>());
        let directions = (numbers > MOST_COORDINATES).then(|| directions(numbers, device, rng));
        let (word, count) = match directions {
            Some(_) => ("projection", PROJECTIONS),
            None => ("coordinate", numbers),
        };
        let mut names: Vec<String> = (1..=count).map(|i| format!("{word} {i}")).collect();
        names.push("norm".into());
        let n_steps = n_steps as i64;
        Self {
            n_steps,
            warm_up: warm_up as i64,
            recorded: 0,
            directions,
            positions: Tensor::zeros([n_steps, names.len() as i64, chains], (Kind::Float, device)),
            names,
            energies: None,
            accepted: Mean::default(),
            gradients: Mean::default(),
            swaps: Mean::default(),
        }
    }

    /// Records the states `[B, ...]` after a step, and of what the step tells the energies, the
    /// probabilities of acceptance and the counts of gradients.
    ///
    /// # Panics
    /// Where more steps are recorded than there is room for, or a tensor is of another shape.
    pub fn record(&mut self, x: &Tensor, info: &StepInfo) {
        assert!(self.recorded < self.n_steps, "there is room for {} steps", self.n_steps);
        let _guard = no_grad_guard();
        let x = x.detach().flatten(1, -1).to_kind(Kind::Float);
        let positions = match &self.directions {
            Some(directions) => x.matmul(directions),
            None => x.shallow_clone(),
        };
        let norm = x.square().sum_dim_intlist([1i64].as_slice(), true, Kind::Float).sqrt();
        let quantities = Tensor::cat(&[positions, norm], 1);
        self.positions.get(self.recorded).copy_(&quantities.tr());
        if let Some(energy) = &info.energy {
            let step = self.recorded;
            self.energies().get(step).copy_(&energy.detach());
        }
        if self.recorded >= self.warm_up {
            self.accepted.add(info.accept_prob.as_ref());
            self.gradients.add(info.gradients.as_ref());
            self.swaps.add(info.swap_prob.as_ref());
        }
        self.recorded += 1;
    }

    fn energies(&mut self) -> &Tensor {
        let size = [self.n_steps, self.positions.size()[2]];
        let options = (Kind::Float, self.positions.device());
        self.energies
            .get_or_insert_with(|| Tensor::full(size, f64::NAN, options))
    }

    /// The figures of the steps recorded so far, and their traces, on the host.
    pub fn finish(self) -> Diagnostics {
        let host = |t: &Tensor| t.narrow(0, 0, self.recorded).to_device(Device::Cpu);
        let mut traces = Vec::new();
        if let Some(energies) = &self.energies {
            traces.push(Trace::new("energy", host(energies)));
        }
        let positions = host(&self.positions);
        for (i, name) in self.names.iter().enumerate() {
            traces.push(Trace::new(name, positions.select(1, i as i64).contiguous()));
        }
        Diagnostics {
            acceptance: self.accepted.of_all(),
            gradients: self.gradients.of_all(),
            swaps: self.swaps.of_each().map(|each| values(&each)).unwrap_or_default(),
            ..Diagnostics::new(traces, self.warm_up as usize)
        }
    }
}

/// Random unit vectors as columns, `[numbers, 4]`, f32.
fn directions(numbers: i64, device: Device, rng: &mut Stream) -> Tensor {
    let drawn = rng.normal(&[numbers, PROJECTIONS], Device::Cpu).to_kind(Kind::Double);
    let length = drawn
        .square()
        .sum_dim_intlist([0i64].as_slice(), true, Kind::Double)
        .sqrt();
    (drawn / length).to_kind(Kind::Float).to_device(device)
}
