//! Bundles on real files, written and read by real engines, and everything that happens to sticks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use node::bundles::{Exported, FileReport, MIN_PART, PART, Report, read, write};
use node::files::FileRequest;
use node::request::{Act, Request};
use serde_json::json;
use sync::replica::Basis;
use tempfile::TempDir;
use world::city::Program;
use world::shim::{Fault, Mode, Shim};
use world::town::Town;

const OFFICE: &str = "370100-01";
const CITY: &str = "370100";
const PROVINCE: &str = "370000";

const DAY_MS: u64 = 86_400_000;

static SHIM: LazyLock<Shim> = LazyLock::new(|| Shim::build().expect("a C compiler"));

/// The first knows the record of the second, as it came with its enrolment.
fn knows(town: &mut Town, node: &str, other: &str) {
    let record = town.with(other, |e| e.identity().record().bytes().clone());
    let hex = record.iter().map(|b| format!("{b:02x}")).collect();
    town.ask(node, Request::Admit { kind: "record".to_owned(), hex }).expect("it is admitted");
}

/// An office that never had a line, and its city.
fn town() -> Town {
    let mut town = Town::new(&[OFFICE, CITY]);
    knows(&mut town, OFFICE, CITY);
    town
}

fn stick() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn export(town: &mut Town, from: &str, to: &str, dir: &Path) -> Exported {
    export_with(town, from, to, dir, PART, Basis::Acknowledged)
}

fn export_with(town: &mut Town, from: &str, to: &str, dir: &Path, most: u64, basis: Basis) -> Exported {
    let mut ask = |request| town.ask(from, Request::Bundle(request));
    let exported = write(&mut ask, &[to.to_owned()], dir, most, basis).expect("it is written");
    assert!(exported.stopped.is_none(), "{exported:?}");
    exported
}

fn import(town: &mut Town, at: &str, path: &Path) -> Report {
    read(&mut |request| town.ask(at, Request::Bundle(request)), &[path.to_owned()]).expect("it is read")
}

fn one(report: &Report) -> &FileReport {
    let [file] = report.files.as_slice() else { panic!("{report:?}") };
    file
}

fn file_of(exported: &Exported, dir: &Path) -> PathBuf {
    let [file] = exported.files.as_slice() else { panic!("{exported:?}") };
    dir.join(&file.file)
}

/// How every ticket that a node holds stands there.
fn held(town: &mut Town, node: &str) -> BTreeSet<String> {
    every(town, node, "state_hash")
}

/// The tickets that a node holds.
fn ids(town: &mut Town, node: &str) -> BTreeSet<String> {
    every(town, node, "id")
}

fn every(town: &mut Town, node: &str, field: &str) -> BTreeSet<String> {
    let (mut all, mut after) = (BTreeSet::new(), None);
    loop {
        let page = town.ask(node, Request::Export { after, limit: 1_000 }).expect("an export");
        let tickets = page["tickets"].as_array().expect("tickets");
        all.extend(tickets.iter().map(|t| t[field].as_str().expect("a text").to_owned()));
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return all;
        }
    }
}

fn owes(town: &mut Town, node: &str, peer: &str) -> u64 {
    let status = town.ask(node, Request::Status).expect("a status");
    let row = status["peers"].as_array().expect("peers").iter().find(|p| p["node"] == peer).cloned();
    row.and_then(|row| row["outbox"].as_u64()).unwrap_or(0)
}

/// A stick there and one back.
fn round(town: &mut Town, a: &str, b: &str) -> (Report, Report) {
    let (there, back) = (stick(), stick());
    export(town, a, b, there.path());
    let one = import(town, b, there.path());
    export(town, b, a, back.path());
    (one, import(town, a, back.path()))
}

/// Both hold the same, owe nothing, and know it.
fn assert_converged(town: &mut Town, a: &str, b: &str) {
    for _ in 0..2 {
        round(town, a, b);
    }
    let (there, back) = round(town, a, b);
    assert_eq!(there.equal.get(a), Some(&true), "{there:?}");
    assert_eq!(back.equal.get(b), Some(&true), "{back:?}");
    assert_eq!((owes(town, a, b), owes(town, b, a)), (0, 0));
}

