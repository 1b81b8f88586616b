//! Into a bucket: days that change.
