//! Where a mirror is, as SQL statements name it.

use super::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// Said where no destination is named.
pub const FILL_IN: &str = "-- Put your own bucket and prefix in, or name the destination to e3sync.\n";

/// Where a mirror is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorLocation {
    /// In a directory: its absolute path.
    Directory(String),
    /// In a bucket at S3.
    S3 {
        /// The bucket.
        bucket: String,
        /// What its keys begin with, without slashes at its ends.
        prefix: String,
    },
    /// In a bucket at Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What its keys begin with, without slashes at its ends.
        prefix: String,
    },
    /// Not said: the statements have a placeholder.
    Unknown,
}

/// A place in an engine's own notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// An absolute path without a slash at the end.
    Directory(String),
    /// `s3://BUCKET/PREFIX` without a slash at the end.
    S3(String),
    /// The same at Google Cloud Storage.
    Gcs(String),
}

impl Root {
    /// The address of the mirror itself.
    pub fn address(&self) -> &str {
        match self {
            Self::Directory(address) | Self::S3(address) | Self::Gcs(address) => address,
        }
    }

    /// The address of something in the mirror.
    pub fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.address())
    }
}

/// The place as the engine writes it.
///
/// # Errors
/// [`ErrorKind::Usage`] for a place that the engine cannot read.
pub fn root(engine: Engine, place: &MirrorLocation) -> Result<Root> {
    match (engine, place) {
        (Engine::BigQuery, MirrorLocation::Unknown) => Ok(Root::Gcs("gs://YOUR-BUCKET/PREFIX".to_owned())),
        (_, MirrorLocation::Unknown) => Ok(Root::S3(format!("{}://YOUR-BUCKET/PREFIX", s3_scheme(engine)))),
        (
            Engine::DuckDb,
            MirrorLocation::Directory(text)
            | MirrorLocation::S3 { prefix: text, .. }
            | MirrorLocation::Gcs { prefix: text, .. },
        ) if text.contains('\\') => Err(refused(
            engine,
            "a path with a backslash",
            "DuckDB takes it for a separator; give the mirror another name, for example by a symbolic link",
        )),
        (Engine::DuckDb | Engine::Spark, MirrorLocation::Directory(path)) => {
            Ok(Root::Directory(path.trim_end_matches('/').to_owned()))
        }
        (
            Engine::DuckDb | Engine::Spark | Engine::Athena | Engine::Snowflake,
            MirrorLocation::S3 { bucket, prefix },
        ) => Ok(Root::S3(address(s3_scheme(engine), bucket, prefix))),
        (Engine::BigQuery, MirrorLocation::Gcs { prefix, .. }) if prefix.contains('*') => {
            Err(refused(engine, "a prefix with `*`", "BigQuery takes it for a pattern; mirror into another prefix"))
        }
        (Engine::DuckDb | Engine::Spark | Engine::BigQuery, MirrorLocation::Gcs { bucket, prefix }) => {
            Ok(Root::Gcs(address("gs", bucket, prefix)))
        }
        (Engine::Snowflake, MirrorLocation::Gcs { bucket, prefix }) => Ok(Root::Gcs(address("gcs", bucket, prefix))),
        (Engine::Athena | Engine::BigQuery | Engine::Snowflake, MirrorLocation::Directory(_)) => {
            Err(refused(engine, "a directory", "mirror into a bucket of your own, or name no destination"))
        }
        (Engine::Athena, MirrorLocation::Gcs { .. }) => {
            Err(refused(engine, "Google Cloud Storage", "mirror into a bucket at S3, as in s3://my-lake/optimizely"))
        }
        (Engine::BigQuery, MirrorLocation::S3 { .. }) => {
            Err(refused(engine, "S3", "mirror into a bucket at Google Cloud Storage, as in gs://my-lake/optimizely"))
        }
    }
}

fn refused(engine: Engine, place: &str, hint: &'static str) -> Error {
    Error::new(ErrorKind::Usage, format!("{} cannot read {place}", engine.name())).with_hint(hint)
}

/// Hadoop's own client goes by another scheme than everybody else's.
fn s3_scheme(engine: Engine) -> &'static str {
    if engine == Engine::Spark { "s3a" } else { "s3" }
}

fn address(scheme: &str, bucket: &str, prefix: &str) -> String {
    let separator = if prefix.is_empty() { "" } else { "/" };
    format!("{scheme}://{bucket}{separator}{prefix}")
}
