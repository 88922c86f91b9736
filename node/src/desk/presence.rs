//! Who else has a ticket open: as long as a page of theirs listens.
//!
//! Nothing of it is stored and nothing is decided by it; two who see each other talk before they act. It is of this node
//! alone: what a colleague at another site has open is not known here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::hex::hex;

/// How many comings and goings a page may be behind; one that is further behind looks anew.
const BEHIND: usize = 64;

/// Pages by ticket and account.
type Open = BTreeMap<String, BTreeMap<String, usize>>;

/// Somebody came to a ticket, or left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) ticket: String,
    pub(super) name: String,
}

/// Who has what open.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    open: Arc<Mutex<Open>>,
    moved: broadcast::Sender<Move>,
}

/// A page that is open; dropping it closes it.
pub(super) struct Present {
    presence: Presence,
    ticket: String,
    name: String,
}

impl Presence {
    pub(super) fn new() -> Presence {
        Presence { open: Arc::default(), moved: broadcast::channel(BEHIND).0 }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody opens a ticket's page.
    pub(super) fn enter(&self, ticket: &str, name: &str) -> Present {
        let mut open = self.open();
        *open.entry(ticket.to_owned()).or_default().entry(name.to_owned()).or_default() += 1;
        drop(open);
        let (ticket, name) = (ticket.to_owned(), name.to_owned());
        let _ = self.moved.send(Move { ticket: ticket.clone(), name: name.clone() }); // nobody may be listening
        Present { presence: self.clone(), ticket, name }
    }

    /// Who else has it open, by name.
    pub(super) fn others(&self, ticket: &str, me: &str) -> Vec<String> {
        let open = self.open();
        let names = open.get(ticket).into_iter().flat_map(BTreeMap::keys);
        names.filter(|name| *name != me).cloned().collect()
    }

    /// Who comes and goes from now on.
    pub(super) fn moves(&self) -> broadcast::Receiver<Move> {
        self.moved.subscribe()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut open = self.presence.open();
        if let Some(names) = open.get_mut(&self.ticket) {
            if let Some(count) = names.get_mut(&self.name) {
                *count -= 1;
                if *count == 0 {
                    names.remove(&self.name);
                }
            }
            if names.is_empty() {
                open.remove(&self.ticket);
            }
        }
        drop(open);
        let _ = self.presence.moved.send(Move { ticket: self.ticket.clone(), name: self.name.clone() });
    }
}

/// A few letters that tell one set of names from another.
pub(super) fn mark(others: &[String]) -> String {
    hex(&blake3::hash(others.join("\n").as_bytes()).as_bytes()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_there_as_long_as_a_page_is_open() {
        let presence = Presence::new();
        let mut moves = presence.moves();
        let li = presence.enter("a", "li");
        let again = presence.enter("a", "li");
        let wang = presence.enter("a", "wang");
        assert_eq!(presence.others("a", "li"), ["wang"]);
        assert_eq!(presence.others("a", "zhao"), ["li", "wang"]);
        assert!(presence.others("b", "zhao").is_empty());
        drop(li);
        assert_eq!(presence.others("a", "wang"), ["li"], "another page of theirs is open");
        drop((again, wang));
        assert!(presence.others("a", "zhao").is_empty() && presence.open().is_empty());
        for name in ["li", "li", "wang", "li", "li", "wang"] {
            assert_eq!(moves.try_recv().unwrap(), Move { ticket: "a".into(), name: name.into() });
        }
    }
}
