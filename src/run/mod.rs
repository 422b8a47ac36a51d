//! What lies on disk of a run: its folder, its checkpoints and their records, and how others read it.

mod archive;
pub mod base;
pub mod checkpoint;
mod divergence;
pub(crate) mod environment;
mod folder;
mod foreign;
mod guard_state;
mod import;
mod labelled_state;
mod listener;
mod load;
pub mod own_data;
mod record;

pub use checkpoint::Which;
pub use divergence::{Cause, Divergence, Reading};
pub use folder::RunDir;
pub use guard_state::GuardState;
pub(crate) use guard_state::WINDOW;
pub use import::Import;
pub use labelled_state::LabelledState;
pub use listener::Listener;
pub use load::{Trained, Weights, import, load};
pub use record::{Record, Streams};
