//! The file that keeps a login: its refresh token, and the access token with its end so that another
//! process need not ask for one. Locked while it is renewed, replaced in one step, readable by its user only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::access::Access;
use super::application::Application;
use super::endpoint::Granted;
use crate::credentials::SecretSource;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::to_hex;

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Access for anybody but the user.
const OTHERS: u32 = 0o077;

/// Where a login is kept.
pub(super) enum LoginLocation {
    /// In a file of ours alone.
    Login(PathBuf),
    /// A refresh token in a file of the user's; what took its place is in a file of ours.
    Seeded { seed: PathBuf, kept_in: PathBuf },
}

impl LoginLocation {
    fn path(&self) -> &Path {
        match self {
            Self::Login(path) | Self::Seeded { kept_in: path, .. } => path,
        }
    }
}

/// A login as it is kept.
pub struct Login {
    /// The application's id.
    pub client_id: String,
    /// The token endpoint that the login belongs to.
    pub token_url: String,
    pub(super) refresh_token: SecretString,
    access_token: Option<SecretString>,
    access_token_expires_at: Option<Timestamp>,
    access_token_lifetime: Option<Duration>,
    /// SHA-256 of the refresh token that all began with, where that is the user's own.
    seed: Option<String>,
}

/// The login as a document.
#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    client_id: String,
    token_url: String,
    refresh_token: String,
    access_token: Option<String>,
    access_token_expires_at: Option<Timestamp>,
    access_token_lifetime_seconds: Option<u64>,
    seed_sha256: Option<String>,
}

/// The version of the document.
const SCHEMA: u32 = 1;

impl Login {
    pub(super) fn new(application: &Application, refresh_token: SecretString, seed: Option<String>) -> Self {
        Self {
            client_id: application.client_id.clone(),
            token_url: application.token_url.to_string(),
            refresh_token,
            access_token: None,
            access_token_expires_at: None,
            access_token_lifetime: None,
            seed,
        }
    }

    /// Reads a login; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a file that others can read, or that is no login.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some(bytes) = read_private(path)? else { return Ok(None) };
        let document: Document =
            serde_json::from_slice(&bytes).ok().filter(|document: &Document| document.schema == SCHEMA).ok_or_else(
                || unusable(path, "is no login of this version").with_hint("log in again with `e3sync login`"),
            )?;
        Ok(Some(Self {
            client_id: document.client_id,
            token_url: document.token_url,
            refresh_token: document.refresh_token.into(),
            access_token: document.access_token.map(SecretString::from),
            access_token_expires_at: document.access_token_expires_at,
            access_token_lifetime: document.access_token_lifetime_seconds.map(Duration::from_secs),
            seed: document.seed_sha256,
        }))
    }

    /// The access token that somebody obtained already, where it still lives and is not the refused one.
    pub(super) fn access(&self, refused: Option<&str>, now: Timestamp) -> Option<Access> {
        let token = self.access_token.as_ref().filter(|token| Some(token.expose_secret()) != refused)?;
        let access = Access::new(token, self.access_token_expires_at, self.access_token_lifetime);
        // Of a life that nobody told, another process knows nothing.
        (access.renew_at.is_some() && access.is_fresh(now)).then_some(access)
    }

    /// Takes over what the token endpoint gave. An answer without a refresh token leaves the old one.
    pub(super) fn take(&mut self, granted: &Granted, now: Timestamp) {
        if let Some(refresh_token) = &granted.refresh_token {
            self.refresh_token = refresh_token.clone();
        }
        self.access_token = Some(granted.access_token.clone());
        self.access_token_expires_at = granted.expires_at(now);
        self.access_token_lifetime = granted.lifetime;
    }

    fn to_document(&self) -> Document {
        Document {
            schema: SCHEMA,
            client_id: self.client_id.clone(),
            token_url: self.token_url.clone(),
            refresh_token: self.refresh_token.expose_secret().to_owned(),
            access_token: self.access_token.as_ref().map(|token| token.expose_secret().to_owned()),
            access_token_expires_at: self.access_token_expires_at,
            access_token_lifetime_seconds: self.access_token_lifetime.map(|lifetime| lifetime.as_secs()),
            seed_sha256: self.seed.clone(),
        }
    }
}

