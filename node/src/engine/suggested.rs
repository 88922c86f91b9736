//! Who normally handles a ticket, as the dispatch catalogue says. It is a suggestion: whoever acts decides, and no rule reads it.

use certs::{Site, Tier};
use serde_json::{Map, Value, json};

use super::Engine;
use crate::projection::is_done;
use crate::reference::{Case, DivisionCode, Handler};
use crate::ticket::facts;

impl Engine {
    /// What the catalogue suggests for a ticket of these facts: `{"department","site","name","when":{...},"basis","text":{"zh","en"}}`.
    /// Nothing once it has ended, and never a site that nobody knows or the one that it is `against`.
    pub(super) fn suggested(
        &self,
        facts: &Map<String, Value>,
        stage: &str,
        against: Option<Site>,
    ) -> Option<Value> {
        if is_done(stage) {
            return None;
        }
        let said = |name: &str| facts.get(name).and_then(Value::as_str).unwrap_or_default();
        let [business, domain, topic, region] = ["business", "domain", "topic", "region"].map(said);
        let here = self.me().site();
        let handler = self.reference.dispatch.of(Case { business, domain, topic, region }, here)?;
        let (site, department) = (handler.site(here), handler.department(here));
        let known = |site: Site| site.tier() == Tier::Office || self.reference.centres.get(site).is_some();
        if site.is_some_and(|site| Some(site) == against || !known(site)) {
            return None;
        }
        let to = match (site, department) {
            (Some(site), _) => self.named(site),
            (None, department) => department.unwrap_or_default().to_owned(),
        };
        let when: Map<String, Value> =
            handler.when().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let basis = handler.basis();
        let [zh, en] = [true, false].map(|chinese| self.matter(handler, chinese));
        Some(json!({
            "department": department, "site": site, "when": when, "basis": basis,
            "text": {
                "zh": format!("按分派目录：{zh} → {to}（依据：{basis}）"),
                "en": format!("by the dispatch catalogue: {en} → {to} (basis: {basis})"),
            },
        }))
    }

    /// Of which matters a row is, in words.
    fn matter(&self, handler: &Handler, chinese: bool) -> String {
        let reference = &self.reference;
        let part = |(name, value): (&'static str, &str)| {
            let category = || reference.categories.get(&value.parse().ok()?).map(|c| c.name().to_owned());
            let place =
                || Some(reference.divisions.full_name(value.parse::<DivisionCode>().ok()?).to_string());
            let shown = match name {
                "domain" | "topic" => category(),
                "region" => place(),
                _ => None,
            };
            let shown = shown.unwrap_or_else(|| value.to_owned());
            match (facts::label(name), chinese) {
                ((zh, _), true) => format!("{zh}{shown}"),
                ((_, en), false) => format!("{} {shown}", en.to_lowercase()),
            }
        };
        let parts: Vec<String> = handler.when().map(part).collect();
        match (parts.is_empty(), chinese) {
            (true, true) => "所有事项".to_owned(),
            (true, false) => "everything".to_owned(),
            (false, true) => parts.join("，"),
            (false, false) => parts.join(", "),
        }
    }
}
