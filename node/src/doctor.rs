//! What an operator should look at, each with a next step.
//!
//! [`Look`] is what can be seen of a node at one moment; [`examine`] is a pure function of it, so every finding has a test
//! and the desk, `hotline doctor` and `hotline check` say the same. Nothing in it names a caller or a ticket's words.

mod look;

use serde::Serialize;
use serde_json::Value;

use crate::bundles::counted;
use crate::china;
use crate::users::{Hook, Off};

pub(crate) use look::unasked;
pub use look::{Backed, Disk, Look, look};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Worth knowing; nothing is to be done.
    Notice,
    /// Service goes on, and somebody should see to it.
    Warning,
    /// Service is down, or data is at risk.
    Critical,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, in a word.
    pub topic: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Free space below which a node is warned, and below which it is about to refuse writes.
const LITTLE: u64 = 2 << 30;
const LEAST: u64 = 256 << 20;

/// A log that is longer was not moved into its database for long.
const LONG_LOG: u64 = 1 << 30;

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, topic: &'static str, severity: Severity, what: String, next: Option<&str>) {
        self.0.push(Finding { topic, severity, what, next: next.map(str::to_owned) });
    }
}

/// Everything that was found, the worst first.
pub fn examine(look: &Look) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    directory(look, &mut found);
    backups(look, &mut found);
    hooks(look, &mut found);
    sms(look, &mut found);
    match &look.status {
        Ok(status) => {
            service(look, status, &mut found);
            dates(look, status, &mut found);
            rules(status, &mut found);
            for peer in status["peers"].as_array().into_iter().flatten() {
                link(look, peer, &mut found);
                version(status, peer, &mut found);
            }
            content(look, status, &mut found);
        }
        Err(failure) => found.add(
            "node",
            Severity::Critical,
            std::iter::once(failure.message.as_str())
                .chain(failure.causes.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join(": "),
            failure.hint.as_deref(),
        ),
    }
    found.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found.0
}

fn directory(look: &Look, found: &mut Findings) {
    use Severity::{Critical, Fine, Warning};
    match look.open_to_others.as_slice() {
        [] => found.add("directory", Fine, "only its owner can look into it".to_owned(), None),
        open => found.add(
            "directory",
            Critical,
            format!("others than its owner can read {}", open.join(", ")),
            Some(
                "chmod 700 the directory and 600 the keys; if somebody may have read a key, have it replaced",
            ),
        ),
    }
    if let Some(owner) = look.foreign_owner {
        found.add(
            "directory",
            Warning,
            format!("it belongs to user {owner}, and this is another user"),
            Some("run commands as the node's user: runuser -u hotline -- hotline ..."),
        );
    }
    if let Some(Disk { free, total }) = look.disk {
        let severity = match free {
            ..LEAST => Critical,
            LEAST..LITTLE => Warning,
            _ => Fine,
        };
        found.add(
            "disk",
            severity,
            format!("{} free of {}", size(free), size(total)),
            (severity != Fine).then_some(
                "make room: on a full disk the node goes on reading and refuses every write until there is some",
            ),
        );
    }
    if look.log_bytes > LONG_LOG {
        found.add(
            "database",
            Warning,
            format!("its log has grown to {}", size(look.log_bytes)),
            Some("restart the node when nobody works; if it grows again, look at the disk"),
        );
    }
    if let Some(why) = &look.configuration {
        found.add("configuration", Critical, why.clone(), Some("hotline config check"));
    }
}

fn backups(look: &Look, found: &mut Findings) {
    use Severity::{Critical, Fine, Warning};
    let next = Some("hotline backup DEST, or the timer: systemctl enable --now hotline-backup.timer");
    match &look.backup {
        Backed::Never => {
            found.add("backup", Warning, "none was ever taken of this directory".to_owned(), next)
        }
        Backed::At(at) => {
            let age = look.now - at;
            let severity = match age {
                _ if age <= 2 * DAY => Fine,
                _ if age <= 7 * DAY => Warning,
                _ => Critical,
            };
            let what = format!("the last was taken {} ago", span(age));
            found.add("backup", severity, what, if severity == Fine { None } else { next });
        }
    }
}

/// A receiver that is away for less is no trouble.
const AWAY: i64 = 15 * MINUTE;

/// So many messages that nobody looked at are more than a moment's.
const UNREAD: u64 = 20;

