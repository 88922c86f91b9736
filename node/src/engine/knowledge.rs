//! The knowledge base of a node: articles made, revised, reviewed, published, withdrawn, proposed, adopted and found.
//!
//! What the fold would not grant is refused here with the reason, before anything is written.

use std::collections::HashMap;

use automerge::transaction::Transactable;
use automerge::{ScalarValue, TextEncoding, hydrate};
use serde_json::{Value, json};
use sync::document::Document;
use sync::id::DocId;
use sync::replica::Beginning;
use sync::store::Store;

use super::create::write_failure;
use super::{Engine, hex, shown_time};
use crate::files::Entry as File;
use crate::knowledge::catalogue;
use crate::knowledge::compare::compare;
use crate::knowledge::entry::{Create, Entry, Version, Word};
use crate::knowledge::fold::{Beaten, Folded, VersionShown, Why};
use crate::knowledge::lines::Line;
use crate::knowledge::matter::Article;
use crate::knowledge::request::KnowledgeRequest;
use crate::knowledge::text::Text;
use crate::knowledge::{KIND, fold, lines, uses};
use crate::request::{Failure, FailureKind, Language, Reply};
use crate::ticket::{EntryId, TicketMatter};

/// Most lines of one import, and of one page of an export.
const MAX_LINES: usize = 500;

/// An article that is open: how it stands, and what its next entry rests on.
pub(super) struct Opened {
    pub(super) doc: DocId,
    pub(super) folded: Folded,
    heads: Vec<EntryId>,
}

/// Who speaks, and why.
#[derive(Clone, Copy, Default)]
struct Saying<'a> {
    user: Option<&'a str>,
    reason: Option<&'a str>,
}

impl Engine {
    pub(super) fn knowledge(&mut self, request: &KnowledgeRequest) -> Reply {
        use KnowledgeRequest as R;
        match request {
            R::List { queue, mine, limit } => self.reading().articles(queue, *mine, *limit),
            R::Search { text, limit } => self.reading().search_articles(text, *limit),
            R::Suggest { text, limit } => self.reading().suggest(text, *limit),
            R::Public { text, limit } => self.reading().public(text.as_deref(), *limit),
            R::Told { id } => self.reading().told_article(id),
            R::Show { id, version, language, user } => {
                self.show_article(id, *version, *language, user.as_deref())
            }
            R::File { file } => self.article_file(file),
            R::Detach { id, name, user } => {
                let opened = self.article_named(id)?;
                let mut files = last_files(&opened);
                let before = files.len();
                files.retain(|file| file.name != *name);
                if files.len() == before {
                    return Err(Failure::new(
                        FailureKind::Failed,
                        format!("the last version carries no file `{name}`"),
                    )
                    .hint("`hotline kb files ID` lists them"));
                }
                let doc = opened.doc;
                self.revise_files(opened, files, user.as_deref())?;
                self.told(doc)
            }
            R::Used { id, version, user: _ } => self.count_use(id, *version, true),
            R::Unhelpful { id, version, user: _ } => self.count_use(id, *version, false),
            R::Diff { id, from, to } => self.compare_versions(id, *from, *to),
            R::New { article, supplements, user } => {
                let text = lines::read(article).map_err(|e| not_an_article(&e))?.text;
                let original = supplements.as_deref().map(|id| self.article_named(id)).transpose()?;
                let hung = original.as_ref().map(|o| (o.doc, o.folded.published));
                if let Some(original) = &original
                    && !original.folded.owner.is_above(self.me().site())
                {
                    return Err(Failure::new(FailureKind::Failed, Why::NotASuperiors.text(Language::En))
                        .hint(
                            "write an article, or revise this one if it is your own: `hotline kb revise ID`",
                        ));
                }
                let doc =
                    self.begin_article(&text, None, hung, Saying { user: user.as_deref(), reason: None })?;
                self.told(doc)
            }
            R::Revise { id, article, user } => {
                let opened = self.article_named(id)?;
                let text = self.with_fields(&opened, article)?;
                let (doc, files) = (opened.doc, last_files(&opened));
                self.revise_article(opened, &text, files, Saying { user: user.as_deref(), reason: None })?;
                self.told(doc)
            }
            R::Review { id, reason, user } => {
                let opened = self.article_named(id)?;
                let of = draft_of(&opened)?;
                let saying = Saying { user: user.as_deref(), reason: reason.as_deref() };
                self.say_of(opened, Word::Review { of }, saying)
            }
            R::Publish { id, user } => {
                let opened = self.article_named(id)?;
                let of = to_publish(&opened.folded).ok_or_else(|| no_draft(&opened))?;
                self.say_of(opened, Word::Publish { of }, Saying { user: user.as_deref(), reason: None })
            }
            R::Withdraw { id, reason, user } => {
                let opened = self.article_named(id)?;
                self.say_of(opened, Word::Withdraw, Saying { user: user.as_deref(), reason: Some(reason) })
            }
            R::Propose { id, reason, user } => {
                let opened = self.article_named(id)?;
                let to = self.me().site().superior().ok_or_else(|| {
                    Failure::new(
                        FailureKind::Failed,
                        "nobody stands above the ministry: there is nobody to propose it to",
                    )
                })?;
                let of = opened.folded.shown().map(|v| v.entry).ok_or_else(|| no_draft(&opened))?;
                let saying = Saying { user: user.as_deref(), reason: reason.as_deref() };
                self.say_of(opened, Word::Propose { of, to }, saying)
            }
            R::Adopt { id, user } => self.adopt(id, user.as_deref()),
            R::Import { articles, reviewer, user } => {
                // What is no article is found out before anything is begun.
                let articles = read_lines(articles)?;
                let imported = self.import_articles(&articles, reviewer.as_deref(), user.as_deref());
                imported.inspect_err(|failure| {
                    self.spoiled = Some(
                        Failure::new(FailureKind::TryAgain, "nothing was saved: an import failed half-way")
                            .because(failure),
                    );
                })
            }
            R::Export { all, after, limit } => self.export_articles(*all, after.unwrap_or(0), *limit),
        }
    }

