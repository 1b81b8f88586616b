//! The S3 protocol over the account: the part of it that the vendor's credentials allow (domain.md section 2).

mod authorize;
mod error;
mod listing;
mod object;
mod signature;

pub(crate) use authorize::{access_key_id, verify};
pub(crate) use error::{S3Error, usual_code};
pub(crate) use listing::{Entry, Form, Limits, form, marker, token};
#[cfg(test)]
pub(crate) use signature::Authorization;

use super::call::{Call, Target};
use super::front::{Answer, Front};
use super::observation::Operation;
use super::reply::Reply;
use super::seed::{base64, derive, derive_number};
use http::StatusCode;

/// The answer to a call of the S3 protocol.
pub(crate) async fn answer(front: &Front<'_>, call: &Call) -> Answer {
    match try_answer(front, call).await {
        Ok(answer) => answer,
        Err(error) => Answer::Reply(error.reply(call)),
    }
}

async fn try_answer(front: &Front<'_>, call: &Call) -> Result<Answer, S3Error> {
    let Target::S3 { bucket, key } = &call.target else {
        return Err(S3Error::new(StatusCode::BAD_REQUEST, "InvalidURI", "Couldn't parse the specified URI."));
    };
    authorize::identify(front, call)?;
    authorize::permit(front, call, bucket)?;
    match call.operation {
        Operation::List => listing::list(front, call),
        _ => object::get(front, call, key).await.map(Answer::Reply),
    }
}

/// Adds the headers that every answer of S3 has.
pub(crate) fn sign_off(seed: u64, call: &Call, reply: Reply) -> Reply {
    let host_id = base64(&derive(seed, &["host", &call.number.to_string()]));
    reply.header("server", "AmazonS3").header("x-amz-request-id", &request_id(call)).header("x-amz-id-2", &host_id)
}

/// The id of a request; it stands in the header and in error bodies.
fn request_id(call: &Call) -> String {
    format!("{:016X}", derive_number(call.number, &["request"]))
}