fn hooks(look: &Look, found: &mut Findings) {
    use Severity::{Fine, Notice, Warning};
    for Hook { name, off, failing_since, failure, .. } in &look.hooks {
        let why = failure.as_deref().unwrap_or("?");
        match (off, failing_since.map(|since| look.now - since as i64)) {
            (Some(Off::Gone), _) => found.add(
                "hook",
                Warning,
                format!("{name} is off: its receiver wants no more ({why})"),
                Some("hotline hook remove NAME; if that was an error: hotline hook resume NAME"),
            ),
            (Some(Off::Failing), _) => found.add(
                "hook",
                Warning,
                format!("{name} is off after three days of failure, at last: {why}"),
                Some("see to its receiver; then: hotline hook test NAME, hotline hook resume NAME"),
            ),
            (None, Some(age)) => found.add(
                "hook",
                if age > AWAY { Warning } else { Notice },
                format!("{name} could not be told for {}, at last: {why}", span(age)),
                Some("see to its receiver; nothing is lost, and it is tried again: hotline hook test NAME"),
            ),
            (None, None) => found.add("hook", Fine, format!("{name} is told of changes"), None),
        }
    }
}

fn sms(look: &Look, found: &mut Findings) {
    use Severity::{Fine, Notice, Warning};
    let Some(counts) = &look.sms else { return };
    let of = |state: &str| counts.outgoing.get(state).copied().unwrap_or(0);
    let waiting = of("waiting") + of("trying");
    let next = Some(
        "is the gateway up, and does it know us? `hotline sms log`, docs/sms.md; nothing is lost, and it is tried again",
    );
    match (counts.failing_since.map(|since| look.now - since as i64), counts.oldest) {
        (Some(age), _) => found.add(
            "sms",
            if age > AWAY { Warning } else { Notice },
            format!(
                "the gateway has taken nothing for {}, and {waiting} messages wait, at last: {}",
                span(age),
                counts.failure.as_deref().unwrap_or("?")
            ),
            next,
        ),
        (None, Some(oldest)) if look.now - oldest as i64 > AWAY => found.add(
            "sms",
            Warning,
            format!("{waiting} messages wait, the oldest for {}", span(look.now - oldest as i64)),
            Some("does the node run, and is sms.send set? hotline config check"),
        ),
        _ => found.add("sms", Fine, format!("{waiting} messages wait to be sent"), None),
    }
    let unread = counts.incoming.get("waiting").copied().unwrap_or(0);
    if unread > UNREAD {
        found.add(
            "sms",
            Warning,
            format!("{unread} messages that came in were not looked at yet"),
            Some("does the node run, and does its disk take writes? its log says why they wait"),
        );
    }
    if of("given up") > 0 {
        found.add(
            "sms",
            Notice,
            format!("{} messages were never taken by the gateway and given up", of("given up")),
            Some("call these tickets' callers: `hotline sms log`"),
        );
    }
}

fn service(look: &Look, status: &Value, found: &mut Findings) {
    use Severity::{Critical, Fine, Notice, Warning};
    let node = status["node"].as_str().unwrap_or_default();
    match look.running {
        true => found.add("node", Fine, format!("{node} runs"), None),
        false => found.add(
            "node",
            Critical,
            format!("{node} does not run; this was read from its directory"),
            Some("systemctl start hotline; what it said last: journalctl -u hotline -n 50"),
        ),
    }
    if status["revoked"].as_array().into_iter().flatten().any(|revoked| revoked == node) {
        found.add(
            "identity",
            Critical,
            "this node's certificate was revoked: nobody links to it".to_owned(),
            Some("ask the province; a new identity comes by `hotline cert request`"),
        );
    }
    if let (Some(at), Some(of)) = (status["restored"]["at"].as_str(), status["restored"]["of"].as_str()) {
        found.add("node", Notice, format!("it was restored at {at} from the backup of {of}"), None);
    }
    if let Some(damaged) = &look.damaged {
        match damaged {
            None => found.add("items", Fine, "every item and seal is what was stored".to_owned(), None),
            Some(what) => found.add(
                "items",
                Critical,
                what.clone(),
                Some(
                    "leave the node running: what its peers hold comes back by repair; then look at the disk",
                ),
            ),
        }
    }
    for (what, count) in &look.conflicts {
        let (severity, next) = match what.as_str() {
            "fork" => {
                (Warning, "be sure that only one copy of that node runs; a restored one shows this once")
            }
            "frozen" => {
                (Warning, "a person has to close the matter in a new ticket: hotline replica conflicts")
            }
            _ => (Notice, "hotline replica conflicts"),
        };
        found.add("conflicts", severity, format!("{count} of the kind `{what}`"), Some(next));
    }
}

