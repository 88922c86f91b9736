//! Persons: opening one for a reason, looking callers up, and the log of both.

use serde_json::{Map, Value, json};
use sync::id::{DocId, ItemHash};
use sync::item::{Kind, State};
use sync::store::Store;
use zeroize::Zeroizing;

use super::{Engine, failed, shown_time};
use crate::content::Content;
use crate::projection;
use crate::request::{Failure, FailureKind, Reply};
use crate::vault::index::{self, By, IndexKey};
use crate::vault::{Grant, Part, TicketKey, VaultError, log};

/// Most tickets of one lookup.
const MAX_FOUND: usize = 200;

/// How many persons a lookup opens first, the newest, when the index is behind (after a cold start, a rebuild).
const CATCH_UP: usize = 2_000;

/// How many earlier tickets of a caller a new one tells.
const EARLIER: usize = 20;

/// Under which name the last hash of the log stands in the database.
const LOG: &str = "reveals";

const INDEX_KEY: &str = "index key";
const INDEX_INFO: &[u8] = b"hotline vault index key v1";

impl Engine {
    /// The ticket's key, if this node was granted it; with `desk` also as its confidential desk.
    pub(super) fn key(&mut self, doc: DocId, desk: bool) -> Result<Option<TicketKey>, Failure> {
        Ok(self.keys(doc, desk)?.into_iter().next())
    }

    /// All keys of the ticket that this node was granted: one, or more when two sites drew one at once.
    pub(super) fn keys(&mut self, doc: DocId, desk: bool) -> Result<Vec<TicketKey>, Failure> {
        let identity = self.identity().clone();
        let grants = self.store.items_of_kind(&doc, Kind::GRANT)?;
        let mut keys: Vec<TicketKey> = Vec::new();
        for grant in grants.iter().filter(|i| i.state != State::Emptied).filter_map(|i| Grant::read(&i.bytes))
        {
            let known = grant.which.is_some_and(|which| keys.iter().any(|key| key.id() == which));
            if known || (grant.desk && !desk) {
                continue;
            }
            let opened = grant.open(&doc, &identity).ok();
            keys.extend(opened.filter(|key| keys.iter().all(|k| k.id() != key.id())));
        }
        Ok(keys)
    }

    /// The key that marks are made under, sealed to this node in the vault; a new one when there is none that opens.
    pub(super) fn index_key(&mut self) -> Result<&IndexKey, Failure> {
        if self.index_key.is_none() {
            let identity = self.identity().clone();
            let aad = identity.node().to_string().into_bytes();
            let db = self.store.apart();
            let held = index::value(db, INDEX_KEY)?
                .and_then(|sealed| identity.open(INDEX_INFO, &aad, &sealed).ok())
                .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
            let key = match held {
                Some(key) => key,
                None => {
                    let mut key = [0; 32];
                    getrandom::fill(&mut key).map_err(|e| failed("the system gives no random numbers", e))?;
                    let sealed =
                        certs::seal_box::seal(&identity.record().node_box, INDEX_INFO, &aad, &key)
                            .map_err(|_| failed("the index key could not be sealed", VaultError::Entropy))?;
                    index::put_value(db, INDEX_KEY, &sealed)?;
                    index::all_due(db, identity.node())?;
                    key
                }
            };
            self.index_key = Some(IndexKey::from_bytes(key));
        }
        Ok(self.index_key.as_ref().expect("it was just put there"))
    }

    /// Marks the persons of grants that came for this node, at most so many; how many there were.
    pub(super) fn mark_persons(&mut self, limit: usize) -> Result<usize, Failure> {
        self.index_key()?;
        let due = index::unread(self.store.apart(), limit.min(i64::MAX as usize))?;
        let marked = due.len();
        for (grant, doc, desk) in due {
            let person = self.person(doc, desk).unwrap_or_default();
            let marks = self.index_key()?.marks(&person);
            index::put(self.store.apart(), &grant, &marks)?;
        }
        Ok(marked)
    }

