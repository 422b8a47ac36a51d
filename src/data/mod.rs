//! Data sets as u8 tensors on the device, and the batches, splits and random changes made of them.

mod augment;
mod batches;
pub mod cifar;
mod colour;
mod crop;
mod folder;
mod hash;
mod idx;
mod images;
mod labels;
mod mat;
mod named;
mod npy;
mod open;
mod picture;
mod pixels;
mod replay_augment;
mod score;
mod source;
mod split;
mod stack;
mod strokes;
mod svhn;

pub use augment::augment;
pub use batches::{Batches, BatchesState};
pub use colour::ColourChange;
pub use crop::ResizedCrop;
pub use images::Images;
pub use labels::labelled;
pub use open::{DataSet, check_shape, declared_shape, open, test_images};
pub use pixels::{add_noise, convert_channels, to_u8, to_unit};
pub use replay_augment::replay_augment;
pub use score::{ScoreBatch, ScoreInput, ScoreItem};
pub use source::{dataset_at, name};
pub use split::{Digest, SourceRecord, SplitRecord};
