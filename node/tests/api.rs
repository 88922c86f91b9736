//! `/api/v1` as programs meet it: a real node, real HTTP, real tokens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::{BufRead, Write};

use harness::browser::{Browser, Page};
use harness::program::{Program, token, value};
use harness::{Running, Town, json};
use serde_json::{Value, json as object};

fn town() -> (Town, Running, String) {
    let town = Town::new(&["370100"]);
    let (node, desk) = town.desk("370100", &[]);
    (town, node, desk)
}

/// It has to be a problem of this status and name.
fn problem(page: &Page, status: u16, name: &str) {
    assert_eq!(page.status, status, "{}\n{}", page.head, page.body);
    assert_eq!(page.header("content-type"), "application/problem+json");
    let said = value(page);
    assert_eq!(
        (said["type"].as_str(), said["status"].as_u64()),
        (Some(format!("urn:hotline:problem:{name}").as_str()), Some(status.into())),
        "{said}"
    );
    assert!(!said["detail"].as_str().unwrap().is_empty());
}

const ALL: &str = "tickets:read,tickets:write,files:read,files:write,persons:read,status:read";

#[test]
fn a_ticket_lives_its_life_through_the_api() {
    let (town, _node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "shift-leader", ALL);
    let call =
        object!({ "text": "出租车拒载", "type": "投诉举报", "caller_phone": "13800000001", "id": "H-1" });
    let made = hall.post("/tickets", &call, &[]).is(201);
    let id = value(&made)["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/tickets/{id}"));
    let shown = hall.get(&format!("/tickets/{id}")).is(200);
    assert!(!shown.body.contains("13800000001"), "a caller is in no answer that was not asked with a reason");
    let number = value(&shown)["number"].as_str().unwrap().to_owned();
    assert_eq!(value(&hall.get(&format!("/tickets/{number}")).is(200))["id"], id.as_str());
    for (act, body) in [
        ("dispatch", object!({ "department": "客运管理处" })),
        ("feedback", object!({ "text": "已约谈司机" })),
        ("reply", object!({ "text": "已向来电人致歉" })),
        ("close", object!({ "result": "已处理" })),
    ] {
        hall.post(&format!("/tickets/{id}/acts/{act}"), &body, &[]).is(201);
    }
    hall.post(&format!("/tickets/{id}/notes"), &object!({ "text": "一条备注" }), &[]).is(201);
    let shown = value(&hall.get(&format!("/tickets/{id}")).is(200));
    assert_eq!(shown["stage"], "closed");
    let ops: Vec<&str> =
        shown["trail"].as_array().unwrap().iter().map(|e| e["op"].as_str().unwrap()).collect();
    assert_eq!(ops, ["create", "dispatch", "feedback", "reply", "close"]);
    assert!(shown["trail"].as_array().unwrap().iter().all(|entry| entry["user"] == "token hall"));
    hall.get(&format!("/tickets/{id}/history?language=en")).is(200).says("closed");
    hall.get(&format!("/tickets/{id}/choices")).is(200).says("reopen");
    problem(&hall.post(&format!("/tickets/{id}/acts/urge"), &object!({}), &[]), 422, "invalid");
    problem(
        &hall.post(&format!("/tickets/{id}/acts/offer"), &object!({ "to": "370200", "reason": "属地" }), &[]),
        409,
        "not-granted",
    );
    let revealed = hall.post(&format!("/tickets/{id}/reveal"), &object!({ "reason": "回访" }), &[]).is(200);
    assert!(revealed.body.contains("13800000001"));
    assert!(
        json(&["ticket", "reveals", &id, "--dir", &town.at("370100")]).to_string().contains("token hall")
    );
    for (path, says) in [
        ("/reference/categories", "D0401"),
        ("/reference/redirects", "12306"),
        ("/reference/centres", "370100"),
        ("/status", "370100"),
        ("/volume?days=1", "hours"),
        ("/tickets?q=%E6%8B%92%E8%BD%BD", &number),
    ] {
        hall.get(path).is(200).says(says);
    }
    let found = value(&hall.get("/tickets?q=%E6%8B%92%E8%BD%BD"))["tickets"][0].clone();
    assert!(
        found["id"] == id.as_str() && found.get("row").is_none(),
        "rows are the node's own matter: {found}"
    );
    let log = json(&["audit", "--limit", "100", "--dir", &town.at("370100")]);
    for what in ["token add", "new", "made", "act dispatch", "note", "reveal", "failed"] {
        assert!(log.as_array().unwrap().iter().any(|line| line["what"] == what), "{what} is not in {log}");
    }
    assert!(!log.to_string().contains("13800000001") && !log.to_string().contains(&hall.token));
}

