//! Files that a command writes for its user.

use std::fs::File;
use std::io::{self, Write as _};
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
    // Somebody could have put a link there that leads to a file of this user.
    let _ = std::fs::remove_file(&unfinished);
    let written = File::create_new(&unfinished)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_the_unfinished_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("mine"), "mine").unwrap();
        let unfinished = at(&format!("report.{}.unfinished", std::process::id()));
        std::os::unix::fs::symlink(at("mine"), unfinished).unwrap();
        replace(&at("report"), b"new").unwrap();
        assert_eq!(std::fs::read_to_string(at("mine")).unwrap(), "mine");
        assert_eq!(std::fs::read_to_string(at("report")).unwrap(), "new");
    }
}
