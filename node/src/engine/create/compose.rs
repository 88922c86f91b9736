//! What a new ticket consists of, made without the store: sealed parts, first change, grants.
//!
//! Everything here reads the call and who takes it, so many can be made side by side.

use std::collections::{BTreeMap, HashMap};

use automerge::transaction::Transactable;
use automerge::{ScalarValue, TextEncoding, hydrate};
use certs::{BoxKey, NodeName, Site};
use serde_json::{Map, Value};
use sync::id::{DocId, Incarnation, ItemHash};
use sync::item::Kind;
use sync::replica::Beginning;
use zeroize::Zeroizing;

use super::write_failure;
use crate::engine::failed;
use crate::import::{NewTicket, mask_phones};
use crate::reference::BUILT_IN;
use crate::request::{Failure, FailureKind};
use crate::ticket::entry::{Create, Entry, Op};
use crate::ticket::facts::is_sealed_in_a_report;
use crate::ticket::matter::{KIND, SCHEMA};
use crate::ticket::number::TicketNumber;
use crate::ticket::times::POLICY;
use crate::ticket::{EntryId, TicketMatter};
use crate::vault::{Part, TicketKey};

/// The field of a new ticket that names the unit of ours which the matter is about.
const AGAINST: &str = "against";

/// Who takes calls: the same for all of a request.
pub(super) struct Taker<'a> {
    pub(super) me: NodeName,
    pub(super) incarnation: Incarnation,
    pub(super) user: Option<&'a str>,
    /// The time as it is shown.
    pub(super) at: String,
    /// The limits that are in force here, if a site has set any.
    pub(super) policy: Option<String>,
    /// How often a ticket may come back, if that is said here otherwise than everywhere.
    pub(super) declines: Option<u32>,
}

/// A call that becomes a ticket.
pub(super) struct Call {
    pub(super) ticket: NewTicket,
    pub(super) number: TicketNumber,
    /// The unit of ours that the matter is about.
    pub(super) against: Option<Site>,
    /// Who is granted the ticket's key.
    pub(super) readers: Vec<(NodeName, BoxKey)>,
    /// Whether they are confidential desks.
    pub(super) desk: bool,
}

/// A ticket that has everything but its place in the store.
pub(super) struct Composed {
    pub(super) number: TicketNumber,
    pub(super) beginning: Beginning<TicketMatter>,
    pub(super) grants: Vec<(Kind, Vec<u8>)>,
    /// Which of them is for this node.
    pub(super) own_grant: Option<ItemHash>,
    pub(super) person: Option<Map<String, Value>>,
}

impl Taker<'_> {
    pub(super) fn compose(&self, call: &Call) -> Result<Composed, Failure> {
        let unsealed = |e| failed("the caller's data could not be sealed", e);
        let key = TicketKey::draw().map_err(unsealed)?;
        let ticket = &call.ticket;
        let person = person(ticket);
        let mut facts = facts(ticket);
        if ticket.centre == Some(self.me.site()) {
            facts.remove("centre"); // its own
        }
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
            sealed.push((part, key.seal(part, &json).map_err(unsealed)?));
        }
        let beginning = self.begin(&facts, body, &sealed, &self.entry(call))?;
        let mut composed =
            Composed { number: call.number, beginning, grants: Vec::new(), own_grant: None, person };
        if !sealed.is_empty() {
            composed.grant(&key, call, self.me)?;
        }
        Ok(composed)
    }

    /// The entry that creates the ticket.
    fn entry(&self, call: &Call) -> Vec<u8> {
        let create = Create {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            number: call.number.to_string(),
            site: self.me.site(),
            confidential: call.ticket.confidential,
            against: call.against,
            reported: true,
            rule: BUILT_IN.to_owned(),
            declines: self.declines,
        };
        let policy = self.policy.iter().map(|policy| (POLICY.to_owned(), policy.clone().into()));
        let entry = Entry {
            extra: policy.collect(),
            user: self.user.map(str::to_owned),
            at: Some(self.at.clone()),
            ..Entry::new(Op::Create(Box::new(create)), [], self.me)
        };
        entry.to_bytes()
    }

    fn begin(
        &self,
        facts: &BTreeMap<String, String>,
        body: &str,
        sealed: &[(Part, Vec<u8>)],
        entry: &[u8],
    ) -> Result<Beginning<TicketMatter>, Failure> {
        let bytes = |bytes: &[u8]| hydrate::Value::from(ScalarValue::Bytes(bytes.to_vec()));
        let text = hydrate::Text::new(TextEncoding::platform_default(), body);
        let id = EntryId::of(entry).to_string();
        let parts: [(&str, hydrate::Value); 6] = [
            ("facts", map(facts.iter().map(|(name, said)| (name.as_str(), said.as_str().into())))),
            ("body", hydrate::Value::Text(text)),
            ("person", map(sealed.iter().map(|(part, sealed)| (part.key(), bytes(sealed))))),
            ("trail", map([(id.as_str(), bytes(entry))])),
            ("notes", map([])),
            ("files", map([])),
        ];
        let parts = hydrate::Map::from(HashMap::from(parts));
        // All in one stroke, which takes automerge a fraction of so many single ones. It puts keys in order itself.
        Beginning::compose(self.me, self.incarnation, TicketMatter::new, |tx| {
            tx.init_root_from_hydrate(&parts)
        })
        .map_err(write_failure)
    }
}

