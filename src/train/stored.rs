//! The state of a run as checkpoints hold it.

use std::collections::BTreeMap;

use tch::Tensor;

use super::labelled::Labelled;
use super::meters::Counts;
use super::state::{State, named};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::run::checkpoint::{Contents, TERMS_EMA};
use crate::run::{Record, Streams};

impl State {
    /// What a checkpoint of this moment holds.
    pub fn contents(&self) -> Contents<Record> {
        let (sums, counts) = self.meters.state();
        let (flags, guard) = self.guard.state();
        let mut tensors = BTreeMap::new();
        tensors.insert("weights".to_owned(), named(self.model.state()));
        tensors.insert("optimizer".to_owned(), named(self.optimizer.state()));
        tensors.insert(
            "meters".to_owned(),
            named(vec![("sums".to_owned(), sums), ("guard".to_owned(), flags)]),
        );
        if let Some(ema) = &self.ema {
            tensors.insert("ema".to_owned(), named(ema.state()));
        }
        if let Some(buffer) = &self.buffer {
            tensors.insert("buffer".to_owned(), named(buffer.state()));
        }
        let own = detached(self.terms.parameters());
        if !own.is_empty() {
            tensors.insert("objective".to_owned(), named(own));
        }
        if let Some(ema) = &self.terms_ema {
            tensors.insert(TERMS_EMA.to_owned(), named(ema.state()));
        }
        if let Some(warm_up) = &self.warm_up {
            tensors.insert("warm_up".to_owned(), named(warm_up.state()));
        }
        let record = Record {
            streams: self.streams.clone(),
            batches: self.batches.state(),
            labelled: self.labelled.as_ref().map(Labelled::state),
            meters: counts.steps,
            chain_meters: (counts.chains != counts.steps).then_some(counts.chains),
            guard: guard.clone(),
            lr_scale: self.lr_scale,
            divergences: self.divergences.clone(),
            seconds: self.seconds,
        };
        Contents {
            step: self.step,
            tensors,
            record,
        }
    }

    /// Goes back (or on) to a checkpoint.
    ///
    /// # Errors
    /// When it is of another architecture or configuration; the state is not to be used then.
    pub fn restore(&mut self, contents: &Contents<Record>) -> Result<()> {
        let place = format!("checkpoint of step {}", contents.step);
        self.model.load(part(contents, "weights")?, &place)?;
        self.optimizer.load_state(part(contents, "optimizer")?, &place)?;
        if let Some(ema) = &mut self.ema {
            ema.load_state(part(contents, "ema")?, &place)?;
        }
        if let Some(buffer) = &mut self.buffer {
            buffer.load_state(part(contents, "buffer")?, &place)?;
        }
        self.restore_terms(contents, &place)?;
        let record = &contents.record;
        let (sums, flags) = (self.meters.state().0, self.guard.state().0);
        let expected = [("guard".to_owned(), flags), ("sums".to_owned(), sums)];
        let meters = part(contents, "meters")?;
        files::check_same(&expected, meters, &place)?;
        let counts = Counts {
            steps: record.meters,
            chains: record.chain_meters.unwrap_or(record.meters),
        };
        self.meters.restore(&meters["sums"], counts);
        self.guard.restore(&meters["guard"], record.guard.clone());
        self.batches.restore(&record.batches)?;
        if let Some(labelled) = &mut self.labelled {
            let state = record
                .labelled
                .as_ref()
                .ok_or_else(|| absent(&place, "state of labelled batches"))?;
            labelled.restore(state)?;
        }
        let streams = record.streams.clone();
        self.streams = match streams.objective.is_of(&self.streams.objective) {
            true => streams,
            // A checkpoint of an earlier version has no such stream.
            false => Streams {
                objective: self.streams.objective.clone(),
                ..streams
            },
        };
        self.step = contents.step;
        self.lr_scale = record.lr_scale;
        self.divergences.clone_from(&record.divergences);
        self.seconds = record.seconds;
        Ok(())
    }

    /// Takes over the parameters of the terms and the warm-up of a checkpoint.
    fn restore_terms(&mut self, contents: &Contents<Record>, place: &str) -> Result<()> {
        if !self.terms.parameters().is_empty() {
            self.terms.load(part(contents, "objective")?, place)?;
        }
        if let Some(ema) = &mut self.terms_ema {
            ema.load_state(part(contents, TERMS_EMA)?, place)?;
        }
        if let Some(warm_up) = &mut self.warm_up {
            warm_up.load_state(part(contents, "warm_up")?, place)?;
        }
        Ok(())
    }
}

fn detached(tensors: Vec<(String, Tensor)>) -> Vec<(String, Tensor)> {
    tensors.into_iter().map(|(name, t)| (name, t.detach())).collect()
}

/// The tensors of one file of a checkpoint.
fn part<'a>(contents: &'a Contents<Record>, stem: &str) -> Result<&'a Named> {
    contents.tensors.get(stem).ok_or_else(|| {
        absent(
            &format!("checkpoint of step {}", contents.step),
            &format!("{stem}.safetensors"),
        )
    })
}

fn absent(place: &str, what: &str) -> Error {
    Error::input(
        place,
        format!("has no {what}"),
        "resume with the configuration that the run was made with",
    )
}
