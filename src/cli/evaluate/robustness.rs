//! The options of accuracy under attack.

use clap::ValueEnum;

use crate::cli::judging::positive;
use crate::error::Result;
use crate::eval::{Attack, Norm, Through};
use crate::judging::evaluate::{self, Guarded, Radius, Subject};

#[derive(clap::Args)]
#[command(next_help_heading = "Robustness")]
pub struct Options {
    /// Radii of Linf balls, in units of images in [0, 1]: 2/255,4/255,8/255,16/255 unless radii are given
    #[arg(long, value_delimiter = ',', value_name = "RADII")]
    linf: Vec<Radius>,
    /// Radii of L2 balls, in units of images in [0, 1]: 0.25,0.5,1,2 unless radii are given
    #[arg(long, value_delimiter = ',', value_name = "RADII")]
    l2: Vec<Radius>,
    /// Steps of projected gradient descent from each start
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    attack_steps: u32,
    /// The length of a step, in units of images in [0, 1]; 2.5 times the radius, divided by the steps, unless given
    #[arg(long, value_name = "A", value_parser = positive)]
    step_size: Option<f64>,
    /// Random starts of an attack; the worst of all starts and steps is kept for each image
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    restarts: u32,
    /// Langevin steps on E(x) that every image makes before it is classified (JEM-k)
    #[arg(long, value_name = "K", default_value_t = 0)]
    refine: u32,
    /// Copies of an image that make these steps; their logits are averaged
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    chains: u32,
    /// What the attack differentiates: the whole defence, or the classifier alone
    #[arg(long, value_enum, default_value_t = Way::Defence)]
    through: Way,
    /// Draws of the defence's noise that the attack averages over
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    draws: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Every Langevin step, whose graph is kept
    Defence,
    /// As if there were no defence
    Classifier,
}

impl Options {
    /// The attack that the options ask for; `noise` is added to every image first.
    pub fn attack(&self, noise: f64, subject: &Subject) -> Result<evaluate::Robustness> {
        let settings = Attack {
            norm: Norm::Linf,
            epsilon: 0.0,
            steps: self.attack_steps as usize,
            step_size: self.step_size,
            restarts: self.restarts as usize,
            through: match self.through {
                Way::Defence => Through::Defence,
                Way::Classifier => Through::Classifier,
            },
            draws: self.draws as usize,
        };
        let guard = Guarded {
            refine: self.refine as usize,
            chains: i64::from(self.chains),
            noise,
        };
        evaluate::Robustness::new(evaluate::radii(&self.linf, &self.l2), settings, &guard, subject)
    }
}
