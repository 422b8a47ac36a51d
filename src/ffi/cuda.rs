//! CUDA graphs, side streams, the check for host synchronisation and memory counts, where the CUDA flavour is linked.
//!
//! Every function answers in a build without them too, with an error that says so. Errors are texts of LibTorch's own:
//! whoever gets one takes another way.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_void};
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

/// Whether this build can record CUDA graphs; whether the machine can is another matter.
pub const LINKED: bool = cfg!(cuda_shim);

/// What a build without CUDA graphs answers.
pub const NOT_LINKED: &str = "this build has no CUDA graphs: its LibTorch is the CPU flavour, or the CUDA headers were not found when it was built";

/// A result whose error is a text.
pub type Result<T> = std::result::Result<T, String>;

macro_rules! shim {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) $(-> $out:ty)?;)*) => {
        #[cfg(cuda_shim)]
        unsafe extern "C" {
            $(fn $name($($arg: $kind),*) $(-> $out)?;)*
        }
        $(
            #[cfg(not(cuda_shim))]
            unsafe fn $name($(_: $kind),*) $(-> $out)? {
                unreachable!("{}", NOT_LINKED)
            }
        )*
    };
}

shim! {
    fn ebm_cuda_free_text(text: *mut c_char);
    fn ebm_cuda_side_new(device: c_int, out: *mut *mut c_void) -> *mut c_char;
    fn ebm_cuda_side_free(side: *mut c_void);
    fn ebm_cuda_side_enter(side: *mut c_void) -> *mut c_char;
    fn ebm_cuda_side_leave(side: *mut c_void) -> *mut c_char;
    fn ebm_cuda_graph_new(device: c_int, out: *mut *mut c_void) -> *mut c_char;
    fn ebm_cuda_graph_free(graph: *mut c_void);
    fn ebm_cuda_graph_begin(graph: *mut c_void, device: c_int) -> *mut c_char;
    fn ebm_cuda_graph_end(graph: *mut c_void, device: c_int) -> *mut c_char;
    fn ebm_cuda_graph_replay(graph: *mut c_void) -> *mut c_char;
    fn ebm_cuda_synchronize(device: c_int) -> *mut c_char;
    fn ebm_cuda_set_sync_debug(mode: c_int) -> *mut c_char;
    fn ebm_cuda_memory(device: c_int, current: *mut c_longlong, peak: *mut c_longlong) -> *mut c_char;
    fn ebm_cuda_reset_peak(device: c_int) -> *mut c_char;
}

/// A stream of its own beside the one that work goes to.
///
/// A graph is captured on such a stream, after the same work has run on it: what libraries set up for a stream and what
/// autograd remembers of one then belongs to it.
#[derive(Debug)]
pub struct SideStream {
    handle: *mut c_void,
}

impl SideStream {
    /// A stream of the device with this number.
    ///
    /// # Errors
    /// Without CUDA, or without such a device.
    pub fn new(device: usize) -> Result<Self> {
        let mut handle = ptr::null_mut();
        // SAFETY: `handle` is written before the call returns, with an object that the drop below frees.
        call(|| unsafe { ebm_cuda_side_new(index(device), &mut handle) })?;
        Ok(Self { handle })
    }

    /// Sends this thread's work for the device to the stream until the guard is dropped; before and after, the two
    /// streams wait for each other, so that they share tensors as one stream does.
    ///
    /// # Errors
    /// Those of CUDA; nothing has changed then.
    pub fn enter(&mut self) -> Result<Inside<'_>> {
        // SAFETY: the handle lives as long as `self`, which the guard borrows mutably: nobody enters twice.
        call(|| unsafe { ebm_cuda_side_enter(self.handle) })?;
        Ok(Inside { side: self })
    }
}

impl Drop for SideStream {
    fn drop(&mut self) {
        // SAFETY: made by `new`, freed once; the stream itself belongs to LibTorch's pool of streams.
        unsafe { ebm_cuda_side_free(self.handle) }
    }
}

/// Work goes to a side stream while this lives.
#[derive(Debug)]
pub struct Inside<'a> {
    side: &'a mut SideStream,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // The stream from before is current again whatever this answers.
        // SAFETY: the handle is alive, and was entered by whoever made the guard.
        let _ = call(|| unsafe { ebm_cuda_side_leave(self.side.handle) });
    }
}

/// Work on a device, recorded once and replayed as a whole.
///
/// It reads and writes the memory that it was recorded with: whoever records it keeps those tensors. What the work
/// itself allocated lies in a pool of the graph's own.
#[derive(Debug)]
pub struct Graph {
    handle: *mut c_void,
    // Torch's generator and the current stream belong to a thread.
    _not_send: PhantomData<*const ()>,
}

