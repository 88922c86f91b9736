//! The scenarios that must hold, each once with real processes and real QUIC on 127.0.0.1.
//!
//! Every story makes its own certificates with the program, runs its nodes as processes, and cuts links in relays
//! between them. What `assert_converged` means stands in `world::city`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT};
use certs::{Identity, NodeName};
use node::daemon::ask_running;
use node::request::Request;
use node::roll::Roll;
use node::ticket::entry::Create;
use node::ticket::{Entry, EntryId, Op, TicketMatter};
use serde_json::json;
use sync::chunk::{self, ChangeChunk};
use sync::document::Document;
use sync::id::{DocId, Incarnation};
use sync::item::{Item, Kind};
use sync::matter::Domain;
use sync::replica::Replica;
use sync::seal::{self, Seal, Words};
use sync::store::sqlite::Sqlite;
use sync::store::{self, Durable, Store};
use sync::trust::Trust;
use sync::wire::{DocPart, DocRef, Frame, ItemPart, Load, SealPart};
use world::city::{Harm, Hostile, Network, Program, copy, free, until};

static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::new(env!("CARGO_BIN_EXE_hotline-under-test")));

/// These nodes as a tree, running and proved equal.
fn linked(nodes: &[&str]) -> Network {
    let mut network = Network::new(&PROGRAM, nodes);
    network.link_tree();
    network.start_all();
    network.settle();
    network
}

fn offer(network: &Network, from: &str, id: &str, to: &str) {
    network.ask(from, &["ticket", "offer", id, "--to", to, "--reason", "属地不符"]);
}

fn close(network: &Network, node: &str, id: &str) {
    network.ask(node, &["ticket", "close", id, "--result", "已处理"]);
}

fn entries(ticket: &serde_json::Value) -> usize {
    ticket["trail"].as_array().unwrap().len()
}

#[test]
fn a_week_with_every_link_cut_and_then_all_converge() {
    let mut network = linked(&["000000", "370000", "510000", "370100", "370200", "510100"]);
    network.cut_all();
    let mut taken = Vec::new();
    for day in 0..3 {
        for city in ["370100", "370200", "510100"] {
            let id = network.call(city, &format!("出租车拒载,第 {day} 天"));
            network.ask(city, &["ticket", "dispatch", &id, "--to", "运管处"]);
            network.ask(city, &["ticket", "feedback", &id, "属实"]);
            network.ask(city, &["ticket", "reply", &id, "已回复"]);
            close(&network, city, &id);
            taken.push(id);
        }
    }
    assert!(taken.iter().all(|id| !network.holds("000000", id)), "a cut link carries nothing");
    network.heal_all();
    network.assert_converged();
    let held = network.tickets("000000");
    assert_eq!(held.len(), taken.len());
    assert!(taken.iter().all(|id| held[id]["stage"] == "closed"));
}

#[test]
fn a_superiors_assign_beats_an_accept_that_had_not_heard_of_it() {
    let mut network = linked(&["000000", "370000", "370100", "370200"]);
    let id = network.call("370100", "跨市班车中途甩客");
    offer(&network, "370100", &id, "370200");
    network.settle();
    network.cut("370200", "370000");
    network.ask("370000", &["ticket", "assign", &id, "--to", "370100", "--reason", "始发地负责"]);
    network.ask("370200", &["ticket", "accept", &id]);
    network.ask("370200", &["ticket", "note", &id, "已联系车主"]);
    network.settle();
    assert_eq!(network.show("370200", &id)["custodian"], "370200", "it believes so until it hears");
    network.heal("370200", "370000");
    network.assert_converged();
    for node in ["370100", "370200", "370000", "000000"] {
        let ticket = network.show(node, &id);
        assert_eq!(ticket["custodian"], "370100", "{node}");
        assert_eq!(ticket["superseded"].as_array().unwrap().len(), 1, "{node}");
        assert_eq!(ticket["superseded"][0]["reason"], json!({ "superior": "370000" }), "{node}");
        assert_eq!(ticket["notes"].as_object().unwrap().len(), 1, "{node}: no note is lost");
    }
}

