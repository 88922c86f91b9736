//! What lists offer to choose from, and the lists that several pages have.

use super::super::App;
use super::super::words::Words;
use crate::import::Urgency;

/// An option of a list.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// Values with what people read, of which one is chosen.
pub(super) fn choices(all: impl IntoIterator<Item = (String, String)>, chosen: &str) -> Vec<Choice> {
    all.into_iter().map(|(value, label)| Choice { chosen: value == chosen, value, label }).collect()
}

/// 业务类型.
pub(super) fn kinds(w: &Words) -> [(String, String); 3] {
    [("信息咨询", w.kind_consult), ("投诉举报", w.kind_complaint), ("意见建议", w.kind_suggestion)]
        .map(|(kind, label)| (kind.to_owned(), label.to_owned()))
}

/// 紧急程度.
pub(super) fn urgencies(w: &Words) -> [(String, String); 3] {
    Urgency::ALL.map(Urgency::word).map(|word| (word.to_owned(), w.urgency(word).to_owned()))
}

/// 业务领域, by code.
pub(super) fn domains(app: &App) -> Vec<(String, String)> {
    app.reference().categories.domains().map(|d| (d.code().to_string(), d.name().to_owned())).collect()
}

/// 事项, by code; of one domain, if it is named.
pub(super) fn topics(app: &App, of: &str) -> Vec<(String, String)> {
    let categories = &app.reference().categories;
    let domains = categories.domains().filter(|d| of.is_empty() || d.code().to_string() == of);
    let topics = domains.flat_map(|domain| {
        let topics = categories.topics(domain);
        topics.map(|t| (t.code().to_string(), format!("{} · {}", domain.name(), t.name())))
    });
    topics.collect()
}
