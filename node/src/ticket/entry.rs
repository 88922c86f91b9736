//! One entry of a trail: its bytes, its id, and what the bytes say.
//!
//! ```text
//! {"op":"offer","parents":["3f…","a0…"],"node":"370100","of":"3f…","to":"370200","reason":"…","text":"…",
//!  "user":"王芳","at":"2027-03-01T09:30:00+08:00", fields of newer versions…}
//! ```
//!
//! The id is the BLAKE3 hash of the bytes as they came, so bytes are never written anew; [`Entry::to_bytes`] is
//! for entries made here. JSON, because somebody will want to read it in twenty years. An op or a field that this
//! version does not know is kept as it came ([`Op::Unknown`], [`Entry::extra`]).
//!
//! `node` repeats the author of the change that carries the entry, and an entry that names another is refused.
//! Without it two sites could write the same bytes, the map key would be one and its author would be whoever
//! the document library shows: a copied entry could take the author from an honest one.
//!
//! Of times there is only `at`, which is shown and which no rule reads.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use certs::{NodeName, Site};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sync::id::DocId;
use utoipa::ToSchema;

/// The longest entry, in bytes.
pub const MAX_ENTRY: usize = 16 * 1024;
/// The most parents of one entry: more heads than this are written down by an entry for some of them first.
pub const MAX_PARENTS: usize = 64;
/// The longest single text in an entry, in bytes.
pub const MAX_TEXT: usize = 8 * 1024;
/// The longest short field (an op's name, a user, a department), in bytes.
pub const MAX_NAME: usize = 256;

/// The id of an entry: the BLAKE3 hash of its bytes. As text (64 hexadecimal digits) it is the key in `trail`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
pub struct EntryId([u8; 32]);