#[test]
fn up_and_down_the_tiers_with_every_step_accepted() {
    let network = linked(&["000000", "370000", "510000", "370100", "510100"]);
    let id = network.call("370100", "外省客车超员");
    for (from, to) in [("370100", "370000"), ("370000", "000000"), ("000000", "510000"), ("510000", "510100")]
    {
        offer(&network, from, &id, to);
        network.settle();
        network.ask(to, &["ticket", "accept", &id]);
        network.settle();
    }
    network.assert_converged();
    assert_eq!(network.show("370100", &id)["custodian"], "510100");
    let refused = network.run("370000", &["ticket", "assign", &id, "--to", "370100", "--reason", "不归我省"]);
    assert_eq!(refused.code, Some(1), "a superior assigns only within its own jurisdiction: {refused}");
}

#[test]
fn straight_across_provinces_with_each_link_on_the_way_cut_in_turn() {
    let mut network = linked(&["000000", "370000", "510000", "370100", "370200", "510100"]);
    let way = [("370100", "370000"), ("370000", "000000"), ("510000", "000000"), ("510100", "510000")];
    for (a, b) in way {
        network.cut(a, b);
        let id = network.call("370100", "外省出租车绕路");
        offer(&network, "370100", &id, "510100");
        network.settle();
        assert!(!network.holds("510100", &id), "{a} - {b} is on the only way there is");
        network.heal(a, b);
        network.settle();
        network.show("510100", &id);
        network.ask("510100", &["ticket", "accept", &id]);
        network.settle();
        assert_eq!(network.show("370100", &id)["custodian"], "510100");
        assert!(!network.holds("370200", &id), "no other city receives it");
    }
    network.assert_converged();
}

#[test]
fn two_replicas_of_one_site_close_and_offer_at_once() {
    let mut network = linked(&["000000", "370000", "370000-b", "370100", "370200"]);
    let id = network.call("370100", "高速收费站拥堵");
    offer(&network, "370100", &id, "370000");
    network.settle();
    network.ask("370000", &["ticket", "accept", &id]);
    network.settle();
    for other in ["370000-b", "370100", "370200", "000000"] {
        network.cut("370000", other);
    }
    close(&network, "370000", &id);
    offer(&network, "370000-b", &id, "370200");
    network.settle();
    network.heal_all();
    network.assert_converged();
    let ticket = network.show("370100", &id);
    assert_eq!(ticket["stage"], "offered", "the close did not know of the offer");
    assert_eq!(ticket["proposals"].as_array().unwrap().len(), 1, "it is kept as a proposal");
}

#[test]
fn one_replica_of_the_province_is_down_for_a_day_and_the_other_acts() {
    let mut network = linked(&["000000", "370000", "370000-b", "370100", "370200"]);
    network.kill("370000");
    let id = network.call("370100", "货车遗撒");
    network.settle();
    network.ask("370000-b", &["ticket", "assign", &id, "--to", "370200", "--reason", "管辖在青岛"]);
    network.settle();
    assert_eq!(network.show("370100", &id)["custodian"], "370200");
    close(&network, "370200", &id);
    network.start("370000");
    network.assert_converged();
    assert_eq!(network.show("370000", &id)["stage"], "closed");
}

#[test]
fn a_stale_provinces_recall_has_no_effect_once_the_ministry_has_confirmed() {
    let mut network = Network::new(&PROGRAM, &["000000", "370000", "510000", "370100", "510100"]);
    network.link_tree();
    network.link("370100", "510100");
    network.start_all();
    network.settle();
    let id = network.call("370100", "跨省非法营运");
    offer(&network, "370100", &id, "510100");
    network.settle();
    // The province stays behind; the two cities have a line of their own.
    network.cut("370000", "000000");
    network.cut("370000", "370100");
    network.ask("510100", &["ticket", "accept", &id]);
    until("the ministry's confirm has come", || {
        let trail = network.show("370100", &id)["trail"].clone();
        let confirms = |e: &serde_json::Value| e["op"] == "confirm" && e["site"] == "000000";
        if trail.as_array().unwrap().iter().any(confirms) { Ok(()) } else { Err(trail.to_string()) }
    });
    network.ask("370000", &["ticket", "recall", &id, "--reason", "仍由我省办理"]);
    assert_eq!(network.show("370000", &id)["custodian"], "370000", "so it believes");
    network.heal_all();
    network.assert_converged();
    for node in ["370000", "370100", "510100", "000000"] {
        let ticket = network.show(node, &id);
        assert_eq!(ticket["custodian"], "510100", "{node}");
        // The recall; and its confirm, where the other province's word reached its own before the ministry's did.
        let beaten = |e: &&serde_json::Value| {
            ticket["superseded"].as_array().unwrap().iter().any(|one| one["entry"] == e["id"])
        };
        let trail = ticket["trail"].as_array().unwrap();
        let lost: Vec<_> = trail.iter().filter(beaten).map(|e| (&e["site"], &e["op"])).collect();
        let (recall, confirm) = ((&"370000".into(), &"assign".into()), (&"370000".into(), &"confirm".into()));
        assert!(lost == [recall] || lost == [recall, confirm], "{node}: {ticket:#}");
    }
}

