//! What the process was started with: its descriptors, and the signals that it is to ignore.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Runs before anything else of the program.
///
/// Rust opens a standard output that is closed as `/dev/null`, where results would vanish without a
/// word.
#[used]
#[unsafe(link_section = ".init_array")]
static KEEP_CLOSED_OUTPUT_UNUSABLE: extern "C" fn() = keep_closed_output_unusable;

/// Opens a closed standard output for reading alone, so that writing to it fails, also in a program
/// that this one becomes.
extern "C" fn keep_closed_output_unusable() {
    // SAFETY: plain calls of the C library on a descriptor that nobody else has opened yet; the path ends in a zero.
    unsafe {
        if libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) != -1 {
            return;
        }
        let opened = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
        if opened != -1 && opened != libc::STDOUT_FILENO {
            libc::dup2(opened, libc::STDOUT_FILENO);
            libc::close(opened);
        }
    }
}

/// Another handle of a descriptor that the process was started with; both write at the same
/// position.
///
/// # Errors
/// When no such descriptor is open, or it is open for reading alone.
pub(crate) fn descriptor(number: i32) -> io::Result<File> {
    // SAFETY: asks for the flags of a descriptor, open or not.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    if flags == -1 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the copy is new, and belongs to the file alone.
    unsafe {
        match libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) {
            -1 => Err(io::Error::last_os_error()),
            copy => Ok(File::from_raw_fd(copy)),
        }
    }
}

/// Asks whether the process may write to what is at a path, without opening it.
///
/// # Errors
/// When it may not.
pub(crate) fn may_write(path: &Path) -> io::Result<()> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the text ends in a zero and lives through the call.
    match unsafe { libc::access(text.as_ptr(), libc::W_OK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the process was told to ignore a signal, as `nohup` tells it of SIGHUP.
pub(crate) fn ignores(signal: i32) -> bool {
    // SAFETY: reads the present action into a value that it fills; changes nothing.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}