#[test]
fn an_office_works_alone_for_weeks_and_every_ticket_comes_home() {
    let mut town = town();
    let mut ids = Vec::new();
    for week in 0..4 {
        for _ in 0..10 {
            let id = town.call(OFFICE, "路灯不亮");
            let text = "已派人".to_owned();
            town.act(OFFICE, &id, Act::Progress { text }).expect("it is granted");
            ids.push(id);
        }
        town.now += 7 * DAY_MS;
        let (there, _) = round(&mut town, OFFICE, CITY);
        assert_eq!((there.odd(), there.waiting()), (0, 0), "week {week}: {there:?}");
    }
    let id = town.call(CITY, "公交站牌损坏");
    let offer = Act::Offer { to: OFFICE.to_owned(), reason: "归你处".to_owned() };
    town.act(CITY, &id, offer).expect("it is granted");
    let there = stick();
    export(&mut town, CITY, OFFICE, there.path());
    import(&mut town, OFFICE, there.path());
    town.act(OFFICE, &id, Act::Accept {}).expect("it is granted");
    assert_converged(&mut town, OFFICE, CITY);
    assert_eq!(town.show(CITY, &id).expect("it is here")["custodian"], OFFICE);
    for id in ids {
        let hash =
            |town: &mut Town, node: &str| town.show(node, &id).expect("it is here")["state_hash"].clone();
        assert_eq!(hash(&mut town, CITY), hash(&mut town, OFFICE));
    }
}

/// Tickets with words that do not compress, so that a part has several pages.
fn with_noise(town: &mut Town) {
    for n in 0..40u32 {
        let id = town.call(OFFICE, &format!("路灯不亮 {n}"));
        for m in 0..6u32 {
            let mut noise = vec![0; 4_000];
            let mut hasher = blake3::Hasher::new();
            hasher.update(&n.to_be_bytes()).update(&m.to_be_bytes()).finalize_xof().fill(&mut noise);
            let text = node::hex::hex(&noise);
            town.ask(OFFICE, Request::Note { id: id.clone(), text, user: None }).expect("a note");
        }
    }
}

#[test]
fn a_stick_torn_out_at_any_byte_gives_what_was_written() {
    let mut town = town();
    with_noise(&mut town);
    let dir = stick();
    let whole = fs::read(file_of(&export(&mut town, OFFICE, CITY, dir.path()), dir.path())).expect("a file");
    let torn = stick();
    let path = torn.path().join("torn.hlb");
    let all = ids(&mut town, OFFICE);
    let (mut cut, mut steps) = (0, 0);
    // One city reads ever more of it: what it holds by then is what was there.
    while cut < whole.len() {
        fs::write(&path, &whole[..cut]).expect("a file");
        let report = import(&mut town, CITY, torn.path());
        assert!(
            report.refused.is_empty() && ids(&mut town, CITY).is_subset(&all),
            "cut at {cut}: {report:?}"
        );
        let file = one(&report);
        assert!(!file.ended || file.damaged || cut + 8_192 > whole.len(), "cut at {cut}: {report:?}");
        steps += 1;
        cut += if cut < 4_096 { 127 } else { 31_337 };
    }
    assert!(steps > 50, "{steps}");
    assert_converged(&mut town, OFFICE, CITY);
    assert_eq!(held(&mut town, CITY), held(&mut town, OFFICE));
    // Of a part that was torn near its middle about half is usable.
    let mut fresh = self::town();
    with_noise(&mut fresh);
    let dir = stick();
    let file = file_of(&export(&mut fresh, OFFICE, CITY, dir.path()), dir.path());
    let bytes = fs::read(&file).expect("a file");
    fs::write(&file, &bytes[..bytes.len() * 6 / 10]).expect("a file");
    let report = import(&mut fresh, CITY, dir.path());
    assert_eq!(one(&report).outcome(), "torn");
    let share = report.taken() as f64
        / fresh.with(OFFICE, |e| e.ask(&Request::Status).expect("a status"))["items"]
            .as_f64()
            .expect("a number");
    assert!((0.3..0.8).contains(&share), "{share}: {report:?}");
    assert_converged(&mut fresh, OFFICE, CITY);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_and_nothing_wrong_is_applied() {
    let mut town = town();
    town.call(OFFICE, "路灯不亮");
    let dir = stick();
    let whole = fs::read(file_of(&export(&mut town, OFFICE, CITY, dir.path()), dir.path())).expect("a file");
    let all = held(&mut town, OFFICE);
    let bad = stick();
    let path = bad.path().join("bad.hlb");
    for (n, at) in (0..whole.len()).step_by(7).enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (n % 8);
        fs::write(&path, &bytes).expect("a file");
        let report = import(&mut town, CITY, bad.path());
        assert_eq!(report.odd(), 1, "byte {at} of {}: {report:?}", whole.len());
        assert!(report.refused.is_empty(), "byte {at}: {report:?}");
    }
    assert!(held(&mut town, CITY).is_subset(&all));
    import(&mut town, CITY, dir.path());
    assert_eq!(held(&mut town, CITY), all);
    assert_converged(&mut town, OFFICE, CITY);
}

