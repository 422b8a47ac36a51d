//! Deep energy-based models of images, trained by MCMC maximum likelihood on LibTorch.
//!
//! A network gives every image one number, its energy E(x), and p(x) = exp(-E(x)/T) / Z. Training draws images from the
//! present model by Langevin dynamics, pushes the energy of data down and that of the drawn images up, and repeats.
//!
//! # Conventions
//! - Low energy = likely. Energies are `[B]`, f32.
//! - Images are f32 in [-1, 1], `[B,C,H,W]`. Where they are stored or leave the program they are u8.
//! - The target is exp(-E(x)/T). A Langevin step is x' = x - step_size * grad E(x) + noise_scale * z, its parts in the
//!   order that the configuration gives. `noise_scale` that is null means sqrt(2 * step_size * T); one that is given
//!   implies T = noise_scale^2 / (2 * step_size), exact only without clipping and clamping.
//! - A classifier with logits f is E(x) = `-logsumexp_y f(x)[y]` and E(x,y) = `-f(x)[y]`.
//! - `energy_gap` is the mean energy of synthesised images minus that of data.
//! - An out-of-distribution score is higher for what is further out; the energy is such a score. Names
//!   carry the sign: `-log p(x)`, `-max p(y|x)`.
//! - Randomness is a value, [`rng::Stream`]. Torch's generator belongs to the process, so draw from one thread.
//! - What a user writes and the outside world are an [`Error`]; the divergence of a run is a value.
//! - What the library warns of goes through the crate `log`; the program says it on stderr.
//! - Whoever uses a trained run gets its averaged weights (EMA) unless the raw ones are asked for.
//!
//! # Modules
//! A module imports only from those before it.
//! - [`error`]: the error type. [`ffi`]: the C++ shim, with the only unsafe code. [`memory`], [`files`], [`rng`]: how much
//!   memory there is, files that are written whole, randomness. [`process`]: how a process uses a CPU.
//! - [`config`]: how a file that a person writes becomes a typed value.
//! - [`data`]: data sets as batches on the device. [`nn`]: an architecture file as a network. [`report`]: metrics, event
//!   files and pictures.
//! - [`energy`]: networks and closed forms as energies, and their gradients with respect to states.
//! - [`models`]: what a run trains, a network or a model of another kind: parameters, and the energies they make.
//! - [`sampling`]: Markov kernels, chains, synthesis by long ones, and chains that persist between steps.
//! - [`objective`], [`optim`]: what is minimised, and how parameters follow its gradient.
//! - [`eval`]: out-of-distribution scores, classification and calibration, robustness, quality of samples.
//! - [`experiment`]: an experiment file, made of the sections that the modules above define, and its checks.
//! - [`reference`](mod@reference): what files may say, as JSON Schemas and as pages, from the types that read them.
//! - [`run`]: what lies on disk of a run: its folder, its checkpoints, the records of its data and its environment; how
//!   others load it, and how weights from elsewhere become one.
//! - [`train`]: the loop, the divergence guard, the quality monitor, results; how a run begins, in minutes or steps.
//! - [`judging`]: what draws from a trained run by class, scores images by it, fits thresholds, compares sets and
//!   evaluates it, with the records of all this.
//! - [`cli`]: the commands of the program `ebm`: arguments, words and exit codes.
//!
//! `examples/run.rs` trains a run as the program does; `examples/train.rs` writes the loop out by hand;
//! `examples/langevin.rs` draws from a trained run; `examples/judge.rs` synthesises and scores.

pub mod cli;
pub mod config;
pub mod data;
pub mod energy;
pub mod error;
pub mod eval;
pub mod experiment;
pub mod ffi;
pub mod files;
pub mod judging;
pub mod memory;
pub mod models;
pub mod nn;
pub mod objective;
pub mod optim;
pub mod process;
pub mod reference;
pub mod report;
pub mod rng;
pub mod run;
pub mod sampling;
pub mod space;
pub mod train;

pub use error::{Error, Result};
