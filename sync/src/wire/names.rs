//! Names that the receiver can work out, left out of a batch.
//!
//! A value that stands in a document under the hash of itself (64 hexadecimal digits of BLAKE3), and values that name
//! others by that hash, cost 32 bytes that no compression takes away. So a change travels with holes in their places:
//!
//! ```text
//! holed    own names, earlier names, the bytes with the holes
//! own      n, n x (gap, skip, length)   here stood the name of the slice that begins `skip` bytes after the last one
//! earlier  n, n x (gap, back)           here stood the `back`-th last name of this batch, 0 being the last
//! ```
//! Gaps are from hole to hole. Earlier names are cut out first and own ones after that, so they are filled in the other
//! way round: the slices are hashed when they are whole. All names of a change, in their order, become earlier ones for
//! the changes behind it. What comes out is what went in: the change's own hash tells, as for everything in a batch.
//!
//! Slices do not overlap, so hashing costs no more than the bytes; filling stops at the longest item.

use std::collections::BTreeMap;

use crate::chunk::{Reader, values, write_uleb};
use crate::item::MAX_ITEM;

/// How long a name is.
const NAME: usize = 64;

type Name = [u8; NAME];

/// The names of a batch so far, in their order.
#[derive(Debug, Default)]
pub(super) struct Names {
    all: Vec<Name>,
    places: BTreeMap<Name, usize>,
}

fn name_of(slice: &[u8]) -> Name {
    let mut name = [0; NAME];
    name.copy_from_slice(blake3::hash(slice).to_hex().as_bytes());
    name
}

/// Where names may stand: the first 64 of any run of so many hexadecimal digits.
fn candidates(bytes: &[u8]) -> impl Iterator<Item = (usize, Name)> + '_ {
    let digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let mut at = 0;
    std::iter::from_fn(move || {
        while at + NAME <= bytes.len() {
            match bytes[at..at + NAME].iter().rposition(|b| !digit(b)) {
                Some(other) => at += other + 1,
                None => {
                    let found = (at, bytes[at..at + NAME].try_into().expect("64 bytes"));
                    at += NAME;
                    return Some(found);
                }
            }
        }
        None
    })
}

/// The bytes without what stands at these places.
fn cut(bytes: &[u8], holes: impl Iterator<Item = usize>) -> Vec<u8> {
    let (mut out, mut from) = (Vec::with_capacity(bytes.len()), 0);
    for hole in holes {
        out.extend(&bytes[from..hole]);
        from = hole + NAME;
    }
    out.extend(&bytes[from..]);
    out
}

/// The bytes with names in these holes, each so many bytes after the last; `None` when there are not so many, or too
/// many come out.
fn fill<'a>(bytes: &[u8], holes: impl Iterator<Item = (u64, &'a Name)>) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    for (gap, name) in holes {
        let (before, after) = rest.split_at_checked(usize::try_from(gap).ok()?)?;
        out.extend(before);
        out.extend(name);
        rest = after;
        if out.len() + rest.len() > MAX_ITEM {
            return None;
        }
    }
    out.extend(rest);
    Some(out)
}

impl Names {
    fn note(&mut self, names: impl Iterator<Item = Name>) {
        for name in names {
            self.places.insert(name, self.all.len());
            self.all.push(name);
        }
    }

    /// A packed change with holes.
    pub(super) fn leave_out(&mut self, packed: &[u8]) -> Vec<u8> {
        let known: Vec<(usize, usize)> = candidates(packed)
            .filter_map(|(at, name)| self.places.get(&name).map(|place| (at, self.all.len() - 1 - place)))
            .collect();
        let own = self.own_names(packed, &known);
        let mut out = Vec::with_capacity(packed.len());
        write_uleb(&mut out, own.len() as u64);
        // Own holes are made in what is left when the slices are still whole: places count without the own names.
        let (mut from, mut end) = (0, 0);
        for (k, (at, start, length, _)) in own.iter().enumerate() {
            let at = at - k * NAME;
            let before = own.iter().filter(|(other, ..)| other < start).count();
            let start = start - before * NAME;
            [at - from, start - end, *length].into_iter().for_each(|n| write_uleb(&mut out, n as u64));
            (from, end) = (at, start + length);
        }
        let whole = cut(packed, own.iter().map(|(at, ..)| *at));
        let known: Vec<(usize, usize)> = known
            .into_iter()
            .map(|(at, back)| (at - own.iter().filter(|(other, ..)| *other < at).count() * NAME, back))
            .collect();
        write_uleb(&mut out, known.len() as u64);
        let mut from = 0;
        for (at, back) in &known {
            write_uleb(&mut out, (at - from) as u64);
            write_uleb(&mut out, *back as u64);
            from = at + NAME;
        }
        out.extend(cut(&whole, known.iter().map(|(at, _)| *at)));
        self.note(own.into_iter().map(|(.., name)| name));
        out
    }

    /// Which names in the change are those of values in it: place, the slice's start and length, the name; in the order
    /// of both places and slices.
    fn own_names(&self, packed: &[u8], known: &[(usize, usize)]) -> Vec<(usize, usize, usize, Name)> {
        let places: BTreeMap<Name, usize> = candidates(packed)
            .filter(|(at, _)| known.iter().all(|(other, _)| other != at))
            .map(|(at, name)| (name, at))
            .collect();
        if places.is_empty() {
            return Vec::new();
        }
        let mut own: Vec<(usize, usize, usize, Name)> = Vec::new();
        for (start, length) in values(packed).unwrap_or_default() {
            let name = name_of(&packed[start..start + length]);
            if let Some(at) = places.get(&name)
                && own.last().is_none_or(|(last, ..)| last < at)
                && (at + NAME <= start || start + length <= *at)
            {
                own.push((*at, start, length, name));
            }
        }
        // A slice that another own name stands in would not be whole when it is hashed.
        let places: Vec<usize> = own.iter().map(|(at, ..)| *at).collect();
        own.retain(|(_, start, length, _)| !places.iter().any(|at| (*start..start + length).contains(at)));
        own
    }

