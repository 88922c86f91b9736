//! The public door as citizens meet it: a real node, real HTTP, real forms.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::Write;
use std::net::TcpStream;

use harness::browser::{Browser, OF_OURS, Page};
use harness::{Running, Town, fails, json, run, tcp_port, until};
use node::ticket::number::{Block, Day, TicketNumber};

const NAME: &str = "赵六甲";
const PHONE: &str = "13800000001";

const COMPLAINT: [(&str, &str); 8] = [
    ("kind", "complaint"),
    ("text", "出租车在东广场拒载"),
    ("topic", "D0401"),
    ("place", "火车站东广场"),
    ("plate", "鲁A00001"),
    ("name", NAME),
    ("phone", PHONE),
    ("lang", "zh"),
];

/// Starts a node with a public door; where that is.
fn door(town: &Town, node: &str, args: &[&str]) -> (Running, String) {
    let address = format!("127.0.0.1:{}", tcp_port());
    let running = town.start(node, &[&["--public", &address], args].concat());
    until("the public page is served", || TcpStream::connect(&address).is_ok());
    (running, address)
}

/// Number and code on the page that says that something was filed.
fn filed(page: &Page) -> (String, String) {
    assert_eq!(page.status, 200, "{}\n{}", page.head, page.body);
    let mut parts =
        page.body.split("<dd class=\"number\">").skip(1).map(|rest| rest.split('<').next().unwrap());
    (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned())
}

fn file(browser: &mut Browser, fields: &[(&str, &str)]) -> (String, String) {
    browser.get("/request").is(200);
    filed(&browser.post("/request", fields))
}

fn query(address: &str, number: &str, code: &str) -> Page {
    Browser::new(address).post("/query", &[("number", number), ("code", code)])
}

fn tickets(town: &Town, node: &str) -> usize {
    json(&["ticket", "list", "--dir", &town.at(node)]).as_array().unwrap().len()
}

/// Nothing of the caller is anywhere in it: neither in the head nor in the body.
fn tells_nobody(page: &Page) {
    let all = format!("{}\n{}", page.head, page.body);
    for secret in [NAME, PHONE, "鲁A00001", "东广场", "一条内部备注", "内部办理意见"] {
        assert!(!all.contains(secret), "{secret} is on the page:\n{all}");
    }
}

#[test]
fn a_citizen_files_once_and_looks_up_how_it_stands() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let (_node, address) = door(&town, "370100", &[]);
    let mut citizen = Browser::new(&address);
    let home =
        citizen.get("/").is(200).says("提交诉求").says("tel:12395").says("济南市").says("lang=\"zh-CN\"");
    assert!(home.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    assert!(home.header("set-cookie").is_empty() && !home.body.contains("<script"));
    assert_eq!(home.header("cache-control"), "no-store");
    citizen.get("/?lang=en").is(200).says("File a request").says("lang=\"en\"");

    // Mended field by field, and nothing typed is lost.
    citizen.get("/request").is(200).says("巡游出租汽车");
    let again = [("kind", "complaint"), ("text", "出租车<b>拒载"), ("phone", "call me")];
    let page = citizen.post("/request", &again).is(422).says("请填写姓名").says("这不像电话号码");
    let page = page.says("出租车&#60;b&#62;拒载").says("value=\"call me\"").says("href=\"#phone\"");
    page.says("id=\"phone-problem\"").says("value=\"complaint\" checked");
    citizen.post("/request", &[("lang", "en")]).is(422).says("Please choose what it is");
    assert_eq!(tickets(&town, "370100"), 0);

    let (number, code) = filed(&citizen.post("/request", &COMPLAINT));
    // A double click, a reload, a second window with the same form.
    for _ in 0..3 {
        assert_eq!(filed(&citizen.post("/request", &COMPLAINT)), (number.clone(), code.clone()));
    }
    let other = [&[("text", "另一件事")], &COMPLAINT[..1], &COMPLAINT[2..]].concat();
    citizen.post("/request", &other).is(409).says("已经提交过一次").says("另一件事");
    assert_eq!(tickets(&town, "370100"), 1);
    let (second, _) = filed(&citizen.post("/request", &other));
    assert_ne!(second, number);
    assert_eq!(tickets(&town, "370100"), 2);

    let shown = json(&["ticket", "show", &number, "--reveal", "回访", "--user", "li", "--dir", &city]);
    assert_eq!(
        (
            &shown["facts"]["channel"],
            &shown["facts"]["business"],
            &shown["facts"]["topic"],
            &shown["facts"]["plate"]
        ),
        (&"网站".into(), &"投诉举报".into(), &"D0401".into(), &"鲁A00001".into())
    );
    assert_eq!((&shown["person"]["name"], &shown["person"]["phone"]), (&NAME.into(), &PHONE.into()));
    assert_eq!(shown["trail"][0]["user"], "public page");
    assert_eq!(json(&["ticket", "code", &number, "--dir", &city])["code"], code.as_str());

    let page =
        query(&address, &number, &code).is(200).says("已受理，正在办理").says("济南市").says("应办结日期");
    tells_nobody(&page);
    query(&address, &number.to_lowercase(), &code.replace('-', "").to_lowercase()).is(200);
    let ticket = |args: &[&str]| json(&[&["ticket"], args, &["--dir", &city]].concat());
    ticket(&["note", &number, "一条内部备注"]);
    ticket(&["dispatch", &number, "--to", "客运管理处", "内部办理意见"]);
    tells_nobody(&query(&address, &number, &code).is(200).says("已交有关部门办理"));
    ticket(&["feedback", &number, "内部办理意见"]);
    let reply = format!("{NAME}您好，已责令司机整改，并致电{PHONE}");
    ticket(&["reply", &number, &reply]);
    ticket(&["close", &number, "--result", "内部办理意见"]);
    let page = query(&address, &number, &code).is(200).says("已办结").says("已责令司机整改");
    tells_nobody(&page);
    let log = town.log("370100");
    assert!(!log.contains(NAME) && !log.contains(PHONE) && !log.contains(&code), "{log}");
    assert!(!run(&["audit", "--dir", &city]).stdout.windows(9).any(|w| w == "赵六甲".as_bytes()));
}