impl EntryId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The id of the entry that has these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sync::id::write_hex(f, &self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for EntryId {
    type Err = EntryError;

    /// Exactly 64 small hexadecimal digits: one entry has one key.
    fn from_str(s: &str) -> Result<Self, EntryError> {
        let nibble = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(EntryError::NotAnId),
        };
        let digits: &[u8; 64] = s.as_bytes().try_into().map_err(|_| EntryError::NotAnId)?;
        let mut bytes = [0; 32];
        for (b, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *b = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for EntryId {
    type Error = EntryError;

    fn try_from(s: String) -> Result<Self, EntryError> {
        s.parse()
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> String {
        id.to_string()
    }
}

/// Why bytes are not an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryError {
    /// More than [`MAX_ENTRY`] bytes.
    TooLong {
        /// How many bytes were given.
        bytes: usize,
    },
    /// The bytes are not one JSON object; the parser's words.
    NotJson(String),
    /// A field that this op needs is not there.
    Missing(&'static str),
    /// A field is there and does not have the form that it must have.
    Malformed(&'static str),
    /// More than [`MAX_PARENTS`] parents.
    TooManyParents(usize),
    /// Sixty-four small hexadecimal digits were expected.
    NotAnId,
    /// The bytes name one node as their author, and the change that carries them is another's.
    NotTheAuthor {
        /// The node that the bytes name.
        says: NodeName,
        /// The author of the change.
        is: NodeName,
    },
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryError::TooLong { bytes } => {
                write!(
                    f,
                    "the entry has {bytes} bytes and may have {MAX_ENTRY}; put long texts into a file of the ticket"
                )
            }
            EntryError::NotJson(why) => write!(f, "the entry is not a JSON object: {why}"),
            EntryError::Missing(field) => write!(f, "the entry has no `{field}`, which its op needs"),
            EntryError::Malformed(field) => {
                write!(f, "the entry's `{field}` has the wrong form or is too long")
            }
            EntryError::TooManyParents(n) => {
                write!(f, "the entry has {n} parents and may have {MAX_PARENTS}")
            }
            EntryError::NotAnId => f.write_str("an entry id is 64 hexadecimal digits, small letters"),
            EntryError::NotTheAuthor { says, is } => {
                write!(f, "the entry says that {says} wrote it, and the change is {is}'s")
            }
        }
    }
}

impl std::error::Error for EntryError {}

/// After so many declines in one custody only an assign moves a ticket, unless its first entry says otherwise.
pub const DECLINES: u32 = 2;

/// What stands in a ticket's first entry and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The kind of document: `ticket`.
    pub kind: String,
    /// The schema that the document was made under.
    pub schema: u32,
    /// The ticket's number, as its maker allotted it.
    pub number: String,
    /// The site that took the call: the first custodian.
    pub site: Site,
    /// 举报人保密: the reporter's identity is kept from everybody but desk keys.
    pub confidential: bool,
    /// The unit of ours that the matter is about, if it is about one: its desk never sees a confidential report.
    pub against: Option<Site>,
    /// Whether the ticket is reported to the ministry, decided once under `rule`.
    pub reported: bool,
    /// The version of the rules that this ticket's deadlines follow.
    pub rule: String,
    /// After so many declines in one custody only an assign moves the ticket, if that is not [`DECLINES`]: as the taking site's table
    /// said that day. It stands here so that it is the same wherever the ticket is read.
    pub declines: Option<u32>,
}

/// What a correction makes of one fact; empty where there was or is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// What stood there, as the corrector saw it.
    pub from: String,
    /// What stands there now.
    pub to: String,
}

/// What an entry does, with the fields that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "`of` is always what the variant's sentence says it names, `to` the site it goes to"
)]
pub enum Op {
    /// The first entry.
    Create(Box<Create>),
    /// 转办: the custodian asks `to` to take custody `of` over.
    Offer { to: Site, of: EntryId },
    /// 签收: the target takes the offer `of`.
    Accept { of: EntryId },
    /// 退回: the target refuses the offer `of`, with a reason.
    Decline { of: EntryId },
    /// 撤回: the custodian takes the offer `of` back.
    Withdraw { of: EntryId },
    /// 指派: a superior, or the custodian downwards, ends custody `of` and gives the ticket to `to`.
    Assign { to: Site, of: EntryId },
    /// A superior has seen custody `of` begin, and how those before it ended.
    Confirm { of: EntryId },
    /// 办结: the custodian closes custody `of` with a result.
    Close { of: EntryId, result: String },
    /// The close `of` was not the end.
    Reopen { of: EntryId },
    /// 直接答复: answered at once.
    Answer,
    /// The caller was told whose matter it is.
    Redirect,
    /// 不予受理, with a reason.
    Reject,
    /// 交办 to a department of the custodian.
    Dispatch { department: String },
    /// What the department found.
    Feedback,
    /// A word about how it goes; ends a pause.
    Progress,
    /// The clock stops, with a reason.
    Pause,
    /// 延期: without `of` the custodian asks for it, with `of` a superior grants that request.
    Extend { of: Option<EntryId>, days: Option<u32> },
    /// 回复 to the caller; `of` names a superseded reply that this one confirms.
    Reply { of: Option<EntryId> },
    /// 回访: the taking site asked the caller.
    FollowUp { satisfied: Option<bool> },
    /// 催办.
    Urge,
    /// 督办.
    Supervise,
    /// Asks the custodian's next superior to assign.
    Escalate,
    /// The ticket is the same matter as `into`.
    Merge { into: DocId },
    /// It is not, after all.
    Unmerge,
    /// 保全: the caller's data and recordings are not erased before the release, with a reason.
    Keep,
    /// 解除保全: the keep `of` is over.
    Release { of: EntryId },
    /// 更正: the change that carries the entry sets these facts.
    Correct { facts: BTreeMap<String, Corrected> },
    /// An op of a newer version; one whose name begins with `custody.` is about custody.
    Unknown(String),
}

impl Op {
    /// The op's name in the bytes.
    pub fn name(&self) -> &str {
        match self {
            Op::Create(_) => "create",
            Op::Offer { .. } => "offer",
            Op::Accept { .. } => "accept",
            Op::Decline { .. } => "decline",
            Op::Withdraw { .. } => "withdraw",
            Op::Assign { .. } => "assign",
            Op::Confirm { .. } => "confirm",
            Op::Close { .. } => "close",
            Op::Reopen { .. } => "reopen",
            Op::Answer => "answer",
            Op::Redirect => "redirect",
            Op::Reject => "reject",
            Op::Dispatch { .. } => "dispatch",
            Op::Feedback => "feedback",
            Op::Progress => "progress",
            Op::Pause => "pause",
            Op::Extend { .. } => "extend",
            Op::Reply { .. } => "reply",
            Op::FollowUp { .. } => "follow_up",
            Op::Urge => "urge",
            Op::Supervise => "supervise",
            Op::Escalate => "escalate",
            Op::Merge { .. } => "merge",
            Op::Unmerge => "unmerge",
            Op::Keep => "keep",
            Op::Release { .. } => "release",
            Op::Correct { .. } => "correct",
            Op::Unknown(name) => name,
        }
    }

