//! Files on links: what is asked of whom, and what is never sent.

use super::*;
use crate::file::{Manifest, PIECE, piece_hash};
use crate::store::contents::Contents;
use crate::wire::{Frame, SeekBody};

fn content(pieces: usize, salt: u8) -> Vec<u8> {
    (0..pieces * PIECE - 9).map(|i| (i / 11) as u8 ^ salt).collect()
}

fn manifest(bytes: &[u8]) -> Manifest {
    Manifest::new(bytes.len() as u64, bytes.chunks(PIECE).map(piece_hash).collect()).unwrap()
}

impl World {
    /// A file of this node, with all its content.
    fn attach(&mut self, who: &str, doc: DocId, bytes: &[u8]) -> ItemHash {
        let manifest = manifest(bytes).to_bytes();
        self.at(name(who), |r, s, _| {
            let file = r.put(doc, Kind::FILE, manifest, s, &mut Desk).unwrap();
            for (place, piece) in (0..).zip(bytes.chunks(PIECE)) {
                s.put_piece(&file, place, piece).unwrap();
            }
            file
        })
    }

    /// The manifest alone.
    fn announce(&mut self, who: &str, doc: DocId, bytes: &[u8]) -> ItemHash {
        let manifest = manifest(bytes).to_bytes();
        self.at(name(who), |r, s, _| r.put(doc, Kind::FILE, manifest, s, &mut Desk).unwrap())
    }

    fn held(&mut self, who: &str, file: ItemHash) -> Option<u32> {
        self.nodes.get_mut(&name(who)).unwrap().store.file(&file).unwrap().map(|h| h.pieces.held())
    }

    fn read(&mut self, who: &str, file: ItemHash) -> Vec<u8> {
        let store = &mut self.nodes.get_mut(&name(who)).unwrap().store;
        (0..).map_while(|place| store.piece(&file, place).unwrap()).collect::<Vec<_>>().concat()
    }

    /// Carries so many frames.
    fn carry(&mut self, frames: usize) {
        for _ in 0..frames {
            let Some((from, to, bytes)) = self.wire.pop_front() else { return };
            if self.links.contains(&(to, from)) {
                self.at(to, |r, s, now| {
                    r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap()
                });
            }
        }
    }

    fn tick(&mut self, who: &str, later: u64) {
        self.now += later;
        self.at(name(who), |r, s, now| r.step(now, Input::Tick, s, &mut Desk).unwrap());
    }

    fn heard(&self, who: &str, event: impl Fn(&Event) -> bool) -> usize {
        self.nodes[&name(who)].told.iter().filter(|e| event(e)).count()
    }
}

/// City, province and ministry in a line, a ticket of the city's on all of them.
fn line() -> (World, DocId) {
    let mut w = World::new(&["370100", "370000", "000000"]);
    w.link("370100", "370000");
    w.link("370000", "000000");
    let doc = w.write("370100", None, "k", "v");
    w.settle();
    (w, doc)
}

#[test]
fn a_file_flows_to_the_whole_audience_and_the_digest_knows_it() {
    let (mut w, doc) = line();
    let bytes = content(70, 1);
    let file = w.attach("370100", doc, &bytes);
    w.carry(10_000);
    for node in ["370000", "000000"] {
        assert!(w.read(node, file) == bytes, "{node}");
    }
    w.settle();
    assert!(w.nodes[&name("370000")].replica.link(name("000000")).digest_equal);
    assert_eq!(w.nodes[&name("370000")].replica.files(), FilesView::default(), "nothing is left over");
}

#[test]
fn a_cut_at_any_frame_costs_only_what_was_on_its_way() {
    let bytes = content(9, 2);
    for cut in 0..40 {
        let mut w = World::new(&["370100", "370000"]);
        w.link("370100", "370000");
        let doc = w.write("370100", None, "k", "v");
        w.settle();
        let file = w.attach("370100", doc, &bytes);
        w.carry(cut);
        let before = w.held("370000", file).unwrap_or(0);
        w.cut("370100", "370000");
        // A new life: what is missing is read from the store.
        let node = w.nodes.remove(&name("370000")).unwrap();
        w.nodes.insert(name("370000"), open(name("370000"), node.store, 9));
        assert_eq!(w.held("370000", file).unwrap_or(0), before);
        let spent = w.bytes;
        w.link("370100", "370000");
        w.settle();
        assert!(w.read("370000", file) == bytes, "cut after {cut} frames");
        let again = (w.bytes - spent) / PIECE;
        assert_eq!(again as u32, 9 - before, "cut after {cut} frames: no piece travels twice");
    }
}

