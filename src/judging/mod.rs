//! What scores, compares and judges a trained run: its images, its classes and its samples.

mod classes;
mod comparison;
mod comparison_rows;
mod drawing;
pub mod evaluate;
mod inside;
mod loaded;
mod reel;
mod referee;
mod request;
mod score;
mod score_rows;
pub mod sets;
mod strangest;
mod threshold;

pub use classes::{Classes, repeated};
pub use comparison::{Compared, Comparison, comparable_scores, outlier_sets};
pub use comparison_rows::{Row, csv, legend, summary, table};
pub use drawing::{Drawing, Pictured};
pub use inside::{Inside, InsideImages};
pub use loaded::{BATCH, Loaded, Scoring};
pub use referee::{Referee, Views};
pub use request::{Request, Wish};
pub use score::{Counts, Rows, ScoredFiles, judge_of_columns, rule_of_columns};
pub use score_rows::{Columns, Format, Found};
pub use strangest::{Kept, Strangest};
pub use threshold::{Threshold, ThresholdFit};
