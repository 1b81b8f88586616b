//! A destination as typed becomes an address: a directory, or a bucket with everything that reaching
//! it takes.

use std::path::{Path, PathBuf};

use e3sync::credentials::well_formed::{self, Syntax};
use e3sync::destination::Address;
use e3sync::destination::gcs::{GcsAccess, GcsStoreSettings};
use e3sync::destination::s3::S3StoreSettings;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::net;
use secrecy::SecretString;

use super::args::{BucketArgs, DestinationArgs};
use super::environment;
use super::network;

/// The destination by the variable of the vendor's own tool.
pub const DESTINATION_VARIABLE: &str = "OPTIMIZELY_DATA_DIR";

/// The vendor's own bucket, which nobody else can write.
const VENDORS_BUCKETS: [&str; 2] = ["optimizely-events-data", "optimizely-e3-"];

fn usage(what: impl Into<String>, hint: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Usage, what).with_hint(hint)
}

/// Whether the command line or the environment says where the mirror is.
pub fn is_named(arguments: &DestinationArgs) -> bool {
    arguments.is_given() || environment::variable(DESTINATION_VARIABLE).is_some()
}

/// Where the mirror is.
pub fn destination(arguments: &DestinationArgs) -> Result<Address> {
    let example = "name a directory or a bucket, as in `e3sync sync ./events` or `e3sync sync s3://my-lake/optimizely`";
    let named = arguments.destination.clone().or_else(|| arguments.option.clone());
    let text = named.or_else(|| environment::variable(DESTINATION_VARIABLE)).ok_or_else(|| {
        usage("no destination is given", "name one, as in `e3sync sync ./events`, or set E3SYNC_DEST")
    })?;
    if text.trim().is_empty() {
        return Err(usage("the destination is empty", example));
    }
    let Some((scheme, rest)) = text.split_once("://") else { return directory(&text, &arguments.bucket) };
    match scheme {
        "file" => directory(rest, &arguments.bucket),
        "s3" => s3(rest, &arguments.bucket),
        "gs" => gcs(rest, &arguments.bucket),
        "S3" | "s3a" | "s3n" => Err(usage(format!("`{scheme}://` is no scheme here"), format!("write s3://{rest}"))),
        "GS" | "gcs" => Err(usage(format!("`{scheme}://` is no scheme here"), format!("write gs://{rest}"))),
        "http" | "https" => Err(usage(
            "a destination is named by its bucket, not by a web address",
            "write s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, and another server's address with --dest-endpoint-url",
        )),
        _ => Err(usage(format!("destinations with {scheme}:// are not supported"), example)),
    }
}

fn directory(path: &str, arguments: &BucketArgs) -> Result<Address> {
    // A directory of such a name would be a typing error that looks like success.
    let is_meant = |scheme: &&str| {
        let rest =
            path.get(..scheme.len()).filter(|begin| begin.eq_ignore_ascii_case(scheme)).map(|_| &path[scheme.len()..]);
        rest.is_some_and(|rest| rest.starts_with(':') || rest.starts_with("//"))
    };
    if let Some(scheme) = ["s3", "gs", "s3a", "s3n", "gcs"].into_iter().find(is_meant) {
        let rest = path[scheme.len()..].trim_start_matches([':', '/']);
        let scheme = if scheme.starts_with('s') { "s3" } else { "gs" };
        return Err(usage(
            format!("`{path}` is neither a bucket nor a directory"),
            format!("write {scheme}://{rest}; a directory of that name is written ./{path}"),
        ));
    }
    if let Some(flag) = arguments.given() {
        return Err(usage(format!("{flag} is for buckets, and `{path}` is a directory"), format!("leave {flag} out")));
    }
    let path = environment::without_tilde(Path::new(path))
        .map_err(|what| usage(what, "a folder whose name begins so is written ./~NAME"))?;
    // What stands in the way is told before anybody is asked for credentials.
    let existing = path.ancestors().find_map(|above| Some((above, std::fs::metadata(above).ok()?)));
    if let Some((above, _)) = existing.filter(|(_, metadata)| !metadata.is_dir()) {
        return Err(usage(
            format!("{} is a file, not a directory", above.display()),
            "name a directory that e3sync may fill; it is made if it is not there",
        ));
    }
    Ok(Address::Directory(path))
}

