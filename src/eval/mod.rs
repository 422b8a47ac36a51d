//! How well the energy tells images of the data from others, a classifier classes, and what attacks make of it.

mod agreement;
mod attack;
mod auroc;
mod defence;
mod ood;
mod passes;
mod robustness;

pub use agreement::{Agreement, ClassAgreement};
pub use attack::{Attack, Attacked, Norm, Through, attack};
pub use auroc::auroc;
pub use defence::Defence;
pub use ood::{OodRow, OodTable, energies, flipped, uniform_noise};
pub use passes::outputs;
pub use robustness::{RobustCurve, RobustPoint};
