//! How often a classifier sees, in images that were synthesised for a class, the class that was asked for.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// Of images of asked classes, the share that a classifier takes for what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Images judged.
    pub images: usize,
    /// The share whose predicted class is the asked one.
    pub overall: f64,
    /// The same a class, of those that were asked for.
    pub classes: Vec<ClassAgreement>,
}

/// The share of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassAgreement {
    /// Its name.
    pub class: String,
    /// Images that were asked to be of it.
    pub images: usize,
    /// The share of them that were taken for it.
    pub share: f64,
}

impl Agreement {
    /// Compares `asked` `[N]`, i64, with the class of the largest of `logits` `[N,K]`; `names` has a name a class.
    ///
    /// # Errors
    /// When LibTorch cannot copy the numbers to the host.
    pub fn new(logits: &Tensor, asked: &Tensor, names: &[String]) -> Result<Self> {
        let predicted = logits.argmax(1, false);
        let agreed = predicted.eq_tensor(&asked.to_device(predicted.device()));
        let asked = Vec::<i64>::try_from(asked.to_device(Device::Cpu))?;
        let agreed = Vec::<i64>::try_from(agreed.to_device(Device::Cpu).to_kind(Kind::Int64))?;
        let mut counts = vec![(0usize, 0usize); names.len()];
        for (class, yes) in asked.iter().zip(&agreed) {
            let count = &mut counts[*class as usize];
            *count = (count.0 + 1, count.1 + *yes as usize);
        }
        let share = |yes: usize, of: usize| yes as f64 / of.max(1) as f64;
        let classes = names.iter().zip(&counts).filter(|(_, (images, _))| *images > 0);
        Ok(Self {
            images: asked.len(),
            overall: share(agreed.iter().sum::<i64>() as usize, asked.len()),
            classes: classes
                .map(|(class, (images, yes))| ClassAgreement {
                    class: class.clone(),
                    images: *images,
                    share: share(*yes, *images),
                })
                .collect(),
        })
    }
}
