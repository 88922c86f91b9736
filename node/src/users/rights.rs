//! Who may ask for what: one table, and one function that reads it.
//!
//! Least by default: a role has the rights that its row names and no others, and a request that the desk has no page for
//! needs [`Right::Operate`], which no role has. Whether the *site* may act on a ticket is the engine's to say; this says
//! whether this *person* may ask for it here. An administrator looks after accounts and reads no tickets.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use certs::Site;
use serde::{Deserialize, Serialize};

use super::Account;
use crate::files::FileRequest;
use crate::knowledge::request::KnowledgeRequest;
use crate::policy::request::PolicyRequest;
use crate::request::{Act, Request};

/// What somebody is at this desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// 话务员: takes calls, answers, makes tickets.
    Agent,
    /// 班长: leads a shift; hands over, closes, speaks for the centre.
    ShiftLeader,
    /// 业务部门: handles what was dispatched, replies to the caller.
    Handler,
    /// 回访员: asks the caller afterwards.
    FollowUp,
    /// 督办: watches over what takes long; urges, supervises, assigns.
    Supervisor,
    /// 审计: reads the logs, and no tickets.
    Auditor,
    /// 管理员: looks after accounts, and reads no tickets.
    Administrator,
}

/// All roles, in the order in which they are shown.
pub const ROLES: [Role; 7] = [
    Role::Agent,
    Role::ShiftLeader,
    Role::Handler,
    Role::FollowUp,
    Role::Supervisor,
    Role::Auditor,
    Role::Administrator,
];

impl Role {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::ShiftLeader => "shift-leader",
            Role::Handler => "handler",
            Role::FollowUp => "follow-up",
            Role::Supervisor => "supervisor",
            Role::Auditor => "auditor",
            Role::Administrator => "administrator",
        }
    }

    /// Whether the table gives it this right.
    pub fn has(self, right: Right) -> bool {
        table(self).contains(&right)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(s: &str) -> Result<Role, String> {
        ROLES.into_iter().find(|role| role.name() == s).ok_or_else(|| {
            let names: Vec<&str> = ROLES.iter().map(|role| role.name()).collect();
            format!("`{}` is no role; roles are {}", s.chars().take(40).collect::<String>(), names.join(", "))
        })
    }
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Links, counts, today's volume: no ticket.
    Watch,
    /// Figures: how many, and no ticket.
    Figures,
    /// Freezing a month of the scorecard.
    Freeze,
    /// Setting rules for this site and everybody below it, and taking back what is not in force yet.
    SetRules,
    /// Queues, tickets, their trail; no caller.
    Read,
    /// Whether a number has called before; no caller.
    LookUp,
    /// New tickets.
    Take,
    /// Notes.
    Note,
    /// Mending facts of a ticket.
    Correct,
    /// Files put under a ticket.
    Attach,
    /// Answering at once, redirecting, rejecting.
    Answer,
    /// To a department.
    Dispatch,
    /// What a department does: feedback, progress, pauses, requests for an extension.
    Handle,
    /// The reply to the caller.
    Reply,
    /// Hand-overs with other sites.
    HandOver,
    /// A superior's override.
    Assign,
    /// The end.
    Close,
    /// Not the end.
    Reopen,
    /// 回访.
    FollowUp,
    /// 催办.
    Urge,
    /// 督办, and granting extensions.
    Supervise,
    /// Asking the next superior.
    Escalate,
    /// Joining duplicates.
    Merge,
    /// 保全.
    Keep,
    /// Articles: new ones, supplements and further versions, as drafts.
    Write,
    /// Articles: letting another's draft pass.
    Review,
    /// Articles: into force, out of it, up to the superior, and taking over a lower tier's.
    Publish,
    /// Seeing the caller of an ordinary ticket, for a reason.
    Reveal,
    /// The confidential desk: seeing who made a confidential report, for a reason.
    Confidential,
    /// The logs of reveals and of the desk.
    Audit,
    /// The accounts.
    Accounts,
    /// What only whoever holds the machine does, at its command line.
    Operate,
}