#[test]
fn a_wrong_code_learns_nothing_and_soon_has_to_wait() {
    let town = Town::new(&["370100"]);
    let (_node, address) = door(&town, "370100", &["--public-proxies", "127.0.0.1"]);
    let (number, code) = file(&mut Browser::new(&address), &COMPLAINT);
    let wrong = if code == "0000-0000" { "1111-1111" } else { "0000-0000" };
    let (day, block) = (Day::new(2026, 1, 1).unwrap(), Block::new(1, 1));
    let other =
        |serial| TicketNumber::new("370100".parse().unwrap(), day, block, serial).unwrap().to_string();
    let unknown = other(999);
    let from = |client: &str, number: &str, code: &str| {
        let lines = format!("X-Forwarded-For: 6.6.6.6, {client}\r\n");
        Browser::new(&address).send("/query", &lines, &format!("number={number}&code={code}"))
    };
    // Whether there is such a number does not show.
    let here = from("198.51.100.1", &number, wrong).is(404).says("工单号或查询码不正确");
    let there = from("198.51.100.1", &unknown, wrong).is(404);
    assert_eq!(here.body.replace(&number, "N"), there.body.replace(&unknown, "N"));
    let heads = [&here, &there].map(|page| page.head.lines().count());
    assert_eq!(heads[0], heads[1]);
    from("198.51.100.1", "JT1", "1234").is(422).says("23 个字符").says("8 个字符");
    // Nine more guesses from ever other addresses; then nobody guesses at this number, and the caller waits too.
    for guess in 2..11 {
        from(&format!("198.51.100.{guess}"), &number, wrong).is(404);
    }
    for (client, shown) in [("198.51.100.99", wrong), ("203.0.113.1", code.as_str())] {
        let page = from(client, &number, shown).is(429).says("过于频繁");
        let wait: u64 = page.header("retry-after").parse().unwrap();
        assert!((1..=360).contains(&wait), "{wait}");
    }
    // An address that asks about ever other numbers waits as well; its neighbour does not.
    let statuses: Vec<u16> =
        (0..25).map(|serial| from("198.51.100.200", &other(serial), wrong).status).collect();
    let answered = statuses.iter().filter(|status| **status == 404).count();
    assert!((20..25).contains(&answered), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    from("198.51.100.201", &unknown, wrong).is(404);
}

#[test]
fn what_comes_from_elsewhere_or_from_a_program_files_nothing() {
    let town = Town::new(&["370100"]);
    let (_node, address) = door(&town, "370100", &[]);
    let mut citizen = Browser::new(&address);
    citizen.get("/request").is(200);
    let slip = citizen.form.clone();
    let body = |slip: &str| {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("form", slip).extend_pairs(COMPLAINT);
        body.finish()
    };
    let mut forged = slip.clone();
    let last = if forged.pop() == Some('0') { '1' } else { '0' };
    forged.push(last);
    for (what, lines, slip) in [
        ("no slip", "", ""),
        ("a forged slip", "", forged.as_str()),
        ("another site", "Origin: http://evil.example\r\n", &slip),
        ("another site, as browsers say", "Sec-Fetch-Site: cross-site\r\n", &slip),
    ] {
        let page = citizen.send("/request", lines, &body(slip));
        assert_eq!(page.status, 403, "{what}");
        page.says("尚未提交").says("出租车在东广场拒载");
    }
    citizen.form = slip.clone();
    let trapped = [&COMPLAINT[..], &[("website", "http://spam.example")]].concat();
    citizen.post("/request", &trapped).is(422).says("请把“网址”一栏留空").says("出租车在东广场拒载");
    citizen.send("/request", "", &format!("text={}", "a".repeat(70_000))).is(413);
    citizen.send("/request", "", &"a=b&".repeat(250)).is(413);
    assert_eq!(tickets(&town, "370100"), 0);
    citizen.form = slip;
    filed(&citizen.post("/request", &COMPLAINT));
}

#[test]
fn the_door_takes_so_many_an_hour_and_an_address_so_many() {
    let town = Town::new(&["370100"]);
    let (node, address) = door(&town, "370100", &["--public-per-hour", "2"]);
    let mut citizen = Browser::new(&address);
    let first = file(&mut citizen, &COMPLAINT);
    let slip = citizen.form.clone();
    citizen.get("/request");
    let second = filed(&citizen.post("/request", &COMPLAINT));
    assert_ne!(first, second);
    citizen.get("/request");
    let page = citizen.post("/request", &COMPLAINT).is(429).says("拨打 12328").says("出租车在东广场拒载");
    let wait: u64 = page.header("retry-after").parse().unwrap();
    assert!((3_000..=3_600).contains(&wait), "{wait}");
    drop(node);
    // It is counted durably, and what was filed is told again all the same.
    let (_node, address) =
        door(&town, "370100", &["--public-per-hour", "2", "--public-proxies", "127.0.0.1"]);
    let mut citizen = Browser::new(&address);
    citizen.get("/request");
    citizen.post("/request", &COMPLAINT).is(429);
    citizen.form = slip;
    assert_eq!(filed(&citizen.post("/request", &COMPLAINT)), first);
    assert_eq!(tickets(&town, "370100"), 2);

    let town = Town::new(&["370100"]);
    let (_node, address) = door(&town, "370100", &[]);
    let mut citizen = Browser::new(&address);
    for _ in 0..10 {
        file(&mut citizen, &COMPLAINT);
    }
    citizen.get("/request");
    let page = citizen.post("/request", &COMPLAINT).is(429).says("过于频繁").says("出租车在东广场拒载");
    assert!((1..=120).contains(&page.header("retry-after").parse::<u64>().unwrap()));
    // Without a proxy that is named nobody says who somebody else is.
    let own = citizen.form.clone();
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("form", &own).extend_pairs(COMPLAINT);
    citizen.send("/request", "X-Forwarded-For: 198.51.100.7\r\n", &body.finish()).is(429);
    assert_eq!(tickets(&town, "370100"), 10);
}

#[test]
fn what_a_page_has_acknowledged_outlives_a_kill_and_a_restore() {
    let town = Town::new(&["370100"]);
    let (node, address) = door(&town, "370100", &[]);
    let mut citizen = Browser::new(&address);
    let (number, code) = file(&mut citizen, &COMPLAINT);
    let slip = citizen.form.clone();
    drop(node); // kill -9
    let (node, address) = door(&town, "370100", &[]);
    query(&address, &number, &code).is(200).says("正在办理");
    let mut citizen = Browser::new(&address);
    citizen.form = slip;
    assert_eq!(filed(&citizen.post("/request", &COMPLAINT)), (number.clone(), code.clone()));
    assert_eq!(tickets(&town, "370100"), 1);
    json(&["backup", &town.at("backups"), "--dir", &town.at("370100")]);
    drop(node);
    json(&["restore", &town.at("backups"), "--dir", &town.at("again")]);
    let (_node, address) = door(&town, "again", &[]);
    query(&address, &number, &code).is(200).says("正在办理");
    query(&address, &number, if code == "0000-0000" { "1111-1111" } else { "0000-0000" }).is(404);
}

#[test]
fn the_desk_is_not_behind_this_door() {
    let town = Town::new(&["370100"]);
    let desk = format!("127.0.0.1:{}", tcp_port());
    let (_node, address) = door(&town, "370100", &["--desk", &desk]);
    let made = json(&["ticket", "new", "--dir", &town.at("370100"), "--text", "公交晚点", "--phone", PHONE]);
    let id = made["id"].as_str().unwrap();
    let mut leader = town.staff("370100", &desk, "li", "shift-leader");
    let token = ["token", "add", "hall", "--role", "shift-leader", "--scope", "tickets:read"];
    let token =
        json(&[&token[..], &["--dir", &town.at("370100")]].concat())["token"].as_str().unwrap().to_owned();
    for path in ["/queue/held", &format!("/ticket/{id}"), "/new", "/wall", "/accounts", "/audit", "/events"] {
        let mut outside = Browser::new(&address);
        outside.cookies = leader.cookies.clone();
        tells_nobody(&outside.get(path).is(404));
    }
    for path in
        ["/sign-in", "/password", "/api/v1/openapi.json", "/api/v1/tickets", "/health", "/metrics", "/draft"]
    {
        let outside = Browser::new(&address);
        let head = outside.head("GET", path);
        let page = outside.raw(format!("{head}Authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(page.status, 404, "{path}");
        assert_eq!(
            outside
                .raw(format!("{}Content-Length: 0\r\n\r\n", outside.head("POST", path)).as_bytes())
                .unwrap()
                .status,
            404
        );
    }
    // And its pages are not the desk's.
    leader.get("/request").is(404);
    // The code that the agent reads to the caller is the one that opens it.
    let number = made["number"].as_str().unwrap();
    let page = leader.get(&format!("/ticket/{id}")).is(200).says("查询码");
    let code =
        json(&["ticket", "code", id, "--dir", &town.at("370100")])["code"].as_str().unwrap().to_owned();
    assert!(page.body.contains(&code));
    tells_nobody(&query(&address, number, &code).is(200).says("已受理"));
}

#[test]
fn a_confidential_report_is_sealed_with_all_that_was_said() {
    let town = Town::new(&["370100"]);
    let (_node, address) = door(&town, "370100", &[]);
    let report = [&[("kind", "confidential")], &COMPLAINT[1..]].concat();
    let (number, code) = file(&mut Browser::new(&address), &report);
    let shown = json(&["ticket", "show", &number, "--dir", &town.at("370100")]);
    assert_eq!(shown["confidential"], true);
    let all = shown.to_string();
    for said in ["拒载", "东广场", "鲁A00001", NAME, PHONE] {
        assert!(!all.contains(said), "{said} is in clear: {all}");
    }
    tells_nobody(&query(&address, &number, &code).is(200).says("已受理"));
    let opened =
        json(&["ticket", "show", &number, "--reveal", "核查", "--user", "li", "--dir", &town.at("370100")]);
    assert!(opened.to_string().contains("鲁A00001") && opened["person"]["phone"] == PHONE, "{opened}");
}

/// The beginning of a picture, which is all that anybody looks at.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n and the rest";

#[test]
fn words_and_pictures_are_added_to_what_is_filed() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let (_node, address) = door(&town, "370100", &["--public-proxies", "127.0.0.1"]);
    let mut citizen = Browser::new(&address);
    let (number, code) = file(&mut citizen, &COMPLAINT);
    query(&address, &number, &code).says("补充说明或照片").says("action=\"/add\"");
    let own = [("number", number.as_str()), ("code", code.as_str())];
    // Each from an address of its own, but for the last.
    let mut client = 0;
    let mut add = |fields: &[(&str, &str)], files: &[(&str, &str, &[u8])]| {
        client += 1;
        let lines = format!("{OF_OURS}X-Forwarded-For: 198.51.100.{client}\r\n");
        Browser::new(&address).parts("/add", &lines, fields, files)
    };
    let with = |words: &'static str| [own[0], own[1], ("words", words)];
    let said = "司机的电话是13900000002";
    let picture = ("赵六甲的照片.jpg", "image/jpeg", PICTURE);
    for _ in 0..2 {
        let page = add(&with(said), &[picture, ("x.exe", "image/png", b"MZ\x90\0"), ("", "", b"")]);
        page.is(200).says("补充说明").says("<li>赵六甲的照片.jpg</li>").says("x.exe：只接收照片");
    }
    let files = json(&["ticket", "files", &number, "--dir", &city]);
    assert_eq!(files.as_array().unwrap().len(), 1, "what was sent twice is there once: {files}");
    let mark = blake3::hash(PICTURE).to_hex()[..12].to_owned();
    assert_eq!(files[0]["name"], format!("群众补充-{mark}.png"), "not by the name that a citizen gave it");
    assert_eq!((&files[0]["type"], &files[0]["user"]), (&"image/png".into(), &"public page".into()));
    let shown = json(&["ticket", "show", &number, "--dir", &city]);
    let notes: Vec<_> = shown["notes"].as_object().unwrap().values().collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(
        (&notes[0]["text"], &notes[0]["user"]),
        (&"网上补充：司机的电话是139****0002".into(), &"public page".into())
    );

    // What is in the way is said, the rest is taken, and no word is lost.
    let long: String = "长".repeat(1_001);
    let page = add(&[own[0], own[1], ("words", &long)], &[("a.pdf", "application/pdf", b"%PDF-1.7")]);
    page.is(200).says("超过 1000 字").says(&format!(">{long}</textarea>")).says("<li>a.pdf</li>");
    let large = [PICTURE, &vec![7; 16 << 20]].concat();
    let sound: &[u8] = b"ID3 a word";
    let page = add(&own, &[("large.png", "", large.as_slice()), ("b.mp3", "audio/mpeg", sound)]);
    page.is(200).says("large.png：超过 16 MB").says("<li>b.mp3</li>");
    let many: Vec<Vec<u8>> = (0..6u8).map(|n| [PICTURE, &[n]].concat()).collect();
    let many: Vec<(&str, &str, &[u8])> =
        many.iter().map(|bytes| ("p.png", "image/png", bytes.as_slice())).collect();
    assert_eq!(add(&own, &many).is(200).says("一次最多 5 个").body.matches("<li>p.png</li>").count(), 5);
    add(&own, &[("", "application/octet-stream", b"")]).is(422).says("请填写补充说明，或选择文件");
    assert_eq!(json(&["ticket", "files", &number, "--dir", &city]).as_array().unwrap().len(), 8);

    // Neither without the code, nor from another site, nor when it is over, nor too often.
    let wrong = if code == "0000-0000" { "1111-1111" } else { "0000-0000" };
    add(&[own[0], ("code", wrong), ("words", "x")], &[picture]).is(404).says("工单号或查询码不正确");
    add(&[own[0], ("words", "x")], &[]).is(422).says("8 个字符");
    add(&[], &[picture]).is(422);
    let lines = "X-Forwarded-For: 198.51.100.99\r\nSec-Fetch-Site: cross-site\r\n";
    Browser::new(&address).parts("/add", lines, &with("x"), &[]).is(403).says("来自其他网站");
    Browser::new(&address).send("/add", OF_OURS, "number=x").is(415);
    let again = |words: &'static str| {
        let lines = format!("{OF_OURS}X-Forwarded-For: 198.51.100.200\r\n");
        Browser::new(&address).parts("/add", &lines, &with(words), &[])
    };
    (0..12).for_each(|_| drop(again("又一次").is(200)));
    again("又一次").is(429).says("请求过于频繁");
    json(&["ticket", "answer", &number, "已处理", "--dir", &city]);
    add(&with("还有"), &[]).is(409).says("已有结果");
    assert!(!query(&address, &number, &code).body.contains("action=\"/add\""));
    let shown = json(&["ticket", "show", &number, "--dir", &city]);
    assert_eq!(shown["notes"].as_object().unwrap().len(), 2, "one of each text: {}", shown["notes"]);
    let log = town.log("370100");
    assert!(!log.contains(NAME) && !log.contains("13900000002") && !log.contains(&code), "{log}");
}

#[test]
fn what_is_added_to_a_confidential_report_is_sealed() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let (_node, address) = door(&town, "370100", &[]);
    let report = [&[("kind", "confidential")], &COMPLAINT[1..]].concat();
    let mut citizen = Browser::new(&address);
    let (number, code) = file(&mut citizen, &report);
    let fields = [("number", number.as_str()), ("code", code.as_str()), ("words", "我是他的同事")];
    let files = [("同事.png", "image/png", PICTURE)];
    citizen.parts("/add", OF_OURS, &fields, &files).is(200).says("<li>同事.png</li>");
    let shown = json(&["ticket", "show", &number, "--dir", &city]).to_string();
    let files = json(&["ticket", "files", &number, "--dir", &city]);
    assert!(!format!("{shown}{files}").contains("同事"), "{shown} {files}");
    assert_eq!(files.as_array().unwrap().len(), 2, "{files}");
    let text = files.as_array().unwrap().iter().find(|file| file["type"] == "text/plain").unwrap();
    let out = town.at("words.txt");
    let name = text["name"].as_str().unwrap();
    let fetch =
        ["ticket", "fetch", &number, name, "--reveal", "核查", "--user", "li", "--out", &out, "--dir", &city];
    json(&fetch);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "我是他的同事");
}

