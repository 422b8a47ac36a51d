//! The `objective` section: what training minimises.

use serde::{Deserialize, Serialize};

/// What training minimises: a weighted sum of minus log p(x), p(y|x), p(x|y) and p(x,y), and what
/// keeps it stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// Where the chains of the negative phase start.
    pub negatives: Negatives,
    /// Whether a chain has a class.
    pub chains: Chains,
    /// Weight of minus log p(x): mean E(x+) - mean E(x-), over chains that follow p(x).
    pub p_x_weight: f64,
    /// Steps before which p(y|x) is trained alone, without chains: a cheap start from a classifier.
    pub p_x_from: u64,
    /// Weight of minus log p(y|x), the cross entropy of labelled images.
    pub p_y_given_x_weight: f64,
    /// Weight of minus log p(x|y): mean E(x+,y+) - mean E(x-,y-) over labelled images and chains
    /// that keep their class, whose classes have the shares of the labels. It says nothing of p(y).
    pub p_x_given_y_weight: f64,
    /// Weight of minus log p(x,y): the same difference over chains that draw their class as well.
    pub p_x_y_weight: f64,
    /// Weight of the mean squared energies of both sides (Du & Mordatch 2019), inside each term
    /// that has chains: of E(x) in that of p(x), of E(x,y) in those of p(x|y) and p(x,y).
    pub energy_reg: f64,
    /// Standard deviation of the normal noise added to images of the data, which `sampler.clamp` then keeps in its interval.
    pub data_noise: f64,
    /// The same for labelled images; null means `data_noise`.
    pub labelled_noise: Option<f64>,
    /// The share of a label that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// Which passes record the running statistics of batch norm.
    pub statistics: Statistics,
    /// Weight of the energy that the last step of a chain reaches, differentiated through that step (Du et al. 2021).
    pub kl_weight: f64,
    /// Weight of minus the mean log distance of a chain's end to its nearest neighbour in the buffer (Du et al. 2021).
    pub entropy_weight: f64,
}

/// Where the chains of the negative phase start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Negatives {
    /// The replay buffer: persistent contrastive divergence (Tieleman 2008).
    #[default]
    Persistent,
    /// The batch of data itself: contrastive divergence, CD-k (Hinton 2002).
    Data,
    /// `sampler.init`: short-run MCMC (Nijkamp et al. 2019).
    Noise,
}

/// Whether a chain has a class, and so which distribution it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chains {
    /// It has none and follows p(x) by E(x).
    #[default]
    #[serde(alias = "joint")]
    Marginal,
    /// It keeps the class that it starts with and follows p(x|y) by E(x,y); the classes of a draw
    /// have the shares of the labels.
    ByClass,
    /// It follows p(x,y): before each step it draws its class from p(y|x) = softmax(-E(x,y)), and
    /// the step goes by E(x,y).
    WithClass,
}

/// Which passes of training record the running statistics of batch norm, and iterate spectral norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistics {
    /// All, those of synthesised images among them (JEM++).
    #[default]
    All,
    /// Those of images of the data alone.
    Data,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            negatives: Negatives::default(),
            chains: Chains::default(),
            p_x_weight: 1.0,
            p_x_from: 0,
            p_y_given_x_weight: 0.0,
            p_x_given_y_weight: 0.0,
            p_x_y_weight: 0.0,
            energy_reg: 0.0,
            data_noise: 0.0,
            labelled_noise: None,
            label_smoothing: 0.0,
            statistics: Statistics::default(),
            kl_weight: 0.0,
            entropy_weight: 0.0,
        }
    }
}

impl ObjectiveConfig {
    /// Whether labelled images are drawn.
    pub fn uses_labels(&self) -> bool {
        self.p_y_given_x_weight > 0.0 || self.uses_pairs()
    }

    /// Whether energies E(x,y) of labelled images are held against those of chains.
    pub fn uses_pairs(&self) -> bool {
        self.p_x_given_y_weight > 0.0 || self.p_x_y_weight > 0.0
    }

    /// Whether images are synthesised; a plain classifier needs none.
    pub fn uses_chains(&self) -> bool {
        self.p_x_weight > 0.0 || self.uses_pairs()
    }

    /// Whether there are chains that keep their class.
    pub fn keeps_classes(&self) -> bool {
        self.uses_chains() && self.chains == Chains::ByClass
    }

    /// Whether the loss is the cross entropy itself, and no other number.
    pub fn is_cross_entropy(&self) -> bool {
        !self.uses_chains() && self.p_y_given_x_weight == 1.0
    }

    /// Whether a term reaches the parameters through the last step of the chains.
    pub fn differentiates_chains(&self) -> bool {
        self.kl_weight > 0.0 || self.entropy_weight > 0.0
    }

    /// Whether chains persist between steps.
    pub fn uses_buffer(&self) -> bool {
        self.uses_chains() && self.negatives == Negatives::Persistent
    }
}
