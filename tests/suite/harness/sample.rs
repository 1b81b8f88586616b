use std::path::{Path, PathBuf};

use super::skip;

/// Where the vendor's sample day lies, if it does; it is not part of the repository.
pub fn sample() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sample-export");
    let folder = std::env::var_os("E3SYNC_SAMPLE_EXPORT").map_or_else(beside, PathBuf::from);
    if folder.join("type=decisions/date=2020-09-14").is_dir() {
        return Some(folder);
    }
    skip("the vendor's sample day is missing; name its folder in E3SYNC_SAMPLE_EXPORT");
    None
}
