//! What watches a run from the terminal: it writes metrics, events and pictures, and shows how it goes.

use serde_json::json;

use super::monitor::Monitor;
use super::progress::Progress;
use super::results::Drawn;
use super::sample::columns;
use super::{monitor, results};
use crate::error::Result;
use crate::report::{self, Events, MetricsLog};
use crate::train::{Event, LogLine, Observer, Trainer};

/// Writes what a run leaves, and shows how it goes.
pub struct Console {
    metrics: MetricsLog,
    events: Option<Events>,
    progress: Progress,
    monitor: Monitor,
    step: u64,
}

impl Console {
    /// Goes on with the run's records from the step that it is at.
    pub fn open(trainer: &Trainer) -> Result<Self> {
        let (run, step) = (trainer.run_dir(), trainer.state().step);
        let tensorboard = trainer.experiment().report.tensorboard;
        Ok(Self {
            metrics: MetricsLog::resume(&run.metrics(), step)?,
            events: if tensorboard {
                Some(Events::open(run.path(), step)?)
            } else {
                None
            },
            progress: Progress::new(trainer.experiment().train.steps, step),
            monitor: Monitor::default(),
            step,
        })
    }

    /// Ends the progress bar.
    pub fn finish(&self) {
        self.progress.finish();
    }

    fn pictures(&mut self, trainer: &Trainer) -> Result<()> {
        let (run, step) = (trainer.run_dir(), trainer.state().step);
        report::curves(&run.metrics(), &run.path().join("curves.png"))?;
        if !trainer.experiment().objective.uses_chains() {
            return Ok(());
        }
        let network = trainer.state().averaged(trainer.device())?;
        let n = trainer.experiment().report.images as i64;
        let Drawn { images, captions, .. } = results::from_noise(&network, trainer, n, &mut |_| ())?;
        let wide = columns(images.size()[0]);
        let path = run.samples().join(format!("step-{step:06}.png"));
        report::sheet(&images, &captions, wide, &path)?;
        if let Some(events) = &mut self.events {
            events.images(step, "samples", &images, &captions, wide)?;
        }
        Ok(())
    }
}

impl Observer for Console {
    fn stepped(&mut self, step: u64) {
        self.step = step;
        self.progress.at(step);
    }

    fn logged(&mut self, line: &LogLine) -> Result<()> {
        self.progress.show(line);
        self.metrics.scalars(line.step, &line.values)?;
        self.events
            .as_mut()
            .map_or(Ok(()), |e| e.scalars(line.step, &line.values))
    }

    fn happened(&mut self, event: &Event) -> Result<()> {
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
        if e.report.every > 0 && step.is_multiple_of(e.report.every) && step < e.train.steps {
            self.pictures(trainer)?;
        }
        if e.evaluate.every == 0 || !step.is_multiple_of(e.evaluate.every) {
            return Ok(None);
        }
        let quality = self.monitor.look(trainer)?;
        self.progress.quality(step, &quality);
        self.metrics.scalars(step, &quality)?;
        if let Some(events) = &mut self.events {
            events.scalars(step, &quality)?;
        }
        Ok(monitor::best(trainer, &quality))
    }
}
