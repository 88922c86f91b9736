use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Author, Automerge, Change, ObjType, ROOT, ReadDoc, ScalarValue};

use super::*;

/// SplitMix64: one number after the other from a seed.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn actor(n: u8) -> ActorId {
    ActorId::from(vec![n; 16])
}

fn all(doc: &Automerge) -> Vec<Vec<u8>> {
    doc.get_changes(&[]).iter().map(|c| c.raw_bytes().to_vec()).collect()
}

/// Three replicas that edit, at random, everything that automerge has, and merge now and then.
fn replicas(seed: u64, steps: usize) -> Vec<Vec<u8>> {
    let mut rng = Seeded(seed);
    let mut first = Automerge::new().with_actor(actor(2)).with_author(Some(Author::from(&b"000000"[..])));
    let mut tx = first.transaction();
    let text = tx.put_object(ROOT, "body", ObjType::Text).unwrap();
    let list = tx.put_object(ROOT, "list", ObjType::List).unwrap();
    let map = tx.put_object(ROOT, "trail", ObjType::Map).unwrap();
    tx.put(ROOT, "count", ScalarValue::counter(1)).unwrap();
    tx.commit();
    let mut docs = vec![first];
    for n in [3, 1] {
        let fork = docs[0].fork().with_actor(actor(n));
        docs.push(fork);
    }
    for step in 0..steps {
        let i = rng.below(docs.len());
        if rng.below(4) == 0 {
            let mut other = docs[rng.below(3)].clone();
            docs[i].merge(&mut other).unwrap();
        }
        let doc = &mut docs[i];
        let mut tx = doc.transaction();
        for _ in 0..=rng.below(3) {
            let key = format!("key {}", rng.below(5));
            match rng.below(11) {
                0 => tx.put(ROOT, key, rng.next() as i64).unwrap(),
                1 => tx.put(&map, key, vec![rng.next() as u8; rng.below(300)]).unwrap(),
                2 => tx.put(&map, key, ["茶", "coffee", ""][rng.below(3)]).unwrap(),
                3 => tx.put(ROOT, key, rng.next() as f64).unwrap(),
                4 => tx.put(ROOT, key, ScalarValue::Timestamp(-7)).unwrap(),
                5 => tx.put(ROOT, key, rng.below(2) == 0).unwrap(),
                6 => tx.increment(ROOT, "count", rng.below(9) as i64 - 4).unwrap(),
                7 => {
                    let at = rng.below(tx.length(&text) + 1);
                    let del = rng.below(tx.length(&text) - at + 1).min(3);
                    tx.splice_text(&text, at, del as isize, "工单abc"[..3 * rng.below(4)].trim()).unwrap();
                }
                8 => {
                    let n = tx.length(&text);
                    if n > 2 {
                        let mark = Mark::new("bold".into(), true, 0, rng.below(n - 1) + 1);
                        tx.mark(&text, mark, ExpandMark::Both).unwrap();
                    }
                }
                9 => tx.insert(&list, 0, rng.next()).unwrap(),
                _ => {
                    let key = tx.keys(&map).next();
                    match key {
                        Some(key) => tx.delete(&map, key).unwrap(),
                        None => drop(tx.put_object(&map, key.unwrap_or_default(), ObjType::Map).unwrap()),
                    }
                }
            }
        }
        let message = if rng.below(4) == 0 { format!("step {step}") } else { String::new() };
        tx.commit_with(CommitOptions::default().with_message(message).with_time(step as i64 - 5));
    }
    let mut whole = docs.remove(0);
    for mut other in docs {
        whole.merge(&mut other).unwrap();
    }
    whole.empty_commit(CommitOptions::default());
    all(&whole)
}

/// Puts a body under a right checksum.
fn chunk_of(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut tail = vec![kind];
    read::write_uleb(&mut tail, body.len() as u64);
    tail.extend(body);
    [&MAGIC[..], &Sha256::digest(&tail)[..4], &tail].concat()
}

