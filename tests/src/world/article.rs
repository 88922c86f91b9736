//! Articles of the knowledge base in the world: documents that are for a whole region, whoever has a part in it.

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT};
use node::knowledge::entry::{Create, Version, Word};
use node::ticket::EntryId;
use sync::id::DocId;

use super::World;
use super::machine::Machine;

/// What is said of an article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    /// The next version; its owner's.
    Revise,
    /// By another person than the writer.
    Review,
    /// Into force.
    Publish,
    /// Out of force.
    Withdraw,
    /// Upwards; its owner's.
    Propose,
}

impl Saying {
    /// All of them.
    pub const ALL: [Saying; 5] =
        [Saying::Revise, Saying::Review, Saying::Publish, Saying::Withdraw, Saying::Propose];

    /// Its name in the coverage table.
    pub fn name(self) -> &'static str {
        match self {
            Saying::Revise => "an article revised",
            Saying::Review => "an article reviewed",
            Saying::Publish => "an article published",
            Saying::Withdraw => "an article withdrawn",
            Saying::Propose => "an article proposed",
        }
    }
}

impl World {
    /// A site writes an article with its first version.
    pub(super) fn article_at(&mut self, at: usize, article: u32) {
        if self.oracle.articles.contains_key(&article) {
            return;
        }
        let me = self.machines[at].node;
        let version = Version { number: 1, text: [0; 32], seen: None, files: Vec::new() };
        let create = Create { site: me.site(), version, adopts: None, supplements: None };
        let time = self.clock(at).to_string();
        let entry = Word::Create(Box::new(create)).to_bytes([], me, None, Some("编写"), &time);
        let made = self.at(at, |r, s, d| {
            r.write(None, s, d, |_, tx| {
                let body = tx.put_object(ROOT, "body", ObjType::Text)?;
                tx.splice_text(&body, 0, 0, &format!("节假日免费通行 {article}"))?;
                for part in ["facts", "files", "notes"] {
                    tx.put_object(ROOT, part, ObjType::Map)?;
                }
                let trail = tx.put_object(ROOT, "trail", ObjType::Map)?;
                tx.put(&trail, EntryId::of(&entry).to_string(), entry)
            })
        });
        match made {
            Some(Ok(doc)) => {
                self.oracle.articles.insert(article, doc);
                self.count("an article");
            }
            Some(Err(e)) => self.written(Some(Err(e))),
            None => {}
        }
    }

    /// The article, if this machine is up and holds it.
    fn article_held(&mut self, at: usize, article: u32) -> Option<DocId> {
        let doc = *self.oracle.articles.get(&article)?;
        (self.is_up(at) && self.machines[at].shown.contains_key(&doc)).then_some(doc)
    }

    /// A desk says something of an article that its site holds: whether it has effect, the fold decides.
    pub(super) fn say_of_article(&mut self, at: usize, article: u32, saying: Saying) {
        let Some(doc) = self.article_held(at, article) else { return };
        let me = self.machines[at].node;
        let Some(Some((word, heads))) = self.read(at, doc, |matter| {
            let article = matter.article()?;
            let folded = article.folded()?;
            let last = folded.versions.last()?.entry;
            let word = match saying {
                Saying::Revise if folded.owner != me.site() => return None,
                Saying::Revise => Word::Revise(Version {
                    number: folded.next_number(),
                    text: [1; 32],
                    seen: None,
                    files: Vec::new(),
                }),
                Saying::Review => Word::Review { of: folded.draft.unwrap_or(last) },
                Saying::Publish => Word::Publish { of: folded.draft.unwrap_or(last) },
                Saying::Withdraw => Word::Withdraw,
                Saying::Propose => Word::Propose { of: last, to: me.site().superior()? },
            };
            Some((word, article.heads(None)))
        }) else {
            return;
        };
        self.count(saying.name());
        let time = self.clock(at).to_string();
        let entry = word.to_bytes(heads, me, Some("规定已改"), Some("审核"), &time);
        let written = self.at(at, |r, s, d| {
            r.write(Some(doc), s, d, |document, tx| {
                let part = |name| document.part(name).ok_or(automerge::AutomergeError::Fail);
                if saying == Saying::Revise {
                    tx.splice_text(&part("body")?, 0, 0, "修订: ")?;
                }
                tx.put(&part("trail")?, EntryId::of(&entry).to_string(), entry.clone())
            })
            .map(drop)
        });
        self.written(written);
    }

    /// The articles that a machine holds.
    pub fn articles_at(&self, at: usize) -> Vec<u32> {
        let machine: &Machine = &self.machines[at];
        let held = self.oracle.articles.iter().filter(|(_, doc)| machine.shown.contains_key(doc));
        held.map(|(article, _)| *article).collect()
    }
}
