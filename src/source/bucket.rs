//! The export in a bucket of any cloud: what both clouds have in common.

use std::time::Duration;

use async_trait::async_trait;

use super::page::{FolderPage, RawPage, untrusted};
use super::{OpenObject, Page, PageToken, ReadRequest, Source, TypeDays};
use crate::credentials::{Issued, Renewer};
use crate::error::{Error, Result};
use crate::export::{
    ExportLocation, Object, Partition, SUCCESS_MARKER, TypeName, day_of_folder, is_committers_work, is_folder_marker,
};

/// The most pages of folders that are read: a thousand years of days.
const FOLDER_PAGES_MAX: usize = 400;

/// The two requests of a cloud's protocol, each made once with the given credentials.
#[async_trait]
pub(super) trait Protocol: Send + Sync {
    /// What requests are authorised with.
    type Credentials: Send + Sync + 'static;

    /// Lists one page of what begins with `prefix`, given in full.
    async fn list_once(
        &self,
        issued: &Issued<Self::Credentials>,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<&PageToken>,
    ) -> Result<RawPage>;

    /// Opens the object with this key, given in full.
    async fn open_once(
        &self,
        issued: &Issued<Self::Credentials>,
        key: &str,
        object: &Object,
        request: &ReadRequest,
    ) -> Result<OpenObject>;
}

/// The export in a bucket of any cloud: what both have in common.
///
/// Lists only below the account's prefix and calls no operation on the bucket itself: the
/// credentials allow neither (domain.md section 2).
pub(super) struct BucketSource<P: Protocol> {
    protocol: P,
    renewer: Renewer<P::Credentials>,
}

impl<P: Protocol> BucketSource<P> {
    /// The export by a cloud's protocol, with the credentials of `renewer`.
    pub fn new(protocol: P, renewer: Renewer<P::Credentials>) -> Self {
        Self { protocol, renewer }
    }

    /// Hands out what lies directly below a prefix, page after page.
    async fn list_folders(
        &self,
        prefix: impl Fn(&ExportLocation) -> String + Send + Sync,
        mut take: impl FnMut(&FolderPage) + Send,
    ) -> Result<()> {
        let mut from: Option<PageToken> = None;
        for _ in 0..FOLDER_PAGES_MAX {
            let page = self.list_folder_page(&prefix, from.as_ref()).await?;
            take(&page);
            if page.next.is_none() {
                return Ok(());
            }
            from = page.next;
        }
        Err(untrusted("the account", "it has no end"))
    }

    async fn list_folder_page(
        &self,
        prefix: &(impl Fn(&ExportLocation) -> String + Send + Sync),
        from: Option<&PageToken>,
    ) -> Result<FolderPage> {
        self.renewer
            .request(|issued| async move {
                let prefix = prefix(&issued.location);
                self.protocol.list_once(&issued, &prefix, Some("/"), from).await?.into_folders(&prefix, from)
            })
            .await
    }
}

/// Sorts what lies directly below a type into days and strays. Markers are neither.
fn add_page(found: &mut TypeDays, page: &FolderPage, type_name: &TypeName) {
    for folder in &page.folders {
        match day_of_folder(folder) {
            Some(day) => found.days.push(day),
            None if is_committers_work(&format!("{folder}/")) => {}
            None => found.strays.add(&format!("{}/{folder}/", type_name.folder())),
        }
    }
    for object in page.objects.iter().filter(|object| object.is_data() || is_filled_marker(object)) {
        found.strays.add(&format!("{}/{}", type_name.folder(), object.key));
    }
}

/// A `_SUCCESS` among the days that is not empty declares nothing complete.
fn is_filled_marker(object: &Object) -> bool {
    object.key == SUCCESS_MARKER && object.size_bytes > 0
}

#[async_trait]
impl<P: Protocol> Source for BucketSource<P> {
    async fn location(&self) -> Result<ExportLocation> {
        Ok(self.renewer.current().await?.location.clone())
    }

    async fn list_types(&self) -> Result<Vec<TypeName>> {
        let mut types = Vec::new();
        let take = |page: &FolderPage| {
            let names = page.folders.iter().filter(|folder| !is_folder_marker(folder, 0));
            let names = names.filter_map(|folder| folder.strip_prefix("type="));
            types.extend(names.filter_map(|name| TypeName::parse(name).ok()));
        };
        self.list_folders(|location| location.root.clone(), take).await?;
        Ok(types)
    }

    async fn list_days(&self, type_name: &TypeName) -> Result<TypeDays> {
        let mut found = TypeDays::default();
        let prefix = |location: &ExportLocation| format!("{}{}/", location.root, type_name.folder());
        self.list_folders(prefix, |page| add_page(&mut found, page, type_name)).await?;
        Ok(found)
    }

    async fn list_page(&self, partition: &Partition, prefix: &str, from: Option<&PageToken>) -> Result<Page> {
        self.renewer
            .request(|issued| async move {
                let cut = issued.location.partition_prefix(partition);
                let full_prefix = format!("{cut}{prefix}");
                let raw = self.protocol.list_once(&issued, &full_prefix, None, from).await?;
                raw.into_page(&full_prefix, &cut, from)
            })
            .await
    }

    async fn open(&self, partition: &Partition, object: &Object, request: ReadRequest) -> Result<OpenObject> {
        let request = &request;
        self.renewer
            .request(|issued| async move {
                let key = format!("{}{}", issued.location.partition_prefix(partition), object.key);
                self.protocol.open_once(&issued, &key, object, request).await
            })
            .await
    }

    async fn keep_fresh(&self) -> Error {
        self.renewer.keep_fresh().await
    }

    fn credentials_remaining(&self) -> Option<Duration> {
        self.renewer.remaining()
    }
}
