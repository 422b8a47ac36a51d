//! Intervals of log Z hold the truth as often as they say, in 100 dimensions.

#[path = "common/constants.rs"]
#[allow(dead_code)] // the bench uses all of it
mod constants;

use constants::{Mixture, bounds, summary};
use ebm::rng::Stream;

/// Estimates each way. Of intervals that hold the truth with probability 0.95, fewer than 42 of 50 do so
/// with probability 0.0008.
const ESTIMATES: i64 = 50;
const LEAST: usize = 42;

fn check(mixture: &Mixture) {
    tch::set_num_threads(1);
    let [lower, upper] = bounds(mixture, ESTIMATES, &mut Stream::new(1, "coverage"));
    let truth = mixture.log_z();
    let (below, above) = (summary(&lower, truth), summary(&upper, truth));
    println!("{}: from below {below:?}, from above {above:?}", mixture.name);
    for (held, mean, _) in [below, above] {
        assert!(held >= LEAST, "{held} of {ESTIMATES} hold the truth");
        assert!(mean.abs() < 0.3, "the bounds are loose: {mean}");
    }
    // In expectation one lies below and the other above.
    let ((_, low, error_low), (_, high, error_high)) = (below, above);
    assert!(low < 4.0 * error_low && high > -4.0 * error_high, "{below:?} {above:?}");
}

#[test]
fn intervals_hold_the_constant_of_gaussians_of_unequal_scales() {
    check(&Mixture::unequal_scales());
}

#[test]
fn intervals_hold_the_constant_of_a_mixture() {
    check(&Mixture::overlapping());
}
