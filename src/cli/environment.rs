//! The environment, read here and nowhere else. Schedulers leave a variable empty that they have nothing for:
//! it counts as not set.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

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

/// A path with the user's home folder in place of a `~` that stands for it.
///
/// # Errors
/// A sentence for a home folder that is not known: of nobody, or of another user.
pub fn without_tilde(path: &Path) -> Result<PathBuf, String> {
    let mut names = path.components();
    let Some(Component::Normal(first)) = names.next() else { return Ok(path.to_owned()) };
    if !first.as_encoded_bytes().starts_with(b"~") {
        return Ok(path.to_owned());
    }
    match folder("HOME").filter(|_| first == "~") {
        Some(home) => Ok(home.join(names.as_path())),
        None => Err(format!("whose home folder `{}` is cannot be told; write the whole path", first.display())),
    }
}

/// A folder that a variable names. By the XDG specification a relative path counts as none.
fn folder(name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
