//! Every decoder that takes bytes from outside, under attack by mutation.
//!
//! ```text
//! honest bytes ─> mutate (seeded) ─> mend: what an attacker would do too (length, checksum, compression) ─> decode
//! ```
//!
//! For each: no panic; what is taken says the same once written and read again; what is signed or sealed is taken only
//! as it was made; memory stays below the decoder's cap (the child process runs under an address-space limit, and the
//! peak of its resident memory is read after each decoder). `tests/fuzz-corpus/DECODER/*.hex` holds inputs that once
//! went wrong; they go first. `FUZZ=N` tries N times as many mutations.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod material;
mod mutate;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use automerge::Automerge;
use material::{Material, NOW};
use mutate::{Dice, mutate};
use node::content::Content;
use node::import::{NewTicket, Sample};
use node::reference::Reference;
use node::request::Request;
use node::ticket::number::TicketNumber;
use node::ticket::{Entry, TicketMatter};
use node::vault::{Grant, Part, TicketKey};
use sha2::{Digest, Sha256};
use sync::chunk::{self, ChangeChunk};
use sync::document::{Document, Witnessed};
use sync::file::Manifest;
use sync::id::{DocId, ItemHash};
use sync::matter::Matter;
use sync::merkle::{Tree, Twig, twig_bounds};
use sync::parcel::{Found, Head, Label, Sealer};
use sync::seal::Seal;
use sync::sketch::{Cells, Decoder, Encoder, Half, Key};
use sync::trust::Trust;
use sync::wire::{
    self, Answer, DigestBody, DocPart, DocRef, Exception, Frame, ItemPart, Load, SealPart, Want, WantBody,
};

/// Whether the bytes were taken, or how they broke a promise.
type Verdict = Result<bool, String>;

type Mend<'a> = Box<dyn Fn(Vec<u8>) -> Vec<u8> + 'a>;
type Decode<'a> = Box<dyn Fn(&[u8]) -> Verdict + 'a>;

struct Target<'a> {
    name: &'static str,
    corpus: Vec<Vec<u8>>,
    /// What an attacker does to mutated bytes so that they come further.
    mend: Mend<'a>,
    decode: Decode<'a>,
    /// Mutations in `cargo test`.
    tries: usize,
    /// MiB by which resident memory may grow.
    memory: u64,
    /// The bytes to begin with are an attack themselves, and must be refused.
    hostile: bool,
}

impl<'a> Target<'a> {
    fn new(
        name: &'static str,
        corpus: Vec<Vec<u8>>,
        tries: usize,
        decode: impl Fn(&[u8]) -> Verdict + 'a,
    ) -> Target<'a> {
        assert!(!corpus.is_empty(), "{name} has nothing to begin with");
        Target {
            name,
            corpus,
            mend: Box::new(|b| b),
            decode: Box::new(decode),
            tries,
            memory: 32,
            hostile: false,
        }
    }

    fn mended(self, mend: impl Fn(Vec<u8>) -> Vec<u8> + 'a) -> Target<'a> {
        Target { mend: Box::new(mend), ..self }
    }

    fn hostile(self) -> Target<'a> {
        Target { hostile: true, ..self }
    }

    fn within(self, memory: u64) -> Target<'a> {
        Target { memory, ..self }
    }
}

