//! Confirms: a superior's node says by itself how a hand-over below it ended, which makes it final.

use std::collections::BTreeSet;

use certs::Site;

use super::may::may;
use super::{Authored, EntryId, Folded, Op, TicketMatter};

/// The confirm that this site owes the ticket, if it owes one.
pub fn due(matter: &TicketMatter, me: Site) -> Option<Op> {
    let folded = matter.folded()?;
    let op = Op::Confirm { of: folded.custody() };
    may(folded, me, &op).ok()?;
    let entries: Vec<&Authored> = matter.entries().collect();
    let known = seen_by_confirms(&entries, me);
    let news = entries
        .iter()
        .any(|e| ends_an_offer(e) && !known.contains(&e.id) && concerns(e, &entries, folded, me));
    news.then_some(op)
}

/// Whether an entry ends an offer: without one no confirm is due.
pub fn ends_an_offer(entry: &Authored) -> bool {
    matches!(entry.entry.op, Op::Accept { .. } | Op::Decline { .. } | Op::Withdraw { .. })
}

/// Whether the two parties of the offer lie below this site, and it is not above their lowest common superior.
fn concerns(entry: &Authored, entries: &[&Authored], folded: &Folded, me: Site) -> bool {
    let offer = entry.entry.op.of().and_then(|of| entries.iter().find(|e| e.id == of));
    let Some((from, to)) = offer.and_then(|o| Some((o.site, o.entry.op.to()?))) else { return false };
    let common = from.common_superior(to);
    let superior = me.is_above(from) || me.is_above(to);
    superior && (common == me || common.is_above(me)) && me != from && me != to && !folded.stand.newer
}

/// Everything in the ancestry of this site's confirms.
fn seen_by_confirms(entries: &[&Authored], me: Site) -> BTreeSet<EntryId> {
    let confirms = entries.iter().filter(|e| e.site == me && matches!(e.entry.op, Op::Confirm { .. }));
    let mut queue: Vec<EntryId> = confirms.map(|e| e.id).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = queue.pop() {
        if seen.insert(id)
            && let Some(entry) = entries.iter().find(|e| e.id == id)
        {
            queue.extend(&entry.entry.parents);
        }
    }
    seen
}
