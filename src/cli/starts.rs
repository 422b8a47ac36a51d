//! How a command names where chains start.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::train::ChainStart;

impl ValueEnum for ChainStart {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Noise, Self::Buffer, Self::Data]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Noise => ("noise", "The distribution that fresh chains of the run start from"),
            Self::Buffer => ("buffer", "The persistent chains of the checkpoint"),
            Self::Data => ("data", "Images of the training set"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}
