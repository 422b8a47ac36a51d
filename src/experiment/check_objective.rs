//! Checks of what is minimised: its weights, and what they ask of the network, the chains and the data.

use super::Experiment;
use crate::buffer::Replacement;
use crate::config::Checker;
use crate::error::Result;
use crate::nn::{Layer, Output};
use crate::objective::{Chains, Negatives};

impl Experiment {
    pub(super) fn check_objective(&self, c: &Checker) -> Result<()> {
        let o = &self.objective;
        let weights = [
            ("p_x_weight", o.p_x_weight),
            ("p_y_given_x_weight", o.p_y_given_x_weight),
            ("p_x_given_y_weight", o.p_x_given_y_weight),
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
                "the weights of p(x), p(y|x), p(x|y) and p(x,y) are all 0: nothing is left to minimise",
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
        let o = &self.objective;
        let asks = [
            ("objective.p_y_given_x_weight", o.p_y_given_x_weight > 0.0),
            ("objective.p_x_given_y_weight", o.p_x_given_y_weight > 0.0),
            ("objective.p_x_y_weight", o.p_x_y_weight > 0.0),
            ("objective.chains", o.chains != Chains::Marginal),
        ];
        for (key, _) in asks.iter().filter(|a| a.1 && self.model.output != Output::Logits) {
            c.conflict(
                key,
                "needs classes, and the network gives one energy an image",
                "use an architecture file with `output: logits`, or leave this key out",
            )?;
        }
        self.check_terms(c)?;
        self.check_chains(c)?;
        self.check_labels(c)
    }

    /// Each term is right for chains of one distribution alone.
    fn check_terms(&self, c: &Checker) -> Result<()> {
        let o = &self.objective;
        if o.p_x_given_y_weight > 0.0 && o.chains != Chains::ByClass {
            return c.conflict(
                "objective.p_x_given_y_weight",
                "is of -log p(x|y), which needs chains that keep their class",
                "set objective.chains: by-class",
            );
        }
        if o.p_x_y_weight > 0.0 && o.chains != Chains::WithClass {
            return c.conflict(
                "objective.p_x_y_weight",
                "is of -log p(x,y), which needs chains that draw their class as well",
                "set objective.chains: with-class, or use p_x_given_y_weight with chains: by-class",
            );
        }
        if o.p_x_weight > 0.0 && o.chains == Chains::ByClass && !self.has_one_class() {
            return c.conflict(
                "objective.p_x_weight",
                "is of -log p(x), and chains that keep their class follow p(x|y): they are spread over the classes as the labels are, p(x) as the model's own p(y) is",
                "set objective.chains: marginal or with-class; or p_x_weight: 0, with p_x_given_y_weight in its place",
            );
        }
        Ok(())
    }

    /// Whether E(x,y) and E(x) are the same: there is one class alone.
    fn has_one_class(&self) -> bool {
        matches!(self.model.layers.last(), Some(Layer::Linear(last)) if last.out == 1)
    }

    /// What chains of classes rule out.
    fn check_chains(&self, c: &Checker) -> Result<()> {
        let o = &self.objective;
        let (by_class, with_class) = (o.chains == Chains::ByClass, o.chains == Chains::WithClass);
        if by_class && o.uses_chains() && o.negatives == Negatives::Data {
            return c.conflict(
                "objective.chains",
                "chains that start from the batch of data have no classes of their own",
                "set objective.negatives: persistent or noise, or objective.chains: marginal or with-class",
            );
        }
        if by_class && o.uses_buffer() && self.buffer.replacement == Replacement::Reservoir {
            return c.conflict(
                "buffer.replacement",
                "a reservoir does not keep the slots of a class to that class",
                "set buffer.replacement: in-place, or objective.chains: marginal or with-class",
            );
        }
        if with_class && o.differentiates_chains() {
            return c.conflict(
                "objective.chains",
                "the last step of a chain is differentiated (objective.kl_weight, entropy_weight), and one with-class draws its class in that step",
                "set objective.chains: marginal or by-class, or leave both weights out",
            );
        }
        let temperature = self.sampler.temperature.unwrap_or(1.0);
        if with_class && o.uses_chains() && temperature != 1.0 {
            return c.conflict(
                "sampler.temperature",
                "classes are drawn from softmax(-E(x,y)), and E(x) sums over them, at temperature 1",
                "leave it out, or set objective.chains: marginal or by-class",
            );
        }
        Ok(())
    }

    /// What has a use only where labelled images are drawn.
    fn check_labels(&self, c: &Checker) -> Result<()> {
        let o = &self.objective;
        if o.uses_labels() {
            return Ok(());
        }
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
