//! What a run writes into its folder as it goes: metrics, events, pictures, looks of the quality
//! monitor.

use serde_json::json;

use super::density;
use super::draws::from_noise;
use super::looks::Looks;
use super::monitor::{Decider, Monitor};
use super::observer::{Event, LogLine, Observer};
use super::view::View;
use crate::error::Result;
use crate::report::{self, Events, MetricsLog};
use crate::run::RunDir;

/// The records of a run; whoever watches it is told what was written.
pub(super) struct Journal<'a> {
    observer: &'a mut dyn Observer,
    metrics: MetricsLog,
    events: Option<Events>,
    run: RunDir,
    monitor: Monitor,
    step: u64,
    /// Whether a step was made since the last inspection; what was recorded before a restart is not
    /// made again.
    stepped: bool,
}

impl<'a> Journal<'a> {
    /// Goes on with the run's records from the step that it is at, and settles which checkpoint is
    /// the best so far.
    pub fn open(view: &View, run: &RunDir, observer: &'a mut dyn Observer) -> Result<Self> {
        let (e, step) = (view.experiment, view.state.step);
        let metrics = MetricsLog::resume(&run.file("metrics.jsonl")?, step)?;
        Looks::read(run, e)?.settle_best(run, step)?;
        Ok(Self {
            observer,
            metrics,
            events: match e.report.tensorboard {
                true => Some(Events::open(run.path(), step)?),
                false => None,
            },
            run: run.clone(),
            monitor: Monitor::default(),
            step,
            stepped: false,
        })
    }

    /// A step was made.
    pub fn stepped(&mut self, step: u64) {
        (self.step, self.stepped) = (step, true);
        self.observer.stepped(step);
    }

    /// A line of metrics is due.
    pub fn logged(&mut self, line: &LogLine) -> Result<()> {
        self.run.ensure_own()?;
        self.observer.logged(line);
        self.metrics.scalars(line.step, &line.values)?;
        self.events
            .as_mut()
            .map_or(Ok(()), |e| e.scalars(line.step, &line.values))
    }

    /// Something happened.
    pub fn happened(&mut self, event: &Event) -> Result<()> {
        self.run.ensure_own()?;
        self.observer.happened(event);
        match event {
            Event::Saved { step } => self.metrics.event(*step, "checkpoint", &[]),
            Event::Notice(text) => self.metrics.event(self.step, "notice", &[("text", json!(text))]),
            Event::PassedOver(error) => {
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
                let details = [
                    ("to", json!(to)),
                    ("lr_scale", json!(lr_scale)),
                    ("divergence", json!(divergence)),
                ];
                self.metrics.event(divergence.step, "rollback", &details)?;
                self.events.as_mut().map_or(Ok(()), |e| e.go_back(*to))
            }
            // Last of all: the line says that the look was made.
            Event::Looked { step, quality } => {
                if let Some(events) = &mut self.events {
                    events.scalars(*step, quality)?;
                }
                self.metrics.scalars(*step, quality)
            }
        }
    }

    /// Draws and measures what is due after a step; gives back what decides which checkpoint is the
    /// best, by name, where it was measured (higher is better).
    ///
    /// To be called before the first step of a run that goes on, too: a kill may have come between a
    /// checkpoint and what follows it. What was recorded then is not measured again.
    pub fn inspect(&mut self, view: &View) -> Result<Option<(String, f64)>> {
        let (step, e) = (view.state.step, view.experiment);
        let new = std::mem::take(&mut self.stepped);
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        if due(e.report.every) && step < e.train.steps {
            let drawn = !new && self.run.path().join(picture(step)).exists();
            if !drawn {
                self.draw(view)?;
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
        let quality = self.monitor.look(view)?;
        let decided = Decider::of(e).pick(&quality);
        self.happened(&Event::Looked { step, quality })?;
        Ok(decided)
    }

    fn draw(&mut self, view: &View) -> Result<()> {
        let (e, step) = (view.experiment, view.state.step);
        // Before the first line of metrics there is no curve.
        if step >= e.train.log_every {
            report::curves(&self.run.metrics(), &self.run.file("curves.png")?)?;
        }
        let picture = self.run.file(&picture(step))?;
        if e.space().image().is_none() {
            return density::of_run(view, &picture, &mut |_| ());
        }
        if !e.synthesises() {
            return Ok(());
        }
        let n = e.report.images as i64;
        let drawn = from_noise(&*view.averaged()?, view, n, &mut |_| ())?;
        let (images, captions) = (drawn.images(), drawn.captions);
        let wide = report::columns(n);
        if let Some(events) = &mut self.events {
            events.images(step, "samples", &images, &captions, wide)?;
        }
        // The last thing: where it is there, all of this was done.
        report::sheet(&images, &captions, wide, &picture)
    }
}

/// The grid along the way, in the run's folder.
fn picture(step: u64) -> String {
    format!("samples/step-{step:06}.png")
}
