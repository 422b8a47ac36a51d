//! Synthesis of images by long chains on a trained network, in batches that fit a device.

use tch::Tensor;

use crate::config::SamplerConfig;
use crate::energy::FrozenEnergy;
use crate::nn::Network;
use crate::rng::Stream;
use crate::sampling::{self, Langevin};

/// Chains that run side by side.
const BATCH: i64 = 250;

/// Runs a chain of `steps` from each start; `watch` is called before each batch's first step and after every step
/// with the number of the batch's first image, the step, and the states. Returns images of the same shape.
pub fn synthesize(
    network: &Network,
    sampler: &SamplerConfig,
    starts: &Tensor,
    steps: usize,
    rng: &mut Stream,
    watch: &mut dyn FnMut(i64, usize, &Tensor),
) -> Tensor {
    let kernel = Langevin::new(sampler, steps);
    let precision = sampling::resolve_precision(sampler.precision, starts.device());
    let energy = FrozenEnergy::new(network, sampling::kind_of(precision), kernel.temperature());
    let mut first = 0;
    let mut ends = Vec::new();
    for start in starts.split(BATCH, 0) {
        let count = start.size()[0];
        let chain = sampling::run_chain_watched(&kernel, &energy, start, steps, rng, &mut |k, x| watch(first, k, x));
        ends.push(chain.x);
        first += count;
    }
    Tensor::cat(&ends, 0)
}
