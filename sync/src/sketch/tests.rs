use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cells::Cell;
use super::*;

fn key(seed: u64) -> Key {
    Key::from_bytes(*blake3::hash(&seed.to_le_bytes()).as_bytes().first_chunk().unwrap())
}

fn item(n: u64) -> ItemHash {
    ItemHash::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

fn cells(key: &Key, half: Half, range: Range<u32>, items: impl IntoIterator<Item = u64>) -> Cells {
    let mut encoder = Encoder::new(key, half, range).unwrap();
    items.into_iter().for_each(|n| encoder.add(&item(n)));
    encoder.finish()
}

fn symbols(key: &Key, items: impl IntoIterator<Item = u64>) -> Vec<Symbol> {
    let set: BTreeSet<_> = items.into_iter().map(|n| symbol(key, &item(n))).collect();
    set.into_iter().collect()
}

/// One cell after the other until it decodes; how many that took.
fn decode_by_cell(key: &Key, half: Half, theirs: &Cells, ours: &Cells) -> Option<(u32, Decoded)> {
    let mut decoder = Decoder::new(key, half);
    for i in theirs.range() {
        let one = |from: &Cells| {
            let mut one = Cells::empty(half, i..i + 1).unwrap();
            one.cells[0] = from.cells[i as usize];
            one
        };
        if let Some(decoded) = decoder.extend(&one(theirs), &one(ours)).unwrap() {
            return Some((i + 1, decoded));
        }
    }
    None
}

#[test]
fn differences_of_every_size_decode() {
    const COMMON: u64 = 20_000;
    for (d, most) in [(0, 1), (1, 1), (10, 30), (200, 400), (2_000, 3_400)] {
        let key = key(d);
        // two thirds are theirs, one third is ours
        let cut = COMMON + d * 2 / 3;
        let (theirs, ours) = (0..cut, (0..COMMON).chain(cut..COMMON + d));
        let theirs = cells(&key, Half::WHOLE, 0..most, theirs);
        let ours = cells(&key, Half::WHOLE, 0..most, ours);
        let theirs = Cells::from_bytes(&theirs.to_bytes()).unwrap();
        let (needed, decoded) = decode_by_cell(&key, Half::WHOLE, &theirs, &ours).expect("enough cells");
        assert_eq!(decoded.only_theirs, symbols(&key, COMMON..cut), "{d} in {needed} cells");
        assert_eq!(decoded.only_ours, symbols(&key, cut..COMMON + d));
        if d == 200 {
            let million = Cell { count: 1_000_000, ..Cell::default() };
            assert!(needed * million_bytes(million) < 6_000, "{needed} cells");
        }
    }
}

/// The bytes of a cell over so many items.
fn million_bytes(cell: Cell) -> u32 {
    let mut one = Cells::empty(Half::WHOLE, 0..1).unwrap();
    let empty = one.to_bytes().len() as u32 - 13;
    one.cells[0] = cell;
    one.to_bytes().len() as u32 - empty
}

#[test]
fn two_hundred_differences_cost_less_than_one_and_six_tenths_cells_each() {
    let mut all = Vec::new();
    for seed in 0..100 {
        let key = key(1_000 + seed);
        // What both hold cancels, so it is left out.
        let theirs = cells(&key, Half::WHOLE, 0..600, seed * 1_000..seed * 1_000 + 100);
        let ours = cells(&key, Half::WHOLE, 0..600, seed * 1_000 + 100..seed * 1_000 + 200);
        all.push(decode_by_cell(&key, Half::WHOLE, &theirs, &ours).expect("enough cells").0);
    }
    all.sort_unstable();
    let mean = f64::from(all.iter().sum::<u32>()) / 100.0 / 200.0;
    println!("cells a difference: mean {mean:.3}, worst {:.3}", f64::from(all[99]) / 200.0);
    assert!((1.2..1.6).contains(&mean), "{mean}");
}

#[test]
fn a_symbol_lies_in_a_cell_as_often_as_the_paper_says() {
    const N: u64 = 20_000;
    let c = cells(&key(3), Half::WHOLE, 0..1_001, 0..N);
    for i in [0, 1, 2, 5, 20, 100, 1_000] {
        let expected = N as f64 / (1.0 + i as f64 / 2.0);
        let found = c.cells[i].count as f64;
        assert!((found - expected).abs() <= 5.0 * expected.sqrt(), "cell {i}: {found} instead of {expected}");
    }
}

#[test]
fn a_split_set_is_decoded_half_by_half() {
    let key = key(9);
    let (theirs, ours) = (|| 0..3_000u64, || 1_000..4_000u64);
    let (mut todo, mut found, mut splits) = (vec![Half::WHOLE], Decoded::default(), 0);
    while let Some(half) = todo.pop() {
        let mut decoder = Decoder::new(&key, half);
        // the budget is two ranges
        let done = [0..200, 200..400].into_iter().find_map(|range| {
            let a = cells(&key, half, range.clone(), theirs());
            decoder.extend(&a, &cells(&key, half, range, ours())).unwrap()
        });
        match done {
            Some(part) => {
                found.only_theirs.extend(part.only_theirs);
                found.only_ours.extend(part.only_ours);
            }
            None => {
                todo.extend(half.split().unwrap());
                splits += 1;
            }
        }
    }
    found.only_theirs.sort_unstable();
    found.only_ours.sort_unstable();
    assert_eq!(found.only_theirs, symbols(&key, 0..1_000));
    assert_eq!(found.only_ours, symbols(&key, 3_000..4_000));
    assert!((7..16).contains(&splits), "{splits}");
}

#[test]
fn halves_part_the_space() {
    assert_eq!(Half::new(17, 0), None);
    assert_eq!(Half::new(2, 4), None);
    assert_eq!(Half::new(0, 1), None);
    let mut half = Half::WHOLE;
    let s = symbol(&key(1), &item(1));
    while let Some([low, high]) = half.split() {
        assert!(half.holds(s) && low.holds(s) != high.holds(s));
        half = if low.holds(s) { low } else { high };
    }
    assert_eq!(u64::from(half.prefix()), s.0 >> 48);
}

#[test]
fn keys_make_all_the_difference() {
    let (a, b) = (key(1), key(2));
    assert_ne!(symbol(&a, &item(1)), symbol(&b, &item(1)));
    let s = symbol(&a, &item(1));
    assert_ne!(a.trace(s).check, b.trace(s).check);
    assert_ne!(a.trace(s).mapping.state, b.trace(s).mapping.state);
    assert_eq!(format!("{a:?}"), "Key(..)");
}

#[test]
fn symbols_of_a_key_that_locates_say_how_hashes_begin_and_are_parted_alike() {
    let (plain, key) = (key(1), key(1).locating());
    for n in 0..100 {
        let (s, item) = (symbol(&key, &item(n)), item(n));
        assert_eq!(key.locate(s).as_ref(), item.as_bytes().first_chunk());
        assert_eq!(plain.locate(s), None);
        assert_eq!(s.0 >> 16, symbol(&plain, &item).0 >> 16, "the rest is drawn as ever");
    }
    let (ours, theirs) =
        (cells(&key, Half::WHOLE, 0..400, 0..900), cells(&key, Half::WHOLE, 0..400, 100..1_000));
    let found = Decoder::new(&key, Half::WHOLE).extend(&theirs, &ours).unwrap().unwrap();
    assert_eq!(found.only_ours, symbols(&key, 0..100));
    assert_eq!(found.only_theirs, symbols(&key, 900..1_000));
}

#[test]
fn the_wrong_cells_are_refused() {
    let key = key(4);
    let [low, high] = Half::WHOLE.split().unwrap();
    let c = |half, range| cells(&key, half, range, 0..50);
    let mut d = Decoder::new(&key, low);
    let not_next = Err(DecodeError::NotNext { expected: 0, half: low });
    assert_eq!(d.extend(&c(low, 1..5), &c(low, 1..5)), not_next);
    assert_eq!(d.extend(&c(high, 0..5), &c(high, 0..5)), not_next);
    assert_eq!(d.extend(&c(low, 0..5), &c(low, 0..6)), Err(DecodeError::NotAlike));
    assert_eq!(d.extend(&c(low, 0..5), &c(high, 0..5)), Err(DecodeError::NotAlike));
    assert_eq!(d.extend(&c(low, 0..5), &c(low, 0..5)), Ok(Some(Decoded::default())));
    for range in [0..0, 3..3, 0..MAX_CELLS + 1, MAX_CELLS..MAX_CELLS + 1] {
        assert!(matches!(Encoder::new(&key, low, range), Err(CellsError::Range { .. })));
    }
}

/// Feeds cells that a peer made up, and sees that it ends.
fn hostile(made_up: Vec<Cell>) -> Result<Option<Decoded>, DecodeError> {
    let key = key(5);
    let mut theirs = Cells::empty(Half::WHOLE, 0..made_up.len() as u32).unwrap();
    theirs.cells = made_up;
    let mut decoder = Decoder::new(&key, Half::WHOLE);
    let result = decoder.extend(&theirs, &Cells::empty(Half::WHOLE, theirs.range()).unwrap());
    assert!(decoder.found.len() <= theirs.cells.len());
    assert!(decoder.touched <= TOUCHED_MOST * (theirs.cells.len() + 64));
    result
}

/// One removal past the budget may still happen.
const TOUCHED_MOST: usize = 65;

#[test]
fn cells_that_peel_for_ever_end() {
    let key = key(5);
    let pure = |n: u64| {
        let symbol = symbol(&key, &item(n));
        Cell { sum: symbol.0, check: key.trace(symbol).check, count: 1 }
    };
    // one symbol in cells where it is not: it would come out again and again
    assert_eq!(hostile(vec![pure(1); 1_000]), Err(DecodeError::Inconsistent));
    // another one in every cell
    let all: Vec<_> = (0..MAX_CELLS.into()).map(pure).collect();
    let ended = hostile(all);
    assert!(ended.is_err() || ended == Ok(None), "{ended:?}");
    // nothing in the first cell, something after
    assert_eq!(hostile(vec![Cell::default(), pure(1)]), Err(DecodeError::Inconsistent));
    let noise = |i: u64| Cell { sum: i << 7 ^ i, check: i as u32, count: i64::MIN + i as i64 };
    assert_eq!(hostile((1..500).map(noise).collect()), Ok(None));
}

#[test]
fn hostile_bytes_are_refused_without_a_large_allocation() {
    let form = |first: u64, n: u64| {
        let mut out = vec![0, 0];
        for mut v in [first, n] {
            while v >= 0x80 {
                out.push(v as u8 | 0x80);
                v >>= 7;
            }
            out.push(v as u8);
        }
        out
    };
    assert_eq!(Cells::from_bytes(&form(0, MAX_CELLS.into())), Err(CellsError::Cut));
    for (first, n) in
        [(0, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX), (0, 0), (1, MAX_CELLS.into()), (1 << 32, 1)]
    {
        assert!(matches!(Cells::from_bytes(&form(first, n)), Err(CellsError::Range { .. })), "{first} {n}");
    }
    assert_eq!(Cells::from_bytes(&[17, 0, 0, 1]), Err(CellsError::Half { bits: 17, prefix: 0 }));
    assert_eq!(Cells::from_bytes(&[1, 2, 0, 1]), Err(CellsError::Half { bits: 1, prefix: 2 }));
    let good = cells(&key(1), Half::WHOLE, 3..40, 0..100).to_bytes();
    for cut in 0..good.len() {
        assert!(Cells::from_bytes(&good[..cut]).is_err());
    }
    assert_eq!(Cells::from_bytes(&[&good[..], &[0]].concat()), Err(CellsError::Longer));
    let mut widest = Cells::empty(Half::new(16, 65_535).unwrap(), 0..MAX_CELLS).unwrap();
    widest.cells.fill(Cell { sum: 1, check: 1, count: i64::MIN });
    let bytes = widest.to_bytes();
    assert!(bytes.len() <= CELLS_BYTES);
    assert_eq!(Cells::from_bytes(&bytes), Ok(widest));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_decodes_is_the_difference(
        common in 0u64..200, a in 0u64..60, b in 0u64..60, seed: u64, bits in 0u8..4, cut in 1u32..100,
    ) {
        let key = key(seed);
        let half = Half::new(bits, seed as u32 & ((1 << bits) - 1)).unwrap();
        let (theirs, ours) = (0..common + a, (0..common).chain(1_000..1_000 + b));
        let mut decoder = Decoder::new(&key, half);
        let mut done = None;
        let mut from = 0;
        while done.is_none() && from < 2_000 {
            let range = from..from + cut;
            let t = cells(&key, half, range.clone(), theirs.clone());
            done = decoder.extend(&t, &cells(&key, half, range, ours.clone())).unwrap();
            from += cut;
        }
        let inside = |items: Range<u64>| {
            let mut s = symbols(&key, items);
            s.retain(|s| half.holds(*s));
            s
        };
        let done = done.expect("2,000 cells are enough for 120 differences");
        prop_assert_eq!(done.only_theirs, inside(common..common + a));
        prop_assert_eq!(done.only_ours, inside(1_000..1_000 + b));
    }

    #[test]
    fn a_distance_is_rounded_as_the_library_does(bits in 0..0x7ff0_0000_0000_0000u64, near in 0u64..1 << 40) {
        let by = [f64::from_bits(bits), near as f64, (near as f64).next_up(), near as f64 + 0.5];
        for x in by {
            prop_assert_eq!(rounded_up(x), x.ceil() as u64, "{}", x);
        }
    }

    #[test]
    fn cells_come_out_as_they_went_in(
        counts in vec((any::<u64>(), any::<u32>(), any::<i64>()), 1..50), first in 0u32..1_000,
    ) {
        let mut c = Cells::empty(Half::WHOLE, first..first + counts.len() as u32).unwrap();
        c.cells = counts.into_iter().map(|(sum, check, count)| Cell { sum, check, count }).collect();
        prop_assert_eq!(Cells::from_bytes(&c.to_bytes()), Ok(c));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(c) = Cells::from_bytes(&bytes) {
            prop_assert_eq!(c.to_bytes(), bytes);
        }
    }

    #[test]
    fn made_up_cells_end(noise in vec((0u64..40, any::<bool>(), -2i64..3), 1..300)) {
        let key = key(5);
        let cell = |(n, pure, count): (u64, bool, i64)| {
            let symbol = symbol(&key, &item(n));
            let check = if pure { key.trace(symbol).check } else { n as u32 };
            Cell { sum: symbol.0, check, count }
        };
        let _ = hostile(noise.into_iter().map(cell).collect());
    }
}
