//! The options that say how the constant of a density is found.

use crate::judging::evaluate::LikelihoodChoice;

#[derive(clap::Args)]
#[command(next_help_heading = "Likelihood")]
pub struct Options {
    /// Chains each way, from which the intervals are made
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(i64).range(2..=100_000))]
    z_chains: i64,
    /// Weights of the path from a known density, each a step of the kernel
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    temperatures: u32,
    /// Measure the density inside of a box, each number of a state from LOW to HIGH
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true, value_parser = interval)]
    interval: Option<[f64; 2]>,
}

impl Options {
    pub fn choice(&self) -> LikelihoodChoice {
        LikelihoodChoice {
            chains: self.z_chains,
            temperatures: self.temperatures as usize,
            interval: self.interval,
        }
    }
}

/// Two finite numbers, the lower first.
fn interval(text: &str) -> Result<[f64; 2], String> {
    let parts: Vec<f64> = text
        .split(',')
        .map(|part| part.trim().parse().ok().filter(|n: &f64| n.is_finite()))
        .collect::<Option<_>>()
        .ok_or("expected two numbers, such as -1,1")?;
    match parts[..] {
        [low, high] if low < high => Ok([low, high]),
        _ => Err("expected two numbers, the lower first, such as -1,1".into()),
    }
}
