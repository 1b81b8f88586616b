//! The rights that a run needs: documented as a policy, and named where one is missing.

use std::collections::BTreeSet;

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation, Cloud, Content};
use serde_json::Value;

use crate::harness::{CustomerLake, Export};

/// What AWS asks for each operation (its service authorization reference).
fn actions_of(operation: BucketOperation) -> &'static [&'static str] {
    match operation {
        BucketOperation::Put
        | BucketOperation::CreateUpload
        | BucketOperation::UploadPart
        | BucketOperation::CompleteUpload => &["s3:PutObject"],
        BucketOperation::Copy | BucketOperation::CopyPart => &["s3:GetObject", "s3:PutObject"],
        BucketOperation::AbortUpload => &["s3:AbortMultipartUpload"],
        BucketOperation::ListUploads => &["s3:ListBucketMultipartUploads"],
        BucketOperation::ListParts => &["s3:ListMultipartUploadParts"],
        BucketOperation::Delete | BucketOperation::DeleteMany => &["s3:DeleteObject"],
        BucketOperation::List => &["s3:ListBucket"],
        BucketOperation::Get | BucketOperation::Head => &["s3:GetObject"],
        BucketOperation::Lifecycle => &["s3:GetLifecycleConfiguration"],
        BucketOperation::Policies => &["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"],
        BucketOperation::Other => &["an operation that nobody knows"],
    }
}

/// The actions of the statements of the documented policy, by their name.
fn documented() -> Vec<(String, BTreeSet<String>)> {
    let text = include_str!("../../../docs/RECIPES.md");
    let policy = text.split("```json").map(|part| part.split("```").next().unwrap());
    let policy = policy.filter(|block| block.contains("\"Statement\"")).collect::<Vec<_>>();
    assert_eq!(policy.len(), 1, "one policy is documented");
    let policy: Value = serde_json::from_str(policy[0]).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter().map(|statement| {
        let actions = statement["Action"].as_array().unwrap().iter();
        (statement["Sid"].as_str().unwrap().to_owned(), actions.map(|it| it.as_str().unwrap().to_owned()).collect())
    });
    statements.collect()
}

/// What Google asks for each operation (its table of IAM permissions for XML requests).
fn permissions_of(operation: BucketOperation) -> &'static [&'static str] {
    match operation {
        // Every object of a mirror may be replaced one day.
        BucketOperation::Put | BucketOperation::Copy => &["storage.objects.create", "storage.objects.delete"],
        BucketOperation::CreateUpload | BucketOperation::UploadPart | BucketOperation::CompleteUpload => {
            &["storage.multipartUploads.create", "storage.objects.create", "storage.objects.delete"]
        }
        BucketOperation::AbortUpload => &["storage.multipartUploads.abort"],
        BucketOperation::ListUploads => &["storage.multipartUploads.list"],
        BucketOperation::Delete => &["storage.objects.delete"],
        BucketOperation::List => &["storage.objects.list"],
        BucketOperation::Get | BucketOperation::Head => &["storage.objects.get"],
        BucketOperation::Lifecycle | BucketOperation::Policies => &["storage.buckets.get"],
        _ => &["an operation that nobody knows"],
    }
}

#[test]
fn the_documented_policy_is_what_runs_ask_for_and_nothing_else() {
    let needed = documented().into_iter().filter(|(name, _)| name.starts_with("Mirror"));
    let needed: BTreeSet<String> = needed.flat_map(|(_, actions)| actions).collect();
    assert_eq!(asked_for(Cloud::S3, actions_of), needed);
}

#[test]
fn the_documented_permissions_at_google_are_what_runs_ask_for_and_nothing_else() {
    let text = include_str!("../../../docs/RECIPES.md");
    let (_, text) = text.split_once("At Google Cloud Storage the permissions are").unwrap();
    let words = text.split('`').filter(|word| word.starts_with("storage.")).map(str::to_owned);
    assert_eq!(asked_for(Cloud::Gcs, permissions_of), words.collect());
}

/// The rights behind all that runs do to a bucket: mirror, give up, replace, look, verify.
fn asked_for(cloud: Cloud, rights: fn(BucketOperation) -> &'static [&'static str]) -> BTreeSet<String> {
    let lake = CustomerLake::new(cloud);
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.objects_per_day = 1;
        settings.types = vec!["events".into()];
        settings.odd_names = false;
        settings.content = Content::Noise { size_bytes: 22_000_000..=22_000_000 };
    });
    let in_parts = |call: crate::harness::E3sync| call.args(["--part-size", "5MiB"]);
    let denied = BucketFault::new(BucketOperation::CompleteUpload, BucketAction::status(400, "InvalidArgument"));
    lake.bucket().inject(denied);
    in_parts(lake.sync(&export)).run();
    assert!(!lake.bucket().unfinished_uploads().is_empty());
    lake.bucket().clear_faults();
    // What was begun is of no use to a day that was rewritten meanwhile, and is given up.
    let rewrite = || {
        for type_name in &export.simulator().settings().types {
            export.simulator().change().rewrite_day(type_name, export.dates()[0], 100);
        }
    };
    rewrite();
    in_parts(lake.sync(&export)).run().expect(0);
    // A published day that was rewritten is replaced.
    rewrite();
    in_parts(lake.sync(&export)).run().expect(0);
    lake.command(&export, "doctor").run();
    lake.command(&export, "verify").run().expect(0);

    let log = lake.bucket().requests().log;
    log.iter().flat_map(|request| rights(request.operation)).map(|right| (*right).to_owned()).collect()
}

#[test]
fn the_right_of_the_refused_request_is_named() {
    let export = Export::of_noise(1, 1);
    for (operation, options, rights) in [
        (BucketOperation::List, vec![], "s3:ListBucket on the bucket"),
        (BucketOperation::Put, vec![], "s3:PutObject on the bucket"),
        (BucketOperation::Put, vec!["--tag", "team=data"], "s3:PutObject and s3:PutObjectTagging on the bucket"),
        (
            BucketOperation::Put,
            vec!["--sse", "aws:kms", "--sse-kms-key-id", "key"],
            "s3:PutObject on the bucket, and kms:GenerateDataKey on the key",
        ),
    ] {
        let lake = CustomerLake::new(Cloud::S3);
        lake.bucket().inject(BucketFault::new(operation, BucketAction::status(403, "AccessDenied")));
        lake.sync(&export).args(options).run().expect(4).says(&format!("need {rights}"));
    }
    let lake = CustomerLake::new(Cloud::S3);
    let message = "User: arn:aws:iam::1:user/a is not authorized to perform: kms:GenerateDataKey on resource: key/1";
    let denied = BucketAction::Denied { message: message.to_owned() };
    lake.bucket().inject(BucketFault::new(BucketOperation::Put, denied));
    lake.sync(&export).run().expect(4).says("the credentials need kms:GenerateDataKey on the key");
}
