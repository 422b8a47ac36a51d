//! The ladder of temperatures, spaced so that neighbours swap as often as wanted.

use tch::{Device, Kind, Tensor};

use super::rungs;
use crate::files::Named;

/// The power by which moves of the gaps become smaller.
const DECAY: f64 = 0.6;
/// The largest log gap between neighbours, beyond which temperatures mean nothing in f32.
const WIDEST: f64 = 14.0;

/// Robbins and Monro's search for the gaps between temperatures: each widens where its neighbours swap
/// more often than wanted, and narrows where they swap less (Miasojedow et al. 2013). The host reads
/// nothing.
#[derive(Debug)]
pub(super) struct Spacing {
    wanted: f64,
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
            gaps: ladder.diff(1, 0, None::<Tensor>, None::<Tensor>).log(),
            ladder,
        }
    }

    /// The temperatures in use.
    pub fn ladder(&self) -> &Tensor {
        &self.ladder
    }

    /// Takes in the swaps of step `made` (from 1).
    pub fn update(&mut self, made: usize, swaps: &Tensor) {
        let gain = (made as f64).powf(-DECAY);
        self.gaps = (&self.gaps + (swaps - self.wanted) * gain).clamp_max(WIDEST);
        let above = self.gaps.exp().cumsum(0, Kind::Float) + 1.0;
        self.ladder.narrow(0, 1, above.size()[0]).copy_(&above);
    }

    /// What a checkpoint needs, by name.
    pub fn state(&self) -> [(&'static str, Tensor); 2] {
        [
            ("gaps", self.gaps.shallow_clone()),
            ("ladder", self.ladder.shallow_clone()),
        ]
    }

    /// Goes on from a saved state, which was found to be of the same names and shapes.
    pub fn load_state(&mut self, named: &Named) {
        self.gaps.copy_(&named["gaps"]);
        self.ladder.copy_(&named["ladder"]);
    }
}
