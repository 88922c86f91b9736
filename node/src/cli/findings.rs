//! What an operator should look at, in words: conflicts, and what a peer lacks.

use serde_json::{Value, json};

use super::show;

/// `replica conflicts`: a row for everything that a person should look at, with its reason.
pub(super) fn conflicts(found: &Value) {
    let rows: Vec<Value> = found
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let about =
                [&row["number"], &row["id"], &row["node"], &row["kind"]].into_iter().find(|v| v.is_string());
            json!({
                "what": row["what"],
                "about": about,
                "entry": if row["entry"].is_null() { &row["item"] } else { &row["entry"] },
                "reason": reason(row),
                "beaten_by": row["beaten_by"],
            })
        })
        .collect();
    match rows.is_empty() {
        true => show::aside("nothing that a person has to look at"),
        false => show::table(&rows),
    }
}

/// The reason in words; what a newer version says and this one does not know is given as it stands.
fn reason(row: &Value) -> String {
    let reason = &row["reason"];
    if let Some(superior) = reason["superior"].as_str() {
        return format!("{superior}, a superior, decided otherwise");
    }
    if let Some(fact) = reason["both"]["fact"].as_str() {
        let values = reason["both"]["values"].as_array().into_iter().flatten();
        let values: Vec<String> = values.map(Value::to_string).collect();
        return format!(
            "`{fact}` was set twice at once: {}; say which with `ticket correct`",
            values.join(" and ")
        );
    }
    if let Some(alarm) = reason["alarm"].as_str() {
        let several = |key: &str| reason[key].as_array().map_or(0, Vec::len);
        return match alarm {
            "tie" => "replicas or forks of one site chose differently at once; one stands, see the history"
                .to_owned(),
            "twice" => {
                "replicas or forks of one site chose the same custodian at once; nothing is to be done"
                    .to_owned()
            }
            "offers_at_once" => {
                format!("{} offers are open at once; withdraw all but one", several("offers"))
            }
            "joined_at_once" => {
                format!("it is joined to {} tickets at once; undo all but one", several("merges"))
            }
            "newer" => "it holds an operation of a newer version; update this program".to_owned(),
            "frozen" | "flooded" => {
                format!("its trail has {} entries; a person has to look at it", reason["entries"])
            }
            other => other.to_owned(),
        };
    }
    match reason.as_str() {
        Some("accepted") => "another accept had gone before".to_owned(),
        Some("assigned") => "the custodian had assigned the ticket already".to_owned(),
        Some("tie") => "another of equal rank was chosen".to_owned(),
        Some("too_late") => "a superior had confirmed that the offer had ended".to_owned(),
        Some("unaware") => "it did not know of every offer and reopen; close the ticket again".to_owned(),
        Some(words) => words.to_owned(),
        None => reason.to_string(),
    }
}

/// `replica diff`: a row for everything that the peer lacks, with why; below it how sure that is.
pub(super) fn diff(found: &Value) {
    let part = |key: &str| found[key].as_array().map_or(&[][..], Vec::as_slice);
    let owed = part("rows").iter().map(|row| {
        let why = row["why"].as_str().unwrap_or_default();
        let why = match row["counted"].as_str() {
            None | Some("yes") => why.to_owned(),
            Some(not) => format!("{why}; {not}"),
        };
        json!({ "kind": row["kind"], "document": row["document"], "id": row["id"], "why": why })
    });
    let refused = part("refused_there").iter().map(|row| {
        let why = format!("refused there: {}", row["reason"].as_str().unwrap_or_default());
        json!({ "kind": row["kind"], "document": row["document"], "id": row["id"], "why": why })
    });
    let rows: Vec<Value> = owed.chain(refused).collect();
    if !rows.is_empty() {
        show::table(&rows);
    }
    let number = |key: &str| found[key].as_u64().unwrap_or(0);
    if number("more") > 0 {
        show::aside(&format!("and {} more: --limit N", number("more")));
    }
    show::aside(&format!(
        "{}: {}",
        found["peer"].as_str().unwrap_or_default(),
        found["standing"].as_str().unwrap_or_default()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words() {
        let check = |given: Value, words: &str| {
            let said = reason(&json!({ "reason": given }));
            assert!(said.contains(words), "{said} lacks {words}");
        };
        check(json!({ "superior": "370000" }), "370000, a superior, decided otherwise");
        check(
            json!({ "both": { "fact": "place", "values": ["a", "b"] } }),
            "`place` was set twice at once: \"a\" and \"b\"",
        );
        check(json!("unaware"), "close the ticket again");
        check(json!({ "alarm": "offers_at_once", "offers": ["a", "b"] }), "2 offers are open at once");
        check(json!({ "alarm": "of a newer version" }), "of a newer version");
        check(json!("two seals bear one number"), "two seals bear one number");
        check(json!({ "new": 1 }), "{\"new\":1}");
    }

    #[test]
    fn the_words_fit_what_the_fold_writes() {
        use crate::ticket::fold::Beaten;
        let all = [Beaten::Accepted, Beaten::Assigned, Beaten::Tie, Beaten::TooLate, Beaten::Unaware];
        for beaten in all {
            let written = json!(beaten);
            let said = reason(&json!({ "reason": written }));
            assert_ne!(Some(said.as_str()), written.as_str(), "{beaten:?} has no words of its own");
        }
        let superior = json!(Beaten::Superior("370000".parse().expect("a site")));
        assert!(reason(&json!({ "reason": superior })).contains("370000, a superior"));
    }
}
