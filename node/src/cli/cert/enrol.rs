//! Enrolment by files on a stick.
//!
//! ```text
//! node                                       authority
//!   cert request 370100 --out ID   --file-->   cert sign ID/request --ca CA --out RESPONSE
//!   cert admit RESPONSE --identity ID  <--file--
//! ```
//!
//! Neither file is secret, and neither is believed by itself: before a request is signed, and before the root in a
//! response is believed, two people compare thirty digits by telephone. On a terminal they are asked; a script has to
//! bring the digits that it was told.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use certs::{Authority, Enrolment, Fingerprint, Identity, NodeKeys, NodeName, Request, Response, UnixTime};
use clap::Args;
use serde_json::{Value, json};

use super::{DAYS, failed, unreadable};
use crate::cli::Cli;
use crate::request::{self, Failure, FailureKind};

/// The largest file that an authority writes, in bytes, and more.
const MAX_FILE: u64 = 16 << 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct RequestArgs {
    /// The name to ask for.
    #[arg(required_unless_present = "renew")]
    node: Option<NodeName>,
    /// Asks for a new certificate about the keys of this identity.
    #[arg(long, value_name = "DIR", conflicts_with = "node")]
    renew: Option<PathBuf>,
    /// The directory for new keys and the request; with --renew the file for the request.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SignArgs {
    /// The request.
    request: PathBuf,
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The response to carry back.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long the certificate is valid.
    #[arg(long, default_value_t = DAYS)]
    days: u64,
    /// The request's thirty digits, as the node's people read them out.
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
    /// Revocation lists of other authorities to send along.
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AdmitArgs {
    /// A response, a revocation list, or a node's record (`record` in its identity's directory).
    file: PathBuf,
    /// Where the keys are that the response is about; with --dir that node's own.
    #[arg(long, value_name = "DIR")]
    identity: Option<PathBuf>,
    /// The root's thirty digits, as the authority's people read them out.
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| unreadable(path, e))?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
    Ok(bytes)
}

pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| unreadable(path, "it is not a text"))
}

/// Two people have compared these digits: one of them typed what the other read out, or says so on a terminal.
fn compared(whose: &str, found: Fingerprint, told: Option<&str>) -> Result<(), Failure> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let found = found.to_string();
    if let Some(told) = told {
        return match digits(told) == digits(&found) {
            true => Ok(()),
            false => Err(Failure::new(FailureKind::NeedsPerson, format!("{whose} has another fingerprint"))
                .because(format!("it is {found}"))
                .hint("somebody may have changed the file on its way: ask for it again, by another way")),
        };
    }
    if std::io::stdin().is_terminal() {
        let mut said = String::new();
        let asked = write!(std::io::stderr(), "{whose} has the fingerprint\n\n    {found}\n\nDo the people at the other end read out the same? [yes/no] ")
            .and_then(|()| std::io::stdin().lock().read_line(&mut said));
        if asked.is_ok() && matches!(said.trim(), "yes" | "y" | "是") {
            return Ok(());
        }
        return Err(Failure::new(FailureKind::NeedsPerson, "the fingerprints were not said to be equal"));
    }
    Err(Failure::new(FailureKind::NeedsPerson, format!("nobody has compared the fingerprint of {whose}"))
        .because(format!("it is {found}"))
        .hint("compare it by telephone, then: --fingerprint 'DIGITS'"))
}

impl RequestArgs {
    pub(super) fn run(&self) -> Result<Value, Failure> {
        let failed = |e: certs::IdentityError| {
            Failure::new(FailureKind::Failed, "the request could not be made").because(e)
        };
        let (request, file) = match (&self.node, &self.renew) {
            (_, Some(identity)) => {
                let request = Identity::load(identity).map_err(failed)?.request();
                std::fs::write(&self.out, request.to_pem()).map_err(|e| {
                    Failure::new(FailureKind::Failed, format!("{} cannot be written", self.out.display()))
                        .because(e)
                })?;
                (request, self.out.clone())
            }
            (Some(node), None) => {
                let enrolment = Enrolment::begin(*node, NodeKeys::generate());
                enrolment.save(&self.out).map_err(failed)?;
                (enrolment.request().clone(), self.out.join("request"))
            }
            (None, None) => {
                return Err(Failure::new(FailureKind::Usage, "which node? its name is not given"));
            }
        };
        Ok(json!({
            "node": request.node, "file": file, "fingerprint": request.fingerprint().to_string(),
            "next": "carry the file to the authority and read the fingerprint out to its people by telephone",
        }))
    }
}

