//! What is asked about articles. An article is named by its id, an unambiguous prefix of it, or its code.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::FileRequest;
use crate::request::Language;

/// A request about the knowledge base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum KnowledgeRequest {
    /// A list, by code and title: `[{"id","code","title","owner","standing",...}]`.
    List {
        /// published, drafts, unreviewed, to-publish, expiring, expired, withdrawn, proposed, changed, unhelpful, all. `unhelpful` has what did not
        /// help in the last 30 days, here and below, the most often first, with `unhelpful`: how often.
        queue: String,
        /// Only this site's own.
        #[serde(default)]
        mine: bool,
        /// At most so many.
        limit: usize,
    },
    /// Published articles in which everything typed occurs, the best first.
    Search {
        /// What was typed.
        text: String,
        /// At most so many.
        limit: usize,
    },
    /// What is for the public, in force today: the newest first, or what a search finds of it; the shape of `List`.
    Public {
        /// What was typed.
        text: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// One article that is for the public and in force today: a row of `List` with its `body` and its `files`.
    Told {
        /// Its id.
        id: String,
    },
    /// Published articles that a text which is being typed may be about.
    Suggest {
        /// The text.
        text: String,
        /// At most so many.
        limit: usize,
    },
    /// One article, with a version's text; without a number the one that is in force, else the draft. With `choices`: for
    /// each action `null` when it may be taken now, else why not. With `use`, what was said of it here and below in the last 30
    /// days: `{"days","used","unhelpful","sites":[{"site","used","unhelpful"}],"versions":[{"version","used","unhelpful"}]}`.
    Show {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The version.
        #[serde(default)]
        version: Option<u32>,
        /// Of the reasons.
        #[serde(default)]
        language: Language,
        /// Who would act.
        user: Option<String>,
    },
    /// Somebody answered with its help. `{"id","version","use"}`, the last as `Show` has it.
    Used {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The version that was read; without a number the one in force.
        #[serde(default)]
        version: Option<u32>,
        /// Who sits at the desk; not kept with the count.
        user: Option<String>,
    },
    /// Somebody read it and it did not help.
    Unhelpful {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The version that was read; without a number the one in force.
        #[serde(default)]
        version: Option<u32>,
        /// Who sits at the desk; not kept with the count.
        user: Option<String>,
    },
    /// A file of an article. What is attached makes the next version, which carries it beside those of the last one; its row has
    /// `version`. `List` has the files of all versions, each with `versions`; `Fetch` takes a name of the version in force or of the
    /// last one, or a content's hash. What is asked is the owner's right to write, and no key.
    File {
        /// What is asked; its ids are those of articles.
        file: FileRequest,
    },
    /// Makes a version that carries a file no more.
    Detach {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The file's name.
        name: String,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Two versions, line by line: `{"id","from","to","facts":[{"field","from","to"}],"lines":[{"mark","text"}]}`.
    Diff {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The earlier version.
        from: u32,
        /// The later one.
        to: u32,
    },
    /// Makes an article of this site: a draft.
    New {
        /// A line of `kb.jsonl` shape.
        article: Value,
        /// The superior's article that it hangs on.
        #[serde(default)]
        supplements: Option<String>,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Writes a further version.
    Revise {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The fields that change, of a line of `kb.jsonl` shape.
        article: Value,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// A second person lets the draft pass.
    Review {
        /// Id, unambiguous prefix or code.
        id: String,
        /// What there is to say.
        #[serde(default)]
        reason: Option<String>,
        /// Who it is.
        user: Option<String>,
    },
    /// The draft comes into force.
    Publish {
        /// Id, unambiguous prefix or code.
        id: String,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Nobody is to use it any more.
    Withdraw {
        /// Id, unambiguous prefix or code.
        id: String,
        /// Why.
        reason: String,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Asks the superior to adopt what is in force.
    Propose {
        /// Id, unambiguous prefix or code.
        id: String,
        /// Why.
        #[serde(default)]
        reason: Option<String>,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Makes an article of this site of a lower one's: a draft.
    Adopt {
        /// Id, unambiguous prefix or code.
        id: String,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Takes lines of `kb.jsonl` shape. Those of other sites are left out; one whose code this site has becomes its next
    /// version, or nothing when it says the same. `{"made","revised","same","elsewhere"}`.
    Import {
        /// The lines.
        articles: Vec<Value>,
        /// Who has read them: with a name, what the file calls published is reviewed and published.
        #[serde(default)]
        reviewer: Option<String>,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// Lines of what is in force here, a page at a time: `{"articles":[...],"next":row|null}`; or all of all articles, drafts
    /// and what was withdrawn too, in the shape of `Show` with `texts`, one for each version.
    Export {
        /// All of all articles.
        #[serde(default)]
        all: bool,
        /// After this row.
        #[serde(default)]
        after: Option<i64>,
        /// At most so many.
        limit: usize,
    },
}
