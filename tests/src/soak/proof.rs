//! The end of a soak: everything is healed, and then it must be so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use certs::Site;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Acknowledged, CITY, NODES, OFFICE, Plan};
use crate::city::Network;

/// Journeys after which office and city must be found equal when nobody writes any more.
const JOURNEYS: usize = 12;

/// Findings that are told; the rest is counted.
const TOLD: usize = 40;

/// Heals everything, waits for the proofs, and looks at every node. The words of a good end, or what is wrong.
pub(super) fn prove(
    network: &mut Network,
    plan: &Plan,
    acknowledged: &Acknowledged,
    sticks: &TempDir,
    say: &dyn Fn(&str),
) -> Result<String, Vec<String>> {
    network.heal_all();
    network.start_all();
    let began = Instant::now();
    // What sticks bring travels on by lines, and what lines bring waits for the next stick.
    let mut equal = false;
    for journey in 0..JOURNEYS {
        settle(network, plan, began)?;
        equal = carry(network, sticks, journey)?;
        if equal && settled(network) {
            break;
        }
    }
    if !equal {
        return Err(vec![format!("{OFFICE} and {CITY} are not equal after {JOURNEYS} journeys of sticks")]);
    }
    settle(network, plan, began)?;
    let took = began.elapsed();
    say(&format!("every pair is proved equal after {:.0} s; looking at every node", took.as_secs_f64()));
    let mut wrong = Vec::new();
    for node in NODES {
        let said = network.run(node, &["replica", "verify"]);
        if said.code != Some(0) {
            wrong.push(format!("{node} does not verify: {said}"));
        }
    }
    let shown = compare(network, &mut wrong);
    lost(acknowledged, &shown, &mut wrong);
    if wrong.is_empty() {
        return Ok(format!(
            "{} tickets alike wherever they are, {} entries of {} tickets acknowledged and all there, equal {:.0} s after the last trouble",
            shown.len(),
            acknowledged.entries.len(),
            acknowledged.tickets.len(),
            took.as_secs_f64(),
        ));
    }
    let more = wrong.len().saturating_sub(TOLD);
    wrong.truncate(TOLD);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    Err(wrong)
}

fn settled(network: &Network) -> bool {
    NODES.iter().all(|node| network.unproved(node).is_empty())
}

/// Waits until every line is proved equal, within the plan's bound from `began`.
fn settle(network: &Network, plan: &Plan, began: Instant) -> Result<(), Vec<String>> {
    loop {
        let open: Vec<String> = NODES.iter().flat_map(|node| network.unproved(node)).collect();
        if open.is_empty() {
            return Ok(());
        }
        if began.elapsed() > plan.settles_within {
            let bound = plan.settles_within.as_secs();
            return Err(open
                .into_iter()
                .map(|o| format!("not proved equal within {bound} s: {o}"))
                .collect());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A stick there and one back; whether both ends found the other equal and owe nothing.
fn carry(network: &Network, sticks: &TempDir, journey: usize) -> Result<bool, Vec<String>> {
    let mut equal = true;
    for (from, to) in [(OFFICE, CITY), (CITY, OFFICE)] {
        let stick = sticks.path().join(format!("last-{journey}-{from}"));
        std::fs::create_dir_all(&stick).expect("a directory");
        let path = stick.to_str().expect("a plain path");
        let written = network.run(from, &["bundle", "export", "--to", to, "--out", path]);
        let taken = network.run(to, &["bundle", "import", path]);
        let (Some(_), Some(report)) = (written.json(), taken.json()) else {
            return Err(vec![format!("the last stick from {from} to {to}: {written}; {taken}")]);
        };
        equal &= report["equal"][from] == true && report["waiting"] == 0;
    }
    let owes = |node: &str, peer: &str| {
        let status = network.ask(node, &["replica", "status"]);
        let peers = status["peers"].as_array().cloned().unwrap_or_default();
        peers.iter().find(|p| p["node"] == peer).is_none_or(|p| p["outbox"] != 0)
    };
    Ok(equal && !owes(OFFICE, CITY) && !owes(CITY, OFFICE))
}

/// Every ticket is shown alike at every node, and is where its audience says. The tickets of all nodes, by id.
fn compare(network: &Network, wrong: &mut Vec<String>) -> BTreeMap<String, Value> {
    let mut shown: BTreeMap<String, Value> = BTreeMap::new();
    let mut held: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for node in NODES {
        for (id, ticket) in network.tickets(node) {
            held.entry(id.clone()).or_default().insert(node);
            // An hour's tickets fill a memory: what is compared is kept.
            let kept = || json!({ "state_hash": ticket["state_hash"], "audience": ticket["audience"], "trail": ticket["trail"] });
            let first = shown.entry(id.clone()).or_insert_with(kept);
            for field in ["state_hash", "audience"] {
                if first[field] != ticket[field] {
                    wrong.push(format!(
                        "{node} shows {field} of {id} otherwise: {} and {}",
                        first[field], ticket[field]
                    ));
                }
            }
        }
    }
    for (id, ticket) in &shown {
        let sites: BTreeSet<Site> = serde_json::from_value(ticket["audience"].clone()).unwrap_or_default();
        let is_in = |node: &&str| node.parse::<Site>().is_ok_and(|site| sites.contains(&site));
        let wanted: BTreeSet<&str> = NODES.iter().filter(|node| is_in(node)).copied().collect();
        if held.get(id) != Some(&wanted) {
            wrong.push(format!("{id} is at {:?} and belongs to {wanted:?}", held.get(id)));
        }
    }
    shown
}

/// Everything that was acknowledged is there.
fn lost(acknowledged: &Acknowledged, shown: &BTreeMap<String, Value>, wrong: &mut Vec<String>) {
    for (node, id) in &acknowledged.tickets {
        if !shown.contains_key(id) {
            wrong.push(format!("{node} acknowledged the ticket {id}, and it is nowhere"));
        }
    }
    let trails: BTreeMap<&String, String> =
        shown.iter().map(|(id, ticket)| (id, ticket["trail"].to_string())).collect();
    for (node, id, entry) in &acknowledged.entries {
        if !trails.get(id).is_some_and(|trail| trail.contains(entry.as_str())) {
            wrong.push(format!("{node} acknowledged the entry {entry} of {id}, and it is nowhere"));
        }
    }
}
