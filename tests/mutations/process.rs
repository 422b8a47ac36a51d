//! A child that is watched: how it ended, what it said, whether it took too long or too much
//! memory.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A child is ended beyond so many bytes of resident memory: LibTorch, and one picture at its bound
/// three times over.
const MEMORY: u64 = 3 << 30;

pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// Why it was ended from outside, where it was.
    ended: Option<String>,
}

/// Runs a command to its end, or ends it after so many seconds (a hang, not a measurement) or
/// beyond the memory.
pub fn watch(command: &mut Command, seconds: u64) -> Ended {
    let mut logs = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
    let [out, err] = logs.each_ref().map(|log| Stdio::from(log.try_clone().unwrap()));
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    let (status, ended) = wait(&mut child, Duration::from_secs(seconds));
    let [stdout, stderr] = logs.each_mut().map(content);
    Ended {
        status,
        stdout,
        stderr,
        ended,
    }
}

fn wait(child: &mut Child, limit: Duration) -> (ExitStatus, Option<String>) {
    let clock = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status, None);
        }
        let ended = if clock.elapsed() > limit {
            Some(format!("hangs: not finished after {} s", limit.as_secs()))
        } else {
            resident(child.id())
                .filter(|bytes| *bytes > MEMORY)
                .map(|bytes| format!("took {} MiB of memory", bytes >> 20))
        };
        if ended.is_some() {
            child.kill().unwrap();
            return (child.wait().unwrap(), ended);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The most bytes that a process has held in memory so far.
fn resident(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kb| kb << 10)
}

fn content(log: &mut File) -> String {
    let mut bytes = Vec::new();
    log.rewind().unwrap();
    log.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ended {
    /// What no input may bring about, whatever it is.
    pub fn fault(&self) -> Option<String> {
        if let Some(why) = &self.ended {
            return Some(why.clone());
        }
        // A panic of the program ends in words that name it a fault.
        let words = [
            "panicked",
            "is a fault of this program",
            "overflowed its stack",
            "memory allocation of",
        ];
        for word in words {
            if self.stderr.contains(word) {
                return Some(format!("`{word}` in\n{}", self.stderr));
            }
        }
        match self.status.code() {
            Some(0..=2) => None,
            Some(code) => Some(format!("exit {code}\n{}", self.stderr)),
            None => Some(format!("{}\n{}", self.status, self.stderr)),
        }
    }

    /// The first error that it named, without the word.
    pub fn error(&self) -> Option<&str> {
        self.stderr.lines().find_map(|l| l.strip_prefix("error: "))
    }

    /// What is wrong with a refusal: an error must be there, once, and the exit code 1 or 2.
    pub fn refusal_fault(&self) -> Option<String> {
        let errors = self.stderr.lines().filter(|l| l.starts_with("error: ")).count();
        let is_well = errors == 1 && matches!(self.status.code(), Some(1 | 2));
        (!is_well).then(|| format!("{errors} errors, {}\n{}", self.status, self.stderr))
    }
}
