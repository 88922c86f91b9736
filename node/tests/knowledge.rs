//! `hotline kb`: every command once on the directory and once through the socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::path::Path;

use harness::{Town, WAYS, fails, json, says, text, until};
use serde_json::Value;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/kb.jsonl")
}

fn id(article: &Value) -> String {
    article["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_article_is_written_reviewed_published_revised_compared_and_withdrawn() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let node = town.way(way, "370100");
        let city = town.at("370100");
        let at =
            |user: &str, args: &[&str]| json(&[&["kb"], args, &["--dir", &city, "--user", user]].concat());
        let no = |args: &[&str], code, words: &str| {
            fails(&[&["kb"], args, &["--dir", &city]].concat(), code, words)
        };

        let made = at(
            "李",
            &[
                "new",
                "--title",
                "节假日高速免费通行",
                "--body",
                "七座以下小型客车\n免收通行费",
                "--code",
                "JN1",
                "--tag",
                "高速",
            ],
        );
        assert_eq!((&made["standing"], &made["draft"]), (&Value::from("draft"), &Value::from(1)));
        let article = id(&made);
        no(&["publish", "JN1", "--user", "李"], 1, "a second person reviews it first");
        no(&["review", "JN1"], 1, "say who you are");
        no(&["review", "JN1", "--user", "李"], 1, "nobody reviews what they wrote themselves");
        assert_eq!(at("李", &["search", "免费"]).as_array().unwrap().len(), 0, "nobody finds a draft");
        assert_eq!(at("李", &["list", "--queue", "unreviewed"])[0]["id"], Value::from(article.as_str()));
        assert_eq!(at("张", &["review", &article[..8]])["standing"], "reviewed");
        assert_eq!(at("张", &["publish", "JN1"])["in_force"], 1);
        assert_eq!(at("李", &["search", "mianfei"])[0]["id"], Value::from(article.as_str()));
        assert_eq!(at("李", &["suggest", "国庆高速免费吗"])[0]["id"], Value::from(article.as_str()));
        at(
            "李",
            &[
                "revise",
                "JN1",
                "--body",
                "七座以下小型客车\n含摩托车\n免收通行费",
                "--valid-to",
                "2020-01-01",
            ],
        );
        let shown = at("李", &["show", "JN1"]);
        assert_eq!((&shown["in_force"], &shown["draft"]), (&Value::from(1), &Value::from(2)));
        assert_eq!(shown["version"]["number"], 1);
        let diff = says(&["kb", "diff", "JN1", "1", "2", "--dir", &city]);
        assert!(diff.contains("+ 含摩托车") && diff.contains("valid_to:  -> 2020-01-01"), "{diff}");
        at("张", &["review", "JN1"]);
        at("张", &["publish", "JN1"]);
        assert_eq!(at("李", &["list", "--queue", "expired", "--mine"])[0]["version"], 2);
        assert_eq!(
            at("李", &["show", "JN1", "--version", "1"])["text"]["body"],
            "七座以下小型客车\n免收通行费"
        );
        no(&["show", "JN1", "--version", "9"], 1, "the last is 2");
        at("李", &["used", "JN1"]);
        at("李", &["used", "JN1", "--version", "1"]);
        assert_eq!(at("张", &["unhelpful", "JN1"])["use"]["unhelpful"], 1);
        assert_eq!(at("李", &["list", "--queue", "unhelpful"])[0]["unhelpful"], 1);
        assert_eq!(at("李", &["show", "JN1"])["use"]["used"], 2);
        at("李", &["withdraw", "JN1", "--reason", "已废止"]);
        no(&["used", "JN1"], 1, "nothing of this article is in force");
        assert_eq!(at("李", &["search", "免费"]).as_array().unwrap().len(), 0);
        let story = says(&["kb", "history", "JN1", "--dir", &city]);
        assert!(
            ["create", "review", "publish", "revise", "withdraw", "已废止"].iter().all(|w| story.contains(w)),
            "{story}"
        );
        no(&["show", "nowhere"], 1, "no article nowhere is here");
        no(&["list", "--queue", "best"], 2, "unreviewed");
        no(&["propose", "JN2"], 1, "no article JN2 is here");
        no(&["new", "--title", "x"], 2, "body");
        fails(&["ticket", "show", &article, "--dir", &city], 1, "no ticket but an article");
        assert_eq!(json(&["replica", "rebuild", "--dir", &city])["changed"], false);
        assert!(says(&["replica", "verify", "--dir", &city]).contains("items"));
        drop(node); // kill -9
        let said = at("李", &["show", "JN1"])["use"]["versions"].clone();
        assert_eq!(said[0], serde_json::json!({ "version": 1, "used": 1, "unhelpful": 0 }));
        assert_eq!(said[1], serde_json::json!({ "version": 2, "used": 1, "unhelpful": 1 }));
    }
}

