//! Long trails over forks: up to thirty entries by six sites and their replicas, on whatever part each has seen.

use std::collections::{BTreeMap, BTreeSet};

use certs::{NodeName, Site};
use proptest::prelude::*;
use sync::id::DocId;

use super::super::audience::audience;
use super::super::entry::{Authored, Entry, EntryId, Op};
use super::super::fold::{Folded, fold};
use super::super::may::{may, who_may};
use super::super::trail::Trail;
use super::{assert_sound, create, nameless, renamed, trail_of};

const NODES: [&str; 8] =
    ["000000", "370000", "370000-b", "370100", "370100-b", "370200", "510100", "370100-01"];

/// One step: which entries are seen, by whom, which op, and whether the writer asks `may` first.
type Step = (Vec<usize>, usize, usize, bool);

fn ops(view: &[&Authored], seen: &Folded) -> Vec<Op> {
    let sites: BTreeSet<Site> = NODES.iter().map(|n| n.parse::<NodeName>().unwrap().site()).collect();
    let of = seen.custody();
    let mut ops: Vec<Op> =
        sites.iter().flat_map(|to| [Op::Offer { to: *to, of }, Op::Assign { to: *to, of }]).collect();
    ops.extend([Op::Confirm { of }, Op::Close { of, result: "ok".into() }]);
    for a in view {
        let of = a.id;
        match a.entry.op {
            // More often than once: answers make custody move.
            Op::Offer { .. } => {
                ops.extend([Op::Accept { of }, Op::Accept { of }, Op::Decline { of }, Op::Withdraw { of }])
            }
            Op::Close { .. } => ops.push(Op::Reopen { of }),
            Op::Extend { of: None, .. } => ops.push(Op::Extend { of: Some(of), days: None }),
            Op::Reply { .. } => ops.push(Op::Reply { of: Some(of) }),
            _ => {}
        }
    }
    let (department, into) = ("客运处".into(), DocId::from_bytes([1; 32]));
    ops.extend([
        Op::Answer,
        Op::Dispatch { department },
        Op::Feedback,
        Op::Pause,
        Op::Extend { of: None, days: None },
    ]);
    ops.extend([
        Op::Reply { of: None },
        Op::FollowUp { satisfied: None },
        Op::Urge,
        Op::Supervise,
        Op::Escalate,
    ]);
    ops.extend([
        Op::Merge { into },
        Op::Unmerge,
        Op::Keep,
        Op::Correct { facts: BTreeMap::new() },
        Op::Unknown("score".into()),
    ]);
    ops
}

/// Everything below these entries, with them.
fn view<'a>(written: &'a [Authored], picks: &[usize]) -> Vec<&'a Authored> {
    let mut known: BTreeSet<EntryId> = BTreeSet::from([written[0].id]);
    let mut open: Vec<EntryId> = picks.iter().map(|p| written[p % written.len()].id).collect();
    while let Some(id) = open.pop() {
        if known.insert(id) {
            open.extend(&written.iter().find(|a| a.id == id).unwrap().entry.parents);
        }
    }
    written.iter().filter(|a| known.contains(&a.id)).collect()
}

fn tell(steps: &[Step]) -> Vec<Authored> {
    let mut written = vec![create("370100", false)];
    for (n, (picks, node, op, honest)) in steps.iter().enumerate() {
        let view = view(&written, picks);
        let seen = fold(&trail_of(&written[0], view.iter().copied()));
        let mut node: NodeName = NODES[node % NODES.len()].parse().unwrap();
        let mut ops = ops(&view, &seen);
        if *honest {
            let who = |op: &Op| who_may(&seen, op).first().copied();
            ops.retain(|op| who(op).is_some());
            let Some(chosen) = ops.get(op % ops.len().max(1)) else { continue };
            let able = |n: &NodeName| may(&seen, n.site(), chosen).is_ok();
            if !able(&node) {
                let others = NODES.iter().map(|n| n.parse().unwrap());
                node = others.into_iter().find(able).unwrap_or(node);
            }
        }
        let chosen = ops[op % ops.len()].clone();
        let granted = may(&seen, node.site(), &chosen).is_ok();
        let mut entry = Entry::new(chosen, seen.heads.iter().copied(), node);
        (entry.reason, entry.text) = (Some("r".into()), Some(n.to_string()));
        let entry = Authored::from(entry);
        let after = fold(&trail_of(&written[0], view.into_iter().chain([&entry])));
        assert_eq!(after.unentitled.iter().all(|u| u.entry != entry.id), granted, "may and the fold agree");
        written.push(entry);
    }
    written
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step =
        (prop::collection::vec(0usize..64, 1..4), 0usize..64, 0usize..4096, prop::bool::weighted(0.85));
    prop::collection::vec(step, 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_trails_fold_soundly_and_alike(steps in steps(30), order in any::<u64>()) {
        let written = tell(&steps);
        let folded = fold(&trail_of(&written[0], &written));
        assert_sound(&written, &folded);

        // Any order of arrival.
        let mut shuffled: Vec<&Authored> = written.iter().collect();
        shuffled.sort_by_key(|a| blake3::hash(&[a.id.as_bytes(), &order.to_le_bytes()[..]].concat()).to_hex().to_string());
        let again = fold(&trail_of(&written[0], shuffled));
        prop_assert_eq!(serde_json::to_vec(&again).unwrap(), serde_json::to_vec(&folded).unwrap());
        prop_assert_eq!(again.state_hash(), folded.state_hash());

        // No entry's own hash decides anything.
        let other = renamed(&written, "x");
        let renamed = fold(&trail_of(&other[0], &other));
        prop_assert_eq!(nameless(&written, &folded), nameless(&other, &renamed));

        // What arrives later changes no entitlement, and the audience only grows.
        let mut trail: Option<Trail> = None;
        let mut before: Option<Folded> = None;
        for a in &written {
            let trail = trail.get_or_insert_with(|| trail_of(&written[0], []));
            trail.insert(a.clone());
            let now = fold(trail);
            if let Some(before) = before {
                prop_assert!(before.unentitled.iter().all(|u| now.unentitled.contains(u)));
                prop_assert!(now.unentitled.iter().all(|u| u.entry == a.id || before.unentitled.contains(u)));
                prop_assert!(audience(&before).is_subset(&audience(&now)));
            }
            before = Some(now);
        }
    }
}
