//! The environment, read here and nowhere else. Schedulers leave a variable empty that they have nothing for:
//! it counts as not set.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// A variable's value as text; `None` also where it is none.
pub fn variable(name: &str) -> Option<String> {
    value(name)?.into_string().ok()
}

/// A variable's value.
pub fn value(name: impl AsRef<OsStr>) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a variable is set, and empty.
pub fn is_empty(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// The folder of the user's settings; `None` where the user has none.
pub fn config_folder() -> Option<PathBuf> {
    let folder = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(folder.join("e3sync"))
}

/// The folder of what is kept between runs outside of any destination, which may be read-only: the
/// progress of verifications, logins. `None` where the user has no folder for such things.
pub fn state_folder() -> Option<PathBuf> {
    let home = || folder("HOME").filter(|home| home.is_dir());
    let folder = folder("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")))?;
    Some(folder.join("e3sync"))
}

/// A folder that a variable names. By the XDG specification a relative path counts as none.
fn folder(name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