#[test]
fn last_weeks_database_is_put_back_and_the_node_heals_by_itself() {
    let mut network = linked(&["000000", "370000", "370100"]);
    let old = network.call("370100", "公交晚点");
    network.settle();
    network.stop("370100");
    let backup = tempfile::tempdir().unwrap();
    copy(&network.at("370100"), backup.path());
    network.start("370100");
    let later: Vec<String> =
        (0..8).map(|i| network.call("370100", &format!("备份以后的第 {i} 件"))).collect();
    close(&network, "370100", &old);
    network.settle();
    let given: Vec<_> = network.tickets("370000").into_values().map(|t| t["number"].clone()).collect();

    network.stop("370100");
    std::fs::copy(backup.path().join("node.db"), network.at("370100").join("node.db")).unwrap();
    assert_eq!(network.tickets("370100").len(), 1, "it is last week's");
    let early = network.call("370100", "恢复以后、联网以前的一件");
    network.start("370100");
    network.told("370100", "this node is an old copy of itself");
    network.assert_converged();
    let lines = network.events("370100");
    assert_eq!(lines.iter().filter(|l| l.contains("an old copy of itself")).count(), 1, "{lines:#?}");
    let after = network.call("370100", "恢复以后的一件");
    network.assert_converged();
    let (here, there) = (network.tickets("370100"), network.tickets("370000"));
    for id in later.iter().chain([&early, &after]) {
        assert!(here.contains_key(id) && there.contains_key(id));
    }
    assert!([early, after].iter().all(|id| !given.contains(&here[id]["number"])), "a number was given twice");
    assert_eq!(here[&old]["stage"], "closed", "what the peers hold came back");
    assert!(network.ask("370100", &["replica", "verify"])["damaged"].as_array().unwrap().is_empty());
}

#[test]
fn two_clones_run_at_once_and_both_write() {
    let mut network = linked(&["000000", "370000", "370100"]);
    network.call("370100", "克隆以前的一件");
    network.settle();
    network.stop("370100");
    let clone_dir = network.at("clone");
    copy(&network.at("370100"), &clone_dir);
    network.start("370100");
    network.settle();
    let [address] = free();
    let mut clone = network.start_copy("370100", &clone_dir, address);
    network.told("370000", "a copy of this node is running");
    let told = |words: &str| {
        let events = PROGRAM.ask(&clone_dir, &["replica", "events"]).to_string();
        if events.contains(words) { Ok(()) } else { Err(events) }
    };
    until("the clone is told", || told("a copy of this node is running"));

    let here = network.call("370100", "原机上的一件");
    let made = PROGRAM.ask(&clone_dir, &["ticket", "new", "--text", "克隆机上的一件"]);
    let there = made["id"].as_str().unwrap().to_owned();
    network.settle();
    // The one goes, the other is let in: two seals bear one number now, and everybody hears of it.
    network.kill("370100");
    network.show("370000", &there);
    network.told("370000", "two seals of 370100 bear the number");
    clone.kill();
    network.start("370100");
    network.assert_converged();
    for node in ["000000", "370000", "370100"] {
        let held = network.tickets(node);
        assert!(held.contains_key(&here) && held.contains_key(&there), "{node} lost a ticket");
        assert_eq!(entries(&held[&here]), 1);
    }
}

/// What a hostile province does with the batches that it passes on to the ministry.
fn towards_the_ministry(mut harm: impl FnMut(u64, Load) -> Vec<Frame> + Send + 'static) -> Harm {
    Box::new(move |peer, frame| match frame {
        Frame::Batch { id, load } if peer.to_string() == "000000" => {
            let load = Load::unpack(&load).unwrap();
            harm(id, load).iter().map(Frame::to_bytes).collect()
        }
        other => vec![other.to_bytes()],
    })
}

