//! The way to a database: what an address may say, and TLS.
//!
//! A password stands in a file or in the environment, never in an address: every user of a machine sees the arguments of its
//! processes. Outside this machine everything goes over TLS, and the server is known by its name and its authority; in clear only when
//! somebody says so.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Socket};
use tokio_rustls::TlsConnector;

use crate::hooks::client;
use crate::request::{Failure, FailureKind};

/// The longest address.
const MAX_ADDRESS: usize = 2_048;

/// For how long a database may not answer before it counts as gone.
const SILENCE: Duration = Duration::from_secs(30);

/// A database, and how it is reached.
pub struct Target {
    config: Config,
    tls: Option<Rustls>,
}

fn wrong(what: impl std::fmt::Display) -> Failure {
    Failure::usage(what)
        .hint("like postgresql://hotline@db.example/lake, or postgresql:///lake?host=/run/postgresql on this machine")
}

/// Whether everything stays on this machine.
fn is_here(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

impl Target {
    /// Reads an address. The authority is PEM; `insecure` is said aloud by whoever wants another machine to be reached in clear.
    pub fn read(
        address: &str,
        password: Option<&str>,
        ca: Option<&str>,
        insecure: bool,
    ) -> Result<Target, Failure> {
        if address.len() > MAX_ADDRESS {
            return Err(wrong(format!("an address has at most {MAX_ADDRESS} letters")));
        }
        // The parser's own words may repeat what stands there.
        let mut config: Config = address.parse().map_err(|_| wrong("this is no address of a database"))?;
        if config.get_password().is_some() {
            return Err(Failure::usage(
                "an address with a password in it is not taken: others see arguments",
            )
            .hint("put it into a file, --password-file FILE, or into PGPASSWORD"));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("the address names no host"));
        }
        let here = is_here(&config);
        let mode = match (config.get_ssl_mode(), here) {
            (SslMode::Disable, false) if !insecure => {
                return Err(Failure::usage("the address is of another machine, and would be reached in clear")
                    .hint("leave sslmode out: then it goes over TLS; or say --insecure, if the line itself is secure"));
            }
            (SslMode::Prefer, false) => SslMode::Require,
            (SslMode::Prefer, true) => SslMode::Disable,
            (mode, _) => mode,
        };
        config.ssl_mode(mode).application_name("hotline").connect_timeout(SILENCE);
        config.tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
        if let Some(password) = password {
            config.password(password);
        }
        let tls = match mode {
            SslMode::Disable if ca.is_some() => {
                return Err(wrong("an authority is for TLS, and this goes without"));
            }
            SslMode::Disable => None,
            _ => Some(Rustls(client(ca)?)),
        };
        Ok(Target { config, tls })
    }

    /// Opens a connection. It works on a task of its own, which ends with the client.
    pub(super) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        match self.tls.clone() {
            None => {
                let (client, connection) = self.config.connect(tokio_postgres::NoTls).await?;
                tokio::spawn(connection); // what becomes of it the client is told with its next question
                Ok(client)
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }
}

/// A password as a file or the environment holds it: without the end of its line.
pub fn password(text: &str) -> Result<&str, Failure> {
    let password = text.trim_end_matches(['\r', '\n']);
    match password.is_empty() || password.contains(['\r', '\n', '\0']) {
        true => Err(Failure::new(FailureKind::Usage, "a password is one line that is not empty")),
        false => Ok(password),
    }
}

/// TLS as everything else here has it.
#[derive(Clone)]
struct Rustls(Arc<ClientConfig>);

struct Connect(TlsConnector, ServerName<'static>);

struct Stream(tokio_rustls::client::TlsStream<Socket>);

impl MakeTlsConnect<Socket> for Rustls {
    type Stream = Stream;
    type TlsConnect = Connect;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Connect, InvalidDnsNameError> {
        Ok(Connect(TlsConnector::from(self.0.clone()), ServerName::try_from(domain.to_owned())?))
    }
}

impl TlsConnect<Socket> for Connect {
    type Stream = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { self.0.connect(self.1, stream).await.map(Stream) })
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, to)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_it_is_reached() {
        let check = |address: &str, insecure: bool, expected: Result<SslMode, &str>| {
            let read = Target::read(address, None, None, insecure);
            match (read, expected) {
                (Ok(target), Ok(mode)) => {
                    assert_eq!(
                        (target.config.get_ssl_mode(), target.tls.is_some()),
                        (mode, mode != SslMode::Disable)
                    );
                }
                (Err(failure), Err(words)) => {
                    assert!(failure.message.contains(words), "{address}: {}", failure.message)
                }
                (read, _) => panic!("{address}: {:?}", read.err()),
            }
        };
        check("postgresql:///lake?host=/run/postgresql", false, Ok(SslMode::Disable));
        check("postgresql://hotline@127.0.0.1:5433/lake", false, Ok(SslMode::Disable));
        check("postgresql://hotline@localhost/lake?sslmode=require", false, Ok(SslMode::Require));
        check("postgresql://db.example/lake", false, Ok(SslMode::Require));
        check("postgresql://10.37.0.5/lake?sslmode=disable", false, Err("in clear"));
        check("postgresql://10.37.0.5/lake?sslmode=disable", true, Ok(SslMode::Disable));
        check("postgresql://10.37.0.5/lake", true, Ok(SslMode::Require));
        check("postgresql://localhost,db.example/lake", false, Ok(SslMode::Require));
        check("postgresql://localhost/lake?hostaddr=10.37.0.5", false, Ok(SslMode::Require));
        check("postgresql://hotline:geheim@localhost/lake", false, Err("with a password"));
        check("postgresql:///lake", false, Err("no host"));
        check("mysql://geheim", false, Err("no address"));
        check(&"x".repeat(MAX_ADDRESS + 1), false, Err("at most"));
    }

    #[test]
    fn no_word_of_a_failure_repeats_a_password() {
        for address in ["postgresql://hotline:geheim@localhost/lake", "host=localhost password='geheim"] {
            let failure = Target::read(address, None, None, false).err().unwrap();
            assert!(!format!("{failure:?}").contains("geheim"), "{failure:?}");
        }
        assert_eq!(password("geheim\r\n").unwrap(), "geheim");
        assert!(password("\n").is_err());
        assert!(password("a\nb").is_err());
    }
}