#[test]
fn a_token_may_what_its_role_and_its_scopes_both_allow() {
    let (town, _node, desk) = town();
    let leader = Program::new(&town, &desk, "leader", "shift-leader", ALL);
    let id = leader.made(&object!({ "text": "公交晚点", "caller_phone": "13800000001" }));
    let secret =
        leader.made(&object!({ "text": "举报", "caller_phone": "13800000002", "confidential": true }));
    let agent = Program::new(&town, &desk, "agent", "agent", ALL);
    let reader = Program::new(&town, &desk, "reader", "shift-leader", "tickets:read");
    let auditor = Program::new(&town, &desk, "auditor", "auditor", ALL);
    let ask = |who: &Program, path: &str, body: Value| who.post(&format!("/tickets/{path}"), &body, &[]);
    reader.get(&format!("/tickets/{id}")).is(200);
    problem(&ask(&reader, &format!("{id}/notes"), object!({ "text": "x" })), 403, "forbidden");
    problem(&ask(&reader, &format!("{id}/reveal"), object!({ "reason": "x" })), 403, "forbidden");
    problem(&reader.get("/status"), 403, "forbidden");
    problem(&reader.get(&format!("/tickets/{id}/files")), 403, "forbidden");
    ask(&agent, &format!("{id}/notes"), object!({ "text": "x" })).is(201);
    problem(&ask(&agent, &format!("{id}/acts/close"), object!({ "result": "x" })), 403, "forbidden");
    problem(&ask(&agent, &format!("{id}/reveal"), object!({ "reason": "x" })), 403, "forbidden");
    problem(&auditor.get("/tickets"), 403, "forbidden");
    auditor.get("/status").is(200);
    for who in [&leader, &agent] {
        assert!(!who.get(&format!("/tickets/{secret}")).is(200).body.contains("13800000002"));
    }
    let log = json(&["audit", "--limit", "100", "--dir", &town.at("370100")]).to_string();
    assert!(log.contains("needs the scope tickets:write") && log.contains("token reader"), "{log}");

    json(&["token", "revoke", "reader", "--dir", &town.at("370100")]);
    let page = reader.get(&format!("/tickets/{id}"));
    problem(&page, 401, "no-token");
    assert!(page.header("www-authenticate").starts_with("Bearer"));
    let stranger = Program { browser: Browser::new(&desk), token: format!("hotline_{}", "0".repeat(64)) };
    let said: Vec<u16> = (0..8).map(|_| stranger.get("/tickets").status).collect();
    assert!(said.contains(&401) && said.last() == Some(&429), "guessing is slowed down: {said:?}");
    leader.get("/tickets").is(200); // whoever has a good one is in all the same
    let bare = Browser::new(&desk).get("/api/v1/tickets");
    problem(&bare, 401, "no-token");
    let mut person = town.staff("370100", &desk, "li", "agent");
    problem(&person.get("/api/v1/tickets"), 401, "no-token");
}