/// A ministry, two replicas of a province and a city; the first replica is hostile, the second is not there yet.
fn with_hostile_province(harm: Harm) -> (Network, Hostile) {
    let mut network = Network::new(&PROGRAM, &["000000", "370000", "370000-b", "370100"]);
    network.link_tree();
    network.start("000000");
    network.start("370100");
    let hostile = network.start_hostile("370000", harm);
    (network, hostile)
}

/// The honest way opens, and everything arrives by it whatever the other one did.
fn honest_way_opens(network: &mut Network, hostile: Hostile, id: &str) {
    network.start("370000-b");
    network.show("000000", id);
    drop(hostile);
    network.start("370000");
    network.assert_converged();
    assert_eq!(network.show("000000", id)["custodian"], "370100");
    assert!(network.ask("000000", &["replica", "verify"])["damaged"].as_array().unwrap().is_empty());
}

#[test]
fn a_relaying_province_alters_a_citys_change() {
    let (mut network, hostile) = with_hostile_province(towards_the_ministry(|id, mut load| {
        for item in load.docs.iter_mut().flat_map(|d| &mut d.items).filter(|i| i.kind == 1) {
            let last = item.bytes.len() - 2;
            item.bytes[last] ^= 1;
        }
        vec![Frame::Batch { id, load: load.pack() }]
    }));
    let id = network.call("370100", "改不得的一件");
    let line = network.told("000000", "370000");
    network.told("000000", "370000 sent something that no version says");
    assert!(!network.holds("000000", &id), "an altered change is taken: {line}");
    honest_way_opens(&mut network, hostile, &id);
}

#[test]
fn a_relaying_province_drops_a_citys_change_and_the_digest_shows_it() {
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = dropped.clone();
    let drop_documents = move || {
        let seen = seen.clone();
        let mut harm = towards_the_ministry(move |id, load| {
            if load.docs.is_empty() {
                return vec![Frame::Batch { id, load: load.pack() }];
            }
            seen.store(true, Ordering::Relaxed);
            Vec::new()
        });
        // It does not count what it drops: a digest that counts what never comes is never compared.
        let harm: Harm = Box::new(move |peer, frame| match frame {
            Frame::Hello(mut hello) if peer.to_string() == "000000" => {
                (hello.digest.sent, hello.more) = (0, false);
                vec![Frame::Hello(hello).to_bytes()]
            }
            other => harm(peer, other),
        });
        harm
    };
    let (mut network, hostile) = with_hostile_province(drop_documents());
    let id = network.call("370100", "压下的一件");
    until("the province has dropped it", || {
        if dropped.load(Ordering::Relaxed) { Ok(()) } else { Err("not yet".to_owned()) }
    });
    // On a new connection both sides say what they hold, and no counter hides what did not come.
    drop(hostile);
    let hostile = network.start_hostile("370000", drop_documents());
    network.told("000000", "this node and 370000 hold different items");
    let status = network.ask("000000", &["replica", "status"]);
    let province = status["peers"].as_array().unwrap().iter().find(|p| p["node"] == "370000").unwrap();
    assert_eq!(province["digest_equal"], false);
    assert!(!network.holds("000000", &id));
    honest_way_opens(&mut network, hostile, &id);
}

