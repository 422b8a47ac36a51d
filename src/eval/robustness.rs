//! Accuracy under attack over a list of radii.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Attack, Attacked, Defence, Norm, attack};
use crate::data::Images;
use crate::energy::ensure_finite;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Accuracy over the radius of the ball that the attack may search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobustCurve {
    /// How distance is measured.
    pub norm: Norm,
    /// Images attacked.
    pub images: usize,
    /// From radius 0, which is no attack, to the largest.
    pub points: Vec<RobustPoint>,
}

/// One radius.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobustPoint {
    /// In units of images in [0, 1].
    pub epsilon: f64,
    /// The share of images that is classified rightly after the attack.
    pub accuracy: f64,
}

impl RobustCurve {
    /// Attacks labelled images at every radius of `epsilons` (rising), `batch` at a time; `settings` says how, but for
    /// the radius. `progress` is called after each batch and radius.
    ///
    /// What was found in a smaller ball is a candidate in the larger ones, so that without noise the curve never rises.
    /// The defence judges what was kept by draws that no attack has seen, the same at every radius.
    ///
    /// # Errors
    /// A logit that is not finite.
    ///
    /// # Panics
    /// If the images have no labels.
    pub fn new(
        settings: &Attack,
        epsilons: &[f64],
        defence: &Defence,
        images: &Images,
        batch: i64,
        rng: &Stream,
        progress: &mut dyn FnMut(),
    ) -> Result<Self> {
        let labels = images.labels.as_ref().expect("an attack needs the true classes");
        let mut right = vec![0i64; epsilons.len() + 1];
        for (i, from) in (0..images.len()).step_by(batch.max(1) as usize).enumerate() {
            let x = images.chunk(from, batch);
            let labels = labels.narrow(0, from, x.size()[0]);
            let rng = rng.derive(i as u64);
            let judged = |x: &Tensor| {
                let logits = defence.logits(x, &mut rng.derive(u64::MAX - 1));
                ensure_finite(&logits, "classifier", "gives logits that are not finite")?;
                let right = logits.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64);
                Ok::<i64, Error>(right.f_int64_value(&[])?)
            };
            right[0] += judged(&x)?;
            let mut known: Option<Attacked> = None;
            for (e, epsilon) in epsilons.iter().enumerate() {
                let at = Attack {
                    epsilon: *epsilon,
                    ..settings.clone()
                };
                let found = attack(&at, defence, &x, &labels, known.as_ref(), &rng.derive(e as u64));
                right[e + 1] += judged(&found.images)?;
                known = Some(found);
                progress();
            }
        }
        let point = |(epsilon, right): (&f64, i64)| RobustPoint {
            epsilon: *epsilon,
            accuracy: right as f64 / images.len().max(1) as f64,
        };
        Ok(Self {
            norm: settings.norm,
            images: images.len() as usize,
            points: [0.0].iter().chain(epsilons).zip(right).map(point).collect(),
        })
    }
}
