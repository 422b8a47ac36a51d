//! What a run leaves for people to look at: metrics, TensorBoard events, pictures, curves and tables.

mod axis;
mod canvas;
mod confusion;
mod csv;
mod curves;
mod events;
mod film;
mod heat;
mod histogram;
mod image_form;
mod lines;
mod metrics;
mod pictures;
mod plot;
mod reliability;
mod sheet;
mod strip;
mod table;
mod traces;

pub use confusion::confusion;
pub use csv::quoted;
pub use curves::curves;
pub use events::Events;
pub use film::film;
pub use heat::{DATA_COLOUR, Dots, HeatPanel, SAMPLE_COLOUR, heat_map, heat_maps};
pub use histogram::histogram;
pub use image_form::ImageForm;
pub use lines::lines;
pub use metrics::{MetricsLog, read as read_metrics};
pub use pictures::{columns, grid, images_to_folder, npy, npy_points};
pub use reliability::{Bin, reliability};
pub use sheet::sheet;
pub use strip::strip;
pub use table::table;
pub use traces::{TracePanel, traces};
