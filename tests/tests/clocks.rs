//! Real processes on machines whose date is years off, or jumps by years under them.

use std::sync::LazyLock;

use world::city::{Network, Program, until};
use world::wrong_clock::WrongClock;

static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::new(env!("CARGO_BIN_EXE_hotline-under-test")));

const CITY: &str = "370100";
const PROVINCE: &str = "370000";

const YEAR: i64 = 366 * 86_400;

/// A province whose clock is right, and what the city's says.
fn province_runs() -> (Network, WrongClock) {
    let mut network = Network::new(&PROGRAM, &[PROVINCE, CITY]);
    network.link_tree();
    network.start(PROVINCE);
    (network, WrongClock::build())
}

fn doubts(network: &Network) -> bool {
    network.ask(CITY, &["replica", "status"])["clock_doubt"] == true
}

/// What the doctor says of the clock, with its next step.
fn doctor_says(network: &Network) -> (String, String) {
    let said = network.run(CITY, &["doctor"]);
    let report: serde_json::Value =
        said.out.lines().next().and_then(|line| serde_json::from_str(line).ok()).expect("a report");
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let worst = findings.iter().find(|f| f["topic"] == "clock").expect("a finding of the clock");
    let text = |field: &str| worst[field].as_str().unwrap_or_default().to_owned();
    assert_eq!(worst["severity"], "critical", "{report}");
    (text("what"), text("next"))
}

#[test]
fn a_node_whose_clock_is_years_off_works_and_says_so_until_a_person_confirms_the_date() {
    for years in [-6, 6] {
        let (mut network, clock) = province_runs();
        clock.set(years * YEAR);
        network.start_with(CITY, &clock.env());
        // It takes and numbers calls at once, whatever it knows of the date.
        let id = network.call(CITY, "出租车拒载");
        // It links all the same, and the ticket arrives.
        network.settle();
        network.ask(CITY, &["ticket", "progress", &id, "已联系司机"]);
        network.assert_converged();
        assert!(network.holds(PROVINCE, &id), "{years} years");
        assert!(doubts(&network), "{years} years");
        let (what, next) = doctor_says(&network);
        assert!(what.contains("does not know the date"), "{years} years: {what}");
        assert!(next.contains("confirm-clock"), "{years} years: {next}");
        // The machine's date is set and the node started again: what was acknowledged is there, and the doubt stays
        // until a person has looked.
        network.kill(CITY);
        clock.set(0);
        network.start_with(CITY, &clock.env());
        assert!(network.holds(CITY, &id) && doubts(&network), "{years} years");
        network.ask(CITY, &["replica", "confirm-clock"]);
        assert!(!doubts(&network), "{years} years");
        network.assert_converged();
    }
}

#[test]
fn a_clock_that_jumps_by_years_under_a_running_node_loses_nothing() {
    let (mut network, clock) = province_runs();
    network.start_with(CITY, &clock.env());
    network.settle();
    let mut ids = vec![network.call(CITY, "公交晚点")];
    assert!(!doubts(&network));
    for years in [7, -7, 0] {
        clock.set(years * YEAR);
        ids.push(network.call(CITY, "出租车绕路"));
        // A line that comes back meets the province's certificate with the new date.
        network.cut(CITY, PROVINCE);
        ids.push(network.call(CITY, "路灯不亮"));
        network.heal(CITY, PROVINCE);
        network.settle();
        until(&format!("the city doubts the date after a jump by {years} years"), || {
            if doubts(&network) { Ok(()) } else { Err("it does not".to_owned()) }
        });
    }
    network.ask(CITY, &["replica", "confirm-clock"]);
    assert!(!doubts(&network));
    network.assert_converged();
    for id in &ids {
        assert!(network.holds(PROVINCE, id), "{id}");
    }
    assert_eq!(network.ask(CITY, &["replica", "verify"])["damaged"], serde_json::json!([]));
}