#[test]
fn what_is_for_the_public_and_in_force_is_published_and_nothing_else() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let article = |id: &str, title: &str, more: &str| {
        format!("{{\"id\":\"{id}\",\"title\":\"{title}\",\"body\":\"正文：{title}\"{more}}}\n")
    };
    let lines = [
        article("G1", "西客站公交线路调整", ",\"audience\":\"public\""),
        article("G2", "话务员内部口径", ""),
        article("G3", "去年的通知", ",\"audience\":\"public\",\"valid_to\":\"2025-12-31\""),
        article("G4", "以后的通知", ",\"audience\":\"public\",\"valid_from\":\"2099-01-01\""),
        article("G5", "没有发布的草稿", ",\"audience\":\"public\""),
    ];
    std::fs::write(town.path("articles.jsonl"), lines.concat()).unwrap();
    json(&["kb", "import", &town.at("articles.jsonl"), "--user", "li", "--dir", &city]);
    std::fs::write(town.path("路线图.pdf"), "%PDF-1.4 西客站").unwrap();
    // A former version has the same under a name that is nobody's outside.
    json(&[
        "kb",
        "attach",
        "G1",
        &town.at("路线图.pdf"),
        "--name",
        "内部.pdf",
        "--user",
        "li",
        "--dir",
        &city,
    ]);
    json(&["kb", "detach", "G1", "内部.pdf", "--user", "li", "--dir", &city]);
    for id in ["G1", "G2"] {
        json(&["kb", "attach", id, &town.at("路线图.pdf"), "--user", "li", "--dir", &city]);
    }
    for (name, mib) in [("全图.zip", 6), ("原图.zip", 17)] {
        std::fs::File::create(town.path(name)).unwrap().set_len(mib << 20).unwrap();
        json(&["kb", "attach", "G1", &town.at(name), "--user", "li", "--dir", &city]);
    }
    for id in ["G1", "G2", "G3", "G4"] {
        json(&["kb", "review", id, "--user", "wang", "--dir", &city]);
        json(&["kb", "publish", id, "--user", "wang", "--dir", &city]);
    }
    let (_node, address) = door(&town, "370100", &["--public-proxies", "127.0.0.1"]);
    let get = |path: &str| Browser::new(&address).get(path);
    get("/").is(200).says("href=\"/articles\"");
    let page = get("/articles").is(200).says("西客站公交线路调整").says("济南市");
    for title in ["话务员内部口径", "去年的通知", "以后的通知", "没有发布的草稿"] {
        assert!(!page.body.contains(title), "{title}: {}", page.body);
        let found = get(&format!(
            "/articles?q={}",
            form_urlencoded::byte_serialize(title.as_bytes()).collect::<String>()
        ));
        assert!(!found.body.contains(&format!(">{title}<")), "{title}: {}", found.body);
        let id = json(&["kb", "list", "--queue", "all", "--dir", &city]);
        let row = id.as_array().unwrap().iter().find(|row| row["title"] == title).unwrap();
        get(&format!("/articles/{}", row["id"].as_str().unwrap())).is(404);
    }
    let path = page.body.split("href=\"/articles/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    get(&format!("/articles/{path}"))
        .is(200)
        .says("<h1 lang=\"zh-CN\">西客站公交线路调整</h1>")
        .says("正文：")
        .says("download>路线图.pdf</a>")
        .says("<li>原图.zip <span class=\"quiet\">17.0 MiB · 请拨打 12328 索取");
    let content_of = |id: &str, name: &str| {
        let files = json(&["kb", "files", id, "--dir", &city]);
        let file = files.as_array().unwrap().iter().find(|file| file["name"] == name).unwrap();
        file["content"].as_str().unwrap().to_owned()
    };
    let content = |id: &str| content_of(id, "路线图.pdf");
    let inside = json(&["kb", "show", "G2", "--dir", &city])["id"].as_str().unwrap().to_owned();
    let file = format!("/articles/{path}/files/{}", content("G1"));
    let page = get(&file).is(200).says("%PDF-1.4 西客站");
    let name: String = form_urlencoded::byte_serialize("路线图.pdf".as_bytes()).collect();
    assert_eq!(page.header("content-disposition"), format!("attachment; filename*=UTF-8''{name}"));
    get(&format!("/articles/{path}/files/{}", content_of("G1", "原图.zip"))).is(413);
    for (article, content) in [(&inside, content("G2")), (&path, content("G2")), (&inside, content("G1"))] {
        get(&format!("/articles/{article}/files/{content}")).is(404);
    }
    // Those who hang up while theirs is read leave nothing behind that keeps others from it.
    let large = format!("/articles/{path}/files/{}", content_of("G1", "全图.zip"));
    let asked_by = |client: usize, path: &str| {
        let head = Browser::new(&address).head("GET", path);
        format!("{head}X-Forwarded-For: 198.51.100.{client}\r\n\r\n")
    };
    for client in 0..10 {
        let mut gone = TcpStream::connect(&address).unwrap();
        gone.write_all(asked_by(client, &large).as_bytes()).unwrap();
        get("/articles").is(200);
    }
    let fetched = |client: usize| Browser::new(&address).raw(asked_by(client, &file).as_bytes()).unwrap();
    let mut clients = 10..;
    until("a file is read when the others are", || {
        fetched(clients.next().unwrap() % 200).status == 200 // busy until then, which costs an address its pages
    });
    assert!((0..31).any(|_| fetched(200).status == 429), "an address has so many files at once");
    get("/articles?q=gjxl").is(200).says("西客站公交线路调整"); // by initials
    get("/articles?q=%20&lang=en").is(200).says("Notices and guides");
    get("/articles?q=%28").is(200).says("请输入要查找的词语");
    json(&["kb", "withdraw", "G1", "--reason", "已调整完毕", "--user", "wang", "--dir", &city]);
    get(&format!("/articles/{path}")).is(404).says("不再有效");
    get(&file).is(404).says("不再有效");
    get("/figures").is(404); // nobody has said that they are published
}