impl Graph {
    /// Records `work`, which must not wait for the device; it's not run. To be called on a side stream on which the same
    /// work has run before.
    ///
    /// # Errors
    /// When something in `work` cannot be recorded, a panic included, whose message is the error; draws and allocations
    /// are as they were before then.
    pub fn capture(device: usize, _on: &Inside, work: impl FnOnce()) -> Result<Self> {
        let mut graph = Self {
            handle: ptr::null_mut(),
            _not_send: PhantomData,
        };
        // SAFETY: `handle` is written before the call returns, with an object that the drop below frees.
        call(|| unsafe { ebm_cuda_graph_new(index(device), &mut graph.handle) })?;
        // SAFETY: a handle that was just made; the shim mends what a failed beginning leaves behind.
        call(|| unsafe { ebm_cuda_graph_begin(graph.handle, index(device)) })?;
        let worked = quietly(work);
        // SAFETY: the capture was begun above on this thread and stream; it ends however `work` ended.
        let ended = call(|| unsafe { ebm_cuda_graph_end(graph.handle, index(device)) });
        worked.and(ended)?;
        Ok(graph)
    }

    /// Runs the recorded work once on the current stream, with draws that follow from the generator's present state.
    ///
    /// # Errors
    /// Those of CUDA.
    ///
    /// # Safety
    /// Every tensor of outside that the recorded work reads or writes is alive, at the place where it was.
    pub unsafe fn replay(&self) -> Result<()> {
        // SAFETY: the capture has ended well, or there would be no `Graph`; its tensors are kept by the recorder.
        call(|| unsafe { ebm_cuda_graph_replay(self.handle) })
    }
}

impl Graph {
    /// The same for a recorder of this crate, which keeps the tensors that it recorded with beside
    /// the graph.
    pub(crate) fn replay_kept(&self) -> Result<()> {
        // SAFETY: the two recorders hold those tensors for as long as they hold the graph.
        unsafe { self.replay() }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: made by `capture`, freed once.
            unsafe { ebm_cuda_graph_free(self.handle) }
        }
    }
}

/// What LibTorch does where the host waits for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncDebug {
    /// Nothing.
    Off,
    /// It warns on stderr.
    Warn,
    /// The operation fails.
    Error,
}

/// Sets it for the whole process.
///
/// # Errors
/// In a build without CUDA.
pub fn set_sync_debug(mode: SyncDebug) -> Result<()> {
    // SAFETY: takes a plain number and sets a flag.
    call(|| unsafe { ebm_cuda_set_sync_debug(mode as c_int) })
}

/// Waits until a device has done all its work.
///
/// # Errors
/// Those of the work, and of a machine without such a device.
pub fn synchronize(device: usize) -> Result<()> {
    // SAFETY: takes a plain number, and catches what a wrong one throws.
    call(|| unsafe { ebm_cuda_synchronize(index(device)) })
}

/// Bytes that live tensors take on a device: now, and at most since [`reset_peak`].
///
/// # Errors
/// On a machine without such a device.
pub fn memory(device: usize) -> Result<[u64; 2]> {
    let (mut now, mut peak) = (0, 0);
    // SAFETY: both numbers outlive the call that writes them.
    call(|| unsafe { ebm_cuda_memory(index(device), &mut now, &mut peak) })?;
    Ok([now as u64, peak as u64])
}

/// Starts the count of the most bytes anew.
///
/// # Errors
/// On a machine without such a device.
pub fn reset_peak(device: usize) -> Result<()> {
    // SAFETY: takes a plain number, and catches what a wrong one throws.
    call(|| unsafe { ebm_cuda_reset_peak(index(device)) })
}

fn index(device: usize) -> c_int {
    c_int::try_from(device).unwrap_or(c_int::MAX)
}

/// Calls the shim where it is linked; the text that it gives back is an error.
fn call(shim: impl FnOnce() -> *mut c_char) -> Result<()> {
    if !LINKED {
        return Err(NOT_LINKED.into());
    }
    let text = shim();
    if text.is_null() {
        return Ok(());
    }
    // SAFETY: a text that the shim allocated and ended with 0, read before it is freed, and freed once.
    let error = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    unsafe { ebm_cuda_free_text(text) };
    Err(error)
}

/// Runs `work` and turns a panic into its message, without the report that a panic prints.
fn quietly(work: impl FnOnce()) -> Result<()> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    outcome.map_err(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
        // LibTorch's own text goes on with a trace of calls, escaped by those who wrap it.
        let first = text.and_then(|t| t.split("\\n").next()?.lines().next());
        first.unwrap_or("a panic without a message").to_owned()
    })
}
