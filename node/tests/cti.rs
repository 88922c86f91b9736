//! Calls as a telephone system tells of them: a real node, real HTTP, real forms.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::browser::{Browser, Listening, NUMBER, OWN, Page};
use harness::chromium::{Chromium, ESCAPE};
use harness::{Town, fails, json};
use serde_json::{Value, json as object};

/// A telephone system with a token.
struct Pbx {
    browser: Browser,
    token: String,
}

impl Pbx {
    fn new(town: &Town, desk: &str, name: &str, scopes: &str) -> Pbx {
        let args = ["token", "add", name, "--role", "agent", "--scope", scopes, "--dir", &town.at("370100")];
        let token = json(&args)["token"].as_str().unwrap().to_owned();
        Pbx { browser: Browser::new(desk), token }
    }

    fn asks(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Page {
        let mut request = self.browser.head(method, &format!("/api/v1{path}"));
        request += &format!(
            "Authorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.browser.raw(&[request.as_bytes(), body].concat()).unwrap()
    }

    fn tells(&self, event: &Value) -> Value {
        let page = self.asks("POST", "/cti", "application/json", event.to_string().as_bytes()).is(200);
        assert!(!page.body.contains(NUMBER), "{}", page.body);
        serde_json::from_str(&page.body).unwrap()
    }

    fn rings(&self, call: &str) -> Value {
        self.tells(&object!({
            "event": "newCall", "callId": call, "from": NUMBER, "to": "12328", "direction": "in", "queue": "客运",
        }))
    }

    fn answered(&self, call: &str, extension: &str) -> Value {
        self.tells(&object!({ "event": "answer", "callid": call, "from": NUMBER, "to": "12328", "answeringNumber": extension }))
    }

    fn over(&self, call: &str) -> Value {
        self.tells(&object!({ "event": "hangup", "callid": call, "cause": "normalClearing" }))
    }
}

/// The id of the ticket that a form became.
fn ticket(page: &Page) -> String {
    let to = page.clone().is(303).header("location").to_owned();
    to.trim_start_matches("/ticket/").split('?').next().unwrap().to_owned()
}

const FORM: [(&str, &str); 3] = [("then", "make"), ("kind", "投诉举报"), ("urgency", "一般")];

#[test]
fn a_call_that_is_answered_opens_the_form_of_the_right_agent_and_becomes_a_ticket() {
    let town = Town::new(&["370100"]);
    let (node, desk) = town.desk("370100", &[]);
    let pbx = Pbx::new(&town, &desk, "pbx", "cti:write");
    let mut li = town.staff("370100", &desk, "li", "agent");
    let mut wang = town.staff("370100", &desk, "wang", "agent");
    let zhao = town.staff("370100", &desk, "zhao", "auditor");
    town.extension("li", "8001");
    town.extension("wang", "8002");
    fails(&["user", "extension", "wang", "8001", "--dir", &town.at("370100")], 1, "somebody else's");
    li.get("/new").is(200);
    li.post("/new", &[("text", "公交晚点"), ("caller_phone", NUMBER), FORM[0], FORM[1], FORM[2]]).is(303);

    let (mut of_li, mut of_wang) = (Listening::at(&li, &desk), Listening::at(&wang, &desk));
    let mut of_zhao = Listening::at(&zhao, &desk);
    let first = pbx.rings("1764400000.7");
    assert_eq!(
        (&first["known"], &first["fresh"], &first["stage"]),
        (&false.into(), &true.into(), &"ringing".into())
    );
    assert_eq!(pbx.rings("1764400000.7")["fresh"], false, "the same again changes nothing");
    of_li.until("event: calls");
    of_wang.until("event: calls");
    let page = wang.get("/calls").is(200).says("振铃").says("138****0001");
    assert!(!page.body.contains(NUMBER));
    wang.get("/new?call=1764400000.7").is(409); // not taken yet

    let answered = pbx.answered("1764400000.7", "8001");
    assert_eq!((&answered["known"], &answered["stage"]), (&true.into(), &"answered".into()));
    of_li.until("event: answered");
    pbx.answered("1764400000.7", "8002"); // a transfer: it stays whose it is
    // What comes last of all tells that nothing came in between.
    let id = li.call("出租车拒载");
    assert!(!of_wang.until("event: queue").contains(&"answered".to_owned()), "it is not wang's call");
    let heard = of_zhao.until("event: queue");
    assert!(!heard.iter().any(|event| event == "calls" || event == "answered"), "{heard:?}");
    drop(id);

    // What li was typing stays, and the call has a form of its own.
    let typed = r#"{"at":5,"fields":{"text":"打了一半的字"}}"#;
    li.post("/draft", &[("of", "call"), ("text", typed)]).is(204);
    li.get("/calls").is(200).says("href=\"/new?call=1764400000.7\" data-mine data-key=\"v\"");
    let form = li.get("/new?call=1764400000.7").is(200);
    form.clone()
        .says(&format!("value=\"{NUMBER}\""))
        .says("公交晚点")
        .says("name=\"call\" value=\"1764400000.7\"");
    assert!(!form.body.contains("打了一半的字"));
    let of = form.body.split("data-draft=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(of.starts_with("call "), "{of}");
    li.post("/draft", &[("of", &of), ("text", r#"{"at":6,"fields":{"text":"通话中的字"}}"#)]).is(204);
    li.get("/new?call=1764400000.7").is(200).says("通话中的字");
    li.post("/draft", &[("of", "call zz"), ("text", "x")]).is(422);
    wang.get("/new?call=1764400000.7").is(409).says("其他人员");
    wang.post("/calls/take", &[("call", "1764400000.7")]).is(409);

    // A restart forgets nothing of it.
    drop(node);
    let (_node, desk) = town.desk("370100", &[]);
    let pbx = Pbx { browser: Browser::new(&desk), token: pbx.token };
    let mut li = {
        let mut again = Browser::new(&desk);
        again.cookies = li.cookies.clone();
        again
    };
    assert_eq!(pbx.over("1764400000.7")["known"], true);
    li.get("/new?call=1764400000.7").is(200).says(NUMBER).says("通话中的字");
    let fields = [
        ("text", "出租车拒载"),
        ("caller_phone", NUMBER),
        ("call", "1764400000.7"),
        FORM[0],
        FORM[1],
        FORM[2],
    ];
    let id = ticket(&li.post("/new", &fields));
    assert_eq!(ticket(&li.post("/new", &fields)), id, "one call, one ticket");
    li.get("/new?call=1764400000.7").leads_to(&format!("/ticket/{id}"));
    let shown = json(&["ticket", "show", &id, "--dir", &town.at("370100")]);
    assert_eq!(
        (&shown["facts"]["external_numbers"], &shown["facts"]["channel"]),
        (&"1764400000.7".into(), &"电话".into()),
        "{shown}"
    );
    li.get("/new").is(200).says("打了一半的字");
    let missed = li.get("/calls").is(200);
    assert!(!missed.body.contains("1764400000.7"), "it has its ticket");

    let log = json(&["audit", "--limit", "100", "--dir", &town.at("370100")]).to_string();
    for what in ["cti newCall", "cti answer", "cti hangup", "user extension", "1764400000.7"] {
        assert!(log.contains(what), "{what} is not in {log}");
    }
    for (name, text) in [("the audit log", log), ("the log", town.log("370100"))] {
        assert!(!text.contains(NUMBER) && !text.contains(&pbx.token), "{name}");
    }
}

#[test]
fn a_call_without_an_extension_is_taken_by_whoever_is_first() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let pbx = Pbx::new(&town, &desk, "pbx", "cti:write");
    let mut li = town.staff("370100", &desk, "li", "agent");
    let mut wang = town.staff("370100", &desk, "wang", "shift-leader");
    let mut handler = town.staff("370100", &desk, "qian", "handler");
    handler.get("/calls").is(403);
    // In the wrong order, and with events that never come.
    assert_eq!(pbx.answered("a-1", "9999")["known"], false);
    assert_eq!(pbx.rings("a-1")["stage"], "answered");
    li.get("/calls").is(200).says("接听处理");
    li.post("/calls/take", &[("call", "a-1")]).leads_to("/new?call=a-1");
    wang.get("/calls").is(200);
    wang.post("/calls/take", &[("call", "a-1")]).is(409).says("其他人员");
    wang.post("/calls/take", &[("call", "nothing")]).is(404);
    let gone = pbx.over("a-2");
    assert_eq!((&gone["known"], &gone["stage"]), (&false.into(), &"ended".into()));
    assert_eq!(pbx.rings("a-2")["stage"], "ended", "a late one does not ring for ever");
    wang.get("/calls").is(200).says("138****0001");
    // Whoever writes to the account's name needs no extension.
    pbx.rings("a-3");
    pbx.tells(&object!({ "event": "answer", "callid": "a-3", "user": ["nobody", "wang"] }));
    wang.get("/new?call=a-3").is(200).says(NUMBER);
    let out = pbx.tells(
        &object!({ "event": "newCall", "callid": "o-1", "from": "8001", "to": NUMBER, "direction": "out" }),
    );
    assert_eq!(out["kept"], false);
}

#[test]
fn a_telephone_system_that_knows_an_address_only_is_in_and_others_are_not() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let form = "application/x-www-form-urlencoded";
    let ring =
        format!("event=newCall&callid=f-1&from=%2B86{NUMBER}&to=12328&direction=in&user%5B%5D=Alice&other=x");
    let narrow = Pbx::new(&town, &desk, "narrow", "cti:write,cti:read");
    let nobody = Browser::new(&desk);
    let at = |token: &str, body: &str| {
        let head = nobody.head("POST", &format!("/api/v1/cti/{token}"));
        let length = body.len();
        let request = format!("{head}Content-Type: {form}\r\nContent-Length: {length}\r\n\r\n{body}");
        nobody.raw(request.as_bytes()).unwrap()
    };
    at(&narrow.token, &ring).is(200).says("\"fresh\":true");
    at(&narrow.token[..narrow.token.len() - 1], &ring).is(401);
    at("x", &ring).is(401);
    let wide = Pbx::new(&town, &desk, "wide", "cti:write,tickets:read");
    at(&wide.token, &ring).is(403).says("cti:read and cti:write");
    assert_eq!(wide.rings("f-1")["fresh"], false, "in the head it may have more");
    let other =
        Pbx::new(&town, &desk, "other", "tickets:read,tickets:write,files:write,persons:read,cti:read");
    other.asks("POST", "/cti", form, ring.as_bytes()).is(403).says("cti:write");
    let args =
        ["token", "add", "log", "--role", "auditor", "--scope", "cti:write", "--dir", &town.at("370100")];
    let auditor = Pbx { browser: nobody.clone(), token: json(&args)["token"].as_str().unwrap().to_owned() };
    auditor.asks("POST", "/cti", form, ring.as_bytes()).is(403);
    for (kind, body, status) in [
        (form, "event=dance&callid=x".to_owned(), 422),
        (form, "event=answer".to_owned(), 422),
        (form, "event=newCall&callid=ab12345678&from=12345678".to_owned(), 422),
        ("text/plain", ring.clone(), 415),
        ("application/json", "[]".to_owned(), 400),
        (form, format!("event=newCall&callid=x&queue={}", "x".repeat(20_000)), 413),
    ] {
        narrow.asks("POST", "/cti", kind, body.as_bytes()).is(status);
    }
    // An id that holds a number is known by its hash.
    let hashed =
        narrow.tells(&object!({ "event": "newCall", "callid": format!("{NUMBER}-9"), "from": NUMBER }));
    assert!(hashed["call"].as_str().unwrap().starts_with('h'));
    let log = json(&["audit", "--limit", "100", "--dir", &town.at("370100")]).to_string();
    assert!(!log.contains(NUMBER) && !log.contains(&narrow.token) && log.contains("refused"));
    assert!(!town.log("370100").contains(NUMBER) && !town.log("370100").contains(&narrow.token));
}

/// The rows of a table of `fixtures`, without the header.
fn rows(name: &str) -> Vec<Vec<String>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn every_row_of_both_tables_says_where_a_call_goes() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let pbx = Pbx::new(&town, &desk, "pbx", "cti:read");
    let route = |query: &str| {
        let page = pbx.asks("GET", &format!("/route?{query}"), "text/plain", b"").is(200);
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.body.contains(NUMBER), "{}", page.body);
        serde_json::from_str::<Value>(&page.body).unwrap()
    };
    for row in rows("redirects.csv") {
        let said = route(&format!("called={}&calling={NUMBER}", row[0]));
        assert_eq!(
            (&said["action"], &said["number"]),
            (&row[3].as_str().into(), &row[0].as_str().into()),
            "{said}"
        );
        let named = object!({ "table": "redirects.csv", "number": row[0], "says": row[1] });
        assert_eq!(said["basis"], named);
        assert_eq!(said["announcement"].is_string(), row[3] == "tell", "{said}");
    }
    let area_codes = rows("area_codes.csv");
    for row in rows("legacy_numbers.csv") {
        let province = row[1].trim_end_matches("00");
        let code = &area_codes.iter().find(|code| code[1].starts_with(province)).unwrap()[0];
        let said = route(&format!("called={code}{}&calling={NUMBER}", row[0]));
        let action = match row[4].as_str() {
            "parallel" => "local",
            "transfer" => "transfer",
            _ => "tell",
        };
        assert_eq!(said["action"], action, "{said}");
        assert_eq!(
            (&said["basis"]["area"], &said["basis"]["says"]),
            (&row[1].as_str().into(), &row[5].as_str().into())
        );
        // By the caller's landline, and not in another area.
        assert_eq!(route(&format!("called={}&calling={code}88888888", row[0]))["basis"], said["basis"]);
        assert_eq!(route(&format!("called={}", row[0]))["action"], "local");
        assert_eq!(route(&format!("called={}", row[0]))["basis"], Value::Null);
    }
    assert_eq!(route("called=12328")["action"], "local");
    pbx.asks("GET", "/route?calling=1", "text/plain", b"").is(400);
    pbx.asks("GET", "/route?called=x", "text/plain", b"").is(400);
    let other = Pbx::new(&town, &desk, "other", "cti:write,status:read");
    other.asks("GET", "/route?called=12306", "text/plain", b"").is(403).says("cti:read");
    assert!(!town.log("370100").contains(NUMBER));
}

/// A recording: a well-formed beginning and sound that none is.
fn sound(seed: u8) -> Vec<u8> {
    let mut bytes =
        b"RIFF\x24\x9c\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
    bytes.extend((0..40_000u32).map(|i| (i % 251) as u8 ^ seed));
    bytes
}

#[test]
fn a_recording_finds_its_ticket_before_and_after_it_is_made() {
    let town = Town::new(&["370100"]);
    let (node, desk) = town.desk("370100", &[]);
    let pbx = Pbx::new(&town, &desk, "pbx", "cti:write");
    let mut li = town.staff("370100", &desk, "li", "agent");
    town.extension("li", "8001");
    let put = |pbx: &Pbx, call: &str, kind: &str, bytes: &[u8]| {
        pbx.asks("PUT", &format!("/calls/{call}/recording"), kind, bytes)
    };
    put(&pbx, "r-1", "audio/wav", &sound(1)).is(404).says("no event has named this call");
    pbx.rings("r-1");
    pbx.answered("r-1", "8001");
    put(&pbx, "r-1", "text/plain", b"x").is(415);
    put(&pbx, "r-1", "audio/wav", b"").is(422);
    put(&pbx, "r-1", "audio/wav", &vec![0; (16 << 20) + 1]).is(413);
    let reader = Pbx::new(&town, &desk, "reader", "cti:read,files:write");
    put(&reader, "r-1", "audio/wav", &sound(1)).is(403);
    put(&pbx, "r-1", "audio/wav", &sound(1)).is(202).says("\"waits\":true");
    put(&pbx, "r-1", "audio/wav", &sound(1)).is(202);
    let waiting: Vec<_> =
        std::fs::read_dir(town.path("370100").join("recordings")).unwrap().flatten().collect();
    assert_eq!(waiting.len(), 1, "the same again waits once");
    let sealed = std::fs::read(waiting[0].path()).unwrap();
    assert!(!sealed.windows(64).any(|w| w == &sound(1)[100..164]), "speech lies on the disk sealed");

    drop(node);
    let (_node, desk) = town.desk("370100", &[]);
    let pbx = Pbx { browser: Browser::new(&desk), token: pbx.token };
    let cookies = li.cookies.clone();
    li = Browser::new(&desk);
    li.cookies = cookies;
    li.get("/new?call=r-1").is(200);
    let fields = [("text", "出租车拒载"), ("call", "r-1"), FORM[0], FORM[1], FORM[2]];
    let id = ticket(&li.post("/new", &fields));
    let page = format!("/ticket/{id}");
    harness::until("the recording is under the ticket", || li.get(&page).body.contains("call-r-1-"));
    li.get(&page).is(200).says("<audio controls");
    harness::until("nothing waits", || {
        std::fs::read_dir(town.path("370100").join("recordings")).unwrap().next().is_none()
    });
    put(&pbx, "r-1", "audio/wav", &sound(1)).is(200).says("\"waits\":false");
    put(&pbx, "r-1", "audio/wav", &sound(2)).is(201);
    let files = json(&["ticket", "files", &id, "--dir", &town.at("370100")]);
    assert_eq!(files.as_array().unwrap().len(), 2, "{files}");
    assert!(!town.log("370100").contains(NUMBER));
}

#[test]
fn the_form_opens_in_the_browser_of_whoever_answered_and_takes_no_word_from_who_types() {
    let Some(chromium) = Chromium::start() else { return };
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let pbx = Pbx::new(&town, &desk, "pbx", "cti:write");
    town.staff("370100", &desk, "li", "agent");
    town.extension("li", "8001");
    let li = chromium.window(&desk);
    li.sign_in("li", OWN);
    pbx.rings("one");
    li.says("138****0001");
    pbx.answered("one", "8001");
    li.arrives("/new?call=one");
    li.focused("caller_phone");
    assert_eq!(li.script("return document.getElementById('caller_phone').value"), NUMBER);

    // Another call is answered while li types: it is told of, and opened by a key.
    li.tab_to("text");
    li.press("旅客说到一半");
    pbx.rings("two");
    pbx.answered("two", "8001");
    let bar = "return [...document.querySelectorAll('[data-calls] [data-mine]')].map(a => a.getAttribute('href')).join()";
    li.until("the bar", || li.script(bar) == "/new?call=two");
    assert_eq!(li.at(), "/new?call=one");
    assert_eq!(li.script("return document.getElementById('text').value"), "旅客说到一半");
    li.press(ESCAPE);
    li.press("v");
    li.arrives("/new?call=two");
    assert_eq!(li.script("return document.getElementById('text').value"), "");
    li.go("/new?call=one");
    assert_eq!(
        li.script("return document.getElementById('text').value"),
        "旅客说到一半",
        "its draft is its own"
    );
}
