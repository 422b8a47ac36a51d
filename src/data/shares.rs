//! How often each class occurs among labelled images, and chains that are spread over classes
//! alike.

use rand::RngExt;
use rand::seq::SliceRandom;
use tch::{Device, Tensor};

use super::Images;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// The number of labelled images of each class.
///
/// Chains that keep their class stand for p(x|y) averaged over the labels, so their classes have
/// the shares of the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassShares {
    counts: Vec<i64>,
}

impl ClassShares {
    /// Those of counts, one a class.
    ///
    /// # Panics
    /// If a count is negative, or all are 0.
    pub fn new(counts: Vec<i64>) -> Self {
        assert!(counts.iter().all(|n| *n >= 0) && counts.iter().any(|n| *n > 0));
        Self { counts }
    }

    /// Those of the images at `indices`, i64 `[m]` on the host, which have labels below `classes`.
    pub fn of(images: &Images, indices: &Tensor, classes: i64) -> Result<Self> {
        let labels = images.labels_at(&indices.to_device(images.device()));
        let labels = Vec::<i64>::try_from(labels.expect("checked to have labels").to_device(Device::Cpu))?;
        let mut counts = vec![0; classes as usize];
        labels.into_iter().for_each(|label| counts[label as usize] += 1);
        Ok(Self::new(counts))
    }

    /// How many classes there are, with or without images.
    pub fn classes(&self) -> i64 {
        self.counts.len() as i64
    }

    /// The classes without an image, which get no chain.
    pub fn absent(&self) -> Vec<usize> {
        let empty = |class: &usize| self.counts[*class] == 0;
        (0..self.counts.len()).filter(empty).collect()
    }

    /// How many of `size` slots each class gets: its share, rounded, and never fewer than its
    /// chains among `n` that are drawn at once.
    ///
    /// # Errors
    /// When there are too few slots for that.
    pub fn slots(&self, size: i64, n: i64) -> Result<Vec<i64>> {
        let least: Vec<i64> = self
            .counts
            .iter()
            .map(|c| (n * c + self.all() - 1) / self.all())
            .collect();
        let needed = least.iter().sum::<i64>();
        if needed > size {
            let classes = self.classes();
            return Err(Error::input(
                "buffer.size",
                format!("{size} slots for {classes} classes are too few: a draw of {n} chains takes up to {needed}"),
                format!("give at least {needed}"),
            ));
        }
        let mut slots: Vec<i64> = self.counts.iter().map(|c| size * c / self.all()).collect();
        let mut by_rest: Vec<usize> = (0..slots.len()).collect();
        by_rest.sort_by_key(|class| -(size * self.counts[*class] % self.all()));
        let left = size - slots.iter().sum::<i64>();
        by_rest.iter().take(left as usize).for_each(|class| slots[*class] += 1);
        raise(&mut slots, &least);
        Ok(slots)
    }

    /// The classes of `n` chains in random order, where the expected number of each class is `n`
    /// times its share exactly, and the number itself is that rounded up or down (systematic
    /// sampling).
    pub fn draw(&self, n: i64, rng: &mut Stream) -> Vec<i64> {
        let mut host = rng.host();
        // In a fixed order, which classes are rounded up together would always be the same.
        let mut order: Vec<usize> = (0..self.counts.len()).collect();
        order.shuffle(&mut host);
        let offset: f64 = host.random();
        let (mut below, mut given) = (0, 0);
        let mut classes = Vec::with_capacity(n as usize);
        for class in order {
            below += self.counts[class];
            let until = ((n * below) as f64 / self.all() as f64 + offset).floor() as i64;
            classes.extend(std::iter::repeat_n(class as i64, (until - given) as usize));
            given = until;
        }
        classes.shuffle(&mut host);
        classes
    }

    fn all(&self) -> i64 {
        self.counts.iter().sum()
    }
}

/// Raises numbers to their least ones, at the cost of the class that has most above its own.
fn raise(slots: &mut [i64], least: &[i64]) {
    for class in 0..slots.len() {
        while slots[class] < least[class] {
            let spare = |other: &usize| slots[*other] - least[*other];
            let richest = (0..slots.len()).max_by_key(spare).expect("there are classes");
            slots[richest] -= 1;
            slots[class] += 1;
        }
    }
}
