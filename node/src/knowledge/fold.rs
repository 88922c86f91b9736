//! How an article stands: a pure function of the set of its entries.
//!
//! An entry is *entitled* when the table lets its author say it in the state of the entry's own ancestry; no later arrival
//! changes that. Then:
//!
//! * every entitled `create` and `revise` is a version;
//! * a `publish` is replaced by one that saw it. Of several that did not see each other the one of the highest version
//!   stands, of equal ones that of the smaller id; the others are *superseded*, with the one that beat them as the reason;
//! * a `withdraw` ends every `publish` that did not see it, also one made elsewhere at the same time: what somebody found
//!   wrong does not come back because somebody else had not heard. To publish again is a word of its own;
//! * the *draft* is the highest version above the published one that no `publish` named and no `withdraw` saw.

use std::collections::BTreeMap;

use certs::Site;
use serde::Serialize;
use sync::id::DocId;
use utoipa::ToSchema;

use super::entry::{Entry, Word};
use crate::files::Entry as File;
use crate::request::Language;
use crate::ticket::EntryId;
use crate::ticket::trail::{Bits, parents_first};

/// More entries than this freeze an article for a person: they are kept and not read.
pub const MAX_ENTRIES: usize = 1_000;

/// A person's word on a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Review {
    /// The entry.
    pub entry: EntryId,
    /// For which site.
    #[schema(value_type = String)]
    pub site: Site,
    /// By whom.
    pub user: String,
    /// When, as that node's clock said.
    #[schema(required)]
    pub at: Option<String>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ArticleVersion)]
pub struct VersionShown {
    /// The entry that brought it.
    pub entry: EntryId,
    /// Its number; two that were written without knowing of each other have the same.
    pub number: u32,
    /// The hash of its text.
    pub text: EntryId,
    /// In a supplement: the version of the original that its writer saw.
    #[schema(required)]
    pub seen: Option<EntryId>,
    /// The files that it carries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub files: Vec<File>,
    /// Who wrote it.
    #[schema(required)]
    pub user: Option<String>,
    /// When, as that node's clock said.
    #[schema(required)]
    pub at: Option<String>,
    /// Who let it pass.
    pub reviews: Vec<Review>,
}

/// An entry that has no effect, or no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beaten {
    /// The entry.
    pub entry: EntryId,
    /// What beat it, if that is an entry.
    pub by: Option<EntryId>,
    /// Why.
    pub why: Why,
}

macro_rules! whys {
    ($($(#[$doc:meta])* $name:ident: $zh:literal, $en:literal;)+) => {
        /// Why a word has no effect, or would have none.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Why {
            $($(#[$doc])* $name,)+
        }

        impl Why {
            /// In words of this language.
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Why::$name, Language::Zh) => $zh, (Why::$name, Language::En) => $en,)+
                }
            }
        }
    };
}

whys! {
    /// A second beginning.
    BeginsOnce: "文章只能创建一次", "an article begins once";
    /// A version of somebody else.
    NotTheOwner: "只有所属单位可以修改正文", "only the owner writes versions";
    /// A version that skips some, or comes again.
    NotTheNext: "版本号不连续", "not the next number";
    /// A word that takes the owner or whoever stands above it.
    NeitherOwnerNorAbove: "只有所属单位及其上级可以办理", "only the owner and its superiors may";
    /// It speaks of what its writer did not have.
    NoSuchVersion: "没有这个版本", "no such version was known";
    /// Nobody reviews without a name.
    Nameless: "审核须署名", "a review bears the name of who reviewed";
    /// Of one's own version.
    OwnWork: "不能审核自己写的版本", "nobody reviews what they wrote themselves";
    /// Published before anybody had reviewed it.
    NotReviewed: "该版本尚未审核", "nobody had reviewed this version";
    /// A withdrawal that does not say why.
    NoReason: "停用须说明理由", "a withdrawal gives a reason";
    /// Not by the owner, or not upwards.
    NotUpwards: "只能由所属单位向上级推荐", "the owner proposes, to a superior";
    /// Adopted by somebody who does not stand above.
    NotAbove: "只有上级单位可以采用", "a superior adopts";
    /// There is nothing to review or to publish.
    NoDraft: "没有草稿", "there is no draft";
    /// A supplement on one's own, or on a lower tier's.
    NotASuperiors: "只能补充上级的文章", "a supplement hangs on a superior's article";
    /// A publication that did not know of a withdrawal.
    WithdrawnElsewhere: "别处已停用，发布时尚不知情", "withdrawn elsewhere, unheard of here";
    /// Two publications that did not know of each other.
    HigherElsewhere: "别处发布了更高的版本", "a higher version was published elsewhere";
}