    /// What an operator is told of this site's own articles.
    pub(super) fn knowledge_counts(&mut self) -> Result<Value, Failure> {
        let (today, soon) = self.reading().days()?;
        let me = self.me().site();
        const QUEUES: [&str; 6] = ["published", "unreviewed", "to-publish", "expiring", "expired", "changed"];
        let counted = catalogue::counts(self.store.connection(), me, QUEUES, (&today, &soon))?;
        let counts = QUEUES.into_iter().zip(counted).map(|(queue, n)| (queue.to_owned(), n.into()));
        Ok(Value::Object(counts.collect()))
    }

    /// The article that a code, an id or an unambiguous prefix of one names.
    pub(super) fn article_named(&mut self, given: &str) -> Result<Opened, Failure> {
        let given = given.trim();
        let doc = match catalogue::with_code(self.store.connection(), given, self.me().site())?.as_slice() {
            [(doc, true), ..] | [(doc, _)] => *doc,
            [] => self.document_named(given).map_err(|failure| match failure.kind {
                // A code may be any text, so what can be no id is none that is here.
                FailureKind::Absent | FailureKind::Usage => {
                    Failure::new(FailureKind::Absent, format!("no article {given} is here")).hint(
                        "an article of another region is not here; `hotline kb search TEXT` finds what is",
                    )
                }
                _ => failure,
            })?,
            many => {
                return Err(Failure::new(
                    FailureKind::NeedsPerson,
                    format!("{} articles bear the code {given}", many.len()),
                )
                .hint(format!(
                    "use an id: {}",
                    many.iter().map(|(doc, _)| doc.short()).collect::<Vec<_>>().join(", ")
                )));
            }
        };
        self.open_article(doc)
    }

