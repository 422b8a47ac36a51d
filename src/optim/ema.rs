//! The exponential moving average of the weights.

use tch::{Kind, Tensor, no_grad_guard};

use crate::error::Result;
use crate::files::{self, Named};

/// Name of the count of updates in the state.
const UPDATES: &str = "updates";

/// `ema = d ema + (1 - d) w`, with d = min(decay, (1 + n) / (10 + n)) after n updates.
///
/// The growing d keeps the first, random weights from lingering: with decay 0.999 alone they would
/// still hold a third of the average after 1,000 updates. What requires no gradient (running
/// statistics, the vectors of spectral norm) is copied, not averaged.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    updates: u64,
    /// 1 - d of the present update, `[]`, f32, on the device.
    share: Tensor,
    weights: Vec<(String, Tensor)>,
}

impl Ema {
    /// An average that starts as a copy of `source`, a network's parameters or whole state.
    pub fn new(decay: f64, source: &[(String, Tensor)]) -> Self {
        let weights: Vec<_> = source
            .iter()
            .map(|(name, t)| (name.clone(), t.detach().copy()))
            .collect();
        let device = weights.first().map_or(tch::Device::Cpu, |(_, t)| t.device());
        Self {
            decay,
            updates: 0,
            share: Tensor::zeros([0i64; 0], (Kind::Float, device)),
            weights,
        }
    }

    /// Takes in the weights as they are now; `source` has the order that it had at the start.
    ///
    /// # Panics
    /// Where `source` has other names than at the start.
    pub fn update(&mut self, source: &[(String, Tensor)]) {
        self.prepare();
        self.update_prepared(source);
    }

    /// The host's part of an update: it is counted, and its d is written to the device.
    pub fn prepare(&mut self) {
        let n = self.updates as f64;
        let keep = self.decay.min((1.0 + n) / (10.0 + n));
        self.updates += 1;
        let _ = self.share.fill_(1.0 - keep);
    }

    /// The device's part: the same operations on the same memory each time, so that they can be recorded and replayed.
    ///
    /// # Panics
    /// Where `source` has other names than at the start.
    pub fn update_prepared(&mut self, source: &[(String, Tensor)]) {
        let _guard = no_grad_guard();
        assert_eq!(self.weights.len(), source.len(), "the average is of other weights");
        for ((own, average), (name, now)) in self.weights.iter_mut().zip(source) {
            assert_eq!(own, name, "the average is of other weights");
            if now.requires_grad() {
                let _ = average.lerp_tensor_(now, &self.share);
            } else {
                average.copy_(now);
            }
        }
    }

    /// The averaged weights under the source's names, shared, not copied.
    pub fn weights(&self) -> Vec<(String, Tensor)> {
        let share = |(name, t): &(String, Tensor)| (name.clone(), t.shallow_clone());
        self.weights.iter().map(share).collect()
    }

    /// [`weights`](Self::weights) and `updates` (one i64): what a resumed run needs.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = self.weights();
        state.push((UPDATES.to_string(), Tensor::from(self.updates as i64)));
        state
    }

    /// The averaged weights of a state that [`state`](Self::state) gave.
    pub fn weights_of(mut state: Named) -> Named {
        state.remove(UPDATES);
        state
    }

    /// Copies a state that [`state`](Self::state) gave; `place` names its origin in an error.
    ///
    /// # Errors
    /// Where a name is missing or not expected, a shape or kind differs, or a number is not finite; then nothing
    /// is changed.
    pub fn load_state(&mut self, given: &Named, place: &str) -> Result<()> {
        files::check_same(&self.state(), given, place)?;
        files::ensure_finite(given, place)?;
        let _guard = no_grad_guard();
        self.weights.iter_mut().for_each(|(name, t)| t.copy_(&given[name]));
        self.updates = given[UPDATES].int64_value(&[]) as u64;
        Ok(())
    }
}