fn assert_read_alike(bytes: &[u8]) {
    let ours = ChangeChunk::parse(bytes).unwrap();
    let theirs = Change::from_bytes(bytes.to_vec()).unwrap();
    assert_eq!(ours.hash().as_bytes(), &theirs.hash().0);
    let deps: Vec<_> = ours.deps().iter().map(|d| *d.as_bytes()).collect();
    assert_eq!(deps, theirs.deps().iter().map(|d| d.0).collect::<Vec<_>>());
    assert_eq!(ours.actor(), theirs.actor_id().to_bytes());
    assert_eq!((ours.seq(), ours.start_op()), (theirs.seq(), theirs.start_op().get()));
    assert_eq!((ours.time(), ours.message()), (theirs.timestamp(), theirs.message().unwrap_or("")));
    let others: Vec<_> = theirs.other_actor_ids().iter().map(|a| a.to_bytes()).collect();
    assert_eq!(ours.other_actors(), others);
    assert_eq!(ours.operations() as usize, theirs.len());
    assert_eq!(ours.last_op(), theirs.max_op());
    assert_eq!(ours.author(), theirs.author().as_ref().map(|a| a.as_bytes()));
}

#[test]
fn every_change_of_automerge_is_read_as_automerge_reads_it() {
    let (mut authors, mut merges, mut empty) = (0, 0, 0);
    for seed in 0..20 {
        for bytes in replicas(seed, 60) {
            assert_read_alike(&bytes);
            let c = ChangeChunk::parse(&bytes).unwrap();
            authors += usize::from(c.author().is_some());
            merges += usize::from(c.deps().len() > 1);
            empty += usize::from(c.operations() == 0);
        }
    }
    assert!(authors >= 20 && merges > 50 && empty >= 20, "{authors} {merges} {empty}");
}

#[test]
fn what_a_transaction_writes_and_what_a_loaded_document_gives_back_pass() {
    let mut doc = Automerge::new().with_actor(actor(7));
    let mut tx = doc.transaction();
    for i in 0..9_000u64 {
        tx.put(ROOT, format!("{i}"), i * i).unwrap();
    }
    tx.commit();
    let mut tx = doc.transaction();
    let text = tx.put_object(ROOT, "t", ObjType::Text).unwrap();
    tx.splice_text(&text, 0, 0, &"ab".repeat(5_500)).unwrap();
    tx.splice_text(&text, 100, 8_000, "").unwrap();
    tx.commit();
    for bytes in all(&doc).into_iter().chain(all(&Automerge::load(&doc.save()).unwrap())) {
        assert_read_alike(&bytes);
    }
}

/// A change that deletes `n` characters takes the same few bytes whatever `n` is.
fn deletion(n: usize) -> Vec<u8> {
    let mut doc = Automerge::new().with_actor(actor(1));
    let mut tx = doc.transaction();
    let text = tx.put_object(ROOT, "t", ObjType::Text).unwrap();
    tx.splice_text(&text, 0, 0, &"a".repeat(n)).unwrap();
    tx.commit();
    let heads = doc.get_heads();
    let mut tx = doc.transaction();
    tx.splice_text(&text, 0, n as isize, "").unwrap();
    tx.commit();
    doc.get_changes(&heads)[0].raw_bytes().to_vec()
}

#[test]
fn a_bomb_is_refused_without_being_lit() {
    let honest = deletion(20_000);
    assert_eq!(ChangeChunk::parse(&honest).unwrap().operations(), MAX_OPERATIONS);
    let over = ChangeChunk::parse(&deletion(20_001)).unwrap_err();
    assert!(matches!(over, ChunkError::TooManyOperations(_)), "{over}");

    // 20,000 and 19,999 take three bytes in LEB128; so does a million. Longer ones shift what follows: the column
    // lengths are patched too, by brute force over what still parses.
    let body = ChangeChunk::parse(&honest).unwrap().body.to_vec();
    let mut bomb = body.clone();
    let mut hits = 0;
    for at in 0..bomb.len() - 2 {
        let n =
            u32::from(bomb[at] & 0x7f) | u32::from(bomb[at + 1] & 0x7f) << 7 | u32::from(bomb[at + 2]) << 14;
        if bomb[at] & bomb[at + 1] & 0x80 != 0 && matches!(n, 19_999 | 20_000) {
            bomb[at..at + 3].copy_from_slice(&[n as u8 & 0x7f | 0x80, 0xff, 0x3f]);
            hits += 1;
        }
    }
    assert!(hits > 5, "{hits}");
    let bomb = chunk_of(1, &bomb);
    assert!(bomb.len() < 150);
    // automerge takes it: the counter-example that makes the next assertion worth something.
    assert!(Change::from_bytes(bomb.clone()).unwrap().len() > 1_000_000);
    let refused = ChangeChunk::parse(&bomb).unwrap_err();
    assert!(matches!(refused, ChunkError::TooManyOperations(_)), "{refused}");
}