    /// The packed change that holes were made in; `None` when they cannot be filled.
    pub(super) fn fill_in(&mut self, holed: &[u8]) -> Option<Vec<u8>> {
        let mut r = Reader::new(holed, "names");
        let own = r.counted(3, |r| Ok((r.uleb()?, r.uleb()?, r.uleb()?))).ok()?;
        let known = r.counted(2, |r| Ok((r.uleb()?, r.uleb()?))).ok()?;
        let known: Vec<(u64, &Name)> = known
            .into_iter()
            .map(|(gap, back)| {
                let at = self.all.len().checked_sub(usize::try_from(back).ok()?.checked_add(1)?)?;
                Some((gap, &self.all[at]))
            })
            .collect::<Option<_>>()?;
        let whole = fill(r.rest(), known.into_iter())?;
        let mut names = Vec::with_capacity(own.len());
        let mut slices = whole.as_slice();
        for (_, skip, length) in &own {
            slices = slices.get(usize::try_from(*skip).ok()?..)?;
            let (slice, rest) = slices.split_at_checked(usize::try_from(*length).ok()?)?;
            names.push(name_of(slice));
            slices = rest;
        }
        let out = fill(&whole, own.iter().map(|(gap, ..)| *gap).zip(&names))?;
        self.note(names.into_iter());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{ChangeChunk, pack};
    use automerge::transaction::Transactable;
    use automerge::{Automerge, ObjType, ROOT};
    use proptest::prelude::*;

    /// A trail of values under their own names, each naming the one before; as it is packed.
    fn trail(length: usize) -> Vec<Vec<u8>> {
        let mut document = Automerge::new();
        let (mut recent, mut packed, mut last) = (Vec::new(), Vec::new(), String::new());
        let mut trail = None;
        for n in 0..length {
            let mut tx = document.transaction();
            let map = trail.unwrap_or_else(|| tx.put_object(ROOT, "trail", ObjType::Map).unwrap());
            let value = format!("{{\"after\":[\"{last}\"],\"n\":{n}}}").into_bytes();
            last = blake3::hash(&value).to_hex().to_string();
            tx.put(&map, last.as_str(), automerge::ScalarValue::Bytes(value)).unwrap();
            if n == 0 {
                tx.put(ROOT, "subject", "words before and after").unwrap();
            }
            tx.commit();
            trail = Some(map);
            let change = document.get_changes(&[]).pop().unwrap();
            let bytes = change.raw_bytes().to_vec();
            let chunk = ChangeChunk::parse(&bytes).unwrap();
            packed.push(pack(&chunk, &recent, |_| false));
            recent.push(chunk.hash());
        }
        packed
    }

    fn digits(bytes: &[u8]) -> usize {
        candidates(bytes).count()
    }

    #[test]
    fn a_trail_travels_without_its_names() {
        let packed = trail(20);
        let (mut sender, mut receiver) = (Names::default(), Names::default());
        for change in &packed {
            assert!(digits(change) > 0, "it names something");
            let holed = sender.leave_out(change);
            assert_eq!(digits(&holed), 0, "{}", String::from_utf8_lossy(&holed));
            assert_eq!(receiver.fill_in(&holed).as_ref(), Some(change));
        }
    }

    #[test]
    fn a_name_from_before_the_batch_stays() {
        let last = trail(3).pop().unwrap();
        let mut names = Names::default();
        let holed = names.leave_out(&last);
        assert_eq!(digits(&holed), 1, "the one that the batch does not hold");
        assert_eq!(Names::default().fill_in(&holed), Some(last));
    }

    #[test]
    fn holes_that_nothing_fills_are_refused() {
        let second = trail(2).pop().unwrap();
        let mut sender = Names::default();
        sender.leave_out(&trail(2)[0]);
        let holed = sender.leave_out(&second);
        assert_eq!(Names::default().fill_in(&holed), None, "the name before is not in this batch");
        for broken in [&[][..], &[1], &[0, 1, 0, 0], &[1, 200, 0, 0, 0], &[1, 0, 0, 9, 0, 7], &[0xff; 40]] {
            assert_eq!(Names::default().fill_in(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_few_bytes_do_not_become_a_long_item() {
        let mut names = Names::default();
        names.note(std::iter::once([b'a'; NAME]));
        let holes = MAX_ITEM / NAME + 1;
        let mut holed = vec![0];
        write_uleb(&mut holed, holes as u64);
        holed.extend(vec![0; 2 * holes]);
        assert_eq!(names.fill_in(&holed), None);
    }

    proptest! {
        #[test]
        fn any_bytes_come_out_as_they_went_in(
            parts in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..6)
        ) {
            let change: Vec<u8> = parts.iter().flat_map(|(named, part)| match named {
                true => name_of(part).to_vec(),
                false => part.clone(),
            }).collect();
            let (mut sender, mut receiver) = (Names::default(), Names::default());
            for earlier in trail(3) {
                receiver.fill_in(&sender.leave_out(&earlier)).unwrap();
            }
            for change in [&change, &trail(5)[4], &change] {
                let out = receiver.fill_in(&sender.leave_out(change));
                prop_assert_eq!(out.as_ref(), Some(change));
            }
        }

        #[test]
        fn any_bytes_are_filled_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut names = Names::default();
            names.note(std::iter::once([b'a'; NAME]));
            let _ = names.fill_in(&bytes);
        }
    }
}
