//! What the terms of an objective ask of a step.

use super::inputs::name;
use crate::sampling::ChainClasses;

/// What a term, or all terms together, ask of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asks {
    /// A batch of data.
    pub data: bool,
    /// A batch of labelled states, and a network with classes.
    pub labels: bool,
    /// States that chains end in.
    pub chains: bool,
    /// That these chains start where the term says: at most one term of a step does.
    pub own_chains: bool,
    /// That they start from a generator, which learns from them while other terms train the energy.
    pub generator: bool,
    /// Which classes these chains must have; whatever they have, unless given.
    pub chain_classes: Option<ChainClasses>,
    /// The chains' last step with a graph behind it.
    pub chain_end: bool,
    /// Other chains of the replay buffer.
    pub neighbours: bool,
    /// A model that takes levels of noise, from the first of these to the second.
    pub levels: Option<[f64; 2]>,
    /// The inputs whose outputs are computed together, where states do not see each other.
    pub passes: Vec<&'static str>,
}

/// The order in which a network sees what steps are usually made of; others follow.
const FIRST: [&str; 3] = [name::DATA, name::NEGATIVES, name::LABELLED];

impl Asks {
    /// A batch of data and nothing else.
    pub fn of_data() -> Self {
        Self {
            data: true,
            ..Self::default()
        }
    }

    /// What both ask for.
    pub fn and(mut self, other: &Self) -> Self {
        self.data |= other.data;
        self.labels |= other.labels;
        self.chains |= other.chains;
        self.own_chains |= other.own_chains;
        self.generator |= other.generator;
        self.chain_classes = self.chain_classes.or(other.chain_classes);
        self.chain_end |= other.chain_end;
        self.neighbours |= other.neighbours;
        self.levels = match (self.levels, other.levels) {
            (Some(a), Some(b)) => Some([a[0].min(b[0]), a[1].max(b[1])]),
            (a, b) => a.or(b),
        };
        self.passes.extend(&other.passes);
        let all = std::mem::take(&mut self.passes);
        for input in FIRST.iter().filter(|first| all.contains(first)).chain(&all) {
            if !self.passes.contains(input) {
                self.passes.push(input);
            }
        }
        self
    }
}