/// A change of one put, as parts that can be changed one by one.
fn body_with(columns: &[(u64, &[u8])]) -> Vec<u8> {
    let mut body = vec![0, 1, 9, 1, 1, 0, 0, 0, columns.len() as u8];
    for (spec, data) in columns {
        read::write_uleb(&mut body, *spec);
        read::write_uleb(&mut body, data.len() as u64);
    }
    body.extend(columns.iter().flat_map(|(_, data)| *data));
    body
}

const ONE_PUT: [(u64, &[u8]); 5] =
    [(0x15, b"\x7f\x01k"), (0x34, &[1]), (0x42, &[0x7f, 1]), (0x56, &[0x7f, 0]), (0x70, &[0x7f, 0])];

#[track_caller]
fn check(columns: BTreeMap<u64, &[u8]>, expected: Result<u32, ChunkError>) {
    let columns: Vec<_> = columns.into_iter().collect();
    let chunk = chunk_of(1, &body_with(&columns));
    assert_eq!(ChangeChunk::parse(&chunk).map(|c| c.operations()), expected);
}

#[test]
fn a_column_has_one_form() {
    let with = |spec, data| BTreeMap::from(ONE_PUT).into_iter().chain([(spec, data)]).collect();
    check(BTreeMap::from(ONE_PUT), Ok(1));
    let chunk = chunk_of(1, &body_with(&ONE_PUT));
    assert_eq!(Change::from_bytes(chunk).unwrap().len(), 1);

    let encoding = |name| Err(ChunkError::Encoding(name));
    let rows = |column, expected, found| Err(ChunkError::Rows { column, expected, found });
    let action = |data| with(0x42, data);
    check(action(&[1, 1]), encoding("action"));
    check(action(&[0, 1]), encoding("action"));
    check(action(&[0, 0, 0x7f, 1]), encoding("action"));
    check(action(&[2, 1, 3, 1]), encoding("action"));
    check(action(&[0x7f, 1, 2, 1]), encoding("action"));
    check(action(&[0x7f, 1, 0x7f, 2]), encoding("action"));
    check(action(&[0x7e, 1, 1]), encoding("action"));
    check(action(&[0x7f]), Err(ChunkError::Cut("action")));
    check(action(&[0xff, 0]), Err(ChunkError::Cut("action")));
    check(action(&[2, 1]), rows("key string", 2, 1));
    check(with(0x34, &[1, 0, 1]), encoding("insert"));
    check(with(0x34, &[0]), encoding("insert"));
    check(with(0x34, &[0, 1]), Ok(1));
    check(
        with(0x34, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        Err(ChunkError::TooManyOperations("insert")),
    );
    check(with(0x94, &[1]), encoding("expand"));
    check(with(0x94, &[0, 1]), Ok(1));
    check(with(0x56, &[0x7f, 0x10]), encoding("value length"));
    check(with(0x56, &[0x7f, 0x16]), rows("value", 1, 0));
    check(with(0x57, b"x"), rows("value", 0, 1));
    check(with(0x70, &[0x7f, 1]), rows("predecessor actor", 1, 0));
    check(with(0x70, &[0x7f, 0xff, 0xff, 3]), Err(ChunkError::TooManyOperations("predecessor count")));
    check(with(0x71, &[0x7f, 0]), rows("predecessor actor", 0, 1));
    check(with(0x02, &[0x7f, 1]), rows("object actor", 1, 0));
    check(with(0x01, &[0x7f, 1]), Err(ChunkError::Dangling("object actor")));
    check(with(0x13, &[0x7f, 0x7f]), Err(ChunkError::Dangling("key counter")));
    check(with(0x13, &[0x7f, 2]), Err(ChunkError::Dangling("counter")));
    check(with(0x13, &[0x7f, 1]), Ok(1));
    check(with(0x7c, &[1]), Err(ChunkError::UnknownColumn { spec: 0x7c }));
    check(with(0x4a, &[1]), Err(ChunkError::Deflated { spec: 0x4a }));
    check(with(0xa5, &[]), Err(ChunkError::UnknownColumn { spec: 0xa5 }));
    let mut none = BTreeMap::from(ONE_PUT);
    none.remove(&0x34);
    check(none, rows("insert", 1, 0));
    check(BTreeMap::new(), Ok(0));
}

#[test]
fn keys_are_bounded_as_they_expand() {
    let key = [b'k'; 1000];
    let n = 5_000u64;
    let mut run = Vec::new();
    read::write_uleb(&mut run, n);
    let mut keys = run.clone();
    read::write_uleb(&mut keys, key.len() as u64);
    keys.extend(key);
    let value = [&run[..], &[0]].concat();
    let action = [&run[..], &[1]].concat();
    let columns: [(u64, &[u8]); 5] =
        [(0x15, &keys), (0x34, &run), (0x42, &action), (0x56, &value), (0x70, &value)];
    assert_eq!(ChangeChunk::parse(&chunk_of(1, &body_with(&columns))), Err(ChunkError::TooLarge));
}

#[test]
fn every_frame_but_a_change_is_refused_by_name() {
    let good = chunk_of(1, &body_with(&ONE_PUT));
    for (kind, named) in [
        (0, ChunkKind::Document),
        (2, ChunkKind::Compressed),
        (3, ChunkKind::Bundle),
        (9, ChunkKind::Unknown(9)),
    ] {
        let chunk = chunk_of(kind, &body_with(&ONE_PUT));
        assert_eq!(ChangeChunk::parse(&chunk), Err(ChunkError::NotAChange(named)));
    }
    for cut in 0..good.len() {
        assert!(ChangeChunk::parse(&good[..cut]).is_err());
    }
    let present = good.len() - 10;
    let longer = [&good[..], &[0]].concat();
    let length = ChunkError::Length { declared: present as u64, present: present + 1 };
    assert_eq!(ChangeChunk::parse(&longer), Err(length));
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(ChangeChunk::parse(&flipped).is_err(), "bit {bit}");
    }
    let long = vec![0; MAX_CHUNK + 1];
    assert_eq!(ChangeChunk::parse(&long), Err(ChunkError::TooLong { bytes: MAX_CHUNK + 1 }));
    let footed = [body_with(&ONE_PUT), vec![1, 2, b'h', b'i']].concat();
    let footed = chunk_of(1, &footed);
    assert_eq!(ChangeChunk::parse(&footed).unwrap().author(), Some(&b"hi"[..]));
    let mut late = [body_with(&ONE_PUT), vec![1, 2, b'h', b'i']].concat();
    late[3] = 2;
    assert_eq!(ChangeChunk::parse(&chunk_of(1, &late)), Err(ChunkError::Footer));
    let unknown = chunk_of(1, &[body_with(&ONE_PUT), vec![2, 0]].concat());
    assert_eq!(ChangeChunk::parse(&unknown), Err(ChunkError::Footer));
}

