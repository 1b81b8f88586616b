//! A listing is believed only if it is one (design.md promise 10).

use crate::harness::{Export, assert_tree_is, files_below};

/// Every way in which the simulator can lie within a page of a listing.
const LIES: [&str; 10] =
    ["html", "garbage", "empty", "truncated", "bucket", "prefix", "foreign", "unsorted", "bomb=20MiB", "repeat-token"];

/// Those in which it leads from a sound page to one that does not follow it: asked again, the second
/// page is the same.
const LIES_ACROSS_PAGES: [&str; 2] = ["repeat-key", "step-back"];

#[test]
fn a_listing_that_is_none_changes_nothing() {
    let export = Export::with(|settings| {
        settings.days = 2;
        settings.page_keys = 5;
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(folder.path());
    for lie in LIES.into_iter().chain(LIES_ACROSS_PAGES) {
        export.simulator().clear_faults();
        export.inject(&format!("list:{lie} times=always"));
        let finished = export.sync(folder.path()).args(["--retries", "2"]).run();
        assert!(matches!(finished.code, Some(1 | 3)), "{lie}: {finished:?}");
        assert!(finished.stderr.contains("is not believed"), "{lie}: {}", finished.stderr);
        assert_eq!(files_below(folder.path()), before, "{lie}");
    }
}

#[test]
fn a_listing_that_lies_once_is_taken_again() {
    for lie in LIES {
        let export = Export::with(|settings| {
            settings.days = 1;
            settings.page_keys = 5;
        });
        // The first listings are of types and days; the fault waits for one of a partition.
        export.inject(&format!("list:{lie} after=5"));
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).run().expect(0);
        assert_tree_is(&export, folder.path());
    }
}

#[test]
fn an_empty_listing_never_empties_anything() {
    let export = Export::of_noise(2, 5);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(folder.path());
    export.inject("list:no-keys times=always");
    export.sync(folder.path()).run().expect(3).says("the whole export had vanished");
    assert_eq!(files_below(folder.path()), before);
}

#[test]
fn thousands_of_keys_come_page_by_page() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 2_345;
        settings.content = e3sync::simulator::Content::Noise { size_bytes: 10..=20 };
        settings.odd_names = false;
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
    // Types, days, and three pages of the partition twice.
    assert_eq!(export.simulator().requests().of(e3sync::simulator::Operation::List), 2 + 2 * 3);
}
