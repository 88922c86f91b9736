//! The facts of the clock as plain data: what deadlines will be computed from, with the times that the entries claim.
//!
//! ```text
//! {"rule":"…","policy":"…","taken_by":"…","began":[{entry,at}],"custody_began":[…],"dispatched":[…],"replied":[…],"stopped":[…],"reopened":[…],
//!  "paused":[{"from":{entry,at},"until":[{entry,at}]}],"extensions":[{"request":{entry,at,days},"granted":[…]}]}
//! ```

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::entry::{Authored, EntryId, Op};
use super::fold::Folded;

/// The field of a create entry that names the limits in force when the ticket was made, as [`crate::reference::Held`] names them. A
/// version that knows no such limits keeps it, and follows `rule`.
pub const POLICY: &str = "policy";

/// The facts of the clock of a ticket with these entries.
pub fn times<'a>(folded: &Folded, entries: impl Iterator<Item = &'a Authored>) -> Value {
    let all: BTreeMap<EntryId, &Authored> = entries.map(|e| (e.id, e)).collect();
    let one = |id: &EntryId| {
        let entry = all.get(id).map(|e| &e.entry);
        let mut shown = json!({ "entry": id, "at": entry.and_then(|e| e.at.clone()) });
        if let Some(Op::Extend { days: Some(days), .. }) = entry.map(|e| &e.op) {
            shown["days"] = json!(days);
        }
        shown
    };
    let many = |ids: &[EntryId]| ids.iter().map(one).collect::<Vec<Value>>();
    let clock = &folded.clock;
    let pauses = clock.pauses.iter().map(|p| json!({ "from": one(&p.from), "until": many(&p.until) }));
    let extensions =
        clock.extensions.iter().map(|e| json!({ "request": one(&e.request), "granted": many(&e.granted) }));
    // What its maker knew to be in force, if a site had set anything.
    let began = clock.created.first().and_then(|id| all.get(id));
    let policy = began.and_then(|e| e.entry.extra.get(POLICY)).and_then(Value::as_str);
    json!({
        "rule": folded.created.rule,
        "policy": policy,
        "taken_by": folded.stand.taken_by,
        "began": many(&clock.created),
        "custody_began": many(&clock.accepted),
        "dispatched": many(&clock.dispatched),
        "replied": many(&clock.replied),
        "stopped": many(&clock.closed),
        "reopened": many(&clock.reopened),
        "paused": pauses.collect::<Vec<_>>(),
        "extensions": extensions.collect::<Vec<_>>(),
    })
}
