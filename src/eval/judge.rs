//! Images to their out-of-distribution scores and class probabilities, many at a time, from one pass of the network.

use std::cell::RefCell;

use tch::{Kind, Tensor, no_grad_guard};

use super::Score;
use crate::data;
use crate::energy::{Energy, Outputs, energy_and_grad, ensure_finite};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Scores images by a frozen model.
#[derive(Debug)]
pub struct Judge<'a> {
    energy: &'a dyn Outputs,
    temperature: f64,
    noise: f64,
    typical: Option<f64>,
}

/// What was found of N images, on their device.
#[derive(Debug)]
pub struct Judged {
    /// `[N]` f64 for each score, in the order asked for; higher = more out of distribution.
    pub scores: Vec<Tensor>,
    /// p(y|x), `[N,K]` f64, where the network gives logits.
    pub probabilities: Option<Tensor>,
}

/// One pass of the network: what every score is made of.
struct Pass {
    raw: Tensor,
    energy: Tensor,
    grad: Option<Tensor>,
}

impl<'a> Judge<'a> {
    /// Scores images as they are, at temperature 1.
    pub fn new(energy: &'a dyn Outputs) -> Self {
        Self {
            energy,
            temperature: 1.0,
            noise: 0.0,
            typical: None,
        }
    }

    /// The temperature of [`Score::Energy`], above 0; no other score knows of it.
    pub fn at_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Adds N(0, `std`^2) to every image before it is scored, as JEM does (0.03); 0 adds none.
    pub fn with_noise(mut self, std: f64) -> Self {
        self.noise = std;
        self
    }

    /// The mean of log p(x) over training images, which [`Score::Typicality`] is measured from;
    /// see [`mean_log_px`](Self::mean_log_px).
    pub fn with_typical(mut self, mean: f64) -> Self {
        self.typical = Some(mean);
        self
    }

    /// The mean given to [`with_typical`](Self::with_typical).
    pub fn typical(&self) -> Option<f64> {
        self.typical
    }

    /// The scores of `images`, u8 or f32 in [-1, 1], `[N,C,H,W]` on the network's device, `batch` at a time.
    ///
    /// All come from one pass; only [`Score::GradNorm`] also goes backward. `rng` is for the noise alone.
    ///
    /// # Errors
    /// A score needs classes and the network has none, or needs the mean over training images and none was given.
    pub fn judge(&self, scores: &[Score], images: &Tensor, batch: usize, rng: &mut Stream) -> Result<Judged> {
        scores.iter().try_for_each(|s| self.ensure(*s))?;
        let _guard = no_grad_guard();
        let batch = batch.max(1) as i64;
        let count = images.size()[0];
        let empty = |columns: &[i64]| Tensor::zeros(columns, (Kind::Double, images.device()));
        let classes = self.energy.classes();
        let mut parts: Vec<Vec<Tensor>> = scores.iter().map(|_| vec![empty(&[0])]).collect();
        let mut probabilities: Vec<Tensor> = classes.iter().map(|k| empty(&[0, *k])).collect();
        for from in (0..count).step_by(batch as usize) {
            let x = self.input(&images.narrow(0, from, batch.min(count - from)), rng);
            let pass = self.pass(&x, scores.contains(&Score::GradNorm));
            for (part, score) in parts.iter_mut().zip(scores) {
                part.push(self.score(*score, &pass, &x));
            }
            if classes.is_some() {
                probabilities.push(softmax(&pass.raw));
            }
        }
        Ok(Judged {
            scores: parts.iter().map(|p| Tensor::cat(p, 0)).collect(),
            probabilities: classes.map(|_| Tensor::cat(&probabilities, 0)),
        })
    }

    /// The same of images whose scores are to be summed up: every one of them must be finite.
    ///
    /// # Errors
    /// Those of [`judge`](Self::judge), and a score that is not finite.
    pub fn judge_all(&self, scores: &[Score], images: &Tensor, batch: usize, rng: &mut Stream) -> Result<Judged> {
        let judged = self.judge(scores, images, batch, rng)?;
        for (score, column) in scores.iter().zip(&judged.scores) {
            ensure_finite(
                column,
                &format!("score `{}`", score.word()),
                "is not finite of some images",
            )?;
        }
        Ok(judged)
    }

    /// The mean of log p(x) = -E(x) over `images` (as for [`judge`](Self::judge)), without its constant.
    ///
    /// # Errors
    /// LibTorch's, and a score that is not finite.
    pub fn mean_log_px(&self, images: &Tensor, batch: usize, rng: &mut Stream) -> Result<f64> {
        let judged = self.judge_all(&[Score::LogPx], images, batch, rng)?;
        Ok(-judged.scores[0].mean(Kind::Double).f_double_value(&[])?)
    }

    fn ensure(&self, score: Score) -> Result<()> {
        score.ensure_classes(self.energy.classes().is_some())?;
        if score == Score::Typicality && self.typical.is_none() {
            return Err(Error::input(
                "score `typicality`",
                "is the distance from the mean over training images; there are none here",
                "leave it out, or use a run that knows its data",
            ));
        }
        Ok(())
    }

    /// f32 in [-1, 1], with the noise on it.
    fn input(&self, images: &Tensor, rng: &mut Stream) -> Tensor {
        let x = match images.kind() {
            Kind::Uint8 => data::to_unit(images),
            _ => images.to_kind(Kind::Float),
        };
        match self.noise {
            0.0 => x,
            std => data::add_noise(&x, std, rng),
        }
    }

    fn pass(&self, x: &Tensor, gradient: bool) -> Pass {
        let seen = Seen {
            energy: self.energy,
            raw: RefCell::new(None),
        };
        let (energy, grad) = match gradient {
            true => {
                let at_x = energy_and_grad(&seen, x);
                (at_x.energy, Some(at_x.grad))
            }
            false => (seen.energy(x), None),
        };
        Pass {
            raw: seen.raw.into_inner().expect("an energy passes through the network"),
            energy,
            grad,
        }
    }

    fn score(&self, score: Score, pass: &Pass, x: &Tensor) -> Tensor {
        let value = match score {
            Score::LogPx => pass.energy.shallow_clone(),
            Score::MaxPy => softmax(&pass.raw).amax([1], false).neg(),
            Score::GradNorm => {
                let grad = pass.grad.as_ref().expect("the pass went backward");
                grad.flatten(1, -1).norm_scalaropt_dim(2, [1], false)
            }
            Score::Energy => self
                .energy
                .head()
                .energy_at(pass.raw.shallow_clone(), self.temperature, x),
            Score::Joint => self.energy.head().joint(&pass.raw, &pass.raw.argmax(1, false), x),
            // log p = -E, so that the two differences have one size.
            Score::Typicality => (pass.energy.to_kind(Kind::Double) + self.typical.unwrap_or(f64::NAN)).abs(),
        };
        value.to_kind(Kind::Double)
    }
}

/// p(y|x), in f64: in f32 every confident image has the probability 1 exactly, and ties tell nothing apart.
fn softmax(logits: &Tensor) -> Tensor {
    logits.to_kind(Kind::Double).softmax(1, Kind::Double)
}

/// An energy that keeps the network's raw output, so that gradient and logits come from one pass.
struct Seen<'a> {
    energy: &'a dyn Outputs,
    raw: RefCell<Option<Tensor>>,
}

impl Energy for Seen<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let raw = self.energy.raw(x);
        self.raw.replace(Some(raw.detach()));
        self.energy.head().energy(raw, x)
    }
}
