//! `hotline figures`, the desk's page and the API: on the directory and through the socket, with real processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::browser::{Browser, Page};
use harness::{Running, Town, WAYS, book, fails, fed, json, says, text};
use serde_json::{Value, json as object};

/// Five calls of today, one of them a test: two complaints, of which one was closed and followed up; a consultation that was
/// answered; a confidential report.
struct Day {
    town: Town,
    closed: String,
    today: String,
}

fn day() -> Day {
    let town = Town::new(&["370000", "370100"]);
    let dir = town.at("370100");
    let calls = [
        object!({ "text": "出租车绕路", "type": "投诉举报", "domain": "城市客运", "field": "巡游出租汽车", "channel": "电话" }),
        object!({ "text": "公交晚点", "type": "投诉举报", "domain": "城市客运", "field": "城市公共汽电车", "channel": "微信" }),
        object!({ "text": "几点开门", "type": "信息咨询", "domain": "高速公路", "channel": "电话" }),
        object!({ "text": "站长收钱放行黑车", "type": "投诉举报", "confidential": true, "caller_phone": "13800000007" }),
        object!({ "text": "抽检：请问收费标准", "type": "信息咨询", "test": true }),
    ];
    let lines: Vec<String> = calls.iter().map(Value::to_string).collect();
    let made = fed(&["ticket", "new", "--from", "-", "--dir", &dir, "--json"], lines.join("\n").as_bytes());
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let id = |i: usize| made[i]["id"].as_str().unwrap().to_owned();
    says(&["ticket", "dispatch", &id(0), "--to", "客运处", "--dir", &dir]);
    says(&["ticket", "close", &id(0), "--result", "已处理", "--dir", &dir, "--user", "li"]);
    says(&["ticket", "follow-up", &id(0), "满意", "--satisfied", "true", "--dir", &dir, "--user", "wang"]);
    says(&["ticket", "answer", &id(2), "九点", "--dir", &dir]);
    let shown = json(&["ticket", "show", &id(0), "--dir", &dir]);
    let today = shown["trail"][0]["at"].as_str().unwrap()[..10].to_owned();
    Day { closed: id(0), today, town }
}

fn figure<'a>(of: &'a Value, id: &str) -> &'a Value {
    of["figures"]
        .as_array()
        .unwrap()
        .iter()
        .find(|figure| figure["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {of}"))
}

fn count(of: &Value, id: &str) -> u64 {
    figure(of, id)["count"].as_u64().unwrap()
}

fn value<'a>(report: &'a Value, value: &str) -> &'a Value {
    report["values"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["value"] == value)
        .unwrap_or_else(|| panic!("{value}: {report}"))
}

