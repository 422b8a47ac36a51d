//! Throughput of the Langevin chain and of the training step, the share of the machine's GEMM rate, and peak memory.
//!
//! `make bench`, or `cargo bench --bench throughput -- --help`. Each row runs in a process of its own.

mod gemm;
mod machine;
mod row;
mod table;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;
use clap::Parser;
use ebm::experiment::TrainPrecision;
use ebm::models::{Layout, Precision};
use row::{Measured, Row};

/// The numbers of steps that K is chosen from: the first with which a chain of 16 images takes at most so many seconds.
const STEPS: [usize; 4] = [20, 10, 5, 2];
const CHAIN_SECONDS: f64 = 1.0;

/// Rounds that a row's time is projected with, its first and untimed step apart.
const ROUNDS: f64 = 3.0;

/// Throughput of chains and training steps.
#[derive(Parser)]
struct Args {
    /// Architecture files
    #[arg(long, value_delimiter = ',', default_values_t = networks())]
    networks: Vec<String>,
    /// Images a step, in growing order
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    batches: Vec<usize>,
    /// The precisions of the chain: f32, bf16, auto
    #[arg(long, value_delimiter = ',', default_values_t = ["f32".to_owned(), "bf16".to_owned()])]
    kinds: Vec<String>,
    /// The layouts of the chain: contiguous, channels-last, auto
    #[arg(long, value_delimiter = ',', default_values_t = ["auto".to_owned()])]
    layouts: Vec<String>,
    /// The precision of the passes that train: f32, tf32, bf16
    #[arg(long, default_value = "f32")]
    train_precision: String,
    /// Steps of a chain, K; chosen for each network unless given
    #[arg(long)]
    steps: Option<usize>,
    /// Seconds: rows that are projected to take more are left out
    #[arg(long, default_value_t = 60.0)]
    limit: f64,
    /// cpu or cuda
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads of an operation; as many as there are cores unless given
    #[arg(long)]
    threads: Option<i32>,
    /// Measures one row, given as JSON
    #[arg(long, hide = true)]
    row: Option<String>,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn networks() -> [String; 5] {
    ["mnist", "vanilla_convnet", "igebm_cifar10", "wrn_16_4", "wrn_28_10"].map(|name| format!("models/{name}.yaml"))
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(row) = &args.row {
        // As the program does, before the first tensor.
        ebm::process::tune();
        let row: Row = serde_json::from_str(row)?;
        println!("{}", serde_json::to_string(&row.measure()?)?);
        return Ok(());
    }
    let commit = env!("EBM_BUILD");
    println!("{}, {}, commit {commit}", machine::date(), machine::processor());
    let (device, threads) = (&args.device, args.threads());
    println!(
        "{device}, {threads} threads, training passes in {}\n",
        args.train_precision
    );
    println!("{}", table::HEADER);
    let mut all = Vec::new();
    for network in &args.networks {
        measure(&args, network, &mut all)?;
    }
    println!("{}", table::footer(&all, args.limit));
    Ok(())
}

/// The rows of one network.
fn measure(args: &Args, network: &str, all: &mut Vec<Measured>) -> anyhow::Result<()> {
    let forms = args
        .kinds
        .iter()
        .flat_map(|kind| args.layouts.iter().map(move |layout| (kind, layout)));
    let mut rows = forms
        .map(|(kind, layout)| args.row(network, kind, layout))
        .collect::<Result<Vec<_>, _>>()?;
    // Seconds of a chain's step of one image; a larger batch corrects what the first look says.
    let mut pace = rows.iter().map(pace).collect::<anyhow::Result<Vec<f64>>>()?;
    let slowest = pace.iter().copied().fold(0.0, f64::max);
    let steps = args.steps.unwrap_or_else(|| affordable(slowest));
    for batch in &args.batches {
        for (row, pace) in rows.iter_mut().zip(&mut pace) {
            (row.batch, row.steps) = (*batch, steps);
            let chains = (1.0 + 2.0 * ROUNDS) * steps as f64 * *pace;
            // The passes that train cost about three steps of a chain, in their own precision.
            let passes = (1.0 + ROUNDS) * 3.0 * slowest;
            let projected = *batch as f64 * (chains + passes);
            if projected > args.limit {
                println!(
                    "{}",
                    table::left_out(row, &format!("left out: {projected:.0} s projected"))
                );
                continue;
            }
            // A batch may be too much for the memory; what the row said of it is on stderr.
            let measured = match spawn(row) {
                Ok(measured) => measured,
                Err(error) => {
                    println!("{}", table::left_out(row, &format!("failed: {error}")));
                    continue;
                }
            };
            *pace = pace.min(measured.chain / (batch * steps) as f64);
            println!("{}", table::line(row, &measured));
            all.push(measured);
        }
    }
    Ok(())
}

/// K for a network whose chains take so many seconds a step and image.
fn affordable(pace: f64) -> usize {
    let fits = |steps: &usize| 16.0 * pace * *steps as f64 <= CHAIN_SECONDS;
    STEPS.into_iter().find(fits).unwrap_or(2)
}

/// A first look: seconds of a chain's step of one image.
fn pace(row: &Row) -> anyhow::Result<f64> {
    let probe = Row {
        probe: true,
        ..row.clone()
    };
    let measured = spawn(&probe).with_context(|| row.network.display().to_string())?;
    Ok(measured.chain / probe.steps as f64)
}

/// Runs a row in a process of its own.
fn spawn(row: &Row) -> anyhow::Result<Measured> {
    let out = Command::new(std::env::current_exe()?)
        .args(["--row", &serde_json::to_string(row)?])
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(out.status.success(), "{}", out.status);
    Ok(serde_json::from_slice(&out.stdout)?)
}

impl Args {
    /// As `ebm train` chooses them.
    fn threads(&self) -> i32 {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get() as i32);
        self.threads.unwrap_or_else(cores)
    }

    /// A row of one image and a step.
    fn row(&self, network: &str, kind: &str, layout: &str) -> anyhow::Result<Row> {
        Ok(Row {
            network: PathBuf::from(network),
            batch: 1,
            precision: chosen::<Precision>("--kinds", kind)?,
            layout: chosen::<Layout>("--layouts", layout)?,
            train_precision: chosen::<TrainPrecision>("--train-precision", &self.train_precision)?,
            steps: 1,
            device: self.device.clone(),
            threads: self.threads(),
            probe: false,
        })
    }
}

/// A word of an option as the choice that a configuration would make of it.
fn chosen<T: serde::de::DeserializeOwned>(option: &str, word: &str) -> anyhow::Result<T> {
    serde_json::from_value(word.into()).with_context(|| format!("{option} {word}"))
}