#[test]
fn articles_are_found_and_read() {
    let (town, _node, desk) = town();
    let city = town.at("370100");
    let kb = |user: &str, args: &[&str]| {
        json(&[&["kb"], args, &["--user", user, "--dir", &city]].concat());
    };
    kb("li", &["new", "--title", "节假日高速免费通行", "--body", "七座以下小型客车", "--code", "JN1"]);
    let hall = Program::new(&town, &desk, "hall", "agent", "knowledge:read");
    let found = |path: &str| value(&hall.get(path).is(200))["articles"].as_array().unwrap().len();
    assert_eq!(found("/articles"), 0, "a draft is nobody's answer");
    kb("zhang", &["review", "JN1"]);
    kb("zhang", &["publish", "JN1"]);
    assert_eq!(found("/articles"), 1);
    let row = value(&hall.get("/articles"))["articles"][0].clone();
    assert!(row["code"] == "JN1" && row.get("row").is_none(), "rows are the node's own matter: {row}");
    assert_eq!(found("/articles?q=mianfei"), 1);
    assert_eq!(found("/articles?q=%E5%9C%B0%E9%93%81"), 0);
    assert_eq!(found("/articles?about=%E5%9B%BD%E5%BA%86%E9%AB%98%E9%80%9F%E5%85%8D%E8%B4%B9%E5%90%97"), 1);
    let article = hall.get("/articles/JN1").is(200);
    assert_eq!(value(&article)["text"]["body"], "七座以下小型客车");
    assert!(article.header("etag").len() > 60);
    problem(&hall.get("/articles/JN9"), 404, "not-found");
    problem(&hall.post("/articles/JN1/used", &object!({}), &[]), 403, "forbidden");
    let says = Program::new(&town, &desk, "says", "agent", "knowledge:write");
    let key = ["Idempotency-Key: call-7"];
    for _ in 0..2 {
        let said = value(&says.post("/articles/JN1/used", &object!({ "version": 1 }), &key).is(201));
        assert_eq!((&said["use"]["used"], &said["use"]["unhelpful"]), (&Value::from(1), &Value::from(0)));
    }
    says.post("/articles/JN1/unhelpful", &object!({}), &[]).is(201);
    problem(&says.post("/articles/JN1/used", &object!({ "version": 9 }), &[]), 409, "not-granted");
    assert_eq!(value(&hall.get("/articles/JN1"))["use"]["unhelpful"], 1);
    problem(&hall.get("/articles?q=a&about=b"), 400, "bad-request");
    problem(&hall.get("/tickets"), 403, "forbidden");
    let other = Program::new(&town, &desk, "other", "agent", "tickets:read");
    problem(&other.get("/articles"), 403, "forbidden");
}

#[test]
fn asking_again_under_one_key_does_nothing_twice_over_a_kill() {
    let (town, node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "agent", ALL);
    let call = object!({ "text": "公交晚点", "caller_phone": "13800000001" });
    let key = ["Idempotency-Key: call-1"];
    let first = hall.post("/tickets", &call, &key).is(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    drop(node); // kill -9
    let (_node, desk) = town.desk("370100", &[]);
    let hall = Program { browser: Browser::new(&desk), ..hall };
    let again = hall.post("/tickets", &call, &key).is(201);
    assert_eq!((value(&again), again.header("location")), (value(&first), first.header("location")));
    assert_eq!(again.header("idempotency-replayed"), "true");
    problem(&hall.post("/tickets", &object!({ "text": "另一件事" }), &key), 422, "key-used");
    // What was refused has done nothing, and the key is free for the request as it should have been.
    let key = ["Idempotency-Key: call-2"];
    problem(&hall.post("/tickets", &object!({ "text": " " }), &key), 422, "invalid");
    hall.post("/tickets", &object!({ "text": "站台灯坏了" }), &key).is(201);
    assert_eq!(json(&["ticket", "list", "--dir", &town.at("370100")]).as_array().unwrap().len(), 2);
    let kept = std::fs::read(town.path("370100").join("desk.db")).unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains("13800000001"), "no caller is kept with an answer");
}

#[test]
fn a_state_that_was_seen_guards_reads_and_writes() {
    let (town, _node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "shift-leader", ALL);
    let id = hall.made(&object!({ "text": "公交晚点" }));
    let path = format!("/tickets/{id}");
    let seen = hall.get(&path).is(200).header("etag").to_owned();
    let line = format!("If-None-Match: {seen}");
    let unchanged = hall.asks("GET", &path, &[&line], b"").is(304);
    assert_eq!((unchanged.body.as_str(), unchanged.header("etag")), ("", seen.as_str()));
    let note = |text: &str, tag: &str| {
        hall.post(
            &format!("{path}/acts/progress"),
            &object!({ "text": text }),
            &[&format!("If-Match: {tag}")],
        )
    };
    note("一", &seen).is(201);
    problem(&note("二", &seen), 412, "moved");
    note("三", "*").is(201);
    let now = hall.get(&path).is(200).header("etag").to_owned();
    note("四", &format!("{seen}, {now}")).is(201);
    let now = hall.get(&path).is(200).header("etag").to_owned();
    problem(&note("五", &format!("W/{now}")), 412, "moved"); // a weak tag is no strong one
    problem(&note("六", "x"), 400, "bad-request");
    assert_ne!(hall.asks("GET", &path, &[&line], b"").is(200).header("etag"), seen);
    let trail = value(&hall.get(&path))["trail"].to_string();
    assert!(
        trail.contains('一') && !trail.contains('二') && trail.contains('三') && trail.contains('四'),
        "{trail}"
    );
}

