//! What `/api/v1` answers against what it says that it answers: real nodes, real HTTP, answers of every kind. Schemathesis looks
//! whether an answer is allowed; this, whether all of it is described.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::cell::RefCell;
use std::collections::BTreeSet;

use harness::browser::{Browser, NUMBER};
use harness::description::Description;
use harness::program::{Program, SCOPES, token, value};
use harness::{Running, Town, json, port, text};
use serde_json::{Value, json as object};

/// A program that holds every answer against the description.
struct Reader {
    hall: Program,
    description: Description,
    tried: RefCell<BTreeSet<(String, String)>>,
    faults: RefCell<BTreeSet<String>>,
}

impl Reader {
    fn new(town: &Town, node: &str, desk: &str) -> Reader {
        let token = token(town, node, "reader", "shift-leader", SCOPES);
        Reader {
            hall: Program { browser: Browser::new(desk), token },
            description: Description::of(desk),
            tried: RefCell::default(),
            faults: RefCell::default(),
        }
    }

    /// Asks a route, with `named` in place of what its path leaves open and `query` behind it.
    fn asks(
        &self,
        verb: &str,
        route: &str,
        named: &str,
        query: &str,
        kind: &str,
        body: &[u8],
    ) -> (u16, Value) {
        let path = match route.split_once('{') {
            Some((before, rest)) => format!("{before}{named}{}", rest.split_once('}').unwrap().1),
            None => route.to_owned(),
        };
        let line = format!("Content-Type: {kind}");
        let page = self.hall.asks(verb, &format!("{path}{query}"), &[&line], body);
        let answer = value(&page);
        self.faults.borrow_mut().extend(self.description.faults(verb, route, page.status, &answer));
        if page.status < 300 {
            self.tried.borrow_mut().insert((verb.to_owned(), route.to_owned()));
        }
        (page.status, answer)
    }

    fn get(&self, route: &str, named: &str, query: &str) -> Value {
        let (status, answer) = self.asks("GET", route, named, query, "application/json", b"");
        assert_eq!(status, 200, "{route} {named}: {answer}");
        answer
    }

    fn post(&self, route: &str, named: &str, body: &Value) -> Value {
        let (status, answer) =
            self.asks("POST", route, named, "", "application/json", body.to_string().as_bytes());
        assert!(matches!(status, 200 | 201), "{route} {named}: {answer}");
        answer
    }

    fn act(&self, id: &str, act: &str, body: &Value) {
        self.post(&format!("/tickets/{{id}}/acts/{act}"), id, body);
    }

    fn made(&self, body: &Value) -> String {
        self.post("/tickets", "", body)["id"].as_str().unwrap().to_owned()
    }

    /// All that is told of a ticket.
    fn reads(&self, id: &str) -> Value {
        self.get("/tickets/{id}/history", id, "?language=en");
        self.get("/tickets/{id}/choices", id, "");
        self.get("/tickets/{id}/files", id, "");
        self.get("/tickets/{id}", id, "")
    }

    /// The same after the node was started anew.
    fn at(self, desk: &str) -> Reader {
        Reader { hall: Program { browser: Browser::new(desk), ..self.hall }, ..self }
    }

    /// Nothing may have been otherwise than it is described.
    fn ends(&self) {
        let faults: Vec<String> = self.faults.borrow().iter().cloned().collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Every operation has to have been tried; of actions, which all answer alike, some.
    fn has_tried_all(&self) {
        let tried = self.tried.borrow();
        let acts = |(_, path): &(String, String)| path.contains("/acts/");
        let all = self.description.operations();
        let rest: Vec<_> = all.iter().filter(|of| !acts(of) && !tried.contains(of)).collect();
        assert!(rest.is_empty() && tried.iter().any(acts), "not tried: {rest:?}");
    }
}

/// A province and a city with a link between them, each with a desk.
struct Pair {
    town: Town,
    links: [String; 2],
}

impl Pair {
    fn new() -> Pair {
        let links = [(); 2].map(|()| format!("127.0.0.1:{}", port()));
        Pair { town: Town::new(&["370000", "370100"]), links }
    }

