//! Training: the loop, its state, checkpoints, and the divergence guard.

mod archive;
mod batch;
pub mod checkpoint;
mod guard;
mod labelled;
mod load;
mod meters;
mod observer;
mod pace;
mod record;
mod recorded;
mod run;
mod state;
mod step;
mod trainer;
mod update;

pub use checkpoint::Which;
pub use guard::{Cause, Divergence, Guard, GuardState, Reading};
pub use labelled::{Labelled, LabelledState};
pub use load::{Trained, Weights, import, load};
pub use meters::Meters;
pub use observer::{Event, LogLine, Observer, Outcome};
pub use pace::{Pace, rehearse};
pub use run::RunDir;
pub use record::{Record, Streams};
pub use state::State;
pub use trainer::Trainer;