    pub(super) fn open_article(&mut self, doc: DocId) -> Result<Opened, Failure> {
        let (kind, folded, heads, entries) = self.with_document(doc, |_, matter| {
            let article = matter.article();
            let heads = article.map(|a| a.heads(None)).unwrap_or_default();
            let entries = article.map_or(0, |a| a.entries().count());
            (matter.kind().to_owned(), article.and_then(|a| a.folded().cloned()), heads, entries)
        })?;
        if kind != KIND {
            return Err(Failure::new(
                FailureKind::Absent,
                format!("{} is no article but a {kind}", doc.short()),
            ));
        }
        let folded = folded.ok_or_else(|| {
            let why = match entries {
                ..=fold::MAX_ENTRIES => "the article's beginning does not count: its author was revoked",
                _ => "the article has outgrown what is read",
            };
            Failure::new(FailureKind::NeedsPerson, why)
                .hint("begin a new article that says what this one said")
        })?;
        Ok(Opened { doc, folded, heads })
    }

    /// The text of a version.
    fn text_of(&mut self, doc: DocId, version: EntryId) -> Result<Text, Failure> {
        let read = |document: &Document, matter: &TicketMatter| {
            Text::read(document, matter.article()?.change_of(version)?)
        };
        self.with_document(doc, read)?
            .ok_or_else(|| Failure::new(FailureKind::Failed, "this version's text is not here"))
    }

    fn show_article(
        &mut self,
        id: &str,
        version: Option<u32>,
        language: Language,
        user: Option<&str>,
    ) -> Reply {
        let opened = self.article_named(id)?;
        let mut shown = self.shown(&opened, version, language)?;
        shown["choices"] = self.article_choices(&opened, language, user)?;
        Ok(shown)
    }

    /// An article in the shape of `Show` without `choices`.
    fn shown(&mut self, opened: &Opened, version: Option<u32>, language: Language) -> Reply {
        let (doc, folded) = (opened.doc, &opened.folded);
        let wanted = match version {
            Some(number) => numbered(folded, number)?,
            None => folded.shown().ok_or_else(|| no_draft(opened))?,
        };
        let text = self.text_of(doc, wanted.entry)?;
        let day = self.reading().today()?;
        let today = day.to_string();
        let (trail, audience, regions, heads) = self.with_document(doc, |document, matter| {
            let trail: Vec<Value> = matter.article().map(trail).unwrap_or_default();
            let heads: Vec<String> = document.heads().iter().map(ToString::to_string).collect();
            (trail, matter.audience().clone(), matter.regions().collect::<Vec<_>>(), heads)
        })?;
        let original = self.original(folded, &today)?;
        let files = wanted.files.iter().map(|file| self.file_row(file)).collect::<Result<Value, _>>()?;
        let state =
            catalogue::state_hash(folded, &self.text_of(doc, folded.shown().unwrap_or(wanted).entry)?);
        let mut shown = json!({
            "id": doc.to_string(), "owner": folded.owner, "standing": folded.standing(), "text": text,
            "files": files, "holds": text.holds(&today), "version": wanted, "as_written": EntryId::from_bytes(text.hash()) == wanted.text,
            "in_force": folded.in_force().map(|v| v.number), "draft": folded.open_draft().map(|v| v.number),
            "versions": folded.versions, "withdrawn": folded.withdrawn, "proposals": folded.proposals,
            "adopts": folded.adopts, "adopted": folded.adopted, "supplements": original,
            "supplemented_by": catalogue::hanging(self.store.connection(), &doc, &today)?,
            "superseded": beaten(&folded.superseded, language), "unentitled": beaten(&folded.unentitled, language),
            "trail": trail, "use": uses::sums(self.store.connection(), self.me(), &doc, day)?,
            "audience": audience, "regions": regions, "heads": heads, "state_hash": hex(&state),
        });
        shown["line"] = lines::write(&text, folded.owner, wanted.number, folded.standing());
        Ok(shown)
    }

