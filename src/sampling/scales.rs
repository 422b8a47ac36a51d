//! The scale of each number of a state, found from where chains go.

use tch::{Device, Kind, Tensor};

use crate::files::Named;

/// The shares of a warm-up before the first window and after the last, in which the step size alone
/// is sought (Stan's for short runs).
const BEFORE: f64 = 0.15;
const AFTER: f64 = 0.1;
/// Steps of the first window.
const FIRST: usize = 25;

/// The standard deviation of each number over all chains and the steps of a window.
///
/// The mean and the sum of squares are kept by Welford's method on the device. A window's variance
/// is drawn a little towards 0.001, as Stan does, so that a window of few draws gives no zero.
#[derive(Debug)]
pub(super) struct Scales {
    /// The steps after which windows end; the first entry is where the first one begins.
    bounds: Vec<usize>,
    /// Draws of this window so far.
    draws: i64,
    /// `[1,..]` each, f32.
    mean: Tensor,
    squares: Tensor,
    scale: Tensor,
}

impl Scales {
    /// For a warm-up of so many steps of states of this shape; every scale is 1 to begin with.
    pub fn new(steps: usize, shape: &[i64], device: Device) -> Self {
        let size: Vec<i64> = std::iter::once(1).chain(shape.iter().copied()).collect();
        let zeros = Tensor::zeros(&size, (Kind::Float, device));
        Self {
            bounds: bounds(steps),
            draws: 0,
            mean: zeros.copy(),
            squares: zeros.copy(),
            scale: zeros.ones_like(),
        }
    }

    /// The scales in use.
    pub fn scale(&self) -> &Tensor {
        &self.scale
    }

    /// Takes in the states `[B,..]` after step `made` (from 1), and says whether scales have changed.
    pub fn seen(&mut self, made: usize, x: &Tensor) -> bool {
        let (Some(first), Some(last)) = (self.bounds.first(), self.bounds.last()) else {
            return false;
        };
        if made <= *first || made > *last {
            return false;
        }
        self.add(x);
        let ends = self.bounds[1..].contains(&made);
        if ends {
            self.close();
        }
        ends
    }

    /// Welford's update by a batch of draws.
    fn add(&mut self, x: &Tensor) {
        let n = x.size()[0];
        let before = self.draws as f64;
        self.draws += n;
        let mean = x.mean_dim([0i64].as_slice(), true, Kind::Float);
        let spread = (x - &mean)
            .square()
            .sum_dim_intlist([0i64].as_slice(), true, Kind::Float);
        let apart = mean - &self.mean;
        let all = self.draws as f64;
        let _ = self
            .squares
            .g_add_(&(spread + apart.square() * (before * n as f64 / all)));
        let _ = self.mean.g_add_(&(apart * (n as f64 / all)));
    }

    /// Ends a window.
    fn close(&mut self) {
        let n = self.draws as f64;
        let variance = &self.squares / (n - 1.0).max(1.0);
        let drawn = variance * (n / (n + 5.0)) + 1e-3 * 5.0 / (n + 5.0);
        self.scale.copy_(&drawn.sqrt());
        self.draws = 0;
        let _ = self.mean.zero_();
        let _ = self.squares.zero_();
    }

    /// What a checkpoint needs, by name.
    pub fn state(&self) -> [(&'static str, Tensor); 4] {
        [
            ("draws", Tensor::from_slice(&[self.draws])),
            ("mean", self.mean.shallow_clone()),
            ("squares", self.squares.shallow_clone()),
            ("scale", self.scale.shallow_clone()),
        ]
    }

    /// Goes on from a saved state, which was found to be of the same names and shapes.
    pub fn load_state(&mut self, named: &Named) {
        self.draws = named["draws"].int64_value(&[0]);
        self.mean.copy_(&named["mean"]);
        self.squares.copy_(&named["squares"]);
        self.scale.copy_(&named["scale"]);
    }
}

/// Where the first window begins, and where each ends; a window that would leave less than twice its
/// length behind it takes the rest as well.
fn bounds(steps: usize) -> Vec<usize> {
    let (begin, end) = (
        (BEFORE * steps as f64) as usize,
        steps - (AFTER * steps as f64).ceil() as usize,
    );
    let mut bounds = vec![begin];
    let (mut at, mut length) = (begin, FIRST);
    while at < end {
        let next = at + length;
        at = if next + 2 * length > end { end } else { next };
        bounds.push(at);
        length *= 2;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::bounds;

    #[test]
    fn windows_double_and_the_last_takes_the_rest() {
        assert_eq!(bounds(1000), [150, 175, 225, 325, 900]);
        assert_eq!(bounds(100), [15, 40, 90]);
        assert_eq!(bounds(40), [6, 36]);
        assert_eq!(bounds(1), [0]);
    }
}
