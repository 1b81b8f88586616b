//! The files of a set: their size and bytes, and their way back into the pool.

use std::fs::File;
use std::io::{self, Read as _};

use sha2::{Digest as _, Sha256};

use super::folder::Folder;
use crate::error::Result;
use crate::export::{FilePath, Object};

/// Puts an object of a set that was not published back into the pool, if it is there.
pub(super) fn move_back(set: &Folder, path: &FilePath, object: &Object, pool: &Folder, pool_name: &str) -> Result<()> {
    let (folder, name) = path.split();
    let holder = if folder.is_empty() { None } else { set.descendant(folder)? };
    if folder.is_empty() || holder.is_some() {
        let holder = holder.as_ref().unwrap_or(set);
        if holder.file_size_bytes(name) == Some(object.size_bytes) {
            return holder.rename(name, pool, pool_name);
        }
    }
    Ok(())
}

/// The size of a published file; `None` where there is none that can be reached through folders.
pub(super) fn published_size_bytes(data: &Folder, path: &str) -> Option<u64> {
    match path.rsplit_once('/') {
        Some((folder, name)) => data.descendant(folder).ok()??.file_size_bytes(name),
        None => data.file_size_bytes(path),
    }
}

/// Hashes a file and compares it with what it should be.
pub(super) fn is_whole(mut file: File, size_bytes: u64, sha256: &[u8; 32]) -> io::Result<bool> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut length_bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        length_bytes += count as u64;
    }
    let digest: [u8; 32] = hasher.finalize().into();
    Ok(length_bytes == size_bytes && digest == *sha256)
}
