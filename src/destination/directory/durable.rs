//! Making things durable, in one place (design.md promise 6).

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use rustix::fs::FileType;

use super::folder::Folder;
#[cfg(target_os = "linux")]
use super::folder::is_unsupported;
use crate::destination::failure::failed;
use crate::error::Result;

/// Brings everything below `folder` to the disk: contents, names and folders, as one commit.
///
/// On the file systems where it is known to do all of that, one call for the whole file system
/// stands for thousands; elsewhere every file and folder is synchronised by itself. A failure is
/// final: after it the kernel may have dropped the very pages that could not be written.
pub(super) fn sync_tree(folder: &Folder) -> Result<()> {
    if sync_file_system(folder)? { Ok(()) } else { sync_each(folder) }
}

#[cfg(target_os = "linux")]
fn sync_file_system(folder: &Folder) -> Result<bool> {
    // The magic numbers of ext2/3/4, xfs, btrfs, f2fs and tmpfs in the kernel's magic.h. Network and
    // user-space file systems are deliberately absent.
    const TRUSTED: [u64; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];
    let told = |errno: rustix::io::Errno| failed("make durable", folder.path(), errno.into());
    if !TRUSTED.contains(&folder.file_system_kind()?) || !reports_write_errors() {
        return Ok(false);
    }
    match rustix::fs::syncfs(folder.descriptor()) {
        Ok(()) => Ok(true),
        // Sandboxes refuse calls that they do not know, with EPERM too; then nothing was attempted.
        Err(errno) if is_unsupported(errno) || errno == rustix::io::Errno::PERM => Ok(false),
        Err(errno) => Err(told(errno)),
    }
}

/// Whether `syncfs` says when writing failed: since Linux 5.8 (syncfs(2)).
#[cfg(target_os = "linux")]
fn reports_write_errors() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &Folder) -> Result<bool> {
    Ok(false)
}

fn sync_each(folder: &Folder) -> Result<()> {
    for (name, kind) in folder.entries()? {
        match kind {
            FileType::Directory => {
                if let Some(child) = folder.child(&name)? {
                    sync_each(&child)?;
                }
            }
            FileType::RegularFile => {
                if let Some(file) = folder.file(&name)? {
                    sync_file(&file, folder, &name)?;
                }
            }
            _ => {}
        }
    }
    folder.sync()
}

fn sync_file(file: &File, folder: &Folder, name: &str) -> Result<()> {
    file.sync_all().map_err(|cause| failed("make durable", &folder.path().join(name), cause))
}

/// Replaces a file, or makes it, as one step that lasts.
pub(super) fn replace_file(folder: &Folder, name: &str, bytes: &[u8]) -> Result<()> {
    let unfinished = format!("{name}.unfinished");
    write_file(folder, &unfinished, |mut output| {
        output.write_all(bytes)?;
        Ok(output)
    })?;
    folder.rename(&unfinished, folder, name)?;
    folder.sync()
}

/// Writes a file and makes it and its name durable.
pub(super) fn write_file(
    folder: &Folder,
    name: &str,
    write: impl FnOnce(BufWriter<File>) -> io::Result<BufWriter<File>>,
) -> Result<()> {
    let told = |cause| failed("write", &folder.path().join(name), cause);
    let output = write(BufWriter::with_capacity(64 * 1024, folder.create_file(name)?)).map_err(told)?;
    let mut file = output.into_inner().map_err(|error| told(error.into_error()))?;
    file.flush().map_err(told)?;
    sync_file(&file, folder, name)?;
    folder.sync()
}