#[test]
fn figures_of_past_months_are_published_without_small_numbers() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let mut lines = String::new();
    for i in 0..15 {
        let kind = if i < 12 { "投诉举报" } else { "信息咨询" };
        lines += &format!("{{\"text\":\"第{i}件\",\"type\":\"{kind}\"}}\n");
    }
    std::fs::write(town.path("calls.jsonl"), lines).unwrap();
    json(&["ticket", "import", &town.at("calls.jsonl"), "--dir", &city]);
    // They were taken just now; as of a month ago they stand in the tally of a node that has run for so long.
    let month = node::figures::Period::last_month(node::china::day(jiff::Timestamp::now()));
    let db = rusqlite::Connection::open(town.path("370100").join("node.db")).unwrap();
    for table in ["ticket", "ticket_tally"] {
        db.execute(&format!("UPDATE {table} SET day = ?1"), [month.from().to_string()]).unwrap();
    }
    drop(db);
    let (_node, address) = door(&town, "370100", &["--public-figures", "on"]);
    let get = |path: &str| Browser::new(&address).get(path);
    get("/").is(200).says("href=\"/figures\"");
    let name = month.month_name();
    let page = get("/figures").is(200).says(&name).says("受理量");
    tells_nobody(&page);
    let data: serde_json::Value =
        serde_json::from_str(&get(&format!("/figures?month={name}&as=json")).is(200).body).unwrap();
    assert_eq!(data["figures"][0]["count"], 15, "{data}");
    let of = |kind: &str| {
        let rows = data["business"].as_array().unwrap();
        rows.iter().find(|row| row["value"] == kind).unwrap()["figures"][0]["count"].clone()
    };
    assert_eq!(
        (of("信息咨询"), of("投诉举报")),
        (serde_json::Value::Null, serde_json::Value::Null),
        "{data}"
    );
    let csv = get("/figures?as=csv").is(200);
    assert!(csv.header("content-disposition").contains(&format!("12328-370100-{name}.csv")));
    assert!(csv.body.contains(&format!("{name},,,,taken,受理量,15,")), "{}", csv.body);
    get("/figures?month=2020-01").is(404).says("最近十二个月");
    get("/figures?lang=en").is(200).says("fewer than 10");
}