/// A login's file while this process alone may renew it.
pub(super) struct LoginFile {
    place: LoginLocation,
    /// The lock ends with it.
    _lock: File,
}

impl LoginFile {
    /// Waits until no other process renews the login.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where the file's folder cannot be used.
    pub async fn lock(place: LoginLocation) -> Result<Self> {
        let path = place.path().to_owned();
        let locking = tokio::task::spawn_blocking(move || lock(&path));
        let lock = locking.await.map_err(|_| Error::new(ErrorKind::Internal, "the login's lock broke off"))?;
        Ok(Self { place, _lock: lock? })
    }

    /// The login of the application.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where there is none, or one of another application.
    pub fn read(&self, application: &Application) -> Result<Login> {
        let kept = Login::read(self.place.path())?;
        let is_its = |login: &Login| {
            login.client_id == application.client_id && login.token_url == application.token_url.as_str()
        };
        let path = match &self.place {
            LoginLocation::Login(path) => path,
            LoginLocation::Seeded { seed, .. } => {
                let bytes = read_private(seed)?.ok_or_else(|| unusable(seed, "is not there"))?;
                let text = String::from_utf8(bytes).map_err(|_| unusable(seed, "is not text"))?;
                let token = SecretSource::check(&text, &seed.display().to_string())?;
                let digest = to_hex(&Sha256::digest(token.expose_secret()));
                let kept = kept.filter(|login| is_its(login) && login.seed.as_ref() == Some(&digest));
                return Ok(kept.unwrap_or_else(|| Login::new(application, token, Some(digest))));
            }
        };
        kept.filter(is_its).ok_or_else(|| {
            Error::new(ErrorKind::TokenRefused, format!("there is no login of this application in {}", path.display()))
                .with_hint("log in with `e3sync login`")
        })
    }

    /// Makes room for the login as it will be, before the old one is used up.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where it cannot be written.
    pub fn reserve(&self) -> Result<Room> {
        let path = self.place.path().to_owned();
        let failed = |cause| unkeepable(&path, cause);
        let folder = path.parent().unwrap_or(Path::new("."));
        // It is readable by its user only from the beginning.
        let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        Ok(Room { file, path })
    }
}

/// A file beside the login that will take its place.
pub(super) struct Room {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Room {
    /// Puts the login in its place, durably.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where it cannot be written.
    pub fn keep(mut self, login: &Login) -> Result<()> {
        let failed = |cause| unkeepable(&self.path, cause);
        let text = serde_json::to_vec_pretty(&login.to_document())
            .map_err(|_| Error::new(ErrorKind::Internal, "a login cannot be written down"))?;
        self.file.write_all(&text).and_then(|()| self.file.as_file().sync_all()).map_err(failed)?;
        self.file.persist(&self.path).map_err(|error| unkeepable(&self.path, error.error))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

fn lock(path: &Path) -> Result<File> {
    let failed = |cause| unkeepable(path, cause);
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(name).map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(lock)
}

/// The content of a file that nobody else can read; `None` where there is none.
fn read_private(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|cause| unusable(path, "cannot be read").with_cause(cause))?,
    };
    let metadata = file.metadata().map_err(|cause| unusable(path, "cannot be read").with_cause(cause))?;
    if metadata.mode() & OTHERS != 0 {
        let error = unusable(path, "can be read or written by others");
        return Err(error.with_hint(format!("take the access away from them: chmod 600 {}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|cause| unusable(path, "cannot be read").with_cause(cause))?;
    Ok(Some(bytes))
}

fn unusable(path: &Path, reason: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the refresh token's file {} {reason}", path.display()))
        .with_hint("name a file with --oauth-refresh-token-file, or log in with `e3sync login`")
}

fn unkeepable(path: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::Usage, format!("cannot keep the login in {}", path.display()))
        .with_hint("a new refresh token must be kept before it is used: make the folder writable, or name another one with XDG_STATE_HOME")
        .with_cause(cause)
}
