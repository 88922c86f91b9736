//! What a ticket *is*: its trail of entries, who holds it, who may do what, and how that is told to people.
//!
//! Everything here is a pure function of values: no clock, no entropy, no file. A ticket's
//! state is never stored; it is folded from the grow-only set of its entries, so equal sets give equal states on
//! every node, whatever arrived first.
//!
//! ```text
//! entry     the bytes of one entry and what they say
//! trail     the set of entries, and who is whose ancestor
//! entitle   may this site do this, as the ticket stands?         (one function, for the fold and for the desk)
//! custody   the chain of custodies: who decided, and who lost
//! fold      all of it put together: custodian, stage, clock, superseded, alarms
//! audience  the sites that must hold the document
//! confirm   the confirm that a superior's node owes a hand-over below it
//! may       the same question asked by a person, answered with who may instead
//! story     the history in words, 中文 and English
//! rules     which part of the document may be changed by whom
//! readers   the sites that are granted the ticket's key
//! erasure   the mark that the caller's data is erased
//! facts     what its facts are called
//! times     the facts of the clock as plain data
//! number    the number that a caller is given
//! code      what a caller shows beside it to be told how the ticket stands
//! matter    all of it as `sync` sees a document: the gate's rules and the audience
//! ```

pub mod audience;
pub mod code;
pub mod confirm;
mod custody;
pub mod entitle;
pub mod entry;
pub mod erasure;
pub mod facts;
pub mod fold;
pub mod matter;
pub mod may;
pub mod number;
pub mod other;
pub mod readers;
pub mod rules;
pub mod story;
pub mod times;
pub mod trail;

#[cfg(test)]
mod tests;

pub use entitle::{Refusal, Stand};
pub use entry::{Authored, Corrected, Create, Entry, EntryError, EntryId, Op};
pub use fold::{Folded, Stage, fold};
pub use matter::TicketMatter;
pub use trail::Trail;
