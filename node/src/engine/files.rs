//! Files of tickets and of articles: attached, listed, read.
//!
//! A file's content is durable before the transaction that makes it known begins to commit; entry and manifest are
//! one transaction. Until then it is an upload: it lives in this process, and what it left on the disk is collected
//! at the next start.
//!
//! An article's file stands in the entry of each version that carries it, so it is reviewed with the version and shown with it. Its
//! content is sealed as a ticket's is, under a key that is no secret ([`TicketKey::of_open_document`]).

use std::collections::BTreeMap;

use automerge::transaction::Transactable;
use automerge::{ReadDoc, ScalarValue, Value as AmValue};
use serde_json::{Value, json};
use sync::file::{MAX_CONTENT, MAX_FILES, Manifest, PIECE};
use sync::id::{DocId, ItemHash};
use sync::item::Kind;
use sync::store::contents::{Contents, Held};
use sync::store::sqlite::Staged;
use sync::store::{Store, StoreError};
use zeroize::Zeroizing;

use super::create::write_failure;
use super::knowledge::last_files;
use super::{Engine, failed, hex, shown_time};
use crate::content::Content;
use crate::files::{
    Entry, FileKey, FileLimits, FileRequest, PLAIN, check_name, name_hash, plain_size, sealed_size, sniff,
};
use crate::hex::unhex;
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::Folded;
use crate::ticket::rules::may_write;
use crate::vault::{Part, TicketKey};

/// Pieces in one part that passes the local socket.
const PART: usize = 8;

/// Uploads and downloads at once; one that rests for this long makes room.
const AT_ONCE: usize = 8;
const IDLE_MS: u64 = 10 * 60_000;

/// Most files of a version of an article: they stand in its entry.
const OF_ARTICLE: u64 = 16;

/// How many of a file's first bytes tell what it is.
const FIRST: usize = 512;

/// How many files a document may have, and what helps whoever has no place left.
struct Room {
    most: u64,
    /// When it has as many.
    full: &'static str,
    /// When it ever had as many as any document may have.
    spent: &'static str,
}

impl Room {
    fn of_ticket(most: u64) -> Room {
        let full = "put several into one archive; a ticket takes more when `files.per_ticket` is raised";
        Room { most, full, spent: "put several into one archive, and that under another ticket" }
    }

    /// All versions of an article count to what it ever had.
    fn of_article(most: u64) -> Room {
        Room {
            most: OF_ARTICLE.min(most),
            full: "put several into one archive, or take one out first: `hotline kb detach ID NAME`",
            spent: "what former versions carried counts too; go on with a new article: `hotline kb new`",
        }
    }
}

struct Upload {
    doc: DocId,
    /// Whether it goes into an article, and not into a ticket.
    article: bool,
    entry: Entry,
    said: Option<String>,
    digest: [u8; 32],
    key: FileKey,
    staged: Staged,
    hasher: blake3::Hasher,
    first: Vec<u8>,
    /// Plain bytes that fill no piece yet.
    open: Zeroizing<Vec<u8>>,
    place: u32,
    at: u64,
}

struct Download {
    content: ItemHash,
    size: u64,
    key: FileKey,
    ticket: TicketKey,
    salt: String,
    hasher: blake3::Hasher,
    place: u32,
    pieces: u32,
    at: u64,
}

/// What is under way on the local socket.
#[derive(Default)]
pub(super) struct Transfers {
    next: u64,
    uploads: BTreeMap<u64, (u64, Upload)>,
    downloads: BTreeMap<u64, (u64, Download)>,
}

impl Transfers {
    /// A number for one more.
    fn admit(&mut self, now: u64) -> Result<u64, Failure> {
        self.uploads.retain(|_, (used, _)| now.saturating_sub(*used) < IDLE_MS);
        self.downloads.retain(|_, (used, _)| now.saturating_sub(*used) < IDLE_MS);
        if self.uploads.len() + self.downloads.len() >= AT_ONCE {
            return Err(Failure::new(
                FailureKind::TryAgain,
                format!("{AT_ONCE} files are being attached or read at the moment"),
            )
            .hint("try again when one of them is done"));
        }
        self.next += 1;
        Ok(self.next)
    }
}

