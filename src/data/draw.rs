//! Which images stand for a larger set: one even draw, the same for the same seed.

use rand::seq::SliceRandom;

use crate::rng::Stream;

/// The sorted indices of `count` of the `labels.len()` images that have these class numbers.
///
/// Each class has its share, to within one image. Images without labels are of one class. Fewer
/// images by the same seed are among more, so a smaller limit looks at a part of what a larger one
/// looks at.
pub(super) fn indices(labels: &[i64], count: usize, seed: u64) -> Vec<i64> {
    let rng = &mut Stream::new(seed, "limit").host();
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(rng);
    let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let mut sizes = vec![0u64; classes];
    labels.iter().for_each(|class| sizes[*class as usize] += 1);
    let mut met = vec![0u64; classes];
    let mut placed: Vec<(u64, u64, usize)> = Vec::with_capacity(order.len());
    for at in order {
        let class = labels[at] as usize;
        // The middle of the image's share of its class, as a fraction of the class.
        placed.push((2 * met[class] + 1, 2 * sizes[class], at));
        met[class] += 1;
    }
    // Stable: where classes tie, the shuffle decides.
    placed.sort_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)));
    let mut chosen: Vec<i64> = placed.iter().take(count).map(|p| p.2 as i64).collect();
    chosen.sort_unstable();
    chosen
}
