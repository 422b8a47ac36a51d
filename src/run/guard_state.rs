//! The history of the guard as a checkpoint holds it.

use serde::{Deserialize, Serialize};

/// How many past looks the running median of the gradient norm is taken over.
pub(crate) const WINDOW: usize = 101;

/// What must survive a restart for the guard to judge as before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardState {
    pub(crate) norms: Vec<f64>,
    pub(crate) suspicious: u32,
}

impl GuardState {
    /// Whether a guard of this patience can have come to it.
    ///
    /// # Errors
    /// Says what it can never hold.
    pub(super) fn check(&self, patience: u32) -> Result<(), String> {
        if self.norms.len() > WINDOW || self.norms.iter().any(|n| !n.is_finite() || *n < 0.0) {
            return Err(format!(
                "guard.norms holds other than at most {WINDOW} norms of 0 or more"
            ));
        }
        match self.suspicious > patience {
            true => Err(format!(
                "guard.suspicious is {}, the patience {patience}",
                self.suspicious
            )),
            false => Ok(()),
        }
    }
}