#[test]
fn mutated_changes_never_panic_and_what_passes_is_bounded() {
    let good: Vec<_> = (100..104).flat_map(|seed| replicas(seed, 30)).collect();
    let bodies: Vec<_> = good.iter().map(|c| ChangeChunk::parse(c).unwrap().body.to_vec()).collect();
    let mut rng = Seeded(12328);
    let (mut passed, mut alike, mut panics) = (0, 0, 0);
    for _ in 0..30_000 {
        let mut body = bodies[rng.below(bodies.len())].clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(body.len());
            match rng.below(6) {
                0 => body[at] ^= 1 << rng.below(8),
                1 => body[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
                2 => body[at] = body[at].wrapping_add(1),
                3 if body.len() > 1 => drop(body.remove(at)),
                4 => body.insert(at, rng.next() as u8),
                _ => body.truncate(at.max(1)),
            }
        }
        let chunk = chunk_of(1, &body);
        let Ok(ours) = ChangeChunk::parse(&chunk) else { continue };
        passed += 1;
        assert!(ours.operations() <= MAX_OPERATIONS);
        match catch_unwind(AssertUnwindSafe(|| Change::from_bytes(chunk.clone()))) {
            Ok(Ok(theirs)) => {
                alike += 1;
                assert_eq!(theirs.len(), ours.operations() as usize);
            }
            Ok(Err(_)) => (),
            Err(_) => panics += 1,
        }
    }
    println!("{passed} of 30000 passed, automerge reads {alike} of them and panics on {panics}");
    assert!(alike > 300, "the mutations are too wild to test anything");
    assert_eq!(panics, 0, "what passes is decoded without a panic");
}

