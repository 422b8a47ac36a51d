// The training loop written out by hand, on strokes and discs that the program draws itself: maximum likelihood with
// persistent chains. `ebm train` does the same, with checkpoints, metrics and the divergence guard around it.
use std::path::Path;

use ebm::data;
use ebm::energy::{Energy, FrozenEnergy, LiveEnergy};
use ebm::experiment::Experiment;
use ebm::nn::{Mode, Network};
use ebm::objective::contrast;
use ebm::optim::Optimizer;
use ebm::rng::Stream;
use ebm::sampling::replay::ReplayBuffer;
use ebm::sampling::{self, Starter};
use tch::{Device, Kind};

/// Trains for some steps; returns the network.
fn train(experiment: &Path, steps: usize) -> ebm::Result<Network> {
    let e = Experiment::load(experiment, &[])?;
    let (device, space, batch) = (Device::Cpu, e.space(), e.train.batch_size as i64);
    let mut rng = Stream::new(e.seed, "example");
    let images = data::open(&e.data, &e.model.input, device)?.train;
    let network = Network::new(&e.model, device, &mut rng)?;
    let mut optimizer = Optimizer::new(&e.optimizer, network.parameters());

    // Chains run on a copy of the weights that needs no gradient.
    let sampler = e.sampler()?;
    let energy_reg = e.objective.contrastive.as_ref().map_or(0.0, |term| term.energy_reg);
    let (kernel, n_steps) = (sampler.kernel.build(sampler.n_steps), sampler.n_steps);
    let mut frozen = FrozenEnergy::new(&network, Kind::Float, e.temperature());
    let starter = Starter::new(&sampler.init, &space, Some(&images), device)?;
    let initial = starter.draw(e.buffer.size as i64, None, &mut rng);
    let mut buffer = ReplayBuffer::new(&e.buffer, initial, &mut rng);

    for step in 1..=steps {
        let positive = data::add_noise(&images.random(batch, &mut rng), e.data.noise, &mut rng);
        frozen.refresh(&network);
        let drawn = buffer.draw(batch, |n, rng| Ok(starter.draw(n, None, rng)), &mut rng)?;
        let chain = sampling::run_chain(&*kernel, &frozen, drawn.x, n_steps, &mut rng);
        buffer.put(&drawn.origin, &chain.x, n_steps, &mut rng);

        let live = LiveEnergy::new(&network, Mode::Train, e.temperature());
        let energies = [&live.energy(&positive), &live.energy(&chain.x)];
        let loss = contrast(energies, energy_reg, ["data", "chains"]);
        optimizer.zero_grad();
        loss.value.backward();
        let _norm = optimizer.clip();
        optimizer.step(e.optimizer.lr);
        if step % 20 == 0 {
            let [pos, neg] = energies.map(|e| e.mean(Kind::Float).double_value(&[]));
            println!("step {step}: energy of data {pos:.3}, of synthesised images {neg:.3}");
        }
    }
    Ok(network)
}

fn main() -> ebm::Result<()> {
    train(Path::new("experiments/strokes.yaml"), 200).map(drop)
}
