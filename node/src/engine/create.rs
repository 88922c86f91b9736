//! New tickets: numbered, sealed and granted with every link down.
//!
//! ```text
//! read     calls of the request -> new tickets             side by side; nothing is written yet
//! number   numbers, readers                                in order
//! compose  sealed parts, first change, grants (`compose`)  side by side
//! store    rows, index of callers, outboxes                in order, behind the composing
//! ```
//!
//! A request that fails while it stores leaves nothing behind.

mod compose;

use certs::Site;
use serde_json::{Value, json};
use sync::document::Refusal;
use sync::replica::WriteError;

use super::side_by_side::side_by_side;
use super::{Engine, failed, shown_time};
use crate::china;
use crate::import::{NewTicket, Sample};
use crate::reference::Reference;
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::number::{Day, TicketNumber};
use crate::ticket::readers::{Readers, desks};
use compose::{Call, Composed, Taker, against};

/// Most tickets of one request.
const MAX_TICKETS: usize = 2_000;

impl Engine {
    pub(super) fn create(&mut self, tickets: &[Value], user: Option<&str>) -> Reply {
        if tickets.len() > MAX_TICKETS {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("{} tickets at once; at most {MAX_TICKETS}", tickets.len()),
            ));
        }
        let mut parsed = Vec::with_capacity(tickets.len());
        side_by_side(
            tickets.iter().enumerate().collect(),
            |(i, given)| parse(i, given, &self.reference),
            |ticket| ticket.map(|ticket| parsed.push(ticket)),
        )?;
        parsed.iter().try_for_each(|ticket| self.somebody_sees(ticket))?;
        self.make(parsed, user).map(Value::from).inspect_err(|failure| {
            self.spoiled = Some(
                Failure::new(FailureKind::TryAgain, "nothing was saved: a request failed half-way")
                    .because(failure),
            );
        })
    }

    /// Makes the tickets; on a failure nothing of the transaction may stay.
    fn make(&mut self, tickets: Vec<NewTicket>, user: Option<&str>) -> Result<Vec<Value>, Failure> {
        let calls: Vec<Call> = tickets.into_iter().map(|t| self.call(t)).collect::<Result<_, _>>()?;
        let (me, incarnation) = (self.me(), self.replica.incarnation());
        let today = china::today(self.now);
        let policy = self.reference.limits.on(me.site(), today).map(|held| held.name.clone());
        let declines = self.reference.transfers.declines();
        let taker = Taker { me, incarnation, user, at: shown_time(self.now), policy, declines };
        let mut made = Vec::with_capacity(calls.len());
        side_by_side(
            calls,
            |call| taker.compose(&call),
            |composed| composed.and_then(|composed| self.store_new(composed)).map(|shown| made.push(shown)),
        )?;
        Ok(made)
    }

    /// A report whose reporter nobody could ever be shown is not taken: what was said would be lost without a word. Nor is
    /// one about a site that there is not: with a slip in its code the site that is meant would see it.
    fn somebody_sees(&self, ticket: &NewTicket) -> Result<(), Failure> {
        let against = against(ticket)?;
        if let Some(site) = against {
            self.must_be_a_site(site)
                .map_err(|e| e.because("the ticket says that it is about that centre"))?;
        }
        let readers = first_readers(self.me().site(), ticket.confidential, against);
        if !ticket.confidential || !self.members_of(&readers.sites).is_empty() {
            return Ok(());
        }
        let about = against.map(|site| format!(" about {}", self.named(site))).unwrap_or_default();
        Err(Failure::new(
            FailureKind::NeedsPerson,
            format!("no confidential desk known here may see who makes this report{about}"),
        )
        .hint("link this node once with its superiors; a report about the ministry itself is taken on paper"))
    }

    fn next_number(&mut self) -> Result<TicketNumber, Failure> {
        let today = self.reading().today()?;
        let day = Day::new(today.year() as u32, today.month() as u32, today.day() as u32)
            .map_err(|e| failed("this machine's date makes no ticket number", e))?;
        self.numbered = true;
        self.series
            .next(self.me().site(), day, self.block)
            .map_err(|e| failed("no ticket number could be given", e))
    }

    /// Numbers a ticket, and sees who is to read it.
    fn call(&mut self, ticket: NewTicket) -> Result<Call, Failure> {
        let number = self.next_number()?;
        let against = against(&ticket)?;
        let readers = first_readers(self.me().site(), ticket.confidential, against);
        let keys = self.members_of(&readers.sites).into_iter();
        let keys = keys.filter_map(|node| Some((node, self.box_of(node, readers.desk)?))).collect();
        Ok(Call { ticket, number, against, readers: keys, desk: readers.desk })
    }

    fn store_new(&mut self, composed: Composed) -> Result<Value, Failure> {
        let Composed { number, beginning, grants, own_grant, person } = composed;
        let doc = beginning.doc();
        let phone = person.as_ref().and_then(|p| p.get("phone")).and_then(Value::as_str);
        let earlier = phone.map(|phone| self.earlier(phone)).transpose()?.unwrap_or_default();
        self.replica
            .admit_beginning(beginning, grants, &mut self.store, &mut self.desk)
            .map_err(write_failure)?;
        if let Some(grant) = own_grant {
            self.mark_own(&grant, person.as_ref())?;
        }
        Ok(json!({
            "id": doc.to_string(),
            "number": number.to_string(),
            "custodian": self.me().site(),
            "stage": "in_hand",
            "earlier": earlier.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    }
}

fn parse(i: usize, given: &Value, reference: &Reference) -> Result<NewTicket, Failure> {
    let usage = |why: String| Failure::new(FailureKind::Usage, format!("ticket {}: {why}", i + 1));
    let sample = Sample::read(given, i + 1).map_err(|e| usage(e.to_string()))?;
    NewTicket::from_sample(sample, reference).map_err(|e| usage(e.to_string()))
}

/// Who is granted a ticket's key when the call is taken.
fn first_readers(taken_by: Site, confidential: bool, against: Option<Site>) -> Readers {
    let sites = match confidential {
        true => desks(taken_by, against).collect(),
        false => std::iter::once(taken_by).chain(taken_by.province()).collect(),
    };
    Readers { sites, desk: confidential, custodian: taken_by, taken_by }
}

/// A write that did not happen, for people.
pub(super) fn write_failure(e: WriteError<automerge::AutomergeError>) -> Failure {
    match e {
        WriteError::Caller(e) => failed("the document could not be written", e),
        WriteError::Refused(Refusal::TooLarge) => {
            Failure::new(FailureKind::NeedsPerson, "the ticket has outgrown what is loaded")
                .hint("close it and open a new one that refers to it")
        }
        WriteError::Refused(refusal) => failed("the change does not pass the gate", refusal),
        WriteError::Nothing => Failure::new(FailureKind::Failed, "there was nothing to write"),
        WriteError::Store(e) => e.into(),
    }
}
