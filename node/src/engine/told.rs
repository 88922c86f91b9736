//! What a ticket's caller is told of it, by whoever has the number and its query code.
//!
//! Only what follows leaves: where the ticket stands and with whom, its dates, and the answers that were given to the
//! caller and have effect. An answer is free text that agents write, so the caller's own name, number and address are
//! taken out of it, and every telephone number is masked: whoever found a slip with number and code learns nobody's name.

use serde_json::{Map, Value, json};

use super::Engine;
use crate::import::mask_phones;
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::number::TicketNumber;

/// The steps whose text is meant for the caller.
const ANSWERS: [&str; 4] = ["answer", "redirect", "reject", "reply"];

/// What stands for something that was taken out.
const HIDDEN: &str = "＊＊";

impl Engine {
    pub(super) fn told_caller(&mut self, number: TicketNumber) -> Reply {
        let number = number.to_string();
        let doc = self.find(&number)?;
        let shown = self.show(&doc.to_string(), None, None)?;
        if shown["not_counted"] == true || shown["number"] != number.as_str() {
            return Err(Failure::new(FailureKind::Absent, format!("no ticket {number} is here")));
        }
        // Who cannot open the person has nothing to compare with; what agents may not write stays masked all the same.
        let person = self.person(doc, shown["confidential"] == true).unwrap_or_default();
        let void = |list: &str, id: &Value| {
            shown[list].as_array().into_iter().flatten().any(|beaten| &beaten["entry"] == id)
        };
        let trail = || shown["trail"].as_array().into_iter().flatten();
        let answers: Vec<Value> = trail()
            .filter(|e| e["op"].as_str().is_some_and(|op| ANSWERS.contains(&op)) && e["not_counted"] != true)
            .filter(|e| !void("superseded", &e["id"]) && !void("unentitled", &e["id"]))
            .filter_map(|e| {
                let said = [&e["text"], &e["reason"]].into_iter().filter_map(Value::as_str);
                let text = said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
                (!text.is_empty())
                    .then(|| json!({ "entry": e["id"], "at": e["at"], "text": hidden(&text, &person) }))
            })
            .collect();
        let taken = trail().find(|e| e["op"] == "create").map_or(Value::Null, |e| e["at"].clone());
        let deadline = &shown["deadline"];
        Ok(json!({
            "number": number,
            "stage": shown["stage"],
            "taken_at": taken,
            "held_by": shown["custodian"],
            "due": deadline["due"],
            "paused": deadline.is_object() && deadline["due"].is_null(),
            "answers": answers,
        }))
    }
}

/// A text without what the caller is known by.
fn hidden(text: &str, person: &Map<String, Value>) -> String {
    let mut text = text.to_owned();
    for said in ["phone", "name", "address"].iter().filter_map(|part| person.get(*part)?.as_str()) {
        // A single character is in many words that are no name.
        if said.trim().chars().nth(1).is_some() {
            text = text.replace(said.trim(), HIDDEN);
        }
    }
    mask_phones(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_nobody_who_the_caller_is() {
        let person = json!({ "name": "赵六", "phone": "0531-5550", "address": "历山路1号", "kind": "乘客" });
        let check = |text: &str, expected: &str| {
            assert_eq!(hidden(text, person.as_object().unwrap()), expected);
        };
        check("赵六您好，已致电0531-5550", "＊＊您好，已致电＊＊");
        check("司机电话13900000002", "司机电话139****0002");
        check("已到历山路1号核实，乘客所述属实", "已到＊＊核实，乘客所述属实");
        let short = json!({ "name": "王" });
        assert_eq!(hidden("王府井站", short.as_object().unwrap()), "王府井站");
    }
}
