//! Quarterly forms (季报): how many tickets, which share, and how that has moved, by channel and by business, on paper with a foot to
//! sign.
//!
//! ```text
//! cells by each dimension ──rows of forms.csv──> answer (JSON) ──language, foot──> Printed ──> page, spreadsheet, PDF
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::report::round;
use super::{Dimension, Figure, change, moved};
use crate::cell::{Cell, Sheet};
use crate::reference::{Category, Counts, Form, Reference};
use crate::request::Language;

/// What is counted, in a period, in the one before and in the same of the year before.
pub type Three = [u64; 3];

/// Of each dimension how many tickets every value has.
pub type Counted = BTreeMap<Dimension, BTreeMap<String, Three>>;

/// All forms: `[{"id","zh","en","rows":[{"by","zh","en","count","share","before","year_before","change_before","change_year"}]}]`, the
/// first row of each the whole, which has no `by`.
pub fn forms(reference: &Reference, counted: &Counted) -> Value {
    let whole = counted.values().next().map(|values| sum(values.values())).unwrap_or_default();
    let row = |by: Option<Dimension>, zh: &str, en: &str, counts: Three| {
        let figure = |count| Figure { count, of: None };
        let moved = |then| change(figure(counts[0]), figure(then)).map(round);
        let share = (whole[0] > 0).then(|| round(counts[0] as f64 / whole[0] as f64));
        json!({
            "by": by.map(Dimension::name), "zh": zh, "en": en, "kind": "count", "count": counts[0], "share": share,
            "before": counts[1], "year_before": counts[2], "change_before": moved(counts[1]), "change_year": moved(counts[2]),
        })
    };
    let none = BTreeMap::new();
    let form = |form: &Form| {
        let mut rows = vec![row(None, "合计", "All", whole)];
        for (by, wanted) in &form.groups {
            let values = counted.get(by).unwrap_or(&none);
            let mut left = values.clone();
            let mut take = |value: &str| left.remove(value).unwrap_or_default();
            // What is left is what no row names, wherever its row stands.
            let mut group: Vec<(String, String, Option<Three>)> = Vec::new();
            for one in wanted {
                let (zh, en) = (one.name(Language::Zh).to_owned(), one.name(Language::En).to_owned());
                match &one.counts {
                    Counts::Values(values) => {
                        let taken: Vec<Three> = values.iter().map(|value| take(value)).collect();
                        group.push((zh, en, Some(sum(&taken))));
                    }
                    Counts::Each => {
                        for category in categories(reference, *by) {
                            let (name, code) = (category.name().to_owned(), category.code().to_string());
                            group.push((name.clone(), name, Some(take(&code))));
                        }
                    }
                    Counts::Rest => group.push((zh, en, None)),
                }
            }
            let rest = sum(left.values());
            rows.extend(group.iter().map(|(zh, en, counts)| row(Some(*by), zh, en, counts.unwrap_or(rest))));
        }
        json!({ "id": form.id, "zh": form.name(Language::Zh), "en": form.name(Language::En), "rows": rows })
    };
    reference.forms.iter().map(form).collect()
}

fn categories(reference: &Reference, by: Dimension) -> Vec<&Category> {
    let domains = reference.categories.domains();
    match by {
        Dimension::Domain => domains.collect(),
        _ => domains.flat_map(|domain| reference.categories.topics(domain)).collect(),
    }
}

fn sum<'a>(all: impl IntoIterator<Item = &'a Three>) -> Three {
    all.into_iter().fold(Three::default(), |sum, one| std::array::from_fn(|i| sum[i] + one[i]))
}

/// Who answers for a form: what stands at its foot. What is empty is written there by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Foot {
    /// 单位负责人.
    pub head: String,
    /// 统计负责人.
    pub statistician: String,
    /// 填表人.
    pub filled_by: String,
    /// 联系电话.
    pub phone: String,
    /// 报出日期.
    pub reported: String,
}

/// The longest text at a foot, in characters.
const LONGEST: usize = 40;

/// How many parts of a head name the form.
pub const NAMED: usize = 3;

