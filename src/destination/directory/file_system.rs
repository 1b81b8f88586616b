//! What a folder's file system tells about itself.

use super::folder::Folder;
use crate::destination::failure::failed;
use crate::error::Result;

impl Folder {
    /// The maximum length of a name that the file system reports, in bytes; zero where it does not.
    pub fn name_bytes_max(&self) -> u64 {
        rustix::fs::fstatvfs(self.descriptor()).map_or(0, |stat| stat.f_namemax)
    }

    /// How many bytes this user may still write on the file system; `None` where it does not tell.
    pub fn free_bytes(&self) -> Option<u64> {
        let stat = rustix::fs::fstatvfs(self.descriptor()).ok()?;
        // File systems without a fixed size, network ones among them, report no blocks at all.
        (stat.f_blocks > 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// The number of the device that the folder is on.
    pub fn device(&self) -> Result<u64> {
        let stat =
            rustix::fs::fstat(self.descriptor()).map_err(|errno| failed("examine", self.path(), errno.into()))?;
        Ok(stat.st_dev)
    }

    /// The file system's magic number, as the kernel's magic.h has it.
    #[cfg(target_os = "linux")]
    pub fn file_system_kind(&self) -> Result<u64> {
        let stat =
            rustix::fs::fstatfs(self.descriptor()).map_err(|errno| failed("examine", self.path(), errno.into()))?;
        Ok(stat.f_type.cast_unsigned())
    }

    /// Whether the way to a folder below this one leads onto another mount; `None` where the system
    /// cannot tell. A bind mount of the same file system shows only on the way there.
    pub fn crosses_mount(&self, path: &str) -> Option<bool> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Mode, OFlags, ResolveFlags};
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
            match rustix::fs::openat2(self.descriptor(), path, flags, Mode::empty(), resolve) {
                Ok(_) => Some(false),
                Err(rustix::io::Errno::XDEV) => Some(true),
                Err(_) => None,
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = path;
            None
        }
    }
}
