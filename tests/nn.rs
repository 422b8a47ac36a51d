use ebm::config::{ModelConfig, yaml};
use ebm::nn::{Mode, Network, describe};
use ebm::rng::Stream;
use tch::{Device, Kind};
#[test]
fn smoke() {
    for f in std::fs::read_dir("models").unwrap() {
        let p = f.unwrap().path();
        let m: ModelConfig = yaml::load(&p).unwrap();
        println!("{}\n{}", p.display(), describe(&m, &p).unwrap());
        let mut rng = Stream::new(1, "init");
        let n = Network::new(&m, Device::Cpu, &mut rng).unwrap();
        let x = rng
            .uniform(&[2, m.input[0], m.input[1], m.input[2]], -1., 1., Device::Cpu)
            .set_requires_grad(true);
        let e = n.forward(&x, Mode::Train);
        e.sum(Kind::Float).backward();
        let fz = n.frozen(Kind::Float);
        println!(
            "{e} {} {} {}",
            n.forward(&x, Mode::Eval),
            fz.forward(&x),
            n.frozen(Kind::BFloat16).forward(&x)
        );
    }
}