    /// For each action whether this site and person may take it now; if not, why.
    fn article_choices(&mut self, opened: &Opened, language: Language, user: Option<&str>) -> Reply {
        let (me, owner) = (self.me().site(), opened.folded.owner);
        let (draft, next) = (opened.folded.draft, to_publish(&opened.folded));
        let shown = opened.folded.shown().map(|v| v.entry);
        let objection = |engine: &mut Engine, word: Option<Word>| {
            // What will be said beside it is not written yet.
            let saying = Saying { user, reason: Some("-") };
            word.map_or(Ok(Some(Why::NoDraft)), |word| engine.objection(opened, &word, saying))
        };
        let proposal = shown.zip(me.superior()).map(|(of, to)| Word::Propose { of, to });
        let choices = [
            ("revise", Some(Why::NotTheOwner).filter(|_| me != owner)),
            ("review", objection(self, draft.map(|of| Word::Review { of }))?),
            ("publish", objection(self, next.map(|of| Word::Publish { of }))?),
            ("withdraw", objection(self, Some(Word::Withdraw))?),
            (
                "propose",
                match proposal {
                    Some(_) => objection(self, proposal)?,
                    None => Some(Why::NotUpwards),
                },
            ),
            ("adopt", Some(Why::NotAbove).filter(|_| !me.is_above(owner))),
            ("supplement", Some(Why::NotASuperiors).filter(|_| !owner.is_above(me))),
        ];
        let line =
            |(act, why): (&str, Option<Why>)| json!({ "act": act, "why": why.map(|w| w.text(language)) });
        Ok(choices.into_iter().map(line).collect())
    }

    /// What a supplement hangs on, and whether that has changed since its writer saw it.
    fn original(&mut self, folded: &Folded, today: &str) -> Reply {
        let Some(id) = &folded.supplements else { return Ok(Value::Null) };
        let seen = folded.shown().and_then(|v| v.seen);
        let doc = id.parse::<DocId>().ok();
        let row = doc.map(|doc| catalogue::one(self.store.connection(), &doc, today)).transpose()?.flatten();
        let Some((doc, mut row)) = doc.zip(row) else { return Ok(json!({ "id": id, "here": false })) };
        let original = self.open_article(doc)?.folded;
        let then = seen.and_then(|seen| original.version(seen)).map(|v| v.number);
        row["seen"] = json!(then);
        row["changed"] = (original.published != seen).into();
        Ok(row)
    }

    fn compare_versions(&mut self, id: &str, from: u32, to: u32) -> Reply {
        let opened = self.article_named(id)?;
        let (from, to) = (numbered(&opened.folded, from)?.clone(), numbered(&opened.folded, to)?.clone());
        let (earlier, later) = (self.text_of(opened.doc, from.entry)?, self.text_of(opened.doc, to.entry)?);
        let facts: Vec<Value> = earlier
            .facts()
            .into_iter()
            .zip(later.facts())
            .filter(|((_, before), (_, after))| before != after)
            .map(|((name, before), (_, after))| json!({ "field": name, "from": before, "to": after }))
            .collect();
        Ok(json!({
            "id": opened.doc.to_string(), "from": from, "to": to, "facts": facts,
            "lines": compare(&earlier.body, &later.body),
        }))
    }