/// A ticket with a file of some MiB that do not compress; its id.
fn with_file(town: &mut Town, node: &str, mib: usize) -> String {
    let id = town.call(node, "录音");
    let mut bytes = vec![0; mib << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let digest = blake3::hash(&bytes).to_hex().to_string();
    let size = bytes.len() as u64;
    let (name, media) = ("录音.wav".to_owned(), None);
    let attach = FileRequest::Attach { id: id.clone(), name, size, digest, media, user: None };
    let begun = town.ask(node, Request::File(attach)).expect("it begins");
    let (upload, part) =
        (begun["upload"].as_u64().expect("a number"), begun["part"].as_u64().expect("a size"));
    for (n, chunk) in bytes.chunks(part as usize).enumerate() {
        let hex = node::hex::hex(chunk);
        let at = n as u64 * part;
        town.ask(node, Request::File(FileRequest::AttachPart { upload, at, hex })).expect("a part");
    }
    town.ask(node, Request::File(FileRequest::AttachEnd { upload })).expect("it is attached");
    id
}

fn complete(town: &mut Town, node: &str, id: &str) -> bool {
    let list = FileRequest::List { id: id.to_owned(), reveal: None, user: None };
    let files = town.ask(node, Request::File(list)).expect("a list");
    files[0]["complete"] == true
}

#[test]
fn parts_are_bounded_urgent_first_and_come_in_any_order() {
    let mut town = town();
    let id = with_file(&mut town, OFFICE, 5);
    let dir = stick();
    let exported = export_with(&mut town, OFFICE, CITY, dir.path(), MIN_PART, Basis::Acknowledged);
    assert!(exported.files.len() > 5, "{exported:?}");
    for file in &exported.files {
        assert!(file.size <= MIN_PART, "{file:?}");
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        assert!(file.file.len() < 64 && file.file.bytes().all(fine), "{file:?}");
    }
    // The first part alone brings the ticket; the file's pieces come behind it.
    let first = import(&mut town, CITY, &dir.path().join(&exported.files[0].file));
    assert!(first.taken() > 0 && town.show(CITY, &id).is_some());
    assert!(!complete(&mut town, CITY, &id));
    // A part is missing, the others come backwards, and one of them twice.
    let missing = &exported.files[3].file;
    for file in exported.files.iter().rev().chain([&exported.files[1]]).filter(|f| f.file != *missing) {
        let report = import(&mut town, CITY, &dir.path().join(&file.file));
        assert_eq!(report.odd(), 0, "{report:?}");
    }
    assert!(!complete(&mut town, CITY, &id));
    // What the city lacks of the file it asks for, with its own bundle.
    round(&mut town, CITY, OFFICE);
    round(&mut town, OFFICE, CITY);
    assert!(complete(&mut town, CITY, &id));
    assert_converged(&mut town, OFFICE, CITY);
}

#[test]
fn who_a_bundle_is_not_for_carries_it_on_and_cannot_read_it() {
    let mut town = Town::new(&[OFFICE, CITY, PROVINCE, "370200"]);
    for (a, b) in [(OFFICE, PROVINCE), (CITY, OFFICE), ("370200", OFFICE)] {
        knows(&mut town, a, b);
    }
    town.link(CITY, PROVINCE);
    town.settle();
    let id = town.call(OFFICE, "路灯不亮");
    let there = stick();
    let exported = export(&mut town, OFFICE, PROVINCE, there.path());
    // Another city can do nothing with it; nobody it is linked with is nearer.
    let report = import(&mut town, "370200", there.path());
    assert_eq!((one(&report).outcome(), report.taken()), ("carried on", 0), "{report:?}");
    assert!(town.show("370200", &id).is_none());
    // The city passes it up its link, unread.
    let report = import(&mut town, CITY, there.path());
    assert_eq!((one(&report).outcome(), report.taken()), ("carried on", 0), "{report:?}");
    assert!(town.show(CITY, &id).is_none());
    town.settle();
    assert!(town.show(PROVINCE, &id).is_some(), "it came over the link");
    // The province's answer comes down the link, and home with the city's next bundle.
    let back = stick();
    let exported_back = export(&mut town, CITY, OFFICE, back.path());
    assert_eq!(exported_back.ended["carried"], 1, "{exported_back:?}");
    let before = owes(&mut town, OFFICE, PROVINCE);
    let report = import(&mut town, OFFICE, back.path());
    assert!(report.answers > 0 && report.settled > 0, "{report:?}");
    assert!(owes(&mut town, OFFICE, PROVINCE) < before);
    // Carried by a stick, the file is what it was, under its own name.
    let on = stick();
    knows(&mut town, "370200", PROVINCE);
    let carried = export(&mut town, "370200", PROVINCE, on.path());
    let name = &exported.files[0].file;
    assert!(carried.files.iter().any(|f| f.file == *name), "{carried:?}");
    let bytes = |dir: &Path| fs::read(dir.join(name)).expect("a file");
    assert_eq!(bytes(on.path()), bytes(there.path()));
}

fn export_to(town: &mut Town, from: &str, to: &[&str], dir: &Path, basis: Basis) -> Exported {
    let to: Vec<String> = to.iter().map(|node| (*node).to_owned()).collect();
    let exported = write(&mut |request| town.ask(from, Request::Bundle(request)), &to, dir, PART, basis);
    exported.expect("it is written")
}

#[test]
fn what_two_recipients_must_both_get_is_written_once() {
    let mut town = Town::new(&[OFFICE, CITY, PROVINCE]);
    for (a, b) in [(OFFICE, CITY), (OFFICE, PROVINCE), (CITY, OFFICE), (PROVINCE, OFFICE)] {
        knows(&mut town, a, b);
    }
    let both = [CITY, PROVINCE];
    // First everything, then what is new since.
    for count in [60, 30] {
        calls(&mut town, OFFICE, count);
        let (alone, there) = (stick(), stick());
        for to in both {
            export(&mut town, OFFICE, to, alone.path());
        }
        let exported = export_to(&mut town, OFFICE, &both, there.path(), Basis::Acknowledged);
        let parts: Vec<&str> = exported.files.iter().map(|f| f.to.as_str()).collect();
        assert_eq!(parts, ["370000,370100", PROVINCE, CITY], "{exported:?}");
        let size = |dir: &Path| -> u64 {
            let files = fs::read_dir(dir).expect("a directory").flatten();
            files.map(|f| f.metadata().expect("a file").len()).sum()
        };
        let (shared, twice) = (size(there.path()), size(alone.path()));
        assert!(shared * 10 < twice * 7, "{shared} bytes for both, {twice} for each");
        // Each takes it in as if it were its own, and says so to the office.
        for to in both {
            let report = import(&mut town, to, there.path());
            assert_eq!((report.waiting(), report.refused.len(), report.odd()), (0, 0, 0), "{report:?}");
            assert_eq!(report.equal.get(OFFICE), Some(&true), "{report:?}");
            assert_eq!(held(&mut town, to), held(&mut town, OFFICE), "{to}");
            let back = stick();
            export(&mut town, to, OFFICE, back.path());
            assert!(import(&mut town, OFFICE, back.path()).settled > 0, "{to}");
            assert_eq!(owes(&mut town, OFFICE, to), 0, "{to}");
        }
    }
}

#[test]
fn a_part_for_two_reaches_the_second_through_the_first() {
    let mut town = Town::new(&[OFFICE, CITY, PROVINCE]);
    for (a, b) in [(OFFICE, CITY), (OFFICE, PROVINCE), (CITY, OFFICE)] {
        knows(&mut town, a, b);
    }
    town.link(CITY, PROVINCE);
    town.settle();
    let id = town.call(OFFICE, "路灯不亮");
    let there = stick();
    export_to(&mut town, OFFICE, &[CITY, PROVINCE], there.path(), Basis::Acknowledged);
    let report = import(&mut town, CITY, there.path());
    let outcomes: BTreeSet<_> = report.files.iter().map(FileReport::outcome).collect();
    assert_eq!(outcomes, ["taken", "carried on"].into(), "{report:?}");
    assert!(report.files.iter().any(|f| f.for_us && f.carried > 0), "{report:?}");
    town.settle();
    assert!(town.show(PROVINCE, &id).is_some(), "it came over the link");
    // Both answers come home with the city's next stick, and nothing goes round in a circle.
    let back = stick();
    export(&mut town, CITY, OFFICE, back.path());
    import(&mut town, OFFICE, back.path());
    assert_eq!((owes(&mut town, OFFICE, CITY), owes(&mut town, OFFICE, PROVINCE)), (0, 0));
    // The city keeps the province's answer, since a stick may be lost, and nothing of the office.
    for (node, kept) in [(CITY, 1), (PROVINCE, 0)] {
        let status = town.ask(node, Request::Status).expect("a status");
        assert_eq!(status["carried_parcels"], kept, "{node}");
    }
}

#[test]
fn two_that_met_by_sticks_and_have_a_carrier_between_them_come_to_rest() {
    const NEIGHBOUR: &str = "370200";
    let mut town = Town::new(&[CITY, NEIGHBOUR, PROVINCE]);
    for (a, b) in [(CITY, NEIGHBOUR), (NEIGHBOUR, CITY)] {
        knows(&mut town, a, b);
    }
    for (a, b) in [(CITY, NEIGHBOUR), (NEIGHBOUR, CITY)] {
        let id = town.call(a, "异地车票");
        let act = Act::Offer { to: b.to_owned(), reason: "属地不符".to_owned() };
        town.act(a, &id, act).expect("it is offered");
    }
    let (there, back) = (stick(), stick());
    export(&mut town, CITY, NEIGHBOUR, there.path());
    export(&mut town, NEIGHBOUR, CITY, back.path());
    import(&mut town, NEIGHBOUR, there.path());
    import(&mut town, CITY, back.path());
    // The answers of both go over the lines of the province that lies between them.
    town.link(CITY, PROVINCE);
    town.link(NEIGHBOUR, PROVINCE);
    town.settle();
    // An answer is not answered: it came, and nobody carries anything any more.
    for node in [CITY, NEIGHBOUR, PROVINCE] {
        let status = town.ask(node, Request::Status).expect("a status");
        assert_eq!(status["carried_parcels"], 0, "{node}");
    }
}

#[test]
fn what_one_of_two_recipients_must_not_get_is_in_no_part_of_its() {
    const NEIGHBOUR: &str = "370200";
    let mut town = Town::new(&[OFFICE, CITY, NEIGHBOUR]);
    for (a, b) in [(OFFICE, CITY), (OFFICE, NEIGHBOUR), (CITY, OFFICE), (NEIGHBOUR, OFFICE)] {
        knows(&mut town, a, b);
    }
    let (kept, offered) = (town.call(OFFICE, "路灯不亮"), town.call(OFFICE, "异地车票"));
    let act = Act::Offer { to: NEIGHBOUR.to_owned(), reason: "属地不符".to_owned() };
    town.act(OFFICE, &offered, act).expect("it is offered");
    for basis in [Basis::Acknowledged, Basis::Everything] {
        let there = stick();
        let exported = export_to(&mut town, OFFICE, &[CITY, NEIGHBOUR], there.path(), basis);
        assert_eq!(exported.stopped, None);
        let report = import(&mut town, NEIGHBOUR, there.path());
        assert_eq!(report.odd(), 0, "{report:?}");
        assert_eq!(ids(&mut town, NEIGHBOUR), [offered.clone()].into());
        import(&mut town, CITY, there.path());
        assert_eq!(ids(&mut town, CITY), [kept.clone(), offered.clone()].into());
        for to in [CITY, NEIGHBOUR] {
            let back = stick();
            export(&mut town, to, OFFICE, back.path());
            import(&mut town, OFFICE, back.path());
            assert_eq!(owes(&mut town, OFFICE, to), 0, "{to}");
        }
    }
    // What is new and for both goes into one part; what is for one does not.
    town.call(OFFICE, "路面有坑");
    town.act(OFFICE, &offered, Act::Withdraw {}).expect("it is withdrawn");
    let there = stick();
    let exported = export_to(&mut town, OFFICE, &[CITY, NEIGHBOUR], there.path(), Basis::Acknowledged);
    let parts: Vec<&str> = exported.files.iter().map(|f| f.to.as_str()).collect();
    assert_eq!(parts, ["370100,370200", CITY, NEIGHBOUR], "{exported:?}");
    import(&mut town, NEIGHBOUR, there.path());
    assert_eq!(ids(&mut town, NEIGHBOUR), [offered.clone()].into());
    assert_eq!(town.show(NEIGHBOUR, &offered).expect("it is here")["open_offer"], serde_json::Value::Null);
}

#[test]
fn two_sticks_cross() {
    let mut town = town();
    round(&mut town, OFFICE, CITY);
    knows(&mut town, CITY, OFFICE);
    town.call(OFFICE, "路灯不亮");
    let id = town.call(CITY, "井盖缺失");
    let offer = Act::Offer { to: OFFICE.to_owned(), reason: "归你处".to_owned() };
    town.act(CITY, &id, offer).expect("it is granted");
    let (there, back) = (stick(), stick());
    export(&mut town, OFFICE, CITY, there.path());
    export(&mut town, CITY, OFFICE, back.path());
    import(&mut town, OFFICE, back.path());
    import(&mut town, CITY, there.path());
    assert_converged(&mut town, OFFICE, CITY);
}

#[test]
fn a_stick_of_months_ago_is_taken_as_if_it_were_new() {
    let mut town = town();
    let id = town.call(OFFICE, "路灯不亮");
    let old = stick();
    export(&mut town, OFFICE, CITY, old.path());
    for _ in 0..5 {
        town.act(OFFICE, &id, Act::Progress { text: "处理中".to_owned() }).expect("it is granted");
        round(&mut town, OFFICE, CITY);
    }
    // Past the end of every certificate: dates guard links, not history.
    town.now += 400 * DAY_MS;
    let before = held(&mut town, CITY);
    let report = import(&mut town, CITY, old.path());
    assert_eq!((report.taken(), report.odd()), (0, 0), "{report:?}");
    assert_eq!(held(&mut town, CITY), before);
    let mut fresh = Town::new(&[OFFICE, CITY]);
    fresh.now += 400 * DAY_MS;
    let report = import(&mut fresh, CITY, old.path());
    assert!(report.taken() > 0, "the same keys, and a city that knows nothing: {report:?}");
}

#[test]
fn a_revoked_nodes_bundle_is_refused_with_the_reason() {
    let mut town = town();
    town.call(OFFICE, "路灯不亮");
    let dir = stick();
    export(&mut town, OFFICE, CITY, dir.path());
    let last = town.last_seal(OFFICE);
    town.revoke(OFFICE, &[last], CITY);
    let report = import(&mut town, CITY, dir.path());
    let file = one(&report);
    assert_eq!((file.outcome(), report.taken()), ("refused", 0));
    let why = file.wrong.as_deref().expect("a reason");
    assert!(why.contains("was revoked") && why.contains("KeyCompromise"), "{why}");
    assert!(report.answers_for.is_empty(), "nobody answers it");
}

#[test]
fn a_newer_format_links_and_strange_files_are_named_and_left_alone() {
    let mut town = town();
    town.call(OFFICE, "路灯不亮");
    let dir = stick();
    let file = file_of(&export(&mut town, OFFICE, CITY, dir.path()), dir.path());
    let whole = fs::read(&file).expect("a file");
    // Both heads say a format of tomorrow.
    let mut newer = whole.clone();
    let heads: Vec<usize> =
        (0..newer.len() - 8).filter(|at| newer[*at..].starts_with(sync::parcel::MAGIC)).collect();
    assert_eq!(heads.len(), 2);
    heads.iter().for_each(|at| newer[at + 9] = 9);
    fs::write(&file, &newer).expect("a file");
    let report = import(&mut town, CITY, dir.path());
    assert!(one(&report).wrong.as_deref().expect("a reason").contains("update this program"), "{report:?}");
    // A link is not followed, whatever its name and wherever it leads; no name on a stick is ever a path.
    fs::write(&file, &whole).expect("a file");
    let links = stick();
    std::os::unix::fs::symlink(&file, links.path().join("link.hlb")).expect("a link");
    std::os::unix::fs::symlink("/etc", links.path().join("etc.hlb")).expect("a link");
    fs::create_dir(links.path().join("dir.hlb")).expect("a directory");
    fs::write(links.path().join("..hlb.hlb"), b"PK\x03\x04 no bundle").expect("a file");
    fs::write(links.path().join("EMPTY.HLB"), b"").expect("a file");
    let report = import(&mut town, CITY, links.path());
    assert_eq!((report.files.len(), report.taken(), report.odd()), (2, 0, 2), "{report:?}");
    let report = import(&mut town, CITY, &links.path().join("link.hlb"));
    assert!(one(&report).wrong.as_deref().expect("a reason").contains("left alone"), "{report:?}");
    assert!(held(&mut town, CITY).is_empty());
}

#[test]
fn a_full_stick_keeps_what_fitted_and_forgets_nothing() {
    let program = Program::new(env!("CARGO_BIN_EXE_hotline-under-test"));
    let mut town = town();
    with_file(&mut town, OFFICE, 5);
    let dir = stick();
    let out = dir.path().display().to_string();
    let words = ["bundle", "export", "--to", CITY, "--out", &out, "--max-size", "1M"];
    let mut said = None;
    // The fortieth write to the stick finds no room, and no later one does.
    let fault = Fault { mode: Mode::Enospc, at: 40, path: format!("{out}/"), seed: 0 };
    town.with_disk(OFFICE, |own| said = Some(program.run_with(own, &words, &SHIM.env(&fault, None))));
    let said = said.expect("it ran");
    assert_eq!(said.code, Some(75), "{said}");
    assert!(said.to_string().contains("full") && said.to_string().contains("another stick"), "{said}");
    let files: Vec<String> = fs::read_dir(dir.path())
        .expect("a stick")
        .map(|e| e.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    // On this disk not even removing works any more; what is left of the half-written file is read by nobody.
    assert!(files.iter().any(|f| f.ends_with(".hlb")), "{files:?}");
    assert!(files.iter().all(|f| f.ends_with(".hlb") || f.ends_with(".hlb.part")), "{files:?}");
    let report = import(&mut town, CITY, dir.path());
    assert_eq!(report.odd(), 0, "{report:?}");
    assert_converged(&mut town, OFFICE, CITY);
}

/// Many tickets; their ids.
fn calls(town: &mut Town, node: &str, count: usize) -> Vec<String> {
    let ticket =
        |n: &usize| json!({ "text": format!("路灯不亮 {n}"), "type": "咨询", "caller_phone": "13800000001" });
    let all: Vec<usize> = (0..count).collect();
    let mut ids = Vec::new();
    for some in all.chunks(1_000) {
        let tickets = some.iter().map(ticket).collect();
        let made = town.ask(node, Request::New { tickets, user: None }).expect("tickets");
        ids.extend(
            made.as_array().expect("rows").iter().map(|r| r["id"].as_str().expect("an id").to_owned()),
        );
    }
    ids
}

#[test]
fn of_a_stick_cut_in_half_custody_and_urgent_matters_are_there() {
    let mut town = town();
    round(&mut town, OFFICE, CITY);
    knows(&mut town, CITY, OFFICE);
    // The urgent ones are the oldest: by age alone they would stand at the end.
    let old = calls(&mut town, OFFICE, 40);
    for id in &old[..20] {
        let offer = Act::Offer { to: CITY.to_owned(), reason: "市级路段".to_owned() };
        town.act(OFFICE, id, offer).expect("it is granted");
    }
    for id in &old[20..] {
        town.act(OFFICE, id, Act::Urge { text: "请尽快".to_owned() }).expect("it is granted");
    }
    let ordinary = calls(&mut town, OFFICE, 3_000);
    let dir = stick();
    let exported = export(&mut town, OFFICE, CITY, dir.path());
    let whole = fs::read(file_of(&exported, dir.path())).expect("a file");
    let half = stick();
    fs::write(half.path().join("half.hlb"), &whole[..whole.len() / 2]).expect("a file");
    let report = import(&mut town, CITY, half.path());
    assert_eq!(one(&report).outcome(), "torn", "{report:?}");
    assert_eq!(report.waiting(), 0, "what is urgent has along what it rests on: {report:?}");
    let here = ids(&mut town, CITY);
    let missing: Vec<_> = old.iter().filter(|id| !here.contains(*id)).collect();
    assert!(missing.is_empty(), "{} urgent ones are missing", missing.len());
    for (n, id) in old.iter().enumerate() {
        let there = town.show(OFFICE, id).expect("a ticket");
        assert_eq!(town.show(CITY, id).expect("a ticket")["state_hash"], there["state_hash"], "{n}");
    }
    let came = ordinary.iter().filter(|id| here.contains(*id)).count();
    assert!(came > 0 && came < ordinary.len(), "about half of the rest: {came} of {}", ordinary.len());
}

#[test]
fn ten_thousand_small_parts_are_read_at_once() {
    let parts: usize = std::env::var("PARTS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    // Half a minute where fsync costs nothing; a disk would be what is measured.
    let mut town = Town::in_memory(&[OFFICE, CITY]);
    knows(&mut town, OFFICE, CITY);
    let dir = tempfile::tempdir_in(town.place()).expect("a directory");
    // Most of them say only how things stand, as sticks do in quiet weeks.
    let mut tickets = 0;
    for n in 0..parts {
        if n % 100 == 0 {
            town.call(OFFICE, &format!("路灯不亮 {n}"));
            tickets += 1;
        }
        export_with(&mut town, OFFICE, CITY, dir.path(), PART, Basis::HandedOut);
    }
    let report = import(&mut town, CITY, dir.path());
    assert_eq!((report.files.len(), report.odd(), report.waiting()), (parts, 0, 0));
    assert_eq!(held(&mut town, CITY).len(), tickets);
    assert_converged(&mut town, OFFICE, CITY);
}

#[test]
fn a_disk_that_lost_items_is_healed_by_sticks_alone() {
    let mut town = town();
    for n in 0..20 {
        town.call(OFFICE, &format!("路灯不亮 {n}"));
    }
    assert_converged(&mut town, OFFICE, CITY);
    // The city's disk is put back from before it heard of anything.
    let old = town.backup(CITY);
    for n in 0..5 {
        town.call(OFFICE, &format!("井盖缺失 {n}"));
    }
    assert_converged(&mut town, OFFICE, CITY);
    town.restore(CITY, &old);
    let mut rounds = 0;
    while held(&mut town, CITY).len() < 25 {
        rounds += 1;
        assert!(rounds < 6, "not healed");
        round(&mut town, OFFICE, CITY);
    }
    assert_converged(&mut town, OFFICE, CITY);
}

#[test]
fn a_line_and_sticks_serve_one_pair() {
    let mut town = town();
    for n in 0..5 {
        town.call(OFFICE, &format!("路灯不亮 {n}"));
    }
    let dir = stick();
    export(&mut town, OFFICE, CITY, dir.path());
    town.link(OFFICE, CITY);
    town.settle();
    let report = import(&mut town, CITY, dir.path());
    assert_eq!((report.taken(), report.odd()), (0, 0));
    town.settle();
    town.assert_converged();
    town.cut(OFFICE, CITY);
    town.call(OFFICE, "路灯又不亮");
    assert_converged(&mut town, OFFICE, CITY);
}

#[test]
fn nothing_of_a_caller_is_on_a_stick_in_clear() {
    let mut town = town();
    let id = town.call(OFFICE, "乘客称司机拒载并辱骂");
    let dir = stick();
    let bytes = fs::read(file_of(&export(&mut town, OFFICE, CITY, dir.path()), dir.path())).expect("a file");
    for secret in ["13800000001", "乘客称司机拒载并辱骂", id.as_str()] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret}");
    }
}
