//! Lies: frames that no honest node sends.

use std::sync::OnceLock;

use automerge::transaction::Transactable;
use automerge::{Change, ReadDoc, legacy};
use certs::NodeName;
use node::ticket::entry::{Create, Entry, EntryId, Op};
use node::ticket::matter::{KIND, SCHEMA};
use sync::chunk::{ChangeChunk, pack};
use sync::document::Document;
use sync::id::{DocId, Incarnation, ItemHash, SealHash};
use sync::item::Kind;
use sync::merkle::Tree;
use sync::seal::{self, SUITE, Seal, Words};
use sync::wire::{
    Answer, DigestBody, DocPart, DocRef, Exception, Frame, Hello, ItemPart, Lane, Load, MAX_FRAME, SealPart,
    SketchBody, VERSION, Want, WantBody,
};

use super::act::six_parts;
use super::chance::Chance;
use super::machine::Machine;
use super::tamper::flip;
use super::{World, book};

/// Something said on a link that no honest node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Bytes that are no frame.
    Nonsense,
    /// A frame longer than any.
    Oversized,
    /// A batch that would unpack to 64 MiB.
    Bomb,
    /// A first flight that claims to hold the receiver's last seal of all time.
    FalseHello,
    /// A digest of nothing.
    FalseDigest,
    /// An answer to a batch that was never sent.
    FalseAnswer,
    /// Cells of no sketch.
    FalseSketch,
    /// A repair's outcome that nobody asked for.
    FalseWant,
    /// A ticket in another node's name, sealed with the liar's key.
    Invented,
    /// A change that no rule allows, rightly sealed.
    RuleBreaker,
    /// A change that names an operation which it was not made on, rightly sealed.
    Foreknowing,
    /// Changes whose parents never come, rightly sealed.
    Orphans,
    /// Two changes with one actor and number, one to each of two peers.
    Twins,
    /// Records and revocations that no authority signed.
    FalseDirectory,
    /// A frame of a newer version.
    NewerFrame,
}

impl Lie {
    /// All of them.
    pub const ALL: [Lie; 15] = [
        Lie::Nonsense,
        Lie::Oversized,
        Lie::Bomb,
        Lie::FalseHello,
        Lie::FalseDigest,
        Lie::FalseAnswer,
        Lie::FalseSketch,
        Lie::FalseWant,
        Lie::Invented,
        Lie::RuleBreaker,
        Lie::Foreknowing,
        Lie::Orphans,
        Lie::Twins,
        Lie::FalseDirectory,
        Lie::NewerFrame,
    ];

    /// Its name in the coverage table.
    pub fn name(self) -> &'static str {
        match self {
            Lie::Nonsense => "lie: nonsense",
            Lie::Oversized => "lie: an oversized frame",
            Lie::Bomb => "lie: a bomb",
            Lie::FalseHello => "lie: a false hello",
            Lie::FalseDigest => "lie: a false digest",
            Lie::FalseAnswer => "lie: a false answer",
            Lie::FalseSketch => "lie: a false sketch",
            Lie::FalseWant => "lie: a false want",
            Lie::Invented => "lie: an invented ticket",
            Lie::RuleBreaker => "lie: a change against the rules",
            Lie::Foreknowing => "lie: a change that names what it was not made on",
            Lie::Orphans => "lie: changes without parents",
            Lie::Twins => "lie: two changes with one number",
            Lie::FalseDirectory => "lie: false records",
            Lie::NewerFrame => "a frame of a newer version",
        }
    }
}

fn bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| zstd::bulk::compress(&vec![0; 64 << 20], 1).expect("zeros compress"))
}

/// A batch of one document's items under one seal of `sealer`'s key, in the name of `author`.
fn sealed(
    author: NodeName,
    sealer: NodeName,
    doc: DocId,
    begins: bool,
    changes: &[Vec<u8>],
    chance: &mut Chance,
) -> Vec<u8> {
    let mut leaves: Vec<[u8; 32]> = Vec::new();
    let mut hashes: Vec<ItemHash> = changes.iter().map(|c| Kind::CHANGE.hash(c)).collect();
    hashes.sort_unstable();
    leaves.extend(hashes.iter().map(|h| seal::leaf(&doc, h)));
    let count = leaves.len() as u32;
    let mut tree = Tree::new(count);
    (0..).zip(&leaves).for_each(|(at, leaf)| tree.know(at, *leaf));
    let words = Words {
        suite: SUITE,
        node: author,
        incarnation: Incarnation::from_bytes(chance.word().to_be_bytes()),
        number: chance.between(1, 40),
        previous: None,
        count,
        root: tree.root().expect("all leaves are known"),
    };
    let seal = Seal::make(words, |w| book::sign(sealer, w));
    let items = changes.iter().map(|bytes| {
        let chunk = ChangeChunk::parse(bytes).expect("automerge wrote it");
        ItemPart { kind: Kind::CHANGE.number(), seal: 0, bytes: pack(&chunk, &[], |_| true) }
    });
    let reference = if begins { DocRef::New } else { DocRef::Whole(doc) };
    let load = Load {
        directory: Vec::new(),
        seals: vec![SealPart { seal, places: Vec::new(), twigs: Vec::new() }],
        docs: vec![DocPart { doc: reference, items: items.collect() }],
    };
    Frame::Batch { id: chance.word(), load: load.pack() }.to_bytes()
}

