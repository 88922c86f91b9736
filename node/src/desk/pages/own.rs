//! Fields of the centre's own in the form of a call: shown, looked at, and put into the ticket.

use serde_json::Value;

use super::super::App;
use super::super::forms::Fields;
use super::super::words::Words;
use super::call::Problem;
use super::choice::{Choice, choices, domains, kinds};
use crate::import::{own, unfit};
use crate::reference::{FieldKind, OwnField, OwnFields};

/// One of them, as the form shows it.
pub(super) struct Own {
    pub(super) id: String,
    /// Its name in the form.
    pub(super) name: String,
    pub(super) label: String,
    /// What kind of field: the words of the table.
    pub(super) kind: &'static str,
    pub(super) required: bool,
    /// Of which matters it is asked, in words; empty for all.
    pub(super) only_for: String,
    /// The same as the form's lists have it.
    pub(super) business: String,
    pub(super) domain: String,
    pub(super) options: Vec<Choice>,
    pub(super) value: String,
    pub(super) problem: String,
}

/// What a field is called in the form: the fact that it becomes.
pub(super) fn name_of(field: &OwnField) -> String {
    format!("x.{}", field.name())
}

fn id_of(field: &OwnField) -> String {
    format!("x-{}", field.name())
}

/// What a field that is a list offers; nothing for one that is not. What stands there already is among it, whatever it is.
pub(super) fn options(w: &Words, field: &OwnField, value: &str) -> Vec<Choice> {
    let same = |choice: &str| (choice.to_owned(), choice.to_owned());
    let all: Vec<(String, String)> = match field.kind() {
        FieldKind::Choice(all) => all.iter().map(|choice| same(choice)).collect(),
        FieldKind::Yes => ["是", "否"].map(|word| (word.to_owned(), w.yes_or_no(word).to_owned())).into(),
        FieldKind::Text | FieldKind::Number | FieldKind::Date => return Vec::new(),
    };
    let known = value.is_empty() || all.iter().any(|(choice, _)| choice == value);
    let kept = (!known).then(|| same(value));
    choices(std::iter::once((String::new(), w.choose.to_owned())).chain(kept).chain(all), value)
}

/// All of them with what was typed: a page without its script shows each, and says of which matters it is asked.
pub(super) fn fields(app: &App, w: &Words, typed: &Fields, problems: &[Problem]) -> Vec<Own> {
    let reference = app.reference();
    let called = |all: &[(String, String)], value: &str| {
        all.iter()
            .find(|(code, _)| code == value)
            .map_or_else(|| value.to_owned(), |(_, label)| label.clone())
    };
    let shown = |field: &OwnField| {
        let id = id_of(field);
        let value = typed.text(&name_of(field)).to_owned();
        let only_for = [called(&kinds(w), field.business()), called(&domains(app), field.domain())];
        let problem = problems.iter().find(|p| p.href == format!("#{id}"));
        Own {
            name: name_of(field),
            label: w.own(field).to_owned(),
            kind: field.kind().word(),
            required: field.required(),
            only_for: only_for.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · "),
            business: field.business().to_owned(),
            domain: field.domain().to_owned(),
            options: options(w, field, &value),
            problem: problem.map_or_else(String::new, |p| p.text.clone()),
            value,
            id,
        }
    };
    reference.fields.iter().map(shown).collect()
}

/// What has to be mended; with `complete` also what is missing of what this matter is asked.
pub(super) fn problems(w: &Words, fields: &OwnFields, typed: &Fields, complete: bool) -> Vec<Problem> {
    let (business, domain) = (typed.text("kind"), typed.text("domain"));
    let look = |field: &OwnField| {
        let said = own(field, typed.text(&name_of(field)));
        let unfit = unfit(field, said, (business, domain), complete)?;
        Some(Problem {
            href: format!("#{}", id_of(field)),
            text: format!("{}: {}", w.own(field), w.unfit(unfit)),
        })
    };
    fields.iter().filter_map(look).collect()
}

/// Puts what was typed into the ticket that is asked for: also in a field that was taken out of the table while somebody typed.
pub(super) fn put(typed: &Fields, sample: &mut Value) {
    let named = typed.all().filter_map(|(name, said)| Some((name.strip_prefix("x.")?, said)));
    for (name, said) in named.filter(|(name, said)| !said.is_empty() && !OwnFields::is_taken(name)) {
        sample[name] = said.into();
    }
}
