//! A town lived in by chance: callers, secrets and files over real engines on real directories.
//!
//! The simulated world has persons of its own, unsealed and in memory, and thousands of them. This is the other half:
//! few seeds, and everything real: HPKE and ChaCha20 on every grant and part, `node.db` and `vault.db` that are put back
//! together or one without the other, pieces in folders. What must hold is told by an oracle beside the nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use certs::{NodeName, Site};
use node::files::FileRequest;
use node::request::{Act, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::town::Town;
use crate::world::chance::Chance;
use crate::world::oracle::Called;

/// The nodes of every household.
const NODES: [&str; 6] = ["000000", "370000", "370000-b", "370100", "370200", "510000"];

const DAY_MS: u64 = 86_400_000;

/// Within so many days every holder has granted what those before it did not.
const DAYS: usize = 8;

/// What the oracle knows of a ticket.
struct Ticket {
    called: Called,
    name: String,
    phone: String,
    files: BTreeMap<String, Vec<u8>>,
}

/// See the module.
pub struct Household {
    town: Town,
    chance: Chance,
    tickets: BTreeMap<String, Ticket>,
    backups: Vec<(usize, TempDir)>,
    /// Some disk was replaced: what only it held may be lost.
    put_back: bool,
    /// How often each thing was met.
    pub seen: BTreeMap<&'static str, u64>,
}

fn site(node: &str) -> Site {
    node.parse::<NodeName>().expect("a node's name").site()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// The files below a directory in which one of these words stands in clear.
fn in_clear(dir: &Path, words: &[String]) -> Option<String> {
    std::fs::read_dir(dir).expect("a directory").flatten().find_map(|file| {
        if file.path().is_dir() {
            return in_clear(&file.path(), words);
        }
        let bytes = std::fs::read(file.path()).expect("a file");
        let stands = |word: &&String| bytes.windows(word.len()).any(|w| w == word.as_bytes());
        words.iter().find(stands).map(|word| format!("{word} in {}", file.path().display()))
    })
}

impl Household {
    /// A household of this seed, linked.
    pub fn new(seed: u64) -> Household {
        let mut town = Town::new(&NODES);
        town.link_tree();
        town.settle();
        let chance = Chance::new(seed ^ 0x686f_7573);
        Household {
            town,
            chance,
            tickets: BTreeMap::new(),
            backups: Vec::new(),
            put_back: false,
            seen: BTreeMap::new(),
        }
    }

    /// Lives through so many things, checks after each who sees whom, then heals and checks everything.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn live(&mut self, things: usize) {
        for _ in 0..things {
            let node = self.node();
            self.thing(node);
            self.check_seen(node);
        }
        self.heal();
        self.check_all();
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn node(&mut self) -> &'static str {
        self.chance.pick(&NODES).expect("there are nodes")
    }

    fn ticket(&mut self) -> Option<String> {
        let ids: Vec<&String> = self.tickets.keys().collect();
        self.chance.pick(&ids).cloned()
    }

    fn ask(&mut self, node: &str, request: Request) -> Option<Value> {
        self.town.ask(node, request).ok()
    }

    /// What a failure prints of a ticket: what was said, and what a holder shows.
    fn told(&self, id: &str, shown: &Value) -> String {
        format!("{id}: {:?}\n{shown:#}", self.tickets[id].called)
    }

    fn thing(&mut self, node: &'static str) {
        let turn = self.chance.below(30);
        println!("{} {node}: {turn}", self.town.now);
        match turn {
            0..=4 => self.call(node),
            5..=14 => self.act(node),
            15..=16 => self.attach(),
            17 => self.erase(node),
            18..=19 => self.grant(),
            20..=21 => self.town.link_tree(),
            22 => {
                let other = self.node();
                self.town.cut(node, other);
            }
            23 => {
                let frames = self.chance.below(12) as usize;
                self.town.carry(frames);
            }
            24 => {
                self.town.restart(node);
                self.count("a restart");
            }
            25 => {
                let backup = self.town.backup(node);
                let at = NODES.iter().position(|n| *n == node).expect("a node of the household");
                self.backups.push((at, backup));
            }
            26 => self.put_back(),
            27 => self.town.now += self.chance.below(2 * DAY_MS),
            _ => self.town.settle(),
        }
    }

    fn call(&mut self, node: &'static str) {
        let (name, phone) = (
            format!("来电人{:08x}", self.chance.word() as u32),
            self.chance.between(13_000_000_000, 14_000_000_000).to_string(),
        );
        let confidential = self.chance.hits(30);
        let against = (confidential && self.chance.hits(40)).then(|| site(node));
        let mut ticket = json!({
            "text": "司机途中加价", "type": "投诉举报", "channel": "电话", "caller_name": name, "caller_phone": phone,
            "confidential": confidential,
        });
        if let Some(against) = against {
            ticket["against"] = json!(against.to_string());
        }
        let made = match self.town.ask(node, Request::New { tickets: vec![ticket], user: None }) {
            Ok(made) => made,
            Err(e) => {
                assert_eq!(against, Some(Site::MINISTRY), "a call is taken: {e}");
                return self.count("a report that nobody may see");
            }
        };
        let id = made[0]["id"].as_str().expect("an id").to_owned();
        let called = Called {
            taken_by: site(node),
            confidential,
            against,
            named: BTreeSet::new(),
            asked: BTreeSet::new(),
        };
        println!("  {node} {id}: {called:?}");
        self.tickets.insert(id, Ticket { called, name, phone, files: BTreeMap::new() });
        self.count(if confidential { "a confidential report" } else { "a call" });
    }

    /// The node whose turn it is with a ticket (who is offered it, else who holds it), and whether it is offered one;
    /// as somebody who has the ticket shows it.
    fn turn(&mut self, id: &str) -> Option<(&'static str, bool)> {
        let mut nodes = NODES.to_vec();
        while !nodes.is_empty() {
            let at = nodes.swap_remove(self.chance.below(nodes.len() as u64) as usize);
            let Some(shown) = self.town.show(at, id) else { continue };
            let offered = shown["open_offer"]["to"].as_str();
            let whose = offered.or(shown["custodian"].as_str()).map(site);
            let ours: Vec<&str> = NODES.into_iter().filter(|n| whose == Some(site(n))).collect();
            return Some((self.chance.pick(&ours)?, offered.is_some()));
        }
        None
    }

    fn act(&mut self, node: &'static str) {
        let Some(id) = self.ticket() else { return };
        let Some((whose, offered)) = self.turn(&id) else { return };
        let to = self.node();
        let reason = || "属地不符".to_owned();
        let (node, act) = match self.chance.below(10) {
            0..=4 if offered => (whose, Act::Accept {}),
            0..=4 => (whose, Act::Offer { to: to.to_owned(), reason: reason() }),
            5 => (whose, Act::Decline { reason: reason() }),
            6 => (whose, Act::Close { result: "已处理".to_owned() }),
            _ => (node, Act::Assign { to: to.to_owned(), reason: reason() }),
        };
        if self.town.act(node, &id, act.clone()).is_err() {
            return;
        }
        println!("  {node} {id}: {act:?}");
        let named = match act {
            Act::Offer { .. } if site(to) != Site::MINISTRY => Some(site(to)),
            Act::Assign { .. } => Some(site(to)),
            Act::Accept {} => Some(site(node)),
            _ => None,
        };
        self.tickets.get_mut(&id).expect("it was drawn").called.named.extend(named);
        self.count("an act");
    }

    fn attach(&mut self) {
        let Some(id) = self.ticket() else { return };
        let Some((node, _)) = self.turn(&id) else { return };
        let length = self.chance.between(1, 150_000) as usize;
        let bytes = self.chance.bytes(length);
        let name = format!("照片{:08x}.bin", self.chance.word() as u32);
        let begin = FileRequest::Attach {
            id: id.clone(),
            name: name.clone(),
            size: bytes.len() as u64,
            digest: blake3::hash(&bytes).to_string(),
            media: None,
            user: Some("王芳".to_owned()),
        };
        let Some(begun) = self.ask(node, Request::File(begin)) else { return };
        let upload = begun["upload"].as_u64().expect("an upload");
        for (at, part) in bytes.chunks(200_000).enumerate() {
            let part = FileRequest::AttachPart { upload, at: at as u64 * 200_000, hex: hex(part) };
            self.town.ask(node, Request::File(part)).expect("a part is taken");
        }
        self.town.ask(node, Request::File(FileRequest::AttachEnd { upload })).expect("it is attached");
        self.tickets.get_mut(&id).expect("it was drawn").files.insert(name, bytes);
        self.count("a file attached");
    }

    fn erase(&mut self, node: &'static str) {
        let Some(id) = self.ticket() else { return };
        let node = self.turn(&id).filter(|_| self.chance.hits(60)).map_or(node, |(whose, _)| whose);
        let erase = Request::Erase { id, reason: "保存期满".to_owned(), user: Some("李雷".to_owned()) };
        if self.ask(node, erase).is_some() {
            self.count("a caller erased");
        }
    }

    fn grant(&mut self) {
        let Some(id) = self.ticket() else { return };
        let Some((node, _)) = self.turn(&id) else { return };
        let to = self.node();
        let request = Request::Grant {
            id: id.clone(),
            to: to.to_owned(),
            reason: "部领导批示".to_owned(),
            user: Some("王芳".to_owned()),
        };
        if self.ask(node, request).is_some() {
            self.tickets.get_mut(&id).expect("it was drawn").called.asked.insert(site(to));
            println!("  {node} {id}: grant to {to}");
            self.count("a grant on request");
        }
    }

    /// An earlier disk comes back: both files of it, or one without the other; or the vault is gone.
    fn put_back(&mut self) {
        let which = self.chance.below(self.backups.len() as u64) as usize;
        let Some((at, backup)) = self.backups.get(which) else { return };
        let node = NODES[*at];
        self.put_back = true;
        let (what, files): (_, &[&str]) = match self.chance.below(4) {
            0 => ("both files put back", &["node.db", "vault.db"]),
            1 => ("an old vault beside a new database", &["vault.db"]),
            2 => ("an old database beside a new vault", &["node.db"]),
            _ => ("a vault that is gone", &[]),
        };
        println!("  {node}: {what}");
        self.town.with_disk(node, |dir| {
            let gone: &[&str] = if files.is_empty() { &["vault.db"] } else { files };
            for file in gone {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(dir.join(format!("{file}{end}"))); // it may not be there
                    let from = backup.path().join(format!("{file}{end}"));
                    if !files.is_empty() && from.exists() {
                        std::fs::copy(from, dir.join(format!("{file}{end}"))).expect("a copy");
                    }
                }
            }
        });
        self.count(what);
    }

    /// Whether a node shows a ticket's caller.
    fn sees(&mut self, node: &str, id: &str) -> bool {
        let ask = Request::Show {
            id: id.to_owned(),
            reveal: Some("回访".to_owned()),
            user: Some("王芳".to_owned()),
        };
        let Some(shown) = self.ask(node, ask) else { return false };
        let ticket = &self.tickets[id];
        assert_eq!(shown["person"]["name"], json!(ticket.name), "{id} at {node}");
        assert_eq!(shown["person"]["phone"], json!(ticket.phone), "{id} at {node}");
        true
    }

    /// Nobody sees whom he may not, nor anybody who was erased as far as the node has heard.
    fn check_seen(&mut self, node: &str) {
        let ids: Vec<String> = self.tickets.keys().cloned().collect();
        for id in ids {
            let Some(shown) = self.town.show(node, &id) else { continue };
            let sees = self.sees(node, &id);
            let called = &self.tickets[&id].called;
            assert!(!sees || called.may_see(site(node)), "{node} sees the caller of {id}: {called:?}");
            assert!(!sees || shown["erased"].is_null(), "{node} sees the caller of {id}, who was erased");
        }
    }

    fn heal(&mut self) {
        self.town.link_tree();
        self.town.settle();
        for _ in 0..DAYS {
            self.town.now += DAY_MS + 3_600_000;
            self.town.settle();
        }
    }

    fn check_all(&mut self) {
        self.town.assert_converged();
        let ids: Vec<String> = self.tickets.keys().cloned().collect();
        for id in ids {
            let holders: Vec<&str> = NODES.into_iter().filter(|n| self.town.show(n, &id).is_some()).collect();
            let Some(shown) = holders.first().and_then(|n| self.town.show(n, &id)) else {
                assert!(self.put_back, "{id} is nowhere, and no disk was replaced");
                self.count("a call that only a replaced disk held");
                continue;
            };
            holders.iter().for_each(|node| self.check_seen(node));
            let see: BTreeSet<Site> = holders.iter().filter(|n| self.sees(n, &id)).map(|n| site(n)).collect();
            if !shown["erased"].is_null() {
                assert!(see.is_empty(), "{id} was erased, and {see:?} see the caller");
                assert_eq!(shown["erased"]["missing"], json!([]), "{id}");
                self.count("an erased caller whom nobody sees");
            } else if !see.is_empty() {
                let missing: BTreeSet<Site> = self.readers(&id, &shown).difference(&see).copied().collect();
                assert!(
                    missing.is_empty(),
                    "shown to {see:?} and not to {missing:?}: {}",
                    self.told(&id, &shown)
                );
                self.count("a caller whom all see who may");
            } else {
                assert!(self.put_back, "nobody has a key of {id}, and no disk was replaced");
                self.count("a caller whose key was lost");
            }
            self.check_files(&id, &holders);
        }
        let secrets: Vec<String> =
            self.tickets.values().flat_map(|t| [t.name.clone(), t.phone.clone()]).collect();
        for node in NODES {
            let found = in_clear(&self.town.path(node.parse().expect("a node's name")), &secrets);
            assert_eq!(found, None, "a caller stands in clear at {node}");
            let verified = self.town.ask(node, Request::Verify).expect("a verification");
            assert_eq!(verified["damaged"], json!([]), "{node}");
        }
    }

    /// The sites that the trail, as it is, lets see the caller.
    fn readers(&self, id: &str, shown: &Value) -> BTreeSet<Site> {
        let called = &self.tickets[id].called;
        if called.confidential {
            let all = NODES.into_iter().map(site).filter(|s| called.may_see(*s) && !called.asked.contains(s));
            return all.collect();
        }
        let mut sites: BTreeSet<Site> = called.taken_by.province().into_iter().collect();
        sites.insert(called.taken_by);
        for entry in shown["trail"].as_array().expect("a trail") {
            let to = entry["to"].as_str().map(site);
            match entry["op"].as_str() {
                Some("offer") => sites.extend(to.filter(|to| *to != Site::MINISTRY)),
                Some("assign") => sites.extend(to),
                Some("accept") => sites.extend(entry["site"].as_str().map(site)),
                _ => {}
            }
        }
        sites
    }

    /// A file that any node has whole everybody in the audience has whole, and who has the key reads what was attached.
    fn check_files(&mut self, id: &str, holders: &[&str]) {
        let mut complete: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for node in holders.iter().copied() {
            let list = FileRequest::List { id: id.to_owned(), reveal: None, user: None };
            let rows = self.town.ask(node, Request::File(list)).expect("a list");
            for row in rows.as_array().expect("rows").iter().filter(|row| row["complete"] == true) {
                complete
                    .entry(row["content"].as_str().expect("an address").to_owned())
                    .or_default()
                    .push(node);
            }
        }
        for (content, nodes) in complete {
            assert_eq!(nodes, holders, "who has file {content} of {id}");
            for node in nodes {
                let fetch = FileRequest::Fetch {
                    id: id.to_owned(),
                    name: content.clone(),
                    reveal: Some("核实".to_owned()),
                    user: Some("李强".to_owned()),
                };
                let Some(begun) = self.ask(node, Request::File(fetch.clone())) else {
                    if self.sees(node, id) {
                        let why = self.town.ask(node, Request::File(fetch));
                        let damaged = self.town.ask(node, Request::Verify);
                        panic!(
                            "{node} sees the caller of {id} and cannot read its file: {why:?}; {damaged:?}"
                        );
                    }
                    continue;
                };
                let download = begun["download"].as_u64().expect("a download");
                let mut bytes = Vec::new();
                loop {
                    let part = FileRequest::FetchPart { download, at: bytes.len() as u64 };
                    let part = self.town.ask(node, Request::File(part)).expect("a part");
                    bytes.extend(unhex(part["hex"].as_str().expect("bytes")));
                    if part["end"] == true {
                        break;
                    }
                }
                let name = begun["name"].as_str().expect("a name");
                assert_eq!(self.tickets[id].files.get(name), Some(&bytes), "file {name} of {id} at {node}");
                self.count("a file read elsewhere");
            }
        }
    }
}