#[test]
fn https_with_a_certificate_of_ones_own() {
    let town = Town::new(&["370100"]);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(town.path("c.pem"), made.cert.pem()).unwrap();
    std::fs::write(town.path("k.pem"), made.signing_key.serialize_pem()).unwrap();
    let (chain, key) = (town.at("c.pem"), town.at("k.pem"));
    let secure = ["--public-certificate", &chain, "--public-key", &key];
    let (_node, address) = door(&town, "370100", &secure);
    let mut citizen = Browser::secure(&address, &town.path("c.pem"), "localhost");
    let page = citizen.get("/").is(200);
    assert!(page.header("strict-transport-security").contains("max-age="));
    let (number, code) = file(&mut citizen, &COMPLAINT);
    tells_nobody(&citizen.post("/query", &[("number", &number), ("code", &code)]).is(200).says("已受理"));
    let plain = Browser::new(&address).raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!plain.is_ok_and(|page| page.status == 200), "nothing is served in clear");
}

#[test]
fn names_and_numbers_cross_no_network_in_clear() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    fails(&["run", "--dir", &city, "--public", "0.0.0.0:12380"], 4, "public.proxies");
    fails(
        &["run", "--dir", &city, "--public", "127.0.0.1:1", "--public-proxies", "gate"],
        4,
        "`gate` is not an address",
    );
    fails(
        &["run", "--dir", &city, "--public", "127.0.0.1:1", "--public-key", "/k.pem"],
        4,
        "belong together",
    );
    let missing = ["--public-certificate", "/nowhere/c.pem", "--public-key", "/nowhere/k.pem"];
    let free = ["run", "--dir", &city, "--listen", "127.0.0.1:0", "--public"];
    fails(&[&free[..], &["127.0.0.1:0"], &missing].concat(), 4, "/nowhere/c.pem cannot be used");
    // The desk and the public page never share an address.
    let one = format!("127.0.0.1:{}", tcp_port());
    fails(&[&free[..], &[&one, "--desk", &one]].concat(), 4, "an address of its own");
}

