//! A mirror in a bucket of the user's own.

mod store;

pub use store::{
    BucketChecksum, Condition, DELETES_MAX, Described, Fetched, Part, Payload, Put, PutTerms, Store, StoredObject,
    StoredPage, Upload, Version,
};