#[test]
fn a_queue_comes_page_by_page_and_whole() {
    let (town, _node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "agent", ALL);
    let mut made: Vec<String> = (0..7).map(|i| hall.made(&object!({ "text": format!("第{i}件") }))).collect();
    made.reverse();
    let narrowed = |query: &str| {
        let page = value(&hall.get(&format!("/tickets?queue=all&{query}")).is(200));
        page["tickets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(narrowed("sort=oldest&limit=1"), made[6..]);
    assert_eq!(narrowed("urgency=%E7%B4%A7%E6%80%A5").len(), 0); // 紧急
    assert_eq!(narrowed("first=2026-01-01&urgency=%E4%B8%80%E8%88%AC"), made); // 一般
    for (query, status) in [("queue=mine", 422), ("sort=up", 400), ("first=x", 422), ("q=x&sort=due", 400)] {
        hall.get(&format!("/tickets?{query}")).is(status);
    }
    let (mut got, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = value(&hall.get(&format!("/tickets?queue=all&limit=3{cursor}")).is(200));
        got.extend(page["tickets"].as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((got, pages), (made, 3), "every one once, the newest first");
    for wrong in ["limit=0", "limit=101", "cursor=x", "queue=none", "que=all", "q=x&cursor=3"] {
        problem(&hall.get(&format!("/tickets?{wrong}")), 400, "bad-request");
    }
}

#[test]
fn tickets_like_a_call_are_told_with_what_they_share() {
    let (town, _node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "agent", ALL);
    let made = hall.made(&object!({ "text": "司机绕路", "plate": "鲁A12345" }));
    hall.made(&object!({ "text": "公交晚点" }));
    let like = value(&hall.get("/tickets/similar?plate=%E9%B2%81A12345").is(200));
    let like = like["tickets"].as_array().unwrap().clone();
    assert_eq!((like.len(), like[0]["id"].as_str()), (1, Some(made.as_str())));
    assert_eq!(like[0]["why"], Value::from(vec!["鲁A12345"]));
    assert!(like[0].get("row").is_none());
    problem(&hall.get("/tickets/similar?limit=51"), 400, "bad-request");
}

#[test]
fn changes_are_told_each_once_over_a_kill_and_a_past_that_is_gone_is_said() {
    let (town, node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "shift-leader", ALL);
    let changes = |hall: &Program, query: &str| value(&hall.get(&format!("/changes?{query}")).is(200));
    let begin = changes(&hall, "")["next"].as_str().unwrap().to_owned();
    let first = hall.made(&object!({ "text": "公交晚点" }));
    let told = changes(&hall, &format!("after={begin}"));
    let ids = |told: &Value| -> Vec<String> {
        told["changes"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&told), [first.as_str()]);
    let etag = hall.get(&format!("/tickets/{first}")).header("etag").to_owned();
    assert_eq!(format!("\"{}\"", told["changes"][0]["state_hash"].as_str().unwrap()), etag);
    let next = told["next"].as_str().unwrap().to_owned();

    // Somebody who waits hears of it when it comes.
    let waiting = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| changes(&hall, &format!("after={next}&wait=25")));
        hall.post(&format!("/tickets/{first}/acts/progress"), &object!({ "text": "已派人" }), &[]).is(201);
        waiter.join().unwrap()
    });
    assert_eq!(ids(&waiting), [first.as_str()]);

    let second = hall.made(&object!({ "text": "站台灯坏了" }));
    drop(node); // kill -9
    let (node, desk) = town.desk("370100", &[]);
    let hall = Program { browser: Browser::new(&desk), ..hall };
    let third = hall.made(&object!({ "text": "路面塌陷" }));
    let told = changes(&hall, &format!("after={next}"));
    assert_eq!(ids(&told), [first, second, third], "all that came since, each once");
    let end = told["next"].as_str().unwrap().to_owned();
    assert_eq!(ids(&changes(&hall, &format!("after={end}"))), [""; 0]);
    for wrong in ["0-ffffffffffffffff".to_owned(), "x".to_owned(), format!("9{end}")] {
        problem(&hall.get(&format!("/changes?after={wrong}")), 410, "cursor-gone");
    }
    drop(node);
}

/// A stream of changes that a program listens to.
struct Listening(std::io::BufReader<std::net::TcpStream>);

impl Listening {
    /// Opens one; its head has been read.
    fn new(hall: &Program, desk: &str, query: &str, lines: &str) -> Listening {
        let mut line = std::net::TcpStream::connect(desk).unwrap();
        line.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let head = hall.browser.head("GET", &format!("/api/v1/changes/stream{query}"));
        write!(
            line,
            "{head}Authorization: Bearer {}\r\nAccept: text/event-stream\r\n{lines}\r\n",
            hall.token
        )
        .unwrap();
        let mut listening = Listening(std::io::BufReader::new(line));
        let head = listening.until(|line| line.is_empty());
        assert!(head[0].contains("200") && head.iter().any(|l| l.ends_with("text/event-stream")), "{head:?}");
        listening
    }

    /// The lines up to one; what HTTP says of its chunks is among them.
    fn until(&mut self, last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it ended: {lines:?}");
            lines.push(line.trim_end().to_owned());
            if last(line.trim_end()) {
                return lines;
            }
        }
    }

    /// The id of an event, and what it says.
    fn change(&mut self) -> (String, Value) {
        let lines = self.until(|line| line.starts_with("data: "));
        let part =
            |of: &str| lines.iter().find_map(|line| line.strip_prefix(of)).unwrap_or_default().to_owned();
        assert_eq!(part("event: "), "change", "{lines:?}");
        (part("id: "), serde_json::from_str(&part("data: ")).unwrap())
    }
}