    /// Marks the person of a ticket that was made here, whose key this node granted itself: what the caller said is still
    /// at hand and need not be opened.
    pub(super) fn mark_own(
        &mut self,
        grant: &ItemHash,
        person: Option<&Map<String, Value>>,
    ) -> Result<(), Failure> {
        let marks = match person {
            Some(person) => self.index_key()?.marks(person),
            None => Vec::new(),
        };
        Ok(index::put(self.store.apart(), grant, &marks)?)
    }

    /// A ticket's opened part; empty when there is none.
    fn part(&mut self, doc: DocId, desk: bool, part: Part) -> Result<Map<String, Value>, Failure> {
        let content = self.with_document(doc, |document, _| Content::read(document))?;
        let sealed = match part {
            Part::Person => content.person,
            Part::Body => content.sealed_body,
            Part::FileName => None, // each file has its own
        };
        let Some(sealed) = sealed else { return Ok(Map::new()) };
        let opened: Option<Zeroizing<Vec<u8>>> =
            self.keys(doc, desk)?.into_iter().find_map(|key| key.open(part, &sealed).ok());
        let Some(opened) = opened else { return Err(self.closed(doc, desk)) };
        serde_json::from_slice(&opened)
            .map_err(|e| Failure::new(FailureKind::Integrity, "the caller's data does not read").because(e))
    }

    /// The caller as said; empty when nothing was. It is for this node itself: whom it is shown to is asked before.
    pub(super) fn person(&mut self, doc: DocId, desk: bool) -> Result<Map<String, Value>, Failure> {
        self.part(doc, desk, Part::Person)
    }

    /// Why a person does not open here.
    fn closed(&mut self, doc: DocId, desk: bool) -> Failure {
        if let Ok(Some(erased)) = self.erased(doc) {
            let word = |field: &str| erased[field].as_str().unwrap_or("-").to_owned();
            return Failure::new(
                FailureKind::Failed,
                format!(
                    "the caller's data was erased by {} on {}: {}",
                    word("site"),
                    word("at"),
                    word("reason")
                ),
            );
        }
        Failure::new(FailureKind::Failed, VaultError::Closed).hint(if desk {
            "a confidential report is shown by two desks only; ask one of them"
        } else {
            "the site that took the call, its province, and every site that held the ticket have the key; one of them may grant it: `hotline ticket grant ID --to NODE`"
        })
    }

