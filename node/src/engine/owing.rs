//! What a commit may owe the tickets that changed in it, as their last projection saw them: a confirm, or grants.
//!
//! It is told when the document is open anyway. A first sync puts documents aside as soon as they are projected, and loading each of
//! ten thousand again only to find that it is owed nothing took as long as taking them in.

use crate::ticket::TicketMatter;
use crate::ticket::confirm::ends_an_offer;
use crate::ticket::readers::{Readers, readers};

/// Of one ticket.
#[derive(Clone, Debug)]
pub(super) struct Owing {
    /// A superior may owe it a confirm.
    pub(super) confirm: bool,
    /// Who is entitled to its key.
    pub(super) readers: Readers,
}

impl Owing {
    /// `None` of a ticket whose beginning does not count.
    pub(super) fn of(matter: &TicketMatter) -> Option<Owing> {
        let folded = matter.folded()?;
        let confirm = matter.entries().any(ends_an_offer);
        Some(Owing { confirm, readers: readers(folded, matter.entries()) })
    }
}
