//! Checks of what is minimised, and of what it asks of the network, the chains and the data.

use super::Experiment;
use crate::config::{Checker, yaml};
use crate::error::Result;
use crate::objective::Asks;
use crate::sampling::replay::Replacement;
use crate::sampling::{ChainClasses, SamplerConfig, Start};

impl Experiment {
    pub(super) fn check_objective(&self, c: &Checker) -> Result<()> {
        self.objective.check(&c.at("objective"))?;
        let Some(first) = self.objective.first_step() else {
            return c.conflict(
                "objective",
                "no term is named with a weight above 0: nothing is left to minimise",
                "name one, such as contrastive: {}",
            );
        };
        c.ensure(
            first == 0,
            "objective",
            format!("a first step of {first}, before which no term counts,"),
            "one term that counts from step 0, such as cross-entropy",
        )?;
        // Steps that are yet to be found from minutes are checked then.
        let from = self.objective.chains_from();
        if let Some((term, other)) = self.objective.chains_begin_apart() {
            return c.conflict(
                &format!("objective.{term}.from"),
                &format!("is not that of {other}, and terms of chains begin together, with the chains"),
                "give all terms of chains the same `from`",
            );
        }
        c.ensure(
            from == 0 || from < self.train.steps || self.train.minutes.is_some(),
            "objective",
            format!("a term of chains from step {from} on"),
            "a step below train.steps",
        )?;
        for (term, asks) in self.objective.asks_by_term() {
            let key = format!("objective.{term}");
            self.check_labelled(c, &key, &asks)?;
            self.check_levels(c, &key, asks.levels)?;
            self.check_chains_of(c, &key, &asks)?;
        }
        self.check_recovery(c)?;
        self.check_marginal(c)?;
        self.check_unlabelled(c)
    }

    /// What a term of labels needs.
    fn check_labelled(&self, c: &Checker, key: &str, asks: &Asks) -> Result<()> {
        if !asks.labels || self.model.has_classes() {
            return Ok(());
        }
        c.conflict(
            key,
            "needs classes, and the model gives one energy for each state",
            "use a model of classes, such as a network with `output: logits`, or leave this term out",
        )
    }

    /// What a term of chains needs.
    fn check_chains_of(&self, c: &Checker, key: &str, asks: &Asks) -> Result<()> {
        if !asks.chains {
            return Ok(());
        }
        let Some(sampler) = &self.sampler else {
            return c.conflict(
                key,
                "needs chains, and nothing says how they move",
                "give a section such as sampler: {kernel: {langevin: {step_size: 1}}, n_steps: 20}, or choose a term without chains",
            );
        };
        self.check_classes_of(c, sampler)?;
        self.check_own_chains(c, key, asks, sampler)?;
        self.check_generator(c, key, asks)?;
        match asks.chain_classes {
            Some(ChainClasses::Kept) if sampler.classes != ChainClasses::Kept => c.conflict(
                key,
                "is of -log p(x|y), which needs chains that keep their class",
                "set sampler.classes: kept",
            ),
            Some(ChainClasses::Drawn) if sampler.classes != ChainClasses::Drawn => c.conflict(
                key,
                "is of -log p(x,y), which needs chains that draw their class as well",
                "set sampler.classes: drawn, or use the term conditional with sampler.classes: kept",
            ),
            _ => self.check_chain_end(c, key, asks, sampler),
        }
    }

    /// A term that starts the chains itself leaves nothing for the sampler to say of that.
    fn check_own_chains(&self, c: &Checker, key: &str, asks: &Asks, sampler: &SamplerConfig) -> Result<()> {
        if !asks.own_chains {
            return Ok(());
        }
        let other = self.objective.asks_by_term().into_iter().find(|(term, other)| {
            let same = key == format!("objective.{term}");
            !same && (other.own_chains || other.chain_end)
        });
        if let Some((other, _)) = other {
            let what = format!("starts the chains itself, and {other} asks for others");
            return c.conflict(key, &what, "leave one of the two out");
        }
        if sampler.start != Start::Noise {
            return c.conflict(
                "sampler.start",
                &format!("says where chains start, and {key} starts them itself"),
                "set sampler.start: noise, which keeps no buffer",
            );
        }
        if sampler.classes != ChainClasses::None {
            return c.conflict(
                "sampler.classes",
                &format!("gives chains classes, and those of {key} have none"),
                "leave it out",
            );
        }
        Ok(())
    }

    /// A generator follows the chains, and they an energy that another term has to train.
    fn check_generator(&self, c: &Checker, key: &str, asks: &Asks) -> Result<()> {
        let others = self.objective.asks_by_term();
        let trained = others.into_iter().any(|(_, other)| !other.generator && other.data);
        if !asks.generator || trained {
            return Ok(());
        }
        c.conflict(
            key,
            "trains a generator alone, whose chains follow an energy that no term trains",
            "name contrastive as well",
        )
    }