/// A ticket that 370100 is said to have taken, under the seal of whose identity this is.
fn invented(identity: Identity) -> (String, Load) {
    let (me, roll) = (identity.node(), Roll::new(Arc::new(identity)));
    let city: NodeName = "370100".parse().unwrap();
    let create = Create {
        kind: "ticket".to_owned(),
        schema: 1,
        number: "JT370100202611240E0000Y".to_owned(),
        site: city.site(),
        confidential: false,
        against: None,
        reported: true,
        rule: "built-in 1".to_owned(),
        declines: None,
    };
    let entry = Entry::new(Op::Create(Box::new(create)), [], city).to_bytes();
    let life = Incarnation::from_bytes([9; 8]);
    let composed = Document::empty(DocId::from_bytes([0; 32])).compose(city, life, |tx| {
        for part in ["facts", "person", "trail", "notes", "files"] {
            let made = tx.put_object(ROOT, part, ObjType::Map)?;
            if part == "trail" {
                tx.put(&made, EntryId::of(&entry).to_string(), entry.clone())?;
            }
        }
        tx.put_object(ROOT, "body", ObjType::Text).map(drop)
    });
    let bytes = composed.unwrap().unwrap();
    let change = ChangeChunk::parse(&bytes).unwrap();
    let doc = DocId::from(change.hash());
    let words = Words {
        suite: seal::SUITE,
        node: me,
        incarnation: life,
        number: 1 << 20,
        previous: None,
        count: 1,
        root: seal::leaf(&doc, &change.hash()),
    };
    let seal = Seal::make(words, |words| roll.sign(words));
    let item = ItemPart { kind: Kind::CHANGE.number(), seal: 0, bytes: chunk::pack(&change, &[], |_| true) };
    let load = Load {
        directory: Vec::new(),
        seals: vec![SealPart { seal, places: Vec::new(), twigs: Vec::new() }],
        docs: vec![DocPart { doc: DocRef::New, items: vec![item] }],
    };
    (doc.to_string(), load)
}

#[test]
fn a_relaying_province_invents_a_citys_ticket() {
    let mut network = Network::new(&PROGRAM, &["000000", "370000", "370000-b", "370100"]);
    network.link_tree();
    network.start("000000");
    network.start("370100");
    let (made_up, load) = invented(Identity::load(&network.at("370000").join("identity")).unwrap());
    let mut once = Some(load);
    let hostile = network.start_hostile(
        "370000",
        towards_the_ministry(move |id, honest| {
            let frame = |id, load: Load| Frame::Batch { id, load: load.pack() };
            let invention = once.take_if(|_| !honest.docs.is_empty()).map(|load| frame(id ^ 1, load));
            [frame(id, honest)].into_iter().chain(invention).collect()
        }),
    );
    let id = network.call("370100", "真的一件");
    network.show("000000", &id);
    let line = network.told("000000", "by 370000: ");
    assert!(line.starts_with("refused ") && line.contains(&made_up[..8]), "{line}");
    let shown = network.run("000000", &["ticket", "show", &made_up]);
    assert_ne!(shown.code, Some(0), "{line}, and yet it is shown: {shown}");
    assert_eq!(network.ask("000000", &["replica", "status"])["refused"], 1);
    honest_way_opens(&mut network, hostile, &id);
}

/// Three provinces that say what no version says; each is cut off with a reason, and the fourth notices nothing.
#[test]
fn malformed_oversized_and_exploding_frames_cost_their_sender_the_link() {
    let provinces = ["110000", "370000", "510000"];
    let mut network = Network::new(&PROGRAM, &["000000", "110000", "370000", "440000", "510000"]);
    network.link_tree();
    network.start("000000");
    network.start("440000");
    network.settle();
    // The 64 MiB of zeros are two kilobytes on the wire.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    let attacks = [vec![1, 2, 3], vec![9; 2 << 20], Frame::Batch { id: 1, load: bomb }.to_bytes()];
    let lines = [
        ("110000", ["sent something that no version says", "cannot be read"]),
        ("370000", ["370000 sent a frame of 2097152 bytes", "are allowed"]),
        ("510000", ["sent something that no version says", "does not unpack"]),
    ];
    let _hostile: Vec<Hostile> = provinces
        .iter()
        .zip(attacks)
        .map(|(province, attack)| {
            // In the place of its first digest, so that the link is up when it comes.
            let harm: Harm = Box::new(move |_, frame| match frame {
                Frame::Hello(_) => vec![frame.to_bytes(), attack.clone()],
                other => vec![other.to_bytes()],
            });
            network.start_hostile(province, harm)
        })
        .collect();
    for (province, words) in lines {
        until(&format!("the ministry says why {province} is cut off"), || {
            let events = network.events("000000");
            let said = |l: &String| l.contains(province) && words.iter().all(|w| l.contains(w));
            if events.iter().any(said) { Ok(()) } else { Err(events.join("\n")) }
        });
    }
    let id = network.call("440000", "别人的坏帧与我无关");
    network.show("000000", &id);
    let status = network.ask("000000", &["replica", "status"]);
    let honest = status["peers"].as_array().unwrap().iter().find(|p| p["node"] == "440000").unwrap();
    assert_eq!(honest["connected"], true);
    assert!(network.log("000000").contains("does not unpack"), "the log names it");
}

