//! How one cloud answers: the exchange, each depth of the listings, the oldest and the newest object.

use std::sync::Arc;

use http::header;
use jiff::SignedDuration;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::listed::Listed;
use super::mask::{Mask, json_shape, key_shape};
use super::write;
use crate::clock::Clock;
use crate::error::Result;
use crate::export::{SUCCESS_MARKER, day_of_folder, utc_day};
use crate::net::RawAnswer;
use crate::source::{CloudChoice, LookedAt, RawSource, SourceSettings};

/// The documented types, for where types cannot be listed (domain.md section 3).
const DOCUMENTED_TYPES: [&str; 2] = ["decisions", "events"];

/// Maximum number of types examined.
const TYPES_MAX: usize = 6;

/// Number of a type's newest days that are listed, besides the oldest one.
const NEWEST_DAYS: usize = 5;

/// An object up to this size is read as a whole, which is when S3 tells its checksum.
const WHOLE_BYTES_MAX: u64 = 1024 * 1024;

/// Maximum number of key shapes shown of a day.
const SHAPES_MAX: usize = 12;

/// One cloud, with credentials for it.
pub(super) struct Investigation<'a> {
    source: RawSource,
    mask: &'a Mask,
    clock: &'a Clock,
}

impl Investigation<'_> {
    /// Asks everything of one cloud. What must not be shown of it is added to `mask`.
    pub async fn of(settings: &SourceSettings, choice: CloudChoice, clock: &Arc<Clock>, mask: &mut Mask) -> Value {
        let exchange = settings.raw_exchange(choice, clock).await.transpose();
        let source = connect(settings, choice, clock, mask).await;
        let again = connect(settings, choice, clock, mask).await;
        let cloud = if choice == CloudChoice::S3 { "s3" } else { "gcs" };
        let (source, again) = match (source, again) {
            (Ok(source), Ok(again)) => (source, again),
            (Err(error), _) | (_, Err(error)) => {
                let exchange = exchange.map(|answer| exchange_document(&answer, mask));
                return json!({ "cloud": cloud, "exchange": exchange, "credentials": write::failure(&error, mask) });
            }
        };
        let exchange = exchange.map(|answer| exchange_document(&answer, mask));
        let credentials = json!({
            "lifetime_seconds": source.lifetime().map(|lifetime| lifetime.as_secs()),
            "lifetime_seconds_when_asked_again": again.lifetime().map(|lifetime| lifetime.as_secs()),
            "are_the_same_when_asked_again": source.secrets() == again.secrets(),
            "location": mask.text(&source.location().to_string()),
        });
        let investigation = Investigation { source, mask, clock };
        json!({
            "cloud": cloud,
            "exchange": exchange,
            "credentials": credentials,
            "bucket": investigation.bucket().await,
        })
    }

    async fn bucket(&self) -> Value {
        let root = self.source.location().root.clone();
        let (document, listed) = self.list(&root, true).await;
        let found = listed.unwrap_or_default().folders;
        let found = found.iter().filter_map(|folder| folder.strip_prefix(&root)?.strip_prefix("type="));
        let mut types: Vec<String> = found.map(|name| name.trim_end_matches('/').to_owned()).collect();
        if types.is_empty() {
            types = DOCUMENTED_TYPES.map(str::to_owned).to_vec();
        }
        let mut documents = Vec::new();
        for name in types.iter().take(TYPES_MAX) {
            documents.push(self.type_document(&root, name).await);
        }
        json!({ "listing_of_types": document, "types": documents })
    }

    async fn type_document(&self, root: &str, name: &str) -> Value {
        let prefix = format!("{root}type={name}/");
        let (document, listed) = self.list(&prefix, true).await;
        let folders = listed.unwrap_or_default().folders;
        let names = folders.iter().filter_map(|folder| folder.strip_prefix(&prefix));
        let found: Vec<Date> = names.filter_map(|name| day_of_folder(name.trim_end_matches('/'))).collect();
        let mut days: Vec<Date> = found.iter().rev().take(NEWEST_DAYS).copied().collect();
        days.extend(found.first().filter(|oldest| !days.contains(oldest)));
        if days.is_empty() {
            days.extend(self.yesterday());
        }
        let mut documents = Vec::new();
        for (number, date) in days.iter().enumerate() {
            let is_read = number == 0 || number + 1 == days.len();
            documents.push(self.day_document(&format!("{prefix}date={date}/"), *date, is_read).await);
        }
        json!({
            "type": self.mask.text(name),
            "listing_of_days": document,
            "days": found.len(),
            "oldest_day": found.first(),
            "newest_day": found.last(),
            "looked_at": documents,
        })
    }

    fn yesterday(&self) -> Option<Date> {
        let now = self.clock.now().checked_sub(SignedDuration::from_hours(24)).ok()?;
        Some(utc_day(now))
    }

    async fn day_document(&self, prefix: &str, date: Date, is_read: bool) -> Value {
        let (document, listed) = self.list(prefix, false).await;
        let Some(listed) = listed else { return json!({ "date": date, "listing": document }) };
        let keys = || listed.objects.iter().filter_map(|(key, size)| Some((key.strip_prefix(prefix)?, *size)));
        let mut shapes: Vec<String> = keys().map(|(key, _)| key_shape(key)).collect();
        shapes.sort_unstable();
        shapes.dedup();
        shapes.truncate(SHAPES_MAX);
        let smallest = keys().filter(|(_, size)| *size > 0).min_by_key(|(_, size)| *size);
        let mut day = json!({
            "date": date,
            "objects": listed.objects.len(),
            "smallest_bytes": keys().map(|(_, size)| size).min(),
            "largest_bytes": keys().map(|(_, size)| size).max(),
            "has_success_marker": keys().any(|(key, _)| key == SUCCESS_MARKER),
            "key_shapes": shapes,
        });
        if is_read {
            day["listing"] = document;
            if let Some((key, size_bytes)) = smallest {
                day["read"] = self.read(&format!("{prefix}{key}"), size_bytes).await;
            }
        }
        day
    }

    async fn list(&self, prefix: &str, has_delimiter: bool) -> (Value, Option<Listed>) {
        let answer = self.source.ask(&LookedAt::Listing { prefix, has_delimiter }).await;
        let mut document = write::answer(&answer, self.mask);
        let listed = answer.ok().filter(|answer| answer.status.is_success()).map(|answer| Listed::read(&answer.body));
        if let Some(listed) = &listed {
            document["page"] = match listed {
                Some(listed) => json!({
                    "objects": listed.objects.len(),
                    "folders": listed.folders.len(),
                    "is_truncated": listed.is_truncated,
                    "fields": listed.fields,
                    "storage_classes": listed.storage_classes,
                    "checksums": listed.checksums,
                    "etags": listed.etags,
                }),
                None => "it is not a listing".into(),
            };
        }
        (document, listed.flatten())
    }

    /// Reads an object as a whole where it is small, and its first bytes.
    async fn read(&self, key: &str, size_bytes: u64) -> Value {
        let mut document = json!({ "size_bytes": size_bytes });
        let whole = (size_bytes <= WHOLE_BYTES_MAX).then_some(None);
        for (name, range) in whole.map(|range| ("whole", range)).into_iter().chain([("range", Some(0..4))]) {
            let answer = self.source.ask(&LookedAt::Object { key, range }).await;
            document[name] = write::answer(&answer, self.mask);
            if let Ok(answer) = &answer {
                document[name]["body_bytes"] = answer.body.len().into();
                document[name]["checksums"] = checksums_offered(answer);
            }
        }
        document
    }
}

