//! Google Cloud Storage over the account: listings and metadata in JSON, media in the JSON and the XML interface, as
//! far as the vendor's read-only token allows (domain.md section 2).

mod address;
mod authorize;
mod error;
mod fields;
mod listing;
mod object;
mod resource;
#[cfg(test)]
mod tests;

pub(crate) use address::{Address, Dialect, Place, is_addressed};
pub(crate) use error::{GcsError, injected as injected_error};
pub(crate) use listing::{Form, token};

use super::call::Call;
use super::front::{Answer, Front};
use super::observation::Operation;
use super::reply::Reply;
use super::seed::derive_url_safe;

/// The header that pins a version or names it.
pub(crate) const GENERATION: &str = "x-goog-generation";

/// The answer to a call of either interface.
pub(crate) async fn answer(front: &Front<'_>, call: &Call, address: &Address) -> Answer {
    match try_answer(front, call, address).await {
        Ok(answer) => answer,
        Err(error) => Answer::Reply(error.reply(call, address.dialect)),
    }
}

async fn try_answer(front: &Front<'_>, call: &Call, address: &Address) -> Result<Answer, GcsError> {
    authorize::identify(front, call)?;
    authorize::permit(front, call, address)?;
    match (&address.place, call.operation) {
        (Place::Objects, Operation::List) => listing::list(front, call).await,
        (Place::Object(key), _) if address.wants_media(&call.query) => {
            object::media(front, call, address, key).await.map(Answer::Reply)
        }
        (Place::Object(key), _) => object::metadata(front, call, key).await.map(Answer::Reply),
        _ => Err(GcsError::not_found("Not Found")),
    }
}

/// Adds the headers that every answer has; the upload id is Google's support reference.
pub(crate) fn sign_off(call: &Call, reply: Reply) -> Reply {
    let id = derive_url_safe(call.number, &["upload id"], 43);
    reply.header("server", "UploadServer").header("x-guploader-uploadid", &id)
}
