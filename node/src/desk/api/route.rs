//! Where a telephone system is to put a call through: it asks before it answers. Of two tables and nothing else.
//!
//! ```text
//! called ─┬─ 12328, or in no row                             local: it is answered here
//!         ├─ redirects.csv       tell | transfer             name the number | put through to it
//!         └─ legacy_numbers.csv  parallel                    local
//!            (by area)           voice-hint | off            tell: call 12328
//!                                transfer                    transfer: to 12328
//! ```
//!
//! The area is that of the called number if an area code stands before it, else that of the caller's landline, else the own
//! centre's. Neither number is kept, logged or given back.

use serde_json::{Value, json};

use super::super::App;
use super::problem::Problem;
use super::{Asked, Done};
use crate::reference::{Arrangement, RedirectMode, Reference};

/// The longest number that is looked at, in characters.
const MAX_NUMBER: usize = 64;

/// The own number.
const OWN: &str = "12328";

pub(super) fn route(app: &App, asked: &Asked) -> Result<Done, Problem> {
    let number = |name: &str| {
        let said = asked.query(name).unwrap_or_default();
        match said.len() <= MAX_NUMBER {
            true => Ok(digits(said)),
            false => Err(Problem::bad(format!("`{name}` has at most {MAX_NUMBER} characters"))),
        }
    };
    let (called, calling) = (number("called")?, number("calling")?);
    if called.is_empty() {
        return Err(Problem::bad("`called` is a telephone number"));
    }
    let here = format!("{:06}", app.me.site().code());
    Ok(Done::ok(decide(&app.reference(), &here, &called, &calling)))
}

/// The digits of a number as it is dialled in the country.
fn digits(said: &str) -> String {
    let digits: String = said.chars().filter(char::is_ascii_digit).collect();
    let abroad = digits
        .strip_prefix("0086")
        .or_else(|| digits.strip_prefix("86").filter(|_| said.trim().starts_with('+')));
    match abroad {
        // A landline has lost its zero, a mobile number never had one.
        Some(rest) if rest.starts_with('1') && rest.len() == 11 => rest.to_owned(),
        Some(rest) => format!("0{}", rest.trim_start_matches('0')),
        None => digits,
    }
}

fn decide(reference: &Reference, here: &str, called: &str, calling: &str) -> Value {
    let (area, number) = match reference.area_codes.split(called) {
        Some((area, rest)) if !rest.is_empty() => (Some(area), rest),
        _ => (None, called),
    };
    let area = area.or_else(|| reference.area_codes.split(calling).map(|(area, _)| area));
    let area = area.map_or_else(|| here.to_owned(), |area| area.to_string());
    let answer = |action: &str, number: Option<&str>, announcement: Option<String>, basis: Value| json!({ "action": action, "number": number, "announcement": announcement, "area": area, "basis": basis });
    if number == OWN {
        return answer("local", None, None, Value::Null);
    }
    if let Some(row) = reference.redirects.get(number) {
        let basis = json!({ "table": "redirects.csv", "number": row.number(), "says": row.name() });
        return match row.mode() {
            RedirectMode::Transfer => answer("transfer", Some(number), None, basis),
            RedirectMode::Tell => answer("tell", Some(number), Some(format!("tell-{number}")), basis),
        };
    }
    let Some(row) = reference.legacy.get(number, &area) else {
        return answer("local", None, None, Value::Null);
    };
    let basis = json!({
        "table": "legacy_numbers.csv", "number": row.number(), "area": row.area().to_string(), "says": row.basis(),
    });
    match row.arrangement() {
        Arrangement::Parallel => answer("local", None, None, basis),
        Arrangement::Transfer => answer("transfer", Some(OWN), None, basis),
        Arrangement::VoiceHint => answer("tell", Some(OWN), Some("moved-to-12328".to_owned()), basis),
        Arrangement::Off => answer("tell", Some(OWN), Some("off-use-12328".to_owned()), basis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(called: &str, calling: &str, here: &str) -> String {
        let said = decide(Reference::built_in(), here, &digits(called), &digits(calling));
        let text = |name: &str| said[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text("action"), text("number"), text("announcement"))
    }

    #[test]
    fn numbers_are_read_as_they_are_dialled_in_the_country() {
        for (said, read) in [
            ("12306", "12306"),
            ("+86 571 96266", "057196266"),
            ("0086-10-96123", "01096123"),
            ("+8613800000001", "13800000001"),
            ("0571-96266", "057196266"),
        ] {
            assert_eq!(digits(said), read, "{said}");
        }
    }

    #[test]
    fn the_area_is_the_called_numbers_else_the_callers_else_the_own() {
        assert_eq!(action("96266", "", "330100"), "transfer 12328 -");
        assert_eq!(action("96266", "", "340100"), "local - -", "nobody had it there");
        assert_eq!(action("96266", "0571-88888888", "340100"), "transfer 12328 -");
        assert_eq!(action("0571-96266", "0551-88888888", "340100"), "transfer 12328 -");
        assert_eq!(action("96333", "13800000001", "340100"), "tell 12328 off-use-12328");
        assert_eq!(action("0531-12328", "", "370100"), "local - -");
        assert_eq!(action("0531-12306", "", "370100"), "tell 12306 tell-12306");
        assert_eq!(action("4", "", "370100"), "local - -");
    }
}
