//! The options that say in which features samples are compared with data.

use std::path::PathBuf;
use std::str::FromStr;

use crate::eval::ScriptInput;
use crate::judging::evaluate::FeatureChoice;

#[derive(clap::Args)]
#[command(next_help_heading = "Features")]
pub struct Options {
    /// The network whose features images are compared in: own (this run's classifier), random (a
    /// fixed network that was never trained), the folder of another run, or a TorchScript file; own
    /// for a classifier's run, else random. A TorchScript file is a program: one whose code reads
    /// or writes files, prints, or talks to other processes is refused
    #[arg(long, value_name = "NETWORK")]
    features: Option<String>,
    /// The images that TorchScript files take: channels x height x width, such as 3x299x299 (grey is repeated to colour,
    /// sizes are changed by antialiased bilinear interpolation); 3 channels of the run's size unless given
    #[arg(long, value_name = "CxHxW")]
    feature_input: Option<Size>,
    /// Run the code of TorchScript files without looking through it first: such a file is a
    /// program, and could then read and write any file of yours. Only for files that you trust as
    /// you would trust a program
    #[arg(long)]
    trust_features: bool,
    /// What black and white are in these images
    #[arg(long, value_name = "LOW,HIGH", default_value = "-1,1", allow_hyphen_values = true)]
    feature_range: Range,
    /// The TorchScript file of --features is the Inception-v3 of FID: it gives its 2048 features
    #[arg(long, requires = "features")]
    inception: bool,
    /// A TorchScript file that gives class probabilities, for an Inception-style score; a classifier's own unless given
    #[arg(long, value_name = "FILE")]
    class_probabilities: Option<PathBuf>,
}

/// Channels, height and width, as `3x299x299`.
#[derive(Debug, Clone, Copy)]
struct Size([i64; 3]);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers: Option<Vec<i64>> = text.split('x').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[c @ (1 | 3), h @ 1..=4096, w @ 1..=4096]) => Ok(Self([c, h, w])),
            _ => Err("expected 1 or 3 channels, height and width, such as 3x299x299".into()),
        }
    }
}

/// Two numbers, the lower first.
#[derive(Debug, Clone, Copy)]
struct Range([f64; 2]);

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[low, high]) if low < high && (high - low).is_finite() => Ok(Self([low, high])),
            _ => Err("expected two numbers, the lower first, such as 0,1".into()),
        }
    }
}

impl Options {
    /// The networks that the options name.
    pub fn choice(&self) -> FeatureChoice {
        FeatureChoice {
            network: self.features.clone(),
            input: self.script_input(),
            trust: self.trust_features,
            inception: self.inception,
            class_probabilities: self.class_probabilities.clone(),
        }
    }

    fn script_input(&self) -> ScriptInput {
        ScriptInput {
            channels: self.feature_input.map_or(3, |s| s.0[0]),
            size: self.feature_input.map(|s| [s.0[1], s.0[2]]),
            range: self.feature_range.0,
        }
    }
}