/// What a newer version writes: an op, fields and a kind of item that this version does not know.
struct Newer;

impl Domain<Sqlite> for Newer {
    type Matter = TicketMatter;
    type Row = ();

    fn begin(&self, doc: DocId) -> TicketMatter {
        TicketMatter::new(doc)
    }

    fn row(_: &Document, _: &TicketMatter) {}

    fn project(&mut self, _: &mut Sqlite, _: &DocId, (): ()) -> store::Result<()> {
        Ok(()) // the city's own `replica rebuild` makes up for it
    }

    fn keep(&mut self, _: &mut Sqlite, _: &Item) -> store::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_newer_version_writes_survives_the_way_through_older_nodes() {
    let mut network = Network::new(&PROGRAM, &["000000", "370000", "370100"]);
    network.link_tree();
    let id = network.call("370100", "新版本办的一件");
    let doc: DocId = id.parse().unwrap();
    let kind = Kind::new(77);
    let item = {
        let dir = network.at("370100");
        let identity = Arc::new(Identity::load(&dir.join("identity")).unwrap());
        let me = identity.node();
        let mut store = Sqlite::open(&dir.join("node.db")).unwrap();
        store.begin().unwrap();
        let mut replica = Replica::open(me, Roll::new(identity), [5; 32], 10, &mut store).unwrap();
        let heads: Vec<EntryId> = {
            let (_, matter) = replica.open_document(doc, &mut store, &Newer).unwrap().unwrap();
            matter.entries().map(|e| e.id).collect()
        };
        let mut entry = Entry::new(Op::Unknown("inspect".to_owned()), heads, me);
        entry.extra.insert("drone".to_owned(), json!({ "height": 120, "films": ["一", "二"] }));
        let bytes = entry.to_bytes();
        replica
            .write(Some(doc), &mut store, &mut Newer, |document, tx| {
                let trail = document.part("trail").unwrap();
                tx.put(&trail, EntryId::of(&bytes).to_string(), bytes.clone())
            })
            .unwrap();
        let item = replica.put(doc, kind, b"from next year".to_vec(), &mut store, &mut Newer).unwrap();
        store.commit().unwrap();
        item
    };
    network.ask("370100", &["replica", "rebuild"]);
    network.start_all();
    network.settle();
    network.ask("370000", &["ticket", "urge", &id, "请加快"]);
    network.assert_converged();
    for node in ["000000", "370000", "370100"] {
        let ticket = network.show(node, &id);
        let entry =
            ticket["trail"].as_array().unwrap().iter().find(|e| e["op"] == "inspect").unwrap().clone();
        assert_eq!(entry["extra"]["drone"]["height"], 120, "{node}: {entry}");
        network.stop(node);
        let mut store = Sqlite::open(&network.at(node).join("node.db")).unwrap();
        let kept = store.item(&item).unwrap().expect("an item of an unknown kind");
        assert_eq!((kept.kind, kept.bytes.as_slice()), (kind, &b"from next year"[..]), "{node}");
    }
}

/// Writes a document of a kind that no version here knows, with the city's own store: two changes, of which the second
/// names another city.
fn write_bulletin(network: &Network) -> DocId {
    let dir = network.at("370100");
    let identity = Arc::new(Identity::load(&dir.join("identity")).unwrap());
    let me = identity.node();
    let mut store = Sqlite::open(&dir.join("node.db")).unwrap();
    store.begin().unwrap();
    let mut replica = Replica::open(me, Roll::new(identity), [6; 32], 10, &mut store).unwrap();
    let create = json!({ "op": "create", "parents": [], "node": me, "kind": "bulletin", "schema": 3,
        "site": "370100", "reported": true, "title": "节假日高速免费通行" });
    let create = serde_json::to_vec(&create).unwrap();
    let entry = EntryId::of(&create);
    let doc = replica
        .write(None, &mut store, &mut Newer, |_, tx| {
            let trail = tx.put_object(ROOT, "trail", ObjType::Map)?;
            tx.put_object(ROOT, "notes", ObjType::Map)?;
            let lines = tx.put_object(ROOT, "lines", ObjType::Map)?;
            tx.put(&lines, "1", "七座以下小型客车")?;
            tx.put(&trail, entry.to_string(), create.clone())
        })
        .unwrap();
    let reviewed = json!({ "op": "review", "parents": [entry], "node": me, "audience": ["370200"] });
    let reviewed = serde_json::to_vec(&reviewed).unwrap();
    let write = |document: &Document, tx: &mut automerge::transaction::Transaction<'_>| {
        let trail = document.part("trail").unwrap();
        tx.put(&trail, EntryId::of(&reviewed).to_string(), reviewed.clone())
    };
    replica.write(Some(doc), &mut store, &mut Newer, write).unwrap();
    // What no kind allows: words under another hash than their own, and a second beginning.
    let again = json!({ "op": "create", "parents": [], "node": me, "kind": "bulletin", "site": "370100" });
    let again = serde_json::to_vec(&again).unwrap();
    for key in [EntryId::of(b"x"), EntryId::of(&again)] {
        let refused = replica.write(Some(doc), &mut store, &mut Newer, |document, tx| {
            tx.put(document.part("trail").unwrap(), key.to_string(), again.clone())
        });
        assert!(matches!(refused, Err(sync::replica::WriteError::Refused(_))), "{refused:?}");
    }
    store.commit().unwrap();
    doc
}

