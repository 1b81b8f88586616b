//! Which hosts and buckets are believed in.

use e3sync::simulator::Operation;

use crate::harness::Export;

#[test]
fn the_token_goes_to_one_host_and_the_data_comes_from_the_expected_bucket() {
    let export = Export::of_noise(1, 2);
    let other = Export::of_noise(1, 2);
    export.inject(&format!("exchange:redirect={}", other.simulator().url()));
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(1).says("redirects elsewhere");
    assert_eq!(other.simulator().requests().total(), 0);

    for (path, text) in [
        (
            "s3://somebody-elses-bucket/v1/account_id=21468570738",
            "in bucket `somebody-elses-bucket`, none of the vendor's",
        ),
        ("s3://optimizely-events-data/v1/account_id=21468570738/../..", "is not a location"),
    ] {
        let export = Export::with(|settings| settings.s3_path = e3sync::simulator::S3Path::Verbatim(path.into()));
        export.sync(folder.path()).run().expect(1).says(text);
        assert_eq!(export.simulator().requests().of(Operation::List), 0);
    }
}
