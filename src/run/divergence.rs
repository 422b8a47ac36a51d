//! A divergence as the records of a run hold it: what the guard saw and why it counts.

use serde::{Deserialize, Serialize};

/// What a look at the flags saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Largest |E| since the last look; not finite where an energy was not.
    #[serde(with = "any_number")]
    pub max_abs_energy: f64,
    /// Largest |loss| since the last look; not finite where a loss was not.
    #[serde(with = "any_number")]
    pub max_abs_loss: f64,
    /// Largest norm of the parameters' gradient since the last look.
    #[serde(with = "any_number")]
    pub max_grad_norm: f64,
    /// Whether every weight is finite.
    pub weights_finite: bool,
    /// Running median of the gradient norm over past looks, where there were enough.
    pub median_grad_norm: Option<f64>,
}

/// JSON has no NaN and no infinity, and these are what a divergence is about: they are written as words.
mod any_number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => s.serialize_f64(*value),
            false => s.serialize_str(&value.to_string()),
        }
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Word(String),
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        match Number::deserialize(d)? {
            Number::Finite(value) => Ok(value),
            Number::Word(word) => word.parse().map_err(D::Error::custom),
        }
    }
}

/// Why a run counts as diverged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A loss was not finite.
    Loss,
    /// An energy was not finite.
    Energy,
    /// |E| passed `guard.max_abs_energy`.
    EnergyBound,
    /// A gradient was not finite.
    Gradient,
    /// A weight is not finite.
    Weight,
    /// The gradient norm stayed beyond `guard.grad_norm_factor` times its running median.
    GradientGrowth,
}

/// A divergence: what was seen and why it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// The step after which it was seen.
    pub step: u64,
    /// Why it counts.
    pub cause: Cause,
    /// What was seen.
    pub reading: Reading,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.cause {
            Cause::Loss => "a loss is not a finite number",
            Cause::Energy => "an energy is not a finite number",
            Cause::EnergyBound => "an energy is beyond guard.max_abs_energy",
            Cause::Gradient => "a gradient is not a finite number",
            Cause::Weight => "a weight is not a finite number",
            Cause::GradientGrowth => "the gradient norm stayed far above its running median",
        };
        let r = &self.reading;
        write!(
            f,
            "by step {}: {why} (max |E| {:.4e}, max gradient norm {:.4e}",
            self.step, r.max_abs_energy, r.max_grad_norm
        )?;
        r.median_grad_norm
            .map_or(Ok(()), |m| write!(f, ", its median {m:.4e}"))?;
        write!(f, ")")
    }
}
