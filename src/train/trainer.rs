//! The loop: analysis by synthesis, with metrics, checkpoints, and a way back from divergence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tch::{Device, Tensor};

use super::checkpoint::{self, Best, Sealed};
use super::guard::Divergence;
use super::journal::Journal;
use super::modes::set_modes;
use super::observer::{Event, LogLine, Observer, Outcome};
use super::record::Record;
use super::recorded::StepRecorder;
use super::results::Results;
use super::run::RunDir;
use super::state::State;
use super::view::View;
use crate::config::yaml;
use crate::data::DataSet;
use crate::energy::FrozenEnergy;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::objective::JointObjective;
use crate::optim::Schedule;
use crate::sampling::{self, ChainRunner, Langevin, Starter};

/// A run in progress.
pub struct Trainer {
    pub(super) experiment: Experiment,
    pub(super) data: DataSet,
    pub(super) starter: Starter,
    run: RunDir,
    pub(super) device: Device,
    pub(super) state: State,
    pub(super) kernel: Langevin,
    pub(super) frozen: FrozenEnergy,
    pub(super) chains: ChainRunner,
    /// The classes of a step's chains, `[B]`, always in the same memory, as a recorded step needs them.
    pub(super) chain_classes: Option<Tensor>,
    pub(super) recorder: StepRecorder,
    pub(super) objective: JointObjective,
    pub(super) schedule: Schedule,
    saved_at: Option<u64>,
    log_seconds: f64,
    went_back_to: Option<u64>,
    log_step: u64,
}

impl Trainer {
    /// A run that goes on from `state`; its folder is this process's own until the trainer is dropped.
    ///
    /// Does what [`set_modes`] does.
    ///
    /// # Errors
    /// When another process trains the run.
    pub fn new(
        experiment: Experiment,
        data: DataSet,
        starter: Starter,
        run: RunDir,
        device: Device,
        state: State,
    ) -> Result<Self> {
        let run = run.claim()?;
        set_modes(&experiment);
        Ok(Self::assemble(experiment, data, starter, run, device, state))
    }

    /// A trainer of what it is made of; of a run that is not claimed it is a trial that makes steps
    /// and writes nothing.
    pub(super) fn assemble(
        experiment: Experiment,
        data: DataSet,
        starter: Starter,
        run: RunDir,
        device: Device,
        state: State,
    ) -> Self {
        let kernel = Langevin::new(&experiment.sampler, experiment.sampler.n_steps);
        Self {
            frozen: sampling::chain_energy(&experiment.sampler, &state.network, kernel.temperature()),
            chains: ChainRunner::new(experiment.train.cuda_graph),
            chain_classes: None,
            recorder: StepRecorder::new(experiment.train.cuda_graph, &experiment.objective),
            objective: JointObjective::new(&experiment.objective),
            schedule: Schedule::new(&experiment.optimizer, experiment.train.steps),
            saved_at: None,
            log_seconds: 0.0,
            went_back_to: None,
            log_step: 0,
            experiment,
            data,
            starter,
            run,
            device,
            state,
            kernel,
        }
    }

