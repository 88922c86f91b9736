//! What goes out: one message after the other is handed to the gateway until it was taken.
//!
//! Before a message is handed over, that is written down. When the line breaks in the middle, or the node is killed, nobody
//! knows whether the gateway has it. Then a delivery report is waited for a while: any report proves that it has, and the
//! message is not sent again. Without one it is sent again: somebody who reads twice that his complaint was taken is
//! better off than one who never learns its number.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::gateway::{Gateway, NotTaken};
use crate::daemon::now_ms;
use crate::request::Failure;
use crate::users::Outgoing;

/// The first wait, which doubles up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How long a report is waited for when nobody knows whether the gateway has a message.
const DOUBT: Duration = Duration::from_secs(20);

/// After so long nobody wants to hear it any more.
const GIVEN_UP: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// How long a disk that refuses is left alone, and the longest time without a look.
const PAUSE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(60);

/// How long to wait after so many attempts.
fn backoff(tries: u32, unsure: bool) -> Duration {
    let wait = FIRST.saturating_mul(1 << tries.min(16)).min(LONGEST);
    if unsure { wait.max(DOUBT) } else { wait }
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

pub(super) async fn run(app: Arc<App>, gateway: Gateway) {
    let mut resumed = false;
    loop {
        let went = match resumed {
            true => step(&app, &gateway).await,
            false => app.on_users(|users| users.sms_resume(now_ms() + ms(DOUBT))).await.map(|()| {
                resumed = true;
                Duration::ZERO
            }),
        };
        let wait = went.unwrap_or_else(|failure| {
            tracing::error!(%failure, causes = ?failure.causes, "short messages cannot be sent now");
            PAUSE
        });
        if !wait.is_zero() {
            let _ = tokio::time::timeout(wait, app.to_send.notified()).await;
        }
    }
}

/// Sends the next message; how long there is nothing to send.
async fn step(app: &Arc<App>, gateway: &Gateway) -> Result<Duration, Failure> {
    let now = now_ms();
    let Some(message) = app.on_users(move |users| users.sms_due(now)).await? else {
        let next = app.on_users(|users| users.sms_next_due()).await?;
        let wait = next.map_or(LOOK, |next| Duration::from_millis(next.saturating_sub(now).max(1)));
        return Ok(wait.min(LOOK));
    };
    let id = message.id;
    if app.on_users(move |users| users.sms_trying(id)).await? {
        let sent = gateway.send(&message.phone, &message.text, &app.report_url(id)).await;
        // What came of it has to be written down, or it would be sent again without need.
        while let Err(failure) = settle(app, &message, &sent).await {
            tracing::error!(%failure, causes = ?failure.causes, "what became of a short message cannot be written down");
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(Duration::ZERO)
}

async fn settle(app: &Arc<App>, message: &Outgoing, sent: &Result<(), NotTaken>) -> Result<(), Failure> {
    let (id, now) = (message.id, now_ms());
    match sent {
        Ok(()) => app.on_users(move |users| users.sms_sent(id, now)).await,
        Err(NotTaken { why, unsure }) => {
            let over = now.saturating_sub(message.at) >= ms(GIVEN_UP);
            let again = (!over).then(|| now + ms(backoff(message.tries, *unsure)));
            tracing::warn!(row = id, %why, "a short message was not sent");
            let why = why.clone();
            app.on_users(move |users| users.sms_not_sent(id, &why, again, now)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_a_doubt_waits_for_a_report() {
        assert_eq!(backoff(0, false), FIRST);
        assert_eq!(backoff(3, false), Duration::from_secs(8));
        assert_eq!(backoff(4_000, false), LONGEST);
        assert_eq!(backoff(0, true), DOUBT);
        assert_eq!(backoff(20, true), LONGEST);
    }
}