/// The names of the checksums among an answer's headers.
fn checksums_offered(answer: &RawAnswer) -> Value {
    let names = answer.headers.keys().map(|name| name.as_str());
    let aws = names.filter(|name| name.starts_with("x-amz-checksum-") && *name != "x-amz-checksum-type");
    let google = answer.headers.get_all("x-goog-hash").into_iter().filter_map(|value| value.to_str().ok());
    let google = google.flat_map(|hashes| hashes.split(',')).filter_map(|hash| Some(hash.trim().split_once('=')?.0));
    let other = answer.headers.get(header::HeaderName::from_static("content-md5")).map(|_| "content-md5");
    aws.chain(google).chain(other).collect::<Vec<_>>().into()
}

/// The bucket with fresh credentials, none of which will be shown.
async fn connect(
    settings: &SourceSettings,
    choice: CloudChoice,
    clock: &Arc<Clock>,
    mask: &mut Mask,
) -> Result<RawSource> {
    let source =
        if choice == CloudChoice::Gcs { settings.raw_gcs(clock).await? } else { settings.raw_s3(clock).await? };
    source.secrets().into_iter().for_each(|secret| mask.hide(secret, "***"));
    mask.hide(source.location().account_id.as_str(), "ACCOUNT");
    Ok(source)
}

/// The form of the exchange's answer, with the places that it names.
fn exchange_document(answer: &Result<RawAnswer>, mask: &Mask) -> Value {
    let mut document = write::answer(answer, mask);
    if let Ok(answer) = answer
        && answer.status.is_success()
    {
        let body = serde_json::from_slice::<Value>(&answer.body).ok();
        document["form"] = body.as_ref().map_or("it is not JSON".into(), json_shape);
        let place = body.as_ref().and_then(|body| body["s3Path"].as_str().or_else(|| body["uri"].as_str()));
        document["place"] = place.map(|place| mask.text(place)).into();
    }
    document
}
