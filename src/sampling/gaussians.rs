//! A normal distribution of whole images for each class: where JEM++'s chains start.

use tch::{Device, Kind, Tensor, no_grad_guard};

use crate::data::Images;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Images whose moments are summed together: 50 MB of CIFAR-10 in double precision.
const BATCH: i64 = 2048;

/// Half of the range of levels: what [-1, 1] is measured in.
const HALF: f64 = 127.5;

/// N(mean, covariance + jitter I) of the pixels of each class, as means and Cholesky factors (Yang & Ji 2021).
///
/// It holds a square matrix of f32 a class, 38 MB for CIFAR-10, on the images' device.
#[derive(Debug)]
pub struct ClassGaussians {
    shape: Vec<i64>,
    /// `[K,D]`
    means: Tensor,
    /// Lower triangular, `[D,D]`, one a class.
    factors: Vec<Tensor>,
}

impl ClassGaussians {
    /// Fits a distribution to the images of each class, or one to all where there are no labels.
    ///
    /// Sums of levels and of their products are whole numbers that double precision holds exactly, so the fit does not
    /// depend on the order of the images or on batches. Covariances are the unbiased ones, 0 for a class of one image.
    ///
    /// # Errors
    /// When a class has no image, or `jitter` is too small to make a covariance positive definite.
    pub fn fit(images: &Images, jitter: f64) -> Result<Self> {
        let _guard = no_grad_guard();
        let classes = images.classes.len().max(1);
        let (mut means, mut factors) = (Vec::new(), Vec::new());
        for class in 0..classes {
            let at = match &images.labels {
                Some(labels) => labels.eq(class as i64).nonzero().squeeze_dim(1),
                None => Tensor::arange(images.len(), (Kind::Int64, images.device())),
            };
            let name = images.classes.get(class).map_or("", String::as_str);
            if at.size()[0] == 0 {
                return Err(no_images(name));
            }
            let (mean, covariance) = moments(&images.pixels, &at);
            means.push(mean.to_kind(Kind::Float));
            factors.push(factor(covariance, jitter, name)?);
        }
        Ok(Self {
            shape: images.shape(),
            means: Tensor::stack(&means, 0),
            factors,
        })
    }

    /// How many classes it tells apart, 1 without labels.
    pub fn classes(&self) -> i64 {
        self.factors.len() as i64
    }

    /// `n` images, `[n,C,H,W]`, f32, clamped to [-1, 1]: of the given classes, i64 `[n]`, or of classes drawn uniformly.
    pub fn sample(&self, n: i64, classes: Option<&Tensor>, rng: &mut Stream) -> Tensor {
        let _guard = no_grad_guard();
        let device = self.means.device();
        let classes = match classes {
            Some(given) => given.to_device(device),
            None => rng.integers(self.classes(), n, device),
        };
        let z = rng.normal(&[n, self.means.size()[1]], device);
        let mut x = self.means.index_select(0, &classes);
        // Every factor multiplies every row, most of them zeroed: which rows are whose, the host does not know.
        for (class, factor) in self.factors.iter().enumerate() {
            let own = classes.eq(class as i64).unsqueeze(1);
            let _ = x.addmm_(&(&z * own), &factor.tr());
        }
        let size: Vec<i64> = std::iter::once(n).chain(self.shape.iter().copied()).collect();
        x.clamp_(-1.0, 1.0).view(&size[..])
    }
}

/// Mean `[D]` and covariance `[D,D]` of the images at some indices, f64, in the units of [-1, 1].
fn moments(pixels: &Tensor, at: &Tensor) -> (Tensor, Tensor) {
    let d = pixels.size()[1..].iter().product::<i64>();
    let zeros = |size: &[i64], device: Device| Tensor::zeros(size, (Kind::Double, device));
    let (mut sum, mut products) = (zeros(&[d], pixels.device()), zeros(&[d, d], pixels.device()));
    for some in at.split(BATCH, 0) {
        let x = pixels.index_select(0, &some).flatten(1, -1).to_kind(Kind::Double);
        let _ = sum.g_add_(&x.sum_dim_intlist(0, false, Kind::Double));
        let _ = products.addmm_(&x.tr(), &x);
    }
    let n = at.size()[0] as f64;
    let _ = products.g_sub_(&(sum.outer(&sum) / n));
    let covariance = products / ((n - 1.0).max(1.0) * HALF * HALF);
    (sum / (n * HALF) - 1.0, covariance)
}

/// The lower triangular L with L L^T = covariance + jitter I.
fn factor(covariance: Tensor, jitter: f64, class: &str) -> Result<Tensor> {
    let _ = covariance.diagonal(0, 0, 1).g_add_scalar_(jitter);
    let factor = covariance.f_linalg_cholesky(false).map_err(|_| {
        Error::input(
            "sampler.init.class-gaussians.jitter",
            format!(
                "the covariance of the images{} is not positive definite with {jitter}",
                of(class)
            ),
            "give a larger one; 1e-4 is usual",
        )
    })?;
    Ok(factor.to_kind(Kind::Float))
}

fn no_images(class: &str) -> Error {
    Error::input(
        "sampler.init.class-gaussians",
        format!("there is no training image{} to fit a distribution to", of(class)),
        "use more of the data (data.limit), or another sampler.init",
    )
}

fn of(class: &str) -> String {
    match class {
        "" => String::new(),
        class => format!(" of class `{class}`"),
    }
}
