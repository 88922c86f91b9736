//! What the agent heard goes to the desk, one event after the other, and again when the disk refuses.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::App;
use crate::request::Failure;
use crate::users::Told;

/// How many events may wait. Past it they are lost, and that is told.
pub(super) const WAITING: usize = 1_024;

/// How often an event is tried, and how long a disk that refuses is left alone.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// Tells the desk until nothing more can come.
pub(super) async fn run(app: Arc<App>, mut told: mpsc::Receiver<(IpAddr, Told)>) {
    while let Some((from, event)) = told.recv().await {
        let mut tries = 0;
        while let Err(failure) = tell(&app, from, &event).await {
            tries += 1;
            tracing::error!(%failure, causes = ?failure.causes, tries, "a call cannot be written down now");
            if tries == TRIES {
                app.counts.lost();
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn tell(app: &App, from: IpAddr, told: &Told) -> Result<(), Failure> {
    let number = told.number.clone();
    let inside =
        app.users.away(move |users| Ok(users.extensions()?.into_iter().any(|(_, of)| Some(of) == number)));
    if inside.await? {
        return Ok(()); // two of the house speak: no form opens
    }
    app.desk.hear("sip", &from.to_string(), told.clone()).await?;
    app.counts.told(told.event);
    Ok(())
}