impl BucketArgs {
    /// A flag that is given on the command line or in the environment.
    fn given(&self) -> Option<&'static str> {
        let given = [
            ("--sse", self.sse.is_some()),
            ("--sse-kms-key-id", self.sse_kms_key_id.is_some()),
            ("--storage-class", self.storage_class.is_some()),
            ("--tag", !self.tags.is_empty()),
            ("--acl", self.acl.is_some()),
            ("--request-payer", self.request_payer.is_some()),
            ("--dest-token-command", self.dest_token_command.is_some()),
        ];
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

/// A bucket's name and the prefix behind it, without slashes at its ends.
fn split<'a>(scheme: &str, rest: &'a str, is_name: impl Fn(&str) -> bool) -> Result<(&'a str, String)> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(usage(
            format!("`{scheme}://{rest}` names no bucket"),
            format!("write {scheme}://BUCKET/PREFIX with two slashes and the bucket's name behind them"),
        ));
    }
    if !is_name(bucket) {
        return Err(usage(
            format!("`{bucket}` cannot be a bucket's name"),
            "names have 3 to 63 lower-case letters, digits, dots and hyphens, and begin and end with a letter or digit",
        ));
    }
    if VENDORS_BUCKETS.iter().any(|vendors| bucket.starts_with(vendors)) {
        return Err(usage(
            format!("{scheme}://{bucket} is the vendor's bucket, the source"),
            "name a bucket of your own",
        ));
    }
    let prefix = prefix.trim_end_matches('/');
    let is_odd = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if !prefix.is_empty() && (prefix.split('/').any(is_odd) || prefix.chars().any(char::is_control)) {
        return Err(usage(
            format!("the prefix of `{scheme}://{rest}` has an empty part, `.`, `..` or a control character"),
            format!("write {scheme}://{bucket}/some/prefix"),
        ));
    }
    Ok((bucket, prefix.to_owned()))
}

fn is_bucket_name(name: &str, length_max: usize, others: &[u8]) -> bool {
    let is_ordinary = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().next_back()];
    (3..=length_max).contains(&name.len())
        && name.bytes().all(|byte| is_ordinary(byte) || others.contains(&byte))
        && ends.into_iter().flatten().all(is_ordinary)
}

fn is_older_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (3..=255).contains(&name.len()) && name.bytes().all(is_allowed) && name.bytes().any(|byte| byte != b'.')
}

/// Whether buckets are at another server than AWS.
fn has_own_server(arguments: &BucketArgs) -> bool {
    let named =
        || ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter().any(|name| environment::variable(name).is_some());
    arguments.dest_endpoint_url.is_some() || named()
}

fn s3(rest: &str, arguments: &BucketArgs) -> Result<Address> {
    if rest.starts_with("arn:") {
        return Err(usage(
            format!("`s3://{rest}` names an access point by its ARN"),
            "write its alias, which the bucket's console shows beside it: s3://my-point-abc123-s3alias/PREFIX",
        ));
    }
    // AWS had such names once, and other servers have them still.
    let is_name = |name: &str| is_bucket_name(name, 63, b".-") || (has_own_server(arguments) && is_older_name(name));
    let (bucket, prefix) = split("s3", rest, is_name)?;
    if arguments.dest_token_command.is_some() {
        return Err(usage(
            "--dest-token-command is for buckets at Google Cloud Storage",
            "for S3 name a profile with `credential_process` by --dest-profile",
        ));
    }
    refuse_vendors_credentials(arguments)?;
    if arguments.sse_kms_key_id.is_some() && !arguments.sse.as_deref().is_some_and(|sse| sse.starts_with("aws:kms")) {
        return Err(usage("--sse-kms-key-id needs KMS encryption", "add --sse aws:kms"));
    }
    let tags = arguments.tags.iter().map(|tag| parse_tag(tag)).collect::<Result<_>>()?;
    let store = S3StoreSettings {
        bucket: bucket.to_owned(),
        region: arguments.dest_region.clone(),
        endpoint_url: endpoint_url(arguments)?,
        profile: arguments.dest_profile.clone(),
        sse: arguments.sse.clone(),
        sse_kms_key_id: arguments.sse_kms_key_id.clone(),
        storage_class: arguments.storage_class.clone(),
        tags,
        acl: arguments.acl.clone(),
        pays_requests: arguments.request_payer.is_some(),
        net: network::settings(),
    };
    Ok(Address::S3 { store, prefix })
}

fn endpoint_url(arguments: &BucketArgs) -> Result<Option<url::Url>> {
    arguments.dest_endpoint_url.as_deref().map(|url| net::parse_endpoint("--dest-endpoint-url", url)).transpose()
}

fn parse_tag(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(usage(format!("`{text}` is not a tag"), "write --tag KEY=VALUE")),
    }
}

/// After `eval "$(e3sync auth)"`, or the vendor's own tool's, the environment's credentials are the
/// vendor's: they cannot write anywhere, and belong to nobody else's bucket (domain.md section 2).
fn refuse_vendors_credentials(arguments: &BucketArgs) -> Result<()> {
    let is_vendors_path = |path: String| path.contains("/v1/account_id=");
    let are_vendors = environment::variable("S3_BASE_PATH").is_some_and(is_vendors_path)
        && environment::variable("AWS_SESSION_TOKEN").is_some();
    if !are_vendors || arguments.dest_profile.is_some() {
        return Ok(());
    }
    Err(usage(
        "AWS_SESSION_TOKEN in the environment is the vendor's, and the destination is your own bucket",
        "a shell after `eval \"$(e3sync auth)\"` has the vendor's credentials: unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN S3_BASE_PATH, or name your own with --dest-profile",
    ))
}