#[test]
fn a_long_line_of_relays_does_not_ask_in_circles() {
    let mut w = World::new(&["510100", "510000", "000000", "370000", "370100"]);
    for (a, b) in [("510100", "510000"), ("510000", "000000"), ("000000", "370000"), ("370000", "370100")] {
        w.link(a, b);
    }
    let doc = w.write("510100", None, "to", "370100");
    w.settle();
    let bytes = content(40, 1);
    let file = w.attach("510100", doc, &bytes);
    w.carry(100_000);
    assert!(w.read("370100", file) == bytes, "without waiting for any clock");
}

#[test]
fn what_the_province_has_not_yet_it_passes_on_when_it_comes() {
    let (mut w, doc) = line();
    let bytes = content(5, 3);
    let file = w.announce("370100", doc, &bytes);
    w.settle();
    assert_eq!((w.held("370000", file), w.held("000000", file)), (Some(0), Some(0)));
    w.at(name("370100"), |_, s, _| {
        (0..).zip(bytes.chunks(PIECE)).for_each(|(p, b)| s.put_piece(&file, p, b).unwrap());
    });
    w.now += 60_000;
    w.tick("370000", 0);
    w.carry(10_000);
    assert!(w.read("370000", file) == bytes, "after a while it asked again");
    assert!(w.read("000000", file) == bytes, "and told whom it had to refuse");
}

#[test]
fn files_that_nobody_has_hold_up_nothing() {
    let (mut w, doc) = line();
    w.cut("370100", "370000");
    for salt in 0..60 {
        w.announce("370000", doc, &content(3, salt));
    }
    w.settle();
    let bytes = content(2, 99);
    let file = w.attach("370000", doc, &bytes);
    w.settle();
    assert!(w.read("000000", file) == bytes);
    let (spent, now) = (w.bytes, w.now);
    for _ in 0..600 {
        w.now += 1_000;
        for node in ["370000", "000000"] {
            w.tick(node, 0);
        }
        w.carry(10_000);
    }
    let rate = (w.bytes - spent) as u64 * 1_000 / (w.now - now);
    assert!(rate < 200, "asking for what nobody has costs {rate} bytes a second");
}

#[test]
fn another_holder_is_asked_when_the_first_does_not_deliver() {
    let mut w = World::new(&["370000", "370000-b", "370100"]);
    w.link("370100", "370000");
    w.link("370100", "370000-b");
    let doc = w.write("370100", None, "k", "v");
    w.settle();
    let bytes = content(3, 4);
    let file = w.announce("370000", doc, &bytes);
    w.settle();
    w.at(name("370000-b"), |_, s, _| {
        (0..).zip(bytes.chunks(PIECE)).for_each(|(p, b)| s.put_piece(&file, p, b).unwrap());
    });
    assert_eq!(w.held("370100", file), Some(0), "both said that they lack it");
    w.now += 20_000;
    w.settle();
    assert!(w.read("370100", file) == bytes);
}

#[test]
fn a_piece_that_is_not_the_manifests_is_dropped_and_its_sender_blamed() {
    let (mut w, doc) = line();
    let bytes = content(2, 5);
    w.tamper = Some(|frame| {
        if frame[0] == 9 {
            *frame.last_mut().unwrap() ^= 1;
        }
    });
    let file = w.attach("370100", doc, &bytes);
    w.settle();
    assert_eq!(w.held("370000", file), Some(0));
    assert_eq!(w.heard("370000", |e| matches!(e, Event::Misbehaved { .. })), 1);
    assert!(!w.links.contains(&(name("370000"), name("370100"))), "the link is ended");
    w.tamper = None;
    w.link("370100", "370000");
    w.settle();
    assert!(w.read("370000", file) == bytes);
}