    /// The site that the op names.
    pub fn to(&self) -> Option<Site> {
        match self {
            Op::Offer { to, .. } | Op::Assign { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// The custody, offer, close, request, reply or keep that the op names.
    pub fn of(&self) -> Option<EntryId> {
        match self {
            Op::Offer { of, .. }
            | Op::Accept { of }
            | Op::Decline { of }
            | Op::Withdraw { of }
            | Op::Assign { of, .. }
            | Op::Confirm { of }
            | Op::Close { of, .. }
            | Op::Reopen { of }
            | Op::Release { of } => Some(*of),
            Op::Extend { of, .. } | Op::Reply { of } => *of,
            _ => None,
        }
    }

    /// Whether this is a custody op that only a newer version understands.
    pub fn is_unknown_custody(&self) -> bool {
        matches!(self, Op::Unknown(name) if name.starts_with("custody."))
    }
}

/// What the bytes of one entry say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is done.
    pub op: Op,
    /// The trail's heads when it was done; ascending, no doubles.
    pub parents: Vec<EntryId>,
    /// The node that wrote it.
    pub node: NodeName,
    /// Why, in a person's words.
    pub reason: Option<String>,
    /// What there is to say.
    pub text: Option<String>,
    /// The person at the desk.
    pub user: Option<String>,
    /// When, as RFC 3339 text by the author's own clock. Shown; no rule reads it.
    pub at: Option<String>,
    /// Fields of newer versions, as they came.
    pub extra: Map<String, Value>,
}

impl Entry {
    /// An entry of this node on these heads, with nothing more said.
    pub fn new(op: Op, parents: impl IntoIterator<Item = EntryId>, node: NodeName) -> Self {
        let mut parents: Vec<_> = parents.into_iter().collect();
        parents.sort_unstable();
        parents.dedup();
        Entry { op, parents, node, reason: None, text: None, user: None, at: None, extra: Map::new() }
    }

    /// Reads an entry. Every size is capped; a known op must have its fields, an unknown one is kept as it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut fields = Fields::read(bytes)?;
        let name = fields.text("op", MAX_NAME)?.ok_or(EntryError::Missing("op"))?;
        let parents = fields.parents()?;
        let node = fields.parsed("node")?.ok_or(EntryError::Missing("node"))?;
        let op = fields.op(name)?;
        let reason = fields.text("reason", MAX_TEXT)?;
        if matches!(op, Op::Decline { .. } | Op::Reopen { .. } | Op::Reject)
            && reason.as_ref().is_none_or(|r| r.trim().is_empty())
        {
            return Err(EntryError::Missing("reason"));
        }
        let text = fields.text("text", MAX_TEXT)?;
        let user = fields.text("user", MAX_NAME)?;
        let at = fields.text("at", MAX_NAME)?;
        Ok(Entry { op, parents, node, reason, text, user, at, extra: fields.0 })
    }

    /// The entry's bytes: canonical JSON, fields in this module's order, newer ones after them by name.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(256));
        w.put("op", self.op.name());
        w.put("parents", &self.parents);
        w.put("node", &self.node);
        if let Some(of) = self.op.of() {
            w.put("of", &of);
        }
        if let Some(to) = self.op.to() {
            w.put("to", &to);
        }
        match &self.op {
            Op::Create(c) => {
                w.put("kind", &c.kind);
                w.put("schema", &c.schema);
                w.put("number", &c.number);
                w.put("site", &c.site);
                w.put("confidential", &c.confidential);
                if let Some(against) = &c.against {
                    w.put("against", against);
                }
                w.put("reported", &c.reported);
                w.put("rule", &c.rule);
                if let Some(declines) = &c.declines {
                    w.put("declines", declines);
                }
            }
            Op::Close { result, .. } => w.put("result", result),
            Op::Dispatch { department } => w.put("department", department),
            Op::Extend { days: Some(days), .. } => w.put("days", days),
            Op::FollowUp { satisfied: Some(yes) } => w.put("satisfied", yes),
            Op::Merge { into } => w.put("into", &into.to_string()),
            Op::Correct { facts } => w.put("facts", facts),
            _ => {}
        }
        let said = [("reason", &self.reason), ("text", &self.text), ("user", &self.user), ("at", &self.at)];
        for (key, value) in said.into_iter().filter_map(|(k, v)| v.as_ref().map(|v| (k, v))) {
            w.put(key, value);
        }
        let mut extra: Vec<_> = self.extra.iter().collect();
        extra.sort_unstable_by_key(|(key, _)| *key);
        for (key, value) in extra {
            w.put(key, value);
        }
        w.end()
    }
}

