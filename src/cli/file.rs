//! Files that a command writes for its user.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind, Result};

/// A path with every link in it followed, as far as there is something; the rest is as it was named.
pub fn resolved(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    // A link may lead to a file that is yet to be made.
    let path = &path.read_link().map_or_else(|_| path.to_owned(), |target| path.with_file_name(target));
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => resolved(Path::new(".")).join(name),
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Refuses a file in the place of one that makes the mirror.
///
/// # Errors
/// [`ErrorKind::Usage`] for the mirror's folder, and for what lies where only the mirror's own files may be.
pub fn keep_off_mirror(flag: &str, path: &Path, destination: &Address) -> Result<()> {
    match destination {
        Address::Directory(mirror) if is_mirrors_own(&resolved(path), &resolved(mirror)) => {
            let what = format!("{flag} names {}, which belongs to the mirror itself", path.display());
            Err(Error::new(ErrorKind::Usage, what).with_hint("name a file beside the mirror"))
        }
        _ => Ok(()),
    }
}

fn is_mirrors_own(path: &Path, mirror: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(mirror) else { return false };
    let Some(first) = inside.components().next() else { return true };
    // Some file systems take names that differ only in case for the same.
    let first = first.as_os_str().to_string_lossy().to_lowercase();
    first == "_e3sync" || first.starts_with("type=")
}

/// Whether it is a device or a pipe, which is not to be replaced but written to.
pub fn is_device(path: &Path) -> bool {
    path.exists() && !path.is_file() && !path.is_dir()
}

/// Sees whether [`replace`] can make the file; leaves nothing behind.
pub fn try_out(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if is_device(path) {
        return Ok(());
    }
    let unfinished = unfinished(&resolved(path));
    let _ = std::fs::remove_file(&unfinished);
    File::create_new(&unfinished)?;
    std::fs::remove_file(&unfinished)
}

/// Writes a file in one step: whoever reads it meanwhile sees the old one or the new one, also after
/// a power cut. Where the path is a link, the file that it leads to is written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_device(path) {
        return std::fs::write(path, bytes);
    }
    let path = resolved(path);
    let unfinished = unfinished(&path);
    let written = write_durably(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Somebody could have put a link there that leads to a file of this user.
    let _ = std::fs::remove_file(path);
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Where the new file grows. Two commands may write the same file at once.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.unfinished", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_a_link_leads_to_is_written_though_it_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink("target", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(target).unwrap(), "new");
    }

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
