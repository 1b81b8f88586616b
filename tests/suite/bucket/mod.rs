//! The mirror in a bucket of the user's own. What does not mind the source's cloud is built once more
//! for the other one.

mod basics;
mod days;
mod names;
mod peers;
mod resume;
mod sample;
mod terms;
