//! What a plan is asked for with: what `hotline plan` takes, from an address or a form.

use jiff::civil::Date;
use serde::Deserialize;

use super::super::super::forms::Fields;
use super::super::super::words::Words;
use crate::plan::calls::{MOST_DAYS, USUAL_DAYS, monday_after};
use crate::plan::staffing::{Goal, MOST_PLANNED, USUAL_PLANNED, percent, seconds};

/// As it was typed.
#[derive(Deserialize)]
#[serde(default)]
pub(in super::super::super) struct Asked {
    pub(super) from: String,
    pub(super) days: String,
    pub(super) history: String,
    pub(super) level: String,
    pub(super) within: String,
    pub(super) handling: String,
    pub(super) patience: String,
    pub(super) busy: String,
    /// The day that is shown quarter by quarter.
    pub(super) day: String,
}

/// As it is meant.
pub(super) struct Wanted {
    pub(super) first: Date,
    pub(super) days: u16,
    pub(super) history: u16,
    pub(super) goal: Goal,
    pub(super) day: Option<Date>,
}

impl Default for Asked {
    fn default() -> Asked {
        let goal = Goal::USUAL;
        Asked {
            from: String::new(),
            days: USUAL_PLANNED.to_string(),
            history: USUAL_DAYS.to_string(),
            level: (goal.level * 100.0).to_string(),
            within: goal.within.to_string(),
            handling: goal.handling.to_string(),
            patience: String::new(),
            busy: (goal.turned_away * 100.0).to_string(),
            day: String::new(),
        }
    }
}

impl Asked {
    /// What a form brings; what it does not say is as usual.
    pub(super) fn of(fields: &Fields) -> Asked {
        let usual = Asked::default();
        let said = |name: &str, usual: String| fields.has(name).unwrap_or(usual);
        Asked {
            from: said("from", usual.from),
            days: said("days", usual.days),
            history: said("history", usual.history),
            level: said("level", usual.level),
            within: said("within", usual.within),
            handling: said("handling", usual.handling),
            patience: said("patience", usual.patience),
            busy: said("busy", usual.busy),
            day: said("day", usual.day),
        }
    }

    /// What is meant; otherwise what is to be put right. Without a first day it is the Monday after today.
    pub(super) fn wanted(&self, w: &Words, today: Date) -> Result<Wanted, String> {
        let wrong = |label: &str, why: &str| format!("{label}: {why}");
        let day = |label: &str, text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| wrong(label, w.plan_no_day)),
        };
        let count = |label: &str, text: &str, most: u16| match text.parse() {
            Ok(count) if (1..=most).contains(&count) => Ok(count),
            _ => Err(wrong(label, &format!("{} {most}", w.plan_up_to))),
        };
        let share = |label: &str, text: &str| {
            percent(text).map(|value| value / 100.0).map_err(|_| wrong(label, w.plan_no_percent))
        };
        let time = |label: &str, text: &str| seconds(text).map_err(|_| wrong(label, w.plan_no_seconds));
        Ok(Wanted {
            first: day(w.first_day, &self.from)?.unwrap_or_else(|| monday_after(today)),
            days: count(w.plan_days, &self.days, MOST_PLANNED)?,
            history: count(w.plan_history, &self.history, MOST_DAYS)?,
            goal: Goal {
                level: share(w.plan_level, &self.level)?,
                within: time(w.plan_within, &self.within)?,
                handling: time(w.plan_handling, &self.handling)?,
                patience: match self.patience.as_str() {
                    "" => None,
                    text => Some(time(w.plan_patience, text)?),
                },
                turned_away: share(w.plan_busy, &self.busy)?,
            },
            day: day(w.plan_day, &self.day)?,
        })
    }

    /// The address of the same, for another day or none.
    pub(super) fn address(&self, path: &str, day: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in [
            ("from", self.from.as_str()),
            ("days", &self.days),
            ("history", &self.history),
            ("level", &self.level),
            ("within", &self.within),
            ("handling", &self.handling),
            ("patience", &self.patience),
            ("busy", &self.busy),
            ("day", day),
        ] {
            if !value.is_empty() {
                query.append_pair(key, value);
            }
        }
        format!("{path}?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Language;

    #[test]
    fn what_nobody_says_is_as_usual_and_what_is_wrong_is_named() {
        let (w, today) = (Words::of(Language::En), "2026-11-29".parse().unwrap());
        let wanted = Asked::default().wanted(w, today).unwrap();
        assert_eq!((wanted.first.to_string().as_str(), wanted.days, wanted.history), ("2026-11-30", 7, 56));
        assert_eq!((wanted.goal, wanted.day), (Goal::USUAL, None));
        let fields = Fields::read("days=14&patience=60&level=80.5&from=2026-10-01".as_bytes()).unwrap();
        let asked = Asked::of(&fields);
        let wanted = asked.wanted(w, today).unwrap();
        assert_eq!((wanted.days, wanted.goal.patience, wanted.goal.level), (14, Some(60.0), 0.805));
        assert_eq!(
            asked.address("/plan", "2026-10-02"),
            "/plan?from=2026-10-01&days=14&history=56&level=80.5&within=15&handling=180&patience=60&busy=1&day=2026-10-02"
        );
        for (form, named) in [
            ("from=1.10.", w.first_day),
            ("days=367", w.plan_days),
            ("history=0", w.plan_history),
            ("level=100", w.plan_level),
            ("within=", w.plan_within),
            ("handling=NaN", w.plan_handling),
            ("patience=-1", w.plan_patience),
            ("busy=0", w.plan_busy),
            ("day=x", w.plan_day),
        ] {
            let wrong = Asked::of(&Fields::read(form.as_bytes()).unwrap()).wanted(w, today).err();
            assert!(wrong.as_ref().is_some_and(|wrong| wrong.starts_with(named)), "{form}: {wrong:?}");
        }
    }
}
