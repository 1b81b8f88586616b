//! Where settings files are looked for, and whose files are read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use e3sync::error::{Error, ErrorKind, Result};

use super::catalog::Catalog;
use super::file::{SettingsFile, SettingsLocation};
use crate::cli::environment;

/// A settings file has some lines; what is larger is something else.
const BYTES_MAX: u64 = 64 * 1024;

/// Others than the owner and the group may write.
const MODE_OTHERS_WRITE: u32 = 0o002;
/// The group may write.
const MODE_GROUP_WRITES: u32 = 0o020;

/// A place that was looked at.
pub struct Seen {
    pub place: SettingsLocation,
    /// The file, where there is one.
    pub file: Option<SettingsFile>,
}

/// All places, the highest first.
pub fn all() -> Vec<SettingsLocation> {
    let local = SettingsLocation { path: PathBuf::from("./e3sync.toml"), is_local: true };
    let own = environment::config_folder()
        .map(|folder| SettingsLocation { path: folder.join("config.toml"), is_local: false });
    std::iter::once(local).chain(own).collect()
}

/// Reads the file of a place, where there is one.
pub fn look(place: SettingsLocation, catalog: &Catalog) -> Result<Seen> {
    let file = match read(&place)? {
        Some(text) => Some(SettingsFile::parse(&place, &text, catalog)?),
        None => None,
    };
    Ok(Seen { place, file })
}

fn read(place: &SettingsLocation) -> Result<Option<String>> {
    let refuse = |reason: &str, hint: String| {
        Error::new(ErrorKind::Usage, format!("the settings file {} {reason}", place.path.display())).with_hint(hint)
    };
    let cannot = |cause| {
        refuse("cannot be read", "make it readable for this user, or move it away".to_owned()).with_cause(cause)
    };
    if is_out_of_reach(&place.path) {
        return Ok(None);
    }
    // A pipe of that name must not keep the command waiting for a writer.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&place.path) {
        Ok(file) => file,
        // Somebody removed it just now.
        Err(cause) if cause.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cannot(cause)),
    };
    let metadata = file.metadata().map_err(cannot)?;
    if let Some((reason, hint)) = distrust(&metadata, &place.path) {
        return Err(refuse(reason, hint));
    }
    let bytes = read_bounded(file).map_err(cannot)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(refuse("is larger than 64 KiB", "it is not a settings file; move it away".to_owned()));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(refuse("is not UTF-8 text", "save it as UTF-8, or move it away".to_owned())),
    }
}

/// Whether there is nothing, or nothing that this user could get at: a job that runs in another
/// one's folder, or with another one's HOME, has no settings there.
fn is_out_of_reach(path: &Path) -> bool {
    let absent = [IoErrorKind::NotFound, IoErrorKind::NotADirectory, IoErrorKind::PermissionDenied];
    std::fs::metadata(path).is_err_and(|error| absent.contains(&error.kind()))
}

fn read_bounded(file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a file is not believed: whoever can write it decides where a run writes and reads.
fn distrust(metadata: &Metadata, path: &Path) -> Option<(&'static str, String)> {
    let path = path.display();
    if !metadata.is_file() {
        return Some(("is not a file", "move it away, or put a file in its place".to_owned()));
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user && metadata.uid() != 0 {
        return Some((
            "belongs to another user",
            format!("look into it; if it is right, make it yours: chown \"$(id -u)\" {path}"),
        ));
    }
    // Where each user has a group of their own, as on Debian, new files are writable for it.
    let is_own_group = metadata.gid() == rustix::process::getegid().as_raw() && metadata.gid() == user;
    let forbidden = if is_own_group { MODE_OTHERS_WRITE } else { MODE_OTHERS_WRITE | MODE_GROUP_WRITES };
    (metadata.mode() & forbidden != 0).then(|| ("can be written by others", format!("run: chmod go-w {path}")))
}
