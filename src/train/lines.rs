//! Lines of metrics: what is read from the meters, and what follows from it.

use std::time::Instant;

use super::observer::LogLine;
use super::trainer::Trainer;

impl Trainer {
    /// The means since the last line, with what is derived from them.
    pub(super) fn line(&mut self) -> LogLine {
        // The reading waits for steps that the device still works on, and their time is training time.
        let clock = Instant::now();
        let mut values = self.state.meters.read();
        self.state.seconds += clock.elapsed().as_secs_f64();
        if self.state.terms.reports_loss() {
            values.retain(|(name, _)| *name != "loss");
        }
        if let [("energy_pos", pos), ("energy_neg", neg), ..] = values[..] {
            values.insert(2, ("energy_gap", neg - pos));
        }
        let of_pairs = |key: &str| values.iter().find(|(name, _)| *name == key).map(|v| v.1);
        if let Some((pos, neg)) = of_pairs("joint_energy_pos").zip(of_pairs("joint_energy_neg")) {
            values.push(("joint_energy_gap", neg - pos));
        }
        values.push((
            "lr",
            self.schedule.lr(self.state.step.saturating_sub(1)) * self.state.lr_scale,
        ));
        let (name, of_a_step) = self.throughput();
        let made = (self.state.step - self.log_step) * of_a_step as u64;
        values.push((name, made as f64 / (self.state.seconds - self.log_seconds)));
        values.push(("seconds", self.state.seconds));
        self.restart_clock();
        LogLine {
            step: self.state.step,
            values,
        }
    }

    /// What a step does, in the unit by which its speed is told.
    fn throughput(&self) -> (&'static str, usize) {
        let (e, train) = (&self.experiment, &self.experiment.train);
        let n_steps = e.sampler.as_ref().map_or(0, |sampler| sampler.n_steps);
        if self.runs_chains && self.state.step > e.objective.chains_from() {
            ("images_x_steps_per_second", train.batch_size * n_steps)
        } else if e.uses_labels() {
            ("images_per_second", train.labelled_batch())
        } else {
            ("images_per_second", train.batch_size)
        }
    }

    pub(super) fn restart_clock(&mut self) {
        self.log_seconds = self.state.seconds;
        self.log_step = self.state.step;
    }
}
