//! What watches a run from the terminal: it writes metrics, events and pictures, and shows how it goes.

use serde_json::json;

use super::looks::Looks;
use super::monitor::{Decider, Monitor};
use super::progress::Progress;
use super::results::{self, Drawn};
use crate::error::Result;
use crate::report::{self, Events, MetricsLog};
use crate::train::{Event, LogLine, Observer, RunDir, Trainer};

/// Writes what a run leaves, and shows how it goes.
pub struct Console {
    metrics: MetricsLog,
    events: Option<Events>,
    progress: Progress,
    run: RunDir,
    monitor: Monitor,
    step: u64,
    /// Whether a step was made since the last inspection; what was recorded before a restart is not
    /// made again.
    stepped: bool,
}

impl Console {
    /// Goes on with the run's records from the step that it is at, and settles which checkpoint is
    /// the best so far.
    pub fn open(trainer: &Trainer) -> Result<Self> {
        let (run, step) = (trainer.run_dir(), trainer.state().step);
        let tensorboard = trainer.experiment().report.tensorboard;
        let metrics = MetricsLog::resume(&run.file("metrics.jsonl")?, step)?;
        Looks::read(run, trainer.experiment())?.settle_best(run, step)?;
        Ok(Self {
            metrics,
            events: if tensorboard {
                Some(Events::open(run.path(), step)?)
            } else {
                None
            },
            progress: Progress::new(trainer.experiment().train.steps, step),
            run: run.clone(),
            monitor: Monitor::default(),
            step,
            stepped: false,
        })
    }

    /// Ends the progress bar.
    pub fn finish(&self) {
        self.progress.finish();
    }

    fn pictures(&mut self, trainer: &Trainer) -> Result<()> {
        let (run, step) = (trainer.run_dir(), trainer.state().step);
        // Before the first line of metrics there is no curve.
        if step >= trainer.experiment().train.log_every {
            report::curves(&run.metrics(), &run.file("curves.png")?)?;
        }
        if !trainer.experiment().objective.uses_chains() {
            return Ok(());
        }
        let network = trainer.state().averaged(trainer.device())?;
        let n = trainer.experiment().report.images as i64;
        let Drawn { images, captions, .. } = results::from_noise(&network, trainer, n, &mut |_| ())?;
        let wide = report::columns(images.size()[0]);
        if let Some(events) = &mut self.events {
            events.images(step, "samples", &images, &captions, wide)?;
        }
        // The last thing: where it is there, all of this was done.
        report::sheet(&images, &captions, wide, &run.file(&picture(step))?)
    }

    /// Measures how good the model is by now; the line of metrics comes last, and says that it was
    /// done.
    fn look(&mut self, trainer: &Trainer) -> Result<Option<(String, f64)>> {
        let step = trainer.state().step;
        let quality = self.monitor.look(trainer)?;
        self.progress.quality(step, &quality);
        if let Some(events) = &mut self.events {
            events.scalars(step, &quality)?;
        }
        self.run.ensure_own()?;
        self.metrics.scalars(step, &quality)?;
        Ok(Decider::of(trainer.experiment()).pick(&quality))
    }
}

/// The grid along the way, in the run's folder.
fn picture(step: u64) -> String {
    format!("samples/step-{step:06}.png")
}

impl Observer for Console {
    fn stepped(&mut self, step: u64) {
        self.step = step;
        self.stepped = true;
        self.progress.at(step);
    }

    fn logged(&mut self, line: &LogLine) -> Result<()> {
        self.run.ensure_own()?;
        self.progress.show(line);
        self.metrics.scalars(line.step, &line.values)?;
        self.events
            .as_mut()
            .map_or(Ok(()), |e| e.scalars(line.step, &line.values))
    }

    fn happened(&mut self, event: &Event) -> Result<()> {
        self.run.ensure_own()?;
        match event {
            Event::Saved { step } => self.metrics.event(*step, "checkpoint", &[]),
            Event::Notice(text) => {
                self.progress.say(&format!("notice: {text}"));
                self.metrics.event(self.step, "notice", &[("text", json!(text))])
            }
            Event::PassedOver(error) => {
                self.progress.say(&format!("warning: passed over: {error}"));
                self.metrics
                    .event(self.step, "passed over", &[("error", json!(error.to_string()))])
            }
            Event::GaveUp { divergence } => {
                self.metrics
                    .event(divergence.step, "diverged", &[("divergence", json!(divergence))])
            }
            Event::RolledBack {
                divergence,
                to,
                lr_scale,
            } => {
                self.progress.say(&format!(
                    "diverged {divergence}; going back to step {to} with the learning rate times {lr_scale}"
                ));
                let details = [
                    ("to", json!(to)),
                    ("lr_scale", json!(lr_scale)),
                    ("divergence", json!(divergence)),
                ];
                self.metrics.event(divergence.step, "rollback", &details)?;
                self.events.as_mut().map_or(Ok(()), |e| e.go_back(*to))
            }
        }
    }

    fn inspect(&mut self, trainer: &Trainer) -> Result<Option<(String, f64)>> {
        let (step, e) = (trainer.state().step, trainer.experiment());
        let new = std::mem::take(&mut self.stepped);
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        if due(e.report.every) && step < e.train.steps {
            let drawn = !new && self.run.path().join(picture(step)).exists();
            if !drawn {
                self.pictures(trainer)?;
            }
        }
        if !due(e.evaluate.every) {
            return Ok(None);
        }
        if !new {
            let looks = Looks::read(&self.run, e)?;
            if looks.has(step) {
                return Ok(looks.at(step));
            }
        }
        self.look(trainer)
    }
}