/// A form as it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Its name for programs.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// 填报单位, of which quarter, and as of when ([`NAMED`]); then what is to be known of the numbers. Each with its name.
    pub head: Vec<(&'static str, String)>,
    /// What the columns are called.
    pub columns: [&'static str; 5],
    /// The rows, in groups: the whole, and those that each come to it.
    pub groups: Vec<Vec<[String; 5]>>,
    /// What is to be signed: name and what is given.
    pub foot: [(&'static str, String); 5],
}

/// A quarter, a month or a year for people.
fn named(period: &str, language: Language) -> String {
    let (year, part) = period.split_once('-').unwrap_or((period, ""));
    match (language, part.strip_prefix('Q'), part) {
        (Language::Zh, Some(quarter), _) => format!("{year}年第{quarter}季度"),
        (Language::En, Some(quarter), _) => format!("quarter {quarter} of {year}"),
        (Language::Zh, None, "") => format!("{year}年"),
        (Language::Zh, None, month) => format!("{year}年{month}月"),
        (Language::En, None, _) => period.to_owned(),
    }
}

/// Why the numbers of an answer may be others later: for whoever signs them.
fn notes(answer: &Value, language: Language) -> Vec<String> {
    let day = |of: &Value| of.as_str().unwrap_or_default().chars().take(10).collect::<String>();
    let say = |chinese: String, english: String| match language {
        Language::Zh => chinese,
        Language::En => english,
    };
    let mut notes = Vec::new();
    let (at, to, last) = (day(&answer["at"]), day(&answer["to"]), day(&answer["told"]["last"]));
    if at <= to {
        notes.push(say(
            format!("未完：报告期至 {to} 结束。"),
            format!("not over: the period ends with {to}."),
        ));
    }
    if answer["told"].is_object() && last < to {
        notes.push(match last.is_empty() {
            true => say("下级单位尚无上报。".to_owned(), "no site below has told anything yet.".to_owned()),
            false => say(
                format!("下级单位全部上报至 {last}，其后数据不全。"),
                format!("the sites below have all told up to {last}; what came later is incomplete."),
            ),
        });
    }
    if let Some(waiting) = answer["waiting"].as_u64().filter(|waiting| *waiting > 0) {
        notes.push(say(
            format!("程序更新后至多有 {waiting} 件工单尚未重新统计。"),
            format!("after an update up to {waiting} tickets are not counted yet."),
        ));
    }
    notes
}

/// The forms of an answer to [`crate::request::Request::Form`], for people.
pub fn printed(answer: &Value, language: Language, foot: &Foot) -> Vec<Printed> {
    let zh = language == Language::Zh;
    let say = |chinese, english| if zh { chinese } else { english };
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let given = |text: &str| text.trim().chars().take(LONGEST).collect::<String>();
    let key = if zh { "zh" } else { "en" };
    let share = |of: &Value| of.as_f64().map_or("—".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let row = |of: &Value| {
        let (year, before) = (moved(of, "change_year"), moved(of, "change_before"));
        [text(&of[key]), of["count"].to_string(), share(&of["share"]), year, before]
    };
    let at: String = text(&answer["at"]).chars().take(16).collect();
    let head = || {
        let named = [
            (say("填报单位", "Filled in by"), text(&answer["name"])),
            (say("报告期", "Period"), named(&text(&answer["period"]), language)),
            (say("截至", "As of"), at.replace('T', " ")),
        ];
        let notes = notes(answer, language).into_iter().map(|note| (say("说明", "Note"), note));
        named.into_iter().chain(notes).collect()
    };
    let form = |form: &Value| {
        let mut groups: Vec<(&Value, Vec<[String; 5]>)> = Vec::new();
        for of in form["rows"].as_array().into_iter().flatten() {
            match groups.last_mut() {
                Some((by, rows)) if **by == of["by"] => rows.push(row(of)),
                _ => groups.push((&of["by"], vec![row(of)])),
            }
        }
        Printed {
            id: text(&form["id"]),
            title: format!("12328 {}", text(&form[key])),
            head: head(),
            columns: [
                say("项目", "Item"),
                say("数量", "Number"),
                say("占比", "Share"),
                say("同比", "On the year"),
                say("环比", "On the period before"),
            ],
            groups: groups.into_iter().map(|(_, rows)| rows).collect(),
            foot: [
                (say("单位负责人", "Head of the unit"), given(&foot.head)),
                (say("统计负责人", "In charge of statistics"), given(&foot.statistician)),
                (say("填表人", "Filled in by"), given(&foot.filled_by)),
                (say("联系电话", "Telephone"), given(&foot.phone)),
                (say("报出日期", "Reported on"), given(&foot.reported)),
            ],
        }
    };
    answer["forms"].as_array().into_iter().flatten().map(form).collect()
}

/// Each form as a sheet under its name, with head and foot in lines of their own below.
pub fn sheets(answer: &Value, language: Language, foot: &Foot) -> Vec<(String, Sheet)> {
    let forms = answer["forms"].as_array().into_iter().flatten();
    let sheet = |(form, printed): (&Value, Printed)| {
        let mut sheet = Sheet::of(printed.columns);
        let share = |of: &Value| Cell::given(of.as_f64(), Cell::Share);
        let rows = form["rows"].as_array().into_iter().flatten();
        for (of, shown) in rows.zip(printed.groups.iter().flatten()) {
            let count = Cell::given(of["count"].as_u64(), Cell::Count);
            sheet.line([
                Cell::text(&shown[0]),
                count,
                share(&of["share"]),
                share(&of["change_year"]),
                share(&of["change_before"]),
            ]);
        }
        for (name, said) in printed.head.iter().chain(&printed.foot) {
            sheet.line([Cell::text(name), Cell::text(said), Cell::Empty, Cell::Empty, Cell::Empty]);
        }
        (printed.id, sheet)
    };
    forms.zip(printed(answer, language, foot)).map(sheet).collect()
}

/// The quarter before the one that a day is in, as in `2026-Q3`.
pub fn last_quarter(today: jiff::civil::Date) -> String {
    match (today.year(), (today.month() - 1) / 3) {
        (year, 0) => format!("{}-Q4", year - 1),
        (year, before) => format!("{year}-Q{before}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(channels: &[(&str, Three)], business: &[(&str, Three)], domains: &[(&str, Three)]) -> Counted {
        let of =
            |values: &[(&str, Three)]| values.iter().map(|(value, n)| ((*value).to_owned(), *n)).collect();
        let all =
            [(Dimension::Channel, channels), (Dimension::Business, business), (Dimension::Domain, domains)];
        all.into_iter().map(|(by, values)| (by, of(values))).collect()
    }

    fn answer() -> Value {
        let channels: &[(&str, Three)] =
            &[("电话", [6, 3, 0]), ("热线", [1, 1, 1]), ("信鸽", [1, 0, 0]), ("", [2, 0, 0])];
        let business: &[(&str, Three)] = &[("投诉举报", [9, 4, 1]), ("", [1, 0, 0])];
        let forms = forms(
            Reference::built_in(),
            &counted(channels, business, &[("D04", [8, 0, 0]), ("D99", [2, 4, 1])]),
        );
        json!({
            "site": "370100", "name": "济南市", "period": "2026-Q4", "from": "2026-10-01", "to": "2026-12-31",
            "at": "2027-01-04T09:30:00+08:00", "waiting": 0, "told": null, "forms": forms,
        })
    }

    #[test]
    fn every_ticket_stands_in_one_row_of_each_group() {
        let answer = answer();
        let row = |form: usize, name: &str| {
            let mut rows = answer["forms"][form]["rows"].as_array().unwrap().iter();
            rows.find(|row| row["zh"] == name).unwrap().clone()
        };
        let telephone = row(0, "12328电话");
        assert_eq!((&telephone["count"], &telephone["share"]), (&7.into(), &0.7.into()));
        assert_eq!((&telephone["change_before"], &telephone["change_year"]), (&0.75.into(), &6.0.into()));
        assert_eq!((&row(0, "其他")["count"], &row(0, "传真")["count"]), (&3.into(), &0.into()));
        assert_eq!((&row(1, "城市客运")["count"], &row(1, "未填写")["count"]), (&8.into(), &2.into()));
        for form in answer["forms"].as_array().unwrap() {
            let mut sums = BTreeMap::<String, u64>::new();
            for row in form["rows"].as_array().unwrap() {
                *sums.entry(row["by"].to_string()).or_default() += row["count"].as_u64().unwrap();
            }
            assert!(sums.values().all(|sum| *sum == 10), "{sums:?}");
        }
    }

    #[test]
    fn a_form_is_printed_with_its_head_and_a_foot_to_sign() {
        let foot = Foot { head: " 王五 ".into(), phone: "x".repeat(99), ..Foot::default() };
        let printed = printed(&answer(), Language::Zh, &foot);
        let [channels, business] = printed.as_slice() else { panic!("{printed:?}") };
        assert_eq!(channels.head[0], ("填报单位", "济南市".to_owned()));
        assert_eq!(channels.head[1].1, "2026年第4季度");
        assert_eq!(channels.head[2..], [("截至", "2027-01-04 09:30".to_owned())]);
        assert_eq!(
            channels.groups[0],
            [["合计", "10", "100.00 %", "+900.00 %", "+150.00 %"].map(str::to_owned)]
        );
        assert_eq!(
            channels.groups[1][0],
            ["12328电话", "7", "70.00 %", "+600.00 %", "+75.00 %"].map(str::to_owned)
        );
        assert_eq!((business.groups.len(), business.groups[1].len()), (3, 4));
        assert_eq!((channels.foot[0].1.as_str(), channels.foot[1].1.as_str()), ("王五", ""));
        assert_eq!(channels.foot[3].1.len(), LONGEST);
        let sheets = sheets(&answer(), Language::Zh, &foot);
        let csv = sheets[0].1.csv();
        assert!(
            csv.starts_with("项目,数量,占比,同比,环比\r\n合计,10,1,9,1.5\r\n12328电话,7,0.7,6,0.75\r\n"),
            "{csv}"
        );
        assert!(csv.contains("单位负责人,王五,,,") && csv.contains("报出日期,,,,"), "{csv}");
    }

    #[test]
    fn a_head_says_what_may_still_come() {
        let noted = |at: &str, told: Value, waiting: u64| -> Vec<String> {
            let mut answer = answer();
            (answer["at"], answer["told"], answer["waiting"]) = (at.into(), told, waiting.into());
            let sheets = sheets(&answer, Language::Zh, &Foot::default());
            let printed = printed(&answer, Language::Zh, &Foot::default());
            for (form, (_, sheet)) in printed.iter().zip(sheets) {
                let csv = sheet.csv();
                assert!(
                    form.head.iter().all(|(name, said)| csv.contains(&format!("{name},{said},,,"))),
                    "{csv}"
                );
            }
            printed[1].head[NAMED..].iter().map(|(_, said)| said.clone()).collect()
        };
        let last = |day: &str| json!({ "sites": 3, "last": day });
        assert_eq!(noted("2026-12-31T23:59:59+08:00", Value::Null, 0), ["未完：报告期至 2026-12-31 结束。"]);
        assert!(noted("2027-01-01T00:00:00+08:00", last("2026-12-31"), 0).is_empty());
        let all = noted("2027-01-01T00:00:00+08:00", last("2026-12-30"), 7);
        assert!(all[0].contains("上报至 2026-12-30") && all[1].contains("至多有 7 件"), "{all:?}");
        let none = noted("2027-01-01T00:00:00+08:00", json!({ "sites": 0, "last": null }), 0);
        assert_eq!(none, ["下级单位尚无上报。"]);
    }

    #[test]
    fn a_quarter_has_one_before_it() {
        let check = |day: &str, expected: &str| assert_eq!(last_quarter(day.parse().unwrap()), expected);
        check("2027-01-01", "2026-Q4");
        check("2026-12-31", "2026-Q3");
        check("2026-04-01", "2026-Q1");
    }
}
