//! The options by which commands score images.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::eval::Score;
use crate::judging::Scoring;

/// How images are scored.
#[derive(Args, Debug, Clone, Copy)]
pub struct Options {
    /// Standard deviation of the noise that is added to every image before it is scored (JEM adds 0.03)
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0, value_parser = non_negative)]
    noise: f64,
    /// Temperature T of the score `energy`, -T logsumexp of the logits / T
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = positive)]
    temperature: f64,
    /// Decides the noise, and the sets that are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Options {
    /// The same for the library.
    pub fn scoring(&self) -> Scoring {
        Scoring {
            noise: self.noise,
            temperature: self.temperature,
            seed: self.seed,
        }
    }
}

/// Reads one of the scores' words.
pub fn score() -> impl TypedValueParser<Value = Score> {
    PossibleValuesParser::new(Score::ALL.map(Score::word)).try_map(|word| word.parse::<Score>())
}

/// Reads a number of 0 or more.
pub fn non_negative(text: &str) -> std::result::Result<f64, String> {
    number(text, |v| v >= 0.0, "a number of 0 or more")
}

/// Reads a number above 0.
pub fn positive(text: &str) -> std::result::Result<f64, String> {
    number(text, |v| v > 0.0, "a number above 0")
}

/// Reads a finite number that `holds`.
pub fn number(text: &str, holds: impl Fn(f64) -> bool, expected: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && holds(value) => Ok(value),
        _ => Err(format!("expected {expected}")),
    }
}
