//! `hotline bundle inspect`: what is written on the outside, whether it is whole, and with a key what is in it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use sync::parcel::Head;

use super::super::{Cli, Session};
use crate::bundles::{BundleRequest, Opened, Part, find, open};
use crate::hex::hex;
use crate::request::{Failure, FailureKind, Request};

pub(super) fn inspect(cli: &Cli, paths: &[PathBuf]) -> Result<(), Failure> {
    let found = find(paths)?;
    if found.is_empty() {
        return Err(Failure::new(FailureKind::Failed, "there is no bundle in these places")
            .hint("bundles end in .hlb; name the directory that holds them"));
    }
    // Without a data directory the outside is read, and whether all of it is there.
    let mut session = match cli.dir() {
        Ok(dir) => Some(Session::open(&dir)?),
        Err(_) => None,
    };
    let mut said = Vec::new();
    for path in &found {
        said.push(inspect_file(session.as_mut(), path)?);
    }
    match (said.as_slice(), cli.json) {
        ([one], _) => cli.print(one),
        (all, _) => cli.print(&Value::from(all.to_vec())),
    }
    match said.iter().find_map(|s| s["wrong"].as_str()) {
        Some(wrong) => Err(Failure::new(FailureKind::Failed, wrong)),
        None => Ok(()),
    }
}

/// Without a root only this is known: who wrote the head wrote the pages.
fn unchecked(head: &Head) -> String {
    let (from, key) = (head.label.from, head.key);
    format!(
        "head and pages are signed with one key, {key:?}, and nothing was altered since; that it is the key of {from} is only \
         said by the bundle itself: it was checked against no root. Name a node to check it against its root: --dir DIR"
    )
}

fn inspect_file(mut session: Option<&mut Session>, path: &std::path::Path) -> Result<Value, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let wrong = |why: String| Ok(json!({ "file": name, "wrong": why }));
    let (file, size) = match open(path)? {
        Opened::File(file, size) => (file, size),
        Opened::Not(why) => return wrong(why),
    };
    let mut part = match Part::open(file) {
        Ok(part) => part,
        Err(e) => return wrong(e.to_string()),
    };
    let (head, label) = (hex(&part.head_bytes), part.head.label.clone());
    let mut said = json!({
        "file": name, "from": label.from, "to": label.to, "id": label.short(), "number": label.number,
        "part": label.part, "made": crate::china::shown_time(label.made), "bytes": size,
    });
    let mut ask = |page: Option<String>| {
        let request = Request::Bundle(BundleRequest::Inspect { head: head.clone(), page });
        session.as_mut().map(|s| s.ask(&request)).transpose()
    };
    let readable = match ask(None)? {
        Some(outside) => {
            said["sender"] = outside["sender"].clone();
            said["signature"] = outside["signature"].clone();
            said["readable"] = outside["readable"].clone();
            outside["readable"] == true
        }
        None => {
            said["signature"] = unchecked(&part.head).into();
            false
        }
    };
    let (mut seen, mut ended) = (BTreeSet::new(), false);
    let mut holds = serde_json::Map::new();
    loop {
        let page = match part.next_page() {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(e) => {
                said["wrong"] = e.to_string().into();
                break;
            }
        };
        seen.insert(page.index);
        ended |= page.last;
        if !readable {
            continue;
        }
        let Some(inside) = ask(Some(hex(&page.bytes)))? else { continue };
        for (what, n) in inside["holds"].as_object().into_iter().flatten() {
            let before = holds.get(what).and_then(Value::as_u64).unwrap_or(0);
            let n = n.as_u64().unwrap_or(0);
            holds.insert(what.clone(), (before + n).into());
        }
    }
    let missing = seen.last().map_or(0, |last| u64::from(*last) + 1 - seen.len() as u64);
    said["pages"] = seen.len().into();
    said["whole"] = (ended && missing == 0 && part.damaged == 0 && !part.head_damaged).into();
    said["torn"] = (!ended).into();
    said["missing"] = missing.into();
    if readable {
        said["holds"] = Value::Object(holds);
    }
    Ok(said)
}
