//! Stories of articles, and the same fold in any order of arrival.

use certs::NodeName;
use proptest::prelude::*;

use super::*;
use crate::knowledge::entry::{Create, Version};

/// Entries as they are written, by whoever knows what.
#[derive(Debug)]
struct World(Vec<Entry>);

fn node(site: &str) -> NodeName {
    site.parse().unwrap()
}

impl World {
    fn new(owner: &str, user: &str) -> World {
        let version = Version { number: 1, text: [1; 32], seen: None, files: Vec::new() };
        let site = owner.parse().unwrap();
        let create = Word::Create(Box::new(Create { site, version, adopts: None, supplements: None }));
        let mut world = World(Vec::new());
        world.write(&create, owner, user, &[]);
        world
    }

    fn write(&mut self, word: &Word, site: &str, user: &str, on: &[EntryId]) -> EntryId {
        let user = Some(user).filter(|u| !u.is_empty());
        let bytes =
            word.to_bytes(on.iter().copied(), node(site), Some("理由"), user, "2027-03-01T09:30:00+08:00");
        let entry = Entry::read(&bytes, node(site)).unwrap();
        let id = entry.id;
        self.0.push(entry);
        id
    }

    fn heads(&self) -> Vec<EntryId> {
        let rested: Vec<EntryId> = self.0.iter().flat_map(|e| e.parents.clone()).collect();
        self.0.iter().map(|e| e.id).filter(|id| !rested.contains(id)).collect()
    }

    /// On all that is known.
    fn say(&mut self, word: Word, site: &str, user: &str) -> EntryId {
        let heads = self.heads();
        self.write(&word, site, user, &heads)
    }

    fn first(&self) -> EntryId {
        self.0[0].id
    }

    fn fold(&self) -> Folded {
        fold(&self.0).unwrap()
    }
}

fn revise(number: u32) -> Word {
    Word::Revise(Version { number, text: [number as u8; 32], seen: None, files: Vec::new() })
}

#[test]
fn a_second_person_lets_a_version_pass_before_it_is_published() {
    let mut w = World::new("370000", "李");
    let of = w.first();
    assert_eq!((w.fold().standing(), w.fold().draft), ("draft", Some(of)));
    let early = w.say(Word::Publish { of }, "370000", "张");
    let own = w.say(Word::Review { of }, "370000", "李");
    let nameless = w.say(Word::Review { of }, "370000", "");
    let below = w.say(Word::Review { of }, "370100", "王");
    let f = w.fold();
    assert_eq!(f.published, None);
    let mut unentitled: Vec<EntryId> = f.unentitled.iter().map(|b| b.entry).collect();
    let mut expected = vec![early, own, nameless, below];
    unentitled.sort_unstable();
    expected.sort_unstable();
    assert_eq!(unentitled, expected, "{:?}", f.unentitled);
    w.say(Word::Review { of }, "370000", "张");
    assert_eq!(w.fold().standing(), "reviewed");
    w.say(Word::Publish { of }, "370000", "李");
    let f = w.fold();
    assert_eq!((f.standing(), f.published, f.draft), ("published", Some(of), None));
    assert_eq!(f.in_force().unwrap().reviews[0].user, "张");
}

#[test]
fn a_superior_may_review_though_the_name_is_the_same() {
    let mut w = World::new("370100", "李");
    let of = w.first();
    w.say(Word::Review { of }, "370000", "李");
    w.say(Word::Publish { of }, "000000", "王");
    assert_eq!(w.fold().standing(), "published");
}

#[test]
fn a_draft_waits_beside_what_is_published_and_readers_keep_the_old() {
    let mut w = published();
    let old = w.fold().published;
    let new = w.say(revise(2), "370000", "李");
    assert_eq!((w.fold().published, w.fold().draft), (old, Some(new)));
    let wrong = w.say(revise(2), "370000", "李");
    let elsewhere = w.say(revise(3), "370100", "李");
    assert!([wrong, elsewhere].iter().all(|e| w.fold().unentitled.iter().any(|b| b.entry == *e)));
    w.say(Word::Review { of: new }, "370000", "张");
    w.say(Word::Publish { of: new }, "370000", "张");
    assert_eq!((w.fold().published, w.fold().draft), (Some(new), None));
    assert!(w.fold().superseded.is_empty(), "replaced in the ordinary way");
}

fn published() -> World {
    let mut w = World::new("370000", "李");
    let of = w.first();
    w.say(Word::Review { of }, "370000", "张");
    w.say(Word::Publish { of }, "370000", "张");
    w
}

#[test]
fn a_withdrawal_beats_a_publication_that_had_not_heard_of_it() {
    let mut w = published();
    let new = w.say(revise(2), "370000", "李");
    let reviewed = w.say(Word::Review { of: new }, "370000", "张");
    let withdrawn = w.write(&Word::Withdraw, "000000", "王", &[reviewed]);
    let publication = w.write(&Word::Publish { of: new }, "370000", "张", &[reviewed]);
    let f = w.fold();
    assert_eq!((f.standing(), f.withdrawn), ("withdrawn", Some(withdrawn)));
    assert_eq!((f.superseded.len(), f.superseded[0].entry), (1, publication));
    assert_eq!(f.superseded[0].by, Some(withdrawn));
    w.say(Word::Publish { of: new }, "370000", "张");
    assert_eq!(w.fold().published, Some(new), "said again by somebody who knows");
}

