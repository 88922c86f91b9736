//! The knowledge base (知识库): articles that are written, reviewed by a second person, published and withdrawn, at three
//! tiers.
//!
//! An article is a document of the kind [`KIND`]. It belongs to the site that made it, the *owner*, and is for that site
//! and everything below it: the ministry's reach every node, a province's its cities and offices, a city's its offices
//! (and its province, which may adopt them). Nobody else changes its text; a lower tier hangs a *supplement* of its own on
//! it, and sees when the original has changed under it. A version's files stand in its entry; `engine::files` takes and gives them.
//!
//! ```text
//! entry      what one entry of an article's trail says
//! fold       all of them put together: which version is published, which is a draft, who reviewed, what was beaten
//! table      who writes which part, and who must hold it
//! matter     all of it as `sync` sees a document
//! text       title, body and registers of one version, read out of the document as it was then; sizes and dates
//! lines      articles as lines of `kb.jsonl` and as Markdown with front matter
//! compare    two texts, line by line
//! catalogue  the rows that lists and search read: a projection
//! find       search, and suggestions from a text that is being typed
//! uses       how often articles served to answer, and how often they did not help
//! request    what is asked about articles
//! ```
//!
//! As with tickets no rule reads a time, and equal sets of entries give equal results in any order of arrival. Dates of
//! validity are read when something is shown.

pub mod catalogue;
pub mod compare;
pub mod entry;
pub mod find;
pub mod fold;
pub mod lines;
pub mod matter;
pub mod request;
pub mod table;
pub mod text;
pub mod uses;

/// The kind of document that this is about.
pub const KIND: &str = "article";

/// The schema that this version writes.
pub const SCHEMA: u32 = 1;
