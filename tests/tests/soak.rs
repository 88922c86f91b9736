//! The soak, for as long as a test may take: that it runs, troubles its nodes, and proves what it says.

use std::sync::Mutex;
use std::time::Duration;

use world::city::Program;
use world::soak::{Plan, soak};

#[test]
fn a_few_seconds_of_trouble_end_with_everything_equal_and_nothing_lost() {
    let program = Program::new(env!("CARGO_BIN_EXE_hotline-under-test"));
    let plan = Plan {
        seed: 3,
        lasts: Duration::from_secs(10),
        settles_within: Duration::from_secs(120),
        pause: Duration::from_millis(60),
    };
    let said = Mutex::new(Vec::new());
    let ended = soak(&program, &plan, &|line| said.lock().expect("a lock").push(line.to_owned()));
    let words = ended.unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let told = said.lock().expect("a lock").join("\n");
    assert!(words.contains("all there"), "{words}");
    // A soak in which nothing was done proves nothing.
    let troubled =
        ["kills", "cuts", "stops", "sticks", "backups"].iter().filter(|what| told.contains(**what)).count();
    assert!(troubled > 1 && !told.contains(" 0 tickets"), "{told}");
}
