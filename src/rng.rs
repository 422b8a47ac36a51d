//! Randomness as a value: a stream is a seed and a count of draws, and the only caller of torch's `manual_seed`.

use std::cell::Cell;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

thread_local! {
    /// The draws of the work that this thread records, while it does.
    static RECORDED_DRAWS: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs `work` while it is recorded to be replayed, and returns what it gives with the number of its draws.
///
/// Streams count their draws in it but leave torch's generator alone, which cannot be seeded during a capture. A replay
/// is seeded for by [`Stream::seed_replay`] instead.
pub fn recorded<T>(work: impl FnOnce() -> T) -> (T, u64) {
    /// Ends the counting, on a panic too.
    struct Counting(Option<u64>);
    impl Drop for Counting {
        fn drop(&mut self) {
            RECORDED_DRAWS.set(self.0);
        }
    }
    let _counting = Counting(RECORDED_DRAWS.replace(Some(0)));
    let value = work();
    (value, RECORDED_DRAWS.get().unwrap_or(0))
}

/// A reproducible source of random tensors.
///
/// Torch's generator is global and its state cannot be read, so each draw seeds it anew from
/// `(seed, counter)`: a stream that is saved and restored goes on bit for bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    seed: u64,
    counter: u64,
}

impl Stream {
    /// The stream called `name` of a run with this `seed`; streams of different names are unrelated.
    pub fn new(seed: u64, name: &str) -> Self {
        let key = name.bytes().fold(mix64(seed), |h, b| mix64(h ^ u64::from(b)));
        Self { seed: key, counter: 0 }
    }

    /// An unrelated stream derived from this one and a number, such as a retry.
    pub fn derive(&self, number: u64) -> Self {
        Self {
            seed: mix64(self.seed ^ mix64(number.wrapping_add(1))),
            counter: 0,
        }
    }

    /// Whether both are the same stream, wherever each stands.
    pub fn is_of(&self, other: &Self) -> bool {
        self.seed == other.seed
    }

    /// How many draws were made.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// Seeds torch's global generator for the next draw; dropout inside a network is such a draw.
    ///
    /// Inside [`recorded`] it only counts.
    pub fn seed_next(&mut self) {
        let seed = self.next_seed();
        match RECORDED_DRAWS.get() {
            Some(draws) => RECORDED_DRAWS.set(Some(draws + 1)),
            None => tch::manual_seed(seed as i64),
        }
    }

    /// Seeds torch's global generator for a replay of recorded work that draws so many times.
    ///
    /// The generator is seeded once, as for the first of these draws, and goes on through the others; the count moves by
    /// all of them, as if each had been seeded for. Work that draws once so gets the very numbers that it gets when it
    /// is not recorded.
    pub fn seed_replay(&mut self, draws: u64) {
        if draws > 0 {
            self.seed_next();
            self.counter += draws - 1;
        }
    }

    /// A generator on the host, for shuffles and drawings that need no tensor.
    ///
    /// # Panics
    /// Inside [`recorded`]: every replay would use the same numbers.
    pub fn host(&mut self) -> ChaCha8Rng {
        assert!(
            RECORDED_DRAWS.get().is_none(),
            "work that draws numbers on the host cannot be recorded"
        );
        ChaCha8Rng::seed_from_u64(self.next_seed())
    }

    /// Fills `out` with standard normal numbers, in place.
    pub fn normal_(&mut self, out: &mut Tensor) {
        self.seed_next();
        let _ = out.normal_(0.0, 1.0);
    }

    /// Fills `out` with numbers uniform in `[low, high)`, in place.
    pub fn uniform_(&mut self, out: &mut Tensor, low: f64, high: f64) {
        self.seed_next();
        let _ = out.uniform_(low, high);
    }

    /// A new f32 tensor of standard normal numbers.
    pub fn normal(&mut self, size: &[i64], device: Device) -> Tensor {
        self.seed_next();
        Tensor::randn(size, (Kind::Float, device))
    }

    /// A new f32 tensor of numbers uniform in `[low, high)`.
    pub fn uniform(&mut self, size: &[i64], low: f64, high: f64, device: Device) -> Tensor {
        let mut out = Tensor::empty(size, (Kind::Float, device));
        self.uniform_(&mut out, low, high);
        out
    }

    /// A new f32 tensor of standard Gumbel numbers.
    pub fn gumbel(&mut self, size: &[i64], device: Device) -> Tensor {
        self.seed_next();
        let mut out = Tensor::empty(size, (Kind::Float, device));
        out.exponential_(1.0).log_().neg_()
    }

    /// `n` integers in `[0, high)`, with replacement, i64.
    pub fn integers(&mut self, high: i64, n: i64, device: Device) -> Tensor {
        self.seed_next();
        Tensor::randint(high, [n], (Kind::Int64, device))
    }

    /// A permutation of `0..n`, i64.
    pub fn permutation(&mut self, n: i64, device: Device) -> Tensor {
        self.seed_next();
        Tensor::randperm(n, (Kind::Int64, device))
    }

    /// The CPU generator uses only the low 32 bits of a seed: these run through all 2^32 values
    /// before one repeats within a stream.
    fn next_seed(&mut self) -> u64 {
        let low = mix32((self.counter as u32).wrapping_add(self.seed as u32));
        let high = mix64(self.seed ^ (self.counter >> 32)) & !u64::from(u32::MAX);
        self.counter += 1;
        high | u64::from(low)
    }
}

/// A bijection of 64-bit numbers that scatters neighbours (SplitMix64's finaliser; Steele et al. 2014).
fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A bijection of 32-bit numbers that scatters neighbours (MurmurHash3's finaliser; Appleby 2011).
fn mix32(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    let x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}