#[test]
fn a_document_of_an_unknown_kind_goes_all_the_way_and_is_told_apart_from_tickets() {
    let nodes = ["000000", "370000", "370100", "370200"];
    let mut network = Network::new(&PROGRAM, &nodes);
    network.link_tree();
    let ticket = network.call("370100", "公交晚点");
    let id = write_bulletin(&network).to_string();
    network.ask("370100", &["replica", "rebuild"]);
    network.start_all();
    network.assert_converged();
    for node in nodes {
        let status = network.ask(node, &["replica", "status"]);
        assert_eq!(status["other_kinds"], json!({ "bulletin": 1 }), "{node}: {status}");
        assert_eq!(status["refused"], 0, "{node}");
        let shown = network.run(node, &["ticket", "show", &id]);
        assert_eq!(shown.code, Some(1), "{node}: {shown}");
        assert!(
            shown.to_string().contains("of the kind `bulletin`, which this version does not know"),
            "{shown}"
        );
        for words in [&["ticket", "note", &id, "看过"][..], &["ticket", "history", &id]] {
            assert_eq!(network.run(node, words).code, Some(1), "{node} {words:?}");
        }
        let found = network.ask(node, &["replica", "conflicts"]);
        assert_eq!(
            (&found[0]["what"], &found[0]["kind"]),
            (&json!("unknown kind"), &json!("bulletin")),
            "{node}"
        );
        let tickets = network.tickets(node);
        assert!(!tickets.contains_key(&id), "{node}: it is exported as no ticket");
        assert_eq!(network.ask(node, &["replica", "rebuild"])["changed"], false, "{node}");
        assert_eq!(
            network.ask(node, &["replica", "status"])["other_kinds"],
            json!({ "bulletin": 1 }),
            "{node}"
        );
    }
    // After an update the kind is known: a node that carried tickets as something unknown reads them at its next start.
    network.stop("370000");
    let db = rusqlite::Connection::open(network.at("370000").join("node.db")).unwrap();
    let doc: DocId = ticket.parse().unwrap();
    db.execute_batch("DELETE FROM ticket; DELETE FROM ticket_count; DELETE FROM ticket_text;").unwrap();
    db.execute("INSERT INTO other(doc, kind) VALUES(?1, 'ticket')", [doc.as_bytes()]).unwrap();
    drop(db);
    let listed = network.ask("370000", &["ticket", "list", "--queue", "all"]);
    assert!(listed.as_array().unwrap().iter().any(|row| row["id"] == ticket.as_str()), "{listed}");
    assert_eq!(network.ask("370000", &["replica", "status"])["other_kinds"], json!({ "bulletin": 1 }));
}

