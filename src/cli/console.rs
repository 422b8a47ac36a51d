//! What shows a run on the terminal.

use super::progress::{Progress, say};
use crate::data;
use crate::error::shown;
use crate::eval::OodSet;
use crate::train::{Event, LogLine, Making, Observer, Trainer, fit_words};

/// Shows how a run goes.
pub struct Console {
    progress: Progress,
    /// How the sets of the table are fitted, a line each.
    fits: Vec<String>,
}

impl Console {
    /// Begins at the step that the run is at.
    pub fn new(trainer: &Trainer) -> Self {
        let e = trainer.experiment();
        let sets = e.evaluate.ood.iter().filter_map(OodSet::data);
        Self {
            progress: Progress::new(e.train.steps, trainer.state().step),
            fits: sets
                .map(|set| format!("{}: {}", shown(&data::name(set)), fit_words(e, set)))
                .collect(),
        }
    }

    /// Ends the progress bar.
    pub fn finish(&self) {
        self.progress.finish();
    }
}

impl Observer for Console {
    fn stepped(&mut self, step: u64) {
        self.progress.at(step);
    }

    fn logged(&mut self, line: &LogLine) {
        self.progress.show(line);
    }

    fn happened(&mut self, event: &Event) {
        match event {
            Event::Saved { .. } | Event::GaveUp { .. } => {}
            Event::Notice(text) => self.progress.say(&format!("notice: {text}")),
            Event::PassedOver(error) => self.progress.say(&format!("warning: passed over: {error}")),
            Event::Looked { step, quality } => self.progress.quality(*step, quality),
            Event::RolledBack {
                divergence,
                to,
                lr_scale,
            } => self.progress.say(&format!(
                "diverged {divergence}; going back to step {to} with the learning rate times {lr_scale}"
            )),
        }
    }

    fn making(&mut self, what: &Making) {
        match *what {
            Making::Images { step: 0, of } => {
                say("drawing by fresh chains ...");
                self.progress = Progress::new(of, 0);
            }
            Making::Images { step, of } => {
                self.progress.at(step);
                if step == of {
                    self.progress.finish();
                }
            }
            Making::Energies => {
                say("computing energies for the out-of-distribution table ...");
                self.fits.iter().for_each(|line| say(line));
            }
        }
    }
}