fn bytes_of(text: &str) -> Result<Vec<u8>, Failure> {
    unhex(text).ok_or_else(|| Failure::usage("bytes are given in small hexadecimal digits"))
}

fn mib(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

impl Engine {
    /// What files may cost this node.
    pub fn set_file_limits(&mut self, limits: FileLimits) {
        self.store.set_reserve(limits.reserve);
        self.replica.set_file_budget(limits.rate);
        self.file_limits = limits;
    }

    pub(super) fn file(&mut self, request: &FileRequest) -> Reply {
        match request {
            FileRequest::Attach { id, name, size, digest, media, user } => {
                self.attach(id, name, *size, digest, media.as_deref(), user.as_deref())
            }
            FileRequest::AttachPart { upload, at, hex } => self.attach_part(*upload, *at, hex),
            FileRequest::AttachEnd { upload } => self.attach_end(*upload),
            FileRequest::List { id, reveal, user } => self.list_files(id, reveal.as_deref(), user.as_deref()),
            FileRequest::Fetch { id, name, reveal, user } => {
                self.fetch(id, name, reveal.as_deref(), user.as_deref())
            }
            FileRequest::FetchPart { download, at } => self.fetch_part(*download, *at),
        }
    }

    fn attach(
        &mut self,
        id: &str,
        name: &str,
        size: u64,
        digest: &str,
        said: Option<&str>,
        user: Option<&str>,
    ) -> Reply {
        let doc = self.find(id)?;
        let digest = self.fits(name, size, digest)?;
        let folded = self.folded(doc)?;
        self.may_attach(&folded)?;
        let key = self.ticket_key(doc)?;
        let salt = key.file_salt(&digest);
        let (name, sealed) = if folded.created.confidential {
            let sealed = key
                .seal(Part::FileName, name.as_bytes())
                .map_err(|e| failed("the name could not be sealed", e))?;
            (format!("file-{}", &hex(&salt)[..8]), Some(hex(&sealed)))
        } else {
            (name.to_owned(), None)
        };
        let entry = Entry {
            name,
            size,
            media: String::new(),
            content: String::new(),
            salt: hex(&salt),
            sealed,
            user: user.map(str::to_owned),
            at: shown_time(self.now),
        };
        let entries = self.file_entries(doc)?;
        for there in entries.iter().filter(|e| e.name == entry.name && e.salt == entry.salt) {
            let row = self.file_row(there)?;
            if row["complete"] == true {
                return Ok(json!({ "attached": row }));
            }
        }
        self.has_place(doc, &entries, &entry, Room::of_ticket(self.file_limits.per_ticket))?;
        self.begin_upload(doc, false, entry, &key, digest, said)
    }

    /// Whether a file of this name and size is taken here at all; its digest.
    fn fits(&self, name: &str, size: u64, digest: &str) -> Result<[u8; 32], Failure> {
        check_name(name).map_err(Failure::usage)?;
        let most = self.file_limits.max_size.min(plain_size(MAX_CONTENT));
        if size > most {
            return Err(Failure::usage(format!(
                "the file has {}; this node takes at most {}",
                mib(size),
                mib(most)
            ))
            .hint("attach it in parts, or raise `files.max_size`"));
        }
        bytes_of(digest)?.try_into().map_err(|_| Failure::usage("a digest has 64 digits"))
    }

    fn begin_upload(
        &mut self,
        doc: DocId,
        article: bool,
        entry: Entry,
        key: &TicketKey,
        digest: [u8; 32],
        said: Option<&str>,
    ) -> Reply {
        let upload = self.transfers.admit(self.now)?;
        let staged = self.store.stage(upload)?;
        let key = key.file_key(&key.file_salt(&digest), doc);
        let under_way = Upload {
            doc,
            article,
            entry,
            said: said.map(str::to_owned),
            digest,
            key,
            staged,
            hasher: blake3::Hasher::new(),
            first: Vec::new(),
            open: Zeroizing::new(Vec::with_capacity(PIECE + PART * PLAIN)),
            place: 0,
            at: 0,
        };
        self.transfers.uploads.insert(upload, (self.now, under_way));
        Ok(json!({ "upload": upload, "part": PART * PLAIN }))
    }

    fn may_attach(&self, folded: &Folded) -> Result<(), Failure> {
        may_write("files", self.me().site(), folded).map_err(|e| {
            let (custodian, taken_by) = (folded.stand.custodian, folded.stand.taken_by);
            let who = match custodian == taken_by {
                true => self.named(custodian),
                false => format!("{}, {}", self.named(custodian), self.named(taken_by)),
            };
            Failure::new(FailureKind::Failed, "this node may not attach files to this ticket now")
                .because(e)
                .hint(format!("this may: {who}"))
        })
    }

    /// Whether a document with these files may have one more.
    fn may_have(&mut self, doc: DocId, entries: &[Entry], entry: &Entry, room: Room) -> Result<(), Failure> {
        let fresh = entries.iter().all(|e| e.name != entry.name);
        let known = self.store.files_of(&doc)?;
        let full = |files: u64, hint| {
            Failure::new(
                FailureKind::Failed,
                format!("there are {files} files already; no more are attached"),
            )
            .hint(hint)
        };
        if known >= MAX_FILES as u64 {
            return Err(full(known, room.spent));
        }
        if fresh && entries.len() as u64 >= room.most {
            return Err(full(entries.len() as u64, room.full));
        }
        Ok(())
    }

    /// Whether a document with these files and the disk take one more.
    fn has_place(&mut self, doc: DocId, entries: &[Entry], entry: &Entry, room: Room) -> Result<(), Failure> {
        self.may_have(doc, entries, entry, room)?;
        let (room, needed) = (self.store.room()?, sealed_size(entry.size).bytes);
        if room < needed {
            return Err(Failure::new(
                FailureKind::TryAgain,
                format!("the disk has no room for the file: it needs {}", mib(needed)),
            )
            .because(format!(
                "{} are free beyond the reserve of {} that files leave alone",
                mib(room),
                mib(self.file_limits.reserve)
            ))
            .hint("free some space and try again"));
        }
        Ok(())
    }

    /// The ticket's key. One of which nothing is sealed may have none yet: then it is drawn, and granted as at creation.
    fn ticket_key(&mut self, doc: DocId) -> Result<TicketKey, Failure> {
        if let Some(key) = self.key(doc, true)? {
            return Ok(key);
        }
        // No grant may be here for another reason: they are still to come, or the vault was lost.
        let content = self.with_document(doc, |document, _| Content::read(document))?;
        let is_sealed =
            content.person.is_some() || content.sealed_body.is_some() || !content.files.is_empty();
        if is_sealed || self.store.items_of(&doc)?.iter().any(|i| i.kind == Kind::GRANT) {
            return Err(no_key());
        }
        let key = TicketKey::draw().map_err(|e| failed("no key could be drawn", e))?;
        if let Some(readers) = self.readers(doc)? {
            self.grant_sites(&doc, &key, &readers)?;
        }
        Ok(key)
    }

    fn attach_part(&mut self, upload: u64, at: u64, hex: &str) -> Reply {
        if hex.len() > 2 * PART * PLAIN {
            return Err(Failure::usage(format!("a part has at most {} bytes", PART * PLAIN)));
        }
        let bytes = Zeroizing::new(bytes_of(hex)?);
        let (used, to) = self.transfers.uploads.get_mut(&upload).ok_or_else(|| gone("upload"))?;
        *used = self.now;
        if at != to.at || to.at + bytes.len() as u64 > to.entry.size {
            return Err(Failure::usage(format!(
                "the part begins at {at} with {} bytes; the upload stands at {} of {}",
                bytes.len(),
                to.at,
                to.entry.size
            )));
        }
        let taken = to.take(&bytes);
        let next = to.at;
        if let Err(e) = taken {
            self.transfers.uploads.remove(&upload);
            return Err(e);
        }
        Ok(json!({ "at": next }))
    }

    fn attach_end(&mut self, upload: u64) -> Reply {
        let (_, under_way) = self.transfers.uploads.remove(&upload).ok_or_else(|| gone("upload"))?;
        if self.erased(under_way.doc)?.is_some() {
            return Err(erased());
        }
        let article = under_way.article;
        let (doc, entry, manifest) = under_way.end()?;
        if article {
            return self.keep_in_article(doc, entry, &manifest);
        }
        let folded = self.folded(doc)?;
        self.may_attach(&folded)?;
        let (key, bytes) = (name_hash(&entry.name), entry.to_bytes());
        self.replica
            .write(Some(doc), &mut self.store, &mut self.desk, |document, tx| {
                let files = document.part("files").ok_or(automerge::AutomergeError::Fail)?;
                tx.put(&files, key.as_str(), bytes.clone())
            })
            .map_err(write_failure)?;
        let manifest = manifest.to_bytes();
        self.replica.put(doc, Kind::FILE, manifest, &mut self.store, &mut self.desk)?;
        self.file_row(&entry)
    }

    /// Every value that stands under a name: two sites may have attached under one name at once.
    fn file_entries(&mut self, doc: DocId) -> Result<Vec<Entry>, Failure> {
        self.with_document(doc, |document, _| {
            let Some(part) = document.part("files") else { return Vec::new() };
            let automerge = document.automerge();
            let values = automerge
                .keys(&part)
                .flat_map(|key| automerge.get_all(&part, key.as_str()).unwrap_or_default());
            values
                .filter_map(|(value, _)| match value {
                    AmValue::Scalar(scalar) => match scalar.as_ref() {
                        ScalarValue::Bytes(bytes) => Entry::read(bytes),
                        _ => None,
                    },
                    AmValue::Object(_) => None,
                })
                .collect()
        })
    }

    fn held(&mut self, entry: &Entry) -> Result<Option<(ItemHash, Held)>, Failure> {
        let Ok(content) = entry.content.parse::<ItemHash>() else { return Ok(None) };
        Ok(self.store.file(&content)?.map(|held| (content, held)))
    }

    /// Whether a file's content is not here because its ticket was erased.
    fn is_removed(&mut self, entry: &Entry) -> Result<bool, Failure> {
        let Ok(content) = entry.content.parse::<ItemHash>() else { return Ok(false) };
        let doc = self.store.item(&content)?.and_then(|manifest| manifest.doc);
        Ok(match doc {
            Some(doc) => self.erased(doc)?.is_some(),
            None => false,
        })
    }

    /// A file as people see it, with what is here of it.
    pub(super) fn file_row(&mut self, entry: &Entry) -> Reply {
        let held = self.held(entry)?;
        let content = held.as_ref().map(|(content, _)| *content);
        let from = content.and_then(|content| self.replica.asked_for(&content));
        let here = held.as_ref().map_or(0, |(_, h)| {
            h.pieces.bytes(h.size).saturating_sub(u64::from(h.pieces.held()) * (PIECE - PLAIN) as u64)
        });
        let complete = held.as_ref().is_some_and(|(_, h)| h.pieces.is_whole());
        let removed = held.is_none() && self.is_removed(entry)?;
        let state = match (&held, complete, from) {
            (None, ..) if removed => "removed: the ticket's personal data was erased".to_owned(),
            (None, ..) => "not here: its manifest has not come".to_owned(),
            (_, true, _) => "here".to_owned(),
            (.., Some(peer)) => format!("{} of {} here, from {peer}", mib(here), mib(entry.size)),
            (.., None) => format!("{} of {} here; no linked node has the rest", mib(here), mib(entry.size)),
        };
        Ok(json!({
            "name": entry.name, "size": entry.size, "type": entry.media, "content": entry.content,
            "here": here, "complete": complete, "from": from, "state": state, "user": entry.user, "at": entry.at,
        }))
    }

    fn list_files(&mut self, id: &str, reveal: Option<&str>, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        let keys = match reveal {
            Some(reason) => {
                self.note_reveal(doc, reason, user)?;
                self.keys(doc, true)?
            }
            None => Vec::new(),
        };
        let mut rows = Vec::new();
        for entry in self.file_entries(doc)? {
            let mut row = self.file_row(&entry)?;
            if let Some(name) = keys.iter().find_map(|key| true_name(&entry, key)) {
                row["name"] = json!(name);
            }
            rows.push(row);
        }
        Ok(Value::from(rows))
    }

    fn fetch(&mut self, id: &str, name: &str, reveal: Option<&str>, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        let entries = self.file_entries(doc)?;
        let entry = match entries.iter().filter(|e| e.name == name || e.content == name).collect::<Vec<_>>()[..]
        {
            [entry] => entry.clone(),
            [] => return Err(no_such_file("the ticket", name, &entries)),
            ref many => {
                let contents: Vec<&str> = many.iter().map(|e| e.content.as_str()).collect();
                return Err(Failure::new(
                    FailureKind::NeedsPerson,
                    format!("{} files were attached as `{name}` at once", many.len()),
                )
                .hint(format!("name one by its content: {}", contents.join(" or "))));
            }
        };
        let (content, held) = self.whole(&entry, "ticket")?;
        if let Some(reason) = reveal {
            self.note_reveal(doc, reason, user)?;
        }
        let salt: [u8; 32] = bytes_of(&entry.salt)?.try_into().map_err(|_| no_key())?;
        let first = self.store.piece(&content, 0)?.unwrap_or_default();
        let whole = held.pieces.count() == 1;
        let opens = |key: &TicketKey| key.file_key(&salt, doc).open(0, whole, &first).is_ok();
        let Some(ticket) = self.keys(doc, reveal.is_some())?.into_iter().find(opens) else {
            return Err(no_key());
        };
        let name = true_name(&entry, &ticket).unwrap_or_else(|| entry.name.clone());
        self.begin_download(doc, &entry, &name, (content, &held), ticket)
    }

    /// A file's content, when all of it is here.
    fn whole(&mut self, entry: &Entry, of: &str) -> Result<(ItemHash, Held), Failure> {
        let row = self.file_row(entry)?;
        if let Some(whole) = self.held(entry)?.filter(|(_, h)| h.pieces.is_whole()) {
            return Ok(whole);
        }
        if self.is_removed(entry)? {
            return Err(erased());
        }
        let state = row["state"].as_str().unwrap_or_default();
        let command = if of == "ticket" { "hotline ticket files ID" } else { "hotline kb files ID" };
        Err(Failure::new(FailureKind::TryAgain, format!("`{}` is not here in full", entry.name))
            .because(state)
            .hint(format!("it comes by itself while a node that has it is linked: `{command}`")))
    }

    fn begin_download(
        &mut self,
        doc: DocId,
        entry: &Entry,
        name: &str,
        (content, held): (ItemHash, &Held),
        key: TicketKey,
    ) -> Reply {
        let salt: [u8; 32] = bytes_of(&entry.salt)?.try_into().map_err(|_| no_key())?;
        let download = self.transfers.admit(self.now)?;
        let size = plain_size(held.size);
        let under_way = Download {
            content,
            size,
            key: key.file_key(&salt, doc),
            ticket: key,
            salt: entry.salt.clone(),
            hasher: blake3::Hasher::new(),
            place: 0,
            pieces: held.pieces.count(),
            at: 0,
        };
        self.transfers.downloads.insert(download, (self.now, under_way));
        let file_name = Entry::file_name(name);
        Ok(json!({
            "download": download, "name": name, "file_name": file_name, "size": size, "type": entry.media,
            "content": entry.content,
        }))
    }

    /// What is asked about files of articles.
    pub(super) fn article_file(&mut self, request: &FileRequest) -> Reply {
        match request {
            FileRequest::Attach { id, name, size, digest, media, user } => {
                self.attach_to_article(id, name, *size, digest, media.as_deref(), user.as_deref())
            }
            FileRequest::AttachPart { upload, at, hex } => self.attach_part(*upload, *at, hex),
            FileRequest::AttachEnd { upload } => self.attach_end(*upload),
            FileRequest::List { id, .. } => self.files_of_article(id),
            FileRequest::Fetch { id, name, .. } => self.fetch_of_article(id, name),
            FileRequest::FetchPart { download, at } => self.fetch_part(*download, *at),
        }
    }

    fn attach_to_article(
        &mut self,
        id: &str,
        name: &str,
        size: u64,
        digest: &str,
        said: Option<&str>,
        user: Option<&str>,
    ) -> Reply {
        let opened = self.article_named(id)?;
        self.is_own(&opened)?;
        let (doc, digest) = (opened.doc, self.fits(name, size, digest)?);
        let key = TicketKey::of_open_document(doc);
        let entry = Entry {
            name: name.to_owned(),
            size,
            media: String::new(),
            content: String::new(),
            salt: hex(&key.file_salt(&digest)),
            sealed: None,
            user: user.map(str::to_owned),
            at: shown_time(self.now),
        };
        let entries = last_files(&opened);
        if let Some(there) = entries.iter().find(|e| e.name == entry.name && e.salt == entry.salt) {
            let row = self.file_row(there)?;
            if row["complete"] == true {
                return Ok(json!({ "attached": row }));
            }
        }
        self.has_place(doc, &entries, &entry, Room::of_article(self.file_limits.per_ticket))?;
        self.begin_upload(doc, true, entry, &key, digest, said)
    }

    /// The next version of an article carries this file beside those of the last one.
    fn keep_in_article(&mut self, doc: DocId, entry: Entry, manifest: &Manifest) -> Reply {
        let opened = self.open_article(doc)?;
        let version = opened.folded.next_number();
        let mut files = last_files(&opened);
        // Others may have come while this one was on its way.
        self.may_have(doc, &files, &entry, Room::of_article(self.file_limits.per_ticket))?;
        files.retain(|file| file.name != entry.name);
        files.push(entry.clone());
        self.revise_files(opened, files, entry.user.as_deref())?;
        self.replica.put(doc, Kind::FILE, manifest.to_bytes(), &mut self.store, &mut self.desk)?;
        let mut row = self.file_row(&entry)?;
        row["version"] = version.into();
        Ok(row)
    }

    fn files_of_article(&mut self, id: &str) -> Reply {
        let folded = self.article_named(id)?.folded;
        let mut all: Vec<(Entry, Vec<u32>)> = Vec::new();
        for version in &folded.versions {
            for file in &version.files {
                match all.iter_mut().find(|(known, _)| known == file) {
                    Some((_, versions)) => versions.push(version.number),
                    None => all.push((file.clone(), vec![version.number])),
                }
            }
        }
        let mut rows = Vec::new();
        for (file, versions) in all {
            let mut row = self.file_row(&file)?;
            row["versions"] = versions.into();
            rows.push(row);
        }
        Ok(Value::from(rows))
    }

    fn fetch_of_article(&mut self, id: &str, name: &str) -> Reply {
        let opened = self.article_named(id)?;
        let (doc, versions) = (opened.doc, &opened.folded.versions);
        let shown = opened.folded.shown().into_iter().chain(versions.last()).flat_map(|v| &v.files);
        let by_name = shown.clone().find(|file| file.name == name);
        // A former version may have named the same content otherwise.
        let former = versions.iter().flat_map(|v| &v.files);
        let by_content = || shown.clone().chain(former).find(|file| file.content == name);
        let Some(entry) = by_name.or_else(by_content).cloned() else {
            return Err(no_such_file("the article", name, &shown.cloned().collect::<Vec<_>>()));
        };
        let (content, held) = self.whole(&entry, "article")?;
        let name = entry.name.clone();
        self.begin_download(doc, &entry, &name, (content, &held), TicketKey::of_open_document(doc))
    }

    fn fetch_part(&mut self, download: u64, at: u64) -> Reply {
        let (used, from) = self.transfers.downloads.get_mut(&download).ok_or_else(|| gone("download"))?;
        *used = self.now;
        if at != from.at {
            return Err(Failure::usage(format!("the download stands at {} of {}", from.at, from.size)));
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(PART * PLAIN));
        for _ in 0..PART {
            if from.place == from.pieces {
                break;
            }
            let last = from.place + 1 == from.pieces;
            let sealed = match self.store.piece(&from.content, from.place) {
                Ok(sealed) => sealed.unwrap_or_default(),
                Err(e) => {
                    self.transfers.downloads.remove(&download);
                    return Err(e.into());
                }
            };
            let Ok(opened) = from.key.open(from.place, last, &sealed) else {
                let (content, place) = (from.content, from.place);
                self.transfers.downloads.remove(&download);
                return self.not_as_attached(content, place);
            };
            plain.extend_from_slice(&opened);
            from.place += 1;
        }
        from.hasher.update(&plain);
        from.at += plain.len() as u64;
        let (next, end) = (from.at, from.place == from.pieces);
        if end && let Some((_, from)) = self.transfers.downloads.remove(&download) {
            let digest = from.hasher.finalize();
            if hex(&from.ticket.file_salt(digest.as_bytes())) != from.salt {
                return Err(Failure::new(FailureKind::Integrity, "the file is not what was attached")
                    .hint("do not use what was saved; ask the site that attached it"));
            }
        }
        Ok(json!({ "hex": hex(&plain), "at": next, "end": end }))
    }

    /// A piece that does not open: damaged here, and fetched again; or sealed wrongly by whoever attached it.
    fn not_as_attached(&mut self, content: ItemHash, place: u32) -> Reply {
        if self.store.file(&content)?.is_none() {
            return Err(erased());
        }
        if let Some(item) = self.store.item(&content)?
            && let Ok(Some(manifest)) = Manifest::read(&item.bytes)
        {
            let bytes = self.store.piece(&content, place)?.unwrap_or_default();
            if manifest.is_piece(place, &bytes) {
                return Err(Failure::new(
                    FailureKind::Integrity,
                    "the file's bytes are as they were sent and cannot be opened: it was attached damaged",
                ));
            }
            self.store.lose_piece(&content, place)?;
        }
        Err(Failure::new(
            FailureKind::Integrity,
            format!("piece {place} of the file is not what was stored; it is fetched again from a peer"),
        )
        .hint("try again a little later, and look at the disk: `hotline replica verify`"))
    }

    /// Hashes a file's content anew. What is not what was stored is reported, counts as missing, and comes back from
    /// a peer.
    pub(super) fn verify_content(
        &mut self,
        file: &ItemHash,
        bytes: &[u8],
        damaged: &mut Vec<Value>,
    ) -> Result<u64, Failure> {
        let (Ok(Some(manifest)), Some(held)) = (Manifest::read(bytes), self.store.file(file)?) else {
            return Ok(0);
        };
        let mut sound = 0;
        for place in (0..held.pieces.count()).filter(|place| held.pieces.has(*place)) {
            let piece = self.store.piece(file, place)?.unwrap_or_default();
            if manifest.is_piece(place, &piece) {
                sound += 1;
                continue;
            }
            self.store.lose_piece(file, place)?;
            damaged.push(json!({
                "file": file.to_string(), "piece": place, "document": held.doc.to_string(),
                "what": "its bytes are not those that were stored; it is fetched again",
            }));
        }
        Ok(sound)
    }

    /// What is here and what is missing of all files, for the status.
    pub(super) fn file_status(&mut self, status: &mut Value) -> Result<(), StoreError> {
        let totals = self.store.file_totals()?;
        let view = self.replica.files();
        status["files"] = json!(totals.files);
        status["files_missing"] = json!(totals.missing);
        status["files_missing_bytes"] = json!(totals.missing_bytes);
        status["files_paused"] = json!(view.paused);
        for peer in status["peers"].as_array_mut().into_iter().flatten() {
            let of = |map: &BTreeMap<certs::NodeName, u64>| {
                let node = peer["node"].as_str().and_then(|n| n.parse().ok());
                node.and_then(|n| map.get(&n).copied()).unwrap_or(0)
            };
            let (fetching, sending) = (of(&view.fetching), of(&view.sending));
            peer["files_fetching"] = json!(fetching);
            peer["pieces_sending"] = json!(sending);
        }
        Ok(())
    }
}

impl Upload {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.hasher.update(bytes);
        let wanted = FIRST.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(&bytes[..wanted]);
        self.open.extend_from_slice(bytes);
        self.at += bytes.len() as u64;
        // The last piece is sealed as such, so a full one waits until more has come.
        let mut done = 0;
        while self.open.len() - done > PLAIN {
            self.seal(done, done + PLAIN, false)?;
            done += PLAIN;
        }
        self.open.drain(..done);
        Ok(())
    }

    fn seal(&mut self, from: usize, to: usize, last: bool) -> Result<(), Failure> {
        let sealed = self.key.seal(self.place, last, &self.open[from..to]);
        let sealed = sealed.map_err(|e| failed("a piece of the file could not be sealed", e))?;
        self.place += 1;
        Ok(self.staged.push(&sealed)?)
    }

    /// The content is durable when this returns.
    fn end(mut self) -> Result<(DocId, Entry, Manifest), Failure> {
        if self.at != self.entry.size || self.hasher.finalize().as_bytes() != &self.digest {
            return Err(Failure::new(FailureKind::Failed, "the file changed while it was read")
                .hint("attach it again when nobody writes to it"));
        }
        self.seal(0, self.open.len(), true)?;
        let manifest = self.staged.finish()?;
        self.entry.media = sniff(&self.first, self.said.as_deref());
        self.entry.content = manifest.address().to_string();
        Ok((self.doc, self.entry, manifest))
    }
}

fn no_such_file(of: &str, name: &str, entries: &[Entry]) -> Failure {
    let mut names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Failure::new(FailureKind::Failed, format!("{of} has no file `{name}`"))
        .hint(format!("its files: {names}"))
}

fn true_name(entry: &Entry, key: &TicketKey) -> Option<String> {
    let sealed = unhex(entry.sealed.as_deref()?)?;
    let name = key.open(Part::FileName, &sealed).ok()?;
    std::str::from_utf8(&name).ok().map(str::to_owned)
}

fn gone(what: &str) -> Failure {
    Failure::new(FailureKind::TryAgain, format!("this {what} is not under way any more"))
        .hint("begin again; nothing was saved")
}

fn erased() -> Failure {
    Failure::new(
        FailureKind::Failed,
        "the ticket's personal data was erased, and the contents of its files with it",
    )
    .hint("`hotline ticket show ID` says when, by whom and why")
}

fn no_key() -> Failure {
    Failure::new(FailureKind::Failed, "this node has no key for this ticket's files").hint(
        "the site that took the call, its province, and every site that held the ticket have the key; a confidential \
         ticket's opens with --reveal REASON at the desks that have it",
    )
}
