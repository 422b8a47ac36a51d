//! How often intervals of log Z hold the truth in 100 dimensions, over 100 independent estimates.
//!
//! `make bench`, or `cargo bench --bench coverage`.

#[path = "../tests/common/constants.rs"]
mod constants;

use constants::{CHAINS, Mixture, bounds, hmc, known, path, summary};
use ebm::rng::Stream;

const ESTIMATES: u64 = 100;

fn main() {
    tch::set_num_threads(1);
    println!("| density | bound | held of {ESTIMATES} | mean error | standard error |");
    println!("|---|---|---:|---:|---:|");
    for mixture in [Mixture::unequal_scales(), Mixture::overlapping()] {
        let [lower, upper] = bounds(&mixture, ESTIMATES as i64, &mut Stream::new(0, "coverage"));
        // From the ends of the chains that went there, as a user has it who has no exact draws.
        let kernel = hmc();
        let own = (0..ESTIMATES).map(|seed| {
            let rng = &mut Stream::new(seed, "coverage of ends");
            let found = path(&mixture, &kernel, rng).log_z(CHAINS, rng).upper;
            [found.value, found.interval[0], found.interval[1]]
        });
        let own: Vec<_> = own.collect();
        for (name, bounds) in [
            ("lower", &lower),
            ("upper, from exact draws", &upper),
            ("upper, from ends of the way there", &own),
        ] {
            let (held, mean, error) = summary(bounds, mixture.log_z());
            println!("| {} | {name} | {held} | {mean:+.4} | {error:.4} |", mixture.name);
        }
    }
    println!(
        "\n{CHAINS} chains of hmc each, log Z from N(0, 1.2^2); the true log Z has been taken off, {:.1} is that of the base.",
        known()
    );
}
