//! The Frechet distance between two sets of features, through their means and covariances.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// The mean and the covariance of features, gathered over batches in f64.
///
/// Batches are joined by the update of Chan, Golub & LeVeque (1983): sums of products are taken about the mean of the
/// batch and then moved, so a mean far from zero costs no digits.
#[derive(Debug)]
pub struct Moments {
    count: i64,
    /// `[D]`.
    mean: Tensor,
    /// `[D,D]`: the sum of the products of deviations from the mean.
    scatter: Tensor,
}

impl Moments {
    /// Of no features yet, of `dim` numbers each.
    pub fn new(dim: usize, device: Device) -> Self {
        let dim = dim as i64;
        Self {
            count: 0,
            mean: Tensor::zeros([dim], (Kind::Double, device)),
            scatter: Tensor::zeros([dim, dim], (Kind::Double, device)),
        }
    }

    /// Adds features `[B,D]` of any float kind.
    ///
    /// # Errors
    /// Where they are of another shape.
    pub fn add(&mut self, features: &Tensor) -> Result<()> {
        let size = features.size();
        if size.len() != 2 || size[1] != self.dim() {
            let what = format!("expected [B,{}], found {size:?}", self.dim());
            return Err(Error::input("features", what, "give one row of features an image"));
        }
        if size[0] == 0 {
            return Ok(());
        }
        let rows = features.detach().to_device(self.mean.device()).to_kind(Kind::Double);
        let mean = rows.mean_dim(0, false, Kind::Double);
        let deviations = rows - &mean;
        self.merge(&Self {
            count: size[0],
            mean,
            scatter: deviations.tr().f_matmul(&deviations)?,
        })
    }

    /// Adds what `other` gathered.
    ///
    /// # Errors
    /// Where its features have another number of dimensions.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        same_dim(self, other)?;
        let count = self.count + other.count;
        if other.count == 0 {
            return Ok(());
        }
        let device = self.mean.device();
        let apart = other.mean.to_device(device) - &self.mean;
        let share = other.count as f64 / count as f64;
        self.scatter += other.scatter.to_device(device) + apart.outer(&apart) * (self.count as f64 * share);
        self.mean += apart * share;
        self.count = count;
        Ok(())
    }

    /// How many features were added.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// Numbers a feature.
    pub fn dim(&self) -> i64 {
        self.mean.size()[0]
    }

    /// The mean `[D]`, f64.
    pub fn mean(&self) -> Tensor {
        self.mean.copy()
    }

    /// The unbiased covariance `[D,D]` (divided by N - 1), f64.
    ///
    /// # Errors
    /// Where fewer than two features were added.
    pub fn covariance(&self) -> Result<Tensor> {
        if self.count < 2 {
            let what = format!("expected at least 2 for a covariance, found {}", self.count);
            return Err(Error::input("features", what, "give more images"));
        }
        Ok(&self.scatter / (self.count - 1) as f64)
    }

    /// A root R `[D,r]` of the covariance, R R^T, and its trace.
    ///
    /// N features span at most N - 1 directions; what rounding leaves in the others is no variance, and would count by
    /// its square root.
    fn root(&self) -> Result<(Tensor, f64)> {
        let covariance = self.covariance()?;
        if !bool::try_from(covariance.isfinite().all())? || !bool::try_from(self.mean.isfinite().all())? {
            let what = "expected finite numbers, found others";
            return Err(Error::input("features", what, "take a network and images without NaN"));
        }
        let (variances, directions) = covariance.f_linalg_eigh("L")?;
        let rank = self.dim().min(self.count - 1);
        let (variances, directions) = (
            variances.narrow(0, self.dim() - rank, rank),
            directions.narrow(1, self.dim() - rank, rank),
        );
        let floor = variances.max() * (self.dim() as f64 * f64::EPSILON);
        let kept = variances.where_self(&variances.gt_tensor(&floor), &variances.zeros_like());
        Ok((directions * kept.sqrt(), covariance.trace().f_double_value(&[])?))
    }
}

/// The squared Frechet distance of the Gaussians with the moments of two sets of features, |m1 - m2|^2 + tr(S1 + S2 -
/// 2 (S1 S2)^(1/2)) (Dowson & Landau 1982; the FID of Heusel et al. 2017 where the features are Inception's).
///
/// With S = R R^T, tr (S1 S2)^(1/2) is the sum of the singular values of R1^T R2: no square root of a product is
/// taken, so covariances may be singular.
///
/// # Errors
/// Where the dimensions differ, a set has fewer than two features or holds a number that is not finite.
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<f64> {
    same_dim(a, b)?;
    let ((root_a, trace_a), (root_b, trace_b)) = (a.root()?, b.root()?);
    let device = a.mean.device();
    let product = root_a.tr().f_matmul(&root_b.to_device(device))?;
    let shared = product.f_linalg_norm_ord_str("nuc", [-2i64, -1].as_slice(), false, Kind::Double)?;
    let apart = (&a.mean - b.mean.to_device(device)).square().sum(Kind::Double);
    let distance = apart.f_double_value(&[])? + trace_a + trace_b - 2.0 * shared.f_double_value(&[])?;
    if !distance.is_finite() {
        let what = format!("have a Frechet distance of {distance}, which is no finite number");
        return Err(Error::failure(
            "features",
            what,
            "take a network whose features are of moderate size",
        ));
    }
    // Below zero by rounding only.
    Ok(distance.max(0.0))
}

fn same_dim(a: &Moments, b: &Moments) -> Result<()> {
    if a.dim() == b.dim() {
        return Ok(());
    }
    let what = format!(
        "expected as many dimensions on both sides, found {} and {}",
        a.dim(),
        b.dim()
    );
    Err(Error::input("features", what, "take both from the same network"))
}
