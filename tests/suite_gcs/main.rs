//! The same tests as over S3, unchanged, with the export in Google Cloud Storage.

#[path = "../suite/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some helpers only serve tests that are about S3 or need no cloud")]
mod harness;

#[path = "../suite/basics.rs"]
mod basics;
#[path = "../suite/bucket/basics.rs"]
mod bucket_basics;
#[path = "../suite/bucket/days.rs"]
mod bucket_days;
#[path = "../suite/bucket/names.rs"]
mod bucket_names;
#[path = "../suite/bucket/resume.rs"]
mod bucket_resume;
#[path = "../suite/credentials.rs"]
mod credentials;
#[path = "../suite/faults.rs"]
mod faults;
#[path = "../suite/hostile.rs"]
mod hostile;
#[path = "../suite/incremental.rs"]
mod incremental;
#[path = "../suite/listings.rs"]
mod listings;
#[path = "../suite/resume.rs"]
mod resume;
