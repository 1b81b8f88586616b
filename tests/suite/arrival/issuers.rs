//! Who gives AWS keys out, on loopback: STS, a container's and a machine's server, single sign-on.

use serde_json::json;

use crate::harness::{Asked, TokenServer};

/// When the keys end: long after every test.
pub const ENDS: &str = "2099-01-01T00:00:00Z";

/// Keys that are given out.
#[derive(Clone)]
pub struct Keys {
    pub id: String,
    pub secret: String,
    pub session: String,
}

/// A server that answers as each of AWS's issuers does, with the same keys.
pub struct Issuers(TokenServer);

impl Issuers {
    pub fn start(keys: Keys) -> Self {
        Self(TokenServer::of_texts(Box::new(move |asked| match answer(asked, &keys) {
            Some(body) => (200, body),
            None => (404, String::new()),
        })))
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    /// The paths and bodies of the requests so far.
    pub fn asked(&self) -> String {
        let asked = self.0.asked("").into_iter().map(|asked| format!("{} {}", asked.path, asked.body));
        asked.collect::<Vec<_>>().join("\n")
    }
}

fn answer(asked: &Asked, keys: &Keys) -> Option<String> {
    let Keys { id, secret, session } = keys;
    let of_machine = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
        "AccessKeyId": id, "SecretAccessKey": secret, "Token": session, "Expiration": ENDS,
    });
    let action = ["AssumeRoleWithWebIdentity", "AssumeRole"]
        .into_iter()
        .find(|action| asked.body.contains(&format!("Action={action}&")));
    if let Some(action) = action {
        return Some(format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/lake/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{session}</SessionToken><Expiration>{ENDS}</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        ));
    }
    match asked.path.split('?').next()? {
        "/container" | "/latest/meta-data/iam/security-credentials/lake-role" => Some(of_machine.to_string()),
        "/latest/api/token" => Some("metadata-token".to_owned()),
        "/latest/meta-data/iam/security-credentials/" => Some("lake-role".to_owned()),
        "/latest/meta-data/placement/region" => Some("eu-central-1".to_owned()),
        "/federation/credentials" => Some(
            json!({ "roleCredentials": {
                "accessKeyId": id, "secretAccessKey": secret, "sessionToken": session, "expiration": 4_070_908_800_000_u64,
            }})
            .to_string(),
        ),
        _ => None,
    }
}