    /// A new article of this site with its first version.
    fn begin_article(
        &mut self,
        text: &Text,
        adopts: Option<DocId>,
        hung: Option<(DocId, Option<EntryId>)>,
        saying: Saying<'_>,
    ) -> Result<DocId, Failure> {
        let seen = hung.and_then(|(_, seen)| seen);
        let version = Version { number: 1, text: text.hash(), seen, files: Vec::new() };
        let site = self.me().site();
        let create = Create { site, version, adopts, supplements: hung.map(|(doc, _)| doc) };
        let at = shown_time(self.now);
        let bytes = Word::Create(Box::new(create)).to_bytes([], self.me(), saying.reason, saying.user, &at);
        Entry::read(&bytes, self.me()).map_err(|e| Failure::new(FailureKind::Usage, e))?;
        let facts = text.facts();
        let facts = facts.iter().filter(|(_, fact)| !fact.is_empty());
        let facts = facts.map(|(name, fact)| (*name, fact.as_str().into()));
        let id = EntryId::of(&bytes).to_string();
        let parts: HashMap<&str, hydrate::Value> = HashMap::from([
            (
                "body",
                hydrate::Value::Text(hydrate::Text::new(
                    TextEncoding::platform_default(),
                    text.body.as_str(),
                )),
            ),
            ("facts", map(facts)),
            ("files", map([])),
            ("notes", map([])),
            ("trail", map([(id.as_str(), ScalarValue::Bytes(bytes).into())])),
        ]);
        let parts = hydrate::Map::from(parts);
        let incarnation = self.replica.incarnation();
        let beginning = Beginning::compose(self.me(), incarnation, TicketMatter::new, |tx| {
            tx.init_root_from_hydrate(&parts)
        });
        let beginning = beginning.map_err(write_failure)?;
        let doc = beginning.doc();
        // The same words again within the second are the same article: whoever pressed the key twice finds it.
        if self.store.document(&doc)?.is_none() {
            let admitted =
                self.replica.admit_beginning(beginning, Vec::new(), &mut self.store, &mut self.desk);
            admitted.map_err(write_failure)?;
        }
        Ok(doc)
    }

