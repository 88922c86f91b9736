//! All trails of up to five entries by three sites: every set of honest entries, each written on any part of the
//! trail that somebody might have seen; and up to four entries with the dishonest ones among them.

use std::collections::BTreeSet;

use certs::Site;

use super::super::entry::{Authored, Entry, EntryId, Op};
use super::super::fold::{Folded, fold};
use super::super::may::may;
use super::{assert_sound, create, nameless, renamed, trail_of};

/// A trail in the order in which it was written; the root is first.
type Written = Vec<Authored>;

const SITES: [&str; 3] = ["370000", "370100", "370200"];

/// The causally closed parts of a trail that hold its root.
fn views(written: &Written) -> Vec<Vec<&Authored>> {
    let parts = (0..1u32 << written.len()).filter(|mask| mask & 1 == 1);
    let chosen =
        |mask: u32| written.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1).map(|(_, a)| a);
    let closed = |mask: &u32| {
        let ids: BTreeSet<EntryId> = chosen(*mask).map(|a| a.id).collect();
        chosen(*mask).all(|a| a.entry.parents.iter().all(|p| ids.contains(p)))
    };
    parts.filter(closed).map(|mask| chosen(mask).collect()).collect()
}

/// Every custody op that names something in the view; true: the author may do it as it sees the ticket.
fn acts(view: &[&Authored], seen: &Folded) -> Vec<(Site, Op, bool)> {
    let sites = SITES.map(|s| s.parse::<Site>().unwrap());
    let mut ops = vec![];
    for of in seen.stand.custody.iter().copied() {
        ops.extend(sites.iter().flat_map(|to| [Op::Offer { to: *to, of }, Op::Assign { to: *to, of }]));
        ops.extend([Op::Confirm { of }, Op::Close { of, result: "ok".into() }]);
    }
    for a in view {
        let of = a.id;
        match a.entry.op {
            Op::Offer { .. } => ops.extend([Op::Accept { of }, Op::Decline { of }, Op::Withdraw { of }]),
            Op::Close { .. } => ops.push(Op::Reopen { of }),
            _ => {}
        }
    }
    let by = |op: Op| sites.map(|site| (site, op.clone(), may(seen, site, &op).is_ok()));
    ops.into_iter().flat_map(by).collect()
}

/// Goes through all trails of up to `entries` entries; gives how many there were.
fn all_trails(taken_by: &str, entries: usize, dishonest: bool) -> usize {
    let root = create(taken_by, false);
    let mut level: Vec<Written> = vec![vec![root.clone()]];
    let mut count = 0;
    for size in 2..=entries {
        let mut sets = BTreeSet::new();
        let mut next = Vec::new();
        for written in &level {
            for view in views(written) {
                let seen = fold(&trail_of(&root, view.iter().copied()));
                for (site, op, honest) in acts(&view, &seen) {
                    if !honest && !dishonest {
                        continue;
                    }
                    let mut entry = Entry::new(op, seen.heads.iter().copied(), site.into());
                    entry.reason = Some("r".into());
                    let entry = Authored::from(entry);
                    let mut now = written.clone();
                    if now.iter().any(|a| a.id == entry.id) {
                        continue;
                    }
                    now.push(entry.clone());
                    let set: BTreeSet<EntryId> = now.iter().map(|a| a.id).collect();
                    if !sets.insert(set) {
                        continue;
                    }
                    let folded = fold(&trail_of(&root, &now));
                    let unentitled = folded.unentitled.iter().any(|u| u.entry == entry.id);
                    assert_eq!(unentitled, !honest, "an entry is entitled exactly when `may` said yes");
                    check(&now, &folded);
                    count += 1;
                    if size < entries {
                        next.push(now);
                    }
                }
            }
        }
        level = next;
    }
    count
}

fn check(written: &Written, folded: &Folded) {
    assert_sound(written, folded);
    let other = renamed(written, "x");
    let again = fold(&trail_of(&other[0], other.iter().rev()));
    let (a, b) = (nameless(written, folded), nameless(&other, &again));
    assert_eq!(a, b, "a hash decided something in {written:#?}");
}

#[test]
fn every_honest_trail_of_five_entries() {
    let count = all_trails("370100", 5, false);
    println!("{count} trails");
    assert!(count > 10_000, "{count}");
}

#[test]
fn every_trail_of_a_provinces_call() {
    let count = all_trails("370000", 4, false);
    assert!(count > 300, "{count}");
}

#[test]
fn every_trail_of_four_entries_by_honest_and_dishonest() {
    let count = all_trails("370100", 4, true);
    println!("{count} trails with dishonest entries");
    assert!(count > 10_000, "{count}");
}
