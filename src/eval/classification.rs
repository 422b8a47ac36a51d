//! How well logits tell the classes: accuracy, likelihood, Brier score, calibration, confusion.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::calibration::{Prediction, ece, mass_bins, width_bins};
use crate::error::{Error, Result};
use crate::report::Bin;

/// What a classifier's logits are worth on labelled images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// How many images.
    pub images: u64,
    /// The share of images whose largest logit (the first of equal ones) is that of their class.
    pub accuracy: f64,
    /// The mean of -log p(y|x), in nats.
    pub nll: f64,
    /// The mean over images of sum_k `(p(k|x) - [k = y])^2`, in [0, 2] (Brier 1950).
    pub brier: f64,
    /// The expected calibration error over [`Self::bins`] (Guo et al. 2017).
    pub ece: f64,
    /// And over [`Self::mass_bins`] (Nixon et al. 2019).
    pub ece_mass: f64,
    /// 15 bins of equal width, ((m - 1) / 15, m / 15].
    pub bins: Vec<Bin>,
    /// 15 bins of equal mass: in ascending order of confidence, from image floor(m N / 15) to floor((m + 1) N / 15).
    pub mass_bins: Vec<Bin>,
    /// `[K,K]`: a row a true class, a column a predicted one.
    pub confusion: Vec<Vec<u64>>,
    /// The accuracy on each class; none where no image has it.
    pub class_accuracy: Vec<Option<f64>>,
}

/// Gathers a [`Classification`] over batches.
pub struct Classifications {
    classes: i64,
    nll: f64,
    brier: f64,
    confusion: Vec<u64>,
    predictions: Vec<Prediction>,
}

impl Classifications {
    /// None yet, of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self {
            classes: classes as i64,
            nll: 0.0,
            brier: 0.0,
            confusion: vec![0; classes * classes],
            predictions: Vec::new(),
        }
    }

    /// Adds a batch: logits `[B,K]` of any float kind, labels `[B]` of whole numbers in [0, K). Sums are f64.
    ///
    /// # Errors
    /// Where the shapes do not agree, a logit is not finite or a label is out of range; nothing is added then.
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let labels = self.checked(logits, labels)?;
        let log_p = logits.detach().to_kind(Kind::Double).f_log_softmax(-1, None::<Kind>)?;
        let of_label = log_p.f_gather(1, &labels.unsqueeze(1), false)?.squeeze_dim(1);
        let (p, p_label) = (log_p.exp(), of_label.exp());
        // sum_k p_k^2 without the label's, which is held against 1.
        let others = p.square().sum_dim_intlist(1, false, Kind::Double) - p_label.square();
        let brier = others + (p_label - 1.0).square();
        self.nll -= of_label.sum(Kind::Double).f_double_value(&[])?;
        self.brier += brier.sum(Kind::Double).f_double_value(&[])?;
        let (confidence, predicted) = (p.amax(1, false), log_p.argmax(1, false));
        let right = predicted.eq_tensor(&labels).to_kind(Kind::Double);
        let cells = (&labels * self.classes + predicted).bincount(None::<&Tensor>, self.classes * self.classes);
        for (sum, count) in self.confusion.iter_mut().zip(host::<i64>(&cells)?) {
            *sum += count as u64;
        }
        let predictions = host::<f64>(&confidence)?.into_iter().zip(host::<f64>(&right)?);
        self.predictions.extend(predictions);
        Ok(())
    }

    /// The labels as i64 beside the logits.
    fn checked(&self, logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let (of_logits, of_labels) = (logits.size(), labels.size());
        let fits = of_logits.len() == 2 && of_logits[1] == self.classes && of_labels == of_logits[..1];
        if !fits || of_logits[0] == 0 || labels.is_floating_point() {
            let what = format!(
                "expected logits [B,{}] and as many whole labels [B], found {of_logits:?} and {:?} {of_labels:?}",
                self.classes,
                labels.kind()
            );
            return Err(Error::input("logits and labels", what, "give each image its class"));
        }
        let not_finite = logits.isfinite().logical_not().sum(Kind::Int64).f_int64_value(&[])?;
        if not_finite > 0 {
            let what = format!("expected finite numbers, found {not_finite} that are not");
            return Err(Error::input("logits", what, "take a model that has not diverged"));
        }
        let labels = labels.to_kind(Kind::Int64).to_device(logits.device());
        let (least, most) = (labels.min().f_int64_value(&[])?, labels.max().f_int64_value(&[])?);
        if least < 0 || most >= self.classes {
            let what = format!("expected 0 to {}, found {least} to {most}", self.classes - 1);
            return Err(Error::input(
                "labels",
                what,
                "take data whose classes the model was trained on",
            ));
        }
        Ok(labels)
    }

    /// The figures over all that was added.
    ///
    /// # Errors
    /// Where nothing was.
    pub fn finish(&self) -> Result<Classification> {
        if self.predictions.is_empty() {
            return Err(Error::input(
                "classification",
                "expected at least one image, found none",
                "give labelled images",
            ));
        }
        let n = self.predictions.len() as f64;
        let confusion: Vec<Vec<u64>> = self
            .confusion
            .chunks(self.classes as usize)
            .map(<[u64]>::to_vec)
            .collect();
        let (bins, mass_bins) = (width_bins(&self.predictions), mass_bins(&self.predictions));
        Ok(Classification {
            images: self.predictions.len() as u64,
            accuracy: self.predictions.iter().map(|p| p.1).sum::<f64>() / n,
            nll: self.nll / n,
            brier: self.brier / n,
            ece: ece(&bins),
            ece_mass: ece(&mass_bins),
            bins,
            mass_bins,
            class_accuracy: confusion.iter().enumerate().map(|(k, row)| share(row, k)).collect(),
            confusion,
        })
    }
}

/// The share of a row that lies in column `k`.
fn share(row: &[u64], k: usize) -> Option<f64> {
    let total: u64 = row.iter().sum();
    (total > 0).then(|| row[k] as f64 / total as f64)
}

fn host<T: tch::kind::Element>(row: &Tensor) -> Result<Vec<T>>
where
    Vec<T>: for<'a> TryFrom<&'a Tensor, Error = tch::TchError>,
{
    Ok(Vec::try_from(&row.to_device(Device::Cpu))?)
}