fn map<'a>(values: impl IntoIterator<Item = (&'a str, hydrate::Value)>) -> hydrate::Value {
    HashMap::from_iter(values).into()
}

impl Composed {
    pub(super) fn doc(&self) -> DocId {
        self.beginning.doc()
    }

    /// Seals the ticket's key to its first readers.
    fn grant(&mut self, key: &TicketKey, call: &Call, me: NodeName) -> Result<(), Failure> {
        for (node, to) in &call.readers {
            let grant = key.grant(&self.doc(), *node, call.desk, to);
            let grant = grant.map_err(|e| failed("a ticket's key could not be granted", e))?;
            if *node == me {
                self.own_grant = Some(Kind::GRANT.hash(&grant));
            }
            self.grants.push((Kind::GRANT, grant));
        }
        Ok(())
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
pub(super) fn against(ticket: &NewTicket) -> Result<Option<Site>, Failure> {
    let Some(said) = ticket.extra.get(AGAINST).and_then(Value::as_str).filter(|s| !s.is_empty()) else {
        return Ok(None);
    };
    said.parse().map(Some).map_err(|e| {
        Failure::new(FailureKind::Usage, e)
            .hint("`against` names the site that the matter is about, like 370100")
    })
}

/// Takes what a confidential reporter said in words out of the facts: subject, persons named and extra fields.
fn words_of(ticket: &NewTicket, facts: &mut BTreeMap<String, String>) -> Map<String, Value> {
    let names: Vec<String> = facts.keys().filter(|n| is_sealed_in_a_report(n)).cloned().collect();
    let mut words: Map<String, Value> =
        names.into_iter().filter_map(|n| facts.remove(&n).map(|v| (n, v.into()))).collect();
    words.insert("body".to_owned(), Value::from(ticket.body.as_str()));
    words
}

fn facts(ticket: &NewTicket) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            facts.insert(name.to_owned(), value);
        }
    };
    put("channel", ticket.channel.clone());
    put("business", ticket.business.clone());
    put("domain", ticket.domain.as_ref().map(ToString::to_string).unwrap_or_default());
    put("topic", ticket.topic.as_ref().map(ToString::to_string).unwrap_or_default());
    put("region", ticket.region.as_ref().map(ToString::to_string).unwrap_or_default());
    put("centre", ticket.centre.map(|site| site.to_string()).unwrap_or_default());
    put("place", ticket.place.clone());
    put("happened_at", ticket.happened_at.clone());
    put("subject", ticket.subject.clone());
    put("plate", ticket.plate.clone());
    put("unit", ticket.unit.clone());
    put("object_person", ticket.object_person.clone());
    put("urgency", ticket.urgency.word().to_owned());
    put("external_numbers", ticket.external_numbers.join(" "));
    for (name, value) in ticket.extra.iter().filter(|(name, _)| *name != AGAINST) {
        // Whatever an old system kept there: a telephone number stands nowhere in clear.
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        put(&format!("x.{name}"), mask_phones(&value).into_owned());
    }
    facts
}