/// The table.
fn table(role: Role) -> &'static [Right] {
    use Right::*;
    match role {
        Role::Agent => &[Watch, Read, LookUp, Take, Note, Correct, Attach, Answer, Dispatch, Urge, Escalate],
        Role::ShiftLeader => &[
            Watch,
            Figures,
            Read,
            LookUp,
            Take,
            Note,
            Correct,
            Attach,
            Answer,
            Dispatch,
            Handle,
            Reply,
            HandOver,
            Assign,
            Close,
            Reopen,
            Urge,
            Escalate,
            Merge,
            Keep,
            Write,
            Review,
            Publish,
            Reveal,
            Confidential,
        ],
        Role::Handler => &[Watch, Read, Note, Correct, Attach, Handle, Reply, Write, Review, Reveal],
        Role::FollowUp => &[Watch, Read, LookUp, Note, FollowUp, Reopen, Urge, Reveal],
        Role::Supervisor => &[
            Watch, Figures, Freeze, SetRules, Read, Note, Assign, Reopen, Urge, Supervise, Escalate, Keep,
            Write, Review, Publish,
        ],
        Role::Auditor => &[Watch, Figures, Audit],
        Role::Administrator => &[Watch, Figures, Accounts],
    }
}

/// What a request needs, all of it. A new request does not compile before somebody has decided here.
pub fn needs(request: &Request) -> &'static [Right] {
    use Right::*;
    match request {
        Request::New { .. } => &[Take],
        Request::Note { .. } => &[Note],
        Request::When { then, .. } | Request::For { then, .. } => needs(then),
        Request::Act { act, .. } => match act {
            Act::Answer { .. } | Act::Redirect { .. } | Act::Reject { .. } => &[Answer],
            Act::Dispatch { .. } => &[Dispatch],
            Act::Feedback { .. } | Act::Progress { .. } | Act::Pause { .. } => &[Handle],
            Act::Extend { grant: None, .. } => &[Handle],
            Act::Extend { grant: Some(_), .. } | Act::Supervise { .. } => &[Supervise],
            Act::Reply { .. } => &[Reply],
            Act::FollowUp { .. } => &[FollowUp],
            Act::Urge { .. } => &[Urge],
            Act::Escalate { .. } => &[Escalate],
            Act::Merge { .. } | Act::Unmerge { .. } => &[Merge],
            Act::Keep { .. } | Act::Release { .. } => &[Keep],
            Act::Offer { .. } | Act::Accept {} | Act::Decline { .. } | Act::Withdraw {} => &[HandOver],
            Act::Assign { .. } | Act::Recall { .. } => &[Assign],
            Act::Close { .. } => &[Close],
            Act::Reopen { .. } => &[Reopen],
            Act::Correct { .. } => &[Correct],
        },
        Request::File(request) => match request {
            FileRequest::Attach { .. } | FileRequest::AttachPart { .. } | FileRequest::AttachEnd { .. } => {
                &[Read, Attach]
            }
            FileRequest::List { reveal: None, .. }
            | FileRequest::Fetch { reveal: None, .. }
            | FileRequest::FetchPart { .. } => &[Read],
            // A reason is asked for with files of confidential reports only.
            FileRequest::List { reveal: Some(_), .. } | FileRequest::Fetch { reveal: Some(_), .. } => {
                &[Read, Confidential]
            }
        },
        Request::Knowledge(request) => match request {
            KnowledgeRequest::List { .. }
            | KnowledgeRequest::Search { .. }
            | KnowledgeRequest::Suggest { .. }
            | KnowledgeRequest::Public { .. }
            | KnowledgeRequest::Told { .. }
            | KnowledgeRequest::Show { .. }
            | KnowledgeRequest::Diff { .. } => &[Read],
            KnowledgeRequest::Used { .. } | KnowledgeRequest::Unhelpful { .. } => &[Read, Answer],
            KnowledgeRequest::File { file } => match file {
                FileRequest::Attach { .. }
                | FileRequest::AttachPart { .. }
                | FileRequest::AttachEnd { .. } => &[Read, Write],
                FileRequest::List { .. } | FileRequest::Fetch { .. } | FileRequest::FetchPart { .. } => {
                    &[Read]
                }
            },
            KnowledgeRequest::Detach { .. } => &[Read, Write],
            KnowledgeRequest::New { .. } | KnowledgeRequest::Revise { .. } => &[Read, Write],
            KnowledgeRequest::Review { .. } => &[Read, Review],
            KnowledgeRequest::Publish { .. }
            | KnowledgeRequest::Withdraw { .. }
            | KnowledgeRequest::Propose { .. }
            | KnowledgeRequest::Adopt { .. } => &[Read, Publish],
            KnowledgeRequest::Import { .. } | KnowledgeRequest::Export { .. } => &[Operate],
        },
        Request::Policy(request) => match request {
            PolicyRequest::List { .. }
            | PolicyRequest::Show { .. }
            | PolicyRequest::Diff { rows: None, .. }
            | PolicyRequest::InForce {} => &[Watch],
            // A trial reads a whole table on the thread that saves: it is of whoever would set it.
            PolicyRequest::Set { .. }
            | PolicyRequest::Withdraw { .. }
            | PolicyRequest::Diff { rows: Some(_), .. } => &[Watch, SetRules],
        },
        Request::Show { reveal: None, .. }
        | Request::Told { .. }
        | Request::History { .. }
        | Request::Choices { .. } => &[Read],
        // It opens confidential reports as well.
        Request::Show { reveal: Some(_), .. } | Request::Reveal { desk: true, .. } => {
            &[Read, Reveal, Confidential]
        }
        Request::Reveal { desk: false, .. } => &[Read, Reveal],
        Request::List { .. }
        | Request::Search { .. }
        | Request::Similar { .. }
        | Request::Outside { .. }
        | Request::Changes { .. }
        | Request::Conflicts => &[Read],
        Request::Lookup { desk: true, .. } => &[Read, LookUp, Reveal, Confidential],
        Request::Lookup { reveal: Some(_), .. } => &[Read, LookUp, Reveal],
        Request::Lookup { .. } => &[Read, LookUp],
        Request::Status | Request::Volume { .. } => &[Watch],
        Request::Calls { .. }
        | Request::Figures { .. }
        | Request::Form { .. }
        | Request::Scorecard { .. }
        | Request::Months { .. } => &[Figures],
        Request::Freeze { .. } => &[Figures, Freeze],
        Request::Figured { .. } => &[Figures, Read],
        Request::Reveals { .. } => &[Audit],
        Request::Bundle(_)
        | Request::Grant { .. }
        | Request::Erase { .. }
        | Request::Export { .. }
        | Request::Lake(_)
        | Request::Digest { .. }
        | Request::Diff { .. }
        | Request::TakeIn { .. }
        | Request::Verify
        | Request::Rebuild
        | Request::Admit { .. }
        | Request::Hold { .. }
        | Request::ConfirmClock
        | Request::Events => &[Operate],
    }
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The role lacks this right.
    Lacks {
        /// The role.
        role: Role,
        /// What it lacks.
        right: Right,
    },
    /// The own password has to be chosen first.
    MustChange,
    /// The account is locked.
    Locked,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::Lacks { role, right } => write!(f, "the role {role} does not include this ({right:?})"),
            Denied::MustChange => f.write_str("the first password must be changed first"),
            Denied::Locked => f.write_str("the account is locked"),
        }
    }
}

