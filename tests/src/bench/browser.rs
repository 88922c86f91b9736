//! A browser as far as a load needs one: HTTP/1.1 on a connection that stays open, TLS, a session's cookie and its forms'
//! token, and the stream of events that a page listens to.
//!
//! As browsers do, all windows of one share its connections, which it keeps until the other side may have closed them; a
//! stream has one of its own.

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A connection that was not used for so long is not used again: the desk closes it after fifteen seconds.
const KEPT: Duration = Duration::from_secs(10);

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// The name by which the desk is known in its certificate.
const NAME: &str = "localhost";

trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Wire for T {}

type Connection = BufReader<Box<dyn Wire>>;

/// Where pages are served, and how.
#[derive(Clone)]
pub struct Place {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Place {
    /// Without TLS: the public page, as a proxy on the same machine speaks to it.
    pub fn plain(address: SocketAddr) -> Place {
        Place { address, tls: None }
    }

    /// With TLS under this authority and no other. Each call is a browser of its own: what one remembers of a server the
    /// others do not know.
    ///
    /// # Panics
    /// When the authority cannot be read.
    pub fn secure(address: SocketAddr, ca: &Path) -> Place {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("an authority");
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider has TLS 1.3")
                .with_root_certificates(roots)
                .with_no_client_auth();
        Place { address, tls: Some(TlsConnector::from(Arc::new(config))) }
    }

    async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let wire: Box<dyn Wire> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(ServerName::try_from(NAME).expect("a name"), stream).await?),
        };
        Ok(BufReader::new(wire))
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// Where it leads, if it does.
    pub location: Option<String>,
    /// Its text.
    pub body: String,
    cookies: Vec<String>,
}

impl Page {
    /// The ids of the tickets that it lists.
    pub fn tickets(&self) -> impl Iterator<Item = &str> {
        self.body.split("<a href=\"/ticket/").skip(1).filter_map(|rest| rest.split('"').next())
    }

    /// Where its script listens for changes, with what it has seen; nowhere if it does not.
    pub fn listens_at(&self) -> Option<String> {
        let of = |name: &str| {
            let (_, rest) = self.body.split_once(&format!("{name}=\""))?;
            Some(rest.split('"').next()?.replace("&#38;", "&"))
        };
        let (live, seen) = (of("data-live")?, of("data-seen")?);
        Some(format!("{live}{}{seen}", if live.contains('?') { '&' } else { '?' }))
    }
}

/// One browser.
pub struct Browser {
    place: Place,
    /// Connections that nobody uses just now.
    idle: Arc<Mutex<Vec<(Connection, Instant)>>>,
    cookies: BTreeMap<String, String>,
    /// What forms of this session carry.
    form: String,
    /// Lines that every head has besides, such as a proxy writes.
    lines: String,
}

impl Browser {
    /// One that knows nothing yet.
    pub fn new(place: Place) -> Browser {
        let (form, lines) = (String::new(), String::new());
        Browser { place, idle: Arc::default(), cookies: BTreeMap::new(), form, lines }
    }

    /// A request of a citizen at this address, brought by a proxy.
    pub fn behind_a_proxy(place: Place, client: &str) -> Browser {
        Browser { lines: format!("X-Forwarded-For: {client}\r\n"), ..Browser::new(place) }
    }

    /// Another window of the same browser: the same session.
    pub fn window(&self) -> Browser {
        Browser {
            place: self.place.clone(),
            idle: self.idle.clone(),
            cookies: self.cookies.clone(),
            form: self.form.clone(),
            lines: self.lines.clone(),
        }
    }

    fn head(&self, method: &str, path: &str) -> String {
        let cookies: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let cookies =
            if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        let Browser { lines, .. } = self;
        format!("{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n{cookies}{lines}")
    }

    /// Asks for a page.
    pub async fn get(&mut self, path: &str) -> Result<Page> {
        let head = self.head("GET", path);
        self.ask(&format!("{head}\r\n")).await
    }

