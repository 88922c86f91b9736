//! Who sits at a node.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use node::daemon::ask_running;
use node::request::{Act, Correction, Request, Sift};
use serde_json::{Value, json};

use super::{Dice, OFFICE, Shared};

/// Own tickets that are still acted on.
const IN_HAND: usize = 40;

/// Takes calls and acts on tickets until it is over. A request that is refused, or not heard because the node was killed,
/// promised nothing.
pub(super) fn sit(node: &'static str, dir: &Path, pause: Duration, mut dice: Dice, shared: &Shared) {
    let mut own: Vec<String> = Vec::new();
    while !shared.over.load(Ordering::Relaxed) {
        std::thread::sleep(pause.mul_f64(dice.below(200) as f64 / 100.0));
        // In this order: whoever has a desk rest, and then finds that it does, is not passed by a deed in between.
        let mut seen = shared.rests.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.resting.lock().unwrap_or_else(PoisonError::into_inner).contains(node) {
            seen.insert(node);
            continue;
        }
        seen.remove(node);
        drop(seen);
        let Some(request) = deed(node, dir, &own, &mut dice) else { continue };
        let reply = ask_running(dir, &request).and_then(Result::ok);
        let mut all = shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        match reply {
            None => all.refused += 1,
            Some(said) => match (said[0]["id"].as_str(), said["id"].as_str(), said["entry"].as_str()) {
                (Some(made), ..) => {
                    all.tickets.push((node, made.to_owned()));
                    own.push(made.to_owned());
                    if own.len() > IN_HAND {
                        own.remove(0);
                    }
                }
                (_, Some(id), Some(entry)) => all.entries.push((node, id.to_owned(), entry.to_owned())),
                _ => {}
            },
        }
    }
}

/// What is done next; `None` when there is nothing to do it with.
fn deed(node: &str, dir: &Path, own: &[String], dice: &mut Dice) -> Option<Request> {
    let act =
        |id: &str, act: Act| Some(Request::Act { id: id.to_owned(), act, user: Some("夜班".to_owned()) });
    let is_city = !node.ends_with("0000");
    let kind = dice.below(100);
    if is_city && (kind < 40 || own.is_empty()) {
        let ticket = json!({
            "text": format!("出租车绕路 {}", dice.below(1 << 40)), "type": "投诉举报",
            "caller_phone": format!("138{:08}", dice.below(100_000_000)), "caller_name": "张三",
        });
        return Some(Request::New { tickets: vec![ticket], user: None });
    }
    let reason = || "属地不符".to_owned();
    if !is_city {
        // A superior: moves what is below it, or urges.
        let id = listed(dir, "open", dice)?;
        let below = match node {
            "370000" => ["370100", "370200"][dice.below(2) as usize],
            "320000" => "320100",
            _ => ["370000", "320000", "370200", "320100"][dice.below(4) as usize],
        };
        return match kind {
            ..25 => act(&id, Act::Assign { to: below.to_owned(), reason: reason() }),
            25..35 => act(&id, Act::Recall { reason: reason() }),
            35..70 => act(&id, Act::Urge { text: "请尽快".to_owned() }),
            _ => None,
        };
    }
    let mine = dice.one_of(own)?.clone();
    match kind {
        40..45 => act(&mine, correct(dice)),
        45..60 => act(&mine, Act::Progress { text: "已联系".to_owned() }),
        60..72 => {
            let to = match node {
                OFFICE => "370100",
                _ => *dice.one_of(&["370100", "370200", "320100", "370000", OFFICE])?,
            };
            act(&mine, Act::Offer { to: to.to_owned(), reason: reason() })
        }
        72..88 => {
            let id = listed(dir, "to-accept", dice)?;
            match dice.hits(75) {
                true => act(&id, Act::Accept {}),
                false => act(&id, Act::Decline { reason: reason() }),
            }
        }
        88..94 => act(&mine, Act::Close { result: "已处理".to_owned() }),
        _ => act(&mine, Act::Reopen { reason: "未解决".to_owned() }),
    }
}

/// Mends a fact, as a caller says later where it was.
fn correct(dice: &mut Dice) -> Act {
    let place = Correction { from: None, to: format!("经十路 {} 号", dice.below(1_000)) };
    Act::Correct { facts: [("place".to_owned(), place)].into(), reason: None }
}

/// A ticket of a queue.
fn listed(dir: &Path, queue: &str, dice: &mut Dice) -> Option<String> {
    let list = Request::List { queue: queue.to_owned(), sift: Sift::default(), limit: 20, before: None };
    let rows: Value = ask_running(dir, &list)?.ok()?;
    let row = dice.one_of(rows.as_array()?)?;
    row["id"].as_str().map(str::to_owned)
}
