//! A document of a kind that this version does not know: carried, and not read.
//!
//! Every version judges it by the same few rules, those that hold for documents of all kinds:
//!
//! * the first change makes the parts and carries one entry, a `create` that names its kind, its author's node and
//!   site, and no parents;
//! * on `trail` and `notes` the only thing to do is to put a byte string under the hash of itself; under `trail` that is
//!   an entry, a flat JSON object that names its author's node; a change carries at most one, and none creates again;
//! * the audience is every site that wrote an entry or stands in an entry's `audience`, with their superiors as for a
//!   ticket, and the ministry when the create says `reported`; and everything below the site of whoever wrote an entry
//!   that says `below`.
//!
//! A version that knows the kind may refuse more and must not read another audience. For one that needs no rule but these (a
//! frozen month of the scorecard, a month of aggregates, the editions of a table) its entries are kept to be read. What a mark would erase only it
//! can say, so here a mark waits.

use std::collections::BTreeSet;

use automerge::ScalarValue;
use certs::{NodeName, Site};
use serde_json::{Map, Value};
use sync::document::{Refusal, Witnessed, Write};

use super::audience::of_parties;
use super::entry::{EntryId, MAX_ENTRY};
use super::matter::KIND;

/// The kinds whose entries are read here.
pub const READ: [&str; 3] = [crate::scorecard::KIND, crate::aggregate::KIND, crate::policy::KIND];

/// What is known of a document whose kind is not: its name, and who must hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    kind: String,
    parties: BTreeSet<Site>,
    /// Those whose region it is for.
    regions: BTreeSet<Site>,
    reported: bool,
    /// Whose it is: the site that began it.
    site: Site,
    /// Every entry of that site, and whether it is counted; of kinds that are read here.
    entries: Vec<(Vec<u8>, bool)>,
}

/// The frame of an entry of any kind.
struct Frame {
    map: Map<String, Value>,
    bytes: Vec<u8>,
}

fn rule(why: &str) -> Refusal {
    Refusal::Rule(why.to_owned())
}

impl Frame {
    fn read(bytes: &[u8], author: NodeName) -> Result<Frame, Refusal> {
        if bytes.len() > MAX_ENTRY {
            return Err(rule("an entry that is too long"));
        }
        let map = serde_json::from_slice(bytes).map_err(|_| rule("an entry that is no JSON object"))?;
        let frame = Frame { map, bytes: bytes.to_vec() };
        if frame.text("op").is_none() || frame.text("node").and_then(|n| n.parse().ok()) != Some(author) {
            return Err(rule("an entry names its op and its author's node"));
        }
        Ok(frame)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.map.get(key)?.as_str()
    }

    /// The kind of the document that this entry creates, if it creates one.
    fn creates(&self) -> Option<&str> {
        (self.text("op") == Some("create")).then(|| self.text("kind")).flatten()
    }

    fn is_create(&self) -> bool {
        self.text("op") == Some("create")
    }

    fn audience(&self) -> impl Iterator<Item = Site> + '_ {
        let named = self.map.get("audience").and_then(Value::as_array).into_iter().flatten();
        named.filter_map(|site| site.as_str()?.parse().ok())
    }
}

/// The one entry that a change carries, if any; every put under `trail` and `notes` is checked on the way.
fn frame_of(change: &Witnessed, writes: &[Write]) -> Result<Option<Frame>, Refusal> {
    let mut found = None;
    for write in writes.iter().filter(|w| matches!(w.part(), "trail" | "notes")) {
        let (part, key, value) = match write {
            Write::Make { .. } => continue,
            Write::Put { part, key, value: ScalarValue::Bytes(bytes), replaces: false } => (part, key, bytes),
            _ => return Err(rule("on trail and notes byte strings are added and nothing else is done")),
        };
        if key.parse() != Ok(EntryId::of(value)) {
            return Err(rule("the key is not the hash of its value"));
        }
        if part == "trail" && found.replace(Frame::read(value, change.author)?).is_some() {
            return Err(rule("a change carries at most one entry"));
        }
    }
    Ok(found)
}

impl Other {
    /// The document that this first change begins, if it is of a kind that is not known here; an error if no kind of
    /// document begins so.
    pub fn begin(change: &Witnessed, writes: &[Write]) -> Result<Option<Other>, Refusal> {
        let Some(frame) = frame_of(change, writes)? else { return Ok(None) };
        let Some(kind) = frame.creates().filter(|kind| *kind != KIND) else { return Ok(None) };
        let site = frame.text("site").and_then(|s| s.parse().ok());
        let parents = frame.map.get("parents").and_then(Value::as_array);
        if site != Some(change.author.site()) || parents.is_none_or(|p| !p.is_empty()) {
            return Err(rule("a document's first entry names its author's site and has no parents"));
        }
        let mut other = Other {
            kind: kind.to_owned(),
            parties: BTreeSet::new(),
            regions: BTreeSet::new(),
            reported: frame.map.get("reported") == Some(&Value::Bool(true)),
            site: change.author.site(),
            entries: Vec::new(),
        };
        other.hear(change, frame);
        Ok(Some(other))
    }

    /// Whether the rules that hold for all kinds allow a later change.
    pub fn judge(&self, change: &Witnessed, writes: &[Write]) -> Result<(), Refusal> {
        match frame_of(change, writes)? {
            Some(frame) if frame.is_create() => Err(rule("a document is created once")),
            _ => Ok(()),
        }
    }

    /// Takes in a later change that stands.
    pub fn take(&mut self, change: &Witnessed, writes: &[Write]) {
        if let Ok(Some(frame)) = frame_of(change, writes) {
            self.hear(change, frame);
        }
    }

    fn hear(&mut self, change: &Witnessed, frame: Frame) {
        let site = change.author.site();
        self.parties.insert(site);
        self.parties.extend(frame.audience());
        if frame.map.get("below") == Some(&Value::Bool(true)) {
            self.regions.insert(site);
        }
        // What others write into it has no effect.
        if READ.contains(&self.kind.as_str()) && site == self.site {
            self.entries.push((frame.bytes, change.counted));
        }
    }

    /// The bytes of every entry of whose it is, and whether it is counted; none of a kind that is not read here.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.entries.iter().map(|(bytes, counted)| (bytes.as_slice(), *counted))
    }

    /// What its create calls it.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The sites that must hold it, one by one.
    pub fn audience(&self) -> BTreeSet<Site> {
        of_parties(&self.parties, self.reported)
    }

    /// The sites that must hold it together with everything below them.
    pub fn regions(&self) -> &BTreeSet<Site> {
        &self.regions
    }
}