    /// The run at this moment.
    pub fn view(&self) -> View<'_> {
        View {
            experiment: &self.experiment,
            data: &self.data,
            starter: &self.starter,
            state: &self.state,
            device: self.device,
        }
    }

    /// Makes the final pictures and tables of a finished run, and records them.
    ///
    /// # Errors
    /// Those of [`Results::make`].
    pub fn results(&self, observer: &mut dyn Observer) -> Result<Results> {
        Results::make(&self.view(), &self.run, observer)
    }

    /// The configuration.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The images.
    pub fn data(&self) -> &DataSet {
        &self.data
    }

    /// Where fresh chains come from.
    pub fn starter(&self) -> &Starter {
        &self.starter
    }

    /// The folder.
    pub fn run_dir(&self) -> &RunDir {
        &self.run
    }

    /// Where tensors live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Everything that changes from step to step.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Goes to the newest undamaged checkpoint, or to the first step where there is none.
    ///
    /// Returns whether there was one, and the errors of those passed over.
    pub fn restore(&mut self) -> Result<(bool, Vec<Error>)> {
        let (found, passed_over) = checkpoint::latest(&self.run, u64::MAX)?;
        Ok((self.take(found)?, passed_over))
    }

    /// Takes over a checkpoint, or the first step where there is none; returns whether there was one.
    fn take(&mut self, found: Option<Sealed<Record>>) -> Result<bool> {
        match &found {
            Some(Sealed { experiment, contents }) => {
                self.state.restore(contents)?;
                checkpoint::ensure_agrees(&self.run, &self.experiment, contents.step, experiment)?;
            }
            None => self.state = State::new(&self.experiment, &self.data, &self.starter, self.device)?,
        }
        self.frozen.refresh(&self.state.network);
        // A new state lies in other memory than what was recorded.
        self.recorder.forget();
        self.saved_at = found.as_ref().map(|c| c.contents.step);
        self.restart_clock();
        Ok(found.is_some())
    }

    /// Trains to the last step, or until `stop` is set; writes metrics, pictures, checkpoints and looks into the run's
    /// folder, and tells `observer`.
    ///
    /// # Errors
    /// When a file cannot be written, or a look finds numbers that are not finite.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome> {
        let journal = &mut Journal::open(&self.view(), &self.run, observer)?;
        self.restart_clock();
        if self.saved_at == Some(self.state.step) && self.state.step > 0 {
            // A kill may have come between this checkpoint and what follows it.
            self.inspect(journal)?;
        }
        while self.state.step < self.experiment.train.steps {
            if stop.load(Ordering::SeqCst) {
                return self.interrupted(journal);
            }
            let clock = Instant::now();
            self.step()?;
            let divergence = self.guarded();
            self.state.seconds += clock.elapsed().as_secs_f64();
            journal.stepped(self.state.step);
            if let Some(notice) = self.take_notice() {
                journal.happened(&Event::Notice(notice))?;
            }
            match divergence {
                None => self.routine(journal)?,
                Some(divergence) => {
                    if !self.roll_back(divergence, journal)? {
                        return Ok(Outcome::Diverged);
                    }
                }
            }
        }
        self.save(journal)?;
        Ok(Outcome::Finished)
    }

    /// What a person should know about how the run computes; each thing once.
    pub fn take_notice(&mut self) -> Option<String> {
        self.chains.take_notice().or_else(|| self.recorder.take_notice())
    }

    /// What follows a good step: a line of metrics, validation and pictures, a checkpoint, each when due.
    fn routine(&mut self, journal: &mut Journal) -> Result<()> {
        let (step, train) = (self.state.step, &self.experiment.train);
        let last = step == train.steps;
        let (log, save) = (
            step.is_multiple_of(train.log_every),
            step.is_multiple_of(train.checkpoint_every),
        );
        if log {
            self.log(journal)?;
        }
        if save || last {
            self.save(journal)?;
        }
        // After the checkpoint: a longer run would not have emptied the sums here.
        if last && !log {
            self.log(journal)?;
        }
        self.inspect(journal)
    }

    fn inspect(&mut self, journal: &mut Journal) -> Result<()> {
        match journal.inspect(&self.view())? {
            Some((metric, value)) => self.keep_if_best(journal, metric, value),
            None => Ok(()),
        }
    }

    fn log(&mut self, journal: &mut Journal) -> Result<()> {
        let line = self.line();
        journal.logged(&line)
    }

    /// Reads the guard's flags when they are due; before something is kept or shown they are
    /// judged, but left as they are.
    fn guarded(&mut self) -> Option<Divergence> {
        let (step, train) = (self.state.step, &self.experiment.train);
        let parameters = self.state.network.parameters();
        if self.state.guard.is_due(step) {
            return self.state.guard.look(step, parameters);
        }
        let kept = step.is_multiple_of(train.checkpoint_every) || step == train.steps;
        let shown = [self.experiment.report.every, self.experiment.evaluate.every];
        if kept || shown.iter().any(|n| *n > 0 && step.is_multiple_of(*n)) {
            self.state.guard.judge_now(step, parameters)
        } else {
            None
        }
    }

    /// Goes back to the last good checkpoint with another sampler seed and a lower learning rate; false when that was tried too often.
    fn roll_back(&mut self, divergence: Divergence, journal: &mut Journal) -> Result<bool> {
        let mut divergences = std::mem::take(&mut self.state.divergences);
        divergences.push(divergence.clone());
        let lr_scale = self.state.lr_scale * self.experiment.guard.lr_factor;
        let tries = divergences.len() as u32;
        if tries > self.experiment.guard.max_rollbacks {
            self.state.divergences = divergences;
            journal.happened(&Event::GaveUp { divergence })?;
            return Ok(false);
        }
        // What diverged again from the same checkpoint goes back behind it.
        let before = self.went_back_to.filter(|s| Some(*s) == self.saved_at && *s > 0);
        let (mut found, passed_over) = checkpoint::latest(&self.run, before.unwrap_or(u64::MAX))?;
        if found.is_none() && before.is_some() {
            found = checkpoint::latest(&self.run, u64::MAX)?.0;
        }
        for error in passed_over {
            journal.happened(&Event::PassedOver(error))?;
        }
        self.take(found)?;
        self.went_back_to = self.saved_at;
        self.state.guard.forgive();
        self.state.divergences = divergences;
        self.state.lr_scale = lr_scale;
        self.state.streams.sampler = self.state.streams.sampler.derive(tries.into());
        journal.happened(&Event::RolledBack {
            divergence,
            to: self.state.step,
            lr_scale,
        })?;
        Ok(true)
    }

    fn interrupted(&mut self, journal: &mut Journal) -> Result<Outcome> {
        // A divergence that is not yet due for reading must not be saved as a good state.
        let good = self.is_good();
        if good {
            self.save(journal)?;
        }
        Ok(Outcome::Interrupted { saved: good })
    }

    /// Whether the guard would find nothing wrong now.
    fn is_good(&self) -> bool {
        let judged = self
            .state
            .guard
            .judge_now(self.state.step, self.state.network.parameters());
        judged.is_none()
    }

    /// Writes a checkpoint unless this step has one.
    fn save(&mut self, journal: &mut Journal) -> Result<()> {
        let step = self.state.step;
        if self.saved_at == Some(step) {
            return Ok(());
        }
        let config = yaml::to_text(&self.experiment);
        checkpoint::write(&self.run, &config, &self.state.contents(), self.experiment.train.keep)?;
        self.saved_at = Some(step);
        journal.happened(&Event::Saved { step })
    }

    fn keep_if_best(&mut self, journal: &mut Journal, metric: String, value: f64) -> Result<()> {
        let better =
            value.is_finite() && checkpoint::best(&self.run)?.is_none_or(|b| b.metric != metric || value > b.value);
        // A divergence that is not yet due for reading must not be kept as the best, nor as anything.
        if !better || !self.is_good() {
            return Ok(());
        }
        self.save(journal)?;
        checkpoint::set_best(
            &self.run,
            &Best {
                step: self.state.step,
                metric,
                value,
            },
        )
    }

    /// The means since the last line, with what is derived from them.
    fn line(&mut self) -> LogLine {
        // The reading waits for steps that the device still works on, and their time is training time.
        let clock = Instant::now();
        let mut values = self.state.meters.read();
        self.state.seconds += clock.elapsed().as_secs_f64();
        if self.experiment.objective.is_cross_entropy() {
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
        let (name, work) = self.work();
        let work = (self.state.step - self.log_step) * work as u64;
        values.push((name, work as f64 / (self.state.seconds - self.log_seconds)));
        values.push(("seconds", self.state.seconds));
        self.restart_clock();
        LogLine {
            step: self.state.step,
            values,
        }
    }

    /// What a step does, in the unit by which its speed is told.
    fn work(&self) -> (&'static str, usize) {
        let train = &self.experiment.train;
        let objective = &self.experiment.objective;
        match objective.uses_chains() && self.state.step > objective.p_x_from {
            true => (
                "images_x_steps_per_second",
                train.batch_size * self.experiment.sampler.n_steps,
            ),
            false => (
                "images_per_second",
                train.labelled_batch_size.unwrap_or(train.batch_size),
            ),
        }
    }

    fn restart_clock(&mut self) {
        self.log_seconds = self.state.seconds;
        self.log_step = self.state.step;
    }
}