    /// Asks for a page as its script does, which keeps nobody signed in.
    pub async fn look_again(&mut self, path: &str) -> Result<Page> {
        let head = self.head("GET", path);
        self.ask(&format!("{head}X-Live: 1\r\n\r\n")).await
    }

    /// Sends a form of this session, as browsers do from a page without referrer.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Page> {
        let body = {
            let mut body = form_urlencoded::Serializer::new(String::new());
            body.append_pair("form", &self.form).extend_pairs(fields).finish()
        };
        let head = self.head("POST", path);
        let request = format!(
            "{head}Origin: null\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.ask(&request).await
    }

    async fn ask(&mut self, request: &str) -> Result<Page> {
        let kept = {
            let mut idle = self.idle.lock().expect("nobody panics with it");
            idle.retain(|(_, used)| used.elapsed() < KEPT);
            idle.pop()
        };
        let mut connection = match kept {
            Some((connection, _)) => connection,
            None => self.place.connect().await?,
        };
        let said = tokio::time::timeout(PATIENCE, async {
            connection.get_mut().write_all(request.as_bytes()).await?;
            connection.get_mut().flush().await?;
            read(&mut connection).await
        });
        let (page, stays) = said.await.map_err(|_| Error::other("no answer in time"))??;
        if stays {
            self.idle.lock().expect("nobody panics with it").push((connection, Instant::now()));
        }
        for cookie in &page.cookies {
            let (name, value) = cookie.split(';').next().and_then(|c| c.split_once('=')).unwrap_or_default();
            match cookie.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        if let Some((_, rest)) = page.body.split_once("name=\"form\" value=\"") {
            self.form = rest.split('"').next().unwrap_or_default().to_owned();
        }
        Ok(page)
    }

    /// Signs in; the page that it leads to has to be there.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Result<Page> {
        self.get("/sign-in").await?;
        let page = self.post("/sign-in", &[("name", name), ("password", password)]).await?;
        match page.location {
            Some(to) if page.status == 303 => self.get(if to == "/" { "/wall" } else { &to }).await,
            _ => Err(Error::other(format!("{name} is not let in: {}", page.status))),
        }
    }

    /// Listens to what a page is told of.
    pub async fn listen(&self, path: &str) -> Result<Events> {
        let mut connection = self.place.connect().await?;
        let request = format!("{}Accept: text/event-stream\r\n\r\n", self.head("GET", path));
        connection.get_mut().write_all(request.as_bytes()).await?;
        connection.get_mut().flush().await?;
        let mut events = Events(connection);
        let status = events.line().await?;
        match status.split(' ').nth(1) {
            Some("200") => Ok(events),
            _ => Err(Error::other(format!("no stream: {}", status.trim()))),
        }
    }
}

/// A page's stream of events.
pub struct Events(Connection);

impl Events {
    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await? {
            0 => Err(Error::other("the stream ended")),
            _ => Ok(line),
        }
    }

    /// The name of the next event.
    pub async fn next(&mut self) -> Result<String> {
        loop {
            if let Some(name) = self.line().await?.strip_prefix("event: ") {
                return Ok(name.trim().to_owned());
            }
        }
    }
}

/// Reads an answer, and whether the connection stays.
async fn read(connection: &mut Connection) -> Result<(Page, bool)> {
    let mut page = Page { status: 0, location: None, body: String::new(), cookies: Vec::new() };
    let (mut length, mut stays) = (0usize, true);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).await? == 0 {
            return Err(Error::other("the connection ended within a head"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(": ") else {
            page.status = line.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(Error::other)?,
            "transfer-encoding" => return Err(Error::other("a page in pieces was not expected")),
            "location" => page.location = Some(value.to_owned()),
            "set-cookie" => page.cookies.push(value.to_owned()),
            "connection" => stays = value != "close",
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    page.body = String::from_utf8(body).map_err(Error::other)?;
    Ok((page, stays))
}
