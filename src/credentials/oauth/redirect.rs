//! Where the browser is sent back to after a login: a page on this machine, for this one answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::Authorization;
use crate::error::{Error, ErrorKind, Result};

/// The path that the application has registered behind the port.
const PATH: &str = "/callback";

/// The longest head of a request that is read, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A browser sends its request at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens on loopback for the redirect of one login.
pub struct RedirectListener {
    listener: TcpListener,
    url: Url,
}

impl RedirectListener {
    /// The address that is registered for the application: `http://127.0.0.1:PORT/callback`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] should that be none.
    pub fn url_of(port: u16) -> Result<Url> {
        Url::parse(&format!("http://127.0.0.1:{port}{PATH}"))
            .map_err(|_| Error::new(ErrorKind::Internal, "the redirect has no address"))
    }

    /// Listens on a port of this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a port that is taken.
    pub async fn bind(port: u16) -> Result<Self> {
        let taken = |cause| {
            Error::new(ErrorKind::Usage, format!("cannot listen on 127.0.0.1:{port} for the answer of the login"))
                .with_hint("name a free port with --redirect-port, one that is registered for the application; or use --no-browser")
                .with_cause(cause)
        };
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(taken)?;
        Ok(Self { listener, url: Self::url_of(port)? })
    }

    /// The address that the browser is sent back to.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Waits for the redirect of this login; answers other requests that there is nothing.
    ///
    /// # Errors
    /// As [`Authorization::code_in`].
    pub async fn wait(&self, authorization: &Authorization) -> Result<String> {
        loop {
            let Ok((mut stream, _)) = self.listener.accept().await else { continue };
            let Some(asked) = self.read(&mut stream).await else { continue };
            let outcome = if asked.path() == PATH { authorization.code_in(&asked) } else { Ok(None) };
            let (status, words) = match &outcome {
                Ok(Some(_)) => ("200 OK", "You are logged in. This page can be closed.".to_owned()),
                Ok(None) => ("404 Not Found", "There is nothing here.".to_owned()),
                Err(error) => ("400 Bad Request", format!("The login failed: {error}")),
            };
            // A browser that is gone has missed only this page.
            let _ = answer(&mut stream, status, &words).await;
            match outcome {
                Ok(Some(code)) => return Ok(code),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The address that a GET asks for; `None` for anything else.
    async fn read(&self, stream: &mut TcpStream) -> Option<Url> {
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        let reading = async {
            while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
                let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
                head.extend_from_slice(&buffer[..count]);
            }
            Some(())
        };
        tokio::time::timeout(HEAD_TIMEOUT, reading).await.ok()??;
        let text = String::from_utf8(head).ok()?;
        let target = text.lines().next()?.strip_prefix("GET ")?.split(' ').next()?;
        self.url.join(target).ok().filter(|url| url.origin() == self.url.origin())
    }
}

async fn answer(stream: &mut TcpStream, status: &str, words: &str) -> std::io::Result<()> {
    let page = format!("{words}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         referrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.as_bytes()).await?;
    stream.shutdown().await
}