#[test]
fn programs_file_by_open311_with_a_key_and_everybody_reads_where_it_stands() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let (node, address) = door(&town, "370100", &[]);
    Browser::new(&address).get("/open311/v2/services.json").is(404);
    drop(node);
    let (_node, address) = door(&town, "370100", &["--public-open311", "on"]);
    let key = |name: &str, scope: &str| {
        let args = ["token", "add", name, "--role", "agent", "--scope", scope, "--dir", &city];
        json(&args)["token"].as_str().unwrap().to_owned()
    };
    let (app, reader) = (key("app", "open311:write"), key("reader", "tickets:write"));
    let get = |path: &str| Browser::new(&address).get(&format!("/open311/v2/{path}"));
    let value = |page: &Page| serde_json::from_str::<serde_json::Value>(&page.body).unwrap();
    let discovery = value(&get("discovery.json").is(200));
    assert_eq!(discovery["endpoints"][0]["url"], format!("http://{address}/open311/v2"));
    let services = value(&get("services.json?jurisdiction_id=370100").is(200));
    let taxi = services.as_array().unwrap().iter().find(|s| s["service_code"] == "D0401").unwrap();
    assert_eq!(taxi["service_name"], "巡游出租汽车");
    let page =
        get("services.xml").is(200).says("<service><description>").says("<service_code>D0401</service_code>");
    assert!(page.header("content-type").starts_with("text/xml"));
    get("services/D0401.xml")
        .is(200)
        .says("<attribute><code>kind</code>")
        .says("<value><key>complaint</key>");
    for missing in
        ["services/D99.json", "requests/nobody.json", "tokens/x.json", "services.json?jurisdiction_id=370200"]
    {
        assert_eq!(value(&get(missing).is(404))[0]["code"], 404, "{missing}");
    }

    let post = |pairs: &[(&str, &str)]| {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(pairs);
        Browser::new(&address).send("/open311/v2/requests.json", "", &body.finish())
    };
    let call = [
        ("jurisdiction_id", "370100"),
        ("service_code", "D0401"),
        ("description", "出租车在东广场拒载"),
        ("address_string", "火车站东广场"),
        ("last_name", NAME),
        ("phone", PHONE),
    ];
    for wrong in ["", "hotline_00", &reader] {
        assert_eq!(value(&post(&[&call[..], &[("api_key", wrong)]].concat()).is(403))[0]["code"], 403);
    }
    let with = |more: &[(&'static str, &str)]| {
        let mut pairs: Vec<(&str, &str)> = more.to_vec();
        pairs.extend(call.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)));
        pairs.push(("api_key", &app));
        post(&pairs)
    };
    with(&[("service_code", "D99")]).is(404);
    with(&[("service_code", "")]).is(400);
    with(&[("phone", "")]).is(400).says("phone");
    with(&[("attribute[kind]", "confidential")]).is(400);
    with(&[("jurisdiction_id", "370200")]).is(404);
    assert_eq!(tickets(&town, "370100"), 0);
    let once = |plate: &str| {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(call).append_pair("api_key", &app).append_pair("attribute[plate]", plate);
        let lines = "Idempotency-Key: call-17\r\n";
        Browser::new(&address).send("/open311/v2/requests.json", lines, &body.finish())
    };
    let made = value(&once("鲁A00001").is(200));
    assert_eq!(value(&once("鲁A00001").is(200)), made, "asked again under its key it is filed once");
    once("鲁A00002").is(422);
    assert_eq!(tickets(&town, "370100"), 1);
    let id = made[0]["service_request_id"].as_str().unwrap();
    let notice = made[0]["service_notice"].as_str().unwrap();
    let number = notice.split("工单号 ").nth(1).unwrap().split('，').next().unwrap();
    let code = notice.split("查询码 ").nth(1).unwrap();
    tells_nobody(&query(&address, number, code).is(200).says("已受理"));
    let shown = json(&["ticket", "show", number, "--dir", &city]);
    assert_eq!(
        (&shown["trail"][0]["user"], &shown["facts"]["plate"], &shown["facts"]["channel"]),
        (&"token app".into(), &"鲁A00001".into(), &"网站".into())
    );
    let log = json(&["audit", "--limit", "100", "--dir", &city]).to_string();
    assert!(log.contains("token app") && log.contains(number) && !log.contains(PHONE), "{log}");

    // What the page took is in the list too; what came by telephone or in confidence is not.
    let mut citizen = Browser::new(&address);
    let (by_page, _) = file(&mut citizen, &COMPLAINT);
    let (secret, _) = file(&mut citizen, &[&[("kind", "confidential")], &COMPLAINT[1..]].concat());
    let called = json(&["ticket", "new", "--dir", &city, "--text", "公交晚点", "--phone", PHONE]);
    json(&["ticket", "reply", number, "已责令整改", "--dir", &city]);
    let page = get("requests.json").is(200);
    let all = value(&page);
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    tells_nobody(&page);
    for hidden in [number, &by_page, &secret, called["number"].as_str().unwrap()] {
        assert!(!page.body.contains(hidden), "a number is in the list");
    }
    let ids = |path: &str| {
        let rows = value(&get(path).is(200));
        rows.as_array()
            .unwrap()
            .iter()
            .map(|r| r["service_request_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("requests.json?status=closed"), [id]);
    let page = get(&format!("requests/{id}.xml")).is(200).says("<status>closed</status>").says("已回复");
    tells_nobody(&page.says("<agency_responsible>济南市</agency_responsible>"));
    assert!(ids("requests.json?end_date=2020-01-01T00:00:00Z").is_empty());
    // Lists open many tickets: an address gets five at once.
    let page = (0..50).map(|_| get("requests.json")).find(|page| page.status == 429).unwrap();
    assert_eq!(value(&page)[0]["code"], 429);
    assert!((1..=10).contains(&page.header("retry-after").parse::<u64>().unwrap()));
}
