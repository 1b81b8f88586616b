//! Where a secret comes from: a variable, a file, a command.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::well_formed::{self, Syntax};
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;

/// The longest token that is accepted; a Personal Access Token has about 54 characters.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// How long a command that prints the token may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a secret comes from. It is read again whenever it is needed, so that one that somebody else
/// renews stays of use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SecretSource {
    /// The secret itself, from the environment or standard input.
    Value(SecretString),
    /// A file that holds nothing else.
    File(PathBuf),
    /// A command line for the system's shell that prints it.
    Command(String),
}

impl SecretSource {
    /// Obtains the secret.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when the file or command gives none, or one that cannot be a token. The secret's
    /// text is in no message.
    pub async fn read(&self) -> Result<SecretString> {
        let (text, origin) = match self {
            Self::Value(token) => (token.expose_secret().to_owned(), "the environment or standard input".to_owned()),
            Self::File(path) => (read_file(path).await?, printable(&path.to_string_lossy()).into_owned()),
            Self::Command(command) => (run(command).await?, "the token command".to_owned()),
        };
        Self::check(&text, &origin)
    }

    /// The token in a text that came from `origin`: without the line end and the blanks around it.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for what cannot be a token; its text is in no message.
    pub fn check(text: &str, origin: &str) -> Result<SecretString> {
        let token = text.trim();
        if token.is_empty() {
            return Err(Error::new(ErrorKind::Usage, format!("the token from {origin} is empty"))
                .with_hint("put a Personal Access Token into OPTIMIZELY_API_TOKEN, or name a file with --token-file"));
        }
        well_formed::check("the token", origin, token, Syntax::Header)?;
        Ok(SecretString::from(token))
    }
}

async fn read_file(path: &std::path::Path) -> Result<String> {
    let refuse = |cause: std::io::Error| {
        Error::new(ErrorKind::Usage, format!("cannot read the token from {}", path.display()))
            .with_hint("name a readable text file that holds the token and nothing else")
            .with_cause(cause)
    };
    let file = tokio::fs::File::open(path).await.map_err(refuse)?;
    let mut bytes = Vec::new();
    file.take(TOKEN_BYTES_MAX).read_to_end(&mut bytes).await.map_err(refuse)?;
    well_formed::text_of(bytes)
        .map_err(|flaw| well_formed::refusal("the token", &printable(&path.to_string_lossy()), flaw))
}

async fn run(command: &str) -> Result<String> {
    let refuse = |reason: &str| {
        Error::new(ErrorKind::Usage, format!("the token command {reason}"))
            .with_hint("run it by hand: it must print the token to standard output and exit 0 within a minute")
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| refuse("cannot be started").with_cause(cause))?;
    let stdout = child.stdout.take().ok_or_else(|| refuse("has no output"))?;
    let mut bytes = Vec::new();
    let mut output = stdout.take(TOKEN_BYTES_MAX);
    let reading = async {
        output.read_to_end(&mut bytes).await?;
        drop(output);
        child.wait().await
    };
    match tokio::time::timeout(COMMAND_TIMEOUT, reading).await {
        Err(_) => Err(refuse("takes too long")),
        Ok(Err(cause)) => Err(refuse("cannot be read").with_cause(cause)),
        Ok(Ok(status)) if !status.success() => Err(refuse(&format!("failed with {status}"))),
        Ok(Ok(_)) => {
            well_formed::text_of(bytes).map_err(|flaw| well_formed::refusal("the token", "the token command", flaw))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(source: SecretSource) -> Result<String> {
        source.read().await.map(|token| token.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_token_comes_from_a_value_a_file_or_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "2:abc\n").unwrap();
        assert_eq!(read(SecretSource::Value("2:abc ".into())).await.unwrap(), "2:abc");
        assert_eq!(read(SecretSource::File(path)).await.unwrap(), "2:abc");
        assert_eq!(read(SecretSource::Command("echo 2:abc".into())).await.unwrap(), "2:abc");
    }

    #[tokio::test]
    async fn what_gives_no_token_is_refused_without_showing_it() {
        for source in [
            SecretSource::Value("".into()),
            SecretSource::Value("secret with spaces".into()),
            SecretSource::File("/nonexistent".into()),
            SecretSource::Command("echo secret; exit 3".into()),
        ] {
            let error = read(source).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
