//! Writes manifests line by line, with their digest at the end.

use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::format::Trailer;
use super::{Entry, Header, ListingDigest};

/// Writes a manifest line by line; [`ManifestWriter::finish`] adds the checksum line.
pub struct ManifestWriter<W> {
    output: W,
    hasher: Sha256,
    line: Vec<u8>,
}

impl<W: Write> ManifestWriter<W> {
    /// Begins a manifest with its header.
    ///
    /// # Errors
    /// What `output` returns.
    pub fn new(output: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self { output, hasher: Sha256::new(), line: Vec::with_capacity(512) };
        writer.write_line(header)?;
        Ok(writer)
    }

    /// Adds an object's line; lines come in ascending order of keys.
    ///
    /// # Errors
    /// What the output returns.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        self.write_line(entry)
    }

    /// Ends the manifest and gives the output back.
    ///
    /// # Errors
    /// What the output returns.
    pub fn finish(mut self) -> io::Result<W> {
        let manifest_sha256 = ListingDigest(self.hasher.clone().finalize().into());
        self.write_line(&Trailer { manifest_sha256 })?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn write_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        self.hasher.update(&self.line);
        self.output.write_all(&self.line)
    }
}
