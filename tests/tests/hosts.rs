//! Real processes on hosts of their own: network namespaces, and cables of the kernel's that are pulled and plugged in.
//!
//! Needs root, for the namespaces. Elsewhere the tests say so and pass; CI runs as root.
#![expect(clippy::print_stderr, reason = "it says why it does not run")]

use std::sync::LazyLock;

use world::city::{Hosts, Program, until};

static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::new(env!("CARGO_BIN_EXE_hotline-under-test")));

const NODES: [&str; 9] =
    ["000000", "370000", "370000-b", "510000", "370100", "370200", "510100", "510700", "370100-01"];

/// The tree, with a second hub in 370000.
const CABLES: [(&str, &str); 12] = [
    ("000000", "370000"),
    ("000000", "370000-b"),
    ("000000", "510000"),
    ("370000", "370000-b"),
    ("370000", "370100"),
    ("370000-b", "370100"),
    ("370000", "370200"),
    ("370000-b", "370200"),
    ("510000", "510100"),
    ("510000", "510700"),
    ("370100", "370100-01"),
    ("370200", "510100"),
];

fn country() -> Option<Hosts> {
    let mut hosts = match Hosts::new(&PROGRAM, &NODES) {
        Ok(hosts) => hosts,
        Err(why) => {
            eprintln!("not run: this machine makes no network namespaces here: {why}");
            return None;
        }
    };
    CABLES.iter().for_each(|(a, b)| hosts.lay(a, b));
    hosts.start_all();
    hosts.settle();
    Some(hosts)
}

#[test]
fn a_country_of_hosts_converges_whatever_happens_to_its_cables() {
    let Some(mut hosts) = country() else { return };

    // Every cable is pulled, and everybody works on.
    hosts.pull_all();
    let jinan = hosts.network().call("370100", "公交晚点");
    let office = hosts.network().call("370100-01", "站牌损坏");
    let chengdu = hosts.network().call("510100", "出租车绕路");
    hosts.network().ask("370100", &["ticket", "offer", &jinan, "--to", "370200", "--reason", "车属青岛"]);
    hosts.network().ask("510100", &["ticket", "offer", &chengdu, "--to", "370200", "--reason", "鲁牌车"]);
    hosts.plug_all();
    hosts.settle();
    for (id, node) in [(&jinan, "370200"), (&chengdu, "370200"), (&chengdu, "000000"), (&office, "370000-b")]
    {
        hosts.network().show(node, id);
    }
    hosts.network().ask("370200", &["ticket", "accept", &jinan]);
    hosts.network().ask("370200", &["ticket", "accept", &chengdu]);
    hosts.settle();
    assert_eq!(hosts.network().show("510100", &chengdu)["custodian"], "370200");
    assert_eq!(hosts.network().show("370100", &jinan)["custodian"], "370200");

    // An address changes under a running connection, which goes on from the new one.
    let counted =
        |hosts: &Hosts| hosts.peer("510000", "510700")["bytes_received"].as_u64().expect("a number");
    let (sent, new) = (counted(&hosts), hosts.move_to("510700", "510000", 77));
    let moved = hosts.network().call("510700", "班车停运");
    hosts.network().show("510000", &moved);
    let peer = hosts.peer("510000", "510700");
    let address = peer["address"].as_str().expect("an address");
    assert!(address.starts_with(&format!("{new}:")), "{address}");
    assert!(counted(&hosts) > sent, "the same connection: a new one counts from nothing");

    // One hub dies; the other one stands in for it, and nobody was told anything but a second address.
    hosts.kill("370000");
    let meanwhile = hosts.network().call("370100", "客车超载");
    hosts.network().ask("370100", &["ticket", "offer", &meanwhile, "--to", "510700", "--reason", "川牌车"]);
    hosts.network().show("510700", &meanwhile);
    hosts.network().ask("510700", &["ticket", "accept", &meanwhile]);
    until("the city hears of it by way of the other hub", || {
        match hosts.network().show("370100", &meanwhile)["custodian"].as_str() {
            Some("510700") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    hosts.start("370000");
    hosts.settle();

    // And the second one, while the first is back.
    hosts.kill("370000-b");
    let later = hosts.network().call("370200", "扶梯停用");
    hosts.network().show("370000", &later);
    hosts.start("370000-b");
    hosts.settle();
    for node in ["370000", "370000-b"] {
        assert_eq!(hosts.network().show(node, &meanwhile)["custodian"], "510700");
        hosts.network().show(node, &later);
    }
    let hash = |node: &str, id: &str| hosts.network().show(node, id)["state_hash"].clone();
    for id in [&jinan, &meanwhile, &later] {
        assert_eq!(hash("370000", id), hash("370000-b", id));
    }
}