fn gcs(rest: &str, arguments: &BucketArgs) -> Result<Address> {
    let (bucket, prefix) = split("gs", rest, |name| is_bucket_name(name, 222, b".-_"))?;
    let for_s3 = [
        ("--dest-region", arguments.dest_region.is_some()),
        ("--dest-profile", arguments.dest_profile.is_some()),
        ("--sse", arguments.sse.is_some()),
        ("--sse-kms-key-id", arguments.sse_kms_key_id.is_some()),
        ("--tag", !arguments.tags.is_empty()),
        ("--acl", arguments.acl.is_some()),
        ("--request-payer", arguments.request_payer.is_some()),
    ];
    if let Some((flag, _)) = for_s3.into_iter().find(|(_, is_given)| *is_given) {
        return Err(usage(
            format!("{flag} is for buckets at S3"),
            "Google Cloud Storage takes such things from the bucket's own settings",
        ));
    }
    if let Some(token) = environment::variable("GOOGLE_OAUTH_ACCESS_TOKEN") {
        well_formed::check("the token", "GOOGLE_OAUTH_ACCESS_TOKEN", &token, Syntax::Header)?;
    }
    let store = GcsStoreSettings {
        bucket: bucket.to_owned(),
        endpoint_url: endpoint_url(arguments)?,
        access: gcs_access(arguments)?,
        storage_class: arguments.storage_class.clone(),
        net: network::settings(),
    };
    Ok(Address::Gcs { store, prefix })
}

/// The user's own Google credentials: what is named for this tool, else where Google's libraries look
/// for them. The token that `e3sync auth` prints goes by another name and is never taken here.
fn gcs_access(arguments: &BucketArgs) -> Result<GcsAccess> {
    if let Some(command) = &arguments.dest_token_command {
        return Ok(GcsAccess::Command(command.clone()));
    }
    if let Some(token) = environment::variable("GOOGLE_OAUTH_ACCESS_TOKEN") {
        return Ok(GcsAccess::Token(SecretString::from(token)));
    }
    let named = environment::variable("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
    let configured = environment::variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let configured = configured.or_else(|| Some(PathBuf::from(environment::variable("HOME")?).join(".config/gcloud")));
    let well_known = configured.map(|folder| folder.join("application_default_credentials.json"));
    if let Some(path) = named.or_else(|| well_known.filter(|path| path.exists())) {
        let runs_programs = environment::variable("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES").as_deref() == Some("1");
        return Ok(GcsAccess::File { path, runs_programs });
    }
    if environment::variable("NO_GCE_CHECK").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(usage(
            "no credentials for Google Cloud Storage were found, and NO_GCE_CHECK keeps from asking the machine",
            "name a credentials file with GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
        ));
    }
    Ok(GcsAccess::Machine { host: environment::variable("GCE_METADATA_HOST") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket_args() -> BucketArgs {
        BucketArgs {
            dest_region: None,
            dest_endpoint_url: None,
            dest_profile: None,
            dest_token_command: None,
            sse: None,
            sse_kms_key_id: None,
            storage_class: None,
            tags: Vec::new(),
            acl: None,
            request_payer: None,
            dest_lease: None,
        }
    }

    fn address(text: &str) -> Result<String> {
        let arguments = DestinationArgs { destination: Some(text.to_owned()), option: None, bucket: bucket_args() };
        destination(&arguments).map(|address| address.to_string())
    }

    #[test]
    fn buckets_and_directories_are_told_apart() {
        for (typed, meant) in [
            ("./events", "./events"),
            ("file:///srv/events", "/srv/events"),
            ("s3://my-lake", "s3://my-lake"),
            ("s3://my-lake/", "s3://my-lake"),
            ("s3://my-lake/a/b/", "s3://my-lake/a/b"),
            ("gs://my_lake/a", "gs://my_lake/a"),
            ("./s3:odd", "./s3:odd"),
            ("s3/odd", "s3/odd"),
        ] {
            assert_eq!(address(typed).unwrap(), meant, "{typed}");
        }
    }

    #[test]
    fn typing_errors_are_told_with_what_was_meant() {
        for (typed, hint) in [
            ("s3:/my-lake/a", "s3://my-lake/a"),
            ("s3:my-lake", "s3://my-lake"),
            ("gs:/my-lake", "gs://my-lake"),
            ("s3//my-lake/a", "s3://my-lake/a"),
            ("S3:/my-lake/a", "s3://my-lake/a"),
            ("gs//my-lake", "gs://my-lake"),
            ("S3://my-lake", "s3://my-lake"),
            ("s3a://my-lake/a", "s3://my-lake/a"),
            ("gcs://my-lake", "gs://my-lake"),
            ("s3://", "BUCKET"),
            ("s3:///a", "BUCKET"),
            ("s3://My_Lake", "lower-case"),
            ("s3://my-lake//a", "some/prefix"),
            ("s3://my-lake/../a", "some/prefix"),
            ("s3://optimizely-events-data/v1", "your own"),
            ("https://my-lake.s3.amazonaws.com/a", "--dest-endpoint-url"),
            ("az://my-lake", "directory or a bucket"),
            ("", "directory or a bucket"),
        ] {
            let error = address(typed).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{typed}");
            assert!(error.hint().unwrap().contains(hint), "{typed}: {:?}", error.hint());
        }
    }
}