/// An entry with its id and its author. The author is the change's; the bytes repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authored {
    /// The hash of the entry's bytes.
    pub id: EntryId,
    /// What the bytes say.
    pub entry: Entry,
    /// The site that the author writes for: rights belong to it.
    pub site: Site,
    /// The node that wrote the change.
    pub node: NodeName,
}

impl Authored {
    /// Reads an entry out of a change of `author`.
    pub fn read(bytes: &[u8], author: NodeName) -> Result<Self, EntryError> {
        let entry = Entry::parse(bytes)?;
        if entry.node != author {
            return Err(EntryError::NotTheAuthor { says: entry.node, is: author });
        }
        Ok(Authored { id: EntryId::of(bytes), entry, site: author.site(), node: author })
    }
}

impl From<Entry> for Authored {
    /// An entry made here, by the node that it names.
    fn from(entry: Entry) -> Self {
        let node = entry.node;
        Authored { id: EntryId::of(&entry.to_bytes()), entry, site: node.site(), node }
    }
}

/// The fields of an entry that were not read yet.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn read(bytes: &[u8]) -> Result<Fields, EntryError> {
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLong { bytes: bytes.len() });
        }
        Ok(Fields(serde_json::from_slice(bytes).map_err(|e| EntryError::NotJson(e.to_string()))?))
    }

    pub(crate) fn text(&mut self, key: &'static str, cap: usize) -> Result<Option<String>, EntryError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::String(s)) if s.len() <= cap => Ok(Some(s)),
            Some(_) => Err(EntryError::Malformed(key)),
        }
    }

    pub(crate) fn parsed<T: FromStr>(&mut self, key: &'static str) -> Result<Option<T>, EntryError> {
        let text = self.text(key, MAX_NAME)?;
        text.map(|s| s.parse().map_err(|_| EntryError::Malformed(key))).transpose()
    }

    pub(crate) fn need<T: FromStr>(&mut self, key: &'static str) -> Result<T, EntryError> {
        self.parsed(key)?.ok_or(EntryError::Missing(key))
    }

    /// A value as it came.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.0.remove(key)
    }

    fn flag(&mut self, key: &'static str) -> Result<Option<bool>, EntryError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(b)),
            Some(_) => Err(EntryError::Malformed(key)),
        }
    }

    pub(crate) fn count(&mut self, key: &'static str) -> Result<Option<u32>, EntryError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(v) => v.as_u64().and_then(|n| n.try_into().ok()).map(Some).ok_or(EntryError::Malformed(key)),
        }
    }

    pub(crate) fn parents(&mut self) -> Result<Vec<EntryId>, EntryError> {
        let list = match self.0.remove("parents") {
            Some(Value::Array(list)) => list,
            Some(_) => return Err(EntryError::Malformed("parents")),
            None => return Err(EntryError::Missing("parents")),
        };
        if list.len() > MAX_PARENTS {
            return Err(EntryError::TooManyParents(list.len()));
        }
        let ids = list.iter().map(|v| v.as_str().ok_or(EntryError::NotAnId)?.parse());
        let ids: Vec<EntryId> = ids.collect::<Result<_, _>>()?;
        // One set has one spelling.
        if ids.is_sorted_by(|a, b| a < b) { Ok(ids) } else { Err(EntryError::Malformed("parents")) }
    }

    /// The facts of a correction; `None`, and nothing read, when they are not of this form.
    fn corrected(&mut self) -> Option<BTreeMap<String, Corrected>> {
        let facts: BTreeMap<String, Corrected> = BTreeMap::deserialize(self.0.get("facts")?).ok()?;
        self.0.remove("facts");
        Some(facts)
    }

    fn op(&mut self, name: String) -> Result<Op, EntryError> {
        let needed = |text: Option<String>, key| text.ok_or(EntryError::Missing(key));
        Ok(match name.as_str() {
            "create" => Op::Create(Box::new(Create {
                kind: needed(self.text("kind", MAX_NAME)?, "kind")?,
                schema: self.count("schema")?.ok_or(EntryError::Missing("schema"))?,
                number: needed(self.text("number", MAX_NAME)?, "number")?,
                site: self.need("site")?,
                confidential: self.flag("confidential")?.ok_or(EntryError::Missing("confidential"))?,
                against: self.parsed("against")?,
                reported: self.flag("reported")?.ok_or(EntryError::Missing("reported"))?,
                rule: needed(self.text("rule", MAX_NAME)?, "rule")?,
                declines: self.count("declines")?,
            })),
            "offer" => Op::Offer { to: self.need("to")?, of: self.need("of")? },
            "accept" => Op::Accept { of: self.need("of")? },
            "decline" => Op::Decline { of: self.need("of")? },
            "withdraw" => Op::Withdraw { of: self.need("of")? },
            "assign" => Op::Assign { to: self.need("to")?, of: self.need("of")? },
            "confirm" => Op::Confirm { of: self.need("of")? },
            "close" => {
                Op::Close { of: self.need("of")?, result: needed(self.text("result", MAX_TEXT)?, "result")? }
            }
            "reopen" => Op::Reopen { of: self.need("of")? },
            "answer" => Op::Answer,
            "redirect" => Op::Redirect,
            "reject" => Op::Reject,
            "dispatch" => {
                Op::Dispatch { department: needed(self.text("department", MAX_NAME)?, "department")? }
            }
            "feedback" => Op::Feedback,
            "progress" => Op::Progress,
            "pause" => Op::Pause,
            "extend" => Op::Extend { of: self.parsed("of")?, days: self.count("days")? },
            "reply" => Op::Reply { of: self.parsed("of")? },
            "follow_up" => Op::FollowUp { satisfied: self.flag("satisfied")? },
            "urge" => Op::Urge,
            "supervise" => Op::Supervise,
            "escalate" => Op::Escalate,
            "merge" => Op::Merge { into: self.need("into")? },
            "unmerge" => Op::Unmerge,
            "keep" => Op::Keep,
            "release" => Op::Release { of: self.need("of")? },
            "correct" => match self.corrected() {
                Some(facts) => Op::Correct { facts },
                // Versions that knew no corrections took it in as it came, and nobody refuses what others hold.
                None => Op::Unknown(name),
            },
            _ => Op::Unknown(name),
        })
    }
}

