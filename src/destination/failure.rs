use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// The failure of a file operation: what it means for the run, and what to do.
pub(super) fn failed(verb: &str, path: &Path, cause: io::Error) -> Error {
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
