//! The description of `/api/v1` against the node that serves it, by schemathesis: requests made of the schema and of what it
//! forbids, in sequences, and every answer compared with what is described. Where schemathesis is not there this says that it was
//! skipped; under `HOTLINE_CI` it fails then.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::process::Command;

use harness::chromium::MUST;
use harness::program::{SCOPES, token};
use harness::{Town, json};

/// Names the program; `.ci/run` installs it.
const PROGRAM: &str = "HOTLINE_SCHEMATHESIS";

/// What is not asked, and why. *Positive data*: that a state of a ticket, a cursor or a key does not fit, no schema can say, so
/// what a schema allows is refused with 409, 410, 412 or 422. *Ignored auth*: wrong tokens are answered with 429 after a few, and
/// it wants 401 for ever; `--test api` tries both.
const NOT_ASKED: &str = "positive_data_acceptance,ignored_auth";

/// It does not end by itself.
const ENDLESS: &str = "/changes/stream";

#[test]
fn answers_are_as_they_are_described() {
    let Some(program) = std::env::var_os(PROGRAM) else {
        assert!(std::env::var_os(MUST).is_none(), "{MUST} is set and {PROGRAM} does not name schemathesis");
        println!(
            "\n*** SKIPPED: no schemathesis here; `.ci/run schemathesis` installs it, or name it in {PROGRAM} ***\n"
        );
        return;
    };
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let token = token(&town, "370100", "tries", "shift-leader", SCOPES);
    let api = format!("http://{desk}/api/v1");
    let said = Command::new(program)
        .args(["run", &format!("{api}/openapi.json"), "--url", &api])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        .args(["--exclude-checks", NOT_ASKED, "--exclude-path", ENDLESS])
        // The same requests every time, as far as tickets' ids allow.
        .args(["--seed", "12328", "--max-examples", "10", "--generation-database", "none"])
        .args(["--continue-on-failure", "--no-color"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(town.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}\n{}", String::from_utf8_lossy(&said.stderr));
    let tested = text.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.parse::<u32>().ok());
    assert!(tested.is_some_and(|operations| operations >= 50), "{text}");
    let made = json(&["ticket", "list", "--dir", &town.at("370100")]);
    assert!(!made.as_array().unwrap().is_empty(), "requests came through: {text}");
}