/// Writes one flat JSON object, fields in the order in which they are put.
struct Writer(Vec<u8>);

impl Writer {
    fn put(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut self.0, key).expect("a string is always written to memory");
        self.0.push(b':');
        serde_json::to_writer(&mut self.0, value)
            .expect("ids, names, texts and JSON values are always written to memory");
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(s: &str) -> NodeName {
        s.parse().unwrap()
    }

    fn every_op() -> Vec<Op> {
        let of = EntryId::from_bytes([7; 32]);
        let to = "370200".parse().unwrap();
        let create = Create {
            kind: "ticket".into(),
            schema: 1,
            number: "JT3701002027030127000Q1".into(),
            site: "370100".parse().unwrap(),
            confidential: false,
            against: Some("370200".parse().unwrap()),
            reported: true,
            rule: "2014".into(),
            declines: Some(3),
        };
        vec![
            Op::Create(Box::new(create)),
            Op::Offer { to, of },
            Op::Accept { of },
            Op::Decline { of },
            Op::Withdraw { of },
            Op::Assign { to, of },
            Op::Confirm { of },
            Op::Close { of, result: "已处理".into() },
            Op::Reopen { of },
            Op::Answer,
            Op::Redirect,
            Op::Reject,
            Op::Dispatch { department: "出租汽车管理处".into() },
            Op::Feedback,
            Op::Progress,
            Op::Pause,
            Op::Extend { of: None, days: Some(5) },
            Op::Extend { of: Some(of), days: None },
            Op::Reply { of: None },
            Op::Reply { of: Some(of) },
            Op::FollowUp { satisfied: Some(false) },
            Op::Urge,
            Op::Supervise,
            Op::Escalate,
            Op::Merge { into: DocId::from_bytes([3; 32]) },
            Op::Unmerge,
            Op::Keep,
            Op::Release { of },
            Op::Correct {
                facts: BTreeMap::from([(
                    "place".into(),
                    Corrected { from: "火车站".into(), to: "汽车站".into() },
                )]),
            },
            Op::Unknown("score".into()),
        ]
    }

