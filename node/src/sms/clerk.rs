//! The clerk: looks at every message that came in, and at every change of a ticket whose caller is told by message.
//!
//! ```text
//! message ──> query ──> Told, in words                             ┐
//!         ├─> help                                                 ├─> outcome and what is told: one transaction
//!         ├─> matter ──> note to the ticket of a moment ago        │
//!         └─> matter ──> ticket, unless one bears its slip         ┘
//! log of changes ──> ticket that came by message ──> answers that were not told ──> told, once each
//! ```
//!
//! A ticket bears the slip that was drawn when its message came, and so does a note: when the node was killed between the
//! ticket and the outcome, the next start finds it instead of making another.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::meaning::Meaning;
use super::{App, words};
use crate::daemon::now_ms;
use crate::import::mask_phones;
use crate::request::{Failure, FailureKind, Request};
use crate::ticket::code::QueryCode;
use crate::ticket::number::TicketNumber;
use crate::users::{Incoming, Led, ToTell};

/// In whose name tickets and notes are made. No account has a blank in its name.
const USER: &str = "short message";

const CHANNEL: &str = "短信";

/// Why the caller's number is opened, as the log of reveals has it.
const REASON: &str = "短信告知办理结果";

/// Changes, or tickets, that are read at once.
const PAGE: usize = 100;

/// How long a node, or a disk, that cannot be asked just now is left alone.
const PAUSE: Duration = Duration::from_secs(5);

const HOUR_MS: u64 = 60 * 60_000;

/// What one sender may do in an hour.
const MATTERS: u64 = 10;
const QUERIES: u64 = 20;

/// How many wrong codes are heard for a number in an hour, from whomever.
const GUESSES: u64 = 10;

/// Outcomes, as the log of messages shows them.
const TICKET: &str = "ticket";
const NOTE: &str = "note";
const QUERY: &str = "query";
const WRONG: &str = "wrong code";
const HELP: &str = "help";
const SLOWER: &str = "too many of the sender";
const FULL: &str = "too many in the hour";
const REFUSED: &str = "refused";
const SILENT: &str = "not answered";