    /// The text of an article's last version with some fields of a line in the place of its own.
    fn with_fields(&mut self, opened: &Opened, article: &Value) -> Result<Text, Failure> {
        let last = opened.folded.versions.last().ok_or_else(|| no_draft(opened))?;
        let text = self.text_of(opened.doc, last.entry)?;
        let mut line = lines::write(&text, opened.folded.owner, 0, "");
        let given = article.as_object().ok_or_else(|| not_an_article("it is no JSON object"))?;
        for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            line[key.as_str()] = value.clone();
        }
        Ok(lines::read(&line).map_err(|e| not_an_article(&e))?.text)
    }

    /// A further version. A supplement's says that its writer has the original of now before them.
    fn revise_article(
        &mut self,
        opened: Opened,
        text: &Text,
        files: Vec<File>,
        saying: Saying<'_>,
    ) -> Result<(), Failure> {
        self.is_own(&opened)?;
        let Opened { doc, folded, heads } = opened;
        let original = folded.supplements.as_ref().and_then(|id| id.parse::<DocId>().ok());
        let seen = original.and_then(|doc| self.open_article(doc).ok()).and_then(|o| o.folded.published);
        let version = Version { number: folded.next_number(), text: text.hash(), seen, files };
        let bytes = self.entry_bytes(&Word::Revise(version), heads, saying)?;
        let write = |document: &Document, tx: &mut automerge::transaction::Transaction<'_>| {
            let part = |name| document.part(name).ok_or(automerge::AutomergeError::Fail);
            let (facts, body) = (part("facts")?, part("body")?);
            for (name, fact) in text.facts() {
                let known = automerge::ReadDoc::get(document.automerge(), &facts, name)?;
                let known = known.and_then(|(value, _)| value.into_string().ok()).unwrap_or_default();
                if known != fact {
                    tx.put(&facts, name, fact)?;
                }
            }
            tx.update_text(&body, &text.body)?;
            tx.put(&part("trail")?, EntryId::of(&bytes).to_string(), bytes.clone())
        };
        self.replica.write(Some(doc), &mut self.store, &mut self.desk, write).map_err(write_failure)?;
        Ok(())
    }

    /// A version that says what the last one says and carries these files.
    pub(super) fn revise_files(
        &mut self,
        opened: Opened,
        files: Vec<File>,
        user: Option<&str>,
    ) -> Result<(), Failure> {
        let last = opened.folded.versions.last().ok_or_else(|| no_draft(&opened))?.entry;
        let text = self.text_of(opened.doc, last)?;
        self.revise_article(opened, &text, files, Saying { user, reason: None })
    }

    /// Whether this site writes the article.
    pub(super) fn is_own(&self, opened: &Opened) -> Result<(), Failure> {
        let owner = opened.folded.owner;
        if owner != self.me().site() {
            return Err(Failure::new(
                FailureKind::Failed,
                format!("only {} changes this article", self.named(owner)),
            )
            .hint("hang a supplement of your own on it: `hotline kb supplement ID`"));
        }
        Ok(())
    }

    fn entry_bytes(&self, word: &Word, heads: Vec<EntryId>, saying: Saying<'_>) -> Result<Vec<u8>, Failure> {
        let at = shown_time(self.now);
        let bytes = word.to_bytes(heads, self.me(), saying.reason, saying.user, &at);
        Entry::read(&bytes, self.me()).map_err(|e| Failure::new(FailureKind::Usage, e))?;
        Ok(bytes)
    }

    /// Says a word if it would have effect, and tells how the article stands then.
    fn say_of(&mut self, opened: Opened, word: Word, saying: Saying<'_>) -> Reply {
        let doc = opened.doc;
        self.say(opened, &word, saying)?;
        self.told(doc)
    }

    /// Why a word would have no effect, if it would have none.
    fn objection(
        &mut self,
        opened: &Opened,
        word: &Word,
        saying: Saying<'_>,
    ) -> Result<Option<Why>, Failure> {
        let bytes = self.entry_bytes(word, opened.heads.clone(), saying)?;
        let entry = Entry::read(&bytes, self.me()).map_err(|e| Failure::new(FailureKind::Usage, e))?;
        self.with_document(opened.doc, |_, matter| {
            let entries =
                matter.article().map(|a| a.entries().filter(|(_, counted)| *counted).map(|(e, _)| e.clone()));
            let all: Vec<Entry> = entries.into_iter().flatten().chain([entry.clone()]).collect();
            fold::fold(&all)?
                .unentitled
                .into_iter()
                .find(|beaten| beaten.entry == entry.id)
                .map(|beaten| beaten.why)
        })
    }

    fn say(&mut self, opened: Opened, word: &Word, saying: Saying<'_>) -> Result<(), Failure> {
        if let Some(why) = self.objection(&opened, word, saying)? {
            let what = format!("{} may not {} this article now", self.named(self.me().site()), word.op());
            let hint = match word {
                Word::Review { .. } if saying.user.is_none() => "say who you are: --user NAME",
                Word::Publish { .. } => {
                    "a second person reviews it first: `hotline kb review ID --user NAME`"
                }
                Word::Review { .. } => "another person than its writer reviews it, here or at a superior",
                _ => "`hotline kb history ID` tells how it stands",
            };
            return Err(Failure::new(FailureKind::Failed, what).because(why.text(Language::En)).hint(hint));
        }
        let Opened { doc, heads, folded } = opened;
        let bytes = self.entry_bytes(word, heads, saying)?;
        if folded.entries >= fold::MAX_ENTRIES {
            return Err(Failure::new(
                FailureKind::NeedsPerson,
                "the article has too long a history to go on",
            )
            .hint("begin a new article that says what this one says, and withdraw this one"));
        }
        self.enter(doc, &bytes)
    }

    /// How an article stands now, in short.
    fn told(&mut self, doc: DocId) -> Reply {
        let folded = self.open_article(doc)?.folded;
        Ok(json!({
            "id": doc.to_string(), "standing": folded.standing(), "in_force": folded.in_force().map(|v| v.number),
            "draft": folded.open_draft().map(|v| v.number), "owner": folded.owner,
        }))
    }

    fn adopt(&mut self, id: &str, user: Option<&str>) -> Reply {
        let opened = self.article_named(id)?;
        let proposed = opened.folded.proposals.iter().rev().find(|p| p.to == self.me().site()).map(|p| p.of);
        let of =
            proposed.or_else(|| opened.folded.shown().map(|v| v.entry)).ok_or_else(|| no_draft(&opened))?;
        if !self.me().site().is_above(opened.folded.owner) {
            return Err(Failure::new(FailureKind::Failed, "only a superior of its owner adopts an article"));
        }
        let mut text = self.text_of(opened.doc, of)?;
        text.code.clear(); // it is its owner's
        let saying = Saying { user, reason: None };
        let doc = self.begin_article(&text, Some(opened.doc), None, saying)?;
        self.say(opened, &Word::Adopted { by: doc }, saying)?;
        self.told(doc)
    }

    fn import_articles(&mut self, articles: &[Line], reviewer: Option<&str>, user: Option<&str>) -> Reply {
        let me = self.me().site();
        let (mut made, mut revised, mut same, mut elsewhere) = (0u64, 0u64, 0u64, 0u64);
        for line in articles {
            if line.owner.is_some_and(|owner| owner != me) {
                elsewhere += 1;
                continue;
            }
            let saying = Saying { user, reason: None };
            let doc = match self.article_of(&line.text)? {
                None => {
                    made += 1;
                    self.begin_article(&line.text, None, None, saying)?
                }
                Some(opened) if says(&opened, &line.text) => {
                    same += 1;
                    if opened.folded.open_draft().is_none() {
                        continue;
                    }
                    opened.doc
                }
                Some(opened) => {
                    revised += 1;
                    let (doc, files) = (opened.doc, last_files(&opened));
                    self.revise_article(opened, &line.text, files, saying)?;
                    doc
                }
            };
            if let Some(reviewer) = reviewer.filter(|_| line.published) {
                let opened = self.open_article(doc)?;
                let of = draft_of(&opened)?;
                if opened.folded.open_draft().is_some_and(|draft| draft.reviews.is_empty()) {
                    self.say(opened, &Word::Review { of }, Saying { user: Some(reviewer), reason: None })?;
                }
                let opened = self.open_article(doc)?;
                self.say(opened, &Word::Publish { of }, Saying { user: Some(reviewer), reason: None })?;
            }
            // The row is made now and not at the end: a later line may bear the same code.
            self.replica.flush(self.now, &mut self.store, &mut self.desk)?;
        }
        Ok(json!({ "made": made, "revised": revised, "same": same, "elsewhere": elsewhere }))
    }

    /// This site's own article that a file's text is of: the one with its code, or, of a text without a code, one without
    /// that says the same.
    fn article_of(&mut self, text: &Text) -> Result<Option<Opened>, Failure> {
        let me = self.me().site();
        if !text.code.is_empty() {
            let known = catalogue::with_code(self.store.connection(), &text.code, me)?;
            let own = known.into_iter().find(|(_, own)| *own);
            return own.map(|(doc, _)| self.open_article(doc)).transpose();
        }
        for doc in catalogue::without_code(self.store.connection(), &text.title, me)? {
            let opened = self.open_article(doc)?;
            if says(&opened, text) {
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }

    /// An article with the texts of all its versions.
    fn whole_article(&mut self, doc: DocId) -> Reply {
        let opened = self.open_article(doc)?;
        let mut whole = self.shown(&opened, None, Language::En)?;
        let mut texts = Vec::new();
        for version in &opened.folded.versions {
            let text = self.text_of(doc, version.entry)?;
            texts.push(json!({ "version": version.number, "entry": version.entry, "text": text }));
        }
        whole["texts"] = texts.into();
        if let Some(fields) = whole.as_object_mut() {
            // They say again what one of the texts says.
            ["line", "text"].iter().for_each(|name| drop(fields.remove(*name)));
        }
        Ok(whole)
    }

    fn export_articles(&mut self, all: bool, after: i64, limit: usize) -> Reply {
        let page = catalogue::page(self.store.connection(), all, after, limit.clamp(1, MAX_LINES))?;
        let next = page.last().map(|(row, _)| *row);
        let mut articles = Vec::with_capacity(page.len());
        for (_, doc) in page {
            if all {
                articles.push(self.whole_article(doc)?);
                continue;
            }
            let folded = self.open_article(doc)?.folded;
            let Some(version) = folded.in_force() else { continue };
            let text = self.text_of(doc, version.entry)?;
            let mut line = lines::write(&text, folded.owner, version.number, folded.standing());
            if !version.files.is_empty() {
                line["files"] = version.files.iter().map(|file| file.name.as_str()).collect();
            }
            articles.push(line);
        }
        Ok(json!({ "articles": articles, "next": next }))
    }
}

/// The lines of an import; an error names the first that makes no article.
fn read_lines(articles: &[Value]) -> Result<Vec<Line>, Failure> {
    if articles.len() > MAX_LINES {
        return Err(Failure::usage(format!("{} lines at once; at most {MAX_LINES}", articles.len())));
    }
    let read = |(at, article)| lines::read(article).map_err(|e| Failure::usage(format!("article {at}: {e}")));
    (1..).zip(articles).map(read).collect()
}

/// Whether the version that was written last has this text.
fn says(opened: &Opened, text: &Text) -> bool {
    opened.folded.versions.last().is_some_and(|version| *version.text.as_bytes() == text.hash())
}

/// The files of the version that was written last.
pub(super) fn last_files(opened: &Opened) -> Vec<File> {
    opened.folded.versions.last().map(|version| version.files.clone()).unwrap_or_default()
}

fn map<'a>(values: impl IntoIterator<Item = (&'a str, hydrate::Value)>) -> hydrate::Value {
    HashMap::from_iter(values).into()
}