    #[test]
    fn every_op_is_read_as_it_is_written() {
        for op in every_op() {
            let mut e = Entry::new(
                op,
                [EntryId::from_bytes([9; 32]), EntryId::from_bytes([1; 32])],
                node("370000-b"),
            );
            e.reason = Some("不属于\n本市".into());
            e.user = Some("王芳".into());
            e.at = Some("2027-03-01T09:30:00+08:00".into());
            e.extra.insert("weight".into(), serde_json::json!({"b": [1, 2.5], "a": null}));
            let bytes = e.to_bytes();
            let a = Authored::read(&bytes, e.node).unwrap();
            assert_eq!(a.entry, e);
            assert_eq!(a.entry.to_bytes(), bytes);
            assert_eq!(a, Authored::from(e));
        }
    }

    #[test]
    fn a_correction_in_another_form_is_kept_as_an_unknown_word() {
        let bytes = br#"{"op":"correct","parents":[],"node":"370100","facts":["place"]}"#;
        let entry = Entry::parse(bytes).unwrap();
        assert_eq!(entry.op, Op::Unknown("correct".into()));
        assert_eq!(entry.extra["facts"], serde_json::json!(["place"]));
        assert_eq!(entry.to_bytes(), bytes);
    }

    #[test]
    fn the_bytes_are_what_the_drawing_says() {
        let mut e = Entry::new(Op::Accept { of: EntryId::from_bytes([0xab; 32]) }, [], node("370200"));
        e.user = Some("李 \"强\"".into());
        let of = "ab".repeat(32);
        let text =
            format!(r#"{{"op":"accept","parents":[],"node":"370200","of":"{of}","user":"李 \"强\""}}"#);
        assert_eq!(String::from_utf8(e.to_bytes()).unwrap(), text);
    }

    #[test]
    fn what_is_no_entry_is_refused_with_the_reason() {
        let check =
            |text: &str, why: EntryError| assert_eq!(Entry::parse(text.as_bytes()), Err(why), "{text}");
        let id = "ab".repeat(32);
        assert!(matches!(Entry::parse(b"[]"), Err(EntryError::NotJson(_))));
        assert!(matches!(Entry::parse(b"{} {}"), Err(EntryError::NotJson(_))));
        check(r#"{"parents":[],"node":"370100"}"#, EntryError::Missing("op"));
        check(r#"{"op":"urge","node":"370100"}"#, EntryError::Missing("parents"));
        check(r#"{"op":"urge","parents":[]}"#, EntryError::Missing("node"));
        check(r#"{"op":"urge","parents":[],"node":"37"}"#, EntryError::Malformed("node"));
        check(r#"{"op":"urge","parents":["AB"],"node":"370100"}"#, EntryError::NotAnId);
        check(
            &format!(r#"{{"op":"urge","parents":["{id}","{id}"],"node":"370100"}}"#),
            EntryError::Malformed("parents"),
        );
        check(r#"{"op":"offer","parents":[],"node":"370100","to":"370200"}"#, EntryError::Missing("of"));
        check(
            &format!(r#"{{"op":"decline","parents":[],"node":"370100","of":"{id}","reason":" "}}"#),
            EntryError::Missing("reason"),
        );
        check(r#"{"op":"urge","parents":[],"node":"370100","text":7}"#, EntryError::Malformed("text"));
        let long =
            format!(r#"{{"op":"urge","parents":[],"node":"370100","text":"{}"}}"#, "x".repeat(MAX_TEXT + 1));
        check(&long, EntryError::Malformed("text"));
        check(&" ".repeat(MAX_ENTRY + 1), EntryError::TooLong { bytes: MAX_ENTRY + 1 });
        let many: Vec<_> = (0..65u8).map(|i| EntryId::from_bytes([i; 32])).collect();
        let many = Entry::new(Op::Urge, many, node("370100")).to_bytes();
        assert_eq!(Entry::parse(&many), Err(EntryError::TooManyParents(65)));
    }

    #[test]
    fn nobody_writes_in_another_nodes_name() {
        let bytes = Entry::new(Op::Urge, [], node("370000")).to_bytes();
        let error = Authored::read(&bytes, node("370000-b")).unwrap_err();
        assert_eq!(error, EntryError::NotTheAuthor { says: node("370000"), is: node("370000-b") });
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Entry::parse(&bytes);
        }
    }
}