/// A change as if it had been made on what stood before a head, of whose operations it names one.
fn foreknowing(bytes: &[u8], document: &Document) -> Option<Vec<u8>> {
    let automerge = document.automerge();
    let later = automerge.get_heads().iter().find_map(|head| automerge.get_change_by_hash(head))?;
    if later.deps().is_empty() {
        return None;
    }
    let mut change = Change::from_bytes(bytes.to_vec()).ok()?.decode();
    change.deps = later.deps().to_vec();
    change.start_op = later.start_op();
    change.hash = None;
    let named = legacy::OpId(later.start_op().get(), later.actor_id().clone());
    change.operations.last_mut()?.pred = vec![named].into();
    Some(Change::from(change).raw_bytes().to_vec())
}

impl World {
    /// Says a lie on the link between two machines, if there is one.
    pub(super) fn lie(&mut self, from: usize, to: usize, lie: Lie, salt: u64) {
        if !self.net.is_up(super::net::pair(from, to)) {
            return;
        }
        let mut chance = Chance::new(salt);
        let me = self.machines[from].node;
        let frames = self.words_of(from, to, lie, &mut chance);
        if frames.is_empty() {
            return;
        }
        self.count(lie.name());
        if matches!(lie, Lie::RuleBreaker | Lie::Foreknowing | Lie::Twins | Lie::Orphans) {
            self.oracle.forgers.insert(me);
        }
        for (to, bytes) in frames {
            self.net.send(from, to, Lane::Bulk, bytes, self.now, &mut chance);
        }
        self.busy();
    }

    fn words_of(&mut self, from: usize, to: usize, lie: Lie, chance: &mut Chance) -> Vec<(usize, Vec<u8>)> {
        let me = self.machines[from].node;
        let you = self.machines[to].node;
        let digest = DigestBody { sent: 0, received: 0, count: chance.below(1 << 40), fingerprint: [7; 32] };
        let one = |frame: Frame| vec![(to, frame.to_bytes())];
        match lie {
            Lie::Nonsense => {
                let length = chance.between(0, 60) as usize;
                vec![(to, chance.bytes(length))]
            }
            Lie::Oversized => vec![(to, vec![2; MAX_FRAME + 1])],
            Lie::Bomb => one(Frame::Batch { id: 1, load: bomb().to_vec() }),
            Lie::FalseHello => one(Frame::Hello(Hello {
                version: if chance.hits(20) { 0 } else { VERSION },
                incarnation: Incarnation::from_bytes([9; 8]),
                highest: Some((u64::MAX - chance.below(2), SealHash::from_bytes([9; 32]))),
                digest,
                clock: u64::MAX,
                more: chance.hits(50),
                program: Default::default(),
            })),
            Lie::FalseDigest => one(Frame::Digest(digest)),
            Lie::FalseAnswer => {
                let batch = chance.word();
                one(Frame::Answer(Answer { batch, exceptions: vec![(u32::MAX, Exception::Waiting)] }))
            }
            Lie::FalseSketch => one(Frame::Sketch(SketchBody { key: [1; 16], cells: chance.bytes(300) })),
            Lie::FalseWant => {
                let outcome = match chance.below(4) {
                    0 => Want::More(u32::MAX),
                    1 => Want::Split,
                    2 => Want::Everything,
                    _ => Want::These((0..500).map(|_| chance.word().to_be_bytes()).collect(), u32::MAX),
                };
                one(Frame::Want(WantBody { key: [0; 16], bits: 0, prefix: 0, outcome }))
            }
            Lie::NewerFrame => vec![(to, vec![200, 1, 2, 3])],
            Lie::FalseDirectory => {
                let mut record = book::record(you);
                let mut word = book::revocation(you, u32::MAX, Vec::new());
                flip(&mut record, chance);
                // Of the revocation only what was signed is altered: its form stays readable.
                let last = word.len() - 1;
                word[last] ^= 1;
                let directory = vec![(Kind::RECORD.number(), record), (Kind::REVOCATION.number(), word)];
                let load = Load { directory, ..Load::default() };
                one(Frame::Batch { id: chance.word(), load: load.pack() })
            }
            Lie::Invented => {
                let bytes = self.foreign_ticket(you, chance);
                let doc = DocId::from(Kind::CHANGE.hash(&bytes));
                vec![(to, sealed(you, me, doc, true, &[bytes], chance))]
            }
            Lie::RuleBreaker | Lie::Foreknowing | Lie::Orphans | Lie::Twins => {
                self.rightly_sealed(from, to, lie, chance)
            }
        }
    }

