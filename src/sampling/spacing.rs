//! The ladder of temperatures, spaced so that neighbours swap as often as wanted.

use tch::{Device, Kind, Tensor};

use super::rungs;
use crate::files::Named;

/// The power by which moves of the gaps become smaller.
const DECAY: f64 = 0.6;
/// The first steps of a chain, in which replicas leave it and swap as copies do.
const LEAVING: usize = 50;
/// The largest log gap between neighbours, beyond which temperatures mean nothing in f32.
const WIDEST: f64 = 14.0;

/// Robbins and Monro's search for the gaps between temperatures: each widens where its neighbours swap
/// more often than wanted, and narrows where they swap less (Miasojedow et al. 2013). The host reads
/// nothing.
#[derive(Debug)]
pub(super) struct Spacing {
    wanted: f64,
    /// Steps whose swaps were taken in.
    made: i64,
    /// Logarithms of the gaps, `[R - 1]`, and the temperatures, `[R]`, f32.
    gaps: Tensor,
    ladder: Tensor,
}

impl Spacing {
    /// Begins with these temperatures above 1.
    pub fn new(wanted: f64, hotter: &[f64], device: Device) -> Self {
        let ladder = rungs::ladder(hotter, device);
        Self {
            wanted,
            made: 0,
            gaps: ladder.diff(1, 0, None::<Tensor>, None::<Tensor>).log(),
            ladder,
        }
    }

    /// The temperatures in use.
    pub fn ladder(&self) -> &Tensor {
        &self.ladder
    }

    /// Takes in the swaps of step `k` (from 1) of a chain, but for its first steps.
    pub fn update(&mut self, k: usize, swaps: &Tensor) {
        if k <= LEAVING {
            return;
        }
        self.made += 1;
        let gain = (self.made as f64).powf(-DECAY);
        self.gaps = (&self.gaps + (swaps - self.wanted) * gain).clamp_max(WIDEST);
        let above = self.gaps.exp().cumsum(0, Kind::Float) + 1.0;
        self.ladder.narrow(0, 1, above.size()[0]).copy_(&above);
    }

    /// What a checkpoint needs, by name.
    pub fn state(&self) -> [(&'static str, Tensor); 3] {
        [
            ("swaps_made", Tensor::from_slice(&[self.made])),
            ("gaps", self.gaps.shallow_clone()),
            ("ladder", self.ladder.shallow_clone()),
        ]
    }

    /// Goes on from a saved state, which was found to be of the same names and shapes.
    pub fn load_state(&mut self, named: &Named) {
        self.made = named["swaps_made"].int64_value(&[0]);
        self.gaps.copy_(&named["gaps"]);
        self.ladder.copy_(&named["ladder"]);
    }
}
