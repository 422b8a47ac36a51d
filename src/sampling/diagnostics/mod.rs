//! How well chains have mixed: R-hat, effective sample sizes and Monte Carlo errors of stored
//! traces.
//!
//! The figures are those of Vehtari et al. (2021), computed as ArviZ computes them, on the host in
//! double precision. A trace is `[draws, chains]` of one scalar quantity, of any kind and on any
//! device. The functions do not alter it.
//!
//! # What is not a number
//! A figure is none where the trace has fewer than four draws, no chain, a value that is not
//! finite, or one value throughout. ArviZ instead gives a constant its number of draws as effective
//! sample size. `split_rhat` is also none for one chain, as in ArviZ. It is infinite where every
//! chain stands still at a value of its own.

mod ess;
mod moments;
mod ranks;
mod rhat;
mod summary;
mod traces;

pub use ess::{autocorrelation, ess_bulk, ess_mean, ess_tail, mcse_mean};
pub use rhat::split_rhat;
pub use summary::{Diagnostics, Row, Trace};
pub use traces::Traces;
