//! Which training images count as labelled.

use rand::seq::SliceRandom;
use tch::Tensor;

use super::Images;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// The indices of labelled images, rising, i64 `[m]` on the host: all, or `per_class` of each class, drawn by `seed`.
///
/// # Errors
/// When the images have no labels, are of another number of classes than the network, or a class has too few.
pub fn labelled(images: &Images, classes: i64, per_class: Option<usize>, seed: u64) -> Result<Tensor> {
    let found = images.classes.len() as i64;
    let Some(labels) = images.labels.as_ref() else {
        return Err(Error::input(
            "data.dataset",
            "the images have no labels, and the objective uses them",
            "give labels (a file of them, or a sub-folder a class), or set the weights of p(y|x), p(x|y) and p(x,y) to 0",
        ));
    };
    if found != classes {
        return Err(Error::input(
            "data.dataset",
            format!("the images are of {found} classes, the network tells {classes} apart"),
            format!("end the architecture file with `linear: {{out: {found}}}`"),
        ));
    }
    let Some(count) = per_class else {
        return Ok(Tensor::arange(images.len(), (tch::Kind::Int64, tch::Device::Cpu)));
    };
    let labels = Vec::<i64>::try_from(labels)?;
    let mut rng = Stream::new(seed, "labels").host();
    let mut chosen = Vec::new();
    for class in 0..classes {
        let mut own: Vec<i64> = (0..labels.len() as i64)
            .filter(|i| labels[*i as usize] == class)
            .collect();
        if own.len() < count {
            return Err(Error::input(
                "data.labels_per_class",
                format!(
                    "{count} labels of class `{}` were asked for, it has {}",
                    images.classes[class as usize],
                    own.len()
                ),
                "ask for fewer",
            ));
        }
        own.shuffle(&mut rng);
        chosen.extend_from_slice(&own[..count]);
    }
    chosen.sort_unstable();
    Ok(Tensor::from_slice(&chosen))
}