#[test]
fn a_month_is_counted_on_the_directory_and_through_the_socket() {
    let day = day();
    let dir = day.town.at("370100");
    let month = &day.today[..7];
    for way in WAYS {
        let _running = day.town.way(way, "370100");
        let report = json(&["figures", "--month", month, "--by", "domain", "--dir", &dir]);
        assert_eq!((count(&report, "taken"), count(&report, "test"), count(&report, "answered")), (4, 1, 1));
        assert_eq!(
            (count(&report, "ended"), count(&report, "in_time"), count(&report, "satisfied")),
            (2, 2, 1)
        );
        let rate = figure(&report, "complaint_in_time");
        assert_eq!((&rate["count"], &rate["of"], &rate["value"]), (&1.into(), &1.into(), &1.0.into()));
        let none = figure(&report, "rectified");
        assert_eq!(
            (&none["of"], &none["value"], &none["change_before"]),
            (&0.into(), &Value::Null, &Value::Null)
        );
        assert_eq!(
            figure(&report, "complaint_rechecked")["count"],
            1,
            "another than who closed it asked the caller"
        );
        let buses = value(&report, "D04");
        assert_eq!((&buses["name"], count(buses, "taken")), (&"城市客运".into(), 2));
        assert_eq!(count(value(&report, ""), "taken"), 1, "what says no domain stands by itself");
        let other = json(&["figures", "--from", "2020-01-01", "--to", "2020-01-31", "--dir", &dir]);
        assert_eq!(count(&other, "taken"), 0);

        let behind = |args: &[&str]| -> Vec<String> {
            let rows = json(&[&["figures", "--month", month, "--dir", &dir, "--tickets"], args].concat());
            rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(behind(&["satisfied"]), [day.closed.as_str()]);
        assert_eq!(behind(&["taken", "--limit", "3"]).len(), 3);
        assert_eq!(behind(&["taken", "--by", "channel", "--value", "微信"]).len(), 1);
        assert_eq!(behind(&["complaint_in_time", "--rest"]), [""; 0]);
        let rows = says(&["figures", "--month", month, "--dir", &dir, "--tickets", "taken"]);
        assert!(rows.contains("(举报人保密)") && !rows.contains("站长"), "{rows}");
    }
    let table = says(&["figures", "--month", month, "--dir", &dir]);
    assert!(table.contains("taken\t受理量\t4\t0\t—\t0\t—"), "{table}");
    let rates = says(&["figures", "--month", month, "--rates", "--dir", &dir]);
    assert!(rates.contains("complaint_in_time\t投诉举报限时办结率\t100.00 %\t1/1\t—"), "{rates}");
    let csv = says(&["figures", "--month", month, "--by", "business", "--csv", "--dir", &dir]);
    assert!(
        csv.starts_with("from,to,by,value,name,id,")
            && csv.contains(",business,信息咨询,信息咨询,answered,即时答复,"),
        "{csv}"
    );
    let file = day.town.path("month.xlsx");
    says(&["figures", "--month", month, "--by", "business", "--xlsx", text(&file), "--dir", &dir]);
    assert_eq!(book::same(&file, &csv), ["figures", "definitions"]);
    fails(&["figures", "--xlsx", "/nowhere/x.xlsx", "--dir", &dir], 1, "/nowhere/x.xlsx cannot be written");
    let meanings = says(&["figures", "--definitions", "--dir", &dir]);
    assert!(
        meanings.contains("complaint_rechecked") && meanings.contains("provincial bulletin"),
        "{meanings}"
    );

    for (args, code, words) in [
        (&["--month", "2026-13"][..], 2, "is no month"),
        (&["--from", "2026-11-02", "--to", "2026-11-01"], 2, "before it begins"),
        (&["--by", "weather"], 2, "invalid value"),
        (&["--tickets", "nothing"], 2, "there is no figure `nothing`"),
        (&["--tickets", "taken", "--by", "domain"], 2, "of one value"),
        (&["--from", "2020-01-01", "--to", "2022-01-01", "--by", "day"], 2, "of 366 days at most"),
    ] {
        fails(&[&["figures", "--dir", &dir], args].concat(), code, words);
    }
}

#[test]
fn a_table_of_definitions_of_ones_own_counts_from_the_next_start_on() {
    let day = day();
    let dir = day.town.at("370100");
    std::fs::create_dir(format!("{dir}/reference")).unwrap();
    let table = "id,kind,zh,en,counts,of,says_zh,says_en,basis\nopen_complaints,rate,未办结投诉,open complaints,complaint !ended,complaint,投诉中未办结的,complaints that have not ended,here\n";
    std::fs::write(format!("{dir}/reference/figures.csv"), table).unwrap();
    let report = json(&["figures", "--month", &day.today[..7], "--dir", &dir]);
    assert_eq!(report["figures"].as_array().unwrap().len(), 1);
    let rate = figure(&report, "open_complaints");
    assert_eq!((&rate["count"], &rate["of"]), (&2.into(), &3.into()));
    let rest = json(&[
        "figures",
        "--month",
        &day.today[..7],
        "--dir",
        &dir,
        "--tickets",
        "open_complaints",
        "--rest",
    ]);
    assert_eq!(rest[0]["id"], day.closed.as_str());
    std::fs::write(format!("{dir}/reference/figures.csv"), table.replace("!ended", "!endet")).unwrap();
    fails(&["figures", "--dir", &dir], 4, "the node's reference tables cannot be read");
}

fn desk() -> (Day, Running, String) {
    let day = day();
    let (node, desk) = day.town.desk("370100", &[]);
    (day, node, desk)
}

/// Where the first link to such a page leads.
fn link(page: &Page, begins: &str) -> String {
    let from = page
        .body
        .find(&format!("href=\"{begins}"))
        .unwrap_or_else(|| panic!("no link to {begins}: {}", page.body));
    page.body[from + 6..].split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

#[test]
fn the_desk_shows_figures_and_each_number_opens_to_its_tickets() {
    let (day, _node, desk) = desk();
    let mut lead = day.town.staff("370100", &desk, "lead", "shift-leader");
    let month = &day.today[..7];
    let page = lead
        .get("/figures")
        .is(200)
        .says("统计分析")
        .says("受理量")
        .says("投诉举报限时办结率")
        .says("100.00 %");
    assert!(page.body.contains("href=\"/figures\" data-key=\"h\" aria-current=\"page\""), "{}", page.body);
    let page = lead
        .get(&format!("/figures?month={month}&by=domain"))
        .is(200)
        .says("城市客运 D04")
        .says("（未填写）");
    page.clone().says("aria-label=\"受理量, 按领域. 城市客运 D04: 2").says("class=\"plot\" role=\"img\"");
    let list = lead.get(&link(&page, "/figures/tickets?id=taken")).is(200).says("(举报人保密)");
    assert_eq!(list.body.matches("data-row").count(), 4, "{}", list.body);
    assert!(!list.body.contains("站长"));
    let part = lead.get(&link(&page, "/figures/tickets?id=satisfied")).is(200).says(&day.closed);
    assert_eq!(part.body.matches("data-row").count(), 1);
    let csv = lead.get(&link(&page, "/figures/csv")).is(200).says("\u{feff}from,to,by");
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.header("content-disposition").contains("figures-370100-"), "{}", csv.head);
    let book = lead.get(&link(&page, "/figures/xlsx")).is(200).says("PK");
    assert!(
        book.header("content-disposition").contains(".xlsx\"")
            && book.header("content-type").ends_with(".sheet")
    );
    lead.get("/figures/pdf").is(404);
    lead.get("/figures?from=2026-11-02&to=2026-11-01").is(422).says("日期区间不正确");
    lead.get("/figures?by=weather").is(422);
    lead.get("/figures/tickets?id=nothing").is(422);
    lead.get("/figures").is(200);
    lead.follow("/language", &[("here", &format!("/figures?month={month}&by=domain"))])
        .is(200)
        .says("By domain")
        .says("complaints ended in time");
}

#[test]
fn a_province_sees_its_cities_as_squares_and_each_leads_to_its_tickets() {
    let town = Town::new(&["370000"]);
    let call =
        object!({ "text": "收费站排长队", "type": "投诉举报", "domain": "高速公路", "channel": "电话" });
    fed(&["ticket", "new", "--from", "-", "--dir", &town.at("370000")], call.to_string().as_bytes());
    let (_node, desk) = town.desk("370000", &[]);
    let mut lead = town.staff("370000", &desk, "lead", "shift-leader");
    let page = lead.get("/figures").is(200).says("方格统计图").says("aria-label=\"受理量, 按下级单位\"");
    assert!(
        page.body.contains("<title>济南市 370100: —</title>")
            && page.body.contains("<title>山东省 370000: 1</title>")
    );
    let list = lead.get(&link(&page, "/figures/tickets?id=taken&amp;from")).is(200).says("收费站");
    assert_eq!(list.body.matches("data-row").count(), 1, "{}", list.body);
    let of_unit = page.body.split("by=unit").nth(1).unwrap();
    assert!(of_unit.starts_with("&amp;value=370000"), "{of_unit}");
    let page = lead.get("/figures?tiles=complaint_in_time").is(200).says("投诉举报限时办结率, 按下级单位");
    assert!(page.body.contains("山东省 370000: —"), "nothing is due yet");
    let mut auditor = town.staff("370000", &desk, "audit", "auditor");
    let page = auditor.get("/figures").is(200).says("山东省 370000: 1");
    assert!(!page.body.contains("/figures/tickets"), "{}", page.body);
    let handled = json(&["figures", "--by", "handler", "--dir", &town.at("370000")]);
    assert_eq!(count(value(&handled, "370000"), "taken"), 1);
}

#[test]
fn quarterly_forms_are_printed_and_signed() {
    let day = day();
    let dir = day.town.at("370100");
    let quarter = format!("{}-Q{}", &day.today[..4], (day.today[5..7].parse::<u8>().unwrap() - 1) / 3 + 1);
    for way in WAYS {
        let _running = day.town.way(way, "370100");
        let answer = json(&["figures", "form", "--quarter", &quarter, "--dir", &dir]);
        let row = |form: usize, name: &str| {
            let rows = answer["forms"][form]["rows"].as_array().unwrap();
            rows.iter().find(|row| row["zh"] == name).unwrap()["count"].as_u64().unwrap()
        };
        assert_eq!((row(0, "合计"), row(0, "12328电话"), row(0, "微信"), row(0, "其他")), (4, 2, 1, 1));
        assert_eq!((row(1, "投诉举报"), row(1, "城市客运"), row(1, "未填写")), (3, 2, 1));
    }
    let table = says(&["figures", "form", "--quarter", &quarter, "--head", "王五", "--dir", &dir]);
    assert!(table.contains("填报单位: 济南市") && table.contains("12328电话\t2\t50.00 %\t—\t—"), "{table}");
    assert!(table.contains("截至: 20") && table.contains("说明: 未完"), "{table}");
    let figures = json(&["figures", "--quarter", &quarter, "--dir", &dir]);
    assert_eq!(count(&figures, "taken"), 4);
    let file = |name: &str| text(&day.town.path(name)).to_owned();
    says(&[
        "figures",
        "form",
        "--quarter",
        &quarter,
        "--html",
        &file("f.html"),
        "--phone",
        "0531<1",
        "--dir",
        &dir,
    ]);
    let page = std::fs::read_to_string(file("f.html")).unwrap();
    assert!(
        page.contains("单位负责人")
            && page.contains("0531&#60;1")
            && page.matches("class=\"sheet\"").count() == 2
            && page.matches("未完").count() == 2
    );
    let csv = says(&["figures", "form", "--quarter", &quarter, "--csv", "--dir", &dir]);
    assert!(csv.contains("微信,1,0.25,,") && csv.contains("报出日期,,,,"), "{csv}");
    says(&["figures", "form", "--quarter", &quarter, "--xlsx", &file("f.xlsx"), "--dir", &dir]);
    fails(&["figures", "form", "--quarter", "2026-Q5", "--dir", &dir], 2, "is no period");
    let both = ["figures", "form", "--pdf", &file("f.pdf"), "--csv", "--dir", &dir];
    fails(&both, 2, "cannot be used with '--csv'");
    if cfg!(not(feature = "pdf")) {
        fails(&["figures", "form", "--pdf", &file("f.pdf"), "--dir", &dir], 2, "built without PDF");
    }

    let (_node, desk) = day.town.desk("370100", &[]);
    let mut lead = day.town.staff("370100", &desk, "lead", "shift-leader");
    let page = lead.get(&format!("/figures/form?quarter={quarter}&head=%E7%8E%8B%E4%BA%94")).is(200);
    let page = page.says("来源渠道统计表").says("业务分布统计表").says("<dd>王五</dd>").says("统计负责人");
    lead.get(&link(&page, "/figures/form/xlsx")).is(200).says("PK");
    lead.get("/figures/form").is(200);
    lead.get("/figures/form?quarter=autumn").is(422);
    let mut agent = day.town.staff("370100", &desk, "agent", "agent");
    agent.get("/figures/form").is(403);
}

#[test]
fn who_reads_no_tickets_sees_numbers_and_no_way_to_a_ticket() {
    let (day, _node, desk) = desk();
    for (name, role) in [("audit", "auditor"), ("admin", "administrator")] {
        let mut browser: Browser = day.town.staff("370100", &desk, name, role);
        let page = browser.get("/figures?by=channel").is(200).says("受理量").says("微信");
        assert!(!page.body.contains("/figures/tickets"), "{}", page.body);
        browser.get("/figures/tickets?id=taken").is(403);
    }
    let mut agent = day.town.staff("370100", &desk, "agent", "agent");
    agent.get("/figures").is(403);
    agent.get("/figures/csv").is(403);
    assert!(!agent.get("/wall").is(200).body.contains("href=\"/figures\""));
}

#[test]
fn programs_ask_for_figures_with_their_scope() {
    let (day, _node, desk) = desk();
    let token = |name: &str, role: &str, scope: &str| {
        let made =
            json(&["token", "add", name, "--role", role, "--scope", scope, "--dir", &day.town.at("370100")]);
        made["token"].as_str().unwrap().to_owned()
    };
    let get = |token: &str, path: &str| {
        let browser = Browser::new(&desk);
        let head = browser.head("GET", &format!("/api/v1{path}"));
        browser.raw(format!("{head}Authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap()
    };
    let board = token("board", "auditor", "figures:read");
    let month = &day.today[..7];
    let report: Value =
        serde_json::from_str(&get(&board, &format!("/figures?month={month}&by=region")).is(200).body)
            .unwrap();
    assert_eq!((count(&report, "taken"), count(value(&report, "370100"), "taken")), (4, 4));
    assert_eq!(value(&report, "370100")["name"], "济南市");
    get(&board, "/figures").is(200);
    get(&board, &format!("/figures?month={month}&from=2026-11-01")).is(400).says("a period is");
    get(&board, "/figures?from=2026-11-02&to=yesterday").is(400);
    get(&board, "/tickets").is(403);
    get(&token("status", "auditor", "status:read"), "/figures").is(403);
    get(&board, "/openapi.json").is(200).says("\"/figures\"").says("figures:read");
}