    /// Who asks, and why: personal data is shown to a named person for a reason.
    pub(super) fn asker<'a>(user: Option<&'a str>, reason: &'a str) -> Result<(&'a str, &'a str), Failure> {
        let Some(user) = user.map(str::trim).filter(|u| !u.is_empty()) else {
            return Err(Failure::new(FailureKind::Usage, "personal data is shown to a named person only")
                .hint("say who asks: --user NAME"));
        };
        if reason.trim().is_empty() {
            return Err(Failure::new(FailureKind::Usage, "personal data is shown for a reason only")
                .hint("give one: --reveal REASON, or --reason REASON"));
        }
        if user.len() > 256 || reason.len() > 2_048 {
            return Err(Failure::new(FailureKind::Usage, "the name or the reason is too long to be logged"));
        }
        Ok((user, reason.trim()))
    }

    /// Writes a line of the log of reveals. It is durable before anything is shown: replies follow the commit.
    pub(super) fn log_reveal(
        &mut self,
        what: &str,
        doc: Option<&DocId>,
        user: &str,
        reason: &str,
    ) -> Result<(), Failure> {
        let hash = log::append(self.store.apart(), what, doc, user, reason, &shown_time(self.now))?;
        self.store.put_meta(LOG, &hash)?;
        let ticket = doc.map(DocId::short);
        match what {
            "reveal" | "lookup" => tracing::info!(ticket, user, what, "personal data was shown"),
            _ => tracing::info!(ticket, user, what, "a line was added to the log of reveals"),
        }
        Ok(())
    }

    /// Writes down that something sealed of a ticket is shown; nothing is shown to nobody or for no reason.
    pub(super) fn note_reveal(
        &mut self,
        doc: DocId,
        reason: &str,
        user: Option<&str>,
    ) -> Result<(), Failure> {
        let (user, reason) = Engine::asker(user, reason)?;
        self.log_reveal("reveal", Some(&doc), user, reason)
    }

    /// Opens what is sealed of a ticket and writes down that it was opened, by whom and why. Adds it to what is shown.
    pub(super) fn reveal(
        &mut self,
        doc: DocId,
        reason: &str,
        user: Option<&str>,
        shown: &mut Value,
    ) -> Result<(), Failure> {
        Engine::asker(user, reason)?;
        let desk = self.folded(doc)?.created.confidential;
        let person = self.person(doc, desk)?;
        let body = self.part(doc, desk, Part::Body)?;
        self.note_reveal(doc, reason, user)?;
        shown["person"] = if person.is_empty() { Value::Null } else { Value::Object(person) };
        for (field, said) in body {
            match field.as_str() {
                "body" => shown["body"] = said,
                _ => shown["facts"][field] = said,
            }
        }
        Ok(())
    }

    /// The tickets of the caller with this phone or name, over the persons that this node can open; the persons too
    /// when a reason is given.
    pub(super) fn lookup(
        &mut self,
        (by, said): (By, &str),
        desk: bool,
        reveal: Option<&str>,
        user: Option<&str>,
        limit: usize,
    ) -> Reply {
        let asker = reveal.map(|reason| Engine::asker(user, reason)).transpose()?;
        if desk && asker.is_none() {
            return Err(Failure::new(FailureKind::Usage, "a desk looks callers up for a reason only")
                .hint("give one: --reveal REASON --user NAME"));
        }
        self.mark_persons(CATCH_UP)?;
        let Some(mark) = self.index_key()?.mark(by, said) else {
            return Err(Failure::new(FailureKind::Usage, "there is nothing to look for in what was typed"));
        };
        let found = index::find(self.store.apart(), &mark, desk, limit.min(MAX_FOUND))?;
        let mut rows = Vec::with_capacity(found.len());
        for doc in found {
            let Some(mut row) = projection::one(self.store.connection(), &doc)? else { continue };
            if let Some((user, reason)) = asker {
                let confidential = self.folded(doc)?.created.confidential;
                let person = self.person(doc, confidential)?;
                self.log_reveal("lookup", Some(&doc), user, reason)?;
                row["person"] = Value::Object(person);
            }
            rows.push(row);
        }
        Ok(Value::from(rows))
    }

    /// Earlier tickets of a caller, the newest first; confidential ones never.
    pub(super) fn earlier(&mut self, phone: &str) -> Result<Vec<DocId>, Failure> {
        let Some(mark) = self.index_key()?.mark(By::Phone, phone) else { return Ok(Vec::new()) };
        Ok(index::find(self.store.apart(), &mark, false, EARLIER)?)
    }

    /// The log of reveals, of one ticket or of all, and whether its chain is whole.
    pub(super) fn reveals(&mut self, id: Option<&str>) -> Reply {
        let only = id.map(|id| self.document_named(id)).transpose()?;
        let kept = self.store.meta(LOG)?.and_then(|bytes| bytes.try_into().ok());
        let (lines, wrong) = log::read(self.store.apart(), kept)?;
        let shown: Vec<Value> = lines
            .iter()
            .filter(|l| only.is_none_or(|doc| l.doc == Some(*doc.as_bytes())))
            .map(|l| {
                json!({
                    "at": l.at, "what": l.what, "user": l.user, "reason": l.reason,
                    "id": l.doc.map(|d| DocId::from_bytes(d).to_string()),
                })
            })
            .collect();
        Ok(json!({ "lines": shown, "intact": wrong.is_none(), "wrong": wrong }))
    }
}
