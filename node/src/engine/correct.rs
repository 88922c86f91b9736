//! Facts that somebody mends: what may stand there, what stood there, and what somebody else wrote meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sync::id::DocId;

use super::Engine;
use crate::content::Content;
use crate::import::{MAX_EXTRA, fact};
use crate::request::{Correction, Failure, FailureKind};
use crate::ticket::facts::{FACTS, is_sealed_in_a_report, same};
use crate::ticket::{Corrected, Folded};

/// The most facts of one correction.
const MAX_FACTS: usize = 64;

impl Engine {
    /// What a correction changes: facts that are as wanted already are left out, unless two people set them at once. A topic
    /// brings its domain with it, and a new domain takes a topic of another one away.
    pub(super) fn corrected(
        &mut self,
        doc: DocId,
        folded: &Folded,
        wanted: &BTreeMap<String, Correction>,
    ) -> Result<BTreeMap<String, Corrected>, Failure> {
        if wanted.len() > MAX_FACTS {
            return Err(Failure::usage(format!("{} facts at once, and {MAX_FACTS} may be", wanted.len())));
        }
        let content = self.with_document(doc, |document, _| Content::read(document))?;
        let mut facts = BTreeMap::new();
        for (name, correction) in wanted {
            if folded.created.confidential && is_sealed_in_a_report(name) {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("`{name}` of a confidential report stays under its key, as the reporter said it"),
                ));
            }
            let stands = stands(&content, name);
            if correction.from.as_ref().is_some_and(|from| !same(from, &stands)) {
                return Err(Failure::new(
                    FailureKind::Moved,
                    format!("somebody else has changed `{name}` meanwhile: it is \"{stands}\" now"),
                )
                .hint("look at both, and say again which one is right"));
            }
            // What stands there already, or somebody else has just set, came in by the rules of whoever wrote it.
            let to = match set(&content, name).contains(&correction.to) {
                true => correction.to.clone(),
                false => fact(name, &correction.to, &self.reference)
                    .map_err(|e| Failure::usage(e.to_string()).hint(known()))?,
            };
            facts.insert(name.clone(), to);
        }
        let own: BTreeSet<&str> = content
            .facts
            .keys()
            .chain(facts.keys())
            .map(String::as_str)
            .filter(|n| n.starts_with("x."))
            .collect();
        if own.len() > MAX_EXTRA && facts.keys().any(|name| !content.facts.contains_key(name)) {
            return Err(Failure::usage(format!("a ticket has at most {MAX_EXTRA} fields of a centre's own")));
        }
        self.fit_topic(&content, &mut facts)?;
        let facts: BTreeMap<String, Corrected> = facts
            .into_iter()
            .filter(|(name, to)| content.conflicts.contains_key(name) || stands(&content, name) != *to)
            .map(|(name, to)| (name.clone(), Corrected { from: seen(&content, &name), to }))
            .collect();
        match facts.is_empty() {
            true => {
                Err(Failure::new(FailureKind::Failed, "nothing to correct: all of it stands there already"))
            }
            false => Ok(facts),
        }
    }

    fn fit_topic(&self, content: &Content, facts: &mut BTreeMap<String, String>) -> Result<(), Failure> {
        let categories = &self.reference.categories;
        let domain_of = |topic: &str| {
            let topic = topic.parse().ok().and_then(|code| categories.get(&code));
            topic.and_then(|topic| categories.domain_of(topic)).map(|domain| domain.code().to_string())
        };
        match (facts.get("domain").cloned(), facts.get("topic").cloned()) {
            (None, Some(topic)) => {
                if let Some(domain) = domain_of(&topic) {
                    facts.insert("domain".to_owned(), domain);
                }
            }
            (Some(domain), Some(topic)) if domain_of(&topic).is_some_and(|of| of != domain) => {
                return Err(Failure::usage(format!("the topic {topic} is not one of the domain {domain}"))
                    .hint("leave the domain out: the topic brings it"));
            }
            (Some(domain), None) => {
                let topic = stands(content, "topic");
                if domain_of(&topic).is_some_and(|of| of != domain) {
                    facts.insert("topic".to_owned(), String::new());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn known() -> String {
    let names: Vec<&str> = FACTS.iter().map(|(name, _, _)| *name).collect();
    format!("facts are {} and fields of your own", names.join(", "))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What stands there, and is shown.
fn stands(content: &Content, name: &str) -> String {
    content.facts.get(name).map(text).unwrap_or_default()
}

/// All that stands there: several values, when two people had set it at once; none, when nobody has.
fn set(content: &Content, name: &str) -> Vec<String> {
    match content.conflicts.get(name).and_then(Value::as_array) {
        Some(all) => all.iter().map(text).collect(),
        None => content.facts.get(name).map(text).into_iter().collect(),
    }
}

/// What stood there, in one text.
fn seen(content: &Content, name: &str) -> String {
    set(content, name).join(" / ")
}
