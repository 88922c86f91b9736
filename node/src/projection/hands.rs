//! In whose hands a ticket is within a site: the agent who has it, the department that works on it, and whether somebody urges.
//!
//! Nobody is given a ticket by name: who took the call, accepted, dispatched, replied, offered or reopened last has it, until a
//! colleague does.

use std::collections::BTreeMap;

use certs::Site;

use crate::ticket::{Authored, Op};

/// In whose hands it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hands {
    /// At each site the person who has it there.
    agents: BTreeMap<Site, String>,
    /// The department that it was dispatched to and that has not answered; empty when there is none.
    pub(super) department: String,
    /// Somebody urged or supervised, and whoever works on it has said nothing since.
    pub(super) urged: bool,
}

impl Hands {
    /// Of the entries that have effect, the earlier before the later.
    pub(super) fn of(in_force: &[&Authored]) -> Hands {
        let mut hands = Hands::default();
        for a in in_force {
            match &a.entry.op {
                Op::Urge | Op::Supervise => hands.urged = true,
                Op::Dispatch { department } => {
                    hands.department.clone_from(department);
                    hands.urged = false;
                }
                Op::Feedback | Op::Reply { .. } | Op::Close { .. } => {
                    hands.department.clear();
                    hands.urged = false;
                }
                Op::Progress | Op::Answer => hands.urged = false,
                // Whoever holds it now has departments of their own.
                Op::Accept { .. } | Op::Assign { .. } => hands.department.clear(),
                _ => {}
            }
            let takes = matches!(
                a.entry.op,
                Op::Create { .. }
                    | Op::Accept { .. }
                    | Op::Dispatch { .. }
                    | Op::Reply { .. }
                    | Op::Offer { .. }
                    | Op::Reopen { .. }
            );
            // No account has a blank in its name: programs, the public page and messages are nobody.
            let person = a.entry.user.as_ref().filter(|user| takes && !user.contains(' '));
            if let Some(user) = person {
                hands.agents.insert(a.site, user.clone());
            }
        }
        hands
    }

    /// Who has it at a site; empty for nobody.
    pub(super) fn agent_at(&self, site: Site) -> &str {
        self.agents.get(&site).map_or("", String::as_str)
    }
}
