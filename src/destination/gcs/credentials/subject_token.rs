//! The other provider's token: where a credentials file says that it is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::{Request, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;
use url::Url;

use super::aws_identity;
use super::token::Asker;
use super::token_server::{answer, refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net::{self, SentBody};

/// How long a program may take, unless the file says so.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the provider's server may take.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(30);

const SERVER: &str = "the identity provider";

const HINT: &str = "the token of the identity provider is named by `credential_source` in the credentials file";

/// The `credential_source` of a file.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SubjectSource {
    file: Option<PathBuf>,
    url: Option<String>,
    headers: BTreeMap<String, String>,
    format: Format,
    executable: Option<Program>,
    environment_id: Option<String>,
    regional_cred_verification_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    r#type: String,
    subject_token_field_name: Option<String>,
}

#[derive(Deserialize)]
struct Program {
    command: String,
    timeout_millis: Option<u64>,
    output_file: Option<PathBuf>,
}

/// Where the provider's token comes from; read again for every exchange.
pub(super) struct SubjectTokenSource {
    place: ProofLocation,
    /// The field of a JSON document that holds the token; `None` where the text is the token.
    field: Option<String>,
}

enum ProofLocation {
    File(PathBuf),
    Server(Url, BTreeMap<String, String>),
    Program { program: Program, audience: String, token_type: String },
    Aws { verification_url: String, audience: String },
}

impl SubjectTokenSource {
    /// The place that a file names.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for one that is not supported, must not be asked, or must not be run.
    pub fn new(source: SubjectSource, audience: &str, token_type: &str, runs_programs: bool) -> Result<Self> {
        let is_json = source.format.r#type.eq_ignore_ascii_case("json");
        let field = match source.format.subject_token_field_name.filter(|_| is_json) {
            None if is_json => return Err(usage("`credential_source.format` names no field of the JSON document")),
            field => field,
        };
        let place = match (source.environment_id, source.file, source.url, source.executable) {
            (Some(id), ..) if id == "aws1" => ProofLocation::Aws {
                verification_url: source
                    .regional_cred_verification_url
                    .ok_or_else(|| usage("`credential_source` has no `regional_cred_verification_url`"))?,
                audience: audience.to_owned(),
            },
            (Some(id), ..) => return Err(usage(&format!("`{}` is no environment that is known", printable(&id)))),
            (_, Some(path), ..) => ProofLocation::File(path),
            (_, _, Some(url), _) => ProofLocation::Server(provider_url(&url)?, source.headers),
            (_, _, _, Some(program)) if runs_programs => {
                ProofLocation::Program { program, audience: audience.to_owned(), token_type: token_type.to_owned() }
            }
            (_, _, _, Some(_)) => {
                return Err(usage("it runs a program for its token").with_hint(
                    "if the credentials file is yours, allow it with GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
                ));
            }
            _ => return Err(usage("its `credential_source` is neither a file, an address, a program nor AWS")),
        };
        Ok(Self { place, field })
    }

    /// The token as it is now.
    pub async fn read(&self, asker: &Asker) -> Result<SecretString> {
        let text = match &self.place {
            ProofLocation::File(path) => read_file(path).await?,
            ProofLocation::Server(url, headers) => fetch(asker, url, headers).await?,
            ProofLocation::Program { program, audience, token_type } => {
                return run(program, audience, token_type, asker).await;
            }
            ProofLocation::Aws { verification_url, audience } => {
                return aws_identity::signed_request(verification_url, audience, asker).await;
            }
        };
        let token = match &self.field {
            None => Some(text.trim().to_owned()),
            Some(field) => {
                serde_json::from_str::<Value>(&text).ok().and_then(|json| Some(json[field].as_str()?.to_owned()))
            }
        };
        token.filter(|token| !token.is_empty()).map(SecretString::from).ok_or_else(|| {
            Error::new(ErrorKind::AccessDenied, "the identity provider's token is not where the credentials file says")
                .with_hint(HINT)
        })
    }
}

fn usage(reason: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the credentials file cannot be used: {reason}"))
        .with_hint("make the credentials file anew: gcloud iam workload-identity-pools create-cred-config")
}

