//! Checks of how chains move, where they start and where they are kept, across the sections of a file.

use super::Experiment;
use crate::config::Checker;
use crate::error::Result;
use crate::sampling::replay::Storage;
use crate::sampling::{
    ChainClasses, Facts, InitialDistribution, Kernel, KernelConfig, Needs, NetworkMode, SamplerConfig,
};

impl Experiment {
    pub(super) fn check_sampler(&self, c: &Checker) -> Result<()> {
        if let Some(n) = self.compute.chain_batch {
            c.at_least_one("compute.chain_batch", n as u64)?;
        }
        let Some(sampler) = &self.sampler else {
            return Ok(());
        };
        let section = c.at("sampler");
        section.at_least_one("n_steps", sampler.n_steps as u64)?;
        sampler.kernel.check(&section.at("kernel"))?;
        let kernel = sampler.kernel.build(sampler.n_steps);
        let word = format!("sampler.kernel.{}", sampler.kernel.word());
        self.check_kernel(c, &word, &*kernel)?;
        self.check_levels(c, &word, kernel.facts().levels)?;
        self.check_exact(c, &word, sampler, &kernel.facts())?;
        check_warm_up(&section, sampler, &*kernel)?;
        self.check_chain_batch(c, sampler, &kernel.facts())?;
        self.check_init(&section, sampler.init)
    }

    /// The kernel must be able to move the states, by what the energy gives.
    fn check_kernel(&self, c: &Checker, key: &str, kernel: &dyn Kernel) -> Result<()> {
        let facts = kernel.facts();
        if let Err(what) = kernel.fits(&self.space()) {
            return c.conflict(
                key,
                &what,
                "choose a kernel for such states, or other states (space, model.input)",
            );
        }
        let Some(network) = self.model.as_network() else {
            return match facts.needs {
                Needs::Stages => c.conflict(
                    &format!("{key}.inner"),
                    "inner steps see the state through a network's first layer, and this model is no network",
                    "remove inner, or use a network",
                ),
                _ => Ok(()),
            };
        };
        if network.levels.is_some() && facts.needs == Needs::Stages {
            return c.conflict(
                &format!("{key}.inner"),
                "inner steps see the state through a network's first layer, and a level of noise enters beside it",
                "remove inner, or model.levels",
            );
        }
        if network.reference_std.is_none() {
            return Ok(());
        }
        if facts.temperature == 0.0 {
            return c.conflict(
                key,
                "no noise implies temperature 0, at which the Gaussian reference of the model weighs nothing",
                "give noise_scale above 0, or null with a temperature",
            );
        }
        if facts.needs == Needs::Stages {
            return c.conflict(
                &format!("{key}.inner"),
                "inner steps see the image through the network's first layer, and the Gaussian reference of the model is no \
                 function of that",
                "remove inner, or model.reference_std",
            );
        }
        Ok(())
    }

    /// Energies that are compared must be a function of the state alone.
    fn check_exact(&self, c: &Checker, key: &str, sampler: &SamplerConfig, facts: &Facts) -> Result<()> {
        if !facts.compares {
            return Ok(());
        }
        if sampler.network_mode == NetworkMode::Training {
            return c.conflict(
                "sampler.network_mode",
                &format!(
                    "{key} compares energies, and in training mode those of a state depend on chance or on other states"
                ),
                "leave it out, or choose the kernel langevin",
            );
        }
        if sampler.classes == ChainClasses::Drawn {
            return c.conflict(
                "sampler.classes",
                &format!("{key} compares energies, and a class that is drawn at each step makes them those of different classes"),
                "set sampler.classes: none or kept, or choose the kernel langevin",
            );
        }
        Ok(())
    }

    /// Parts of a batch find what the whole finds only where images do not see each other.
    fn check_chain_batch(&self, c: &Checker, sampler: &SamplerConfig, facts: &Facts) -> Result<()> {
        if self.compute.chain_batch.is_none() {
            return Ok(());
        }
        if sampler.network_mode == NetworkMode::Training {
            return c.conflict(
                "compute.chain_batch",
                "with network_mode: training a chain depends on the others that go through the network with it",
                "remove one of the two",
            );
        }
        if facts.needs == Needs::Stages {
            return c.conflict(
                "compute.chain_batch",
                "inner steps keep the first layer's gradient of the whole batch",
                "remove the kernel's inner, or compute.chain_batch",
            );
        }
        Ok(())
    }