impl Serialize for Why {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(Language::En))
    }
}

/// A wish that a superior adopt a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ArticleProposal)]
pub struct Proposal {
    /// The entry.
    pub entry: EntryId,
    /// The version.
    pub of: EntryId,
    /// The superior.
    #[schema(value_type = String)]
    pub to: Site,
}

/// Every standing there is.
pub const STANDINGS: [&str; 4] = ["draft", "reviewed", "published", "withdrawn"];

/// How an article stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Folded {
    /// Whose it is.
    pub owner: Site,
    /// The article that it was made of.
    pub adopts: Option<String>,
    /// The article that it hangs on.
    pub supplements: Option<String>,
    /// All versions, by number, then by id.
    pub versions: Vec<VersionShown>,
    /// The entry of the version that readers get.
    pub published: Option<EntryId>,
    /// The entry of the version that is being worked on.
    pub draft: Option<EntryId>,
    /// The withdrawal that counts.
    pub withdrawn: Option<EntryId>,
    /// What superiors are asked to adopt.
    pub proposals: Vec<Proposal>,
    /// The articles that superiors made of it.
    pub adopted: Vec<String>,
    /// Entitled words that were beaten.
    pub superseded: Vec<Beaten>,
    /// Words that their authors may not say.
    pub unentitled: Vec<Beaten>,
    /// How many entries there are.
    pub entries: usize,
}

impl Folded {
    /// The version that this entry brought.
    pub fn version(&self, entry: EntryId) -> Option<&VersionShown> {
        self.versions.iter().find(|v| v.entry == entry)
    }

    /// The version that readers get.
    pub fn in_force(&self) -> Option<&VersionShown> {
        self.published.and_then(|entry| self.version(entry))
    }

    /// The version that is being worked on.
    pub fn open_draft(&self) -> Option<&VersionShown> {
        self.draft.and_then(|entry| self.version(entry))
    }

    /// The version that is shown when nobody names one: what readers get, else the draft, else the last.
    pub fn shown(&self) -> Option<&VersionShown> {
        self.in_force().or_else(|| self.open_draft()).or_else(|| self.versions.last())
    }

    /// The number of the next version.
    pub fn next_number(&self) -> u32 {
        self.versions.last().map_or(1, |v| v.number.saturating_add(1))
    }

    /// Its standing in a word, one of [`STANDINGS`].
    pub fn standing(&self) -> &'static str {
        match (self.published, self.withdrawn, self.open_draft()) {
            (Some(_), ..) => "published",
            (None, _, Some(draft)) if draft.reviews.is_empty() => "draft",
            (None, _, Some(_)) => "reviewed",
            (None, Some(_), None) => "withdrawn",
            (None, None, None) => "draft",
        }
    }
}

/// Entries in an order in which ancestors come first, the same for equal sets: each with those that it rests on.
struct Trail<'a> {
    entries: Vec<&'a Entry>,
    before: Vec<Bits>,
    place: BTreeMap<EntryId, usize>,
}

