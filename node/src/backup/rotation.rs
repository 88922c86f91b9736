//! Which backups go: what is beyond the number that is kept, and every vault that is older than a vault may be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;

use super::{Named, Part};

/// How many days a copy of a vault may be kept: what is erased must end somewhere.
pub const VAULT_DAYS: i64 = 30;

/// When a backup was taken, as its name says, in seconds since 1970.
pub(super) fn taken_at(taken: &str) -> Option<i64> {
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", taken).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// The archives in a directory.
pub(super) fn archives(dir: &Path) -> std::io::Result<Vec<Named>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.extend(Named::read(entry.path()));
        }
    }
    found.sort_by(|a, b| (&a.taken, a.part).cmp(&(&b.taken, b.part)));
    Ok(found)
}

/// What of this node's archives goes when the newest `keep` backups stay, at `now` in seconds since 1970.
fn due<'a>(all: &'a [Named], node: &str, keep: Option<usize>, now: i64) -> Vec<&'a Named> {
    let mut backups: BTreeMap<&str, Vec<&Named>> = BTreeMap::new();
    for one in all.iter().filter(|one| one.node == node) {
        backups.entry(&one.taken).or_default().push(one);
    }
    let extra = keep.map_or(0, |keep| backups.len().saturating_sub(keep.max(1)));
    let too_old = |one: &Named| {
        one.part == Part::Vault && taken_at(&one.taken).is_some_and(|at| now - at > VAULT_DAYS * 86_400)
    };
    let mut due = Vec::new();
    for (n, archives) in backups.values().enumerate() {
        due.extend(archives.iter().copied().filter(|one| n < extra || too_old(one)));
    }
    due
}

/// Removes what is due and returns its paths.
pub(super) fn rotate(dir: &Path, node: &str, keep: Option<usize>, now: i64) -> std::io::Result<Vec<PathBuf>> {
    let all = archives(dir)?;
    due(&all, node, keep, now)
        .into_iter()
        .map(|one| std::fs::remove_file(&one.path).map(|()| one.path.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_an_old_vault_goes_in_any_case() {
        let backup = |node: &str, taken: &str| {
            [Part::Node, Part::Vault]
                .map(|part| Named::read(PathBuf::from(Named::file_name(node, taken, part, false))).unwrap())
        };
        let days = ["20260901T000000Z", "20261101T000000Z", "20261102T000000Z", "20261103T000000Z"];
        let all: Vec<Named> = days
            .iter()
            .flat_map(|day| backup("370100", day))
            .chain(backup("370200", "20261101T000000Z"))
            .collect();
        let now = taken_at("20261104T000000Z").unwrap();
        let check = |keep, expected: &[(&str, Part)]| {
            let due: Vec<_> = due(&all, "370100", keep, now)
                .into_iter()
                .map(|one| (one.taken.as_str(), one.part))
                .collect();
            assert_eq!(due, expected, "{keep:?}");
        };
        check(None, &[(days[0], Part::Vault)]);
        check(Some(4), &[(days[0], Part::Vault)]);
        check(
            Some(2),
            &[(days[0], Part::Node), (days[0], Part::Vault), (days[1], Part::Node), (days[1], Part::Vault)],
        );
        let most: Vec<_> =
            days[..3].iter().flat_map(|day| [(*day, Part::Node), (*day, Part::Vault)]).collect();
        check(Some(0), &most);
    }
}
