//! How files are written: whole or not at all, and into what lies at a path instead of over it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::ffi;

/// How temporary files and folders begin; nothing else in a run's folder does.
pub(crate) const TEMPORARY: &str = ".ebm-";

/// So many links one behind the other are taken for a loop, as the system takes them.
const MOST_LINKS: usize = 40;

/// What lies at a path, once links are followed.
enum Place {
    /// Nothing yet.
    New(PathBuf),
    /// A regular file.
    Old(PathBuf, Metadata),
    /// A pipe, a device or a socket.
    Stream(PathBuf),
    /// A descriptor of this process, such as `/dev/stdout` or `/dev/fd/3`.
    Descriptor(i32),
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let mut at = path.to_path_buf();
        for _ in 0..MOST_LINKS {
            if let Some(number) = descriptor_number(&at) {
                return Ok(Self::Descriptor(number));
            }
            let there = match fs::symlink_metadata(&at) {
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::New(at)),
                there => there?,
            };
            if there.is_symlink() {
                at = parent(&at).join(fs::read_link(&at)?);
            } else if there.is_dir() {
                return Err(ErrorKind::IsADirectory.into());
            } else if there.is_file() {
                return Ok(Self::Old(at, there));
            } else {
                return Ok(Self::Stream(at));
            }
        }
        Err(io::Error::from_raw_os_error(libc::ELOOP))
    }
}

/// The number of the descriptor of this process that a path names, by whichever of their names.
fn descriptor_number(path: &Path) -> Option<i32> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let own = PathBuf::from(format!("/proc/{}", std::process::id()));
    let folder = parent(path).canonicalize().ok()?;
    (folder.starts_with(own) && folder.ends_with("fd")).then_some(number)
}

/// The folder that a path lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes `bytes` to a new file and makes them durable; a failure leaves no file behind.
///
/// # Errors
/// When something is there already, a link included.
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create_new(path).map_err(Error::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| {
        let _ = fs::remove_file(path);
        Error::io(path)(e)
    })
}

/// Makes `bytes` the contents of what lies at `path`.
///
/// A regular file is replaced at once and keeps its mode and owner: a reader meets the old contents
/// or the new ones. Links are followed. A pipe, a device or a descriptor (`/dev/stdout`,
/// `/dev/fd/3`) is written to and stays what it is. A file in a folder where none can be made is
/// written in place.
///
/// # Errors
/// When it cannot be written; a regular file is as it was then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || match Place::of(path)? {
        Place::Descriptor(number) => ffi::descriptor(number)?.write_all(bytes),
        Place::Stream(at) => OpenOptions::new().write(true).open(at)?.write_all(bytes),
        Place::New(at) => put(&at, None, bytes),
        Place::Old(at, old) => replace(&at, &old, bytes),
    };
    write().map_err(Error::io(path))
}

/// Whether `path` is a pipe, a device, a socket or a descriptor of this process, and so no place in
/// a folder.
pub fn is_stream(path: &Path) -> bool {
    matches!(Place::of(path), Ok(Place::Stream(_) | Place::Descriptor(_)))
}

/// Asks whether `path` can be written, without waiting for the reader of a pipe, and without
/// changing anything.
///
/// # Errors
/// When it cannot.
pub fn probe(path: &Path) -> io::Result<()> {
    match Place::of(path)? {
        Place::Descriptor(number) => ffi::descriptor(number).map(drop),
        Place::Stream(at) => ffi::may_write(&at),
        Place::Old(at, _) => OpenOptions::new().write(true).open(at).map(drop),
        Place::New(at) => File::create_new(&at).and_then(|_| fs::remove_file(&at)),
    }
}

/// Refuses a path that cannot be written, before the work that it is for; makes the folder that it lies in.
///
/// # Errors
/// Says why the path cannot be written.
pub fn ensure_writable(path: &Path) -> Result<()> {
    let refused = |what: String| {
        Error::file(
            path,
            format!("cannot be written: {what}"),
            "give the path of a file that can",
        )
    };
    create_parent(path).map_err(|e| refused(e.to_string()))?;
    probe(path).map_err(|e| match e.kind() {
        ErrorKind::IsADirectory => refused("it is a folder".into()),
        _ => refused(e.to_string()),
    })
}

/// Replaces a regular file that may be written; in place where its folder does not take another
/// one.
fn replace(path: &Path, old: &Metadata, bytes: &[u8]) -> io::Result<()> {
    let mut own = OpenOptions::new().write(true).open(path)?;
    match put(path, Some(old), bytes) {
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy
            ) =>
        {
            own.set_len(0)?;
            own.write_all(bytes)?;
            own.sync_all()
        }
        done => done,
    }
}

/// Fills a temporary file, with the mode and owner of the old one where there is one, and renames
/// it.
fn put(path: &Path, old: Option<&Metadata>, bytes: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = temporary_beside(path)?;
    let mut fill = || {
        file.write_all(bytes)?;
        if let Some(old) = old {
            // Only root may give a file away; the file of somebody else then changes its owner.
            let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    fill().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })?;
    File::open(parent(path))?.sync_all()
}

/// A new file beside `path`, under a name that nothing had.
fn temporary_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let temporary = parent(path).join(temporary_name());
        match File::create_new(&temporary) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (temporary, file)),
        }
    }
}

/// Another name at each call, of this process.
pub(crate) fn temporary_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{TEMPORARY}{}-{n}", std::process::id())
}

/// Makes the folder that a file is to be written into, where it is missing.
pub fn create_parent(path: &Path) -> Result<()> {
    let parent = parent(path);
    match parent.is_dir() {
        true => Ok(()),
        false => fs::create_dir_all(parent).map_err(Error::io(parent)),
    }
}

/// Makes a rename or a removal inside a folder durable.
pub fn sync_parent(path: &Path) -> Result<()> {
    let parent = parent(path);
    File::open(parent).and_then(|d| d.sync_all()).map_err(Error::io(parent))
}
