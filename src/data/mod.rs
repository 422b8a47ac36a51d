//! Data sets as u8 tensors on the device, and the batches, splits and random changes made of them.

mod batches;
mod changes;
mod config;
mod draw;
mod formats;
mod hash;
mod images;
mod labels;
mod memory;
mod named;
mod open;
mod other;
mod own;
mod pixels;
mod reading;
mod score;
mod shares;
mod source;
mod split;
mod strokes;
mod toy;
mod toy_points;
mod walk;

pub use batches::{Batches, BatchesState};
pub use changes::{ColourChange, ResizedCrop, augment, replay_augment};
pub use config::{
    Augment, ColourJitter, DataConfig, Dataset, FitRule, FolderConfig, ReplayAugment, StackConfig, StrokesConfig,
    ToyConfig,
};
pub use formats::cifar;
pub use formats::folder::look_through;
pub use formats::picture::bound_pictures;
pub use images::Images;
pub use labels::labelled;
pub use open::{DataSet, check_shape, declared_shape, open};
pub use other::{Wanted, has_own_test, test_images, training_images};
pub use own::Kept;
pub use pixels::{add_noise, convert_channels, to_u8, to_unit};
pub use score::{ScoreBatch, ScoreInput, ScoreItem};
pub use shares::ClassShares;
pub use source::{dataset_at, name};
pub use split::{Digest, SourceRecord, SplitRecord};
pub use toy::Toy;
