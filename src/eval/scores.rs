//! The out-of-distribution scores: their names, what each means, and what each needs.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A number for every image that is higher the further the image is out of distribution; the name carries the sign.
///
/// Densities are those at temperature 1, up to their constant: log p(x) = -E(x) - log Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// -log p(x) without its constant: E(x), which is -logsumexp_y f(x)\[y\] of a classifier.
    LogPx,
    /// Minus the largest class probability, max_y p(y|x) (Hendrycks & Gimpel 2017).
    MaxPy,
    /// |d log p(x) / dx|, L2 over all pixels: the approximate mass of Grathwohl et al. 2020, with its sign turned.
    GradNorm,
    /// -T logsumexp_y f(x)\[y\]/T (Liu et al. 2020); at T = 1 the same as [`LogPx`](Self::LogPx).
    Energy,
    /// E(x,y) of the class y that the network predicts: minus the largest logit.
    Joint,
    /// How far log p(x) lies from its mean over training images, to either side (Nalisnick et al. 2019).
    Typicality,
}

impl Score {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::LogPx,
        Self::MaxPy,
        Self::GradNorm,
        Self::Energy,
        Self::Joint,
        Self::Typicality,
    ];

    /// As it is written on a command line and in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::LogPx => "log_px",
            Self::MaxPy => "max_py",
            Self::GradNorm => "grad_norm",
            Self::Energy => "energy",
            Self::Joint => "joint",
            Self::Typicality => "typicality",
        }
    }

    /// As it is written in tables, with its sign.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogPx => "-log p(x)",
            Self::MaxPy => "-max p(y|x)",
            Self::GradNorm => "|grad log p|",
            Self::Energy => "energy",
            Self::Joint => "E(x,y)",
            Self::Typicality => "|log p - mean|",
        }
    }

    /// What it is, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::LogPx => "E(x), minus log p(x) up to a constant",
            Self::MaxPy => "minus the largest class probability",
            Self::GradNorm => "L2 norm of d log p(x) / dx over all pixels",
            Self::Energy => "-T logsumexp of the logits / T",
            Self::Joint => "E(x,y) of the predicted class, minus the largest logit",
            Self::Typicality => "distance of log p(x) from its mean over training images",
        }
    }

    /// Whether only a network that gives logits has it.
    pub fn needs_classes(self) -> bool {
        matches!(self, Self::MaxPy | Self::Joint)
    }

    /// Refuses a score of class probabilities where there are no classes.
    ///
    /// # Errors
    /// The score needs classes, and `has_classes` is false.
    pub fn ensure_classes(self, has_classes: bool) -> Result<()> {
        if has_classes || !self.needs_classes() {
            return Ok(());
        }
        Err(Error::input(
            format!("score `{}`", self.word()),
            "needs class probabilities; this network gives an energy and no logits",
            "leave it out, or use a run whose model has `output: logits`",
        ))
    }

    /// The scores that a network has with (`classes`) or without logits and that differ from one another at
    /// temperature `temperature`.
    pub fn distinct(classes: bool, temperature: f64) -> Vec<Self> {
        let same = |score| score == Self::Energy && (!classes || temperature == 1.0);
        let has = |score: &Self| (classes || !score.needs_classes()) && !same(*score);
        Self::ALL.into_iter().filter(has).collect()
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Score {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|s| s.word() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            Error::input(
                format!("score `{text}`"),
                "no such score",
                format!("give some of {words}"),
            )
        })
    }
}
