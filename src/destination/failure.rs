//! What the failure of a file operation means for the run, and what to do about it.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{Error, ErrorKind};

/// The failure to give a file or a folder a name, or to reach it by one. An invalid argument is the name.
pub(super) fn failed_by_name(verb: &str, path: &Path, errno: Errno) -> Error {
    if errno == Errno::INVAL { refused_name(verb, path, errno.into()) } else { failed(verb, path, errno.into()) }
}

/// The failure to rename something: into another place, or to another name.
pub(super) fn failed_to_rename(verb: &str, path: &Path, errno: Errno) -> Error {
    if errno == Errno::XDEV || errno == Errno::BUSY {
        return not_replaceable(path, "it cannot be renamed").with_cause(io::Error::from(errno));
    }
    failed_by_name(verb, path, errno)
}

/// What stands at `path` cannot be replaced by a rename, because `reason`.
pub(super) fn not_replaceable(path: &Path, reason: &str) -> Error {
    Error::new(ErrorKind::PlaceTaken, format!("{} cannot be replaced: {reason}", path.display())).with_hint(
        "days are replaced by renaming their folders: put the whole destination on one volume of its own, \
         without mounts inside it and not in an image's lower (overlay) layer",
    )
}

fn refused_name(verb: &str, path: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::KeyRefused, format!("cannot {verb} {}", path.display()))
        .with_hint("the file system cannot hold this name; use a destination that can, such as ext4 or a bucket")
        .with_cause(cause)
}

/// The failure of a file operation: what it means for the run, and what to do.
pub(super) fn failed(verb: &str, path: &Path, cause: io::Error) -> Error {
    if cause.kind() == io::ErrorKind::InvalidFilename || Errno::from_io_error(&cause) == Some(Errno::ILSEQ) {
        return refused_name(verb, path, cause);
    }
    let what = format!("cannot {verb} {}", path.display());
    let (kind, hint) = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::DestinationFull, "make room and run again; what is finished is kept and not fetched again")
        }
        io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::DestinationUnusable, "the file system is read-only"),
        io::ErrorKind::PermissionDenied => (
            ErrorKind::DestinationUnusable,
            "this user may not write there; change the owner or choose another destination",
        ),
        _ if matches!(cause.raw_os_error(), Some(23 | 24)) => {
            (ErrorKind::DestinationFull, "too many files are open; raise the limit (ulimit -n) or lower --concurrency")
        }
        _ => (ErrorKind::DestinationUnusable, "check the disk and the file system (its log may say more)"),
    };
    Error::new(kind, what).with_hint(hint).with_cause(cause)
}
