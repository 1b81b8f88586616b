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

#[test]
fn the_documented_policy_is_what_runs_ask_for_and_nothing_else() {
    let lake = CustomerLake::new(Cloud::S3);
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

    let asked: BTreeSet<String> = lake
        .bucket()
        .requests()
        .log
        .iter()
        .flat_map(|request| actions_of(request.operation))
        .map(|action| (*action).to_owned())
        .collect();
    let needed: BTreeSet<String> = documented()
        .into_iter()
        .filter(|(name, _)| name.starts_with("Mirror"))
        .flat_map(|(_, actions)| actions)
        .collect();
    assert_eq!(asked, needed);
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