#[test]
fn pieces_nobody_asked_for_and_frames_without_sense_are_harmless() {
    let (mut w, doc) = line();
    let bytes = content(2, 6);
    let file = w.announce("370000", doc, &bytes);
    let peer = name("370100");
    let say = |w: &mut World, frame: Frame| {
        let bytes = frame.to_bytes();
        w.at(name("370000"), |r, s, now| {
            r.step(now, Input::Frame { peer, bytes }, s, &mut Desk).unwrap();
        });
    };
    let piece = |file, place| Frame::Piece { file, place, bytes: bytes[..PIECE].to_vec() };
    say(&mut w, piece(ItemHash::from_bytes([7; 32]), 0));
    say(&mut w, piece(file, u32::MAX));
    say(&mut w, Frame::Seek(SeekBody { file: ItemHash::from_bytes([7; 32]), places: vec![(0, 1)] }));
    assert_eq!(w.held("370000", file), Some(0));
    assert_eq!(w.heard("370000", |e| matches!(e, Event::Misbehaved { .. })), 0);
    say(&mut w, Frame::Seek(SeekBody { file, places: vec![(0, u32::MAX)] }));
    assert_eq!(w.heard("370000", |e| matches!(e, Event::Misbehaved { .. })), 1);
}

#[test]
fn asking_for_ever_more_ends_the_link() {
    let (mut w, doc) = line();
    let file = w.attach("370000", doc, &content(2, 6));
    w.at(name("370000"), |r, s, now| {
        for at in 0..200u8 {
            let seek = SeekBody { file: ItemHash::from_bytes([at; 32]), places: vec![(0, 1)] };
            let bytes = Frame::Seek(seek).to_bytes();
            r.step(now, Input::Frame { peer: name("370100"), bytes }, s, &mut Desk).unwrap();
        }
    });
    assert_eq!(w.heard("370000", |e| matches!(e, Event::Misbehaved { .. })), 1);
    assert_eq!(w.held("370000", file), Some(2));
}

#[test]
fn a_peer_outside_the_audience_gets_nothing_and_is_reported_once() {
    let mut w = World::new(&["370100", "370000", "370200"]);
    w.link("370100", "370000");
    w.link("370200", "370000");
    let doc = w.write("370100", None, "k", "v");
    let file = w.attach("370100", doc, &content(2, 7));
    w.settle();
    let sent = w.bytes;
    for _ in 0..3 {
        let (peer, bytes) = (name("370200"), Frame::Seek(SeekBody { file, places: vec![(0, 2)] }).to_bytes());
        w.at(name("370000"), |r, s, now| {
            r.step(now, Input::Frame { peer, bytes }, s, &mut Desk).unwrap();
        });
        w.settle();
    }
    assert!(w.bytes - sent < PIECE, "no piece left");
    assert_eq!(w.heard("370000", |e| matches!(e, Event::ForeignFile { .. })), 1);
    // Once it is in the audience it gets what it asked for.
    w.write("370100", Some(doc), "to", "370200");
    w.settle();
    assert_eq!(w.held("370200", file), Some(2));
}

#[test]
fn a_manifest_that_lies_is_refused_alike_everywhere() {
    let (mut w, doc) = line();
    let mut lie = manifest(&content(2, 8)).to_bytes();
    lie[8] = 1; // another size than the pieces make
    lie[6] = 9;
    let hash = w.at(name("370100"), |r, s, _| r.put(doc, Kind::FILE, lie, s, &mut Desk).unwrap());
    w.settle();
    for node in ["370000", "000000"] {
        assert_eq!(w.held(node, hash), None, "{node}");
    }
    assert_eq!(w.heard("370000", |e| matches!(e, Event::Refused { item, .. } if *item == hash)), 1);
    assert!(w.nodes[&name("370000")].replica.link(name("370100")).digest_equal);
}