/// HTTPS, or plain HTTP to this machine and to the metadata servers that only it reaches.
fn provider_url(text: &str) -> Result<Url> {
    let is_near =
        |url: &Url| net::is_loopback(url) || matches!(url.host_str(), Some("169.254.169.254" | "[fd00:ec2::254]"));
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" || url.scheme() == "http" && is_near(url));
    url.ok_or_else(|| usage("the `url` of its `credential_source` is no HTTPS address"))
}

async fn read_file(path: &Path) -> Result<String> {
    tokio::fs::read_to_string(path).await.map_err(|cause| {
        let what = format!("cannot read the identity provider's token from {}", path.display());
        Error::new(ErrorKind::AccessDenied, what).with_hint(HINT).with_cause(cause)
    })
}

async fn fetch(asker: &Asker, url: &Url, headers: &BTreeMap<String, String>) -> Result<String> {
    let request = headers.iter().fold(Request::get(url.as_str()), |request, (name, value)| request.header(name, value));
    let request = request
        .body(SentBody::empty())
        .map_err(|_| usage("the `headers` of its `credential_source` cannot be sent"))?;
    let answer = answer(&asker.client, request, SERVER, PROVIDER_TIMEOUT).await?;
    if answer.status != StatusCode::OK {
        return Err(refusal(&answer, SERVER, HINT));
    }
    String::from_utf8(answer.body.to_vec())
        .map_err(|_| Error::new(ErrorKind::Protocol, format!("the answer of {SERVER} is no text")).with_hint(HINT))
}

/// What a program answers (Google's "executable-sourced credentials").
#[derive(Deserialize)]
struct ProgramAnswer {
    version: u64,
    success: bool,
    id_token: Option<SecretString>,
    saml_response: Option<SecretString>,
    expiration_time: Option<i64>,
    code: Option<String>,
    message: Option<String>,
}

/// Takes the token that the program left in its file while it lives; else runs it.
async fn run(program: &Program, audience: &str, token_type: &str, asker: &Asker) -> Result<SecretString> {
    let now_seconds = asker.clock.now().as_second();
    if let Some(path) = &program.output_file
        && let Ok(bytes) = tokio::fs::read(path).await
        && let Ok(kept) = serde_json::from_slice::<ProgramAnswer>(&bytes)
        && kept.expiration_time.is_some_and(|expires_at| expires_at > now_seconds)
        && kept.success
    {
        return token_of(kept);
    }
    let failed = |reason: String| {
        Error::new(ErrorKind::AccessDenied, format!("the program of the credentials file {reason}")).with_hint(HINT)
    };
    let mut words = program.command.split_whitespace();
    let name = words.next().ok_or_else(|| usage("its program has no name"))?;
    let mut command = Command::new(name);
    command
        .args(words)
        .env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", audience)
        .env("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", token_type)
        .env("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    if let Some(path) = &program.output_file {
        command.env("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", path);
    }
    let timeout = program.timeout_millis.map_or(PROGRAM_TIMEOUT, Duration::from_millis);
    let output = tokio::time::timeout(timeout, command.output()).await;
    let output = output.map_err(|_| failed(format!("took longer than {timeout:?}")))?;
    let output = output.map_err(|cause| failed("cannot be run".to_owned()).with_cause(cause))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    let answer = serde_json::from_slice(&output.stdout);
    token_of(answer.map_err(|_| failed("gives no answer of the documented form".to_owned()))?)
}

fn token_of(answer: ProgramAnswer) -> Result<SecretString> {
    let refused = |reason: String| {
        let what = format!("the program of the credentials file gives no token: {reason}");
        Error::new(ErrorKind::AccessDenied, what).with_hint(HINT)
    };
    if !answer.success {
        let (code, message) = (answer.code.unwrap_or_default(), answer.message.unwrap_or_default());
        return Err(refused(format!("{}{}", printable(&code), net::said(&code, &message))));
    }
    if answer.version != 1 {
        return Err(refused(format!("it answers in version {}, and 1 is known", answer.version)));
    }
    answer.id_token.or(answer.saml_response).ok_or_else(|| refused("its answer has none".to_owned()))
}
