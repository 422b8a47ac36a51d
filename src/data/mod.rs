//! Data sets as u8 tensors on the device, and the batches, splits and random changes made of them.

mod augment;
mod batches;
pub mod cifar;
mod colour;
mod config;
mod crop;
mod detect;
mod draw;
mod folder;
mod hash;
mod idx;
mod images;
mod labels;
mod mat;
mod memory;
mod named;
mod npy;
mod open;
mod other;
mod own;
mod picture;
mod pixels;
mod reading;
mod replay_augment;
mod score;
mod shares;
mod source;
mod split;
mod stack;
mod strokes;
mod svhn;
mod toy;
mod toy_points;
mod walk;

pub use augment::augment;
pub use batches::{Batches, BatchesState};
pub use colour::ColourChange;
pub use config::{
    Augment, ColourJitter, DataConfig, Dataset, FitRule, FolderConfig, ReplayAugment, StackConfig, StrokesConfig,
    ToyConfig,
};
pub use crop::ResizedCrop;
pub use folder::look_through;
pub use images::Images;
pub use labels::labelled;
pub use open::{DataSet, check_shape, declared_shape, open};
pub use other::{Wanted, has_own_test, test_images, training_images};
pub use own::Kept;
pub use picture::bound_pictures;
pub use pixels::{add_noise, convert_channels, to_u8, to_unit};
pub use replay_augment::replay_augment;
pub use score::{ScoreBatch, ScoreInput, ScoreItem};
pub use shares::ClassShares;
pub use source::{dataset_at, name};
pub use split::{Digest, SourceRecord, SplitRecord};
pub use toy::Toy;