#[test]
fn a_damaged_piece_is_not_sent_and_comes_back() {
    let (mut w, doc) = line();
    w.cut("370000", "000000");
    let bytes = content(4, 9);
    let file = w.attach("370100", doc, &bytes);
    w.settle();
    w.nodes.get_mut(&name("370000")).unwrap().store.spoil(&file, 2);
    w.link("370000", "000000");
    w.settle();
    assert_eq!(w.heard("370000", |e| matches!(e, Event::PieceDamaged { place: 2, .. })), 1);
    assert!(w.read("000000", file) == bytes);
    assert!(w.read("370000", file) == bytes, "healed from the city");
}

/// Pieces of this file that lie in a node's store, known or not.
fn bytes_of(w: &World, who: &str, file: ItemHash) -> usize {
    w.nodes[&name(who)].store.pieces_of(&file)
}

fn erase(w: &mut World, who: &str, doc: DocId) {
    w.at(name(who), |r, s, _| r.put(doc, Kind::ERASED, b"mark".to_vec(), s, &mut Desk).unwrap());
}

#[test]
fn an_erased_documents_contents_go_from_everybody_and_stay_away() {
    let (mut w, doc) = line();
    let other = w.write("370100", None, "k", "another");
    let bytes = content(3, 20);
    let file = w.attach("370100", doc, &bytes);
    let stays = w.attach("370100", other, &content(2, 21));
    w.carry(10_000);
    w.cut("370000", "000000");
    erase(&mut w, "370100", doc);
    w.settle();
    for (node, pieces) in [("370100", 0), ("370000", 0), ("000000", 3)] {
        assert_eq!(bytes_of(&w, node, file), pieces, "{node}");
    }
    // A replica that comes late gets the manifest and asks for nothing; the ministry, which offers it still, removes
    // its own when it hears of the mark.
    w.nodes.insert(name("370000-b"), open(name("370000-b"), Memory::new(), 70));
    w.link("000000", "370000-b");
    w.link("370000", "370000-b");
    w.settle();
    w.link("370000", "000000");
    w.settle();
    for node in ["370100", "370000", "370000-b", "000000"] {
        assert_eq!((w.held(node, file), bytes_of(&w, node, file)), (None, 0), "{node}");
        assert_eq!(w.held(node, stays), Some(2), "{node}: another document's file stays");
        assert_eq!(
            w.nodes[&name(node)].replica.files(),
            FilesView::default(),
            "{node}: nothing is left over"
        );
    }
    w.assert_equal("370000", "370000-b");
    w.assert_equal("370000", "000000");
}

#[test]
fn a_fetch_under_way_ends_where_the_document_is_erased() {
    for carried in 0..30 {
        let (mut w, doc) = line();
        let file = w.attach("370100", doc, &content(6, 22));
        w.carry(carried);
        // By the one that fetches, from the other side of it: both neighbours learn of it while pieces travel.
        erase(&mut w, "370000", doc);
        w.settle();
        for node in ["370100", "370000", "000000"] {
            assert_eq!(
                (w.held(node, file), bytes_of(&w, node, file)),
                (None, 0),
                "{node} after {carried} frames"
            );
            assert_eq!(w.nodes[&name(node)].replica.files(), FilesView::default(), "{node}");
            assert_eq!(w.heard(node, |e| matches!(e, Event::Misbehaved { .. })), 0, "{node}");
        }
        w.assert_equal("370100", "370000");
        w.assert_equal("370000", "000000");
    }
}

#[test]
fn a_peer_that_offers_what_is_erased_is_not_asked_and_what_it_sends_is_not_kept() {
    let (mut w, doc) = line();
    let bytes = content(2, 23);
    let file = w.attach("370100", doc, &bytes);
    w.settle();
    erase(&mut w, "370000", doc);
    w.settle();
    let sent = w.bytes;
    for frame in [
        Frame::Have(file),
        Frame::Piece { file, place: 0, bytes: bytes[..PIECE].to_vec() },
        Frame::Have(file),
    ] {
        let (peer, bytes) = (name("370100"), frame.to_bytes());
        w.at(name("370000"), |r, s, now| {
            r.step(now, Input::Frame { peer, bytes }, s, &mut Desk).unwrap();
        });
    }
    w.settle();
    assert_eq!((w.bytes, bytes_of(&w, "370000", file)), (sent, 0));
}

