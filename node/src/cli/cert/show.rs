//! What can be shown of identities, authorities and enrolment files: everything but their secrets.

use std::path::Path;

use certs::{Authority, Identity, Request, Response, Subject, UnixTime};
use serde_json::{Value, json};

use super::enrol::read_text;
use super::{day, failed, unreadable};
use crate::cli::{Cli, show};
use crate::request::Failure;

/// What an authority has issued, the oldest first, and what of it holds.
pub(super) fn list(authority: &Authority, cli: &Cli, now: UnixTime) -> Result<(), Failure> {
    let rows: Vec<Value> = authority
        .issued()
        .iter()
        .map(|issued| {
            let revoked = authority.revoked().iter().find(|r| r.serial == issued.serial);
            let standing = match revoked {
                Some(_) => "revoked",
                None if issued.until < now => "ended",
                None => "valid",
            };
            let (kind, name) = match issued.subject {
                Subject::Node(node) => ("node", node.to_string()),
                Subject::Authority(site) => ("authority", site.to_string()),
            };
            json!({
                "name": name, "kind": kind, "standing": standing, "from": day(issued.from),
                "until": day(issued.until), "serial": issued.serial.to_string(),
                "reason": revoked.map(|r| format!("{:?}", r.reason)), "revoked_at": revoked.map(|r| day(r.at)),
                "counts": revoked.map(|r| r.counts.len()),
            })
        })
        .collect();
    match cli.json {
        true => cli.print(&json!({ "jurisdiction": authority.jurisdiction().to_string(), "issued": rows })),
        false => show::table(&rows),
    }
    Ok(())
}

/// One thing, known by its files or by its first line.
pub(super) fn show(path: &Path, now: UnixTime) -> Result<Value, Failure> {
    if path.is_file() {
        let text = read_text(path)?;
        return match Request::from_pem(&text) {
            Ok(request) => Ok(json!({
                "request": request.node, "name": request.node.dns(),
                "fingerprint": request.fingerprint().to_string(),
            })),
            Err(why) => match Response::from_pem(&text) {
                Ok(response) => Ok(json!({
                    "response": true, "root": response.root().fingerprint().to_string(),
                    "lists": response.lists().len(),
                })),
                Err(_) => Err(unreadable(path, why)),
            },
        };
    }
    if path.join("ca.crt").exists() {
        let authority = Authority::load(path).map_err(failed)?;
        return Ok(json!({
            "authority": authority.jurisdiction().to_string(), "until": day(authority.until()),
            "root": authority.trusted_root().fingerprint().to_string(),
            "issued": authority.issued().len(), "revoked": authority.revoked().len(),
        }));
    }
    let inside = path.join(crate::engine::IDENTITY);
    let identity =
        Identity::load(if inside.exists() { &inside } else { path }).map_err(|e| unreadable(path, e))?;
    let leaf = &identity.record().leaf;
    Ok(json!({
        "node": identity.node(),
        "name": identity.node().dns(),
        "from": day(leaf.from),
        "until": day(leaf.until),
        "days_left": now.days_until(leaf.until),
        "root": identity.root().fingerprint().to_string(),
        "record": identity.record().number,
    }))
}