fn not_an_article(why: &str) -> Failure {
    Failure::new(FailureKind::Usage, format!("this makes no article: {why}"))
}

fn no_draft(opened: &Opened) -> Failure {
    Failure::new(FailureKind::Failed, format!("article {} has no draft", opened.doc.short()))
        .hint("write the next version first: `hotline kb revise ID`")
}

/// The version that comes into force next. What was withdrawn may come back as it is.
fn to_publish(folded: &Folded) -> Option<EntryId> {
    match (folded.draft, folded.withdrawn) {
        (None, Some(_)) => folded.versions.last().map(|v| v.entry),
        (draft, _) => draft,
    }
}

fn beaten(list: &[Beaten], language: Language) -> Vec<Value> {
    let line = |b: &Beaten| json!({ "entry": b.entry, "by": b.by, "why": b.why.text(language) });
    list.iter().map(line).collect()
}

fn draft_of(opened: &Opened) -> Result<EntryId, Failure> {
    opened.folded.draft.ok_or_else(|| no_draft(opened))
}

/// The version with this number: of two with one number that in force, else the first.
pub(super) fn numbered(folded: &Folded, number: u32) -> Result<&VersionShown, Failure> {
    let in_force = folded.in_force().filter(|v| v.number == number);
    in_force.or_else(|| folded.versions.iter().find(|v| v.number == number)).ok_or_else(|| {
        let last = folded.versions.last().map_or(0, |v| v.number);
        Failure::new(FailureKind::Failed, format!("there is no version {number}"))
            .hint(format!("the last is {last}"))
    })
}

fn trail(article: &Article) -> Vec<Value> {
    let shown = |(entry, counted): (&Entry, bool)| {
        let mut shown = json!({
            "id": entry.id, "op": entry.op(), "parents": entry.parents, "site": entry.site(), "node": entry.node,
            "at": entry.at, "user": entry.user,
        });
        let to = match &entry.word {
            Word::Propose { to, .. } => json!(to),
            Word::Adopted { by } => json!(by.to_string()),
            _ => Value::Null,
        };
        let number = entry.word.version().map(|v| v.number);
        for (key, value) in [
            ("of", json!(entry.word.of())),
            ("reason", json!(entry.reason)),
            ("version", json!(number)),
            ("to", to),
        ] {
            if !value.is_null() {
                shown[key] = value;
            }
        }
        if !counted {
            shown["not_counted"] = true.into();
        }
        shown
    };
    article.entries().map(shown).collect()
}
