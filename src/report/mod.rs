//! What a run leaves for people to look at: metrics, TensorBoard events, pictures, curves and tables.

mod axis;
mod curves;
mod events;
mod film;
mod metrics;
mod pictures;
mod table;

pub use curves::curves;
pub use events::Events;
pub use film::film;
pub use metrics::MetricsLog;
pub use pictures::{grid, images_to_folder, npy, strip};
pub use table::table;
