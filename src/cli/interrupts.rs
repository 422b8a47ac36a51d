//! How a training run is stopped from outside: it finishes its step and saves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ffi;

/// What Ctrl-C, a polite kill and a terminal that closes set.
pub struct Interrupts {
    /// Set by the first one: finish the step, save, end.
    pub after_step: Arc<AtomicBool>,
    /// Where it is set, the next Ctrl-C or kill ends the process at once.
    at_once: Arc<AtomicBool>,
    /// The same for a terminal that closes: it tells its programs twice, and the second time must
    /// not cost the save.
    hang_up_at_once: Arc<AtomicBool>,
}

impl Interrupts {
    /// From here on nothing needs saving.
    pub fn end_at_once(&self) {
        self.at_once.store(true, Ordering::SeqCst);
        self.hang_up_at_once.store(true, Ordering::SeqCst);
    }
}

/// Listens from here on.
pub fn interrupts() -> std::io::Result<Interrupts> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let flag = || Arc::new(AtomicBool::new(false));
    let (after_step, at_once, hang_up_at_once) = (flag(), flag(), flag());
    for signal in [SIGINT, SIGTERM] {
        // They run in this order, so the first signal only sets the flags.
        signal_hook::flag::register_conditional_shutdown(signal, 130, at_once.clone())?;
        signal_hook::flag::register(signal, after_step.clone())?;
        signal_hook::flag::register(signal, at_once.clone())?;
    }
    // A run under nohup outlives its terminal.
    if !ffi::ignores(SIGHUP) {
        signal_hook::flag::register_conditional_shutdown(SIGHUP, 130, hang_up_at_once.clone())?;
        signal_hook::flag::register(SIGHUP, after_step.clone())?;
    }
    Ok(Interrupts {
        after_step,
        at_once,
        hang_up_at_once,
    })
}
