use super::*;
use certs::{SecretKey, seal_box};

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn secret(of: &str, purpose: &str) -> SecretKey {
    SecretKey::from_seed(blake3::hash(of.as_bytes()).as_bytes(), purpose)
}

fn label(to: &[&str]) -> Label {
    let to = to.iter().map(|n| name(n)).collect();
    Label { from: name("370100-01"), to, id: [7; 16], number: 3, part: 1, made: 1_800_000_000_000 }
}

/// A parcel with these pages, and where each of them begins.
fn parcel(to: &[&str], pages: &[&[u8]]) -> (Vec<u8>, Vec<usize>) {
    let keys: Vec<BoxKey> = to.iter().map(|n| secret(n, "box").x25519_public()).collect();
    let own = secret("370100-01", "sign");
    let sign = |context: &str, bytes: &[u8]| own.sign(context, bytes);
    let who = (own.ed25519_public(), &b"a record"[..]);
    let mut sealer = Sealer::begin(label(to), &keys, who, &[9; 32], sign).unwrap();
    let mut bytes = sealer.head().to_vec();
    let mut starts = Vec::new();
    for (i, page) in pages.iter().enumerate() {
        starts.push(bytes.len());
        bytes.extend(sealer.page(page, i + 1 == pages.len(), sign).unwrap());
    }
    bytes.extend(sealer.head());
    (bytes, starts)
}

fn open_as(head: &Head, node: &str) -> Result<BodyKey, ParcelError> {
    let key = secret(node, "box");
    head.open(name(node), |info, aad, sealed| seal_box::open(&key, info, aad, sealed).ok())
}

/// The head, from the beginning or from wherever it stands again.
fn any_head(bytes: &[u8]) -> Option<Head> {
    (0..bytes.len()).find_map(|at| Head::read(&bytes[at..]).ok())
}

/// What a recipient reads, whatever became of the bytes.
fn read_as(bytes: &[u8], node: &str) -> Vec<(u32, Vec<u8>)> {
    let Some(head) = any_head(bytes) else { return Vec::new() };
    let key = open_as(&head, node).unwrap();
    let (mut at, mut read) = (0, Vec::new());
    while at < bytes.len() {
        match head.find(&bytes[at..], true) {
            Found::Page { length, index, .. } => {
                let page = head.page(&bytes[at..]).unwrap();
                read.push((index, head.open_page(&key, &page).unwrap()));
                at += length;
            }
            Found::Other(n) => at += n,
            Found::More => panic!("there are no more"),
        }
    }
    read
}

const PAGES: [&[u8]; 3] = [b"the first page", b"", b"and the last one"];

fn whole() -> Vec<(u32, Vec<u8>)> {
    (0..).zip(PAGES.iter().map(|p| p.to_vec())).collect()
}

#[test]
fn recipients_read_and_nobody_else() {
    let (bytes, _) = parcel(&["370100", "370000"], &PAGES);
    for node in ["370100", "370000"] {
        assert_eq!(read_as(&bytes, node), whole());
    }
    let head = Head::read(&bytes).unwrap();
    assert_eq!(head.label, label(&["370100", "370000"]));
    assert_eq!(head.record, b"a record");
    assert_eq!(open_as(&head, "370200").unwrap_err(), ParcelError::NotForUs);
    // The name alone opens nothing.
    let thief = secret("370200", "box");
    let opened =
        head.open(name("370100"), |info, aad, sealed| seal_box::open(&thief, info, aad, sealed).ok());
    assert_eq!(opened.unwrap_err(), ParcelError::NotOpened);
}

#[test]
fn of_a_torn_parcel_the_pages_before_the_tear_are_read() {
    let (bytes, starts) = parcel(&["370100"], &PAGES);
    let head = Head::read(&bytes).unwrap();
    for cut in 0..bytes.len() {
        let read = read_as(&bytes[..cut], "370100");
        let ends = starts.iter().skip(1).copied().chain([bytes.len() - head.length()]);
        let whole_pages = if cut < head.length() { 0 } else { ends.filter(|end| *end <= cut).count() };
        assert_eq!(read, whole()[..whole_pages].to_vec(), "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_costs_the_page_it_is_in_and_nothing_wrong_is_read() {
    let (bytes, starts) = parcel(&["370100"], &PAGES);
    let tail = bytes.len() - Head::read(&bytes).unwrap().length();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            let hit = starts.iter().rposition(|start| *start <= at).filter(|_| at < tail);
            let mut left = whole();
            left.retain(|(index, _)| Some(*index as usize) != hit);
            assert_eq!(read_as(&bad, "370100"), left, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn pages_of_another_parcel_are_not_taken() {
    let (a, starts) = parcel(&["370100"], &PAGES);
    let own = secret("370100-01", "sign");
    let sign = |context: &str, bytes: &[u8]| own.sign(context, bytes);
    let other = Label { part: 2, ..label(&["370100"]) };
    let keys = [secret("370100", "box").x25519_public()];
    let mut sealer =
        Sealer::begin(other, &keys, (own.ed25519_public(), b"a record"), &[8; 32], sign).unwrap();
    let stray = sealer.page(b"not of this part", false, sign).unwrap();
    let mixed = [&a[..starts[1]], &stray, &a[starts[1]..]].concat();
    assert_eq!(read_as(&mixed, "370100"), whole());
}

#[test]
fn a_newer_format_says_so_and_nothing_panics() {
    let (mut bytes, _) = parcel(&["370100"], &PAGES);
    bytes[9] = 2;
    assert_eq!(Head::read(&bytes), Err(ParcelError::Newer(2)));
    assert_eq!(Head::read(b"PK\x03\x04"), Err(ParcelError::NoParcel));
    assert_eq!(Head::read(b""), Err(ParcelError::NoParcel));
    let huge = [MAGIC.as_slice(), &1u16.to_be_bytes(), &u32::MAX.to_be_bytes(), &[0; 99]].concat();
    assert_eq!(Head::read(&huge), Err(ParcelError::Head));
}

#[test]
fn what_is_read_piece_by_piece_is_read_as_a_whole() {
    let (bytes, _) = parcel(&["370100"], &PAGES);
    let head = Head::read(&bytes).unwrap();
    let (mut buffer, mut given, mut found) = (Vec::new(), 0, Vec::new());
    loop {
        match head.find(&buffer, given == bytes.len()) {
            Found::Page { length, index, last } => {
                found.push((index, last));
                buffer.drain(..length);
            }
            Found::Other(n) => drop(buffer.drain(..n)),
            Found::More => {
                buffer.push(bytes[given]);
                given += 1;
            }
        }
        if buffer.is_empty() && given == bytes.len() {
            break;
        }
        if buffer.is_empty() {
            buffer.push(bytes[given]);
            given += 1;
        }
    }
    assert_eq!(found, [(0, false), (1, false), (2, true)]);
}

#[test]
fn names_of_files_suit_every_file_system() {
    let check = |label: Label, expected: &str| {
        let name = label.file_name();
        assert_eq!(name, expected);
        assert!(name.len() < 64);
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        assert!(name.bytes().all(fine));
    };
    check(label(&["370100"]), "370100-01-to-370100-07070707-0001.hlb");
    check(label(&["370100", "370000-b"]), "370100-01-to-370100-and-1-07070707-0001.hlb");
    check(
        Label { part: u32::MAX, from: name("370100-01-b"), ..label(&["370100-02-b"]) },
        "370100-01-b-to-370100-02-b-07070707-4294967295.hlb",
    );
}
