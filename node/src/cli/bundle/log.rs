//! `hotline bundle log`: what became of the last sticks; and what export and import tell the node for it.

use std::path::Path;

use serde_json::{Value, json};

use super::super::{Cli, Session, show};
use crate::bundles::{BundleRequest, Trip};
use crate::request::{Failure, Request};

/// Tells the node what became of a stick. That the log cannot be kept is no reason to say that the stick failed.
pub(super) fn keep(session: &mut Session, trip: Trip) {
    if let Err(failure) = session.ask(&Request::Bundle(BundleRequest::Keep { trip: Box::new(trip) })) {
        show::aside(&format!("this is not in the log of sticks: {failure}"));
    }
}

/// A trip to this place of which nothing is known yet.
pub(super) fn begin(places: &[&Path]) -> Trip {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let medium: Vec<String> = places.iter().map(|path| whole(path).display().to_string()).collect();
    let device = places.first().and_then(|path| device_of(&whole(path)));
    Trip { medium: medium.join(", "), device, ..Trip::default() }
}

/// A trip that failed: what was said, and the next step.
pub(super) fn failed(trip: Trip, failure: &Failure) -> Trip {
    let causes = failure.causes.iter().map(|cause| format!(": {cause}")).collect::<String>();
    Trip { words: format!("{failure}{causes}"), next: failure.hint.clone(), odd: trip.odd.max(1), ..trip }
}

/// What is mounted where a path lies, as the system names it.
fn device_of(path: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    device_in(&mounts, path)
}

/// A line has its mount point in the fifth place, and the device two behind a lone hyphen. Spaces are written as `\040`.
fn device_in(mounts: &str, path: &Path) -> Option<String> {
    let plain = |text: &str| text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
    let mut best: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (Some(point), Some(hyphen)) = (words.get(4), words.iter().position(|w| *w == "-")) else {
            continue;
        };
        let (point, Some(device)) = (plain(point), words.get(hyphen + 2)) else { continue };
        let is_longest = best.as_ref().is_none_or(|(length, _)| point.len() >= *length);
        if path.starts_with(&point) && is_longest {
            best = Some((point.len(), plain(device)));
        }
    }
    best.map(|(_, device)| device)
}

pub(super) fn log(cli: &Cli, limit: usize) -> Result<(), Failure> {
    let trips = cli.ask(&Request::Bundle(BundleRequest::Log { limit }))?;
    if cli.json {
        cli.print(&trips);
        return Ok(());
    }
    let trips = trips.as_array().cloned().unwrap_or_default();
    if trips.is_empty() {
        show::aside("no stick was read or written here yet");
        return Ok(());
    }
    let rows: Vec<Value> = trips
        .iter()
        .map(|trip| {
            json!({
                "at": trip["at"], "way": trip["way"], "medium": trip["medium"], "with": trip["with"],
                "files": trip["files"], "items": trip["items"], "answers": trip["answers"],
                "refused": trip["refused"], "odd": trip["odd"], "next": trip["next"],
            })
        })
        .collect();
    show::table(&rows);
    show::aside(&format!("the last one: {}", trips[0]["words"].as_str().unwrap_or_default()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_that_of_the_nearest_mount() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      40 22 8:17 / /media/my\\040stick ro,nosuid shared:7 - vfat /dev/sdb1 ro\n\
                      41 22 8:33 / /media ro - vfat /dev/sdc1 ro\n\
                      odd line\n";
        for (path, device) in [
            ("/media/my stick/out", "/dev/sdb1"),
            ("/media/other", "/dev/sdc1"),
            ("/home/a", "/dev/sda1"),
            ("/mediate", "/dev/sda1"),
        ] {
            assert_eq!(device_in(mounts, Path::new(path)).as_deref(), Some(device), "{path}");
        }
        assert_eq!(device_in("", Path::new("/x")), None);
    }
}
