// The training loop written out by hand, on strokes and discs that the program draws itself: maximum likelihood with
// persistent chains. `ebm train` does the same, with checkpoints, metrics and the divergence guard around it.
use std::path::Path;

use ebm::data;
use ebm::energy::Energy;
use ebm::experiment::Experiment;
use ebm::models::{Form, Model};
use ebm::nn::Mode;
use ebm::objective::contrast;
use ebm::optim::Optimizer;
use ebm::rng::Stream;
use ebm::sampling::replay::ReplayBuffer;
use ebm::sampling::{self, Starter};
use tch::{Device, Kind};

/// Trains for some steps; returns the model.
fn train(experiment: &Path, steps: usize) -> ebm::Result<Box<dyn Model>> {
    let e = Experiment::load(experiment, &[])?;
    let (device, space, batch) = (Device::Cpu, e.space(), e.train.batch_size as i64);
    let mut rng = Stream::new(e.seed, "example");
    let images = data::open(&e.data, e.model.input(), device)?.train;
    let model = e.model.build(device, &mut rng)?;
    let mut optimizer = Optimizer::new(&e.optimizer, model.parameters());

    // Chains run on a copy of the weights that needs no gradient.
    let sampler = e.sampler()?;
    let energy_reg = e.objective.contrastive.as_ref().map_or(0.0, |term| term.energy_reg);
    let (kernel, n_steps) = (sampler.kernel.build(sampler.n_steps), sampler.n_steps);
    let form = Form::plain(e.temperature());
    let mut frozen = model.freeze(form);
    let starter = Starter::new(&sampler.init, &space, Some(&images), device)?;
    let initial = starter.draw(e.buffer.size as i64, None, &mut rng);
    let mut buffer = ReplayBuffer::new(&e.buffer, initial, &mut rng);

    for step in 1..=steps {
        let positive = data::add_noise(&images.random(batch, &mut rng), e.data.noise, &mut rng);
        frozen.refresh(&*model);
        let drawn = buffer.draw(batch, |n, rng| Ok(starter.draw(n, None, rng)), &mut rng)?;
        let chain = sampling::run_chain(&*kernel, &frozen.outputs().any(), drawn.x, n_steps, &mut rng);
        buffer.put(&drawn.origin, &chain.x, n_steps, &mut rng);

        let live = model.live(Form {
            mode: Mode::Train,
            ..form
        });
        let energies = [&live.any().energy(&positive), &live.any().energy(&chain.x)];
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
    Ok(model)
}

fn main() -> ebm::Result<()> {
    train(Path::new("experiments/strokes.yaml"), 200).map(drop)
}
