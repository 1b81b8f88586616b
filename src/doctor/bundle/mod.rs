//! What nobody outside of the vendor knows for sure, gathered with one user's credentials: how the
//! exchange and the buckets really answer, without a secret and without the user's own names.

mod cloud;
mod listed;
mod mask;
mod write;

use std::sync::Arc;

use serde_json::{Value, json};

use self::cloud::Investigation;
use self::mask::Mask;
use super::Finding;
use super::source::clouds_of;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::net;
use crate::source::{Access, CloudChoice, SourceSettings};

/// The version of the document.
const SCHEMA: u32 = 1;

/// What `doctor` gathers for a maintainer.
pub struct Bundle {
    document: Value,
    mask: Mask,
}

impl Bundle {
    /// What can be told without a source: this build, and what was found.
    pub fn without_source(findings: &[Finding], clock: &Clock) -> Self {
        Self::with(Value::Array(Vec::new()), json!({}), findings, clock, Mask::new())
    }

    /// Asks the exchange and the bucket of each cloud of the settings, some twenty requests a cloud and type;
    /// each is made once, and a refusal is part of what is gathered.
    pub async fn gather(settings: &SourceSettings, findings: &[Finding], clock: &Arc<Clock>) -> Self {
        let mut mask = Mask::new();
        if let Access::Exchange(exchange) = &settings.access
            && let Ok(token) = exchange.token.read(clock).await
        {
            mask.hide(secrecy::ExposeSecret::expose_secret(&token), "***");
        }
        let mut clouds = Vec::new();
        for choice in clouds_of(settings) {
            clouds.push(Investigation::of(settings, choice, clock, &mut mask).await);
        }
        Self::with(Value::Array(clouds), settings_document(settings), findings, clock, mask)
    }

    fn with(clouds: Value, settings: Value, findings: &[Finding], clock: &Clock, mask: Mask) -> Self {
        let findings = findings.iter().map(|finding| {
            json!({ "check": finding.check, "state": finding.state.name(), "message": mask.text(&finding.message) })
        });
        let document = json!({
            "schema": SCHEMA,
            "e3sync": {
                "version": env!("CARGO_PKG_VERSION"),
                "os": std::env::consts::OS,
                "architecture": std::env::consts::ARCH,
            },
            "made_at": format!("{:.0}", clock.now()),
            "clock_correction_seconds": clock.correction().map(|correction| correction.as_secs()),
            "settings": settings,
            "checks": findings.collect::<Vec<_>>(),
            "clouds": clouds,
        });
        Self { document, mask }
    }

    /// The document as indented JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] should it hold a secret or the account after all: then it is not shown.
    pub fn to_text(&self) -> Result<String> {
        let text = format!("{:#}\n", self.document);
        if self.mask.is_leaked_by(&text) {
            return Err(Error::new(ErrorKind::Internal, "the bundle holds what must not be shown; it is not written")
                .with_hint("please report this without a bundle"));
        }
        Ok(text)
    }
}

/// How the source was asked, as far as it explains the answers. Addresses of the user's own are not named.
fn settings_document(settings: &SourceSettings) -> Value {
    let api = match &settings.access {
        Access::Exchange(exchange) => json!({
            "is_documented": exchange.api_url.host_str() == Some("api.optimizely.com"),
            "is_loopback": net::is_loopback(&exchange.api_url),
            "asks_for_minutes": exchange.duration_minutes,
        }),
        Access::Ambient { .. } => Value::Null,
    };
    json!({
        "source": match settings.cloud {
            CloudChoice::S3 => "s3",
            CloudChoice::Gcs => "gcs",
            CloudChoice::Auto => "auto",
        },
        "api": api,
        "has_other_endpoint": settings.s3.endpoint_url.is_some() || settings.gcs.endpoint_url.is_some(),
        "has_user_project": settings.gcs.user_project.is_some(),
        "has_proxy": settings.s3.net.proxy.is_some(),
        "s3_region": settings.s3.region,
    })
}