pub(super) async fn run(app: Arc<App>) {
    let mut commits = app.node.changes(); // before the log is read, so that nothing comes in between
    loop {
        let went = match messages(&app).await {
            Ok(()) => changes(&app).await,
            failed => failed,
        };
        match went {
            Ok(()) => {
                let came = tokio::select! {
                    () = app.came.notified() => Ok(()),
                    commit = commits.recv() => commit.map(drop),
                };
                if matches!(came, Err(RecvError::Closed)) {
                    return;
                }
            }
            Err(failure) if failure.kind == FailureKind::Unreachable => return, // the node stops
            Err(failure) => {
                tracing::error!(%failure, causes = ?failure.causes, "short messages have to wait");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Looks at all that came in. One that fails holds up none of the others, and is looked at again.
async fn messages(app: &Arc<App>) -> Result<(), Failure> {
    let (mut after, mut failed) = (0, None);
    while let Some(message) = app.on_users(move |users| users.sms_next(after)).await? {
        after = message.id;
        match look_at(app, &message).await {
            Ok(led) => {
                let follows = led.number.clone().filter(|_| led.follows);
                app.on_users(move |users| users.sms_done(after, &led, now_ms())).await?;
                app.to_send.notify_one();
                // Whatever was answered meanwhile was passed over in the log: nobody knew yet whose ticket it is.
                if let Some(number) = follows {
                    tell(app, &number).await?;
                }
            }
            Err(failure) if failure.kind == FailureKind::Unreachable => return Err(failure),
            Err(failure) => failed = Some(failure),
        }
    }
    failed.map_or(Ok(()), Err)
}

fn reply(
    message: &Incoming,
    outcome: &'static str,
    kind: &'static str,
    number: Option<String>,
    text: String,
) -> Led {
    let tell = ToTell {
        thing: format!("{kind} {}", message.slip),
        kind,
        number: number.clone(),
        phone: message.phone.clone(),
        text,
    };
    Led { outcome, number, follows: false, tells: vec![tell] }
}

async fn look_at(app: &Arc<App>, message: &Incoming) -> Result<Led, Failure> {
    match Meaning::of(&message.text) {
        Meaning::Query(number, code) => query(app, message, number, &code).await,
        Meaning::Misspelt => helped(app, message, words::misspelt()).await,
        Meaning::Help => helped(app, message, words::help()).await,
        Meaning::Matter { confidential } => matter(app, message, confidential).await,
    }
}

async fn count(
    app: &Arc<App>,
    message: &Incoming,
    outcomes: &'static [&'static str],
) -> Result<u64, Failure> {
    let (who, since) = (message.who, message.at.saturating_sub(HOUR_MS));
    app.on_users(move |users| users.sms_count(Some(&who), outcomes, since)).await
}

/// Somebody who has to wait is told so once in an hour, and otherwise nothing: two machines must come to an end.
async fn waits(
    app: &Arc<App>,
    message: &Incoming,
    outcome: &'static str,
    text: String,
) -> Result<Led, Failure> {
    match count(app, message, &[SLOWER, FULL]).await? {
        0 => Ok(reply(message, outcome, "wait", None, text)),
        _ => Ok(Led { outcome: SILENT, ..Led::default() }),
    }
}

async fn helped(app: &Arc<App>, message: &Incoming, text: String) -> Result<Led, Failure> {
    if count(app, message, &[QUERY, WRONG, HELP]).await? >= QUERIES {
        return waits(app, message, SLOWER, words::slower()).await;
    }
    Ok(reply(message, HELP, "help", None, text))
}

async fn query(
    app: &Arc<App>,
    message: &Incoming,
    number: TicketNumber,
    code: &QueryCode,
) -> Result<Led, Failure> {
    let (named, since) = (number.to_string(), message.at.saturating_sub(HOUR_MS));
    let guesses = {
        let named = named.clone();
        app.on_users(move |users| users.sms_guesses(&named, since)).await?
    };
    if guesses >= GUESSES || count(app, message, &[QUERY, WRONG, HELP]).await? >= QUERIES {
        return waits(app, message, SLOWER, words::slower()).await;
    }
    let unknown = |named| reply(message, WRONG, "query", Some(named), words::unknown());
    if !app.secret.opens(number, code) {
        return Ok(unknown(named));
    }
    match app.node.ask(Request::Told { number }).await {
        Ok(told) => {
            let site = told["held_by"].as_str().and_then(|site| site.parse::<certs::NodeName>().ok());
            let centre =
                site.map(|node| app.reference().centres.name(node.site()).into_owned()).unwrap_or_default();
            Ok(reply(message, QUERY, "query", Some(named), words::standing(&told, &centre)))
        }
        Err(failure) if matches!(failure.kind, FailureKind::Absent | FailureKind::Usage) => {
            Ok(unknown(named))
        }
        Err(failure) => Err(failure),
    }
}

/// The words by which a ticket or a note is found again.
fn mark(message: &Incoming) -> String {
    format!("SMS-{}", message.slip)
}

async fn matter(app: &Arc<App>, message: &Incoming, confidential: bool) -> Result<Led, Failure> {
    // A ticket or a note that was made before a kill counts, whatever the bounds say now.
    let outside = app.node.ask(Request::Outside { number: mark(message), limit: 1 }).await?;
    let number = match outside[0]["number"].as_str() {
        Some(number) => number.to_owned(),
        None => {
            if !confidential && let Some(led) = note(app, message).await? {
                return Ok(led);
            }
            if count(app, message, &[TICKET, NOTE]).await? >= MATTERS {
                return waits(app, message, SLOWER, words::slower()).await;
            }
            let since = message.at.saturating_sub(HOUR_MS);
            let made = app.on_users(move |users| users.sms_count(None, &[TICKET], since)).await?;
            if made >= u64::from(app.options.per_hour) {
                return waits(app, message, FULL, words::full()).await;
            }
            match make(app, message, confidential).await {
                Ok(number) => number,
                Err(failure) if matches!(failure.kind, FailureKind::NeedsPerson | FailureKind::Usage) => {
                    tracing::warn!(kind = ?failure.kind, "a short message made no ticket");
                    return Ok(reply(message, REFUSED, "refused", None, words::refused()));
                }
                Err(failure) => return Err(failure),
            }
        }
    };
    let code = number.parse::<TicketNumber>().map(|number| app.secret.code(number).to_string());
    let code = code.map_err(|e| {
        Failure::new(FailureKind::Failed, "a ticket came back with a number that is none").because(e)
    })?;
    let text = words::accepted(&number, &code);
    Ok(Led { follows: true, ..reply(message, TICKET, "accepted", Some(number), text) })
}

async fn make(app: &Arc<App>, message: &Incoming, confidential: bool) -> Result<String, Failure> {
    let sample = json!({
        "id": mark(message),
        "text": message.text,
        "channel": CHANNEL,
        "caller_phone": message.phone,
        "confidential": confidential,
        "region_code": format!("{:06}", app.node.name().site().code()),
    });
    let made = app.node.ask(Request::New { tickets: vec![sample], user: Some(USER.to_owned()) }).await?;
    made[0]["number"].as_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(FailureKind::Failed, "a ticket was made and came back without its number")
    })
}

/// A further message belongs to the sender's ticket when there is one alone of the last minutes that this site still works
/// on, and none of it is confidential. In doubt it makes a ticket.
async fn note(app: &Arc<App>, message: &Incoming) -> Result<Option<Led>, Failure> {
    let (who, minutes) = (message.who, u64::from(app.options.join_minutes));
    let since = message.at.saturating_sub(minutes * 60_000);
    let tickets = match minutes {
        0 => return Ok(None),
        _ => app.on_users(move |users| users.sms_tickets_of(&who, since)).await?,
    };
    let [number] = tickets.as_slice() else { return Ok(None) };
    let shown = Request::Show { id: number.clone(), reveal: None, user: None };
    let shown = match app.node.ask(shown).await {
        Ok(shown) => shown,
        Err(failure) if failure.kind == FailureKind::Absent => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let mark = mark(message);
    let noted = is_noted(&shown, &mark);
    if !noted {
        let here = app.node.name().site().to_string();
        let open = shown["stage"] == "in_hand" && shown["custodian"] == here.as_str();
        if !open || shown["confidential"] != false || count(app, message, &[TICKET, NOTE]).await? >= MATTERS {
            return Ok(None);
        }
        let text = format!("短信补充：{}\n{mark}", mask_phones(&message.text));
        let note = Request::Note { id: number.clone(), text, user: Some(USER.to_owned()) };
        app.node.ask(note).await?;
    }
    Ok(Some(reply(message, NOTE, "noted", Some(number.clone()), words::noted(number))))
}

/// Whether a ticket has the note of this mark already.
fn is_noted(shown: &Value, mark: &str) -> bool {
    let ours =
        |note: &Value| note["user"] == USER && note["text"].as_str().is_some_and(|text| text.ends_with(mark));
    shown["notes"].as_object().is_some_and(|notes| notes.values().any(ours))
}

/// Follows the log of changes to its end.
async fn changes(app: &Arc<App>) -> Result<(), Failure> {
    let mut cursor = match app.on_users(|users| users.sms_cursor()).await? {
        Some(cursor) => cursor,
        None => begin(app).await?,
    };
    loop {
        let page = match app.node.ask(Request::Changes { after: Some(cursor.clone()), limit: PAGE }).await {
            Ok(page) => page,
            Err(failure) if failure.kind == FailureKind::Gone => {
                // What lies in between is not known: all tickets are looked at instead.
                tracing::warn!(
                    "the log of changes is another one: all tickets that came by short message are looked at"
                );
                cursor = begin(app).await?;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let changes = page["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(last) = changes.last().and_then(|change| change["cursor"].as_str()) else { return Ok(()) };
        for number in changes.iter().filter_map(|change| change["number"].as_str()) {
            let named = number.to_owned();
            if app.on_users(move |users| users.sms_follows(&named)).await? {
                tell(app, number).await?;
            }
        }
        store(app, last).await?;
        last.clone_into(&mut cursor);
    }
}

async fn store(app: &Arc<App>, cursor: &str) -> Result<(), Failure> {
    let cursor = cursor.to_owned();
    app.on_users(move |users| users.sms_followed_to(&cursor)).await
}

/// Stands at the end of the log, and looks at all tickets that came before.
async fn begin(app: &Arc<App>) -> Result<String, Failure> {
    let page = app.node.ask(Request::Changes { after: None, limit: 1 }).await?;
    let cursor = page["next"].as_str().unwrap_or_default().to_owned();
    let mut after = String::new();
    loop {
        let behind = after.clone();
        let tickets = app.on_users(move |users| users.sms_followed(&behind, PAGE as u32)).await?;
        let Some(last) = tickets.last() else { break };
        for number in &tickets {
            tell(app, number).await?;
        }
        last.clone_into(&mut after);
    }
    store(app, &cursor).await?;
    Ok(cursor)
}

/// Tells a ticket's caller all that was answered and not told; and that it is closed, when nothing was ever answered.
async fn tell(app: &Arc<App>, named: &str) -> Result<(), Failure> {
    let Ok(number) = named.parse::<TicketNumber>() else { return Ok(()) };
    let told = match app.node.ask(Request::Told { number }).await {
        Ok(told) => told,
        Err(failure) if failure.kind == FailureKind::Absent => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let mut due: Vec<(String, &'static str, String)> = Vec::new();
    for answer in told["answers"].as_array().into_iter().flatten() {
        let (Some(entry), Some(text)) = (answer["entry"].as_str(), answer["text"].as_str()) else { continue };
        due.push((format!("answer {named} {entry}"), "result", words::answer(named, text)));
    }
    if due.is_empty() && told["stage"] == "closed" {
        due.push((format!("closed {named}"), "closed", words::closed(named)));
    }
    let mut phone = None;
    for (thing, kind, text) in due {
        let known = thing.clone();
        if app.on_users(move |users| users.sms_has(&known)).await? {
            continue;
        }
        if phone.is_none() {
            phone = phone_of(app, named).await?;
        }
        let Some(phone) = phone.clone() else { return Ok(()) };
        let tell = ToTell { thing, kind, number: Some(named.to_owned()), phone, text };
        app.on_users(move |users| users.sms_tell(&tell, now_ms())).await?;
        app.to_send.notify_one();
    }
    Ok(())
}

/// The number to tell, out of the vault; that is in the log of reveals. `None` when nobody may know it here any more: it
/// was erased, or the report is confidential.
async fn phone_of(app: &Arc<App>, number: &str) -> Result<Option<String>, Failure> {
    let reveal = Request::Reveal {
        id: number.to_owned(),
        reason: REASON.to_owned(),
        desk: false,
        user: Some(USER.to_owned()),
    };
    match app.node.ask(reveal).await {
        Ok(shown) => Ok(phone(&shown)),
        Err(failure) if matches!(failure.kind, FailureKind::Unreachable | FailureKind::TryAgain) => {
            Err(failure)
        }
        Err(failure) => {
            tracing::info!(kind = ?failure.kind, "a result is not told by short message: its caller cannot be opened here");
            Ok(None)
        }
    }
}

fn phone(shown: &Value) -> Option<String> {
    shown["person"]["phone"].as_str().filter(|phone| !phone.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_was_made_before_a_kill_is_found_by_its_mark() {
        let shown = json!({ "notes": {
            "aa": { "user": "li", "text": "SMS-01" },
            "bb": { "user": USER, "text": "短信补充：车牌\nSMS-02" },
        } });
        assert!(is_noted(&shown, "SMS-02"));
        assert!(!is_noted(&shown, "SMS-01"), "an agent's words are no mark");
        assert!(!is_noted(&json!({ "notes": {} }), "SMS-02"));
    }
}