/// What was taken must say the same after it was written and read again.
fn same<T: PartialEq>(what: &T, again: Option<&T>) -> Verdict {
    if again == Some(what) { Ok(true) } else { Err("it is read otherwise than it was written".to_owned()) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn uleb(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A change chunk's body in a frame whose length and checksum are right.
fn framed(body: &[u8]) -> Vec<u8> {
    let named = [&[1][..], &uleb(body.len()), body].concat();
    [&[0x85, 0x6f, 0x4a, 0x83], &Sha256::digest(&named)[..4], &named].concat()
}

/// The body of a chunk, without its frame.
fn body_of(chunk: &[u8]) -> Vec<u8> {
    let length = chunk[9..].iter().position(|b| *b < 0x80).unwrap() + 1;
    chunk[9 + length..].to_vec()
}

fn frames(material: &Material) -> Vec<Vec<u8>> {
    let digest = DigestBody { sent: 3, received: 4, count: 5, fingerprint: [6; 32] };
    let hello = wire::Hello {
        version: 1,
        incarnation: sync::id::Incarnation::from_bytes([1; 8]),
        highest: Some((7, material.seals[0].hash())),
        digest,
        clock: NOW.secs() * 1000,
        more: true,
        program: wire::Program::new("0.1.0"),
    };
    let want = |outcome| Frame::Want(WantBody { key: [1; 16], bits: 2, prefix: 1, outcome });
    let all = [
        Frame::Hello(hello),
        Frame::Batch { id: 9, load: load(material).pack() },
        Frame::Answer(Answer {
            batch: 9,
            exceptions: vec![(0, Exception::Waiting), (1, Exception::Refused("no".into()))],
        }),
        Frame::Digest(digest),
        Frame::Sketch(wire::SketchBody { key: [1; 16], cells: cells().to_bytes() }),
        want(Want::These(vec![[1; 8], [2; 8]], 3)),
        want(Want::More(8)),
        want(Want::Everything),
        Frame::Bye(wire::Bye { reason: "enough".into() }),
        Frame::Seek(wire::SeekBody { file: ItemHash::from_bytes([3; 32]), places: vec![(1, 2), (3, 4)] }),
        Frame::Prove(wire::ProveBody { seal: material.seals[0].hash(), gaps: vec![(0, 1), (4, 8)] }),
        Frame::Proof(wire::ProofBody {
            seal: material.seals[0].hash(),
            twigs: vec![Twig { low: 4, high: 8, hash: [7; 32] }],
        }),
        Frame::Carry(wire::CarryBody { from: material.city, to: material.city, bytes: vec![1, 2, 3] }),
        Frame::Carried([4; 32]),
        Frame::Opening(wire::Opening {
            version: 1,
            incarnation: sync::id::Incarnation::from_bytes([1; 8]),
            highest: None,
            clock: NOW.secs() * 1000,
            number: 2,
            open: vec![9, u64::MAX],
        }),
        Frame::Closing(wire::Closing { number: 2, batches: 1, count: 5, fingerprint: [6; 32], more: true }),
    ];
    all.iter().map(Frame::to_bytes).collect()
}

/// How many bytes of a grant say which key it is of.
const TOLD: usize = 9;

/// What the pages of [`parcel`] say.
const PAGES: [&[u8]; 3] = [b"the first page", b"the second", b""];

/// A parcel from the city to itself: one identity has both keys.
fn parcel(material: &Material) -> Vec<u8> {
    let identity = &material.identity;
    let record = identity.record();
    let (from, to) = (material.city, vec![material.city]);
    let label = Label { from, to, id: [7; 16], number: 1, part: 1, made: NOW.secs() * 1000 };
    let sign = |context: &str, bytes: &[u8]| identity.sign(context, bytes);
    let who = (record.signing_key, &record.bytes()[..]);
    let mut sealer = Sealer::begin(label, &[record.node_box], who, &[9; 32], sign).unwrap();
    let mut bytes = sealer.head().to_vec();
    for (i, page) in PAGES.iter().enumerate() {
        bytes.extend(sealer.page(page, i + 1 == PAGES.len(), sign).unwrap());
    }
    bytes.extend(sealer.head());
    bytes
}

/// Reads whatever became of a parcel; only what was sealed comes out, each page in its place.
fn read_parcel(bytes: &[u8], material: &Material) -> Verdict {
    let Some(head) = (0..bytes.len()).find_map(|at| Head::read(&bytes[at..]).ok()) else { return Ok(false) };
    let open = |info: &[u8], aad: &[u8], sealed: &[u8]| material.identity.open(info, aad, sealed).ok();
    if head.label.id != [7; 16] || head.record != material.record {
        return Err("a forged head verifies".to_owned());
    }
    let Ok(key) = head.open(material.city, open) else {
        return Err("a head that verifies and is not ours".to_owned());
    };
    let (mut at, mut taken) = (0, false);
    while at < bytes.len() {
        match head.find(&bytes[at..], true) {
            Found::Page { length, .. } => {
                let page = head.page(&bytes[at..]).unwrap();
                let plain = head.open_page(&key, &page).map_err(|e| e.to_string())?;
                if PAGES.get(page.index as usize) != Some(&plain.as_slice()) {
                    return Err("a forged page opens".to_owned());
                }
                (at, taken) = (at + length, true);
            }
            Found::Other(0) | Found::More => return Err("a search that does not go on".to_owned()),
            Found::Other(n) => at += n,
        }
    }
    Ok(taken)
}

fn load(material: &Material) -> Load {
    let part = |bytes: &Vec<u8>| ItemPart { kind: 1, seal: 0, bytes: bytes.clone() };
    Load {
        directory: vec![(128, material.record.clone())],
        seals: vec![SealPart { seal: material.seals[0].clone(), places: vec![(0, 2)], twigs: vec![[7; 32]] }],
        docs: vec![
            DocPart { doc: DocRef::New, items: material.changes.iter().take(2).map(part).collect() },
            DocPart { doc: DocRef::Short([1; 8]), items: material.grants.iter().map(part).collect() },
        ],
    }
}

fn cells() -> Cells {
    let mut encoder = Encoder::new(&Key::from_bytes([1; 16]), Half::WHOLE, 0..16).unwrap();
    (0..5u8).for_each(|i| encoder.add(&ItemHash::from_bytes([i; 32])));
    encoder.finish()
}

/// Pairs of 32-bit numbers.
fn pairs(bytes: &[u8]) -> Vec<(u32, u32)> {
    let number = |b: &[u8]| u32::from_le_bytes(b.try_into().unwrap());
    bytes.chunks_exact(8).map(|c| (number(&c[..4]), number(&c[4..]))).collect()
}

/// The document that the ticket's changes make, each with a fork of it before that change.
fn documents(material: &Material) -> Vec<(Document, TicketMatter)> {
    let mut document = Document::empty(material.doc);
    let mut matter = TicketMatter::new(material.doc);
    let mut all = Vec::new();
    for bytes in &material.changes {
        all.push((document.clone(), matter.clone()));
        let change = Witnessed::check(bytes, material.city, true).unwrap();
        let writes = document.writes(&change).unwrap();
        let reading = matter.read(&change, &writes).unwrap();
        matter.judge(&document, &change, &reading).unwrap();
        document.apply(&change, &writes).unwrap();
        matter.take(&change, reading);
    }
    all
}

/// The whole way of a change from a peer: gate, rules, automerge, and what reads the document afterwards.
fn admit(bytes: &[u8], author: certs::NodeName, before: &(Document, TicketMatter)) -> Verdict {
    let Ok(change) = Witnessed::check(bytes, author, true) else { return Ok(false) };
    let (mut document, mut matter) = before.clone();
    if document.is_empty() {
        document = Document::empty(DocId::from(change.hash));
        matter = TicketMatter::new(document.id());
    }
    let Ok(writes) = document.writes(&change) else { return Ok(false) };
    let reading = matter.read(&change, &writes).ok();
    let judged = reading.filter(|reading| matter.judge(&document, &change, reading).is_ok());
    if document.apply(&change, &writes).is_err() {
        return Ok(false);
    }
    // Other rules than a ticket's may let it in, so whatever applies must load again.
    let saved = document.automerge().save();
    if Automerge::load(&saved).is_err() {
        return Err("the document does not load again once saved".to_owned());
    }
    if let Some(reading) = judged {
        matter.take(&change, reading);
        let _ = (Content::read(&document), matter.folded().cloned(), matter.standing());
    }
    Ok(true)
}

fn targets<'a>(m: &'a Material, reference: &'a Reference) -> Vec<Target<'a>> {
    let lines = |all: &[&str]| all.iter().map(|l| l.as_bytes().to_vec()).collect::<Vec<_>>();
    let context = node::roll::Roll::new(m.identity.clone()).context();
    let trust = certs::Directory::new(m.identity.root().clone()).trust(false);
    let before = documents(m);
    let bodies: Vec<Vec<u8>> = m.changes.iter().map(|c| body_of(c)).collect();
    let packed =
        m.changes.iter().map(|c| chunk::pack(&ChangeChunk::parse(c).unwrap(), &[], |_| true)).collect();
    let key = Grant::read(&m.grants[0]).unwrap().open(&m.doc, &m.identity).ok();
    let key = key.unwrap_or_else(|| TicketKey::draw().unwrap());
    let person = key.seal(Part::Person, "{\"phone\":\"13800000001\"}".as_bytes()).unwrap();
    let sealed = person.clone();
    let pem = |given: &str| vec![given.as_bytes().to_vec()];
    let samples = include_str!("../../../fixtures/samples.jsonl");

    vec![
        Target::new("frame", frames(m), 200_000, |b| match Frame::from_bytes(b) {
            Ok(frame) => same(&frame, Frame::from_bytes(&frame.to_bytes()).ok().as_ref()),
            Err(_) => Ok(false),
        }),
        Target::new("parcel", vec![parcel(m)], 4_000, |b| read_parcel(b, m)),
        Target::new("load", vec![zstd::bulk::decompress(&load(m).pack(), 1 << 22).unwrap()], 10_000, |b| {
            match Load::unpack(b) {
                Ok(load) => same(&load, Load::unpack(&load.pack()).ok().as_ref()),
                Err(_) => Ok(false),
            }
        })
        .mended(|b| zstd::bulk::compress(&b, 1).unwrap()),
        Target::new("compressed load", vec![load(m).pack()], 5_000, |b| Ok(Load::unpack(b).is_ok())),
        Target::new("load bombs", bombs(), 200, |b| Ok(Load::unpack(b).is_ok()))
            .mended(|b| zstd::bulk::compress(&b, 1).unwrap())
            .hostile()
            .within(64), // many small lists, each below its cap, may take eleven times the batch
        Target::new(
            "places",
            vec![[0u32, 3, 2, 5, 1, 9].iter().flat_map(|n| n.to_le_bytes()).collect()],
            20_000,
            |b| match wire::places(&pairs(b), 1 << 20, 8192) {
                Some(all) if all.len() > 8192 || all.iter().any(|p| *p >= 1 << 20) => {
                    Err("more places than it may give".to_owned())
                }
                Some(all) => same(&all, wire::places(&wire::runs(&all), 1 << 20, 8192).as_ref()),
                None => Ok(false),
            },
        ),
        Target::new(
            "twigs",
            vec![[1000u32, 1, 5, 30, 900, 7].iter().flat_map(|n| n.to_le_bytes()).collect()],
            5_000,
            |b| {
                let all = pairs(b);
                let count = all.first().map_or(0, |p| p.0 % (1 << 20));
                let mut places: Vec<u32> = all.iter().map(|p| p.1).filter(|p| *p < count).collect();
                places.sort_unstable();
                places.dedup();
                let bounds = twig_bounds(count, &places, 64);
                let mut tree = Tree::new(count);
                bounds
                    .iter()
                    .for_each(|(low, high)| tree.know_twig(Twig { low: *low, high: *high, hash: [1; 32] }));
                places.iter().for_each(|p| tree.know(*p, [2; 32]));
                match (bounds.len() < 64 && count > 0, tree.root()) {
                    (true, None) => Err("leaves and all twigs make no root".to_owned()),
                    (whole, _) => Ok(whole),
                }
            },
        ),
        Target::new("cells", vec![cells().to_bytes()], 100_000, |b| {
            let Ok(theirs) = Cells::from_bytes(b) else { return Ok(false) };
            let key = Key::from_bytes([1; 16]);
            if let Ok(ours) = Encoder::new(&key, theirs.half(), theirs.range()) {
                let _ = Decoder::new(&key, theirs.half()).extend(&theirs, &ours.finish());
            }
            same(&theirs.to_bytes(), Some(&b.to_vec()))
        }),
        Target::new(
            "seal",
            m.seals.iter().map(|s| postcard::to_stdvec(s).unwrap()).collect(),
            20_000,
            move |b| {
                let Ok(seal) = postcard::from_bytes::<Seal>(b) else { return Ok(false) };
                let good = seal.verify(&context, [*m.identity.record().signing_key.as_bytes()]).is_ok();
                match good && !m.seals.contains(&seal) {
                    true => Err("a forged seal verifies".to_owned()),
                    false => Ok(good),
                }
            },
        ),
        Target::new("chunk", bodies.clone(), 100_000, |b| Ok(ChangeChunk::parse(b).is_ok()))
            .mended(|b| framed(&b)),
        Target::new("packed change", packed, 100_000, |b| {
            let known = [Some(ItemHash::from_bytes([1; 32])), None];
            match chunk::unpack(b, &known, |_| Some(ItemHash::from_bytes([2; 32]))) {
                Ok(chunk) if chunk.len() > chunk::MAX_CHUNK => Err("longer than any chunk".to_owned()),
                Ok(chunk) => Ok(ChangeChunk::parse(&chunk).is_ok()),
                Err(_) => Ok(false),
            }
        }),
        Target::new("change", bodies, 60_000, move |b| {
            // Against the state that it was made on, or, for what was harmed, any: the first bytes choose.
            let at = b.iter().map(|b| usize::from(*b)).sum::<usize>() % before.len();
            let fitting = m.changes.iter().position(|c| c == b).unwrap_or(at);
            admit(b, m.city, &before[fitting])
        })
        .mended(|b| framed(&b))
        .within(96),
        Target::new("grant", m.grants.clone(), 5_000, |b| {
            let Some(grant) = Grant::read(b) else { return Ok(false) };
            // What ends with the sealed key is a grant of before it was told which key it is.
            let ours = m.grants.iter().any(|g| b.starts_with(&g[..g.len() - TOLD]));
            match grant.open(&m.doc, &m.identity).is_ok() && !ours {
                true => Err("a forged grant opens".to_owned()),
                false => Ok(true),
            }
        }),
        Target::new("sealed person", vec![person], 10_000, move |b| {
            match key.open(Part::Person, b).is_ok() {
                true if b != sealed => Err("a forged person opens".to_owned()),
                opened => Ok(opened),
            }
        }),
        Target::new("record", vec![m.record.clone()], 8_000, |b| {
            match material::record_of(b, m.identity.root()).is_some() {
                true if b != m.record => Err("a forged record verifies".to_owned()),
                good => Ok(good),
            }
        }),
        Target::new("revocation list", m.lists.clone(), 8_000, |b| {
            match certs::RevocationList::verify(b, m.identity.root()).is_ok() {
                true if !m.lists.iter().any(|l| l == b) => Err("a forged list verifies".to_owned()),
                good => Ok(good),
            }
        }),
        Target::new("certificate", m.chain[..1].to_vec(), 3_000, move |b| {
            let leaf = b.to_vec().into();
            let chain = [leaf, m.chain[1].clone().into()];
            match trust.check(&chain, NOW).is_ok() {
                true if b != m.chain[0] => Err("a forged certificate verifies".to_owned()),
                good => Ok(good),
            }
        }),
        Target::new("enrolment request", pem(&m.request), 8_000, |b| {
            match certs::Request::from_pem(&text(b)) {
                Ok(request) => same(&request, certs::Request::from_pem(&request.to_pem()).ok().as_ref()),
                Err(_) => Ok(false),
            }
        }),
        Target::new("enrolment response", pem(&m.response), 8_000, |b| {
            match material::response_of(&text(b)) {
                Some(response) => same(&response, material::response_of(&response.to_pem()).as_ref()),
                None => Ok(false),
            }
        }),
        Target::new("root", pem(&m.root), 8_000, |b| match certs::Root::from_pem(&text(b)) {
            Ok(root) => same(&root, certs::Root::from_pem(&root.to_pem()).ok().as_ref()),
            Err(_) => Ok(false),
        }),
        Target::new("entry", entries(m), 100_000, |b| match Entry::parse(b) {
            Ok(entry) => same(&entry, Entry::parse(&entry.to_bytes()).ok().as_ref()),
            Err(_) => Ok(false),
        }),
        Target::new(
            "ticket number",
            lines(&["JT370100202611240E0000Y", "JT370100202611240E0000Y"]),
            20_000,
            |b| match text(b).parse::<TicketNumber>() {
                Ok(number) => same(&number, number.to_string().parse().ok().as_ref()),
                Err(_) => Ok(false),
            },
        ),
        Target::new(
            "name",
            lines(&["370100", "370100-02", "370000-b", "c370100-02-c.p37.n12328.invalid"]),
            20_000,
            |b| {
                let given = text(b);
                let dns = certs::NodeName::from_dns(&given).ok();
                match given.parse::<certs::NodeName>().ok().or(dns) {
                    Some(node) => same(&node, node.to_string().parse().ok().as_ref())
                        .and_then(|_| same(&node, certs::NodeName::from_dns(&node.dns()).ok().as_ref())),
                    None => Ok(false),
                }
            },
        ),
        Target::new("socket request", m.requests.clone(), 100_000, |b| {
            match serde_json::from_slice::<Request>(b) {
                Ok(request) => {
                    let again = serde_json::to_vec(&request).unwrap();
                    same(&request, serde_json::from_slice(&again).ok().as_ref())
                }
                Err(_) => Ok(false),
            }
        }),
        Target::new("sample", lines(&samples.lines().take(6).collect::<Vec<_>>()), 10_000, |b| {
            match Sample::parse(b, 1) {
                Ok(sample) => Ok(NewTicket::from_sample(sample, reference).is_ok()),
                Err(_) => Ok(false),
            }
        }),
        Target::new(
            "manifest",
            vec![Manifest::new(100_000, vec![[1; 32], [2; 32]]).unwrap().to_bytes()],
            20_000,
            |b| match Manifest::read(b) {
                Ok(Some(manifest)) => same(&manifest.to_bytes(), Some(&b.to_vec())),
                _ => Ok(false),
            },
        ),
    ]
}

/// Batches that say in a few hundred compressed bytes that there are millions of things.
fn bombs() -> Vec<Vec<u8>> {
    let many = uleb(1 << 20);
    let bomb = |head: &[u8]| {
        let mut bytes = [head, &many].concat();
        bytes.resize(wire::MAX_BATCH, 0);
        bytes
    };
    let seal = postcard::to_stdvec(&SealPart {
        seal: Seal::make(
            sync::seal::Words {
                suite: 1,
                node: "370100".parse().unwrap(),
                incarnation: sync::id::Incarnation::from_bytes([1; 8]),
                number: 1,
                previous: None,
                count: 1,
                root: [1; 32],
            },
            |_| [0; 64],
        ),
        places: Vec::new(),
        twigs: Vec::new(),
    })
    .unwrap();
    vec![
        bomb(&[]),                                          // directory items
        bomb(&[0, 0]),                                      // documents
        bomb(&[0, 0, 1, 0]),                                // items of one document
        bomb(&[&[0, 1], &seal[..seal.len() - 2]].concat()), // places of one seal
    ]
}

/// The entries that stand in the ticket's trail.
fn entries(material: &Material) -> Vec<Vec<u8>> {
    let mut document = Document::empty(material.doc);
    let mut found = Vec::new();
    for bytes in &material.changes {
        let change = Witnessed::check(bytes, material.city, true).unwrap();
        let writes = document.writes(&change).unwrap();
        document.apply(&change, &writes).unwrap();
        found.extend(writes.into_iter().filter_map(|w| match w {
            sync::document::Write::Put { part, value: automerge::ScalarValue::Bytes(bytes), .. }
                if part == "trail" =>
            {
                Some(bytes)
            }
            _ => None,
        }));
    }
    found
}

/// A line of this process's status, in KiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    found.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Inputs that once went wrong, by decoder.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus").join(name.replace(' ', "-"));
    let Ok(files) = std::fs::read_dir(dir) else { return Vec::new() };
    files.flatten().map(|f| unhex(&std::fs::read_to_string(f.path()).unwrap())).collect()
}

/// One decoder; what went wrong, with the input.
fn attack(target: &Target<'_>, times: usize) -> Result<BTreeMap<&'static str, usize>, String> {
    let try_one = |bytes: &[u8]| -> Verdict {
        let verdict = catch_unwind(AssertUnwindSafe(|| (target.decode)(bytes)));
        let wrong = match verdict {
            Ok(Ok(taken)) => return Ok(taken),
            Ok(Err(wrong)) => wrong,
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                format!("it panics: {}", said.unwrap_or_default())
            }
        };
        Err(format!("{}: {wrong}\n{}", target.name, hex(bytes)))
    };
    // Resets the peak (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let from = memory("VmRSS");
    let mut counts = BTreeMap::from([("taken", 0), ("refused", 0)]);
    for bytes in kept(target.name) {
        try_one(&bytes)?;
    }
    for bytes in &target.corpus {
        let taken = try_one(&(target.mend)(bytes.clone()))?;
        if taken == target.hostile {
            let what = if taken { "an attack is taken" } else { "honest bytes are refused" };
            return Err(format!("{}: {what}\n{}", target.name, hex(&bytes[..bytes.len().min(64)])));
        }
    }
    let mut dice = Dice(0x12328);
    for _ in 0..target.tries * times {
        let mut bytes = target.corpus[dice.below(target.corpus.len())].clone();
        let other = &target.corpus[dice.below(target.corpus.len())];
        mutate(&mut dice, &mut bytes, other);
        let taken = try_one(&(target.mend)(bytes))?;
        *counts.entry(if taken { "taken" } else { "refused" }).or_default() += 1;
    }
    let grown = memory("VmHWM").saturating_sub(from) / 1024;
    if grown > target.memory {
        return Err(format!("{}: {grown} MiB, {} are allowed", target.name, target.memory));
    }
    counts.insert("MiB", grown as usize);
    Ok(counts)
}

#[test]
#[ignore = "the child process of the test below, which limits its memory"]
fn child_under_attack() {
    let times = std::env::var("FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (material, reference) = (material::make(), Reference::load(None).unwrap());
    let all = targets(&material, &reference);
    std::panic::set_hook(Box::new(|_| ()));
    let mut wrong = Vec::new();
    for target in all {
        let began = std::time::Instant::now();
        match attack(&target, times) {
            Ok(counts) => println!("{}: {counts:?} in {} ms", target.name, began.elapsed().as_millis()),
            Err(what) => {
                println!("FOUND {what}");
                wrong.push(what);
            }
        }
    }
    let _ = std::panic::take_hook();
    assert!(wrong.is_empty(), "{} decoders broke a promise", wrong.len());
    println!("all decoders held");
}

/// The attack runs in a child with at most 1 GiB of addresses: an allocation by a number that the bytes claim ends it.
#[test]
fn every_decoder_holds_under_mutation() {
    let mut child = Command::new("sh");
    child.args(["-c", "ulimit -v 1048576 && exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "child_under_attack", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = child.env("RUST_BACKTRACE", "0").output().unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    println!("{said}");
    assert!(output.status.success() && said.contains("all decoders held"), "{said}");
}
