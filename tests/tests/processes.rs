//! The scenarios that must hold, each once with real processes and real QUIC on 127.0.0.1.
//!
//! Every story makes its own certificates with the program, runs its nodes as processes, and cuts links in relays
//! between them. What `assert_converged` means stands in `world::city`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use node::daemon::ask_running;
use node::request::Request;
use serde_json::json;
use world::city::{Network, Program, copy, free, until};

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
        assert_eq!(ticket["superseded"].as_array().unwrap().len(), 1, "{node}");
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