#[test]
fn files_come_in_and_go_out_in_both_shapes() {
    for way in WAYS {
        let town = Town::new(&["000000"]);
        let _node = town.way(way, "000000");
        let city = town.at("000000");
        let file = fixtures();
        let import = |user: &str| {
            json(&["kb", "import", text(&file), "--reviewed-by", "张", "--user", user, "--dir", &city])
        };
        let mine = std::fs::read_to_string(&file).unwrap().matches("\"000000\"").count();
        assert!(mine > 0);
        let done = import("李");
        assert_eq!((&done["made"], &done["elsewhere"]), (&Value::from(mine), &Value::from(21 - mine)));
        let again = import("李");
        assert_eq!((&again["made"], &again["same"]), (&Value::from(0), &Value::from(mine)));
        let lines = says(&["kb", "export", "--dir", &city]);
        assert_eq!(lines.lines().count(), mine);
        let out = town.path("out");
        says(&["kb", "export", "--shape", "markdown", "--out", text(&out), "--dir", &city]);
        let one = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
        let changed = std::fs::read_to_string(&one).unwrap() + "\n又一行\n";
        std::fs::write(&one, changed).unwrap();
        let done = json(&["kb", "import", text(&one), "--reviewed-by", "张", "--user", "李", "--dir", &city]);
        assert_eq!(done["revised"], 1);
        assert_eq!(json(&["kb", "search", "又一行", "--dir", &city])[0]["version"], 2);
        let again = json(&["kb", "import", text(&out), "--user", "李", "--dir", &city]);
        assert_eq!((&again["same"], &again["made"], &again["revised"]), (&mine.into(), &0.into(), &0.into()));
        // Without an id a file is known again by what it says, and whoever comes later to have read it publishes it.
        let plain = town.path("plain.md");
        std::fs::write(&plain, "---\ntitle: 无编码的条目\nstatus: published\n---\n先这样\n").unwrap();
        for (readers, made, same) in [(&[][..], 1, 0), (&[], 0, 1), (&["--reviewed-by", "张"], 0, 1)] {
            let words = [&["kb", "import", text(&plain), "--user", "李", "--dir", &city], readers].concat();
            let done = json(&words);
            assert_eq!((&done["made"], &done["same"]), (&made.into(), &same.into()), "{words:?}");
        }
        assert_eq!(json(&["kb", "search", "无编码的条目", "--dir", &city]).as_array().unwrap().len(), 1);
        // A slip of the finger is an error that names the file and the line, and nothing is begun.
        let slips =
            [("valid_util: 2026-12-31", "there is no `valid_util`"), ("valid_to: 2026-13-40", "no day")];
        for (slip, told) in slips {
            std::fs::write(&plain, format!("---\ntitle: 笔误\n{slip}\n---\n正文\n")).unwrap();
            fails(&["kb", "import", text(&plain), "--dir", &city], 2, told);
        }
        std::fs::copy(&plain, out.join("zz.md")).unwrap();
        fails(&["kb", "import", text(&out), "--dir", &city], 2, "zz.md holds no article");
        // In the name of one person nothing is published.
        let alone = town.path("alone.jsonl");
        std::fs::write(&alone, "{\"title\":\"一人\",\"body\":\"写\",\"status\":\"published\"}\n").unwrap();
        fails(
            &["kb", "import", text(&alone), "--reviewed-by", "李", "--user", "李", "--dir", &city],
            75,
            "nothing was saved",
        );
        assert_eq!(
            json(&["kb", "list", "--queue", "all", "--dir", &city]).as_array().unwrap().len(),
            mine + 1
        );
    }
}

