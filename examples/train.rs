// The training loop written out by hand, on strokes and discs that the program draws itself: maximum likelihood with
// persistent chains. `ebm train` does the same, with checkpoints, metrics and the divergence guard around it.
use std::path::Path;

use ebm::buffer::ReplayBuffer;
use ebm::data;
use ebm::energy::{Energy, FrozenEnergy, LiveEnergy};
use ebm::experiment::Experiment;
use ebm::nn::{Mode, Network};
use ebm::objective::MaximumLikelihood;
use ebm::optim::Optimizer;
use ebm::rng::Stream;
use ebm::sampling::{self, Langevin, Starter};
use tch::{Device, Kind};

/// Trains for some steps; returns the network.
fn train(experiment: &Path, steps: usize) -> ebm::Result<Network> {
    let e = Experiment::load(experiment, &[])?;
    let (device, shape, batch) = (Device::Cpu, e.model.input, e.train.batch_size as i64);
    let mut rng = Stream::new(e.seed, "example");
    let images = data::open(&e.data, shape, device)?.train;
    let network = Network::new(&e.model, device, &mut rng)?;
    let mut optimizer = Optimizer::new(&e.optimizer, network.parameters());
    let objective = MaximumLikelihood::new(&e.objective);

    // Chains run on a copy of the weights that needs no gradient.
    let kernel = Langevin::new(&e.sampler, e.sampler.n_steps);
    let mut frozen = FrozenEnergy::new(&network, Kind::Float, kernel.temperature());
    let starter = Starter::new(&e.sampler.init, shape, Some(&images), device)?;
    let initial = starter.draw(e.buffer.size as i64, None, &mut rng);
    let mut buffer = ReplayBuffer::new(&e.buffer, initial, &mut rng);

    for step in 1..=steps {
        let positive = data::add_noise(&images.random(batch, &mut rng), e.objective.data_noise, &mut rng);
        frozen.refresh(&network);
        let drawn = buffer.draw(batch, |n, rng| Ok(starter.draw(n, None, rng)), &mut rng)?;
        let chain = sampling::run_chain(&kernel, &frozen, drawn.x, e.sampler.n_steps, &mut rng);
        buffer.put(&drawn.origin, &chain.x, e.sampler.n_steps, &mut rng);

        let live = LiveEnergy::new(&network, Mode::Train, kernel.temperature());
        let out = objective.loss(&live.energy(&positive), &live.energy(&chain.x));
        optimizer.zero_grad();
        out.loss.backward();
        let _norm = optimizer.clip();
        optimizer.step(e.optimizer.lr);
        if step % 20 == 0 {
            let (pos, neg) = (out.energy_pos.double_value(&[]), out.energy_neg.double_value(&[]));
            println!("step {step}: energy of data {pos:.3}, of synthesised images {neg:.3}");
        }
    }
    Ok(network)
}

fn main() -> ebm::Result<()> {
    train(Path::new("experiments/strokes.yaml"), 200).map(drop)
}