    fn check_init(&self, c: &Checker, init: InitialDistribution) -> Result<()> {
        match init {
            InitialDistribution::Uniform(low, high) => c.interval("init.uniform", [low, high]),
            InitialDistribution::Gaussian { mean, std } => {
                c.finite("init.gaussian.mean", mean)?;
                c.positive("init.gaussian.std", std)
            }
            InitialDistribution::NoisyData { std } => c.non_negative("init.noisy-data.std", std),
            InitialDistribution::ClassGaussians { jitter } => {
                c.positive("init.class-gaussians.jitter", jitter)?;
                match self.space().image() {
                    Some(_) => Ok(()),
                    None => c.conflict(
                        "init.class-gaussians",
                        "is of images in [-1, 1], and these states are points",
                        "use gaussian, uniform, data or noisy-data",
                    ),
                }
            }
            InitialDistribution::Data => Ok(()),
        }
    }

    pub(super) fn check_buffer(&self, c: &Checker) -> Result<()> {
        c.share("buffer.reinit_prob", self.buffer.reinit_prob)?;
        self.check_replay(c)?;
        c.countable("buffer.size", self.buffer.size as u64)?;
        if self.uses_buffer() {
            c.ensure(
                self.buffer.size >= self.train.batch_size,
                "buffer.size",
                self.buffer.size,
                "at least train.batch_size, since a draw holds each chain once",
            )?;
            self.check_storage(c)?;
        }
        Ok(())
    }

    fn check_replay(&self, c: &Checker) -> Result<()> {
        let Some(augment) = &self.buffer.augment else {
            return Ok(());
        };
        if let Some([low, high]) = augment.resized_crop {
            c.ensure(
                0.0 < low && low <= high && high <= 1.0,
                "buffer.augment.resized_crop",
                format!("[{low}, {high}]"),
                "two shares of the area above 0, at most 1, the lower first",
            )?;
        }
        let jitter = augment.jitter;
        c.non_negative("buffer.augment.jitter.brightness", jitter.brightness)?;
        c.non_negative("buffer.augment.jitter.contrast", jitter.contrast)?;
        c.non_negative("buffer.augment.jitter.saturation", jitter.saturation)?;
        c.ensure(
            (0.0..=0.5).contains(&jitter.hue),
            "buffer.augment.jitter.hue",
            jitter.hue,
            "a part of a turn from 0 to 0.5",
        )?;
        c.share("buffer.augment.grey", augment.grey)
    }

    /// 256 levels hold [-1, 1] only: a chain that leaves it would be moved by being stored.
    fn check_storage(&self, c: &Checker) -> Result<()> {
        let facts = self.sampler.as_ref().map(|s| s.kernel.build(s.n_steps).facts());
        let inside = |f: &Facts| f.ends_inside && f.interval.is_some_and(|[low, high]| low >= -1.0 && high <= 1.0);
        if self.buffer.storage == Storage::F32 || facts.as_ref().is_some_and(inside) {
            return Ok(());
        }
        c.conflict(
            "buffer.storage",
            "u8 holds [-1, 1] only, and chains may end outside of it",
            "use a kernel that ends its steps in [-1, 1] (langevin with clamp: [-1, 1] and `clamp` as the last part of a step), or store f32",
        )
    }
}

/// The words of the kernels whose step size a warm-up can find.
fn tunable() -> Vec<String> {
    let all = KernelConfig::examples().into_iter();
    let tunable = all.filter(|kernel| kernel.build(1).step_size().is_some());
    tunable.map(|kernel| kernel.word()).collect()
}

/// What finds a step size by the acceptance needs a kernel that has one.
fn check_warm_up(c: &Checker, sampler: &SamplerConfig, kernel: &dyn Kernel) -> Result<()> {
    let Some(warm_up) = &sampler.warm_up else {
        return Ok(());
    };
    warm_up.check(&c.at("warm_up"))?;
    if warm_up.swaps.is_some() && kernel.ladder().is_none() {
        return c.conflict(
            "warm_up.swaps",
            &format!(
                "is of temperatures, and `{}` has no ladder of them",
                sampler.kernel.word()
            ),
            "leave it out, or choose the kernel tempering",
        );
    }
    if warm_up.mass && kernel.has_masses() {
        return c.conflict(
            "warm_up.mass",
            "finds the masses that the kernel's key mass gives",
            "remove one of the two",
        );
    }
    if kernel.step_size().is_some() {
        return Ok(());
    }
    c.conflict(
        "warm_up",
        &format!(
            "finds a step size by how often proposals are accepted, and `{}` has none that can be found so",
            sampler.kernel.word()
        ),
        &format!(
            "leave it out, or choose a kernel that rejects: {}",
            tunable().join(", ")
        ),
    )
}