impl std::error::Error for Denied {}

/// Whether this account may ask for this.
pub fn may(account: &Account, request: &Request) -> Result<(), Denied> {
    needs(request).iter().try_for_each(|right| may_use(account, *right))
}

/// Whether this account has this right, for what is no request: accounts and logs of the desk.
pub fn may_use(account: &Account, right: Right) -> Result<(), Denied> {
    match account {
        Account { locked: true, .. } => Err(Denied::Locked),
        Account { must_change: true, .. } => Err(Denied::MustChange),
        Account { role, .. } if role.has(right) => Ok(()),
        Account { role, .. } => Err(Denied::Lacks { role: *role, right }),
    }
}

/// The centres for which an account of a node of `me` may act: its own, and those that it serves from afar.
pub fn centres(account: &Account, me: Site) -> BTreeSet<Site> {
    std::iter::once(me).chain(account.serves.iter().copied()).collect()
}

/// The roles that may ask for this: whom a person is sent to.
pub fn who_may(request: &Request) -> Vec<Role> {
    let needs = needs(request);
    ROLES.into_iter().filter(|role| needs.iter().all(|right| role.has(*right))).collect()
}

/// Whether a request changes something or shows a caller: it is written down before it is done.
pub fn is_audited(request: &Request) -> bool {
    match request {
        Request::New { .. } | Request::Act { .. } | Request::Note { .. } | Request::Reveal { .. } => true,
        Request::When { then, .. } | Request::For { then, .. } => is_audited(then),
        Request::Show { reveal, .. } | Request::Lookup { reveal, .. } => reveal.is_some(),
        Request::File(file) => match file {
            FileRequest::Attach { .. } | FileRequest::AttachEnd { .. } | FileRequest::Fetch { .. } => true,
            FileRequest::List { reveal, .. } => reveal.is_some(),
            FileRequest::AttachPart { .. } | FileRequest::FetchPart { .. } => false,
        },
        // What articles carry is no secret; what is put there is written down: its name, and that it is there.
        Request::Knowledge(KnowledgeRequest::File { file }) => {
            matches!(file, FileRequest::Attach { .. } | FileRequest::AttachEnd { .. })
        }
        Request::Knowledge(request) => !matches!(
            request,
            KnowledgeRequest::List { .. }
                | KnowledgeRequest::Search { .. }
                | KnowledgeRequest::Suggest { .. }
                | KnowledgeRequest::Public { .. }
                | KnowledgeRequest::Told { .. }
                | KnowledgeRequest::Show { .. }
                | KnowledgeRequest::Diff { .. }
        ),
        Request::Policy(request) => {
            matches!(request, PolicyRequest::Set { try_only: false, .. } | PolicyRequest::Withdraw { .. })
        }
        Request::Told { .. }
        | Request::History { .. }
        | Request::Choices { .. }
        | Request::List { .. }
        | Request::Search { .. }
        | Request::Similar { .. }
        | Request::Outside { .. }
        | Request::Changes { .. }
        | Request::Lake(_)
        | Request::Conflicts
        | Request::Status
        | Request::Volume { .. }
        | Request::Calls { .. }
        | Request::Figures { .. }
        | Request::Form { .. }
        | Request::Scorecard { .. }
        | Request::Months { .. }
        | Request::Figured { .. }
        | Request::Digest { .. }
        | Request::Diff { .. }
        | Request::Events => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(role: Role) -> Account {
        Account {
            id: 1,
            name: "li".into(),
            role,
            must_change: false,
            locked: false,
            seen_at: None,
            serves: Vec::new(),
            department: String::new(),
        }
    }

    /// Every request there is, written as it travels, with the first letters of the roles that may ask for it:
    /// Agent, shift-Leader, Handler, Follow-up, Supervisor, auDitor, adMinistrator.
    fn requests() -> Vec<(Request, &'static str)> {
        let act = |act: serde_json::Value| json!({ "ask": "act", "id": "x", "act": act });
        let file = |mut file: serde_json::Value| {
            file["ask"] = json!("file");
            file
        };
        let know = |mut request: serde_json::Value| {
            request["ask"] = json!("knowledge");
            request
        };
        let rule = |mut request: serde_json::Value| {
            request["ask"] = json!("policy");
            request
        };
        let all = vec![
            (json!({ "ask": "new", "tickets": [] }), "AL"),
            (json!({ "ask": "note", "id": "x", "text": "t" }), "ALHFS"),
            (
                json!({ "ask": "when", "states": ["s"], "then": { "ask": "note", "id": "x", "text": "t" } }),
                "ALHFS",
            ),
            (act(json!({ "do": "answer", "text": "t" })), "AL"),
            (act(json!({ "do": "redirect", "to": "12306", "text": "t" })), "AL"),
            (act(json!({ "do": "reject", "reason": "t" })), "AL"),
            (act(json!({ "do": "dispatch", "department": "d", "text": null })), "AL"),
            (act(json!({ "do": "feedback", "text": "t" })), "LH"),
            (act(json!({ "do": "progress", "text": "t" })), "LH"),
            (act(json!({ "do": "pause", "reason": "t" })), "LH"),
            (act(json!({ "do": "extend", "days": 5, "reason": "t", "grant": null })), "LH"),
            (act(json!({ "do": "extend", "days": 5, "reason": "t", "grant": "e" })), "S"),
            (act(json!({ "do": "reply", "text": "t", "confirm": null })), "LH"),
            (act(json!({ "do": "follow-up", "text": "t", "satisfied": true })), "F"),
            (act(json!({ "do": "urge", "text": "t" })), "ALFS"),
            (act(json!({ "do": "supervise", "text": "t" })), "S"),
            (act(json!({ "do": "escalate", "reason": "t" })), "ALS"),
            (act(json!({ "do": "merge", "into": "y" })), "L"),
            (act(json!({ "do": "unmerge", "reason": "t" })), "L"),
            (act(json!({ "do": "keep", "reason": "t" })), "LS"),
            (act(json!({ "do": "release", "reason": "t" })), "LS"),
            (act(json!({ "do": "offer", "to": "370200", "reason": "t" })), "L"),
            (act(json!({ "do": "accept" })), "L"),
            (act(json!({ "do": "decline", "reason": "t" })), "L"),
            (act(json!({ "do": "withdraw" })), "L"),
            (act(json!({ "do": "assign", "to": "370200", "reason": "t" })), "LS"),
            (act(json!({ "do": "recall", "reason": "t" })), "LS"),
            (act(json!({ "do": "close", "result": "t" })), "L"),
            (act(json!({ "do": "reopen", "reason": "t" })), "LFS"),
            (act(json!({ "do": "correct", "facts": { "place": { "to": "p" } } })), "ALH"),
            (file(json!({ "do": "attach", "id": "x", "name": "n", "size": 1, "digest": "d" })), "ALH"),
            (file(json!({ "do": "attach-part", "upload": 1, "at": 0, "hex": "" })), "ALH"),
            (file(json!({ "do": "attach-end", "upload": 1 })), "ALH"),
            (file(json!({ "do": "list", "id": "x" })), "ALHFS"),
            (file(json!({ "do": "list", "id": "x", "reveal": "r" })), "L"),
            (file(json!({ "do": "fetch", "id": "x", "name": "n" })), "ALHFS"),
            (file(json!({ "do": "fetch", "id": "x", "name": "n", "reveal": "r" })), "L"),
            (file(json!({ "do": "fetch-part", "download": 1, "at": 0 })), "ALHFS"),
            (know(json!({ "do": "list", "queue": "all", "limit": 1 })), "ALHFS"),
            (know(json!({ "do": "search", "text": "x", "limit": 1 })), "ALHFS"),
            (know(json!({ "do": "suggest", "text": "x", "limit": 1 })), "ALHFS"),
            (know(json!({ "do": "public", "text": null, "limit": 1 })), "ALHFS"),
            (know(json!({ "do": "told", "id": "x" })), "ALHFS"),
            (know(json!({ "do": "show", "id": "x" })), "ALHFS"),
            (know(json!({ "do": "diff", "id": "x", "from": 1, "to": 2 })), "ALHFS"),
            (know(json!({ "do": "new", "article": {} })), "LHS"),
            (know(json!({ "do": "revise", "id": "x", "article": {} })), "LHS"),
            (know(json!({ "do": "review", "id": "x" })), "LHS"),
            (know(json!({ "do": "publish", "id": "x" })), "LS"),
            (know(json!({ "do": "withdraw", "id": "x", "reason": "r" })), "LS"),
            (know(json!({ "do": "propose", "id": "x" })), "LS"),
            (know(json!({ "do": "adopt", "id": "x" })), "LS"),
            (know(json!({ "do": "import", "articles": [] })), ""),
            (know(json!({ "do": "export", "limit": 1 })), ""),
            (rule(json!({ "do": "list" })), "ALHFSDM"),
            (rule(json!({ "do": "show", "table": "holidays" })), "ALHFSDM"),
            (rule(json!({ "do": "diff", "table": "holidays", "from": 1 })), "ALHFSDM"),
            (rule(json!({ "do": "in-force" })), "ALHFSDM"),
            (
                rule(
                    json!({ "do": "set", "table": "holidays", "rows": "", "from": "2027-01-01", "basis": "b" }),
                ),
                "S",
            ),
            (rule(json!({ "do": "withdraw", "table": "holidays", "edition": 1 })), "S"),
            (json!({ "ask": "show", "id": "x" }), "ALHFS"),
            (json!({ "ask": "show", "id": "x", "reveal": "r" }), "L"),
            (json!({ "ask": "reveal", "id": "x", "reason": "r", "desk": false }), "LHF"),
            (json!({ "ask": "reveal", "id": "x", "reason": "r", "desk": true }), "L"),
            (json!({ "ask": "history", "id": "x", "language": "zh" }), "ALHFS"),
            (json!({ "ask": "choices", "id": "x", "language": "zh" }), "ALHFS"),
            (json!({ "ask": "list", "queue": "all", "limit": 1 }), "ALHFS"),
            (json!({ "ask": "search", "text": "x", "limit": 1 }), "ALHFS"),
            (json!({ "ask": "similar", "text": "x", "limit": 1 }), "ALHFS"),
            (json!({ "ask": "changes", "after": null, "limit": 1 }), "ALHFS"),
            (json!({ "ask": "lookup", "phone": "1", "desk": false, "limit": 1 }), "ALF"),
            (json!({ "ask": "lookup", "phone": "1", "desk": false, "reveal": "r", "limit": 1 }), "LF"),
            (json!({ "ask": "lookup", "phone": "1", "desk": true, "reveal": "r", "limit": 1 }), "L"),
            (json!({ "ask": "conflicts" }), "ALHFS"),
            (json!({ "ask": "status" }), "ALHFSDM"),
            (json!({ "ask": "volume", "days": 7 }), "ALHFSDM"),
            (json!({ "ask": "calls", "from": "2026-11-02", "to": "2026-11-08" }), "LSDM"),
            (json!({ "ask": "figures", "from": "2026-11-01", "to": "2026-11-30", "by": "domain" }), "LSDM"),
            (
                json!({ "ask": "figured", "id": "taken", "from": "2026-11-01", "to": "2026-11-30", "limit": 1 }),
                "LS",
            ),
            (json!({ "ask": "scorecard", "month": "2026-11" }), "LSDM"),
            (json!({ "ask": "months", "limit": 1 }), "LSDM"),
            (json!({ "ask": "freeze", "month": "2026-11" }), "S"),
            (json!({ "ask": "reveals" }), "D"),
            (json!({ "ask": "grant", "id": "x", "to": "370200", "reason": "r" }), ""),
            (json!({ "ask": "erase", "id": "x", "reason": "r" }), ""),
            (json!({ "ask": "export", "limit": 1 }), ""),
            (json!({ "ask": "digest", "peer": "370000" }), ""),
            (json!({ "ask": "diff", "peer": "370000", "limit": 1 }), ""),
            (json!({ "ask": "take-in", "id": "x" }), ""),
            (json!({ "ask": "verify" }), ""),
            (json!({ "ask": "rebuild" }), ""),
            (json!({ "ask": "admit", "kind": "record", "hex": "" }), ""),
            (json!({ "ask": "hold", "step": "begin" }), ""),
            (json!({ "ask": "confirm-clock" }), ""),
            (json!({ "ask": "events" }), ""),
        ];
        all.into_iter().map(|(json, who)| (serde_json::from_value(json).unwrap(), who)).collect()
    }

    #[test]
    fn every_role_may_ask_for_what_the_table_says_and_for_nothing_else() {
        for (request, who) in requests() {
            for (role, letter) in ROLES.into_iter().zip("ALHFSDM".chars()) {
                let may = may(&account(role), &request);
                assert_eq!(may.is_ok(), who.contains(letter), "{role} {request:?}: {may:?}");
            }
            assert_eq!(who_may(&request).len(), who.len());
        }
    }

    #[test]
    fn nobody_does_anything_before_the_first_password_is_changed_or_while_locked() {
        for role in ROLES {
            let fresh = Account { must_change: true, ..account(role) };
            let locked = Account { locked: true, ..account(role) };
            for (request, _) in requests() {
                assert_eq!(may(&fresh, &request), Err(Denied::MustChange));
                assert_eq!(may(&locked, &request), Err(Denied::Locked));
            }
        }
    }

    #[test]
    fn whatever_changes_something_or_shows_a_caller_is_written_down() {
        for (request, _) in requests() {
            let name = serde_json::to_value(&request).unwrap();
            let (ask, act) = (name["ask"].as_str().unwrap(), name["do"].as_str().unwrap_or_default());
            let plain = matches!(
                ask,
                "show"
                    | "history"
                    | "choices"
                    | "list"
                    | "search"
                    | "similar"
                    | "changes"
                    | "lookup"
                    | "conflicts"
                    | "status"
                    | "volume"
                    | "calls"
                    | "figures"
                    | "figured"
                    | "scorecard"
                    | "months"
                    | "digest"
                    | "diff"
                    | "events"
            ) || matches!((ask, act), ("file", "list" | "attach-part" | "fetch-part"))
                || matches!(
                    (ask, act),
                    ("knowledge", "list" | "search" | "suggest" | "public" | "told" | "show" | "diff")
                )
                || matches!((ask, act), ("policy", "list" | "show" | "diff" | "in-force"));
            let revealing = name["reveal"].is_string();
            assert_eq!(is_audited(&request), !plain || revealing, "{name}");
        }
    }

    #[test]
    fn roles_have_names() {
        for role in ROLES {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().unwrap_err().contains("shift-leader"));
    }
}
