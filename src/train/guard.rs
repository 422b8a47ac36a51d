//! Watches for divergence: flags accumulate on the device and are read every few steps.

use tch::{Device, Kind, Tensor};

use crate::experiment::GuardConfig;
use crate::run::{Cause, Divergence, GuardState, Reading, WINDOW};

/// Looks before the running median is trusted.
const WARM: usize = 5;

/// The guard itself: three numbers on the device and a short history on the host.
pub struct Guard {
    config: GuardConfig,
    flags: Tensor,
    state: GuardState,
}

impl Guard {
    /// A guard with nothing seen so far.
    pub fn new(config: &GuardConfig, device: Device) -> Self {
        Self {
            config: config.clone(),
            flags: Tensor::zeros([3], (Kind::Float, device)),
            state: GuardState::default(),
        }
    }

    /// Goes on from what was saved.
    pub fn restore(&mut self, flags: &Tensor, state: GuardState) {
        self.flags.copy_(flags);
        self.state = state;
    }

    /// The flags and the history to save.
    pub fn state(&self) -> (Tensor, &GuardState) {
        (self.flags.copy(), &self.state)
    }

    /// Forgets how many looks on end were suspicious: a run that went back starts counting anew.
    pub fn forgive(&mut self) {
        self.state.suspicious = 0;
    }

    /// Takes one step's numbers in, on the device; every argument is a tensor that stays there, and so do the flags.
    ///
    /// # Panics
    /// If there are no energies.
    pub fn watch(&mut self, energies: &[Tensor], loss: &Tensor, grad_norm: &Tensor) {
        // Without this the flags would hold on to every step's graph until they are read.
        let _guard = tch::no_grad_guard();
        let largest = energies.iter().map(|e| e.abs().max());
        let largest = largest.reduce(|a, b| a.maximum(&b)).expect("a step has energies");
        let seen = Tensor::stack(&[&largest, &loss.abs(), grad_norm], 0).to_kind(Kind::Float);
        // maximum() hands a NaN on, so one bad step marks the whole interval.
        let _ = self.flags.maximum_out(&self.flags, &seen);
    }

    /// Whether the flags are due to be read after `step` steps.
    pub fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.config.every)
    }

    /// Reads the flags (one transfer to the host), judges, and starts the next interval.
    pub fn look(&mut self, step: u64, parameters: &[(String, Tensor)]) -> Option<Divergence> {
        let (reading, cause) = self.peek(parameters);
        self.state.suspicious = self.suspicious_with(&reading);
        self.remember(reading.max_grad_norm);
        let _ = self.flags.zero_();
        cause.map(|cause| Divergence { step, cause, reading })
    }

    /// What a look would find; changes nothing, so that a run stopped here goes on as if it had not been.
    pub fn judge_now(&self, step: u64, parameters: &[(String, Tensor)]) -> Option<Divergence> {
        let (reading, cause) = self.peek(parameters);
        cause.map(|cause| Divergence { step, cause, reading })
    }

    fn peek(&self, parameters: &[(String, Tensor)]) -> (Reading, Option<Cause>) {
        let device = self.flags.device();
        let all = Tensor::ones([], (Kind::Int64, device));
        let finite = parameters.iter().fold(all, |all, (_, p)| {
            all * p.detach().isfinite().all().to_kind(Kind::Int64)
        });
        let read = Tensor::cat(
            &[self.flags.to_kind(Kind::Double), finite.to_kind(Kind::Double).view([1])],
            0,
        );
        let values = Vec::<f64>::try_from(&read).expect("four numbers");
        let reading = Reading {
            max_abs_energy: values[0],
            max_abs_loss: values[1],
            max_grad_norm: values[2],
            weights_finite: values[3] == 1.0,
            median_grad_norm: self.median(),
        };
        let cause = self.judge(&reading);
        (reading, cause)
    }

    fn judge(&self, seen: &Reading) -> Option<Cause> {
        let causes = [
            (!seen.max_abs_energy.is_finite(), Cause::Energy),
            (!seen.max_abs_loss.is_finite(), Cause::Loss),
            (!seen.max_grad_norm.is_finite(), Cause::Gradient),
            (!seen.weights_finite, Cause::Weight),
            (seen.max_abs_energy > self.config.max_abs_energy, Cause::EnergyBound),
            (
                self.suspicious_with(seen) >= self.config.grad_norm_patience,
                Cause::GradientGrowth,
            ),
        ];
        causes.into_iter().find(|(holds, _)| *holds).map(|(_, cause)| cause)
    }

    /// How many looks on end were suspicious, this one included.
    fn suspicious_with(&self, seen: &Reading) -> u32 {
        let grown = seen
            .median_grad_norm
            .is_some_and(|m| seen.max_grad_norm > m * self.config.grad_norm_factor);
        if grown { self.state.suspicious + 1 } else { 0 }
    }

    /// A suspicious norm stays out of the history, or it would become the norm.
    fn remember(&mut self, norm: f64) {
        if self.state.suspicious > 0 || !norm.is_finite() {
            return;
        }
        self.state.norms.push(norm);
        if self.state.norms.len() > WINDOW {
            self.state.norms.remove(0);
        }
    }

    fn median(&self) -> Option<f64> {
        if self.state.norms.len() < WARM {
            return None;
        }
        let mut sorted = self.state.norms.clone();
        sorted.sort_by(f64::total_cmp);
        Some(sorted[sorted.len() / 2])
    }
}
