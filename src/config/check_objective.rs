//! Checks of what is minimised: its weights, and what they ask of the network, the chains and the data.

use super::check::Checker;
use super::{Chains, Experiment, Negatives, Output, Replacement};
use crate::error::Result;

impl Experiment {
    pub(super) fn check_objective(&self, c: &Checker) -> Result<()> {
        let o = &self.objective;
        let weights = [
            ("p_x_weight", o.p_x_weight),
            ("p_y_given_x_weight", o.p_y_given_x_weight),
            ("p_x_y_weight", o.p_x_y_weight),
            ("energy_reg", o.energy_reg),
            ("data_noise", o.data_noise),
            ("labelled_noise", o.labelled_noise.unwrap_or(0.0)),
            ("kl_weight", o.kl_weight),
            ("entropy_weight", o.entropy_weight),
        ];
        for (key, value) in weights {
            c.non_negative(&format!("objective.{key}"), value)?;
        }
        c.ensure(
            (0.0..1.0).contains(&o.label_smoothing),
            "objective.label_smoothing",
            o.label_smoothing,
            "a number from 0 to below 1",
        )?;
        if !o.uses_chains() && !o.uses_labels() {
            return c.conflict(
                "objective",
                "all of p_x_weight, p_y_given_x_weight and p_x_y_weight are 0: nothing is left to minimise",
                "give one of them a weight above 0",
            );
        }
        // Steps that are yet to be found from minutes are checked then.
        let early = o.p_x_from < self.train.steps || self.train.minutes.is_some();
        let starts_alone = o.p_x_from == 0 || (o.p_y_given_x_weight > 0.0 && early);
        c.ensure(
            starts_alone,
            "objective.p_x_from",
            o.p_x_from,
            "a step below train.steps, and p_y_given_x_weight above 0 with it",
        )?;
        self.check_classes(c)?;
        self.check_improved_cd(c)
    }

    /// What only a network with classes can do.
    fn check_classes(&self, c: &Checker) -> Result<()> {
        let (o, by_class) = (&self.objective, self.objective.chains == Chains::ByClass);
        let asks = [
            ("objective.p_y_given_x_weight", o.p_y_given_x_weight > 0.0),
            ("objective.p_x_y_weight", o.p_x_y_weight > 0.0),
            ("objective.chains", by_class),
        ];
        for (key, _) in asks.iter().filter(|a| a.1 && self.model.output != Output::Logits) {
            c.conflict(
                key,
                "needs classes, and the network gives one energy an image",
                "use an architecture file with `output: logits`, or leave this key out",
            )?;
        }
        if o.p_x_y_weight > 0.0 && !by_class {
            return c.conflict(
                "objective.p_x_y_weight",
                "needs chains that have a class",
                "set objective.chains: by-class",
            );
        }
        if by_class && o.uses_chains() && o.negatives == Negatives::Data {
            return c.conflict(
                "objective.chains",
                "chains that start from the batch of data have no classes of their own",
                "set objective.negatives: persistent or noise, or objective.chains: joint",
            );
        }
        if by_class && o.uses_buffer() && self.buffer.replacement == Replacement::Reservoir {
            return c.conflict(
                "buffer.replacement",
                "a reservoir does not keep the slots of a class to that class",
                "set buffer.replacement: in-place, or objective.chains: joint",
            );
        }
        if !o.uses_labels() {
            let unused = [
                ("data.labels_per_class", self.data.labels_per_class.is_some()),
                ("data.labelled_augment", self.data.labelled_augment.is_some()),
                ("train.labelled_batch_size", self.train.labelled_batch_size.is_some()),
                ("objective.labelled_noise", o.labelled_noise.is_some()),
                ("objective.label_smoothing", o.label_smoothing > 0.0),
            ];
            for (key, _) in unused.iter().filter(|u| u.1) {
                c.conflict(
                    key,
                    "is of labelled images, and no term of the objective uses labels",
                    "give objective.p_y_given_x_weight a weight above 0, or leave this key out",
                )?;
            }
        }
        Ok(())
    }

    fn check_improved_cd(&self, c: &Checker) -> Result<()> {
        let o = &self.objective;
        let asks = [
            ("objective.kl_weight", o.kl_weight > 0.0),
            ("objective.entropy_weight", o.entropy_weight > 0.0),
        ];
        for (key, _) in asks.iter().filter(|a| a.1) {
            if !o.uses_chains() {
                c.conflict(
                    key,
                    "is of chains, and this objective runs none",
                    "give p_x_weight a weight above 0",
                )?;
            }
        }
        if o.differentiates_chains() && self.sampler.inner.is_some() {
            return c.conflict(
                "sampler.inner",
                "the last step of a chain is differentiated (objective.kl_weight, entropy_weight), and inner steps have no graph",
                "leave sampler.inner out, or both weights",
            );
        }
        if o.entropy_weight > 0.0 && !o.uses_buffer() {
            return c.conflict(
                "objective.entropy_weight",
                "compares chains with those of the buffer, and there is none",
                "set objective.negatives: persistent, or leave the weight out",
            );
        }
        Ok(())
    }
}
