//! The loop: analysis by synthesis, with metrics, checkpoints, and a way back from divergence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tch::{Device, Tensor};

use super::journal::Journal;
use super::modes::set_modes;
use super::observer::{Event, Observer, Outcome};
use super::recorded_step::StepRecorder;
use super::results::Results;
use super::state::State;
use super::view::View;
use crate::config::yaml;
use crate::data::DataSet;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::models::{FrozenModel, chain_form};
use crate::nn::Mode;
use crate::optim::Schedule;
use crate::run::checkpoint::{self, Best, Sealed};
use crate::run::{Record, RunDir};
use crate::sampling::{ChainRunner, Kernel, SamplerConfig, Starter};

/// A run in progress.
pub struct Trainer {
    pub(super) experiment: Experiment,
    pub(super) data: DataSet,
    pub(super) starter: Starter,
    pub(super) run: RunDir,
    pub(super) device: Device,
    pub(super) state: State,
    pub(super) kernel: Option<Box<dyn Kernel>>,
    /// The interval that the kernel clamps to, if any.
    pub(super) interval: Option<[f64; 2]>,
    pub(super) temperature: f64,
    pub(super) runs_chains: bool,
    /// The step whose terms are computed.
    pub(super) step_in_work: u64,
    pub(super) frozen: Box<dyn FrozenModel>,
    pub(super) chains: ChainRunner,
    /// The classes of a step's chains, `[B]`, always in the same memory, as a recorded step needs them.
    pub(super) chain_classes: Option<Tensor>,
    pub(super) recorder: StepRecorder,
    pub(super) schedule: Schedule,
    pub(super) saved_at: Option<u64>,
    pub(super) log_seconds: f64,
    pub(super) went_back_to: Option<u64>,
    pub(super) log_step: u64,
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
        let sampler = experiment.sampler.as_ref();
        let kernel = sampler.map(SamplerConfig::kernel_of_training);
        let (temperature, mode) = (
            experiment.temperature(),
            sampler.map_or(Mode::Eval, |s| s.network_mode.mode()),
        );
        Self {
            frozen: state.model.freeze(chain_form(&experiment.compute, mode, temperature)),
            interval: kernel.as_ref().and_then(|kernel| kernel.facts().interval),
            temperature,
            runs_chains: experiment.runs_chains(),
            step_in_work: state.step,
            chains: ChainRunner::new(experiment.train.cuda_graph),
            chain_classes: None,
            recorder: StepRecorder::new(experiment.train.cuda_graph),
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
    pub(super) fn take(&mut self, found: Option<Sealed<Record>>) -> Result<bool> {
        match &found {
            Some(Sealed { experiment, contents }) => {
                self.state.restore(contents)?;
                checkpoint::ensure_agrees(&self.run, &self.experiment, contents.step, experiment)?;
            }
            None => self.state = State::new(&self.experiment, &self.data, &self.starter, self.device)?,
        }
        self.frozen.refresh(&*self.state.model);
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
                None => self.after_step(journal)?,
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
    fn after_step(&mut self, journal: &mut Journal) -> Result<()> {
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

    fn interrupted(&mut self, journal: &mut Journal) -> Result<Outcome> {
        // A divergence that is not yet due for reading must not be saved as a good state.
        let good = self.is_good();
        if good {
            self.save(journal)?;
        }
        Ok(Outcome::Interrupted { saved: good })
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
}