#[test]
fn changes_come_as_a_stream_that_goes_on_where_it_was() {
    let (town, node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "shift-leader", ALL);
    let mut listening = Listening::new(&hall, &desk, "", "");
    let began = listening.until(|line| line.starts_with("id: ")).pop().unwrap();
    let first = hall.made(&object!({ "text": "公交晚点" }));
    let (cursor, said) = listening.change();
    assert_eq!((said["id"].as_str(), said["cursor"].as_str()), (Some(first.as_str()), Some(cursor.as_str())));
    assert!(!said.to_string().contains("公交"), "{said}");

    // Killed and started again: whoever connects anew is told what came meanwhile, and nothing twice.
    drop((node, listening));
    let second = json(&["ticket", "new", "--dir", &town.at("370100"), "--text", "路面塌陷"])["id"].clone();
    let (node, desk) = town.desk("370100", &[]);
    let hall = Program { browser: Browser::new(&desk), ..hall };
    let last = format!("Last-Event-ID: {cursor}\r\n");
    let mut anew = Listening::new(&hall, &desk, "?after=x", &last); // the header outranks what the address says
    assert_eq!(anew.change().1["id"], second);
    let mut all = Listening::new(&hall, &desk, &format!("?after={}", &began[4..]), "");
    assert_eq!((all.change().1["id"].as_str(), &all.change().1["id"]), (Some(first.as_str()), &second));

    problem(&hall.get("/changes/stream?after=9-00"), 410, "cursor-gone");
    problem(&hall.asks("GET", "/changes/stream", &["Accept: application/xml"], b""), 406, "not-acceptable");
    let blind = Program::new(&town, &desk, "blind", "agent", "status:read");
    problem(&blind.get("/changes/stream"), 403, "forbidden");

    // Four of a token, and one more when one has gone.
    let more = [Listening::new(&hall, &desk, "", ""), Listening::new(&hall, &desk, "", "")];
    problem(&hall.get("/changes/stream?after=x"), 429, "too-many-streams");
    drop((more, all));
    harness::until("there is room again", || hall.get("/changes/stream?after=x").status == 410);

    // A revoked token is told nothing further.
    json(&["token", "revoke", "hall", "--dir", &town.at("370100")]);
    json(&["ticket", "new", "--dir", &town.at("370100"), "--text", "站台灯坏了"]);
    let lines = anew.until(|line| line.starts_with("data: "));
    assert!(lines.contains(&"event: ended".to_owned()), "{lines:?}");
    drop(node);
}

