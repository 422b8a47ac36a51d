//! What the numbers in metrics.jsonl mean.

/// A line of metrics: means over the steps since the line before.
pub(super) const OF_STEPS: &[(&str, &str)] = &[
    (
        "energy_pos",
        "E+, the mean energy of states of the data, with their noise and augmentation",
    ),
    (
        "energy_neg",
        "E-, the mean energy of the states that the chains have just synthesised",
    ),
    (
        "energy_noise",
        "the mean energy of the noise that `nce` tells data from",
    ),
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
    (
        "cross_entropy",
        "of the step's labelled states, as the training network sees them",
    ),
    (
        "accuracy",
        "the share of the step's labelled states that is classified right",
    ),
    (
        "joint_energy_pos",
        "mean E(x,y) of labelled states, where `conditional` or `joint` is trained",
    ),
    ("joint_energy_neg", "mean E(x,y) of chains"),
    ("joint_energy_gap", "the second minus the first"),
    (
        "kl",
        "the term `chain-kl` of improved contrastive divergence, before its weight",
    ),
    (
        "entropy",
        "the term `chain-entropy` of improved contrastive divergence, before its weight",
    ),
    ("score_loss", "the term `denoising`, before its weight"),
    ("nce_loss", "the term `nce`, before its weight"),
    (
        "nce_accuracy",
        "the share of data and of noise that `nce` tells apart, mean of both",
    ),
    ("log_z", "the logarithm of the normaliser that `nce` has learned"),
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
        "the same of as many images that fresh chains start from, which shows what the chains add; drawn once",
    ),
    (
        "frechet_train",
        "the same of as many training images, which shows what real images get; drawn once",
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
