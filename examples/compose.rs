// Joins two energies: a ring in the plane and a Gaussian to the right of it. Their sum is the energy of
// the product of both densities, an arc; the Metropolis-adjusted Langevin algorithm draws from it.
use ebm::energy::{Energy, Sum, Tempered};
use ebm::rng::Stream;
use ebm::sampling::kernels::Mala;
use ebm::sampling::run_chain;
use ebm::space::{norms, sum_each};
use tch::{Device, Kind, Tensor};

/// Points at a distance of about 3 from the origin, give or take 0.3.
struct Ring;

impl Energy for Ring {
    fn energy(&self, x: &Tensor) -> Tensor {
        (norms(x) - 3.0).square() / (2.0 * 0.3 * 0.3)
    }
}

/// N((3, 0), I)
struct Right;

impl Energy for Right {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&(x - Tensor::from_slice(&[3f32, 0.0])).square()) * 0.5
    }
}

/// Where chains of `steps` end, `[chains,2]`. The ring counts half: its density is taken to the power
/// 1/2.
fn draw(chains: i64, steps: usize) -> Tensor {
    let half = Tempered {
        energy: Ring,
        temperature: 2.0,
    };
    let both = Sum(vec![Box::new(half), Box::new(Right)]);
    let kernel = Mala {
        step_size: 0.05,
        temperature: 1.0,
    };
    let mut rng = Stream::new(0, "example");
    let start = rng.normal(&[chains, 2], Device::Cpu);
    run_chain(&kernel, &both, start, steps, &mut rng).x
}

fn main() {
    let x = draw(1000, 500);
    let mean = |t: Tensor| t.mean(Kind::Float).double_value(&[]);
    let (along, distance) = (mean(x.select(1, 0)), mean(norms(&x)));
    println!("mean distance from the origin {distance:.2}, mean of the first number {along:.2}");
}