#[test]
fn a_file_goes_in_and_comes_out_as_it_was() {
    let (town, _node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "agent", ALL);
    let id = hall.made(&object!({ "text": "路面塌陷" }));
    let bytes: Vec<u8> = (0..200_000u32).map(|i| b"hotline\n"[i as usize % 8]).collect();
    let path = format!("/tickets/{id}/files?name=a.txt");
    let row = value(&hall.asks("POST", &path, &["Content-Type: text/plain"], &bytes).is(201));
    assert_eq!(row["size"], 200_000, "{row}");
    hall.asks("POST", &path, &["Content-Type: text/plain"], &bytes).is(200); // the same again changes nothing
    let files = value(&hall.get(&format!("/tickets/{id}/files")).is(200));
    let content = files["files"][0]["content"].as_str().unwrap();
    let back = hall.get(&format!("/tickets/{id}/files/{content}")).is(200);
    assert_eq!(back.body.as_bytes(), bytes);
    problem(
        &hall.asks("POST", &path, &["Content-Type: multipart/form-data; boundary=x"], b"--x"),
        415,
        "media-type",
    );
    problem(&hall.asks("POST", &format!("/tickets/{id}/files"), &[], b"x"), 400, "bad-request");
}

#[test]
fn whatever_is_wrong_is_said_as_a_problem() {
    let (town, _node, desk) = town();
    let hall = Program::new(&town, &desk, "hall", "agent", ALL);
    let json_line = ["Content-Type: application/json"];
    problem(&hall.get("/nothing"), 404, "not-found");
    problem(&hall.get("/tickets/zz"), 404, "not-found");
    problem(&hall.get(&format!("/tickets/{}", "a".repeat(64))), 404, "not-found");
    let wrong = hall.asks("DELETE", "/tickets", &[], b"");
    problem(&wrong, 405, "method");
    assert!(
        wrong.header("allow").contains("GET") && wrong.header("allow").contains("POST"),
        "{}",
        wrong.head
    );
    problem(&hall.asks("GET", "/tickets", &["Accept: text/html"], b""), 406, "not-acceptable");
    problem(&hall.asks("POST", "/tickets", &["Content-Type: text/plain"], b"x"), 415, "media-type");
    problem(&hall.asks("POST", "/tickets", &json_line, b"{"), 400, "not-json");
    problem(&hall.asks("POST", "/tickets", &json_line, b"[]"), 422, "invalid");
    problem(&hall.post("/tickets", &object!({ "text": 3 }), &[]), 422, "invalid");
    problem(&hall.post("/tickets", &object!({ "text": "x", "note": null }), &[]), 422, "invalid");
    problem(&hall.post("/tickets", &object!({ "text": "x".repeat(300_000) }), &[]), 413, "too-large");
    problem(&hall.post("/tickets", &object!({ "text": "x" }), &["Idempotency-Key: a b"]), 400, "bad-request");
    let document = value(&Browser::new(&desk).get("/api/v1/openapi.json").is(200));
    for (path, verbs) in document["paths"].as_object().unwrap() {
        let filled = path
            .replace("{id}", &"a".repeat(64))
            .replace("{content}", "x")
            .replace("{token}", "x")
            .replace("{callid}", "x");
        for (verb, operation) in verbs.as_object().unwrap().iter().filter(|_| path != "/openapi.json") {
            // A stream does not end by itself.
            let asked = if path.ends_with("/stream") { format!("{filled}?after=x") } else { filled.clone() };
            let page = hall.asks(&verb.to_uppercase(), &asked, &[], b"");
            assert_ne!(page.status, 405, "{verb} {path}");
            let named = &operation["responses"][page.status.to_string()];
            assert!(named.is_object(), "{verb} {path} answers {}, which is not described", page.status);
        }
    }
}

#[test]
fn over_tls_with_the_desks_own_certificate_programs_are_in_as_well() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &["--desk-names", "desk.example"]);
    let ca = town.path("370100").join("desk/ca.crt");
    let hall = Program {
        browser: Browser::secure(&desk, &ca, "desk.example"),
        token: token(&town, "370100", "hall", "agent", ALL),
    };
    hall.made(&object!({ "text": "公交晚点" }));
}
