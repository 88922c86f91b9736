//! A desk as it looks on a working day, of the sample calls and articles: what pictures are taken of and pages are tried on.
//!
//! 济南 holds all sample calls and is linked with 山东, which is linked with the ministry. One ticket went up, was taken back by
//! the province while the line was cut and the city worked on, and says so.

use std::path::Path;

use serde_json::Value;

use super::browser::Browser;
use super::{Running, Town, json, port, samples, tcp_port, text, until};

pub const CITY: &str = "370100";
const PROVINCE: &str = "370000";
const MINISTRY: &str = "000000";

/// The desk, and who works there.
pub struct Scene {
    pub town: Town,
    /// Where the desk is, and the public page.
    pub desk: String,
    pub public: String,
    /// The ticket with a story, by its id, and a confidential report.
    pub ticket: String,
    pub confidential: String,
    /// A shift leader who is signed in.
    pub lead: Browser,
    _nodes: [Running; 3],
}

/// Sample calls and articles as this node took them: lines of JSON in a file.
fn samples_of(town: &Town, name: &str, from: &Path, wanted: impl Fn(&mut Value) -> bool) -> String {
    let lines = std::fs::read_to_string(from).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let kept: Vec<String> =
        lines.filter_map(|mut line| wanted(&mut line).then(|| line.to_string())).collect();
    let path = town.path(name);
    std::fs::write(&path, kept.join("\n")).unwrap();
    text(&path).to_owned()
}

impl Scene {
    /// Makes it. It takes some seconds.
    pub fn new() -> Scene {
        let town = Town::new(&[CITY, PROVINCE, MINISTRY]);
        let dir = |node: &str| ["--dir".to_owned(), town.at(node)];
        let ask = |node: &str, args: &[&str]| {
            let [flag, dir] = dir(node);
            json(&[args, &["--user", "lead", &flag, &dir]].concat())
        };
        let [city, province, ministry] = [(); 3].map(|()| format!("127.0.0.1:{}", port()));
        let [desk, public] = [(); 2].map(|()| format!("127.0.0.1:{}", tcp_port()));
        let of_city = [
            "--listen",
            &city,
            "--peer",
            &format!("{PROVINCE}={province}"),
            "--desk",
            &desk,
            "--public",
            &public,
        ];
        let (down, up) = (format!("{CITY}={city}"), format!("{MINISTRY}={ministry}"));
        let of_province = ["--listen", &province, "--peer", &down, "--peer", &up];
        let here = town.start(CITY, &of_city);
        let over = town.start(PROVINCE, &of_province);
        let top = town.start(MINISTRY, &["--listen", &ministry, "--peer", &format!("{PROVINCE}={province}")]);

        // Every call was taken here, whoever's city it was; every article is of the ministry or of here.
        let calls = samples_of(&town, "calls.jsonl", &samples(), |call| {
            call["region_code"] = CITY.into();
            true
        });
        let made = ask(CITY, &["ticket", "import", &calls]);
        assert!(made.to_string().len() > 2, "{made}");
        let articles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/kb.jsonl");
        for node in [MINISTRY, CITY] {
            let file = samples_of(&town, &format!("kb-{node}.jsonl"), &articles, |article| {
                let of_ministry = article["level"] == "ministry";
                if !of_ministry {
                    article["region_code"] = CITY.into();
                    article["level"] = "city".into();
                }
                of_ministry == (node == MINISTRY)
            });
            ask(node, &["kb", "import", &file, "--reviewed-by", "zhao"]);
        }
        town.proved(CITY);
        let (flag, own) = ("--dir", town.at(CITY));
        until("the ministry's articles are here", || {
            json(&["kb", "list", flag, &own]).as_array().unwrap().iter().any(|row| row["owner"] == MINISTRY)
        });

        // Some are done, some are on their way.
        let all = ask(CITY, &["ticket", "list", "--queue", "all", "--limit", "100"]);
        let all: Vec<String> =
            all.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        for id in &all[40..50] {
            ask(CITY, &["ticket", "answer", id, "已当场解答"]);
        }
        for id in &all[30..36] {
            ask(CITY, &["ticket", "dispatch", id, "--to", "客运管理处"]);
        }
        for id in &all[30..33] {
            ask(CITY, &["ticket", "feedback", id, "已约谈驾驶员，退还多收的车费"]);
            ask(CITY, &["ticket", "reply", id, "已责令整改并退费，感谢您的监督"]);
        }
        ask(CITY, &["ticket", "close", &all[30], "--result", "投诉属实，已处理"]);
        ask(CITY, &["ticket", "follow-up", &all[30], "满意", "--satisfied", "true"]);
        ask(CITY, &["ticket", "offer", &all[20], "--to", PROVINCE, "--reason", "跨市事项"]);
        let confidential = ask(
            CITY,
            &["ticket", "new", "--text", "有人收钱放行超限车", "--phone", "13800000009", "--confidential"],
        );
        let ticket = ask(
            CITY,
            &[
                "ticket",
                "new",
                "--text",
                "我的车在青岛打的，回济南路上被要求加价，两边都说不归自己管",
                "--phone",
                "13800000008",
            ],
        );
        let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
        let (ticket, confidential) = (id(&ticket), id(&confidential));
        ask(CITY, &["ticket", "note", &ticket, "来电人下午方便接电话"]);
        town.proved(CITY);

        // The line is cut: the province takes the ticket to itself, and the city, which cannot know, works on.
        drop(over);
        ask(PROVINCE, &["ticket", "recall", &ticket, "--reason", "两市都有责任，由省里统一协调"]);
        ask(CITY, &["ticket", "dispatch", &ticket, "--to", "客运管理处"]);
        ask(CITY, &["ticket", "offer", &ticket, "--to", PROVINCE, "--reason", "对方车籍在青岛"]);
        let over = town.start(PROVINCE, &of_province);
        town.proved(CITY);

        for (name, role) in [("guanli", "administrator"), ("shenji", "auditor"), ("duban", "supervisor")] {
            town.staff(CITY, &desk, name, role);
        }
        let lead = town.staff(CITY, &desk, "lead", "shift-leader");
        Scene { desk, public, ticket, confidential, lead, _nodes: [here, over, top], town }
    }
}
