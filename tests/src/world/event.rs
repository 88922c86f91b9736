//! What happens in the world. Random actions become these before they are applied, so a run is a list that replays.
//!
//! An event that makes no sense where it is applied (a ticket that is not there, a machine that is down) does
//! nothing: a list stays a list when parts of it are left out.

use certs::{NodeName, Site};
use sync::replica::Basis;

use super::article::Saying;
use super::lie::Lie;
use super::machine::CrashPoint;
use super::net::{Pair, Weather};
use super::person::Caller;
use super::stick::Harm;
use super::tamper::Tamper;

/// One thing that happens. Machines are numbers, tickets are the numbers of their calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "`at` is the machine, `ticket` the call's number; the sentences say the rest"
)]
pub enum Event {
    /// So many milliseconds pass.
    Pass(u64),
    /// A caller is heard.
    Call { at: usize, ticket: u32, caller: Caller },
    /// A desk does something to a ticket; with `force` whether it may or not.
    Act { at: usize, ticket: u32, deed: Deed, force: bool },
    /// A note of so many bytes.
    Note { at: usize, ticket: u32, bytes: u32 },
    /// The facts change, and so does the body.
    Edit { at: usize, ticket: u32 },
    /// A file of so many bytes is attached.
    Attach { at: usize, ticket: u32, bytes: u32 },
    /// A desk erases the caller; with `force` whether it may or not.
    Erase { at: usize, ticket: u32, force: bool },
    /// A desk grants the caller's key to a site that asked for it.
    Grant { at: usize, ticket: u32, to: Site },
    /// The bytes of all grants are lost from a disk.
    LoseVault(usize),
    /// A site writes an article.
    Article { at: usize, article: u32 },
    /// A desk says something of an article.
    Say { at: usize, article: u32, saying: Saying },
    /// A newer version writes something.
    Future { at: usize, ticket: u32, what: Future },
    /// A link is cut, until it is mended.
    Cut(Pair),
    /// A cut link is mended.
    Mend(Pair),
    /// A link is cut after so many more frames, and may be dialled again at once.
    CutAmid(Pair, u32),
    /// The weather between two machines changes.
    Weather(Pair, Weather),
    /// Nothing gets from the first to the second any more.
    OneWay(usize, usize),
    /// The power fails in the transaction after so many more, at this point.
    Crash { at: usize, after: u32, point: CrashPoint },
    /// The power fails now.
    PowerCut(usize),
    /// A machine is switched on.
    Start(usize),
    /// A clock is off by so many milliseconds from now on.
    Clock { at: usize, off: i64 },
    /// A disk is copied.
    Backup(usize),
    /// An earlier copy is put in the disk's place.
    Restore { at: usize, which: usize },
    /// A copy of the disk as it is starts on a second machine.
    Clone(usize),
    /// A copy of a running machine, memory and disk, runs beside it.
    Copy(usize),
    /// A node is revoked by an operator at this machine.
    Revoke { node: NodeName, at: usize },
    /// A machine says something on a link that no honest one says.
    Lie { from: usize, to: usize, lie: Lie, salt: u64 },
    /// From now on this is done to what goes from the first to the second.
    Relay { from: usize, to: usize, tamper: Tamper },
    /// A stick is written for the node of a machine.
    Export { from: usize, to: usize, basis: Basis },
    /// A stick, by its number, is read at a machine, whomever it is for.
    Import { at: usize, stick: usize, harm: Harm },
}

/// What a desk does to a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the ops of a trail, by their names")]
pub enum Deed {
    Offer(Site),
    Accept,
    Decline,
    Withdraw,
    Assign(Site),
    Close,
    Reopen,
    Dispatch,
    Feedback,
    Progress,
    Reply,
    Urge,
    Supervise,
    Escalate,
    FollowUp,
}

/// What a newer version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Future {
    /// A handling op that this version does not know.
    Op,
    /// A custody op that this version does not know.
    CustodyOp,
    /// A known op with a field that this version does not know.
    Field,
    /// An item of a kind that this version does not know.
    Item,
}
