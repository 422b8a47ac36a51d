//! Progress on stderr: a bar with the quantities that matter on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::shown;
use crate::train::LogLine;

/// What matters on a line: the metric, what stands before its value, decimals, what stands after.
const SHOWN: [(&str, &str, usize, &str); 11] = [
    ("energy_pos", "E+ ", 4, ""),
    ("energy_neg", "E- ", 4, ""),
    ("energy_gap", "gap ", 4, ""),
    ("joint_energy_gap", "gap(x,y) ", 4, ""),
    ("loss", "loss ", 4, ""),
    ("cross_entropy", "CE ", 4, ""),
    ("accuracy", "accuracy ", 3, ""),
    ("grad_norm", "|grad| ", 3, ""),
    ("chain_grad_norm", "chain ", 3, ""),
    ("images_x_steps_per_second", "", 0, " images x steps/s"),
    ("images_per_second", "", 0, " images/s"),
];

/// Progress of a task with a known number of steps.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    begun: Instant,
}

impl Progress {
    /// A task of `total` steps, of which `done` are behind it.
    pub fn new(total: u64, done: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}<{eta} {msg}").expect("a valid template");
            let bar = ProgressBar::new(total).with_style(style).with_position(done);
            bar.reset_eta();
            bar
        });
        Self {
            bar,
            total,
            done,
            begun: Instant::now(),
        }
    }

    /// The task is at `step`.
    pub fn at(&self, step: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
    }

    /// Shows a line of metrics: beside the bar, or as a line of its own.
    pub fn show(&self, line: &LogLine) {
        let shown = |(name, before, decimals, after): &(&str, &str, usize, &str)| {
            let (_, value) = line.values.iter().find(|(n, _)| n == name)?;
            Some(format!("{before}{value:.decimals$}{after}"))
        };
        let text = SHOWN.iter().filter_map(shown).collect::<Vec<_>>().join(" ");
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => say(&format!(
                "step {}/{}  {}  {text}",
                line.step,
                self.total,
                self.times(line.step)
            )),
        }
    }

    /// How long the task has gone on, and how long it still will at this sitting's speed.
    fn times(&self, step: u64) -> String {
        let gone = self.begun.elapsed().as_secs_f64();
        let to_go = match step.saturating_sub(self.done) {
            0 => return duration(gone),
            made => gone / made as f64 * self.total.saturating_sub(step) as f64,
        };
        format!("{}, {} to go", duration(gone), duration(to_go))
    }

    /// What the quality monitor found at a step.
    pub fn quality(&self, step: u64, values: &[(&str, f64)]) {
        let words: Vec<String> = values
            .iter()
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        self.say(&format!("quality at step {step}: {}", words.join(", ")));
    }

    /// A message that stays, above the bar where there is one.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Ends the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A time in the two units that matter, as `1 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10.0 => format!("{seconds:.1} s"),
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", whole % 60),
        (0, ..) => format!("{hours} h {minutes:02} min"),
        _ => format!("{days} d {hours:02} h"),
    }
}

/// Lines on stderr, nothing in them that steers a terminal; a reader that has gone away does not
/// matter.
///
/// A name from outside must not make a line of its own: it goes through [`shown`] before it is put
/// into the text.
pub fn say(text: &str) {
    let lines: Vec<_> = text.split('\n').map(shown).collect();
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}
