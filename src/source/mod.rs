//! The source port: what is in the export, and the bytes of its objects.

mod bucket;
mod cloud;
mod connect;
pub mod gcs;
mod get;
mod page;
mod raw;
mod retrying;
pub mod s3;

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::civil::Date;

pub use cloud::{AbsentCloud, Cloud, CloudDays, Clouds};
pub use connect::{Access, CloudChoice, SourceSettings, Watch};
pub(crate) use raw::{LookedAt, RawSource};
pub use retrying::Retrying;

use crate::error::{Error, Result};
use crate::export::{Checksums, ExportLocation, Object, Partition, Strays, TypeName};
pub use crate::plan::listing_check::PageToken;

/// One page of a partition's listing.
#[derive(Debug)]
pub struct Page {
    /// The objects, in ascending order of keys, their keys below the partition's prefix.
    pub objects: Vec<Object>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<PageToken>,
}

/// What a type has directly below its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeDays {
    /// The days, ascending.
    pub days: Vec<Date>,
    /// Folders that name no day, and objects in no day.
    pub strays: Strays,
}

/// Which bytes of an object are wanted, and how.
#[derive(Clone, Debug, Default)]
pub struct ReadRequest {
    /// Half-open range of bytes; `None` for the whole object, which is when S3 offers checksums.
    pub range: Option<Range<u64>>,
    /// Whether to leave the pooled connections aside, because the last bytes were wrong.
    pub on_new_connection: bool,
}

/// An object whose bytes are on their way.
pub struct OpenObject {
    /// The checksums of the whole object that the answer offers.
    pub checksums: Checksums,
    /// Exactly the bytes that were asked for, or an error after some of them.
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// One account's export in one cloud.
///
/// Every call renews credentials by itself; none repeats a failing request (see [`Retrying`]).
#[async_trait]
pub trait Source: Send + Sync {
    /// Where the export lies. Obtains credentials if there are none yet.
    async fn location(&self) -> Result<ExportLocation>;

    /// The types that the export has, ascending.
    async fn list_types(&self) -> Result<Vec<TypeName>>;

    /// The days that a type has, and what stands among them and is none.
    async fn list_days(&self, type_name: &TypeName) -> Result<TypeDays>;

    /// One page of the objects whose keys begin with `prefix` below the partition's own prefix.
    ///
    /// The page is proven to belong to the listing that was asked for (design.md promise 10).
    async fn list_page(&self, partition: &Partition, prefix: &str, from: Option<&PageToken>) -> Result<Page>;

    /// Opens an object, pinned to the version that was listed.
    async fn open(&self, partition: &Partition, object: &Object, request: ReadRequest) -> Result<OpenObject>;

    /// Keeps the credentials fresh for as long as it is polled; returns why that has ended for good.
    async fn keep_fresh(&self) -> Error;

    /// How long the credentials still live; `None` where they do not end or there are none yet.
    fn credentials_remaining(&self) -> Option<std::time::Duration>;
}