impl<'a> Trail<'a> {
    fn of(all: impl IntoIterator<Item = &'a Entry>) -> Trail<'a> {
        let all: BTreeMap<EntryId, &Entry> = all.into_iter().map(|e| (e.id, e)).collect();
        let all: Vec<&Entry> = all.into_values().collect();
        let find = |id: &EntryId| all.binary_search_by_key(id, |e| e.id).ok();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
        for (i, entry) in all.iter().enumerate() {
            entry.parents.iter().filter_map(find).for_each(|p| children[p].push(i));
        }
        let sequence = parents_first(&children, |i| all[i].parents.len());
        let mut trail = Trail { entries: Vec::new(), before: Vec::new(), place: BTreeMap::new() };
        for entry in sequence.iter().map(|i| all[*i]) {
            let mut before = Bits::none(sequence.len());
            for parent in entry.parents.iter().filter_map(|p| trail.place.get(p)) {
                before.add(*parent);
                before.join(&trail.before[*parent]);
            }
            trail.place.insert(entry.id, trail.entries.len());
            trail.entries.push(entry);
            trail.before.push(before);
        }
        trail
    }

    fn saw(&self, later: usize, earlier: usize) -> bool {
        self.before[later].has(earlier)
    }
}

/// Folds the entries of an article; `None` without exactly one beginning.
pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Option<Folded> {
    let trail = Trail::of(entries);
    let Word::Create(create) = &trail.entries.first()?.word else { return None };
    let mut folded = Folded {
        owner: create.site,
        adopts: create.adopts.map(text_of),
        supplements: create.supplements.map(text_of),
        versions: Vec::new(),
        published: None,
        draft: None,
        withdrawn: None,
        proposals: Vec::new(),
        adopted: Vec::new(),
        superseded: Vec::new(),
        unentitled: Vec::new(),
        entries: trail.entries.len(),
    };
    let mut entitled = Bits::none(trail.entries.len());
    for at in 0..trail.entries.len() {
        match may(&trail, &entitled, at, create.site) {
            Ok(()) => entitled.add(at),
            Err(why) => folded.unentitled.push(Beaten { entry: trail.entries[at].id, by: None, why }),
        }
    }
    let stand = |which: fn(&Word) -> bool| -> Vec<usize> {
        (0..trail.entries.len()).filter(|at| entitled.has(*at) && which(&trail.entries[*at].word)).collect()
    };
    versions(
        &trail,
        &stand(|w| w.version().is_some()),
        &stand(|w| matches!(w, Word::Review { .. })),
        &mut folded,
    );
    let withdrawals = stand(|w| matches!(w, Word::Withdraw));
    let publications = stand(|w| matches!(w, Word::Publish { .. }));
    publish(&trail, &publications, &withdrawals, &mut folded);
    let above = folded.in_force().map_or(0, |v| v.number);
    let open = |v: &&VersionShown| {
        let at = trail.place[&v.entry];
        v.number > above
            && !publications.iter().any(|p| trail.entries[*p].word.of() == Some(v.entry))
            && !withdrawals.iter().any(|w| trail.saw(*w, at))
    };
    let highest = folded.versions.iter().filter(open).map(|v| (v.number, std::cmp::Reverse(v.entry))).max();
    folded.draft = highest.map(|(_, std::cmp::Reverse(entry))| entry);
    for entry in stand(|w| matches!(w, Word::Propose { .. } | Word::Adopted { .. }))
        .into_iter()
        .map(|at| trail.entries[at])
    {
        match &entry.word {
            Word::Propose { of, to } => folded.proposals.push(Proposal { entry: entry.id, of: *of, to: *to }),
            Word::Adopted { by } => folded.adopted.push(text_of(*by)),
            _ => {}
        }
    }
    folded.adopted.sort_unstable();
    folded.adopted.dedup();
    folded.proposals.sort_unstable_by_key(|p| p.entry);
    folded.superseded.sort_unstable_by_key(|b| b.entry);
    folded.unentitled.sort_unstable_by_key(|b| b.entry);
    Some(folded)
}

fn text_of(doc: DocId) -> String {
    doc.to_string()
}

/// Whether the author of the entry at `at` may say it, by what it saw.
fn may(trail: &Trail<'_>, entitled: &Bits, at: usize, owner: Site) -> Result<(), Why> {
    let entry = trail.entries[at];
    let site = entry.site();
    let seen = |which: &dyn Fn(&Entry) -> bool| {
        (0..at).any(|e| trail.saw(at, e) && entitled.has(e) && which(trail.entries[e]))
    };
    let is_owner = site == owner;
    let is_over = is_owner || site.is_above(owner);
    let version =
        |of: EntryId| {
            trail.place.get(&of).copied().filter(|v| {
                trail.saw(at, *v) && entitled.has(*v) && trail.entries[*v].word.version().is_some()
            })
        };
    let need = |holds: bool, why| if holds { Ok(()) } else { Err(why) };
    match &entry.word {
        Word::Create(create) => need(at == 0 && site == create.site, Why::BeginsOnce),
        Word::Revise(new) => {
            need(is_owner, Why::NotTheOwner)?;
            let highest = (0..at)
                .filter(|e| trail.saw(at, *e) && entitled.has(*e))
                .filter_map(|e| trail.entries[e].word.version())
                .map(|v| v.number)
                .max();
            need(highest.and_then(|n| n.checked_add(1)) == Some(new.number), Why::NotTheNext)
        }
        Word::Review { of } => {
            need(is_over, Why::NeitherOwnerNorAbove)?;
            let of = version(*of).ok_or(Why::NoSuchVersion)?;
            let writer = trail.entries[of];
            let named =
                |e: &Entry| e.user.as_deref().map(str::trim).filter(|u| !u.is_empty()).map(str::to_owned);
            let reviewer = named(entry).ok_or(Why::Nameless)?;
            let same = writer.site() == site && named(writer).as_ref() == Some(&reviewer);
            need(!same, Why::OwnWork)
        }
        Word::Publish { of } => {
            need(is_over, Why::NeitherOwnerNorAbove)?;
            version(*of).ok_or(Why::NoSuchVersion)?;
            let reviewed = seen(&|e| matches!(e.word, Word::Review { of: reviewed } if reviewed == *of));
            need(reviewed, Why::NotReviewed)
        }
        Word::Withdraw => {
            need(is_over, Why::NeitherOwnerNorAbove)?;
            need(entry.reason.as_ref().is_some_and(|r| !r.trim().is_empty()), Why::NoReason)
        }
        Word::Propose { of, to } => {
            need(is_owner && to.is_above(owner), Why::NotUpwards)?;
            version(*of).map(drop).ok_or(Why::NoSuchVersion)
        }
        Word::Adopted { .. } => need(site.is_above(owner), Why::NotAbove),
        Word::Unknown(_) => Ok(()),
    }
}

fn versions(trail: &Trail<'_>, versions: &[usize], reviews: &[usize], folded: &mut Folded) {
    for at in versions {
        let entry = trail.entries[*at];
        let Some(version) = entry.word.version() else { continue };
        let passed = reviews.iter().map(|r| trail.entries[*r]).filter(|r| r.word.of() == Some(entry.id));
        let mut passed: Vec<Review> = passed
            .map(|r| Review {
                entry: r.id,
                site: r.site(),
                user: r.user.clone().unwrap_or_default(),
                at: r.at.clone(),
            })
            .collect();
        passed.sort_unstable_by_key(|r| r.entry);
        folded.versions.push(VersionShown {
            entry: entry.id,
            number: version.number,
            text: EntryId::from_bytes(version.text),
            seen: version.seen,
            files: version.files.clone(),
            user: entry.user.clone(),
            at: entry.at.clone(),
            reviews: passed,
        });
    }
    folded.versions.sort_unstable_by_key(|v| (v.number, v.entry));
}

fn publish(trail: &Trail<'_>, publications: &[usize], withdrawals: &[usize], folded: &mut Folded) {
    let id = |at: usize| trail.entries[at].id;
    // The smallest id stands for several that did not see each other.
    let last = |among: Vec<usize>| -> Vec<usize> {
        among.iter().copied().filter(|w| !among.iter().any(|later| trail.saw(*later, *w))).collect()
    };
    let mut standing = Vec::new();
    for p in publications {
        let ends: Vec<usize> = withdrawals.iter().copied().filter(|w| !trail.saw(*p, *w)).collect();
        match last(ends.clone()).into_iter().map(id).min() {
            None => standing.push(*p),
            Some(by) if !ends.iter().any(|w| trail.saw(*w, *p)) => {
                let why = Why::WithdrawnElsewhere;
                folded.superseded.push(Beaten { entry: id(*p), by: Some(by), why });
            }
            Some(_) => {}
        }
    }
    let rank = |p: &usize| {
        let of = trail.entries[*p].word.of();
        let version = of.and_then(|of| folded.version(of));
        (version.map_or(0, |v| v.number), std::cmp::Reverse(of), std::cmp::Reverse(id(*p)))
    };
    let rivals = last(standing);
    let winner = rivals.iter().copied().max_by_key(rank);
    if let Some(winner) = winner {
        folded.published = trail.entries[winner].word.of();
        let beaten = rivals.into_iter().filter(|p| trail.entries[*p].word.of() != folded.published);
        let why = Why::HigherElsewhere;
        let beaten: Vec<Beaten> =
            beaten.map(|p| Beaten { entry: id(p), by: Some(id(winner)), why }).collect();
        folded.superseded.extend(beaten);
    } else {
        folded.withdrawn = last(withdrawals.to_vec()).into_iter().map(id).min();
    }
}

#[cfg(test)]
mod tests;
