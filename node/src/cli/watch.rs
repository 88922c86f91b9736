//! `hotline replica watch`: the status as it changes.
//!
//! On a terminal a picture that is drawn again every second; elsewhere one JSON document a line, whenever something
//! changed that is more than the passing of time. A node that does not run does not change, so there is nothing to
//! watch then.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::run::{ended, runtime};
use super::screen::Screen;
use super::show;
use crate::daemon::ask_running;
use crate::request::{Failure, FailureKind, Reply, Request};

/// How often a person sees something new.
const PICTURE: Duration = Duration::from_secs(1);

/// How often a pipe is served.
const LINE: Duration = Duration::from_millis(200);

/// How many of the node's last words stand below the picture.
const EVENTS: usize = 6;

fn ask(dir: &Path, request: &Request) -> Reply {
    ask_running(dir, request).unwrap_or_else(|| {
        Err(Failure::new(FailureKind::Unreachable, format!("no node runs on {}", dir.display()))
            .hint("start it: hotline run --dir DIR; or look once: hotline replica status"))
    })
}

pub(super) fn watch(dir: &Path, as_json: bool) -> Result<(), Failure> {
    ask(dir, &Request::Status)?; // before the terminal is taken
    runtime()?.block_on(async {
        let stop = ended();
        tokio::pin!(stop);
        match Screen::open().filter(|_| !as_json) {
            Some(mut screen) => loop {
                screen.draw(&picture(&ask(dir, &Request::Status)?, &ask(dir, &Request::Events)?));
                tokio::select! {
                    enough = screen.enough(PICTURE) => if enough { return Ok(()) },
                    () = &mut stop => return Ok(()),
                }
            },
            None => {
                let mut last = Value::Null;
                loop {
                    let status = lasting(ask(dir, &Request::Status)?);
                    if status != last {
                        show::line(&status.to_string());
                        last = status;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(LINE) => {}
                        () = &mut stop => return Ok(()),
                    }
                }
            }
        }
    })
}

/// The status without what changes all the time.
fn lasting(mut status: Value) -> Value {
    for peer in status["peers"].as_array_mut().into_iter().flatten() {
        let Value::Object(fields) = peer else { continue };
        for passing in ["rtt_ms", "bytes_sent", "bytes_received", "last_seen"] {
            fields.remove(passing);
        }
    }
    status
}

fn picture(status: &Value, events: &Value) -> String {
    let number = |key: &str| status[key].as_u64().unwrap_or(0);
    let mut text = format!(
        "{}   {} documents, {} in custody, {} items, {} refused, {} waiting, {} not counted{}\n\n",
        status["node"].as_str().unwrap_or_default(),
        number("documents"),
        number("custody"),
        number("items"),
        number("refused"),
        number("waiting"),
        number("not_counted"),
        if status["clock_doubt"] == true { "\nthis machine's date is in doubt" } else { "" },
    );
    let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
    text += &match peers {
        [] => "no peers".to_owned(),
        peers => show::table_text(peers),
    };
    text += "\n\n";
    let events = events.as_array().map_or(&[][..], Vec::as_slice);
    for event in &events[events.len().saturating_sub(EVENTS)..] {
        let part = |key: &str| event[key].as_str().unwrap_or_default();
        text += &format!("{}  {}\n", show::moment(part("at")), part("text"));
    }
    text + "\nq ends"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn time_alone_is_no_change() {
        let status = |rtt: u64, outbox: u64| {
            lasting(
                json!({ "items": 1, "peers": [{ "node": "370000", "outbox": outbox, "rtt_ms": rtt, "last_seen": rtt }] }),
            )
        };
        assert_eq!(status(1, 0), status(2, 0));
        assert_ne!(status(1, 0), status(1, 1));
    }
}
