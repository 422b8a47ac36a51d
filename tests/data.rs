//! Data sets: every loader on files written here, every error, splits, batches and random changes.

#[path = "data/bad.rs"]
mod bad;
#[path = "data/batches.rs"]
mod batches;
#[path = "data/damage.rs"]
mod damage;
#[path = "data/files.rs"]
mod files;
#[path = "data/folders.rs"]
mod folders;
#[path = "data/loaders.rs"]
mod loaders;
#[path = "data/pixels.rs"]
mod pixels;
#[path = "data/score.rs"]
mod score;
#[path = "data/svhn.rs"]
mod svhn;