#[test]
fn what_is_packed_comes_out_again() {
    for seed in 0..6 {
        let changes = replicas(seed, 60);
        let mut known = BTreeMap::new();
        let (mut sent, mut recent, mut packed_size) = (Vec::new(), Vec::new(), 0);
        for (i, bytes) in changes.iter().enumerate() {
            let chunk = ChangeChunk::parse(bytes).unwrap();
            // batches of ten, so that dependencies come in all three forms
            if i % 10 == 0 {
                recent.clear();
            }
            let packed = pack(&chunk, &recent, |dep| dep.as_bytes()[0] % 4 == 0);
            packed_size += packed.len();
            sent.push((packed, recent.clone()));
            recent.push(chunk.hash());
        }
        for ((packed, recent), bytes) in sent.iter().zip(&changes) {
            let recent: Vec<_> = recent.iter().copied().map(Some).collect();
            let out = unpack(packed, &recent, |p: &[u8; 8]| known.get(p).copied()).unwrap();
            assert_eq!(&out, bytes);
            let hash = ChangeChunk::parse(&out).unwrap().hash();
            known.insert(*hash.as_bytes().first_chunk::<8>().unwrap(), hash);
        }
        let raw: usize = changes.iter().map(Vec::len).sum();
        assert!(packed_size + 30 * changes.len() < raw, "{packed_size} of {raw}");
    }
}

#[test]
fn what_cannot_be_rebuilt_says_why() {
    let changes = replicas(1, 5);
    let child = ChangeChunk::parse(&changes[1]).unwrap();
    let prefix = *child.deps()[0].as_bytes().first_chunk::<8>().unwrap();
    let packed = pack(&child, &[], |_| false);
    assert_eq!(unpack(&packed, &[], |_| None), Err(UnpackError::Missing(prefix)));
    let whole = pack(&child, &[], |_| true);
    assert_eq!(unpack(&whole, &[], |_| None).as_ref(), Ok(&changes[1]));
    let back = pack(&child, child.deps(), |_| false);
    assert_eq!(unpack(&back, &[], |_| None), Err(UnpackError::NoSuchRecent { back: 0 }));
    assert_eq!(unpack(&back, &[None], |_| None), Err(UnpackError::MissingRecent { back: 0 }));
    assert_eq!(unpack(&[], &[], |_| None), Err(UnpackError::Malformed(ChunkError::Cut("dependencies"))));
    assert_eq!(unpack(&[0xff, 0xff, 3, 2], &[], |_| None), Err(UnpackError::TooLong));
    // a wrong answer gives another change, never a wrong one under the same name
    let other = unpack(&packed, &[], |_| Some(ItemHash::from_bytes([9; 32]))).unwrap();
    assert_ne!(ChangeChunk::parse(&other).unwrap().hash(), child.hash());
    let mut rng = Seeded(5);
    for _ in 0..10_000 {
        let mut packed = pack(&child, &[], |_| rng.below(2) == 0);
        let at = rng.below(packed.len());
        packed[at] = rng.next() as u8;
        let _ = unpack(&packed, &[Some(child.deps()[0])], |_| Some(child.hash()));
    }
}

#[test]
fn what_the_gate_refuses_is_passed_on_as_it_came() {
    use crate::item::Kind;
    let mut bytes = replicas(1, 2)[0].clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let out = unpack(&pack_as_it_is(&bytes), &[], |_| None).unwrap();
    assert_eq!(Kind::CHANGE.hash(&out), Kind::CHANGE.hash(&bytes));
    assert_eq!(out[8..], bytes[8..]);
    assert_eq!(unpack(&pack_as_it_is(&out), &[], |_| None).as_ref(), Ok(&out));
    assert_eq!(unpack(&pack_as_it_is(&vec![0; MAX_CHUNK + 1]), &[], |_| None), Err(UnpackError::TooLong));
}