/// Days before the end of a year from which on the next year's holidays should be known: they are published in November.
const PUBLISHED: i64 = 31;

/// Deadlines count working days, and the holidays of a year are published late in the year before.
fn holidays(look: &Look, status: &Value, found: &mut Findings) {
    let year = |ms: i64| Some(i64::from(china::day(china::moment(u64::try_from(ms).ok()?)?).year()));
    let (Some(known), Some(now), Some(soon)) =
        (status["holidays_until"].as_i64(), year(look.now), year(look.now + PUBLISHED * DAY))
    else {
        return;
    };
    let (severity, missing) = match known {
        known if known < now => (Severity::Warning, now),
        known if known < soon => (Severity::Notice, soon),
        _ => return,
    };
    found.add(
        "holidays",
        severity,
        format!("the holidays of {missing} are not known here: deadlines in it are provisional"),
        Some("the ministry sets them: hotline policy set holidays (policy.md); until it has, a copy of holidays.csv in DIR/reference does, to be moved away then"),
    );
}

/// Rules that should be in force and are not, because this version does not read them or nobody may set them.
fn rules(status: &Value, found: &mut Findings) {
    let unread = status["policy"]["not_read"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(first) = unread.first() else { return };
    let of = |key: &str| first[key].as_str().unwrap_or("?");
    found.add(
        "rules",
        Severity::Warning,
        format!(
            "{} editions of rules are not in force: {} {}: {}",
            unread.len(),
            of("table"),
            of("edition"),
            of("why")
        ),
        Some("update this program, or ask whoever set it: hotline policy list"),
    );
}

fn dates(look: &Look, status: &Value, found: &mut Findings) {
    use Severity::{Critical, Fine, Warning};
    match status["clock_doubt"].as_bool() {
        Some(true) => found.add(
            "clock",
            Critical,
            format!("the node does not know the date: {}", status["clock_doubt_why"].as_str().unwrap_or("?")),
            Some("set the machine's date, then: hotline replica confirm-clock"),
        ),
        _ => found.add("clock", Fine, "the date is not in doubt".to_owned(), None),
    }
    if look.newest > look.now + DAY {
        found.add(
            "clock",
            Warning,
            format!(
                "files of the node are {} in the future: the clock was set back",
                span(look.newest - look.now)
            ),
            Some("set the machine's date; tickets bear the time that the clock shows"),
        );
    }
    holidays(look, status, found);
    let mut ends: Vec<(&str, i64)> = status["expiring"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|e| Some((e["node"].as_str()?, e["days"].as_i64()?)))
        .collect();
    ends.sort_by_key(|(_, days)| *days);
    for (node, days) in &ends {
        let own = status["node"] == *node;
        let severity = if own && *days <= 7 { Critical } else { Warning };
        let what = match days {
            ..0 => format!("the certificate of {node} has ended"),
            _ => format!("the certificate of {node} ends in {days} days"),
        };
        let next = if own {
            "hotline cert request --renew DIR/identity --out FILE, and carry it to the province"
        } else {
            "its operator renews it; until then nothing is lost, and its links end with the date"
        };
        found.add("certificate", severity, what, Some(next));
    }
    if ends.is_empty() {
        found.add("certificate", Fine, "none ends within 30 days".to_owned(), None);
    }
}

fn link(look: &Look, peer: &Value, found: &mut Findings) {
    use Severity::{Critical, Fine, Warning};
    let node = peer["node"].as_str().unwrap_or_default();
    let ago = |field: &str| {
        let at = peer[field].as_str()?.parse::<jiff::Timestamp>().ok()?;
        Some(look.now - at.as_millisecond())
    };
    let outbox = peer["outbox"].as_u64().unwrap_or(0);
    let waits =
        if outbox == 0 { "nothing waits for it".to_owned() } else { format!("{outbox} changes wait for it") };
    // A site without a line is met by sticks: days between them are as they should be.
    let by_stick = peer["connected"] != true
        && ago("stick_at").is_some_and(|stick| ago("last_seen").is_none_or(|seen| stick <= seen + MINUTE));
    match (peer["connected"] == true, ago("last_seen")) {
        _ if by_stick => {
            let age = ago("stick_at").unwrap_or(0);
            let severity = stick_severity(age);
            let what = format!("{node} is met by sticks, the last came {} ago; {waits}", span(age));
            let next = "a stick is due: hotline bundle export; what became of the last ones: hotline bundle log";
            found.add("link", severity, what, (severity != Fine).then_some(next));
        }
        (true, _) => found.add("link", Fine, format!("{node} is linked; {waits}"), None),
        (false, None) => found.add(
            "link",
            Warning,
            format!("{node} was never heard; {waits}; service here is not affected"),
            Some("are its name and address right? hotline config check; hotline replica events"),
        ),
        (false, Some(age)) if age <= 10 * MINUTE => {
            found.add("link", Fine, format!("{node} was last heard {} ago; {waits}", span(age)), None);
        }
        (false, Some(age)) => found.add(
            "link",
            if age > DAY { Critical } else { Warning },
            format!("{node} was last heard {} ago; {waits}; service here is not affected", span(age)),
            Some("why: hotline replica events; for long outages a stick carries what waits: hotline bundle export"),
        ),
    }
    if look.stuck.iter().any(|stuck| stuck == node) {
        found.add(
            "outbox",
            Warning,
            format!("what waits for {node} does not become less although the link is up"),
            Some("what it waits for: hotline replica diff NODE"),
        );
    }
    match ago("proved_at") {
        None if peer["items"].as_u64().unwrap_or(0) == 0 => {}
        None => found.add(
            "proof",
            Warning,
            format!("{node} was never proved equal"),
            Some("hotline replica diff NODE tells what it lacks"),
        ),
        Some(age) => {
            let severity = if by_stick {
                stick_severity(age)
            } else if age > 7 * DAY {
                Critical
            } else if age > DAY {
                Warning
            } else {
                Fine
            };
            found.add(
                "proof",
                severity,
                format!("{node} was proved equal {} ago", span(age)),
                (severity != Fine).then_some("hotline replica diff NODE tells what it lacks"),
            );
        }
    }
}

/// Sticks that come every week or two are no trouble.
fn stick_severity(age: i64) -> Severity {
    match age {
        _ if age <= 15 * DAY => Severity::Fine,
        _ if age <= 31 * DAY => Severity::Warning,
        _ => Severity::Critical,
    }
}

/// A peer whose link is up runs another program. Nodes of several versions are the ordinary state of a country, and only
/// frames of another version keep something from somebody.
fn version(status: &Value, peer: &Value, found: &mut Findings) {
    use Severity::{Notice, Warning};
    let (Some(ours), Some(theirs)) = (status["protocol"].as_u64(), peer["protocol"].as_u64()) else { return };
    let node = peer["node"].as_str().unwrap_or_default();
    let (own, program) = (status["program"].as_str().unwrap_or("?"), peer["program"].as_str());
    let runs = program
        .map_or_else(|| "a program that does not say its version".to_owned(), |p| format!("program {p}"));
    if ours != theirs {
        let (older, next) = match ours < theirs {
            true => (
                "this node",
                "update this program; until then both speak the older version, and nothing is lost",
            ),
            false => (
                "it",
                "have its program updated; until then both speak the older version, and nothing is lost",
            ),
        };
        let what = format!(
            "{node} runs {runs} and speaks version {theirs} on links; this node runs {own} and speaks {ours}: {older} is older"
        );
        found.add("version", Warning, what, Some(next));
    } else if program != Some(own) {
        found.add(
            "version",
            Notice,
            format!("{node} runs {runs}, this node {own}; both speak version {ours} on links"),
            Some("update the older one when it suits; nothing is kept back until then"),
        );
    }
}

fn content(look: &Look, status: &Value, found: &mut Findings) {
    use Severity::{Notice, Warning};
    let count = |field: &str| status[field].as_u64().unwrap_or(0);
    let mut say = |field: &str, severity, words: &str, next| {
        if count(field) > 0 {
            found.add("items", severity, format!("{} {words}", count(field)), next);
        }
    };
    say(
        "waiting",
        Warning,
        "items of peers wait for something that is not here",
        Some("hotline replica diff NODE at the peer"),
    );
    say("refused", Notice, "items were refused", Some("hotline replica conflicts"));
    say(
        "not_counted",
        Notice,
        "items come from after a revocation and do not count",
        Some("hotline replica conflicts"),
    );
    say("files_missing", Notice, "files have not come in full yet", None);
    say("unindexed", Notice, "tickets are not found by search yet", None);
    for (list, severity, one, many, next) in [
        (
            "expired",
            Warning,
            "article of this site is past its last day and still in force",
            "articles of this site are past their last day and still in force",
            "hotline kb list --queue expired --mine; revise or withdraw them",
        ),
        (
            "expiring",
            Notice,
            "article of this site ends within 30 days",
            "articles of this site end within 30 days",
            "hotline kb list --queue expiring --mine",
        ),
        (
            "unreviewed",
            Notice,
            "draft of this site waits for a second person",
            "drafts of this site wait for a second person",
            "hotline kb list --queue unreviewed --mine; then `hotline kb review ID`",
        ),
        (
            "to-publish",
            Notice,
            "draft of this site is reviewed and not published",
            "drafts of this site are reviewed and not published",
            "hotline kb list --queue to-publish --mine",
        ),
        (
            "changed",
            Warning,
            "supplement of this site hangs on an article that has changed since",
            "supplements of this site hang on articles that have changed since",
            "hotline kb list --queue changed --mine; then `hotline kb diff`, and revise them",
        ),
    ] {
        if let Some(count) = status["knowledge"][list].as_u64().filter(|count| *count > 0) {
            found.add("knowledge", severity, counted(count, one, many), Some(next));
        }
    }
    if let Some(kinds) = status["other_kinds"].as_object().filter(|kinds| !kinds.is_empty()) {
        let kinds: Vec<&str> = kinds.keys().map(String::as_str).collect();
        found.add(
            "version",
            Warning,
            format!(
                "peers write documents that this version ({}) does not know: {}",
                look.version,
                kinds.join(", ")
            ),
            Some("update this program; until then they are kept and passed on"),
        );
    }
}

/// A span of milliseconds for people.
fn span(ms: i64) -> String {
    match ms {
        ..MINUTE => "less than a minute".to_owned(),
        MINUTE..HOUR => format!("{} min", ms / MINUTE),
        HOUR..DAY => format!("{} h {} min", ms / HOUR, ms % HOUR / MINUTE),
        _ => format!("{} days", ms / DAY),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        ..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Failure, FailureKind};
    use serde_json::json;

    const NOW: i64 = 1_795_824_000_000; // 2026-11-28

    fn at(age: i64) -> String {
        jiff::Timestamp::from_millisecond(NOW - age).unwrap().to_string()
    }

    fn healthy() -> Look {
        Look {
            version: "0.1.0",
            now: NOW,
            newest: NOW,
            running: true,
            open_to_others: Vec::new(),
            foreign_owner: None,
            disk: Some(Disk { free: 100 << 30, total: 200 << 30 }),
            log_bytes: 0,
            configuration: None,
            backup: Backed::At(NOW - HOUR),
            stuck: Vec::new(),
            hooks: Vec::new(),
            sms: None,
            conflicts: Vec::new(),
            damaged: Some(None),
            status: Ok(json!({
                "node": "370100", "clock_doubt": false, "holidays_until": 2027, "expiring": [], "revoked": [], "other_kinds": {},
                "program": "0.1.0", "protocol": 1,
                "peers": [{ "program": "0.1.0", "protocol": 1, "node": "370000", "connected": true, "outbox": 0, "items": 9, "last_seen": at(0), "proved_at": at(HOUR) }],
            })),
        }
    }

    fn worst(look: &Look) -> (Severity, &'static str) {
        let found = examine(look);
        (found[0].severity, found[0].topic)
    }

    #[test]
    fn a_healthy_node_has_nothing_to_say_but_that() {
        assert!(examine(&healthy()).iter().all(|finding| finding.severity == Severity::Fine));
        assert!(examine(&healthy()).iter().all(|finding| finding.next.is_none()));
    }

    #[test]
    fn a_hook_that_is_not_told_is_found_with_its_last_failure() {
        use Severity::{Fine, Notice, Warning};
        let dir = tempfile::tempdir().unwrap();
        let users = crate::users::Users::open(dir.path()).unwrap();
        let new = crate::users::NewHook {
            name: "hall".to_owned(),
            url: "http://127.0.0.1:9/KEY".to_owned(),
            stages: Vec::new(),
            ca: None,
            cursor: "0-0000000000000000".to_owned(),
        };
        let hook = users.add_hook(&new, 1).unwrap();
        let check = |hook: &Hook, severity, words: &str| {
            let look = Look { hooks: vec![hook.clone()], ..healthy() };
            let found = examine(&look).into_iter().find(|f| f.topic == "hook").unwrap();
            assert_eq!(found.severity, severity, "{found:?}");
            assert!(found.what.contains(words) && !found.what.contains("KEY"), "{found:?}");
            assert_eq!(found.next.is_some(), severity != Fine);
        };
        check(&hook, Fine, "hall is told");
        let failing = |age: i64, off| Hook {
            failing_since: Some((NOW - age) as u64),
            failure: Some("answered 500".to_owned()),
            off,
            ..hook.clone()
        };
        check(&failing(MINUTE, None), Notice, "answered 500");
        check(&failing(HOUR, None), Warning, "answered 500");
        check(&failing(4 * DAY, Some(Off::Failing)), Warning, "answered 500");
        check(&failing(MINUTE, Some(Off::Gone)), Warning, "wants no more");
    }

    #[test]
    fn messages_that_do_not_get_out_are_found_with_the_last_failure() {
        use Severity::{Fine, Notice, Warning};
        let check = |counts: crate::users::SmsCounts, severity, words: &str| {
            let found = examine(&Look { sms: Some(counts), ..healthy() });
            let found = found.into_iter().find(|f| f.topic == "sms" && f.what.contains(words));
            let found = found.unwrap_or_else(|| panic!("nothing says {words}"));
            assert_eq!((found.severity, found.next.is_some()), (severity, severity != Fine), "{found:?}");
        };
        let counts = |outgoing: &[(&str, u64)]| crate::users::SmsCounts {
            outgoing: outgoing.iter().map(|(state, n)| ((*state).to_owned(), *n)).collect(),
            ..crate::users::SmsCounts::default()
        };
        let failing = |age: i64| crate::users::SmsCounts {
            failing_since: Some((NOW - age) as u64),
            failure: Some("answered 403".to_owned()),
            ..counts(&[("waiting", 2), ("trying", 1)])
        };
        check(counts(&[("delivered", 9)]), Fine, "0 messages wait");
        check(failing(MINUTE), Notice, "3 messages wait, at last: answered 403");
        check(failing(HOUR), Warning, "answered 403");
        let oldest = Some((NOW - HOUR) as u64);
        check(crate::users::SmsCounts { oldest, ..counts(&[("waiting", 2)]) }, Warning, "the oldest for");
        check(counts(&[("given up", 2)]), Notice, "given up");
        let incoming = [("waiting".to_owned(), UNREAD + 1)].into();
        check(crate::users::SmsCounts { incoming, ..counts(&[]) }, Warning, "not looked at");
    }

    #[test]
    fn every_trouble_is_found_and_has_a_next_step() {
        use Severity::{Critical, Notice, Warning};
        let status = |look: &mut Look, change: &dyn Fn(&mut Value)| {
            if let Ok(status) = &mut look.status {
                change(status);
            }
        };
        let sticks = |look: &mut Look, age: i64| {
            status(look, &|s| {
                s["peers"][0]["connected"] = json!(false);
                s["peers"][0]["last_seen"] = json!(at(age));
                s["peers"][0]["stick_at"] = json!(at(age));
            });
        };
        let mut look = healthy();
        sticks(&mut look, 10 * DAY);
        assert_eq!(worst(&look).0, Severity::Fine, "a stick of last week is in order");
        let speaks = |look: &mut Look, protocol: u64, program: Value| {
            status(look, &|s| {
                s["peers"][0]["protocol"] = json!(protocol);
                s["peers"][0]["program"] = program.clone();
            });
        };
        type Case<'a> = (Severity, &'static str, &'a dyn Fn(&mut Look));
        let cases: &[Case<'_>] = &[
            (Critical, "directory", &|l| l.open_to_others.push("identity/node.key".to_owned())),
            (Warning, "directory", &|l| l.foreign_owner = Some(1000)),
            (Critical, "disk", &|l| l.disk = Some(Disk { free: 1 << 20, total: 1 << 40 })),
            (Warning, "disk", &|l| l.disk = Some(Disk { free: 1 << 30, total: 1 << 40 })),
            (Warning, "database", &|l| l.log_bytes = 2 << 30),
            (Critical, "configuration", &|l| l.configuration = Some("line 3".to_owned())),
            (Warning, "backup", &|l| l.backup = Backed::Never),
            (Warning, "backup", &|l| l.backup = Backed::At(NOW - 3 * DAY)),
            (Critical, "backup", &|l| l.backup = Backed::At(NOW - 30 * DAY)),
            (Critical, "node", &|l| l.running = false),
            (Critical, "node", &|l| {
                l.status =
                    Err(Failure::new(FailureKind::Integrity, "the database is damaged").hint("restore it"));
            }),
            (Critical, "identity", &|l| status(l, &|s| s["revoked"] = json!(["370100"]))),
            (Critical, "items", &|l| l.damaged = Some(Some("3 items".to_owned()))),
            (Warning, "conflicts", &|l| l.conflicts.push(("fork".to_owned(), 1))),
            (Critical, "clock", &|l| status(l, &|s| s["clock_doubt"] = json!(true))),
            (Warning, "rules", &|l| {
                let unread =
                    json!([{ "table": "redirects", "edition": "000000 2027-01-01 #1", "why": "line 2" }]);
                status(l, &|s| s["policy"] = json!({ "not_read": unread }));
            }),
            (Warning, "holidays", &|l| status(l, &|s| s["holidays_until"] = json!(2025))),
            (Notice, "holidays", &|l| {
                l.now += 7 * DAY; // December
                l.newest = l.now;
                l.backup = Backed::At(l.now);
                status(l, &|s| {
                    s["holidays_until"] = json!(2026);
                    s["peers"] = json!([]);
                });
            }),
            (Warning, "clock", &|l| l.newest = NOW + 400 * DAY),
            (Critical, "certificate", &|l| {
                status(l, &|s| s["expiring"] = json!([{ "node": "370100", "days": 3 }]));
            }),
            (Warning, "certificate", &|l| {
                status(l, &|s| s["expiring"] = json!([{ "node": "370000", "days": -3 }]));
            }),
            (Warning, "link", &|l| {
                status(l, &|s| {
                    s["peers"][0]["connected"] = json!(false);
                    s["peers"][0]["last_seen"] = json!(at(HOUR));
                })
            }),
            (Critical, "link", &|l| {
                status(l, &|s| {
                    s["peers"][0]["connected"] = json!(false);
                    s["peers"][0]["last_seen"] = json!(at(2 * DAY));
                })
            }),
            (Warning, "link", &|l| sticks(l, 20 * DAY)),
            (Critical, "link", &|l| sticks(l, 40 * DAY)),
            (Warning, "outbox", &|l| l.stuck.push("370000".to_owned())),
            (Warning, "proof", &|l| status(l, &|s| s["peers"][0]["proved_at"] = json!(at(2 * DAY)))),
            (Critical, "proof", &|l| status(l, &|s| s["peers"][0]["proved_at"] = json!(at(9 * DAY)))),
            (Warning, "items", &|l| status(l, &|s| s["waiting"] = json!(2))),
            (Warning, "version", &|l| speaks(l, 2, json!("0.9.0"))),
            (Warning, "version", &|l| speaks(l, 0, Value::Null)),
            (Notice, "version", &|l| speaks(l, 1, json!("0.2.0"))),
            (Notice, "version", &|l| speaks(l, 1, Value::Null)),
            (Warning, "version", &|l| status(l, &|s| s["other_kinds"] = json!({ "bulletin": 4 }))),
            (Warning, "knowledge", &|l| status(l, &|s| s["knowledge"] = json!({ "expired": 2 }))),
            (Notice, "knowledge", &|l| status(l, &|s| s["knowledge"] = json!({ "expiring": 1 }))),
            (Notice, "knowledge", &|l| status(l, &|s| s["knowledge"] = json!({ "unreviewed": 1 }))),
            (Notice, "knowledge", &|l| status(l, &|s| s["knowledge"] = json!({ "to-publish": 1 }))),
            (Warning, "knowledge", &|l| status(l, &|s| s["knowledge"] = json!({ "changed": 1 }))),
            (Notice, "node", &|l| status(l, &|s| s["restored"] = json!({ "at": at(0), "of": "x" }))),
        ];
        for (severity, topic, trouble) in cases {
            let mut look = healthy();
            trouble(&mut look);
            assert_eq!(worst(&look), (*severity, *topic));
            let first = examine(&look).remove(0);
            assert!(first.next.is_some() || *severity == Notice, "{first:?} has no next step");
        }
    }
}