#[test]
fn of_two_publications_the_higher_version_stands_and_the_other_has_a_reason() {
    let mut w = published();
    let base = w.heads();
    let two = w.write(&revise(2), "370000", "李", &base);
    let r2 = w.write(&Word::Review { of: two }, "370000", "张", &[two]);
    let p2 = w.write(&Word::Publish { of: two }, "370000", "张", &[r2]);
    let three = w.write(&revise(3), "370000", "李", &[r2]);
    let r3 = w.write(&Word::Review { of: three }, "370000", "张", &[three]);
    let p3 = w.write(&Word::Publish { of: three }, "370000", "张", &[r3]);
    let f = w.fold();
    assert_eq!(f.published, Some(three));
    assert_eq!((f.superseded[0].entry, f.superseded[0].by), (p2, Some(p3)));
    assert_eq!(f.draft, None, "a published version is no draft");
}

#[test]
fn what_is_proposed_upwards_is_adopted_by_a_superior_and_by_nobody_else() {
    let mut w = World::new("370100", "李");
    let of = w.first();
    let to = "370000".parse().unwrap();
    w.say(Word::Propose { of, to }, "370100", "李");
    let sideways = w.say(Word::Propose { of, to: "370200".parse().unwrap() }, "370100", "李");
    let by = DocId::from_bytes([9; 32]);
    let neighbour = w.say(Word::Adopted { by }, "370200", "王");
    w.say(Word::Adopted { by }, "370000", "王");
    let f = w.fold();
    assert_eq!((f.proposals.len(), f.adopted.len()), (1, 1));
    assert!([sideways, neighbour].iter().all(|e| f.unentitled.iter().any(|b| b.entry == *e)));
}

/// A random life: who speaks, what, and how much of the trail they know.
fn life() -> impl Strategy<Value = World> {
    let step = (0..4usize, 0..6u8, 0..3usize, any::<u64>(), any::<prop::sample::Index>());
    proptest::collection::vec(step, 0..24).prop_map(|steps| {
        let mut w = World::new("370000", "甲");
        for (site, what, user, known, which) in steps {
            let site = ["370000", "370000-b", "000000", "370100"][site];
            let user = ["甲", "乙", ""][user];
            // What it knows: a closed part of the trail, chosen by bits.
            let mut seen: Vec<EntryId> = vec![w.first()];
            for (i, entry) in w.0.iter().enumerate().skip(1) {
                if known >> (i % 64) & 3 != 0 && entry.parents.iter().all(|p| seen.contains(p)) {
                    seen.push(entry.id);
                }
            }
            let inside: Vec<&Entry> = w.0.iter().filter(|e| seen.contains(&e.id)).collect();
            let rested: Vec<EntryId> = inside.iter().flat_map(|e| e.parents.clone()).collect();
            let heads: Vec<EntryId> = seen.iter().copied().filter(|id| !rested.contains(id)).collect();
            let f = fold(inside).unwrap();
            let of = f.versions[which.index(f.versions.len())].entry;
            let word = match what {
                0 => revise(f.next_number()),
                1 => Word::Withdraw,
                2 => Word::Propose { of, to: Site::MINISTRY },
                3 | 4 => Word::Review { of },
                _ => Word::Publish { of },
            };
            w.write(&word, site, user, &heads);
        }
        w
    })
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same(w in life(), order in any::<u64>()) {
        let expected = w.fold();
        let mut shuffled: Vec<&Entry> = w.0.iter().collect();
        shuffled.sort_by_key(|e| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&order.to_be_bytes()).update(e.id.as_bytes());
            *hasher.finalize().as_bytes()
        });
        prop_assert_eq!(&fold(shuffled.iter().copied()).unwrap(), &expected);
        // Coming one by one, what is entitled stays so, and what is not never becomes so.
        for so_far in 1..=w.0.len() {
            let part = fold(&w.0[..so_far]).unwrap();
            for beaten in &part.unentitled {
                prop_assert!(expected.unentitled.contains(beaten));
            }
            for version in &part.versions {
                prop_assert!(expected.version(version.entry).is_some());
            }
        }
    }

    #[test]
    fn what_is_published_was_reviewed_by_another_and_nobody_withdrew_it_unseen(w in life()) {
        let f = w.fold();
        if let Some(version) = f.in_force() {
            prop_assert!(!version.reviews.is_empty());
            let site = |entry: EntryId| w.0.iter().find(|e| e.id == entry).unwrap().site();
            for review in &version.reviews {
                prop_assert!(site(version.entry) != review.site || version.user.as_deref() != Some(&review.user));
            }
        }
        prop_assert!(f.published.is_none() || f.withdrawn.is_none());
        prop_assert!(f.draft.is_none() || f.draft != f.published);
    }
}
