//! A browser as far as the desk needs one: HTTP/1.1 over a real socket, with or without TLS, cookies, forms, redirects.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use super::{Running, Town, json, until};

/// What came back.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Page {
    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }

    /// It has to have this status.
    pub fn is(self, status: u16) -> Page {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    /// It has to say this.
    pub fn says(self, words: &str) -> Page {
        assert!(self.body.contains(words), "the page does not say `{words}`:\n{}", self.body);
        self
    }

    /// It has to lead there.
    pub fn leads_to(self, path: &str) -> Page {
        assert_eq!((self.status, self.header("location")), (303, path), "{}", self.body);
        self
    }
}

/// Where a form of ours comes from, as Chromium says it under a policy of no referrer.
pub const OF_OURS: &str = "Origin: null\r\nSec-Fetch-Site: same-origin\r\n";

/// A browser at one desk.
#[derive(Clone)]
pub struct Browser {
    address: String,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    pub cookies: BTreeMap<String, String>,
    /// What the forms of the last page carry.
    pub form: String,
}

impl Browser {
    pub fn new(address: &str) -> Browser {
        Browser { address: address.to_owned(), tls: None, cookies: BTreeMap::new(), form: String::new() }
    }

    /// One that trusts this authority and nobody else, and knows the desk by this name.
    pub fn secure(address: &str, ca: &Path, name: &'static str) -> Browser {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Some((Arc::new(config), ServerName::try_from(name).unwrap()));
        Browser { tls, ..Browser::new(address) }
    }

