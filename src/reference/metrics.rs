//! What the numbers in metrics.jsonl mean.

use crate::objective::{ObjectiveConfig, Quantity};
use tch::Device;

/// What each term of an objective reports, each name once.
pub(super) fn of_terms() -> Vec<(&'static str, &'static str)> {
    let examples = ObjectiveConfig::examples().into_iter();
    let quantities = examples.flat_map(|(_, objective)| objective.build(Device::Cpu).quantities());
    let mut all: Vec<Quantity> = Vec::new();
    for quantity in quantities {
        if all.iter().all(|known| known.name != quantity.name) {
            all.push(quantity);
        }
    }
    all.into_iter().map(|q| (q.name, q.meaning)).collect()
}

/// What a line of metrics holds beside that: means over the steps since the line before.
pub(super) const OF_STEPS: &[(&str, &str)] = &[
    ("energy_gap", "E- minus E+"),
    (
        "loss",
        "the weighted sum of all terms; of `contrastive` alone E+ - E- + energy_reg (mean of E+^2 + mean of E-^2); not shown where it is one of the numbers below and no more",
    ),
    ("grad_norm", "norm of the gradient of all parameters, before clipping"),
    (
        "chain_grad_norm",
        "norm of dE/dx of a state before clipping, mean over the chains and their steps",
    ),
    (
        "acceptance",
        "the share of proposals that are accepted, of kernels that reject: mean over the chains and their steps",
    ),
    (
        "buffer_age",
        "steps since a chain of the buffer started, mean over the buffer; 0 without a buffer",
    ),
    (
        "buffer_reuse",
        "how often a chain of the buffer was drawn since it started, mean over the buffer; 0 without a buffer",
    ),
    ("joint_energy_gap", "the second minus the first"),
    (
        "lr",
        "the learning rate of the last step, with what the guard has taken off",
    ),
    (
        "images_x_steps_per_second",
        "steps of single chains a second, all work of a training step counted, pictures and checkpoints not",
    ),
    (
        "images_per_second",
        "states a second, where no chains run; labelled ones where the objective uses labels",
    ),
    ("seconds", "seconds of training steps so far, over all sittings"),
    ("step", "updates so far"),
    ("time", "seconds since 1970"),
];

/// What the quality monitor adds.
pub(super) const OF_LOOKS: &[(&str, &str)] = &[
    (
        "frechet_fresh",
        "Frechet distance of fresh chains to validation images, as a share of the total variance of their features; in the features of the run's own classifier, or of a fixed random network where there is none",
    ),
    ("frechet_buffer", "the same of chains of the buffer"),
    (
        "frechet_start",
        "the same of as many images that fresh chains start from, which shows what the chains add; drawn once, or at each look where a generator draws them",
    ),
    (
        "frechet_train",
        "the same of as many training images, which shows what real images get; drawn once",
    ),
    (
        "energy_distance_fresh",
        "energy distance of fresh chains to validation points, as a share of the mean distance between two of these; around 0 for samples of their density",
    ),
    ("energy_distance_buffer", "the same of chains of the buffer"),
    (
        "energy_distance_start",
        "the same of as many points that fresh chains start from; drawn once, or at each look where a generator draws them",
    ),
    (
        "energy_distance_train",
        "the same of as many training points, which shows what real points get; drawn once",
    ),
    (
        "total_variation",
        "total variation between the model's density and that of the data, where that is known, on a grid",
    ),
    ("validation_accuracy", "the share that is classified right"),
    ("auroc_uniform", "AUROC by energy against uniform noise"),
    (
        "validation_auroc",
        "the mean AUROC by energy over `evaluate.ood`, unless that is uniform noise alone",
    ),
    (
        "buffer_agreement",
        "how often the model sees the class of its slot in a chain",
    ),
    (
        "buffer_agreement_worst_class",
        "the same in the class where it is least",
    ),
    (
        "buffer_age_spread",
        "oldest minus youngest mean age of a class, as a share of the mean: how evenly classes are replayed",
    ),
];
