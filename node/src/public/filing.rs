//! A request becomes a ticket once, however often it is sent.
//!
//! ```text
//! slip ──> filed before under it ──> the same number again
//!      ├─> too many of this address, or in this hour ──> when to try
//!      └─> taken (durable) ──> ticket (durable) ──> answer kept under the slip ──> number
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::App;
use super::form::Typed;
use crate::daemon::now_ms;
use crate::request::{Failure, FailureKind, Request};
use crate::ticket::number::TicketNumber;
use crate::users::{Answer, Begun};

/// Under which number answers are kept beside those of tokens, which begin with 1.
const DOOR: i64 = 0;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A request that is to be filed.
pub(super) struct Filing {
    /// Names it, for ever.
    pub(super) slip: String,
    /// In whose name.
    pub(super) user: String,
    /// The address that it is counted against; none for a program with a key, behind which many people are.
    pub(super) client: Option<IpAddr>,
    pub(super) typed: Typed,
}

/// What became of a form.
pub(super) enum Outcome {
    Filed(TicketNumber),
    /// This slip was used for another text.
    Other,
    /// It was begun, and what came of it is not known.
    Open,
    /// The address has to wait.
    Slower(Duration),
    /// So many came in this hour.
    Full(Duration),
    Refused(Failure),
}

/// Makes the ticket, unless this slip has one.
pub(super) async fn file(app: &Arc<App>, filing: &Filing) -> Result<Outcome, Failure> {
    let Filing { slip, user, client, typed } = filing;
    let _alone = app.filing.lock().await;
    let (now, seen) = (now_ms(), typed.fingerprint());
    let known = {
        let slip = slip.to_owned();
        app.on_users(move |users| users.has_answer(DOOR, &slip)).await?
    };
    if !known && let Some(refusal) = too_many(app, *client, now).await? {
        return Ok(refusal);
    }
    let begun = {
        let slip = slip.to_owned();
        app.on_users(move |users| users.begin_answer(DOOR, &slip, &seen, now)).await?
    };
    match begun {
        Begun::Fresh => {}
        Begun::Kept(answer) => {
            let number = String::from_utf8(answer.body).ok().and_then(|number| number.parse().ok());
            return number.map(Outcome::Filed).ok_or_else(|| {
                Failure::new(FailureKind::Integrity, "what is kept of a filed form does not read")
            });
        }
        Begun::Open => return Ok(Outcome::Open),
        Begun::Other => return Ok(Outcome::Other),
        Begun::Full => return Ok(Outcome::Full(HOUR)),
    }
    let region = format!("{:06}", app.me.site().code());
    let sample = typed.sample(Some(&region));
    let made = app.node.ask(Request::New { tickets: vec![sample], user: Some(user.clone()) }).await;
    let slip = slip.to_owned();
    let made = match made {
        Ok(made) => made,
        // Whether it was made before the node stopped nobody knows: the slip stays taken.
        Err(failure) if failure.kind == FailureKind::Unreachable => return Ok(Outcome::Open),
        Err(failure) => {
            app.on_users(move |users| users.given_up(DOOR, &slip)).await?;
            return Ok(Outcome::Refused(failure));
        }
    };
    let number: TicketNumber = made[0]["number"].as_str().and_then(|n| n.parse().ok()).ok_or_else(|| {
        Failure::new(FailureKind::Failed, "a ticket was made and came back without its number")
    })?;
    let answer = Answer { status: 200, location: None, body: number.to_string().into_bytes() };
    // What somebody said in confidence is in no register that everybody reads.
    let service = Some(typed.topic.clone()).filter(|topic| !topic.is_empty() && !typed.is_confidential());
    let kept = app.on_users(move |users| {
        users.answered(DOOR, &slip, &answer)?;
        service.map_or(Ok(()), |service| users.file(&number.to_string(), &service, now).map(drop))
    });
    if let Err(failure) = kept.await {
        // It is made, and must not say that it failed; sending it again finds the slip open.
        tracing::error!(%failure, %number, "a filed form could not be kept under its slip");
    }
    Ok(Outcome::Filed(number))
}

/// Whether an address, or everybody together, has filed too much.
async fn too_many(app: &App, client: Option<IpAddr>, now: u64) -> Result<Option<Outcome>, Failure> {
    let hour = HOUR.as_millis() as u64;
    let since = now.saturating_sub(hour);
    let (count, first) = app.on_users(move |users| users.answers_since(DOOR, since)).await?;
    if count >= u64::from(app.per_hour) {
        let wait = first.unwrap_or(now).saturating_add(hour).saturating_sub(now).min(hour);
        return Ok(Some(Outcome::Full(Duration::from_millis(wait))));
    }
    let waits = client.and_then(|client| app.pace.files(client, Instant::now()).err());
    Ok(waits.map(Outcome::Slower))
}