#[test]
fn a_version_carries_files_and_readers_get_them_when_it_is_in_force() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let node = town.way(way, "370100");
        let city = town.at("370100");
        let at =
            |user: &str, args: &[&str]| json(&[&["kb"], args, &["--dir", &city, "--user", user]].concat());
        at("李", &["new", "--title", "大件运输许可", "--body", "填表", "--code", "JN1"]);
        let (form, table) = (town.path("申请表.pdf"), town.path("线路.csv"));
        std::fs::write(&form, [b"%PDF-1.4 ".as_slice(), &[7; 150_000]].concat()).unwrap();
        std::fs::write(&table, "").unwrap();
        let row = at("李", &["attach", "JN1", text(&form)]);
        assert_eq!((&row["type"], &row["version"]), (&Value::from("application/pdf"), &Value::from(2)));
        assert_eq!(at("李", &["attach", "JN1", text(&table), "--name", "空.csv"])["version"], 3);
        assert_eq!(at("李", &["attach", "JN1", text(&form)])["version"], Value::Null, "it is there");
        at("张", &["review", "JN1"]);
        at("张", &["publish", "JN1"]);
        let out = town.path("saved");
        std::fs::create_dir(&out).unwrap();
        for name in ["申请表.pdf", "空.csv"] {
            at("王", &["get", "JN1", name, "--out", text(&out)]);
        }
        assert_eq!(std::fs::read(out.join("申请表.pdf")).unwrap(), std::fs::read(&form).unwrap());
        assert_eq!(std::fs::read(out.join("空.csv")).unwrap(), b"");
        let shown = at("李", &["show", "JN1"])["files"][0].clone();
        assert_eq!((&shown["size"], &shown["state"]), (&Value::from(150_009), &Value::from("here")));
        let markdown = town.path("markdown");
        says(&["kb", "export", "--shape", "markdown", "--out", text(&markdown), "--dir", &city]);
        let written = std::fs::read_to_string(markdown.join("370100-JN1.md")).unwrap();
        assert!(written.contains("files: 申请表.pdf, 空.csv"), "{written}");
        at("李", &["import", text(&markdown.join("370100-JN1.md"))]);
        at("李", &["detach", "JN1", "空.csv"]);
        let of = |file: &Value| (file["name"].as_str().unwrap().to_owned(), file["versions"].clone());
        let all: Vec<_> = at("李", &["files", "JN1"]).as_array().unwrap().iter().map(of).collect();
        assert_eq!(
            all,
            [
                ("申请表.pdf".to_owned(), serde_json::json!([2, 3, 4])),
                ("空.csv".to_owned(), serde_json::json!([3]))
            ]
        );
        for (args, words) in [
            (&["get", "JN1", "没有.pdf"][..], "its files: 申请表.pdf, 空.csv"),
            (&["get", "JN9", "空.csv"], "no article JN9 is here"),
        ] {
            fails(&[&["kb"], args, &["--out", text(&town.path("no")), "--dir", &city]].concat(), 1, words);
        }
        fails(&["kb", "detach", "JN1", "空.csv", "--user", "李", "--dir", &city], 1, "carries no file");
        assert_eq!(json(&["replica", "rebuild", "--dir", &city])["changed"], false);
        drop(node);
    }
}

#[test]
fn a_provinces_article_reaches_a_running_city() {
    let town = Town::new(&["370000", "370100"]);
    let province = town.at("370000");
    let _nodes = town.pair("370000", "370100");
    let done =
        json(&["kb", "import", text(&fixtures()), "--reviewed-by", "张", "--user", "李", "--dir", &province]);
    assert!(done["made"].as_u64().unwrap() > 0);
    let city = town.at("370100");
    until("the city has them", || {
        let list = json(&["kb", "list", "--dir", &city]);
        list.as_array().unwrap().len() as u64 == done["made"].as_u64().unwrap()
    });
}
