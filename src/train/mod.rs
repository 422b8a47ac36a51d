//! Training: the loop, its state, checkpoints, and the divergence guard.

pub mod checkpoint;
mod guard;
mod load;
mod meters;
mod run;
mod state;
mod trainer;

pub use checkpoint::Which;
pub use guard::{Cause, Divergence, Guard, GuardState, Reading};
pub use load::{Trained, Weights, import, load};
pub use meters::{Meters, NAMES as METERS};
pub use run::{Lock, RunDir};
pub use state::{Record, State, Streams};
pub use trainer::{Event, LogLine, Observer, Outcome, Trainer};