#[test]
fn a_mark_that_counts_no_more_gives_contents_back() {
    let (mut w, doc) = line();
    let bytes = content(2, 24);
    let file = w.attach("370100", doc, &bytes);
    w.settle();
    w.cut("370000", "000000");
    let counts = w.nodes[&name("370100")].replica.chain().1.unwrap();
    erase(&mut w, "370100", doc);
    w.settle();
    assert_eq!(w.held("370000", file), None);
    // The city was in wrong hands when it erased.
    let list = format!("370100 {counts}");
    w.at(name("370000"), |r, s, _| {
        r.put_directory(Kind::REVOCATION, list.as_bytes(), s, &mut Desk).unwrap();
    });
    w.link("370000", "000000");
    w.settle();
    assert!(w.read("370000", file) == bytes, "from the ministry, which never removed it");
    assert_eq!(w.held("000000", file), Some(2));
}

#[test]
fn the_budget_is_kept_and_shared_by_turns() {
    let mut w = World::new(&["370000", "370100", "370200"]);
    let doc = w.write("370000", None, "to", "370100");
    w.write("370000", Some(doc), "too", "370200");
    let file = w.attach("370000", doc, &content(30, 10));
    w.at(name("370000"), |r, _, _| r.set_file_budget(Some(2 * PIECE as u64)));
    w.link("370000", "370100");
    w.link("370000", "370200");
    let mut sent = Vec::new();
    for _ in 0..8 {
        w.tick("370000", 1_000);
        w.carry(10_000);
        sent.push((w.held("370100", file).unwrap_or(0), w.held("370200", file).unwrap_or(0)));
    }
    for pair in sent.windows(2) {
        let grown = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
        assert_eq!(grown, (1, 1), "two pieces a second, one for each: {sent:?}");
    }
}

#[test]
fn a_rate_below_a_piece_a_second_still_delivers() {
    let (mut w, doc) = line();
    w.at(name("370100"), |r, _, _| r.set_file_budget(Some(PIECE as u64 / 4)));
    let file = w.attach("370100", doc, &content(2, 11));
    w.carry(10_000);
    for _ in 0..9 {
        w.tick("370100", 1_000);
        w.carry(10_000);
    }
    assert_eq!(w.held("370000", file), Some(2));
}

#[test]
fn a_full_disk_pauses_files_and_nothing_else() {
    let (mut w, doc) = line();
    w.nodes.get_mut(&name("370000")).unwrap().store.set_room(1_000);
    let bytes = content(3, 12);
    let file = w.attach("370100", doc, &bytes);
    w.write("370100", Some(doc), "k2", "v2");
    w.settle();
    assert_eq!(w.held("370000", file), Some(0));
    assert_eq!(w.heard("370000", |e| matches!(e, Event::FilesPaused { .. })), 1);
    assert!(w.nodes[&name("370000")].replica.link(name("370100")).digest_equal, "items go on");
    w.nodes.get_mut(&name("370000")).unwrap().store.set_room(u64::MAX);
    w.settle();
    assert!(w.read("370000", file) == bytes);
}

#[test]
fn more_files_than_are_fetched_are_known_and_not_fetched() {
    let (mut w, doc) = line();
    for at in 0..crate::file::MAX_FILES as u32 + 3 {
        let file = w.announce("370100", doc, &at.to_be_bytes());
        w.at(name("370100"), |_, s, _| {
            // The writer itself does not know those past the cap.
            let _ = s.put_piece(&file, 0, &at.to_be_bytes());
        });
    }
    w.settle();
    let store = &mut w.nodes.get_mut(&name("370000")).unwrap().store;
    assert_eq!(store.files_of(&doc).unwrap(), crate::file::MAX_FILES as u64);
    assert_eq!(store.file_totals().unwrap().missing, 0);
    assert!(w.heard("370000", |e| matches!(e, Event::TooManyFiles { .. })) > 0);
    assert!(w.nodes[&name("370000")].replica.link(name("370100")).digest_equal);
}
