//! `hotline ticket attach|files|fetch`, and the same of articles: contents pass the local socket in parts, or one engine of this process.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::progress::Progress;
use super::{Cli, Session, unreadable};
use crate::files::FileRequest;
use crate::hex::{hex, unhex};
use crate::knowledge::request::KnowledgeRequest;
use crate::request::{Failure, FailureKind, Reply, Request};

/// The node that runs, or an engine of our own with the limits of the configuration.
fn session(cli: &Cli) -> Result<Session, Failure> {
    let mut session = Session::open(&cli.dir()?)?;
    if let Some(engine) = &mut session.engine {
        engine.set_file_limits(cli.config(Vec::new())?.files);
    }
    Ok(session)
}

/// Of what the files are.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Tickets,
    Articles,
}

impl Of {
    fn ask(self, session: &mut Session, request: FileRequest) -> Reply {
        session.ask(&match self {
            Of::Tickets => Request::File(request),
            Of::Articles => Request::Knowledge(KnowledgeRequest::File { file: request }),
        })
    }
}

/// What is attached: the file, and what is said of it.
pub(super) struct Attach<'a> {
    pub(super) of: Of,
    pub(super) id: &'a str,
    pub(super) file: &'a Path,
    pub(super) name: Option<&'a str>,
    pub(super) media: Option<&'a str>,
    pub(super) user: Option<&'a str>,
}

/// Attaches a file; its row.
pub(super) fn attach(cli: &Cli, what: &Attach<'_>) -> Reply {
    let path = what.file;
    let own = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = what.name.map(str::to_owned).or(own).ok_or_else(|| {
        Failure::new(FailureKind::Usage, format!("{} has no name", path.display()))
            .hint("give one: --name NAME")
    })?;
    let mut file = File::open(path).map_err(|e| unreadable(path, e))?;
    let meta = file.metadata().map_err(|e| unreadable(path, e))?;
    if !meta.is_file() {
        return Err(Failure::new(FailureKind::Usage, format!("{} is not a file", path.display())));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut file).map_err(|e| unreadable(path, e))?;
    let request = FileRequest::Attach {
        id: what.id.to_owned(),
        name,
        size: meta.len(),
        digest: hasher.finalize().to_hex().to_string(),
        media: what.media.map(str::to_owned),
        user: what.user.map(str::to_owned),
    };
    let mut session = session(cli)?;
    let begun = what.of.ask(&mut session, request)?;
    if begun["attached"].is_object() {
        return Ok(begun["attached"].clone());
    }
    let (Some(upload), Some(part)) = (begun["upload"].as_u64(), begun["part"].as_u64()) else {
        return Err(Failure::new(FailureKind::Failed, "the node's answer is not understood"));
    };
    let mut file = File::open(path).map_err(|e| unreadable(path, e))?;
    let progress = Progress::new(Some(meta.len()));
    let mut at = 0;
    loop {
        let mut bytes = Vec::new();
        (&mut file).take(part).read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
        if bytes.is_empty() {
            break;
        }
        what.of.ask(&mut session, FileRequest::AttachPart { upload, at, hex: hex(&bytes) })?;
        at += bytes.len() as u64;
        progress.is_at(at);
    }
    drop(progress);
    what.of.ask(&mut session, FileRequest::AttachEnd { upload })
}

/// Saves a file; what was saved where.
pub(super) fn fetch(cli: &Cli, of: Of, request: FileRequest, out: &Path) -> Reply {
    let place = |name: &str| if out.is_dir() { out.join(name) } else { out.to_owned() };
    save(&mut session(cli)?, of, request, place)
}

/// Saves a file at the place for its name.
pub(super) fn save(
    session: &mut Session,
    of: Of,
    request: FileRequest,
    place: impl FnOnce(&str) -> PathBuf,
) -> Reply {
    let mut begun = of.ask(session, request)?;
    let download = begun["download"].as_u64().unwrap_or_default();
    let size = begun["size"].as_u64().unwrap_or_default();
    let to = place(begun["file_name"].as_str().unwrap_or("file"));
    let saved = Saving::begin(&to)?;
    let progress = Progress::new(Some(size));
    let mut at = 0;
    loop {
        let part = of.ask(session, FileRequest::FetchPart { download, at })?;
        let bytes = part["hex"].as_str().and_then(unhex).unwrap_or_default();
        saved.write(&bytes)?;
        at = part["at"].as_u64().unwrap_or_default();
        progress.is_at(at);
        if part["end"] == true {
            break;
        }
    }
    drop(progress);
    saved.finish()?;
    begun["saved"] = Value::from(to.display().to_string());
    if let Value::Object(fields) = &mut begun {
        fields.retain(|name, _| name != "download" && name != "file_name");
    }
    Ok(begun)
}

/// A file being saved beside its place: it appears there whole or not at all, and never over another.
struct Saving {
    file: File,
    beside: PathBuf,
    to: PathBuf,
}

impl Saving {
    fn failed(to: &Path, e: std::io::Error) -> Failure {
        let failure =
            Failure::new(FailureKind::Failed, format!("{} cannot be saved", to.display())).because(&e);
        match e.kind() {
            std::io::ErrorKind::AlreadyExists => failure.hint("choose another place: --out PATH"),
            _ => failure,
        }
    }

    fn begin(to: &Path) -> Result<Saving, Failure> {
        if to.symlink_metadata().is_ok() {
            return Err(Saving::failed(to, std::io::ErrorKind::AlreadyExists.into()));
        }
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let short: String = name.chars().take(40).collect();
        let beside = to.with_file_name(format!(".{short}.{}.part", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let file = file.map_err(|e| Saving::failed(&beside, e))?;
        Ok(Saving { file, beside, to: to.to_owned() })
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        (&self.file).write_all(bytes).map_err(|e| Saving::failed(&self.to, e))
    }

    fn finish(self) -> Result<(), Failure> {
        // A second name never replaces what has come to stand there meanwhile, as a renaming would.
        let linked = self.file.sync_all().and_then(|()| fs::hard_link(&self.beside, &self.to));
        linked.map_err(|e| Saving::failed(&self.to, e))
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.beside);
    }
}
