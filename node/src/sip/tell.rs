//! What the agent heard goes to the desk, one event after the other, and again when the disk refuses.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::App;
use super::agent::Heard;
use crate::request::Failure;

/// How many events may wait. Past it they are lost, and that is told.
pub(super) const WAITING: usize = 1_024;

/// How often an event is tried, and how long a disk that refuses is left alone.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// Tells the desk until nothing more can come.
pub(super) async fn run(app: Arc<App>, mut all: mpsc::Receiver<Heard>) {
    while let Some(heard) = all.recv().await {
        let (mut tries, mut noted) = (0, false);
        while let Err(failure) = tell(&app, &heard, &mut noted).await {
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

/// `noted` is whether the audit log has it, from an earlier try.
async fn tell(app: &App, heard: &Heard, noted: &mut bool) -> Result<(), Failure> {
    let Heard { from, caller, told } = heard;
    let (caller, number) = (caller.clone(), told.number.clone());
    let is_caller = move |of: String| of == caller || Some(of) == number;
    let inside =
        app.users.away(move |users| Ok(users.extensions()?.into_iter().any(|(_, of)| is_caller(of))));
    if inside.await? {
        return Ok(()); // two of the house speak: no form opens
    }
    if !*noted {
        app.desk.note("sip", &from.to_string(), told).await?;
        *noted = true;
    }
    app.desk.hear(told.clone()).await?;
    app.counts.told(told.event);
    Ok(())
}
