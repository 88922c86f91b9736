//! The facts of a ticket: in which order people read them, and what each is called.

use crate::reference::{OwnField, OwnFields};

/// Every fact that has a place of its own with its name in Chinese and English, in the order in which people read them.
/// Fields of a centre's own stand beside them under `x.` and their name.
pub const FACTS: [(&str, &str, &str); 14] = [
    ("subject", "主题", "Subject"),
    ("urgency", "紧急程度", "Urgency"),
    ("business", "业务类型", "Kind"),
    ("domain", "业务领域", "Domain"),
    ("topic", "事项", "Topic"),
    ("region", "区划", "Region"),
    ("place", "地点", "Place"),
    ("happened_at", "发生时间", "Happened"),
    ("plate", "车牌号", "Plate"),
    ("unit", "被反映单位", "Unit"),
    ("object_person", "被反映人", "Person"),
    ("centre", "服务中心", "Centre served"),
    ("channel", "来源", "Channel"),
    ("external_numbers", "外部编号", "Other numbers"),
];

/// The field in which the public page keeps the class that a citizen chose.
const FILED_AS: &str = "x.filed_as";

/// The field that marks a ticket as made to test the service (抽检).
pub const TEST: &str = "x.test";

/// Where a fact comes in the order in which people read them; all that have no place of their own come last.
pub fn place(name: &str) -> usize {
    FACTS.iter().position(|(fact, _, _)| *fact == name).unwrap_or(FACTS.len())
}

/// What a fact is called, in Chinese and in English; a field of a centre's own by its name.
pub fn label(name: &str) -> (&str, &str) {
    match FACTS.iter().find(|(fact, _, _)| *fact == name) {
        Some((_, zh, en)) => (zh, en),
        None if name == TEST => ("抽检工单", "Test ticket"),
        None if name == FILED_AS => ("网上选择的类别", "Filed by the public page as"),
        None => {
            let own = name.strip_prefix("x.").unwrap_or(name);
            (own, own)
        }
    }
}

/// The same where a centre's own fields are known: one of those by its label.
pub fn label_of<'a>(name: &'a str, fields: &'a OwnFields) -> (&'a str, &'a str) {
    fields.of_fact(name).map_or_else(|| label(name), OwnField::label)
}

/// Whether two texts say the same of a fact: blanks and ends of lines between words, of which forms and browsers make what they
/// will, do not count.
pub fn same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

/// Whether a confidential report keeps this fact under the ticket's key: what its reporter said in words.
pub fn is_sealed_in_a_report(name: &str) -> bool {
    name == "subject" || name == "object_person" || name.starts_with("x.")
}
