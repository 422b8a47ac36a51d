//! The passes of a step as a test gives them: tables of numbers, or a network.

use ebm::energy::{Condition, Energy, LiveEnergy, Outputs};
use ebm::objective::{Inputs, Passes};
use tch::Tensor;

/// Outputs by the name of the input; what a test does not ask for is absent.
#[derive(Default)]
pub struct Table {
    pub energies: Vec<(&'static str, Tensor)>,
    pub logits: Vec<(&'static str, Tensor)>,
    /// E(x,y) for whichever classes.
    pub joint: Vec<(&'static str, Tensor)>,
    pub chain_end: Option<Tensor>,
}

/// The sum over a state, for terms that look at the energy itself.
struct Total;

impl Energy for Total {
    fn energy(&self, x: &Tensor) -> Tensor {
        ebm::space::sum_each(x)
    }
}

fn find(table: &[(&'static str, Tensor)], input: &str) -> Tensor {
    let found = table.iter().find(|(name, _)| *name == input);
    found.expect("the table has the input").1.shallow_clone()
}

impl Passes for Table {
    fn energy(&self, input: &str) -> Tensor {
        find(&self.energies, input)
    }

    fn logits(&self, input: &str) -> Tensor {
        find(&self.logits, input)
    }

    fn joint(&self, input: &str, _: &Tensor) -> Tensor {
        find(&self.joint, input)
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        Box::new(Total)
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        Box::new(Total)
    }

    fn chain_end(&self) -> Tensor {
        self.chain_end.as_ref().expect("the table has an end").shallow_clone()
    }

    fn temperature(&self) -> f64 {
        1.0
    }
}

/// The outputs of a network, each input by itself.
pub struct OfNetwork<'a> {
    pub live: &'a LiveEnergy<'a>,
    pub inputs: &'a Inputs,
}

impl Passes for OfNetwork<'_> {
    fn energy(&self, input: &str) -> Tensor {
        self.live.energy(self.inputs.of(input))
    }

    fn logits(&self, input: &str) -> Tensor {
        self.live.raw(self.inputs.of(input))
    }

    fn joint(&self, input: &str, classes: &Tensor) -> Tensor {
        self.live.given(Condition::Class(classes)).energy(self.inputs.of(input))
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        Box::new(self.live)
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        Box::new(self.live)
    }

    fn chain_end(&self) -> Tensor {
        unreachable!("no term here looks at the ends of chains")
    }

    fn temperature(&self) -> f64 {
        1.0
    }
}
