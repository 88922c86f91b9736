//! What can be asked of a node: the one vocabulary of command line, local socket and desk.
//!
//! A request is one JSON object; so is its reply. The socket carries them as lines. What a request may do is
//! checked where the data is, in the engine, never by whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use certs::Site;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bundles::BundleRequest;
use crate::figures::Part;
use crate::files::FileRequest;
use crate::knowledge::request::KnowledgeRequest;
use crate::lake::LakeRequest;
use crate::policy::request::PolicyRequest;
use crate::ticket::number::TicketNumber;

/// An action on a ticket that a person takes: an entry of the trail, in words of the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the command of the same name; fields are its arguments")]
pub enum Act {
    Answer { text: String },
    Redirect { to: String, text: String },
    Reject { reason: String },
    Dispatch { department: String, text: Option<String> },
    Feedback { text: String },
    Progress { text: String },
    Pause { reason: String },
    Extend { days: Option<u32>, reason: String, grant: Option<String> },
    Reply { text: String, confirm: Option<String> },
    FollowUp { text: String, satisfied: Option<bool> },
    Urge { text: String },
    Supervise { text: String },
    Escalate { reason: String },
    Merge { into: String },
    Unmerge { reason: String },
    Keep { reason: String },
    Release { reason: String },
    Offer { to: String, reason: String },
    Accept {},
    Decline { reason: String },
    Withdraw {},
    Assign { to: String, reason: String },
    Recall { reason: String },
    Close { result: String },
    Reopen { reason: String },
    Correct { facts: BTreeMap<String, Correction>, reason: Option<String> },
}

impl Act {
    /// The first of its words that has to be said and is not.
    pub fn unsaid(&self) -> Option<&'static str> {
        use Act::*;
        let said = match self {
            Answer { text }
            | Feedback { text }
            | Progress { text }
            | Reply { text, .. }
            | FollowUp { text, .. }
            | Urge { text }
            | Supervise { text } => ("text", text),
            Reject { reason }
            | Pause { reason }
            | Extend { reason, .. }
            | Escalate { reason }
            | Unmerge { reason }
            | Keep { reason }
            | Release { reason }
            | Offer { reason, .. }
            | Decline { reason }
            | Assign { reason, .. }
            | Recall { reason }
            | Reopen { reason } => ("reason", reason),
            Redirect { to, .. } => ("to", to),
            Dispatch { department, .. } => ("department", department),
            Close { result } => ("result", result),
            Merge { .. } | Accept {} | Withdraw {} | Correct { .. } => return None,
        };
        said.1.trim().is_empty().then_some(said.0)
    }
}

/// What a fact is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// What whoever corrects has seen there: when something else stands there by now, it fails as [`FailureKind::Moved`].
    #[serde(default)]
    pub from: Option<String>,
    /// What is to stand there; nothing, if it is empty.
    pub to: String,
}

/// What narrows a queue, and in which order it comes. What is `None` narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sift {
    /// Whose tickets `mine` holds.
    pub user: Option<String>,
    /// Whose tickets `team` holds: those dispatched to this department.
    pub department: Option<String>,
    /// Of the calls that were taken for other centres only those for these.
    pub centres: Option<BTreeSet<Site>>,
    /// 业务类型.
    pub business: Option<String>,
    /// 业务领域, by its code.
    pub domain: Option<String>,
    /// 事项, by its code.
    pub topic: Option<String>,
    /// 来源.
    pub channel: Option<String>,
    /// 紧急程度.
    pub urgency: Option<String>,
    /// Taken on this day or later.
    pub first: Option<String>,
    /// Taken on this day or earlier.
    pub last: Option<String>,
    /// The order.
    pub sort: Sort,
}

impl Sift {
    /// Whether some tickets of a queue are left out.
    pub fn narrows(&self) -> bool {
        let Sift { business, domain, topic, channel, urgency, first, last, .. } = self;
        [business, domain, topic, channel, urgency, first, last].into_iter().any(Option::is_some)
    }
}