    /// What a term that is differentiated through the last step of chains needs.
    fn check_chain_end(&self, c: &Checker, key: &str, asks: &Asks, sampler: &SamplerConfig) -> Result<()> {
        let kernel = sampler.kernel.build(sampler.n_steps);
        if asks.chain_end && kernel.with_graph().is_none() {
            let what = format!(
                "differentiates the last step of a chain, and those of the sampler's kernel `{}` have no graph{}",
                sampler.kernel.word(),
                if kernel.facts().needs == crate::sampling::Needs::Stages {
                    " (inner)"
                } else {
                    ""
                }
            );
            return c.conflict(
                key,
                &what,
                "choose the kernel langevin without inner steps, or leave this term out",
            );
        }
        if asks.chain_end && sampler.classes == ChainClasses::Drawn {
            return c.conflict(
                key,
                "differentiates the last step of a chain, and one that draws its class draws it in that step",
                "set sampler.classes: none or kept, or leave this term out",
            );
        }
        let alone = !self.objective.asks().data && !self.objective.asks().labels;
        if asks.chain_end && alone {
            return c.conflict(
                key,
                "stands beside a term of the data, and there is none",
                "name contrastive as well",
            );
        }
        if asks.neighbours && sampler.start != Start::Persistent {
            return c.conflict(
                key,
                "compares chains with those of the buffer, and there is none",
                "set sampler.start: persistent, or leave this term out",
            );
        }
        Ok(())
    }

    /// What chains of classes rule out.
    fn check_classes_of(&self, c: &Checker, sampler: &SamplerConfig) -> Result<()> {
        let (kept, drawn) = (
            sampler.classes == ChainClasses::Kept,
            sampler.classes == ChainClasses::Drawn,
        );
        if (kept || drawn) && !self.model.has_classes() {
            return c.conflict(
                "sampler.classes",
                "needs classes, and the model gives one energy for each state",
                "use a model of classes, such as a network with `output: logits`, or leave this key out",
            );
        }
        if kept && matches!(sampler.start, Start::Data | Start::Halves) {
            return c.conflict(
                "sampler.classes",
                "chains that start from the batch of data have no classes of their own",
                "set sampler.start: persistent or noise, or sampler.classes: none or drawn",
            );
        }
        if kept && self.uses_buffer() && self.buffer.replacement == Replacement::Reservoir {
            return c.conflict(
                "buffer.replacement",
                "a reservoir does not keep the slots of a class to that class",
                "set buffer.replacement: in-place, or sampler.classes: none or drawn",
            );
        }
        if drawn && sampler.kernel.build(1).has_temperatures() {
            return c.conflict(
                &format!("sampler.kernel.{}", sampler.kernel.word()),
                "goes through temperatures, and classes are drawn from softmax(-E(x,y)), at temperature 1",
                "choose a kernel of one temperature, or set sampler.classes: none or kept",
            );
        }
        if drawn && given_temperature(sampler).is_some_and(|t| t != 1.0) {
            return c.conflict(
                &format!("sampler.kernel.{}.temperature", sampler.kernel.word()),
                "classes are drawn from softmax(-E(x,y)), and E(x) sums over them, at temperature 1",
                "leave it out, or set sampler.classes: none or kept",
            );
        }
        Ok(())
    }

    /// The contrast of E(x) is right for chains that follow p(x).
    fn check_marginal(&self, c: &Checker) -> Result<()> {
        let kept = self.chain_classes() == ChainClasses::Kept;
        if self.objective.contrastive.is_none() || !kept || self.model.has_one_class() {
            return Ok(());
        }
        c.conflict(
            "objective.contrastive",
            "is of -log p(x), and chains that keep their class follow p(x|y): they are spread over the classes as the labels are, p(x) as the model's own p(y) is",
            "set sampler.classes: none or drawn; or name conditional in its place",
        )
    }

    /// What has a use only where labelled states are drawn.
    fn check_unlabelled(&self, c: &Checker) -> Result<()> {
        if self.uses_labels() {
            return Ok(());
        }
        let unused = [
            ("data.labels_per_class", self.data.labels_per_class.is_some()),
            ("data.labelled_augment", self.data.labelled_augment.is_some()),
            ("data.labelled_noise", self.data.labelled_noise.is_some()),
            ("train.labelled_batch_size", self.train.labelled_batch_size.is_some()),
        ];
        for (key, _) in unused.iter().filter(|u| u.1) {
            c.conflict(
                key,
                "is of labelled states, and no term of the objective uses labels",
                "name the term cross-entropy, or leave this key out",
            )?;
        }
        Ok(())
    }
}

/// The temperature that the kernel's section gives by name; none where it is implied.
fn given_temperature(sampler: &SamplerConfig) -> Option<f64> {
    let kernel = yaml::to_value(&sampler.kernel);
    kernel.get(sampler.kernel.word().as_str())?.get("temperature")?.as_f64()
}
