//! Energies between two others, and energies in a box.

use std::cell::Cell;

use tch::Tensor;

use super::{Energy, EnergyGrad, energy_and_grad};
use crate::space::sum_each;

/// (1 - weight) from + weight to: the geometric path between the two densities.
pub struct Path<'a> {
    from: &'a dyn Energy,
    to: &'a dyn Energy,
    weight: Cell<f64>,
}

impl<'a> Path<'a> {
    /// The path, at its beginning.
    pub fn new(from: &'a dyn Energy, to: &'a dyn Energy) -> Self {
        Self {
            from,
            to,
            weight: Cell::new(0.0),
        }
    }

    /// Goes to a weight from 0 to 1. What was found before holds no more.
    pub fn go_to(&self, weight: f64) {
        self.weight.set(weight);
    }

    /// to - from, `[B]`: the slope of the path in its weight. `from` is to be finite there.
    pub fn slope(&self, x: &Tensor) -> Tensor {
        self.to.energy(x) - self.from.energy(x)
    }

    /// Both energies, of which one that weighs nothing is not asked, for it may be infinite.
    fn mixed<T>(&self, each: impl Fn(&dyn Energy) -> T, mix: impl Fn(T, T, f64) -> T) -> T {
        match self.weight.get() {
            0.0 => each(self.from),
            1.0 => each(self.to),
            weight => mix(each(self.from), each(self.to), weight),
        }
    }
}

impl Energy for Path<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.mixed(|e| e.energy(x), |from, to, weight| from * (1.0 - weight) + to * weight)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let mix = |from: EnergyGrad, to: EnergyGrad, weight| EnergyGrad {
            energy: from.energy * (1.0 - weight) + to.energy * weight,
            grad: from.grad * (1.0 - weight) + to.grad * weight,
        };
        Some(self.mixed(|e| energy_and_grad(e, x), mix))
    }

    fn draws(&self) -> bool {
        self.from.draws() || self.to.draws()
    }
}

/// E(x) where every number of x lies in an interval, infinite elsewhere: the density in that box.
pub struct Boxed<'a> {
    /// E
    pub energy: &'a dyn Energy,
    /// The interval, its ends included.
    pub interval: [f64; 2],
}

impl Boxed<'_> {
    fn walled(&self, energy: Tensor, x: &Tensor) -> Tensor {
        let [low, high] = self.interval;
        let inside = x.ge(low).logical_and(&x.le(high)).flatten(1, -1).all_dim(1, false);
        energy.where_self(&inside, &Tensor::from(f32::INFINITY).to_device(x.device()))
    }
}

impl Energy for Boxed<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.walled(self.energy.energy(x), x)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let EnergyGrad { energy, grad } = energy_and_grad(self.energy, x);
        Some(EnergyGrad {
            energy: self.walled(energy, x),
            grad,
        })
    }

    fn draws(&self) -> bool {
        self.energy.draws()
    }
}

/// 0 everywhere.
pub struct Flat;

impl Energy for Flat {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(x) * 0.0
    }
}