#[test]
fn a_revoked_city_is_cut_off_at_once_and_refused_on_every_redial() {
    let mut network = linked(&["000000", "370000", "370100", "370200"]);
    let list = network.revoke("370100");
    // The list is admitted elsewhere; it reaches the province by the network, which cuts the city off while connected.
    network.ask("370200", &["cert", "admit", list.to_str().unwrap()]);
    network.told("370000", "revoked: 370100");
    network.told("370100", "revoked");
    until("the province sees it gone", || {
        let status = network.ask("370000", &["replica", "status"]);
        let city =
            status["peers"].as_array().unwrap().iter().find(|p| p["node"] == "370100").unwrap().clone();
        if city["connected"] == false { Ok(()) } else { Err(city.to_string()) }
    });
    network.kill("370100");
    network.start("370100");
    network.told("370100", "your certificate was revoked");
    network.told("370000", "certificate was revoked");
    let id = network.call("370200", "别的城市照常");
    network.show("370000", &id);
    let local = network.call("370100", "吊销以后它自己还能受理");
    assert!(network.holds("370100", &local) && !network.holds("370000", &local));
}

/// Authorities that are 200 days old, so that a certificate can have ended.
#[test]
fn an_expired_city_is_refused_and_both_sides_say_why() {
    let mut network = Network::aged(&PROGRAM, &["000000", "370000", "370200"], 200);
    network.link_tree();
    network.add_expired("370100", 200);
    network.link("370100", "370000");
    network.start_all();
    network.told("370000", "has expired");
    network.told("370100", "your certificate has expired");
    let id = network.call("370200", "别的城市照常");
    network.show("370000", &id);
}

/// Numbers from a seed (SplitMix64, Steele and others, 2014).
struct Dice(u64);

impl Dice {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// Clients take calls at two cities without pause while processes are killed at random and started again.
fn killed_under_load(seed: u64) {
    let nodes = ["000000", "370000", "370100", "370200"];
    let mut network = linked(&nodes);
    let over = AtomicBool::new(false);
    let mut dice = Dice(seed);
    let acknowledged: Vec<(&str, String)> = std::thread::scope(|scope| {
        let over = &over;
        let clients: Vec<_> = ["370100", "370200", "370100", "370200"]
            .into_iter()
            .map(|city| {
                let dir = network.at(city);
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let ticket = json!({ "text": "断电前后的一件", "caller_phone": "13800000001" });
                        let request = Request::New { tickets: vec![ticket], user: None };
                        // Nobody listens, or the answer was lost: then nothing was promised.
                        match ask_running(&dir, &request) {
                            Some(Ok(made)) => taken.push((city, made[0]["id"].as_str().unwrap().to_owned())),
                            _ => std::thread::sleep(std::time::Duration::from_millis(5)),
                        }
                    }
                    taken
                })
            })
            .collect();
        for _ in 0..8 {
            let victim = nodes[dice.draw(nodes.len() as u64) as usize];
            std::thread::sleep(std::time::Duration::from_millis(dice.draw(300)));
            network.kill(victim);
            std::thread::sleep(std::time::Duration::from_millis(dice.draw(50)));
            network.start(victim);
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|c| c.join().unwrap()).collect()
    });
    let began = std::time::Instant::now();
    network.settle();
    println!(
        "seed {seed}: {} acknowledged, settled in {} ms",
        acknowledged.len(),
        began.elapsed().as_millis()
    );
    network.assert_converged();
    assert!(acknowledged.len() > 20, "seed {seed}: hardly any load: {}", acknowledged.len());
    let (province, ministry) = (network.tickets("370000"), network.tickets("000000"));
    for city in ["370100", "370200"] {
        let held = network.tickets(city);
        for (_, id) in acknowledged.iter().filter(|(at, _)| *at == city) {
            assert!(held.contains_key(id), "seed {seed}: {city} acknowledged {id} and lost it");
            assert!(
                province.contains_key(id) && ministry.contains_key(id),
                "seed {seed}: {id} did not arrive"
            );
        }
        assert!(network.ask(city, &["replica", "verify"])["damaged"].as_array().unwrap().is_empty());
        assert_eq!(network.ask(city, &["replica", "rebuild"])["changed"], false, "seed {seed}: {city}");
    }
}

#[test]
fn killed_at_random_under_load_1() {
    killed_under_load(1);
}

#[test]
fn killed_at_random_under_load_2() {
    killed_under_load(2);
}

#[test]
fn killed_at_random_under_load_3() {
    killed_under_load(3);
}
