//! Images that chains have made.

use tch::Tensor;

/// Synthesised images, and where their chains started; u8 `[N,C,H,W]` both.
#[derive(Debug)]
pub struct Made {
    /// What the chains came to.
    pub images: Tensor,
    /// Where they started.
    pub starts: Tensor,
}

impl Made {
    /// The same tensors.
    pub(super) fn shared(&self) -> Self {
        Self {
            images: self.images.shallow_clone(),
            starts: self.starts.shallow_clone(),
        }
    }
}