    fn run(&self) -> [(Running, String); 2] {
        let [x, y] = &self.links;
        let nodes = [("370000", x, format!("370100={y}")), ("370100", y, format!("370000={x}"))];
        let nodes = nodes.map(|(node, at, peer)| self.town.desk(node, &["--listen", at, "--peer", &peer]));
        ["370000", "370100"].iter().for_each(|node| self.town.proved(node));
        nodes
    }

    /// Runs a command at a node, in somebody's name.
    fn does(&self, node: &str, user: &str, args: &[&str]) {
        json(&[args, &["--user", user, "--dir", &self.town.at(node)]].concat());
    }
}

fn call(text: &str) -> Value {
    object!({
        "text": text, "type": "投诉举报", "domain": "D04", "topic": "D0401", "caller_phone": NUMBER, "caller_type": "乘客",
        "priority": "紧急", "plate": "鲁A12345", "own": "1",
    })
}

#[test]
fn every_field_of_every_answer_is_described() {
    let pair = Pair::new();
    let [province, (city, desk)] = pair.run();
    let reader = Reader::new(&pair.town, "370100", &desk);
    rules(&pair, &reader);
    tickets(&pair, &reader);
    lists(&reader);
    let offered = reader.made(&call("司机绕路"));
    reader.act(&offered, "offer", &object!({ "to": "370000", "reason": "全省" }));
    assert_eq!(reader.reads(&offered)["open_offer"]["to"], "370000");
    pair.town.proved("370100");

    drop((province, city));
    outage(&pair, &offered);
    let [(_province, above), (_city, desk)] = pair.run();
    let reader = reader.at(&desk);
    let ticket = reader.reads(&offered);
    assert_eq!(ticket["superseded"].as_array().unwrap().len(), 2, "{ticket}");
    articles(&pair, &reader);
    numbers(&reader);
    calls(&pair, &reader, &desk);
    reader.ends();
    reader.has_tried_all();

    pair.does("370000", "zhao", &["scorecard", "freeze"]);
    let above = Reader::new(&pair.town, "370000", &above);
    assert_eq!(above.get("/scorecard", "", "")["frozen"]["table"]["units"][0]["site"], "370100");
    above.ends();
    is_missed(&reader.description, &ticket);
}

/// What the city asks of a call, and who handles what there: from now on tickets tell of it.
fn rules(pair: &Pair, reader: &Reader) {
    let rows = "own,车次,Line,choice,1|2,,,yes,x\nhalf,半程,Half way,yes,,投诉举报,D04,,x\n";
    let columns = "name,zh,en,kind,choices,business,domain,required,basis\n";
    pair.town.rule("370100", "fields", &format!("{columns}{rows}"));
    let columns = "business,domain,topic,region,department,site,basis\n";
    pair.town.rule("370100", "dispatch", &format!("{columns},D04,,,客运管理处,,x\n,,,,,370000,x\n"));
    assert_eq!(reader.get("/reference/fields", "", "")["fields"][1]["domain"], "D04");
    let body = object!({ "text": "出租车拒载", "own": "3" }).to_string();
    let (status, answer) = reader.asks("POST", "/tickets", "", "", "application/json", body.as_bytes());
    assert_eq!((status, &answer["detail"]), (422, &"`own` is none of 1, 2".into()), "{answer}");
    let made = reader.made(&object!({ "text": "站台灯坏了" }));
    assert_eq!(
        reader.reads(&made)["suggested"]["site"],
        "370000",
        "and no program has to fill in what is asked"
    );
}

/// Tickets in all that may become of them at one site, with files and callers.
fn tickets(pair: &Pair, reader: &Reader) {
    let first = reader.made(&call("出租车拒载"));
    let made = reader.post("/tickets", "", &call("出租车又拒载"));
    assert_eq!(made["earlier"], object!([first]));
    let second = made["id"].as_str().unwrap();
    reader.post("/tickets/{id}/notes", &first, &object!({ "text": "一条备注" }));
    for (act, body) in [
        ("dispatch", object!({ "department": "客运管理处" })),
        ("pause", object!({ "reason": "等待鉴定" })),
        ("progress", object!({ "text": "鉴定完毕" })),
        ("extend", object!({ "days": 3, "reason": "再查" })),
        ("feedback", object!({ "text": "已约谈司机" })),
        ("urge", object!({ "text": "请尽快" })),
        ("correct", object!({ "facts": { "place": "汽车站" } })),
        ("keep", object!({ "reason": "诉讼" })),
        ("reply", object!({ "text": "已致歉" })),
        ("close", object!({ "result": "已处理" })),
    ] {
        reader.act(&first, act, &body);
    }
    pair.does("370100", "sun", &["ticket", "follow-up", &first, "不满意", "--satisfied", "false"]);
    for content in [b"one", b"two"] {
        let put =
            || reader.asks("POST", "/tickets/{id}/files", &first, "?name=a.txt", "text/plain", content).0;
        assert_eq!((put(), put()), (201, 200));
    }
    assert_eq!(reader.reads(&first)["trail"].as_array().unwrap().len(), 12);
    reader.post("/tickets/{id}/reveal", &first, &object!({ "reason": "回访" }));
    let mut both = [first.as_str(), second];
    both.sort(); // into the one with the smaller id
    reader.act(both[1], "merge", &object!({ "into": both[0] }));
    let secret =
        object!({ "text": "举报", "caller_phone": NUMBER, "confidential": true, "against": "370200" });
    let secret = reader.made(&secret);
    reader.asks("POST", "/tickets/{id}/files", &secret, "?name=b.txt", "text/plain", b"x");
    reader.post("/tickets/{id}/reveal", &secret, &object!({ "reason": "核实", "desk": true }));
    let erased = reader.made(&call("公交晚点"));
    pair.does("370100", "zhou", &["ticket", "erase", &erased, "--reason", "保存期满"]);
    for id in [&first, second, &secret, &erased] {
        reader.reads(id);
    }
    assert_eq!(reader.asks("GET", "/tickets/{id}", "zz", "", "application/json", b"").0, 404);
}

/// Tickets as rows, and what has changed.
fn lists(reader: &Reader) {
    for query in ["?queue=all&limit=2", "?queue=all", "?q=%E6%8B%92%E8%BD%BD"] {
        assert!(!reader.get("/tickets", "", query)["tickets"].as_array().unwrap().is_empty());
    }
    let like = reader.get("/tickets/similar", "", "?plate=%E9%B2%81A12345");
    assert!(!like["tickets"].as_array().unwrap().is_empty());
    let begin = reader.get("/changes", "", "")["next"].as_str().unwrap().to_owned();
    let id = reader.made(&call("站台灯坏了"));
    assert_eq!(reader.get("/changes", "", &format!("?after={begin}"))["changes"][0]["id"], id.as_str());
}

/// Both sides of an outage decide about a ticket; the province has an article in force, and a stick goes to the city.
fn outage(pair: &Pair, offered: &str) {
    pair.does("370000", "wu", &["ticket", "assign", offered, "--to", "370200", "--reason", "车籍在青岛"]);
    pair.does("370100", "li", &["ticket", "withdraw", offered]);
    pair.does("370100", "li", &["ticket", "close", offered, "--result", "已处理"]);
    let article = ["--title", "节假日免费通行", "--body", "七座以下", "--code", "SD1", "--tag", "高速"];
    pair.does("370000", "li", &[&["kb", "new"], &article[..]].concat());
    pair.does("370000", "zhang", &["kb", "review", "SD1"]);
    pair.does("370000", "zhang", &["kb", "publish", "SD1"]);
    let stick = pair.town.path("stick");
    std::fs::create_dir(&stick).unwrap();
    pair.does("370000", "wu", &["bundle", "export", "--to", "370100", "--out", text(&stick)]);
    pair.does("370100", "li", &["bundle", "import", text(&stick)]);
    pair.does("370100", "li", &["backup", &pair.town.at("backups")]);
}

/// The province's article, and one of the city that hangs on it.
fn articles(pair: &Pair, reader: &Reader) {
    let article = ["--title", "济南绕城", "--body", "同样免费", "--code", "JN1"];
    pair.does("370100", "li", &[&["kb", "supplement", "SD1"], &article[..]].concat());
    let map = pair.town.path("绕城.txt");
    std::fs::write(&map, "出口一览").unwrap();
    pair.does("370100", "li", &["kb", "attach", "JN1", text(&map)]);
    for act in ["review", "publish", "propose"] {
        pair.does("370100", "zhang", &["kb", act, "JN1"]);
    }
    for said in ["/articles/{id}/used", "/articles/{id}/unhelpful"] {
        assert_eq!(reader.post(said, "JN1", &object!({}))["version"], 2);
    }
    for query in ["", "?q=mianfei", "?about=%E9%AB%98%E9%80%9F%E5%85%8D%E8%B4%B9%E5%90%97"] {
        reader.get("/articles", "", query);
    }
    let article = reader.get("/articles/{id}", "JN1", "?language=en");
    assert_eq!((&article["supplements"]["code"], &article["use"]["unhelpful"]), (&"SD1".into(), &1.into()));
    assert_eq!(reader.get("/articles/{id}", "SD1", "")["supplemented_by"][0]["code"], "JN1");
}

/// Tables, figures, and the replica.
fn numbers(reader: &Reader) {
    for route in ["categories", "redirects", "centres"] {
        reader.get(&format!("/reference/{route}"), "", "");
    }
    for route in ["/volume", "/scorecard", "/openapi.json"] {
        reader.get(route, "", "");
    }
    for by in ["", "?by=channel", "?by=day"] {
        reader.get("/figures", "", by);
    }
    let status = reader.get("/status", "", "");
    assert_eq!(status["peers"][0]["node"], "370000");
    assert_eq!(status["bundle_log"][0]["way"], "in");
}

/// A call that becomes a ticket, and its recordings.
fn calls(pair: &Pair, reader: &Reader, desk: &str) {
    let event = |event: &str, direction: &str, by: &str| object!({ "event": event, "callid": "r-1", "from": NUMBER, "to": "12328", "direction": direction, "answeringNumber": by });
    let mut li = pair.town.staff("370100", desk, "li", "agent");
    pair.town.extension("li", "8001");
    for (name, direction, by) in [("newCall", "out", ""), ("newCall", "in", ""), ("answer", "in", "8001")] {
        reader.post("/cti", "", &event(name, direction, by));
    }
    let line = token(&pair.town, "370100", "line", "agent", "cti:write");
    reader.post("/cti/{token}", &line, &event("hangup", "in", ""));
    for called in ["12328", "12306", "0571-96266", "96333"] {
        reader.get("/route", "", &format!("?called={called}"));
    }
    let put = |sound: &[u8]| {
        let bytes = [b"RIFF\x24\x00\x00\x00WAVEfmt ", sound].concat();
        reader.asks("PUT", "/calls/{callid}/recording", "r-1", "", "audio/wav", &bytes).0
    };
    assert_eq!(put(b"one"), 202);
    li.get("/new?call=r-1").is(200);
    let form = [("text", "出租车拒载"), ("then", "make"), ("kind", "投诉举报"), ("urgency", "一般")];
    li.post("/new", &[&form[..], &[("call", "r-1"), ("x.own", "2")]].concat()).is(303);
    assert_eq!((put(b"two"), put(b"two")), (201, 200));
}

/// Whatever is taken out of the description of a ticket, its answer does not fit any more.
fn is_missed(description: &Description, ticket: &Value) {
    let faults = |of: &Description| of.faults("GET", "/tickets/{id}", 200, ticket);
    assert!(faults(description).is_empty());
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut description = description.clone();
        change(&mut description.0["components"]["schemas"]["Ticket"]);
        faults(&description)
    };
    for name in ticket.as_object().unwrap().keys() {
        let less = changed(&|schema| drop(schema["properties"].as_object_mut().unwrap().remove(name)));
        let expected = format!("GET /tickets/{{id}}.{name}: it is not described");
        assert!(less.contains(&expected), "{name} is not missed: {less:?}");
    }
    let more = changed(&|schema| schema["required"].as_array_mut().unwrap().push("other".into()));
    assert!(!more.is_empty(), "what is always there may not be missing");
    let other = changed(&|schema| schema["properties"]["number"]["type"] = "integer".into());
    assert!(!other.is_empty(), "a text is no number");
}