/// In which order a queue comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// What came last comes first.
    #[default]
    Newest,
    /// What came first comes first.
    Oldest,
    /// The first to end comes first; what has no deadline, or has ended, is left out.
    Due,
}

/// The language of a text made for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// 中文.
    #[default]
    Zh,
    /// English.
    En,
}

/// A step of copying the data directory of a node that works: see [`Request::Hold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// From now on the databases' files stay as they are, and only their logs grow.
    Begin,
    /// Goes on for another minute, and tells how far the logs go that belong together.
    Mark,
    /// The copy is made, or given up.
    End,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Makes tickets of lines of `samples.jsonl` shape (see [`crate::import`]); all or none. Replies with
    /// `[{"id","number","custodian","stage"}]`.
    New {
        /// One JSON object a ticket.
        tickets: Vec<Value>,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Acts on a ticket. Replies with the entry and the ticket's new standing.
    Act {
        /// Id, unambiguous prefix or number.
        id: String,
        /// The action.
        act: Act,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Adds a note.
    Note {
        /// Id, unambiguous prefix or number.
        id: String,
        /// The note.
        text: String,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// An action or a note, if the ticket is still in the state that whoever asks has seen; else it fails as [`FailureKind::Moved`].
    When {
        /// The `state_hash` of the ticket, as `Show` gave it; one of these.
        states: Vec<String>,
        /// The request.
        then: Box<Request>,
    },
    /// What concerns one ticket, if whoever asks acts for the centre for which this site took its call; else it fails as
    /// [`FailureKind::NotServed`]. A ticket that another site took is not asked.
    For {
        /// The centres for which they act.
        centres: BTreeSet<Site>,
        /// The request.
        then: Box<Request>,
    },
    /// A ticket's files.
    File(FileRequest),
    /// Bundles for and from sites without a line.
    Bundle(BundleRequest),
    /// The knowledge base.
    Knowledge(KnowledgeRequest),
    /// Rules: tables that sites set from a day on.
    Policy(PolicyRequest),
    /// A ticket as `ticket show --json` prints it; with a reason also the caller's person, which is logged. `suggested` is there
    /// where the dispatch catalogue names who handles it: `{"department","site","when":{fact:value},"basis","text":{"zh","en"}}`.
    Show {
        /// Id, unambiguous prefix or number.
        id: String,
        /// Why the caller's personal data is needed.
        reveal: Option<String>,
        /// Who asks.
        user: Option<String>,
    },
    /// What a ticket's caller is told of it: `{"number","stage","taken_at","held_by","due","paused","answers":[{"entry","at",
    /// "text"}]}`.
    /// Nothing that the caller or anybody else said is in it, no person, no note; answers are masked.
    Told {
        /// The number.
        number: TicketNumber,
    },
    /// The story: `{"lines":[{"entry","at","text","mark"}]}`; the closing lines have no entry.
    History {
        /// Id, unambiguous prefix or number.
        id: String,
        /// In which language.
        language: Language,
    },
    /// What this site may do with a ticket now, by the rules that grant an action, and who holds how much of it:
    /// `{"id","choices":[{"do","may","why","who":[{"site","name"}],"of":[entry]}],"replies":[{"entry","text","by"}],
    /// "peers":[{"node","name","connected","owed","scan"}],"suggested"}`, the last as in `Show`. `replies` are superseded ones that this site may confirm;
    /// `owed` counts what of the ticket a peer of its audience has not acknowledged.
    Choices {
        /// Id, unambiguous prefix or number.
        id: String,
        /// The language of `why`.
        language: Language,
    },
    /// A ticket with the caller's person, in the shape of `Show`; it is logged.
    Reveal {
        /// Id, unambiguous prefix or number.
        id: String,
        /// Why.
        reason: String,
        /// A confidential report too: for the confidential desk.
        desk: bool,
        /// Who asks.
        user: Option<String>,
    },
    /// How many tickets this site and its offices have numbered, by day, the newest first, and today's by hour of China's time:
    /// `{"days":[{"day","count"}],"hours":[24 counts]}`.
    Volume {
        /// So many days, today among them; at most 31.
        days: usize,
    },
    /// The tickets that this site and its offices numbered in a period, by quarters of an hour of China's time in which they began,
    /// of each day that brought any: `{"days":[{"day","quarters":[96 counts]}]}`.
    Calls {
        /// The first day, as in `2026-11-02`.
        from: String,
        /// The last day.
        to: String,
    },
    /// Figures of the tickets whose call this site or one below it took in a period, each with the period before and the same
    /// of the year before: see [`crate::figures::report`]. `at` is the moment that says what is overdue; `waiting` rows, at
    /// most, are not counted yet after an update.
    Figures {
        /// The first day, as in `2026-11-02`.
        from: String,
        /// The last day.
        to: String,
        /// Also told apart by one of [`crate::figures::DIMENSIONS`].
        by: Option<String>,
    },
    /// The quarterly forms: `{"site","name","period","from","to","at","waiting","told","forms"}`, see [`crate::figures::forms`].
    Form {
        /// As in `2026-Q4`; a month or a year as well.
        period: String,
    },
    /// The tickets behind one figure, in the shape of `List`, those of the last day first.
    Figured {
        /// The figure.
        id: String,
        /// Those that count, or of a rate the rest.
        #[serde(default)]
        part: Part,
        /// The first day.
        from: String,
        /// The last day.
        to: String,
        /// Of this dimension
        by: Option<String>,
        /// this value.
        value: Option<String>,
        /// At most so many.
        limit: usize,
        /// Only what comes after this row of an earlier page.
        before: Option<i64>,
    },
    /// The scorecard of a month: `{"site","at","names":{SITE:NAME},"table","frozen"}`, of the units below this site, with `table`
    /// as it is computed now; of another `site` only `frozen`, what that one has frozen. See [`crate::scorecard`].
    Scorecard {
        /// The month, as in `2026-11`.
        month: String,
        /// Another site.
        #[serde(default)]
        site: Option<String>,
    },
    /// Freezes a month that is over: as a signed record that everybody below gets. With a reason it puts right one that is frozen
    /// already. Replies with the record.
    Freeze {
        /// The month, as in `2026-11`.
        month: String,
        /// Why a frozen month is put right.
        #[serde(default)]
        reason: Option<String>,
        /// Who freezes.
        user: Option<String>,
    },
    /// The frozen months of this site or another, the newest first: `[{"id","site","month","at","user","units","amended"}]`.
    Months {
        /// Another site.
        #[serde(default)]
        site: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// A queue: `[{"row","id","number","subject","custodian","stage","at","offered_to","due","urgency","agent","department",
    /// "centre"}]`. `overdue` and `due-soon` come with the first to end first. `urgency` is there when it is not the ordinary one, the
    /// last three when there is one.
    List {
        /// One of [`crate::projection::QUEUES`].
        queue: String,
        /// What narrows it, and in which order it comes.
        #[serde(default)]
        sift: Sift,
        /// At most so many.
        limit: usize,
        /// Only what comes after this row of an earlier page.
        before: Option<i64>,
    },
    /// Full text; the shape of `List`.
    Search {
        /// What was typed.
        text: String,
        /// At most so many.
        limit: usize,
    },
    /// Tickets that may be about the same matter as a call that is being typed: open ones, and those of the last 30 days. The
    /// shape of `List` with `why`, a list of what is shared; the likeliest first, and never a confidential one.
    Similar {
        /// What the caller says; of a long text the end counts.
        text: String,
        /// The plate of the vehicle that it is about.
        plate: Option<String>,
        /// Where it happened.
        place: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// The tickets that bear a number which others gave to the matter: `id` and `number` of each.
    Outside {
        /// Exactly as they wrote it.
        number: String,
        /// At most so many.
        limit: usize,
    },
    /// The tickets of a caller, over the persons that this node can open: the shape of `List`, with `person` when a
    /// reason is given, which is logged.
    Lookup {
        /// The telephone number,
        phone: Option<String>,
        /// or the whole name.
        name: Option<String>,
        /// Confidential reports too, for the confidential desk.
        desk: bool,
        /// Why the callers' personal data is needed.
        reveal: Option<String>,
        /// Who asks.
        user: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Grants a ticket's key to a site on request: `{"id","to","desk"}`; it is logged.
    Grant {
        /// Id, unambiguous prefix or number.
        id: String,
        /// The site, or a node of it.
        to: String,
        /// Why.
        reason: String,
        /// Who grants.
        user: Option<String>,
    },
    /// Erases the caller's personal data for ever: `{"id","number","erased"}`.
    Erase {
        /// Id, unambiguous prefix or number.
        id: String,
        /// Why.
        reason: String,
        /// Who erases.
        user: Option<String>,
    },
    /// The log of reveals: `{"lines":[{"at","what","user","reason","id"}],"intact","wrong"}`.
    Reveals {
        /// Only of this ticket.
        id: Option<String>,
    },
    /// What has changed, one after the other: `{"changes":[{"cursor","id","number","stage","state_hash","at"}],"next":cursor}`.
    /// Without a cursor none, and the one to begin with; see [`crate::changes`].
    Changes {
        /// The cursor of the last change that was seen.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Rows of the read model.
    Lake(LakeRequest),
    /// All tickets as JSON lines of the shape of `Show`, a page at a time: `{"tickets":[...],"next":id|null}`.
    Export {
        /// After this id.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// `replica status --json`.
    Status,
    /// `{"peer","count","digest"}`.
    Digest {
        /// The peer.
        peer: String,
    },
    /// What a peer lacks and why: `{"peer","rows":[{"id","kind","document","why","counted"}],"more","standing",
    /// "refused_there":[{"id","reason"}],"refused","not_counted","waiting"}`.
    Diff {
        /// The peer.
        peer: String,
        /// At most so many rows.
        limit: usize,
    },
    /// What a person should look at, `[{"what","reason",...}]`: `superseded`, `close proposal`, `alarm` and `both` (a fact
    /// that was set twice at once) with `id`, `number`, `entry`, `beaten_by`; `fork` with `node`, `number`; `refused` with `id`, `item`, `node`; `frozen`
    /// with `id`.
    Conflicts,
    /// Takes in what is past its author's revocation; a superior's right: `{"id","taken_in"}`.
    TakeIn {
        /// Id, unambiguous prefix or number.
        id: String,
    },
    /// Re-hashes every item and checks every seal: `{"items","documents","seals","damaged":[...]}`.
    Verify,
    /// Makes all projections anew from the items: `{"documents","changed"}`.
    Rebuild,
    /// Admits a directory item (a node record or a revocation list), as bytes in hexadecimal.
    Admit {
        /// `record` or `revocation`.
        kind: String,
        /// Its bytes.
        hex: String,
    },
    /// Holds the databases' files still while they are copied, for a minute from each step on. Replies with
    /// `{"node","hold","cuts","logs":{FILE:BYTES}}`: when `hold` or `cuts` differs between two steps, the copy is worth
    /// nothing: the hold had lapsed, or something was erased.
    Hold {
        /// The step.
        step: Hold,
    },
    /// A person confirms that this machine's date is right.
    ConfirmClock,
    /// What the node told its operator since it started, the newest last: `[{"at","text"}]`.
    Events,
}

impl Request {
    /// The ticket that it concerns, if it is about one that is here.
    pub fn ticket(&self) -> Option<&str> {
        match self {
            Request::When { then, .. } | Request::For { then, .. } => then.ticket(),
            Request::Act { id, .. }
            | Request::Note { id, .. }
            | Request::Show { id, .. }
            | Request::History { id, .. }
            | Request::Choices { id, .. }
            | Request::Reveal { id, .. }
            | Request::File(
                FileRequest::Attach { id, .. } | FileRequest::List { id, .. } | FileRequest::Fetch { id, .. },
            ) => Some(id),
            _ => None,
        }
    }

    /// The other ticket that it joins that one to.
    pub fn joined(&self) -> Option<&str> {
        match self {
            Request::When { then, .. } | Request::For { then, .. } => then.joined(),
            Request::Act { act: Act::Merge { into }, .. } => Some(into),
            _ => None,
        }
    }

    /// Its name, as the socket has it: all that a trace says of a request.
    pub fn name(&self) -> &'static str {
        match self {
            Request::New { .. } => "new",
            Request::Act { .. } => "act",
            Request::Note { .. } => "note",
            Request::When { then, .. } | Request::For { then, .. } => then.name(),
            Request::File(_) => "file",
            Request::Bundle(_) => "bundle",
            Request::Knowledge(_) => "knowledge",
            Request::Policy(_) => "policy",
            Request::Show { .. } => "show",
            Request::Told { .. } => "told",
            Request::History { .. } => "history",
            Request::Choices { .. } => "choices",
            Request::Reveal { .. } => "reveal",
            Request::Volume { .. } => "volume",
            Request::Calls { .. } => "calls",
            Request::Figures { .. } => "figures",
            Request::Form { .. } => "form",
            Request::Figured { .. } => "figured",
            Request::Scorecard { .. } => "scorecard",
            Request::Freeze { .. } => "freeze",
            Request::Months { .. } => "months",
            Request::List { .. } => "list",
            Request::Search { .. } => "search",
            Request::Similar { .. } => "similar",
            Request::Outside { .. } => "outside",
            Request::Lookup { .. } => "lookup",
            Request::Grant { .. } => "grant",
            Request::Erase { .. } => "erase",
            Request::Reveals { .. } => "reveals",
            Request::Changes { .. } => "changes",
            Request::Lake(_) => "lake",
            Request::Export { .. } => "export",
            Request::Status => "status",
            Request::Digest { .. } => "digest",
            Request::Diff { .. } => "diff",
            Request::Conflicts => "conflicts",
            Request::TakeIn { .. } => "take-in",
            Request::Verify => "verify",
            Request::Rebuild => "rebuild",
            Request::Admit { .. } => "admit",
            Request::Hold { .. } => "hold",
            Request::ConfirmClock => "confirm-clock",
            Request::Events => "events",
        }
    }
}

/// Why a request was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// It failed. Exit code 1.
    Failed,
    /// What was named is not here. Exit code 1.
    Absent,
    /// It was not understood. Exit code 2.
    Usage,
    /// The node is not running or not reachable. Exit code 3.
    Unreachable,
    /// The configuration is wrong. Exit code 4.
    Configuration,
    /// Stored data is not what was written. Exit code 5.
    Integrity,
    /// Only a person can decide. Exit code 6.
    NeedsPerson,
    /// It concerns a centre for which whoever asks does not act. Exit code 6.
    NotServed,
    /// What was seen has changed since: whoever asks reads it again. Exit code 6.
    Moved,
    /// What a cursor stood in is not here any more. Exit code 6.
    Gone,
    /// It may work later. Exit code 75.
    TryAgain,
}

impl FailureKind {
    /// The exit code of the command line.
    pub fn exit_code(self) -> u8 {
        match self {
            FailureKind::Failed | FailureKind::Absent => 1,
            FailureKind::Usage => 2,
            FailureKind::Unreachable => 3,
            FailureKind::Configuration => 4,
            FailureKind::Integrity => 5,
            FailureKind::NeedsPerson | FailureKind::NotServed | FailureKind::Moved | FailureKind::Gone => 6,
            FailureKind::TryAgain => 75,
        }
    }
}

/// A sentence, its causes, and a next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort.
    pub kind: FailureKind,
    /// The sentence.
    pub message: String,
    /// What led to it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without causes or hint.
    pub fn new(kind: FailureKind, message: impl fmt::Display) -> Failure {
        Failure { kind, message: message.to_string(), causes: Vec::new(), hint: None }
    }

    /// Something that was not understood.
    pub fn usage(message: impl fmt::Display) -> Failure {
        Failure::new(FailureKind::Usage, message)
    }

    /// With a next step.
    pub fn hint(mut self, hint: impl fmt::Display) -> Failure {
        self.hint = Some(hint.to_string());
        self
    }

    /// With a cause.
    pub fn because(mut self, cause: impl fmt::Display) -> Failure {
        self.causes.push(cause.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The answer to a request.
pub type Reply = Result<Value, Failure>;
