//! New tickets: numbered, sealed and granted with every link down.

use automerge::ObjType;
use automerge::ROOT;
use automerge::transaction::Transactable;
use certs::Site;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sync::document::Refusal;
use sync::replica::WriteError;
use zeroize::Zeroizing;

use super::{Engine, failed, shown_time};
use crate::import::{NewTicket, Sample};
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::entry::{Create, Entry, Op};
use crate::ticket::matter::{KIND, SCHEMA};
use crate::ticket::number::{Day, TicketNumber};
use crate::ticket::readers::{Readers, desks};
use crate::vault::{Part, TicketKey};

/// The rules that a ticket made by this version names until policy is replicated data.
const RULE: &str = "built-in 1";

/// The field of a new ticket that names the unit of ours which the matter is about.
const AGAINST: &str = "against";

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
        let parsed: Vec<NewTicket> =
            tickets.iter().enumerate().map(|(i, t)| self.parse(i, t)).collect::<Result<_, _>>()?;
        parsed.iter().try_for_each(|ticket| self.somebody_sees(ticket))?;
        let mut made = Vec::with_capacity(parsed.len());
        for ticket in &parsed {
            match self.create_one(ticket, user) {
                Ok(one) => made.push(one),
                Err(failure) => {
                    self.spoiled = Some(
                        Failure::new(FailureKind::TryAgain, "nothing was saved: a request failed half-way")
                            .because(&failure),
                    );
                    return Err(failure);
                }
            }
        }
        Ok(Value::from(made))
    }

    fn parse(&self, i: usize, given: &Value) -> Result<NewTicket, Failure> {
        let usage = |why: String| Failure::new(FailureKind::Usage, format!("ticket {}: {why}", i + 1));
        let bytes = serde_json::to_vec(given).map_err(|e| usage(e.to_string()))?;
        let sample = Sample::parse(&bytes, i + 1).map_err(|e| usage(e.to_string()))?;
        NewTicket::from_sample(sample, &self.reference).map_err(|e| usage(e.to_string()))
    }

    /// A report whose reporter nobody could ever be shown is not taken: what was said would be lost without a word.
    fn somebody_sees(&self, ticket: &NewTicket) -> Result<(), Failure> {
        let against = against(ticket)?;
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
        let china = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
        let today = Timestamp::from_millisecond(self.now as i64)
            .map_err(|e| failed("this machine's date makes no sense", e))?
            .to_zoned(china);
        let day = Day::new(today.year() as u32, today.month() as u32, today.day() as u32)
            .map_err(|e| failed("this machine's date makes no ticket number", e))?;
        self.numbered = true;
        self.series
            .next(self.me().site(), day, self.block)
            .map_err(|e| failed("no ticket number could be given", e))
    }

    fn create_one(&mut self, ticket: &NewTicket, user: Option<&str>) -> Reply {
        let me = self.me();
        let site = me.site();
        let number = self.next_number()?;
        let against = against(ticket)?;
        let create = Create {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            number: number.to_string(),
            site,
            confidential: ticket.confidential,
            against,
            reported: true,
            rule: RULE.to_owned(),
        };
        let entry = Entry {
            user: user.map(str::to_owned),
            at: Some(shown_time(self.now)),
            ..Entry::new(Op::Create(Box::new(create)), [], me)
        };
        let bytes = entry.to_bytes();
        let key = TicketKey::draw().map_err(|e| failed("the caller's data could not be sealed", e))?;
        let person = person(ticket);
        let mut facts = facts(ticket);
        // What a confidential reporter said could tell who it was: it goes under the key, and no text of it stays.
        let (body, secret) = match ticket.confidential {
            true => ("", Some(words_of(ticket, &mut facts))),
            false => (ticket.body.as_str(), None),
        };
        let mut sealed = Vec::new();
        for (part, said) in [(Part::Person, &person), (Part::Body, &secret)] {
            let Some(said) = said else { continue };
            let json =
                Zeroizing::new(serde_json::to_vec(said).map_err(|e| failed("it could not be written", e))?);
            let bytes =
                key.seal(part, &json).map_err(|e| failed("the caller's data could not be sealed", e))?;
            sealed.push((part, bytes));
        }
        let written = self.replica.write(None, &mut self.store, &mut self.desk, |_, tx| {
            let part = tx.put_object(ROOT, "facts", ObjType::Map)?;
            for (name, value) in &facts {
                match value {
                    Value::String(s) => tx.put(&part, name.as_str(), s.as_str())?,
                    Value::Bool(b) => tx.put(&part, name.as_str(), *b)?,
                    other => tx.put(&part, name.as_str(), other.to_string())?,
                }
            }
            let text = tx.put_object(ROOT, "body", ObjType::Text)?;
            tx.splice_text(&text, 0, 0, body)?;
            let part = tx.put_object(ROOT, "person", ObjType::Map)?;
            for (at, bytes) in &sealed {
                tx.put(&part, at.key(), bytes.clone())?;
            }
            let trail = tx.put_object(ROOT, "trail", ObjType::Map)?;
            tx.put(&trail, crate::ticket::EntryId::of(&bytes).to_string(), bytes.clone())?;
            tx.put_object(ROOT, "notes", ObjType::Map)?;
            tx.put_object(ROOT, "files", ObjType::Map)?;
            Ok::<(), automerge::AutomergeError>(())
        });
        let doc = written.map_err(write_failure)?;
        let phone = &ticket.caller.phone;
        let earlier = if phone.is_empty() { Vec::new() } else { self.earlier(phone)? };
        if !sealed.is_empty() {
            let readers = first_readers(site, ticket.confidential, against);
            self.grant_sites(&doc, &key, &readers)?;
            self.mark_own(&doc, person.as_ref())?;
        }
        Ok(json!({
            "id": doc.to_string(),
            "number": number.to_string(),
            "custodian": site,
            "stage": "in_hand",
            "earlier": earlier.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    }
}

/// Who is granted a ticket's key when the call is taken.
fn first_readers(taken_by: Site, confidential: bool, against: Option<Site>) -> Readers {
    match confidential {
        true => Readers { sites: desks(taken_by, against).collect(), desk: true },
        false => {
            Readers { sites: std::iter::once(taken_by).chain(taken_by.province()).collect(), desk: false }
        }
    }
}

/// The caller as JSON; `None` when nothing is known.
fn person(ticket: &NewTicket) -> Option<Map<String, Value>> {
    let caller = &ticket.caller;
    let fields = [
        ("name", &caller.name),
        ("phone", &caller.phone),
        ("address", &caller.address),
        ("kind", &caller.kind),
    ];
    let said: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| (k.to_owned(), Value::from(v.as_str())))
        .collect();
    if said.is_empty() { None } else { Some(said) }
}

/// The unit of ours that the matter is about, if one is named.
fn against(ticket: &NewTicket) -> Result<Option<Site>, Failure> {
    let Some(said) = ticket.extra.get(AGAINST).and_then(Value::as_str).filter(|s| !s.is_empty()) else {
        return Ok(None);
    };
    said.parse().map(Some).map_err(|e| {
        Failure::new(FailureKind::Usage, e)
            .hint("`against` names the site that the matter is about, like 370100")
    })
}

/// Takes what a confidential reporter said in words out of the facts: subject, persons named and extra fields.
fn words_of(ticket: &NewTicket, facts: &mut Map<String, Value>) -> Map<String, Value> {
    let free = |name: &String| name == "subject" || name == "object_person" || name.starts_with("x.");
    let names: Vec<String> = facts.keys().filter(|n| free(n)).cloned().collect();
    let mut words: Map<String, Value> =
        names.into_iter().filter_map(|n| facts.remove(&n).map(|v| (n, v))).collect();
    words.insert("body".to_owned(), Value::from(ticket.body.as_str()));
    words
}

fn facts(ticket: &NewTicket) -> Map<String, Value> {
    let mut facts = Map::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            facts.insert(name.to_owned(), Value::from(value));
        }
    };
    put("channel", ticket.channel.clone());
    put("business", ticket.business.clone());
    put("domain", ticket.domain.as_ref().map(ToString::to_string).unwrap_or_default());
    put("topic", ticket.topic.as_ref().map(ToString::to_string).unwrap_or_default());
    put("region", ticket.region.as_ref().map(ToString::to_string).unwrap_or_default());
    put("place", ticket.place.clone());
    put("happened_at", ticket.happened_at.clone());
    put("subject", ticket.subject.clone());
    put("plate", ticket.plate.clone());
    put("unit", ticket.unit.clone());
    put("object_person", ticket.object_person.clone());
    put("urgency", ticket.urgency.word().to_owned());
    put("external_numbers", ticket.external_numbers.join(" "));
    for (name, value) in ticket.extra.iter().filter(|(name, _)| *name != AGAINST) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        put(&format!("x.{name}"), value);
    }
    facts
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