    /// A first change that another node might have written.
    fn foreign_ticket(&mut self, of: NodeName, chance: &mut Chance) -> Vec<u8> {
        let create = Create {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            number: "JT0".to_owned(),
            site: of.site(),
            confidential: false,
            against: None,
            reported: true,
            rule: "world".to_owned(),
            declines: None,
        };
        let entry = Entry::new(Op::Create(Box::new(create)), [], of).to_bytes();
        let life = Incarnation::from_bytes(chance.word().to_be_bytes());
        let empty = Document::empty(DocId::from_bytes([0; 32]));
        let made = empty.compose(of, life, |tx| six_parts(tx, 0, &entry));
        made.expect("six parts can be made").expect("they are something")
    }

    /// Lies with the liar's own key, about a ticket that both hold.
    fn rightly_sealed(
        &mut self,
        from: usize,
        to: usize,
        lie: Lie,
        chance: &mut Chance,
    ) -> Vec<(usize, Vec<u8>)> {
        let me = self.machines[from].node;
        let known = &self.machines[to].shown;
        let both: Vec<DocId> =
            self.machines[from].shown.keys().filter(|d| known.contains_key(d)).copied().collect();
        let Some(doc) = chance.pick(&both) else { return Vec::new() };
        let Machine { up, disk, .. } = &mut self.machines[from];
        let Some(up) = up.as_mut() else { return Vec::new() };
        let open = up.replica.open_document(doc, disk, &up.desk).expect("memory reads");
        let Some((document, sheet)) = open else { return Vec::new() };
        let life = Incarnation::from_bytes(chance.word().to_be_bytes());
        let word = chance.word();
        let heads = sheet.ticket().trail_heads();
        let compose = |document: &Document,
                       write: &dyn Fn(
            &mut automerge::transaction::Transaction<'_>,
        ) -> Result<(), automerge::AutomergeError>| {
            document.compose(me, life, |tx| write(tx)).ok().flatten()
        };
        let note = |n: u64| {
            move |document: &Document, tx: &mut automerge::transaction::Transaction<'_>| {
                let notes = document.part("notes").ok_or(automerge::AutomergeError::Fail)?;
                let text = n.to_be_bytes().to_vec();
                tx.put(&notes, EntryId::of(&text).to_string(), text)
            }
        };
        match lie {
            Lie::RuleBreaker => {
                let made = compose(document, &|tx| {
                    let part = |name: &str| document.part(name).ok_or(automerge::AutomergeError::Fail);
                    match word % 3 {
                        0 => tx.put(&part("trail")?, "not a hash", word as i64),
                        1 => {
                            // Parents that are not the trail's heads.
                            let entry =
                                Entry::new(Op::Progress, heads.iter().skip(1).copied(), me).to_bytes();
                            tx.put(&part("trail")?, EntryId::of(&entry).to_string(), entry)
                        }
                        _ => tx.put(automerge::ROOT, "more", 1),
                    }
                });
                let Some(bytes) = made else { return Vec::new() };
                vec![(to, sealed(me, me, doc, false, &[bytes], chance))]
            }
            Lie::Foreknowing => {
                // Its last operation comes to number more than the one that it names.
                let made = compose(document, &|tx| {
                    let facts = document.part("facts").ok_or(automerge::AutomergeError::Fail)?;
                    (0..3).try_for_each(|n| tx.put(&facts, format!("x.n{n}"), word.to_string()))
                });
                let Some(bytes) = made.and_then(|bytes| foreknowing(&bytes, document)) else {
                    return Vec::new();
                };
                vec![(to, sealed(me, me, doc, false, &[bytes], chance))]
            }
            Lie::Orphans => {
                // A change on one that is thrown away.
                let Some(first) = compose(document, &|tx| note(word)(document, tx)) else {
                    return Vec::new();
                };
                let Ok(change) = sync::document::Witnessed::check(&first, me, true) else {
                    return Vec::new();
                };
                let mut ahead = document.clone();
                let Ok(writes) = ahead.writes(&change) else { return Vec::new() };
                if ahead.apply(&change, &writes).is_err() {
                    return Vec::new();
                }
                let mut frames = Vec::new();
                for n in 1..6 {
                    let made = compose(&ahead, &|tx| note(word ^ n)(&ahead, tx));
                    if let Some(bytes) = made {
                        frames.push((to, sealed(me, me, doc, false, &[bytes], chance)));
                    }
                }
                frames
            }
            _ => {
                let (one, two) = (
                    compose(document, &|tx| note(word)(document, tx)),
                    compose(document, &|tx| note(!word)(document, tx)),
                );
                let (Some(one), Some(two)) = (one, two) else { return Vec::new() };
                for bytes in [&one, &two] {
                    self.oracle.written.entry(Kind::CHANGE.hash(bytes)).or_default().insert(me);
                }
                let others: Vec<usize> = self.net.of(from).into_iter().filter(|o| *o != to).collect();
                let second = chance.pick(&others).unwrap_or(to);
                vec![
                    (to, sealed(me, me, doc, false, &[one], chance)),
                    (second, sealed(me, me, doc, false, &[two], chance)),
                ]
            }
        }
    }
}
