use std::collections::BTreeMap;
use std::process::Command;

use super::lake::Lake;
use super::moto::OpenMoto;
use super::peer::{Server, Writer, aws_environment};
use super::tools::{Python, output_of, python};

/// Without a hyphen, which moto does not know again in the addresses that Google's protocol has; and
/// short, because s3s names files after it.
const BUCKET: &str = "lake";
const PREFIX: &str = "e3";
const REGION: &str = "us-east-1";

/// A bucket of the user's own on a server that we did not write, looked at through boto3.
pub struct PeerLake {
    lake: Lake,
    looker: Writer,
}

impl std::ops::Deref for PeerLake {
    type Target = Lake;

    fn deref(&self) -> &Lake {
        &self.lake
    }
}

impl PeerLake {
    /// A new bucket on a server that speaks S3, written to with long-lived keys.
    pub fn on(server: &dyn Server) -> Self {
        let Writer { python, endpoint, environment, .. } = server.writer();
        let looker = looker(python, endpoint, environment.clone());
        output_of(&mut looker.command("create"));
        let value = |wanted: &str| environment.iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
        let public = vec![("AWS_ACCESS_KEY_ID", value("AWS_ACCESS_KEY_ID")), ("AWS_REGION", REGION.to_owned())];
        let secret = ("AWS_SECRET_ACCESS_KEY", value("AWS_SECRET_ACCESS_KEY"));
        Self { lake: Lake::new(format!("s3://{BUCKET}/{PREFIX}"), endpoint, public, secret), looker }
    }

    /// A new bucket on a server of the test's own that takes any bearer, written to in Google's protocol.
    pub fn of_google() -> Option<(OpenMoto, Self)> {
        let moto = OpenMoto::start(BUCKET)?;
        let looker = looker(python()?, moto.endpoint(), aws_environment("any", "any"));
        let secret = ("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.moto-takes-any-bearer".to_owned());
        let lake = Lake::new(format!("gs://{BUCKET}/{PREFIX}"), moto.endpoint(), Vec::new(), secret);
        Some((moto, Self { lake, looker }))
    }

    /// What readers take for data, by boto3: the SHA-256 of each object by its path.
    #[track_caller]
    pub fn data(&self) -> BTreeMap<String, String> {
        let found = output_of(self.looker.command("hashes").arg(format!("{PREFIX}/")));
        let found: BTreeMap<String, String> = serde_json::from_str(&found).unwrap();
        let paths = found.into_iter().map(|(key, sha256)| (key[PREFIX.len() + 1..].to_owned(), sha256));
        paths.filter(|(path, _)| !path.starts_with("_e3sync/")).collect()
    }

    /// A call of aws-cli that is pointed at the server.
    pub fn aws(&self) -> Command {
        let mut command = self.looker.python.command("aws");
        command.env("AWS_ENDPOINT_URL", &self.looker.endpoint).env("AWS_REGION", REGION);
        command.envs(self.looker.environment.iter().cloned());
        command
    }

    /// Runs a few lines of Python with the server's address, the place of the mirror and the keys.
    #[track_caller]
    pub fn eval(&self, code: &str) -> String {
        let place = format!("{BUCKET}/{PREFIX}");
        let keys = self.looker.environment.iter().map(|(_, value)| value.as_str());
        self.looker.python.eval(code, [self.looker.endpoint.as_str(), &place].into_iter().chain(keys))
    }
}

fn looker(python: &'static Python, endpoint: &str, environment: Vec<(&'static str, String)>) -> Writer {
    let (endpoint, bucket) = (endpoint.to_owned(), BUCKET.to_owned());
    Writer { python, script: "bucket.py", scheme: "s3", endpoint, bucket, environment }
}