    /// Sends bytes as they are and reads to the end.
    pub fn raw(&self, bytes: &[u8]) -> std::io::Result<Page> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut said = Vec::new();
        let ended = match &self.tls {
            None => {
                let _ = stream.write_all(bytes); // it may have been refused before it was sent to its end
                stream.read_to_end(&mut said)
            }
            Some((config, name)) => {
                let client = rustls::ClientConnection::new(config.clone(), name.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(client, stream);
                stream.write_all(bytes)?;
                stream.read_to_end(&mut said)
            }
        };
        let text = String::from_utf8_lossy(&said).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return Err(ended.err().unwrap_or_else(|| std::io::Error::other(format!("no answer: {text}"))));
        };
        let status = head.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
        Ok(Page { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// The head of a request up to its own lines.
    pub fn head(&self, method: &str, path: &str) -> String {
        let cookies: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let cookies =
            if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{cookies}", self.address)
    }

    fn took(&mut self, page: Page) -> Page {
        for line in page.head.lines() {
            let Some((name, cookie)) = line.split_once(": ") else { continue };
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match cookie.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        if let Some((_, rest)) = page.body.split_once("name=\"form\" value=\"") {
            self.form = rest.split('"').next().unwrap().to_owned();
        }
        page
    }

    pub fn get(&mut self, path: &str) -> Page {
        let page = self.raw(format!("{}\r\n", self.head("GET", path)).as_bytes()).unwrap();
        self.took(page)
    }

    /// A body with further lines of a head.
    pub fn send(&mut self, path: &str, lines: &str, body: &str) -> Page {
        let head = self.head("POST", path);
        let request = format!(
            "{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{lines}\r\n{body}",
            body.len()
        );
        let page = self.raw(request.as_bytes()).unwrap();
        self.took(page)
    }

    /// Sends a form as a browser does from a page of the desk, with what forms carry.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = self.form.clone();
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("form", &form).extend_pairs(fields);
        self.send(path, OF_OURS, &body.finish())
    }

    /// Sends a file by a form, as a browser does: the form's token first, unless it is empty.
    pub fn upload(&mut self, path: &str, token: &str, name: &str, kind: &str, bytes: &[u8]) -> Page {
        let fields = [("form", token)];
        let fields = if token.is_empty() { &[][..] } else { &fields };
        self.parts(path, OF_OURS, fields, &[(name, kind, bytes)])
    }

    /// Sends a form of several parts: its fields, and files with name and type; with further lines of a head.
    pub fn parts(
        &mut self,
        path: &str,
        lines: &str,
        fields: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> Page {
        let mark = "----a-line-that-no-file-has";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part =
                format!("--{mark}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        for (name, kind, bytes) in files {
            let head = format!(
                "--{mark}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{mark}--\r\n").as_bytes());
        let head = self.head("POST", path);
        let length = body.len();
        let mut request = format!(
            "{head}Content-Type: multipart/form-data; boundary={mark}\r\nContent-Length: {length}\r\n{lines}\r\n"
        )
        .into_bytes();
        request.append(&mut body);
        let page = self.raw(&request).unwrap();
        self.took(page)
    }

    /// Sends a form and goes where it leads.
    pub fn follow(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.post(path, fields).is(303);
        let to = page.header("location").to_owned();
        self.get(&to)
    }

    /// Signs in; where that leads.
    pub fn sign_in(&mut self, name: &str, password: &str) -> Page {
        self.get("/sign-in").is(200);
        self.post("/sign-in", &[("name", name), ("password", password)])
    }

    /// Makes a ticket of these words; its id.
    pub fn call(&mut self, words: &str) -> String {
        self.get("/new").is(200);
        let page = self
            .post("/new", &[("text", words), ("then", "make"), ("kind", "投诉举报"), ("urgency", "一般")])
            .is(303);
        let to = page.header("location").to_owned();
        to.trim_start_matches("/ticket/").split('?').next().unwrap().to_owned()
    }

    /// Acts on a ticket by its form.
    pub fn act(&mut self, id: &str, name: &str, fields: &[(&str, &str)]) -> Page {
        self.get(&format!("/ticket/{id}")).is(200);
        self.post(&format!("/ticket/{id}/act"), &[&[("do", name)], fields].concat())
    }
}

/// A page that listens.
pub struct Listening(BufReader<TcpStream>);

impl Listening {
    /// Signed in at that browser.
    pub fn at(browser: &Browser, desk: &str) -> Listening {
        let mut stream = TcpStream::connect(desk).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(format!("{}\r\n", browser.head("GET", "/events")).as_bytes()).unwrap();
        let mut listening = Listening(BufReader::new(stream));
        listening.until("retry: 3000");
        listening
    }

    /// The events up to this one.
    pub fn until(&mut self, wanted: &str) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it ended before it said `{wanted}`");
            assert!(!line.contains(NUMBER), "an event carries no number");
            if line.starts_with("event: ") || line.starts_with("retry") {
                events.push(line.trim().trim_start_matches("event: ").to_owned());
            }
            if line.contains(wanted) {
                return events;
            }
        }
    }
}

/// The number that callers of the tests have.
pub const NUMBER: &str = "13800000001";

/// What staff of the tests choose as their password.
pub const OWN: &str = "correct horse battery";

impl Town {
    /// Starts a node with a desk on loopback; where that is.
    pub fn desk(&self, node: &str, args: &[&str]) -> (Running, String) {
        let address = format!("127.0.0.1:{}", super::tcp_port());
        let running = self.start(node, &[&["--desk", &address], args].concat());
        until("the desk is served", || TcpStream::connect(&address).is_ok());
        (running, address)
    }

    /// Gives an account of 370100 an extension.
    pub fn extension(&self, name: &str, number: &str) {
        json(&["user", "extension", name, number, "--dir", &self.at("370100")]);
    }

    /// An account; its first password.
    pub fn account(&self, node: &str, name: &str, role: &str) -> String {
        let made = json(&["user", "add", name, "--role", role, "--dir", &self.at(node)]);
        made["password"].as_str().unwrap().to_owned()
    }

    /// Somebody of this role who has signed in and chosen a password, at a browser.
    pub fn staff(&self, node: &str, address: &str, name: &str, role: &str) -> Browser {
        let first = self.account(node, name, role);
        let mut browser = Browser::new(address);
        browser.sign_in(name, &first).leads_to("/password");
        browser.get("/password").is(200);
        browser.post("/password", &[("old", &first), ("new", OWN), ("again", OWN)]).leads_to("/");
        browser.get("/wall").is(200); // what forms carry is of the new session
        browser
    }
}