impl SignArgs {
    pub(super) fn run(&self, now: UnixTime) -> Result<Value, Failure> {
        let request =
            Request::from_pem(&read_text(&self.request)?).map_err(|e| unreadable(&self.request, e))?;
        let mut authority = Authority::load(&self.ca).map_err(failed)?;
        let lists: Vec<Vec<u8>> = self.list.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        let whose = format!("the request of {}", request.node);
        compared(&whose, request.fingerprint(), self.fingerprint.as_deref())?;
        let response = authority.answer(&request, &lists, now, self.days).map_err(failed)?;
        std::fs::write(&self.out, response.to_pem()).map_err(|e| {
            Failure::new(FailureKind::Failed, format!("{} cannot be written", self.out.display())).because(e)
        })?;
        Ok(json!({
            "node": request.node, "file": self.out, "days": self.days,
            "root": response.root().fingerprint().to_string(),
            "next": "carry the file back and read the root's fingerprint out to the node's people by telephone",
        }))
    }
}

impl AdmitArgs {
    pub(super) fn run(&self, cli: &Cli, now: UnixTime) -> Result<Value, Failure> {
        let bytes = read(&self.file)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) if text.contains("-----BEGIN HOTLINE RESPONSE-----") => {
                let response = Response::from_pem(text).map_err(|e| unreadable(&self.file, e))?;
                let dir = match &self.identity {
                    Some(dir) => dir.clone(),
                    None => cli.dir()?.join(crate::engine::IDENTITY),
                };
                self.response(&response, &dir, now)
            }
            _ => self.item(cli, &hex(&bytes)),
        }
    }

    /// A node's record, or a revocation list: neither is secret, and both carry their own proof.
    fn item(&self, cli: &Cli, hex: &str) -> Result<Value, Failure> {
        let admit =
            |kind: &str| cli.ask(&request::Request::Admit { kind: kind.to_owned(), hex: hex.to_owned() });
        match admit("record") {
            Err(no_record) if no_record.kind == FailureKind::Failed => {
                admit("revocation").map_err(|no_list| {
                    let causes = no_record.causes.into_iter().map(|why| format!("as a record: {why}"));
                    Failure { causes: causes.chain(no_list.causes).collect(), ..no_list }
                })
            }
            other => other,
        }
    }

    fn response(&self, response: &Response, dir: &Path, now: UnixTime) -> Result<Value, Failure> {
        let wrong = |e: certs::IdentityError| {
            Failure::new(FailureKind::Failed, "the response was not taken").because(e)
        };
        let identity = if dir.join("record").exists() {
            // The root was compared when this identity was made, and a new certificate lies under the same one.
            let mut identity = Identity::load(dir).map_err(wrong)?;
            identity.renew(response, now).map_err(wrong)?;
            identity
        } else {
            let enrolment = Enrolment::load(dir).map_err(wrong)?;
            compared("the root in the response", response.root().fingerprint(), self.fingerprint.as_deref())?;
            let mut identity = enrolment.complete(response, response.root(), now).map_err(wrong)?;
            identity.save(dir).map_err(wrong)?;
            identity
        };
        for (n, list) in response.lists().iter().enumerate() {
            let path = dir.join(format!("{n}.crl"));
            std::fs::write(&path, list).map_err(|e| {
                Failure::new(FailureKind::Failed, format!("{} cannot be written", path.display())).because(e)
            })?;
        }
        let until = identity.record().leaf.until;
        Ok(json!({
            "node": identity.node(), "dir": dir, "days": now.days_until(until), "until": super::day(until),
            "lists": response.lists().len(),
            "next": "for a new node: hotline init --dir DIR --identity IDENTITY; a running one takes it at its next start",
        }))
    }
}

/// The revocation lists that came with a response and wait in an identity's directory for the node's first start.
pub(in crate::cli) fn waiting_lists(identity: &Path) -> Result<Vec<request::Request>, Failure> {
    let mut lists = Vec::new();
    let entries = std::fs::read_dir(identity).map_err(|e| unreadable(identity, e))?;
    for entry in entries {
        let path = entry.map_err(|e| unreadable(identity, e))?.path();
        if path.extension().is_some_and(|e| e == "crl") {
            lists.push(request::Request::Admit { kind: "revocation".to_owned(), hex: hex(&read(&path)?) });
        }
    }
    Ok(lists)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
