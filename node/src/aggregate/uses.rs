//! What agents said of articles (采用, 未解决), as a month of a site's aggregates tells it: numbers that only grow.
//!
//! ```text
//! {"op":"articles","node":"370100","day":"2026-11-29","at":"...","counts":[["9c...",2,"5f0d...",41,3], ...]}
//!                                                       article ^  version ^ ^ life  ^ used ^ did not help
//! ```
//!
//! A node counts for itself, and in each of its lives (incarnations) anew. Of what is told of one day, version and life the highest
//! holds, so to tell it again or later changes nothing; nodes and lives add up, so two replicas of a site never overwrite each
//! other, and a node that was put back goes on beside what it had told before. No word and no person is in it.

use std::collections::BTreeMap;

use certs::NodeName;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Value, json};
use sync::id::{DocId, Incarnation};

use super::month::CELLS;

/// Most of one number: past it a site is not believed.
const MOST: i64 = 1_000_000;

/// Of what something was said, by whom, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    /// The node at which it was said.
    pub node: NodeName,
    /// On which day there.
    pub day: Date,
    /// The article.
    pub article: DocId,
    /// The number of the version that was read.
    pub version: u32,
    /// The life of the node.
    pub life: Incarnation,
}

/// How often what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// That it served to answer.
    pub used: i64,
    /// That it did not help.
    pub unhelpful: i64,
}

impl Said {
    /// Of two of one life, day and version, what is known.
    pub fn or(self, other: Said) -> Said {
        Said { used: self.used.max(other.used), unhelpful: self.unhelpful.max(other.unhelpful) }
    }

    /// Of two that are not one: the sum.
    pub fn and(self, other: Said) -> Said {
        let Said { used, unhelpful } = other;
        Said { used: self.used.saturating_add(used), unhelpful: self.unhelpful.saturating_add(unhelpful) }
    }
}

/// All that a document tells of articles.
pub type Uses = BTreeMap<Of, Said>;

/// The entries that tell this of one day of a node.
pub fn telling(node: NodeName, day: Date, counts: &[(Of, Said)], at: &str) -> Vec<Value> {
    let mut entries: Vec<Vec<Value>> = Vec::new();
    let mut filled = CELLS;
    for (of, said) in counts {
        let count =
            json!([of.article.to_string(), of.version, of.life.to_string(), said.used, said.unhelpful]);
        let length = count.to_string().len() + 1;
        if filled + length > CELLS {
            entries.push(Vec::new());
            filled = 0;
        }
        filled += length;
        entries.last_mut().expect("there is one").push(count);
    }
    let entry = |counts: Vec<Value>| json!({ "op": "articles", "node": node, "day": day, "at": at, "counts": counts });
    entries.into_iter().map(entry).collect()
}

#[derive(Deserialize)]
struct Entry {
    op: String,
    node: NodeName,
    day: Date,
    counts: Vec<(String, u32, String, i64, i64)>,
}

/// A life, as it is written.
pub fn life(text: &str) -> Option<Incarnation> {
    let number = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)?;
    Some(Incarnation::from_bytes(number.to_be_bytes()))
}

/// Takes in what an entry tells; nothing of one in another form.
pub(super) fn hear(uses: &mut Uses, bytes: &[u8]) {
    let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else { return };
    if entry.op != "articles" {
        return;
    }
    for (article, version, life_of, used, unhelpful) in entry.counts {
        let (Ok(article), Some(life)) = (article.parse(), life(&life_of)) else { continue };
        if !(0..=MOST).contains(&used) || !(0..=MOST).contains(&unhelpful) {
            continue;
        }
        let of = Of { node: entry.node, day: entry.day, article, version, life };
        let known = uses.entry(of).or_default();
        *known = known.or(Said { used, unhelpful });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::entry::MAX_ENTRY;

    fn of(node: &str, article: u8, version: u32, life: u8) -> Of {
        Of {
            node: node.parse().unwrap(),
            day: "2026-11-29".parse().unwrap(),
            article: DocId::from_bytes([article; 32]),
            version,
            life: Incarnation::from_bytes([life; 8]),
        }
    }

    fn told(counts: &[(Of, Said)]) -> Vec<Vec<u8>> {
        let (first, _) = counts[0];
        let entries = telling(first.node, first.day, counts, "2026-11-30T00:10:00+08:00");
        entries.into_iter().map(|entry| entry.to_string().into_bytes()).collect()
    }

    fn heard(entries: &[Vec<u8>]) -> Uses {
        let mut uses = Uses::new();
        entries.iter().for_each(|entry| hear(&mut uses, entry));
        uses
    }

    #[test]
    fn the_highest_of_a_life_holds_in_whatever_order_and_however_often_it_came() {
        let said = |used, unhelpful| Said { used, unhelpful };
        let (a, again, beside) = (of("370100", 1, 2, 1), of("370100", 1, 2, 9), of("370100-b", 1, 2, 1));
        let mut all = told(&[(a, said(3, 1))]);
        all.extend(told(&[(a, said(5, 0)), (again, said(2, 2))]));
        all.extend(told(&[(beside, said(4, 0))]));
        all.extend(all.clone());
        let expected = Uses::from([(a, said(5, 1)), (again, said(2, 2)), (beside, said(4, 0))]);
        for _ in 0..all.len() {
            all.rotate_left(1);
            assert_eq!(heard(&all), expected);
        }
    }

    #[test]
    fn many_articles_come_in_entries_that_fit_and_what_is_of_another_form_has_no_effect() {
        let counts: Vec<(Of, Said)> =
            (1..=600).map(|n| (of("370100", 1, n, 1), Said { used: n.into(), unhelpful: 0 })).collect();
        let mut entries = told(&counts);
        assert!(
            entries.len() > 3 && entries.iter().all(|entry| entry.len() <= MAX_ENTRY),
            "{}",
            entries.len()
        );
        for odd in [
            r#"{"op":"articles","node":"370100","day":"2026-11-29","counts":[["9c",1,"0101010101010101",1,1]]}"#,
            r#"{"op":"articles","node":"370100","day":"2026-11-29","counts":[["9c",-1,"",1,1]]}"#,
            r#"{"op":"translations","node":"370100","day":"2026-11-29","counts":[]}"#,
            "[]",
        ] {
            entries.push(odd.as_bytes().to_vec());
        }
        entries.extend(told(&[(of("370100", 2, 1, 1), Said { used: MOST + 1, unhelpful: 0 })]));
        assert_eq!(heard(&entries), counts.into_iter().collect());
    }
}
