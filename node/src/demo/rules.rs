//! What the demo's sites have set for themselves: which department handles what, what a city asks of a call beside what everybody asks,
//! how much sooner one answers, and what a province promises from next month on.

use std::path::Path;

use certs::{Site, Tier};
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::Value;

use super::failed;
use crate::china;
use crate::engine::{Engine, Options};
use crate::policy::request::PolicyRequest;
use crate::request::{Failure, Request};

/// Domains, by code and name, each with the department of a city that sees to it.
const HANDLED: [(&str, &str, &str); 6] = [
    ("D01", "普通公路", "公路养护中心"),
    ("D02", "高速公路", "高速公路管理处"),
    ("D03", "道路运输", "道路运输处"),
    ("D04", "城市客运", "客运管理处"),
    ("D05", "水路", "港航管理处"),
    ("D06", "海事", "港航管理处"),
];

/// Who sees to everything else.
const OTHERS: &str = "综合科";

/// The city that has fields of its own.
const ASKING: &str = "370100";

/// The city that answers suggestions sooner than it has to.
const SOONER: &str = "370200";

/// The province that promises something from next month on.
const PROMISING: &str = "370000";

/// The channels by which an answer may be wanted.
const ANSWERED_BY: [&str; 3] = ["电话", "短信", "不需答复"];

/// The department that sees to a domain.
pub(super) fn department(domain: &str) -> &'static str {
    HANDLED.iter().find(|(_, name, _)| *name == domain).map_or(OTHERS, |(.., department)| department)
}

/// What a caller of that city says to its own questions. `chance`: a number below 100.
pub(super) fn answers(
    site: Site,
    business: &str,
    sample: &Value,
    chance: u64,
) -> Vec<(&'static str, &'static str)> {
    let mut answers = Vec::new();
    if site.to_string() != ASKING {
        return answers;
    }
    if business == "投诉举报" {
        answers.push(("answer_by", ANSWERED_BY[if chance < 70 { 0 } else { 1 + chance as usize % 2 }]));
    }
    if sample["field"] == "城市公共汽电车" {
        answers.push(("line", ["K52路", "1路", "BRT5号线"][chance as usize % 3]));
    }
    answers
}

/// The tables that a site sets, each with the day from which it holds and what it rests on.
fn tables(
    site: Site,
    beside: Option<Site>,
    day: Date,
    today: Date,
) -> Vec<(&'static str, String, Date, &'static str)> {
    let limits = "business,domain,topic,urgency,amount,unit,basis\n";
    let mut tables = Vec::new();
    if site.tier() == Tier::City {
        let mut rows = "business,domain,topic,region,department,site,basis\n".to_owned();
        for (code, _, department) in HANDLED {
            rows += &format!(",{code},,,{department},,示例：内设机构职责\n");
        }
        rows += &format!(",,,,{OTHERS},,示例：内设机构职责\n");
        if let Some(other) = beside {
            rows += &format!("投诉举报,D04,,{other},,{other},示例：向车籍地转办\n");
        }
        tables.push(("dispatch", rows, day, "示例：内设机构职责"));
    }
    if site.to_string() == ASKING {
        let rows = format!(
            "name,zh,en,kind,choices,business,domain,required,basis\n\
             answer_by,答复方式,Answer by,choice,{},投诉举报,,,示例：回访要求\n\
             line,线路,Bus line,text,,,D04,,示例：公交企业按线路派单\n",
            ANSWERED_BY.join("|")
        );
        tables.push(("fields", rows, day, "示例：本中心登记要求"));
    }
    if site.to_string() == SOONER {
        tables.push((
            "time_limits",
            format!("{limits}意见建议,,,,4,working days,示例：市承诺\n"),
            day,
            "示例：市承诺",
        ));
    }
    if site.to_string() == PROMISING {
        let next = today.last_of_month().saturating_add(1.day());
        tables.push((
            "time_limits",
            format!("{limits}投诉举报,,,,8,working days,示例：省厅承诺\n"),
            next,
            "示例：省厅承诺",
        ));
    }
    tables
}

/// Has a site that no node runs on yet set what it has, at `begun` (milliseconds since 1970).
pub(super) fn set(
    dir: &Path,
    site: Site,
    beside: Option<Site>,
    begun: u64,
    today: Date,
) -> Result<(), Failure> {
    let tables = tables(site, beside, china::today(begun), today);
    if tables.is_empty() {
        return Ok(());
    }
    let mut engine = Engine::open(dir, &Options::drawn()?)?;
    engine.begin(begun)?;
    for (table, rows, from, basis) in tables {
        let set = edition(table, rows, from, basis);
        engine.ask(&set).map_err(|e| failed(&format!("{site} could not set {table} for the demo"), e))?;
    }
    engine.commit()?;
    Ok(())
}

/// A table as it is set.
pub(super) fn edition(table: &str, rows: String, from: Date, basis: &str) -> Request {
    Request::Policy(PolicyRequest::Set {
        table: table.to_owned(),
        rows,
        from: from.to_string(),
        basis: basis.to_owned(),
        note: String::new(),
        try_only: false,
        user: Some("zhao".to_owned()),
    })
}
