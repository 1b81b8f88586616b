//! Files that a command writes for its user.

use std::io;
use std::path::Path;

/// Writes a file in one step: whoever reads it meanwhile sees the old one or the new one. A device
/// or a pipe is not to be replaced, and is written to.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes);
    }
    let mut unfinished = path.as_os_str().to_owned();
    // Two commands may write the same file at once.
    unfinished.push(format!(".{}.unfinished", std::process::id()));
    let written = std::fs::write(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}
