//! The desk as agents meet it: a real node, real HTTP, real forms.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::browser::{Browser, OWN};
use harness::{Town, both, fails, fed, json, port, run, tcp_port, until};

#[test]
fn whoever_comes_in_chooses_a_password_first_and_a_session_ends_with_sign_out() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let first = town.account("370100", "li", "agent");
    let mut li = Browser::new(&desk);
    li.get("/").leads_to("/sign-in");
    li.sign_in("li", &first).leads_to("/password");
    for page in ["/", "/queue/held", "/new", "/wall"] {
        li.get(page).leads_to("/password");
    }
    li.get("/password").is(200).says("首次登录");
    let change = |li: &mut Browser, old: &str, new: &str, again: &str| {
        li.post("/password", &[("old", old), ("new", new), ("again", again)])
    };
    change(&mut li, &first, OWN, "something else").is(422).says("不一致");
    change(&mut li, &first, "too short", "too short").is(422).says("at least 12 characters");
    change(&mut li, "not the first one", OWN, OWN).is(403);
    let before = li.clone();
    change(&mut li, &first, OWN, OWN).leads_to("/");
    li.get("/").leads_to("/queue/held");
    let page = li.get("/queue/held").is(200);
    assert!(page.body.contains("lang=\"zh-CN\"") && page.body.contains("话务员"));
    before.clone().get("/queue/held").leads_to("/sign-in?said=ended");

    li.follow("/language", &[("here", "/queue/closed")]).is(200).says("<h1>Closed</h1>");
    let mut stolen = li.clone();
    let out = li.post("/sign-out", &[]).leads_to("/sign-in?said=out");
    assert!(out.header("clear-site-data").contains("storage"));
    stolen.get("/queue/held").leads_to("/sign-in?said=ended");
    stolen.post("/new", &[("text", "x"), ("then", "make")]).is(401);
    assert_eq!(json(&["ticket", "list", "--dir", &town.at("370100")]).as_array().unwrap().len(), 0);
}

#[test]
fn guessing_is_slowed_down_and_a_locked_account_is_out_at_once() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    let mut thief = Browser::new(&desk);
    for _ in 0..4 {
        thief.sign_in("li", "password1234").is(403).says("账号或密码不正确");
        thief.sign_in("nobody", "password1234").is(403).says("账号或密码不正确");
    }
    thief.sign_in("li", "password1234").is(429).says("尝试次数过多，请等待 1 分钟");
    thief.sign_in("li", OWN).is(429);
    thief.sign_in("nobody", "x").is(429).says("请等待 1 分钟");
    li.get("/queue/held").is(200); // who is in stays in
    let city = town.at("370100");
    json(&["user", "unlock", "li", "--dir", &city]);
    thief.sign_in("li", OWN).leads_to("/");
    json(&["user", "lock", "li", "--dir", &city]);
    thief.get("/queue/held").leads_to("/sign-in?said=ended");
    thief.sign_in("li", OWN).is(403).says("账号已锁定");
    let log = json(&["audit", "--limit", "100", "--dir", &city]).to_string();
    assert!(
        log.contains("sign-in failed") && log.contains("waits 1 min") && !log.contains("nobody"),
        "{log}"
    );
}

#[test]
fn a_form_that_comes_from_elsewhere_does_nothing() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    li.get("/new").is(200);
    let form = li.form.clone();
    let body = |form: &str| format!("form={form}&text=forged&then=make");
    let own = format!("Origin: http://{desk}\r\n");
    for (what, lines, body) in [
        ("no token", own.as_str(), "text=forged&then=make".to_owned()),
        ("another token", &own, body(&"0".repeat(64))),
        ("another site", "Origin: http://evil.example\r\n", body(&form)),
        ("another site, as browsers say", "Sec-Fetch-Site: cross-site\r\n", body(&form)),
    ] {
        let page = li.send("/new", lines, &body);
        assert_eq!(page.status, 403, "{what}: {}", page.body);
    }
    let sign_in = Browser::new(&desk).send("/sign-in", &own, "name=li&password=x&form=");
    assert_eq!(sign_in.status, 403);
    let city = town.at("370100");
    assert_eq!(json(&["ticket", "list", "--dir", &city]).as_array().unwrap().len(), 0);
    assert!(json(&["audit", "--dir", &city]).to_string().contains("a form of elsewhere: /new"));
    li.send("/new", &own, &body(&form)).is(303);
}

#[test]
fn every_role_writes_what_its_row_of_the_table_says() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let city = town.at("370100");
    let made = json(&["ticket", "new", "--dir", &city, "--text", "公交晚点", "--phone", "13800000001"]);
    let id = made["id"].as_str().unwrap();
    let act = format!("/ticket/{id}/act");
    let (note, reveal) = (format!("/ticket/{id}/note"), format!("/ticket/{id}/reveal"));
    let text = ["--title", "免费通行", "--body", "七座以下", "--user", "chen"];
    let article = json(&[&["kb", "new", "--dir", &city][..], &text].concat());
    let article = format!("/knowledge/{}", article["id"].as_str().unwrap());
    let (edit, on_article) = (format!("{article}/edit"), format!("{article}/act"));
    // The letters are those of the roles, in the order below.
    type Write<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let writes: &[Write<'_>] = &[
        ("/new", &[("text", "一次来电"), ("then", "make")], "AL"),
        ("/draft", &[("of", "call"), ("text", "{}")], "ALHFSDM"),
        (&note, &[("note", "已核实")], "ALHFS"),
        (&reveal, &[("reveal", "回访")], "LHF"),
        (&act, &[("do", "dispatch"), ("department", "公交处")], "AL"),
        (&act, &[("do", "feedback"), ("text", "已查")], "LH"),
        (&act, &[("do", "reply"), ("text", "已答复")], "LH"),
        (&act, &[("do", "follow-up"), ("text", "已回访")], "F"),
        (&act, &[("do", "urge"), ("text", "请快")], "ALFS"),
        (&act, &[("do", "supervise"), ("text", "督办")], "S"),
        (&act, &[("do", "offer"), ("to", "370200"), ("reason", "属地")], "L"),
        (&act, &[("do", "withdraw")], "L"),
        (&act, &[("do", "keep"), ("reason", "诉讼")], "LS"),
        (&act, &[("do", "escalate"), ("reason", "超出职权")], "ALS"),
        (&act, &[("do", "close"), ("result", "办结")], "L"),
        (&act, &[("do", "reopen"), ("reason", "未解决")], "LFS"),
        ("/accounts", &[("do", "lock"), ("name", "nobody")], "M"),
        ("/knowledge/new", &[("title", "免费通行"), ("body", "七座以下")], "LHS"),
        (&on_article, &[("do", "review")], "LHS"),
        (&on_article, &[("do", "publish")], "LS"),
        (&on_article, &[("do", "used")], "AL"),
        (&on_article, &[("do", "unhelpful")], "AL"),
        (&on_article, &[("do", "withdraw"), ("reason", "已废止")], "LS"),
        (&edit, &[("title", "免费通行"), ("body", "七座以下")], "LHS"),
    ];
    let roles = ["agent", "shift-leader", "handler", "follow-up", "supervisor", "auditor", "administrator"];
    let mut staff: Vec<(Browser, char)> = Vec::new();
    for (role, letter) in roles.into_iter().zip("ALHFSDM".chars()) {
        staff.push((town.staff("370100", &desk, &format!("{role}.1"), role), letter));
    }
    for (path, fields, who) in writes {
        for (browser, letter) in &mut staff {
            let page = browser.post(path, fields);
            assert_eq!(
                page.status != 403,
                who.contains(*letter),
                "{letter} {path} {fields:?}: {}",
                page.body
            );
            assert!(page.status < 500 && page.status != 404, "{path} {fields:?}: {}", page.body);
        }
    }
    for (path, who) in [
        ("/queue/all", "ALHFS"),
        ("/queue/all?q=%E5%85%AC%E4%BA%A4", "ALHFS"),
        (&format!("/ticket/{id}"), "ALHFS"),
        ("/new", "AL"),
        ("/knowledge?list=drafts", "ALHFS"),
        ("/knowledge?q=%E5%85%8D%E8%B4%B9", "ALHFS"),
        (&article, "ALHFS"),
        ("/knowledge/new", "LHS"),
        (&edit, "LHS"),
        ("/wall", "ALHFSDM"),
        ("/accounts", "M"),
        ("/audit", "D"),
        ("/audit?reveals=true", "D"),
    ] {
        for (browser, letter) in &mut staff {
            let page = browser.get(path);
            assert_eq!(page.status == 200, who.contains(*letter), "{letter} {path}: {}", page.body);
            assert!(page.status == 200 || page.status == 403, "{letter} {path}: {}", page.body);
        }
    }
    let log = json(&["audit", "--limit", "500", "--dir", &city]);
    let lines: Vec<&str> = log.as_array().unwrap().iter().map(|l| l["what"].as_str().unwrap()).collect();
    for what in ["new", "made", "note", "reveal", "act offer", "act close", "refused", "failed", "user lock"]
    {
        assert!(lines.contains(&what), "{what} is not in {lines:?}");
    }
    assert!(!log.to_string().contains("13800000001"));
    assert_eq!(json(&["audit", "--verify", "--dir", &city])["wrong"], serde_json::Value::Null);
    let reveals = json(&["ticket", "reveals", id, "--dir", &city]);
    assert_eq!(reveals["lines"].as_array().unwrap().len(), 3, "and the engine's own log has them: {reveals}");
}

#[test]
fn a_ticket_lives_its_whole_life_through_forms() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut agent = town.staff("370100", &desk, "zhang.wei", "agent");
    let mut leader = town.staff("370100", &desk, "王芳", "shift-leader");
    let mut handler = town.staff("370100", &desk, "gongjiao", "handler");
    let mut after = town.staff("370100", &desk, "huifang", "follow-up");

    agent.get("/new").is(200).says("立即转接");
    let call = [
        ("caller_phone", "13800000001"),
        ("caller_name", "赵六"),
        ("kind", "投诉举报"),
        ("urgency", "紧急"),
        ("region", "370102 历下区"),
        ("place", "火车站东广场"),
        ("plate", "鲁A00001"),
        ("domain", "D04"),
        ("text", "出租车拒载，司机电话 13900000002"),
        ("then", "make"),
    ];
    let page =
        agent.follow("/new", &call).is(200).says("工单已生成").says("出租车拒载").says("紧急").says("历下区");
    assert!(
        !page.body.contains("13800000001")
            && !page.body.contains("赵六")
            && !page.body.contains("13900000002")
    );
    let id = page.body.split("/events?ticket=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let code = json(&["ticket", "code", &id, "--dir", &town.at("370100")]);
    assert!(page.body.contains(code["code"].as_str().unwrap()), "an agent can read the code to the caller");
    agent.get("/queue/held").is(200).says("出租车拒载").says("紧急").says("办理中");
    let earlier = agent.post("/new", &[("caller_phone", "138 0000 0001"), ("then", "lookup")]).is(200);
    assert!(earlier.body.contains("出租车拒载"), "the caller's earlier tickets show: {}", earlier.body);
    agent.get("/queue/all?q=%E6%8B%92%E8%BD%BD").is(200).says("出租车拒载");
    agent.get("/queue/all?q=138-0000-0001").is(200).says("出租车拒载");
    agent.get("/queue/all?q=13800000002").is(200).says("这里没有工单");
    agent.get("/queue/all?q=%E8%B5%B5%E5%85%AD").is(200).says("这里没有工单");

    let done = |page: harness::browser::Page, act: &str| page.leads_to(&format!("/ticket/{id}?done={act}"));
    done(agent.act(&id, "dispatch", &[("department", "客运管理处"), ("text", "请核实")]), "dispatch");
    handler.act(&id, "reply", &[("text", "")]).is(422).says("href=\"#reply-text\"").says("aria-invalid");
    done(handler.act(&id, "feedback", &[("text", "已约谈司机")]), "feedback");
    done(handler.act(&id, "reply", &[("text", "已向来电人致歉")]), "reply");
    handler.get(&format!("/ticket/{id}")).says("您的角色没有这项权限，可以办理的角色： 班长");
    after.get(&format!("/ticket/{id}")).is(200);
    after.post(&format!("/ticket/{id}/reveal"), &[("reveal", "")]).is(422);
    after
        .post(&format!("/ticket/{id}/reveal"), &[("reveal", "回访")])
        .is(200)
        .says("13800000001")
        .says("赵六");
    after.get(&format!("/ticket/{id}")).is(200).says("来电人信息已加密");
    done(after.act(&id, "follow-up", &[("satisfied", "yes"), ("text", "来电人满意")]), "follow-up");
    done(leader.act(&id, "close", &[("result", "已处理并回访")]), "close");
    leader.get(&format!("/ticket/{id}/act")).leads_to(&format!("/ticket/{id}"));
    leader.get("/queue/closed").says("出租车拒载").says("已办结");
    leader
        .act(&id, "offer", &[("to", "370200"), ("reason", "属地")])
        .is(409)
        .says("工单已办结，须先重新打开");
    done(leader.act(&id, "reopen", &[("reason", "又有新情况")]), "reopen");
    leader.get(&format!("/ticket/{id}")).is(200);
    leader.follow(&format!("/ticket/{id}/note"), &[("note", "一条备注")]).says("备注已添加").says("一条备注");

    let trail = leader.get(&format!("/ticket/{id}")).body;
    let (_, cannot) = trail.split_once("id=\"cannot\"").unwrap();
    let answered = trail.matches("<details id=\"act-").count() + cannot.matches("<dt>").count();
    assert_eq!(answered, 27, "every action is a form, or has its reason: {trail}");
    let words = [
        "受理来电",
        "交办 客运管理处",
        "收到部门反馈",
        "回复来电人",
        "回访：满意",
        "办结：已处理并回访",
        "重新打开",
    ];
    let at: Vec<usize> =
        words.iter().map(|w| trail.find(w).unwrap_or_else(|| panic!("{w}: {trail}"))).collect();
    assert!(at.is_sorted(), "in the order in which it was done: {at:?}");
    for name in ["zhang.wei", "gongjiao", "huifang", "王芳"] {
        assert!(trail.contains(name), "{name} stands beside what they did");
    }
    let shown = json(&["ticket", "show", &id, "--dir", &town.at("370100")]);
    assert_eq!(shown["trail"][0]["user"], "zhang.wei", "the same entries that the command line shows");
    assert_eq!(shown["stage"], "in_hand");
}

#[test]
fn a_call_is_asked_what_the_centre_asks_and_the_catalogue_says_who_handles_it() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let city = town.at("370100");
    let rows = "vehicle,车型,Kind of vehicle,choice,小客车|大货车,投诉举报,D04,yes,x\nload,载重,Load,number,,,,,x\n\
                seen,目击,Seen,yes,,,,,x\n";
    let columns = "name,zh,en,kind,choices,business,domain,required,basis\n";
    town.rule("370100", "fields", &format!("{columns}{rows}"));
    let columns = "business,domain,topic,region,department,site,basis\n";
    town.rule(
        "370100",
        "dispatch",
        &format!("{columns},D04,,,客运管理处,,厅函2号\n,D01,,,,370000,厅函3号\n"),
    );
    let mut li = town.staff("370100", &desk, "li", "agent");
    let mut lead = town.staff("370100", &desk, "lead", "shift-leader");

    let page = li.get("/new").is(200).says("个性化字段").says("仅用于： 投诉举报 · 城市客运");
    assert!(page.body.contains("<option value=\"大货车\">大货车</option>"), "{}", page.body);
    let draft = "{\"at\":1,\"fields\":{\"text\":\"绕路\",\"x.vehicle\":\"大货车\",\"x.other\":\"1\"}}";
    li.post("/draft", &[("of", "call"), ("text", draft)]).is(204);
    li.get("/new").is(200).says("<option value=\"大货车\" selected>");
    let call = |domain: &'static str, vehicle: &'static str, load: &'static str, then: &'static str| {
        [
            ("text", "出租车拒载"),
            ("kind", "投诉举报"),
            ("urgency", "一般"),
            ("domain", domain),
            ("x.vehicle", vehicle),
            ("x.load", load),
            ("x.seen", "是"),
            ("answer", "已告知"),
            ("redirect", "12306"),
            ("then", then),
        ]
    };
    let page = li.post("/new", &call("D04", "", "四吨", "make")).is(422);
    let page =
        page.says("<a href=\"#x-vehicle\">车型: 请填写</a>").says("<a href=\"#x-load\">载重: 应为数字</a>");
    page.says("aria-describedby=\"x-vehicle-problem\"").says("value=\"四吨\"");
    let page = li.post("/new", &call("D04", "三轮车", "", "answer")).is(422);
    page.says("车型: 应为以下之一： 小客车、大货车").says("<option value=\"三轮车\" selected>");
    li.post("/new", &call("D01", "", "", "make")).is(303); // it is not asked of that
    li.post("/new", &call("D04", "", "", "redirect")).is(303); // nor of what is not ours
    let page = li.follow("/new", &call("D04", "大货车", "4.5", "make")).is(200);
    let id = page.body.split("/events?ticket=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = page
        .says("<dt>车型</dt><dd>大货车</dd>")
        .says("<dt>载重</dt><dd>4.5</dd>")
        .says("<dt>目击</dt><dd>是</dd>");
    page.says("按分派目录：业务领域城市客运 → 客运管理处（依据：厅函2号）")
        .says("name=\"department\" value=\"客运管理处\"");
    let page = li.follow("/language", &[("here", &format!("/ticket/{id}"))]).is(200);
    page.says("<dt>Kind of vehicle</dt>")
        .says("<dt>Seen</dt><dd>yes</dd>")
        .says("by the dispatch catalogue: domain");
    li.act(&id, "correct", &[("was.x.vehicle", "大货车"), ("fact.x.vehicle", "三轮车")])
        .is(422)
        .says("小客车, 大货车");
    let done = format!("/ticket/{id}?done=correct");
    li.act(&id, "correct", &[("was.x.vehicle", "大货车"), ("fact.x.vehicle", "小客车")]).leads_to(&done);
    lead.get(&format!("/ticket/{id}"))
        .says("更正 车型 “大货车” → “小客车”")
        .says("<option value=\"小客车\" selected>");
    let shown = json(&["ticket", "show", &id, "--dir", &city]);
    assert_eq!((&shown["facts"]["x.load"], &shown["facts"]["x.seen"]), (&"4.5".into(), &"是".into()));
    assert_eq!(shown["suggested"]["department"], "客运管理处");
    assert_eq!(json(&["ticket", "choices", &id, "--dir", &city])["suggested"], shown["suggested"]);

    // On the command line as well; a field that nobody knows is shown by its own name.
    let new =
        ["ticket", "new", "--text", "绕路", "--business", "投诉举报", "--domain", "D04", "--dir", &city];
    fails(&new, 2, "`vehicle` is missing; this centre asks for it");
    fails(&[&new[..], &["--field", "vehicle=三轮车"]].concat(), 2, "`vehicle` is none of 小客车, 大货车");
    fails(&[&new[..], &["--field", "text=x"]].concat(), 2, "`text` is said twice");
    let lane = [&new[..], &["--field", "x.vehicle=大货车", "--field", "x.lane=3"]].concat();
    fails(&lane, 2, "--field lane: this centre has no such field");
    fails(&lane, 2, "it has vehicle, load, seen: `hotline policy show fields`");
    let made = json(&[&new[..], &["--field", "x.vehicle=大货车"]].concat());
    let shown = json(&["ticket", "show", made["id"].as_str().unwrap(), "--dir", &city]);
    assert_eq!(shown["facts"]["x.vehicle"], "大货车");
    let line = "{\"text\":\"绕路\",\"domain\":\"D04\",\"vehicle\":\"大货车\",\"lane\":3}";
    let made = fed(&["ticket", "new", "--from", "-", "--dir", &city, "--json"], line.as_bytes());
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    li.get(&format!("/ticket/{}", made["id"].as_str().unwrap())).says("<dt>lane</dt><dd>3</dd>");
    let roads = json(&["ticket", "new", "--text", "路面坑洞", "--domain", "D01", "--dir", &city]);
    let page = lead.get(&format!("/ticket/{}", roads["id"].as_str().unwrap())).is(200);
    page.says("name=\"to\" value=\"370000\"").says("按分派目录：业务领域");
    let told = both(&run(&["user", "department", "li", "客运处", "--dir", &city]));
    assert!(told.contains("names no department `客运处`; it names 客运管理处"), "{told}");
}

#[test]
fn facts_are_mended_by_a_form_and_what_two_wrote_at_once_stands_side_by_side() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    let mut wang = town.staff("370100", &desk, "wang", "agent");
    let city = town.at("370100");
    let made = json(&["ticket", "new", "--text", "出租车拒载", "--place", "火车站", "--dir", &city]);
    let id = made["id"].as_str().unwrap();
    let page = li.get(&format!("/ticket/{id}")).is(200).says("name=\"was.place\" value=\"火车站\"");
    assert!(page.body.contains("城市客运 · 巡游出租汽车"), "topics are chosen from a list");
    wang.get(&format!("/ticket/{id}")).is(200);
    let done = format!("/ticket/{id}?done=correct");
    let form = |place: &str, plate: &str| {
        [("was.place", "火车站"), ("fact.place", place), ("was.plate", ""), ("fact.plate", plate)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = |who: &mut Browser, place: &str, plate: &str| {
        let form = form(place, plate);
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        who.act(id, "correct", &form)
    };
    send(&mut li, "火车站西广场", "").leads_to(&done);
    // Wang had the page of before: what li wrote shows beside what wang wrote, and nothing of either is lost.
    let page = send(&mut wang, "火车站东广场", "鲁A12345").is(409);
    let page = page.says("他人刚刚改为").says("<blockquote>火车站西广场</blockquote>");
    let page = page
        .says("name=\"fact.place\" value=\"火车站东广场\"")
        .says("name=\"was.place\" value=\"火车站西广场\"");
    page.says("name=\"fact.plate\" value=\"鲁A12345\"");
    let again = [
        ("was.place", "火车站西广场"),
        ("fact.place", "火车站东广场"),
        ("was.plate", ""),
        ("fact.plate", "鲁A12345"),
    ];
    wang.act(id, "correct", &again).leads_to(&done);
    let page = wang.get(&format!("/ticket/{id}")).says("更正 地点 “火车站西广场” → “火车站东广场”");
    assert!(page.body.contains("<dd>鲁A12345</dd>"));
    wang.act(id, "correct", &again[..2]).is(409); // of an old page again
    wang.act(id, "correct", &[("was.region", ""), ("fact.region", "济南")]).is(422).says("region");
    let corrected = ["ticket", "correct", id, "topic=巡游出租汽车", "x.lane=3", "--dir", &city];
    assert_eq!(json(&corrected)["op"], "correct");
    let shown = json(&["ticket", "show", id, "--dir", &city]);
    let facts = [&shown["facts"]["topic"], &shown["facts"]["domain"], &shown["facts"]["x.lane"]];
    assert_eq!(facts, ["D0401", "D04", "3"]);
    // What somebody else's program wrote with ends of lines and blanks is not changed by who does not touch it.
    json(&["ticket", "correct", id, "x.remark=第一行\r\n 第二行", "--dir", &city]);
    let page = li.get(&format!("/ticket/{id}"));
    assert!(page.body.contains("<textarea id=\"correct-x-remark\" name=\"fact.x.remark\""), "{}", page.body);
    let remark = ("was.x.remark", "第一行\r\n 第二行");
    let form =
        [remark, ("fact.x.remark", "第一行\n第二行"), ("was.plate", "鲁A12345"), ("fact.plate", "鲁A54321")];
    li.act(id, "correct", &form).leads_to(&done);
    li.get(&format!("/ticket/{id}")).says("更正 车牌号 “鲁A12345” → “鲁A54321”");
    let stands = json(&["ticket", "show", id, "--dir", &city])["facts"]["x.remark"].clone();
    assert_eq!(stands, "第一行\r\n 第二行", "nobody touched it");
    li.act(id, "correct", &[remark, ("fact.x.remark", "一行")]).leads_to(&done);
    let many: Vec<String> = (0..50).map(|n| format!("x.f{n}=1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    fails(&[&["ticket", "correct", id], &many[..], &["--dir", &city]].concat(), 2, "at most 50 fields");
    fails(&["ticket", "correct", id, "topic", "--dir", &city], 2, "FACT=VALUE");
    fails(&["ticket", "correct", id, "place=火车站东广场", "--dir", &city], 1, "already");
}

#[test]
fn a_remote_seat_takes_calls_for_the_centres_that_it_serves_and_no_others() {
    let town = Town::new(&["370000"]);
    let (_node, desk) = town.desk("370000", &[]);
    let province = town.at("370000");
    let mut li = town.staff("370000", &desk, "li", "agent");
    let mut wang = town.staff("370000", &desk, "wang", "agent");
    assert!(
        !li.get("/new").is(200).body.contains("id=\"centre\""),
        "a seat serves its own site, unless somebody says more"
    );
    let call = |centre| {
        [
            ("text", "公交晚点"),
            ("kind", "投诉举报"),
            ("urgency", "一般"),
            ("centre", centre),
            ("then", "make"),
        ]
    };
    li.post("/new", &call("371700")).is(403).says("您的账号不为该中心服务：");
    fails(&["user", "serves", "li", "菏泽", "--dir", &province], 2, "is no centre");
    let serving = json(&["user", "serves", "li", "371700", "370900", "--dir", &province]);
    assert_eq!(serving["serves"], serde_json::json!(["370900", "371700"]));
    li.get("/queue/held").leads_to("/sign-in?said=ended"); // it was opened under what held before
    li.sign_in("li", OWN).leads_to("/");
    li.get("/new").is(200).says("id=\"centre\"").says("371700");
    let page = li.follow("/new", &call("371700")).is(200).says("<dt>服务中心</dt><dd>371700 菏泽市</dd>");
    let id = page.body.split("/events?ticket=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    // Whoever does not serve that centre finds it in no list, and neither reads nor changes the ticket.
    for list in ["/queue/held", "/queue/all", "/queue/all?q=%E5%85%AC%E4%BA%A4"] {
        li.get(list).is(200).says("公交晚点");
        wang.get(list).is(200).says("这里没有工单");
    }
    wang.get(&format!("/ticket/{id}")).is(403).says("您的账号不为该中心服务");
    for (path, fields) in [("note", [("note", "x"), ("x", "")]), ("act", [("do", "answer"), ("text", "x")])] {
        let page = wang.post(&format!("/ticket/{id}/{path}"), &fields);
        page.is(403).says("您的账号不为该中心服务");
    }
    let mut boss = town.staff("370000", &desk, "boss", "shift-leader");
    let mine = boss.call("另一个来电");
    boss.act(&mine, "merge", &[("into", &id)]).is(403).says("您的账号不为该中心服务");
    let log = json(&["audit", "--limit", "200", "--dir", &province]).to_string();
    assert!(log.contains("show: this ticket was taken for 371700"), "who only looks stands there too: {log}");
    let own = li.follow("/new", &call("370000")).is(200);
    assert!(!own.body.contains("<dt>服务中心</dt>"), "its own site is no other centre");
    li.act(&id, "correct", &[("fact.centre", "370800")]).is(403);
    li.act(&id, "answer", &[("text", "末班车是二十二点")]).leads_to(&format!("/ticket/{id}?done=answer"));
    let shown = json(&["ticket", "show", &id, "--dir", &province]);
    assert_eq!((&shown["facts"]["centre"], shown["trail"].as_array().unwrap().len()), (&"371700".into(), 2));
    let mut head = town.staff("370000", &desk, "guanli", "administrator");
    let page = head.post("/accounts", &[("do", "serves"), ("name", "wang"), ("serves", "371700")]).is(200);
    assert!(page.body.contains("value=\"371700\""));
    head.post("/accounts", &[("do", "serves"), ("name", "wang"), ("serves", "x")])
        .is(422)
        .says("is no centre");
    wang.sign_in("wang", OWN).leads_to("/");
    wang.get(&format!("/ticket/{id}")).is(200).says("末班车是二十二点");
    let log = json(&["audit", "--limit", "200", "--dir", &province]).to_string();
    assert!(log.contains("does not serve 371700") && log.contains("user serves"), "{log}");
}

#[test]
fn queues_are_ones_own_ones_departments_and_narrowed() {
    let town = Town::new(&["370000"]);
    let (_node, desk) = town.desk("370000", &[]);
    let province = town.at("370000");
    let mut li = town.staff("370000", &desk, "li", "agent");
    let mut chu = town.staff("370000", &desk, "chu", "handler");
    let taxi = li.call("出租车拒载");
    json(&["ticket", "correct", &taxi, "topic=D0401", "urgency=特急", "--dir", &province]);
    let bus = li.call("公交晚点");
    li.get("/queue/mine").is(200).says("出租车拒载").says("公交晚点").says("经办 li");
    chu.get("/queue/mine").is(200).says("这里没有工单");
    chu.get("/queue/team").is(200).says("您的账号没有所属部门");
    let page = li
        .get("/queue/held?domain=D04&sort=oldest")
        .is(200)
        .says("出租车拒载")
        .says("value=\"D04\" selected");
    assert!(!page.body.contains("公交晚点"), "{}", page.body);
    let oldest = li.get("/queue/held?sort=oldest").is(200).body;
    assert!(oldest.find("出租车拒载").unwrap() < oldest.find("公交晚点").unwrap());
    li.get("/queue/all?business=x&first=2026-01-01").is(200).says("只筛选最近 5 万件").says("这里没有工单");
    li.get("/queue/held?first=x").is(200).says("is no day").says("value=\"x\"");
    let department = json(&["user", "department", "chu", "客运处", "--dir", &province]);
    assert_eq!(department["department"], "客运处");
    chu.sign_in("chu", OWN).leads_to("/");
    li.act(&taxi, "dispatch", &[("department", "客运处"), ("text", "")]).is(303);
    let page = chu.get("/queue/team").is(200).says("出租车拒载").says("客运处");
    assert!(!page.body.contains("公交晚点"), "{}", page.body);
    let mut head = town.staff("370000", &desk, "guanli", "administrator");
    let page =
        head.post("/accounts", &[("do", "department"), ("name", "chu"), ("department", "公交处")]).is(200);
    page.says("value=\"公交处\"");
    let listed = |args: &[&str]| {
        let list = json(&[&["ticket", "list", "--dir", &province], args].concat());
        list.as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--queue", "mine", "--user", "li"]).len(), 2);
    assert_eq!(listed(&["--queue", "team", "--department", "客运处"]), std::slice::from_ref(&taxi));
    assert_eq!(listed(&["--queue", "held", "--urgency", "一般"]), [bus]);
    assert_eq!(listed(&["--queue", "open", "--topic", "D0401", "--sort", "due"]), [taxi]);
    fails(&["ticket", "list", "--queue", "mine", "--dir", &province], 2, "whose tickets");
}

#[test]
fn a_call_is_answered_redirected_or_rejected_at_once() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut agent = town.staff("370100", &desk, "li", "agent");
    agent.get("/new").is(200);
    agent.post("/new", &[("text", ""), ("then", "make")]).is(422).says("href=\"#text\"");
    agent
        .post("/new", &[("text", "几点的末班车"), ("then", "answer")])
        .is(422)
        .says("答复内容：")
        .says("几点的末班车");
    agent.post("/new", &[("text", "想改签火车票"), ("then", "redirect")]).is(422).says("选择告知的号码");
    for (then, fields, stage) in [
        ("answer", [("answer", "二十二点三十分"), ("redirect", "")], "已当场答复"),
        ("redirect", [("answer", ""), ("redirect", "12306")], "已告知"),
        ("reject", [("answer", "不属于交通运输职责"), ("redirect", "")], "不予受理"),
    ] {
        let page = agent.follow("/new", &[&[("text", "一次来电"), ("then", then)][..], &fields].concat());
        page.is(200).says(stage);
    }
    let all = json(&["ticket", "list", "--dir", &town.at("370100")]);
    assert_eq!(all.as_array().unwrap().len(), 3, "what was not filled in made nothing");
}

#[test]
fn who_made_a_confidential_report_is_for_the_confidential_desk() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut agent = town.staff("370100", &desk, "li", "agent");
    let mut handler = town.staff("370100", &desk, "gongjiao", "handler");
    let mut leader = town.staff("370100", &desk, "wang", "shift-leader");
    agent.get("/new").is(200);
    let report = [
        ("text", "站长私分票款"),
        ("caller_name", "钱七"),
        ("caller_phone", "13800000007"),
        ("confidential", "yes"),
        ("then", "make"),
    ];
    let page = agent.follow("/new", &report).is(200).says("举报人保密");
    assert!(!page.body.contains("私分票款") && !page.body.contains("钱七"));
    let id = page.body.split("/events?ticket=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let reveal = format!("/ticket/{id}/reveal");
    let refused = handler.post(&reveal, &[("reveal", "想知道")]);
    assert!(refused.status == 409 && !refused.body.contains("钱七"), "{}", refused.body);
    leader.post(&reveal, &[("reveal", "核实举报")]).is(200).says("钱七").says("私分票款");
}

#[test]
fn two_desks_hand_a_ticket_over() {
    let town = Town::new(&["370100", "370200"]);
    let (x, y) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
    let (_a, jinan) = town.desk("370100", &["--listen", &x, "--peer", &format!("370200={y}")]);
    let (_b, qingdao) = town.desk("370200", &["--listen", &y, "--peer", &format!("370100={x}")]);
    town.proved("370100");
    let mut here = town.staff("370100", &jinan, "li", "shift-leader");
    let mut there = town.staff("370200", &qingdao, "wang", "shift-leader");
    let id = here.call("青岛的公交车没有空调");
    let page = format!("/ticket/{id}");
    let page_of = |to: &'static str| [("to", to), ("reason", "车在青岛")];
    let told = here.act(&id, "offer", &page_of("370202 市南区")).is(422);
    told.says("<a href=\"#offer-to\">").says("没有这个中心").says("370200 青岛市").says("车在青岛");
    here.act(&id, "offer", &page_of("青岛")).is(422).says("没有这个中心，请从列表中选择。");
    let long = "长".repeat(3000);
    let told = here.act(&id, "offer", &[("to", "370200 青岛市"), ("reason", &long)]).is(422);
    assert!(!told.says("<a href=\"#act-offer\">").body.contains("没有这个中心"));
    here.act(&id, "offer", &page_of("370200 青岛市")).is(303);
    here.get(&page).says("等待签收： 370200 青岛市").says("已转办至 370200 青岛市，须先等待答复或撤回");
    here.get("/queue/offered").says("青岛的公交车没有空调");
    until("the offer arrives", || there.get("/queue/to-accept").body.contains("青岛的公交车没有空调"));
    there.get(&page).is(200).says("id=\"act-accept\"");
    here.act(&id, "accept", &[]).is(409).says("仅转办对象 370200 青岛市 可以");
    there.act(&id, "accept", &[]).is(303);
    there.get("/queue/held").says("青岛的公交车没有空调");
    until("the first desk sees who holds it now", || {
        here.get(&page).body.contains("<strong>370200 青岛市</strong>")
    });
    until("both hold all of it, and the page says so", || {
        here.get(&page).body.contains("370200 青岛市 — 已全部收到")
    });
    here.get(&page).says("应持有的单位： 000000 交通运输部、370000 山东省、370100 济南市、370200 青岛市");
    there.act(&id, "close", &[("result", "已修好")]).is(303);
    until("the end is seen at both", || here.get("/queue/closed").body.contains("青岛的公交车没有空调"));
    here.get("/wall").is(200).says("济南市 与 青岛市 线路正常");
}

#[test]
fn pages_hear_of_changes_and_a_stop_ends_them_in_time() {
    let town = Town::new(&["370100"]);
    let (mut node, desk) = town.desk("370100", &[]);
    let li = town.staff("370100", &desk, "li", "agent");
    let city = town.at("370100");
    let made = json(&["ticket", "new", "--dir", &city, "--text", "第一件"]);
    let id = made["id"].as_str().unwrap();
    let mut stream = TcpStream::connect(&desk).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "{}\r\n", li.head("GET", &format!("/events?ticket={id}"))).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200"));
    assert!(lines.any(|line| line.starts_with("retry")));
    json(&["ticket", "new", "--dir", &city, "--text", "第二件"]);
    // A change of another ticket is one of the queue alone.
    assert_eq!(lines.find(|line| line.starts_with("event")).unwrap(), "event: queue");
    json(&["ticket", "note", id, "一条备注", "--dir", &city]);
    assert_eq!(lines.find(|line| line.starts_with("event")).unwrap(), "event: ticket");
    let began = Instant::now();
    node.signal("TERM");
    assert!(node.0.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(30), "an open page holds nobody up");
    let nobody = Browser::new(&desk).raw(b"GET / HTTP/1.1\r\n\r\n");
    assert!(nobody.is_err());
}

#[test]
fn a_page_is_told_what_it_missed_before_it_began_to_listen() {
    let town = Town::new(&["370100"]);
    let (node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    let wang = town.staff("370100", &desk, "wang", "agent");
    let city = town.at("370100");
    let id = li.call("出租车拒载");
    let seen = |page: harness::browser::Page| {
        let seen = page.body.split("data-seen=\"").nth(1).unwrap().split('"').next().unwrap();
        seen.replace("&#38;", "&")
    };
    // What a page hears first: a change comes soon after, so that there is something to hear.
    let first = |who: &Browser, path: String, more: &dyn Fn()| {
        let mut stream = TcpStream::connect(&desk).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(format!("{}\r\n", who.head("GET", &path)).as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with("retry")));
        more();
        let event = lines.find(|line| line.starts_with("event")).unwrap();
        event.trim_start_matches("event: ").to_owned()
    };
    let nothing = || {};
    let note = || drop(json(&["ticket", "note", &id, "一条备注", "--dir", &city]));
    let queue = seen(li.get("/queue/held").is(200));
    let ticket = seen(li.get(&format!("/ticket/{id}")).is(200));
    assert_eq!(
        first(&li, format!("/events?{queue}"), &note),
        "queue",
        "nothing was missed: what comes is heard"
    );
    assert_eq!(first(&li, format!("/events?{queue}"), &nothing), "queue", "and this one was");
    assert_eq!(first(&li, format!("/events?ticket={id}&{ticket}"), &nothing), "ticket");
    let ticket = seen(li.get(&format!("/ticket/{id}")).is(200));
    let _there = listening(&wang, &desk, &id);
    assert_eq!(
        first(&li, format!("/events?ticket={id}&{ticket}"), &nothing),
        "presence",
        "wang came in between"
    );
    for other in ["seen=1-2", "seen=x", "seen="] {
        assert_eq!(first(&li, format!("/events?ticket={id}&{other}"), &nothing), "ticket", "{other}");
    }
    // Of a node that was away nobody knows what was missed: all of it.
    drop(node);
    let _node = town.start("370100", &["--desk", &desk]);
    until("the desk is served", || TcpStream::connect(&desk).is_ok());
    assert_eq!(first(&li, format!("/events?{queue}"), &nothing), "ticket");
}

#[test]
fn https_with_the_desks_own_authority() {
    let town = Town::new(&["370100"]);
    let (node, desk) = town.desk("370100", &["--desk-names", "localhost,127.0.0.1"]);
    let ca = town.path("370100").join("desk/ca.crt");
    let first = town.account("370100", "li", "agent");
    let mut li = Browser::secure(&desk, &ca, "localhost");
    let page = li.sign_in("li", &first).leads_to("/password");
    let cookie = page.head.lines().find(|l| l.contains("__Host-hotline-")).unwrap();
    for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert!(li.get("/password").is(200).header("strict-transport-security").contains("max-age="));
    Browser::secure(&desk, &ca, "127.0.0.1").get("/sign-in").is(200);
    assert!(Browser::secure(&desk, &ca, "example.com").raw(b"GET / HTTP/1.1\r\n\r\n").is_err());
    let plain = Browser::new(&desk).raw(b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!plain.is_ok_and(|page| page.status == 200), "nothing is served in clear");
    // The machines' trust outlives the node's life.
    drop(node);
    let (_node, desk) = town.desk("370100", &["--desk-names", "localhost"]);
    Browser::secure(&desk, &ca, "localhost").get("/sign-in").is(200);
}

#[test]
fn browsers_are_told_to_guard_the_page_and_caps_hold() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    for path in ["/sign-in", "/queue/held", "/new", "/wall", "/nothing/here", "/password"] {
        let page = li.get(path);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert!(page.header("strict-transport-security").is_empty(), "not without HTTPS");
        for inline in ["<style", " style=", "onclick=", "<script>", "javascript:"] {
            assert!(!page.body.contains(inline), "{path} has {inline}");
        }
        for address in page.body.split(['"', '\'']).filter(|s| s.contains("://")) {
            assert!(!address.starts_with("http"), "{path} asks for {address}");
        }
    }
    let body = li.get("/queue/held").body;
    for asset in body.split('"').filter(|s| s.starts_with("/assets/")) {
        let page = Browser::new(&desk).get(asset).is(200);
        assert!(page.header("cache-control").contains("immutable"), "{asset}");
    }
    li.get("/assets/..%2f..%2fnode.db").is(404);
    li.get("/queue/nothing").is(422);
    li.get("/ticket/JT37010000000000").is(422);
    let large = format!("form={}&text={}", li.form, "x".repeat(300 << 10));
    li.send("/new", "", &large).is(413);
    let many = format!("form={}{}", li.form, "&a=b".repeat(250));
    li.send("/new", "", &many).is(413);
    let lines = (0..100).map(|i| format!("X-{i}: y\r\n")).collect::<String>();
    let page = li.raw(format!("{}{lines}\r\n", li.head("GET", "/sign-in")).as_bytes()).unwrap();
    assert_eq!(page.status, 431);
    li.get("/queue/held").is(200);
}

#[test]
fn an_article_is_written_reviewed_and_put_into_force_by_two_people() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "handler");
    let mut zhang = town.staff("370100", &desk, "zhang", "shift-leader");
    let mut wang = town.staff("370100", &desk, "wang", "agent");
    li.get("/knowledge").is(200).says("这里没有文章").says("/knowledge/new");
    assert!(!wang.get("/knowledge").is(200).body.contains("/knowledge/new"));
    wang.get("/knowledge/new").is(403);
    li.post("/knowledge/new", &[("title", "节假日免费通行"), ("body", " ")]).is(422).says("正文：请填写");
    let backwards = [("title", "x"), ("body", "y"), ("valid_from", "2030-01-02"), ("valid_to", "2030-01-01")];
    li.post("/knowledge/new", &backwards).is(422).says("valid_to");
    let fields = [
        ("title", "节假日高速免费通行"),
        ("body", "七座以下小型客车\n免收通行费"),
        ("code", "JN1"),
        ("tags", "高速，节假日"),
        ("audience", "public"),
    ];
    let page = li.follow("/knowledge/new", &fields).is(200).says("草稿已保存").says("可对外公开");
    let id = page.body.split("/events?ticket=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (at, act) = (format!("/knowledge/{id}"), format!("/knowledge/{id}/act"));
    // Its writer may not let it pass, and is told why.
    assert!(
        page.body.contains("不能审核自己写的版本") && !page.body.contains("id=\"act-review\""),
        "{}",
        page.body
    );
    li.post(&act, &[("do", "review")]).is(409).says("nobody reviews what they wrote themselves");
    li.get("/knowledge?list=unreviewed").is(200).says("节假日高速免费通行");
    let ask = [("text", "国庆节走高速免费吗"), ("then", "suggest")];
    wang.get("/new").is(200);
    wang.post("/new", &ask).is(200).says("没有找到相关知识");
    zhang.get(&at).is(200).says("id=\"act-review\"").says("该版本尚未审核");
    zhang.follow(&act, &[("do", "review"), ("reason", "已核对文件")]).is(200).says("已核对文件");
    zhang.follow(&act, &[("do", "publish")]).is(200).says("当前生效");
    wang.post("/new", &ask).is(200).says(&at);
    wang.get("/knowledge?q=mianfei").is(200).says(&at);
    // Whoever answers says whether it helped: on its page, and beside the form without leaving it.
    wang.follow(&act, &[("do", "used"), ("version", "1")]).is(200).says("采用 1 · 未解决 0");
    let page = wang.post("/new", &[ask[0], ("then", &format!("unhelpful {id}"))]).is(200).says("已记录");
    assert!(page.body.contains("国庆节走高速免费吗</textarea>"), "{}", page.body);
    li.post(&act, &[("do", "used")]).is(403);
    assert!(!li.get(&at).is(200).says("采用 1 · 未解决 1").body.contains("value=\"used\""));
    li.get("/knowledge?list=unhelpful").is(200).says("未解决 1");
    wang.get(&at).is(200).says("您的角色没有这项权限");
    // A further version begins with the last one; readers keep what is in force.
    li.get(&format!("{at}/edit")).is(200).says("value=\"JN1\"").says("免收通行费</textarea>");
    let next = [
        ("title", "节假日高速免费通行"),
        ("body", "七座以下小型客车\n含摩托车\n免收通行费"),
        ("code", "JN1"),
        ("audience", "public"),
    ];
    let page = li.follow(&format!("{at}/edit"), &next).is(200);
    assert!(!page.body.contains("含摩托车"), "{}", page.body);
    li.get(&format!("{at}?version=2")).is(200).says("含摩托车").says("不是当前生效的版本");
    li.get(&format!("{at}?from=1&to=2"))
        .is(200)
        .says("<li class=\"added\"><span class=\"hidden\">新增: </span>含摩托车</li>")
        .says("<del>高速 · 节假日</del>");
    // A file makes the next version, which is reviewed as any other; readers have what is in force.
    let form = li.form.clone();
    let file = format!("{at}/file");
    li.upload(&file, &form, "申请表.pdf", "application/pdf", b"%PDF-1.4 x")
        .leads_to(&format!("{at}?version=3&done=new"));
    let page = li.get(&format!("{at}?version=3")).is(200).says("申请表.pdf").says("移除附件");
    let content = page.body.split(&format!("{file}/")).nth(1).unwrap().split('"').next().unwrap().to_owned();
    wang.get(&format!("{file}/{content}")).is(200).says("%PDF-1.4 x");
    assert!(!wang.get(&at).is(200).body.contains("申请表.pdf"));
    let no = wang.form.clone();
    wang.upload(&file, &no, "x.pdf", "application/pdf", b"x").is(403);
    li.follow(&act, &[("do", "detach"), ("name", "申请表.pdf")]).is(200);
    assert!(!li.get(&format!("{at}?version=4")).is(200).body.contains("申请表.pdf"));
    zhang.post(&act, &[("do", "withdraw")]).is(422).says("请填写");
    zhang.follow(&act, &[("do", "withdraw"), ("reason", "已废止")]).is(200).says("已停用").says("已废止");
    wang.post("/new", &ask).is(200).says("没有找到相关知识");
    for (path, status) in
        [("/knowledge/0a0a0a0a", 404), ("/knowledge?list=best", 422), ("/knowledge?q=，", 200)]
    {
        li.get(path).is(status);
    }
    zhang.post(&act, &[("do", "revise")]).is(422);
    zhang.get(&act).leads_to(&at);
    let log = json(&["audit", "--dir", &town.at("370100"), "--limit", "100"]).to_string();
    assert!(log.contains("knowledge publish") && log.contains("knowledge withdraw"), "{log}");
    let rows = json(&["audit", "--dir", &town.at("370100"), "--limit", "100"]);
    let of_the_file = rows.as_array().unwrap().iter().filter(|row| row["detail"] == "申请表.pdf");
    let said: Vec<_> =
        of_the_file.map(|row| (row["what"].as_str().unwrap(), row["ticket"].as_str().unwrap())).collect();
    let id = at.trim_start_matches("/knowledge/");
    assert_eq!(said, [("knowledge detach", id), ("knowledge file attach", id)], "{rows}");
}

#[test]
fn possible_duplicates_show_beside_the_form_and_no_confidential_report() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let city = town.at("370100");
    let new = |args: &[&str]| -> (String, String) {
        let made = json(&[&["ticket", "new", "--dir", &city, "--text"], args].concat());
        let part = |key: &str| made[key].as_str().unwrap().to_owned();
        (part("id"), part("number"))
    };
    let (lift, number) = new(&["泉城广场地铁口电梯停运"]);
    let (taxi, _) = new(&["司机绕路多收钱", "--plate", "鲁A12345", "--place", "经十路"]);
    let (secret, _) =
        new(&["泉城广场电梯举报", "--plate", "鲁A12345", "--place", "经十路", "--confidential"]);
    for text in ["公交车晚点半小时", "高速公路收费标准"] {
        new(&[text]);
    }
    let mut agent = town.staff("370100", &desk, "li", "agent");
    agent.get("/new").is(200).says("可能重复的工单").says("id=\"similar\"");
    let ask = |text, plate, place| [("text", text), ("plate", plate), ("place", place), ("then", "suggest")];
    let page = agent.post("/new", &ask("泉城广场的电梯坏了", "", "")).is(200);
    let part = page.body.split("id=\"similar\"").nth(1).unwrap().split("</section>").next().unwrap();
    let link = format!("<a href=\"/ticket/{lift}\" target=\"_blank\" rel=\"noopener\">{number}</a>");
    assert!(part.contains(&link) && part.contains("相同： 泉城广场 · 电梯"), "{part}");
    assert!(!part.contains(&taxi) && !part.contains(&secret), "{part}");
    let page = agent.post("/new", &ask("泉城广场的电梯坏了", "鲁A·12345", "经十路")).is(200);
    let at = |id: &str| page.body.find(&format!("/ticket/{id}"));
    assert!(at(&taxi) < at(&lift) && at(&taxi).is_some(), "plate and place come first: {}", page.body);
    assert_eq!(at(&secret), None, "{}", page.body);
    agent.post("/new", &ask("你好", "", "")).is(200).says("没有找到相似工单");
    // What was typed is kept, and nothing of it is a ticket yet.
    agent.post("/new", &ask("一段话", "鲁B1", "")).is(200).says("一段话</textarea>").says("value=\"鲁B1\"");
    assert_eq!(json(&["ticket", "list", "--dir", &city]).as_array().unwrap().len(), 5);
}

#[test]
fn what_somebody_writes_is_shown_and_never_run() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "shift-leader");
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=y>";
    li.get("/new").is(200);
    let fields = [
        ("text", evil),
        ("subject", "<script>x</script>"),
        ("place", evil),
        ("plate", "<b>"),
        ("then", "make"),
    ];
    let page = li.follow("/new", &fields).is(200);
    let id = page.body.split("/events?ticket=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    li.act(&id, "progress", &[("text", evil)]).is(303);
    li.follow(&format!("/ticket/{id}/note"), &[("note", evil)]).is(200);
    li.act(&id, "dispatch", &[("department", evil), ("text", evil)]).is(303);
    let pages = [
        li.get(&format!("/ticket/{id}")),
        li.get("/queue/held"),
        li.get("/queue/all?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        li.post("/new", &[("text", evil), ("answer", evil), ("caller_name", evil), ("then", "redirect")]),
        li.act(&id, "offer", &[("to", evil), ("reason", evil)]),
        li.follow("/knowledge/new", &[("title", evil), ("body", evil), ("tags", evil), ("source", evil)]),
        li.post("/knowledge/new", &[("title", ""), ("body", evil), ("source", evil)]),
        li.get("/knowledge?q=%3Cscript%3Ealert(1)"),
        li.get("/knowledge?list=drafts"),
    ];
    for page in pages {
        assert!(!page.body.contains("<script>") && !page.body.contains("<img src=x"), "{}", page.body);
    }
    assert!(li.get(&format!("/ticket/{id}")).body.contains("&#60;script&#62;"));
}

#[test]
fn an_audit_log_that_somebody_altered_shows() {
    let town = Town::new(&["370100"]);
    let (node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    li.call("一次来电");
    let city = town.at("370100");
    let whole = json(&["audit", "--verify", "--dir", &city]);
    assert!(whole["lines"].as_u64().unwrap() >= 5 && whole["wrong"].is_null(), "{whole}");
    drop(node);
    let db = rusqlite::Connection::open(town.path("370100").join("desk.db")).unwrap();
    assert!(
        db.execute("DELETE FROM audit WHERE row = 2", []).unwrap_err().to_string().contains("only grows")
    );
    db.execute_batch(
        "DROP TRIGGER audit_stays; UPDATE audit SET line = (SELECT line FROM audit WHERE row = 1) WHERE row = 3;",
    )
    .unwrap();
    drop(db);
    fails(&["audit", "--verify", "--dir", &city], 5, "line 3");
}

#[test]
fn a_draft_outlives_a_kill() {
    let town = Town::new(&["370100"]);
    let (node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    li.get("/new").is(200);
    let draft = r#"{"at":1764000000000,"fields":{"text":"说到一半的来电","caller_phone":"13800000001","kind":"信息咨询"}}"#;
    li.post("/draft", &[("of", "call"), ("text", draft)]).is(204);
    drop(node); // kill -9
    let _node = town.start("370100", &["--desk", &desk]);
    until("the desk is back", || TcpStream::connect(&desk).is_ok());
    let page = li.get("/new").is(200).says("说到一半的来电").says("已恢复上次未提交的草稿");
    assert!(page.body.contains("value=\"13800000001\"") && page.body.contains("value=\"信息咨询\" selected"));
    let mut wang = town.staff("370100", &desk, "wang", "agent");
    assert!(!wang.get("/new").body.contains("说到一半"), "a draft is its writer's");
    li.follow("/new", &[("text", "说完了的来电"), ("then", "make")]).is(200);
    assert!(!li.get("/new").body.contains("说到一半"), "it became a ticket");
}

#[test]
fn files_of_a_ticket_are_streamed_and_run_nothing() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    let id = li.call("附照片");
    let (city, page) = (town.at("370100"), town.at("page.html"));
    std::fs::write(&page, "<script>alert(1)</script>".repeat(100_000)).unwrap();
    json(&["ticket", "attach", &id, &page, "--dir", &city]);
    let body = li.get(&format!("/ticket/{id}")).is(200).says("page.html").body;
    let href = body.split('"').find(|s| s.contains("/file/")).unwrap().to_owned();
    let file = li.get(&href).is(200);
    assert_eq!(file.body.len(), 25 * 100_000);
    assert!(file.header("content-security-policy").contains("sandbox"));
    let kind = file.header("content-type");
    assert!(kind.starts_with("text/plain") || kind == "application/octet-stream", "{kind}");
    Browser::new(&desk).get(&href).leads_to("/sign-in");
    let mut auditor = town.staff("370100", &desk, "shen", "auditor");
    auditor.get(&href).is(403);
}

#[test]
fn a_file_is_attached_by_a_form_of_ones_own_session_and_comes_back_as_it_was() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "agent");
    let id = li.call("附照片");
    let (ticket, path) = (format!("/ticket/{id}"), format!("/ticket/{id}/file"));
    li.get(&ticket).is(200).says("enctype=\"multipart/form-data\"");
    let form = li.form.clone();
    // Every byte, and what looks like the end of a part.
    let photo: Vec<u8> = (0..300_000u32).map(|i| (i * 7 % 256) as u8).chain(*b"\r\n--\r\n\r\n").collect();
    li.upload(&path, &form, "现场 照片.dat", "application/octet-stream", &photo)
        .leads_to(&format!("{ticket}?said=file"));
    let page = li.get(&format!("{ticket}?said=file")).is(200).says("附件已保存").says("现场 照片.dat");
    assert!(page.body.contains("/file/"), "{}", page.body);
    let (city, out) = (town.at("370100"), town.at("out.dat"));
    json(&["ticket", "fetch", &id, "现场 照片.dat", "--out", &out, "--dir", &city]);
    assert_eq!(std::fs::read(&out).unwrap(), photo);
    // The same again changes nothing, and a name is no path.
    li.upload(&path, &form, "现场 照片.dat", "application/octet-stream", &photo).is(303);
    li.upload(&path, &form, "../../etc/passwd", "text/plain", b"x").is(303);
    li.upload(&path, &form, "", "application/octet-stream", b"").is(422).says("请填写");
    li.upload(&path, "", "a.txt", "text/plain", b"x").is(403);
    li.upload(&path, &"0".repeat(64), "a.txt", "text/plain", b"x").is(403);
    li.upload(&path, &form, "large.bin", "image/png", &vec![7; (16 << 20) + (64 << 10)])
        .is(413)
        .says("16 MB");
    li.send(&path, "", &format!("form={form}&file=x")).is(415);
    Browser::new(&desk).upload(&path, &form, "a.txt", "text/plain", b"x").is(401);
    let mut chief = town.staff("370100", &desk, "guanli", "administrator");
    chief.get("/accounts").is(200);
    let theirs = chief.form.clone();
    chief.upload(&path, &theirs, "a.txt", "text/plain", b"x").is(403);
    li.get(&path).leads_to(&ticket);
    let files = json(&["ticket", "files", &id, "--dir", &city]);
    assert_eq!(files.as_array().unwrap().len(), 2, "{files}");
    let log = json(&["audit", "--limit", "100", "--dir", &city]).to_string();
    assert!(log.contains("file attach") && log.contains(&format!("a form of elsewhere: {path}")), "{log}");
}

#[test]
fn an_administrator_looks_after_accounts_in_the_browser() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut admin = town.staff("370100", &desk, "guanli", "administrator");
    admin.get("/").leads_to("/wall");
    admin.get("/accounts").is(200);
    let page = admin.post("/accounts", &[("do", "add"), ("name", "li"), ("role", "agent")]).is(200);
    let first =
        page.body.split("<code class=\"password\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let mut li = Browser::new(&desk);
    li.sign_in("li", &first).leads_to("/password");
    admin
        .post("/accounts", &[("do", "add"), ("name", "li"), ("role", "agent")])
        .is(409)
        .says("there is, or was");
    admin.post("/accounts", &[("do", "add"), ("name", "<x>"), ("role", "agent")]).is(422);
    admin.post("/accounts", &[("do", "lock"), ("name", "guanli")]).is(422).says("不能对自己的账号");
    admin.post("/accounts", &[("do", "role"), ("name", "li"), ("role", "handler")]).is(200).says("业务部门");
    li.get("/password").leads_to("/sign-in?said=ended");
    admin.post("/accounts", &[("do", "remove"), ("name", "li")]).is(422);
    admin
        .post("/accounts", &[("do", "remove"), ("name", "li"), ("confirm", "yes")])
        .is(200)
        .says("账号已删除");
    let all = json(&["user", "list", "--dir", &town.at("370100")]);
    assert_eq!(all.as_array().unwrap().len(), 1);
    fails(&["user", "role", "li", "agent", "--dir", &town.at("370100")], 1, "no account `li`");
    fails(&["user", "add", "x", "--role", "root", "--dir", &town.at("370100")], 2, "shift-leader");
    fails(&["user", "list", "--dir", "/nowhere"], 4, "no data directory");
}

#[test]
fn a_desk_that_cannot_be_served_says_why() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let start = |args: &[&str], code: i32, words: &str| {
        let all = [&["run", "--dir", &city, "--listen", "127.0.0.1:0"], args].concat();
        fails(&all, code, words);
    };
    start(&["--desk", "0.0.0.0:1"], 4, "needs desk.names");
    start(&["--desk", "127.0.0.1:0", "--desk-certificate", "/c.pem"], 4, "belong together");
    start(&["--desk", "127.0.0.1:0", "--desk-names", "two words"], 4, "neither a host name nor an address");
    let taken = std::net::TcpListener::bind(("127.0.0.1", tcp_port())).unwrap();
    start(&["--desk", &taken.local_addr().unwrap().to_string()], 4, "cannot listen on");
    let output = run(&["config", "check", "--json", "--dir", &city]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("desk.listen"));
}

/// A page that listens for changes of a ticket: what it hears, line by line.
fn listening(browser: &Browser, address: &str, id: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = browser.head("GET", &format!("/events?ticket={id}"));
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream);
    heard(&mut lines, "retry: 3000");
    lines
}

fn heard(lines: &mut BufReader<TcpStream>, wanted: &str) {
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it said `{wanted}`");
    }
}

#[test]
fn who_else_has_a_ticket_open_is_told_and_forgotten() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut li = town.staff("370100", &desk, "li", "shift-leader");
    let mut wang = town.staff("370100", &desk, "wang", "handler");
    let auditor = town.staff("370100", &desk, "zhao", "auditor");
    let id = li.call("出租车拒载");
    let page = format!("/ticket/{id}");
    let mut open = listening(&li, &desk, &id);
    let there = listening(&wang, &desk, &id);
    heard(&mut open, "event: presence");
    li.get(&page).is(200).says("同时打开此工单的还有： wang");
    wang.get(&page).is(200).says("同时打开此工单的还有： li");
    let _unseen = listening(&auditor, &desk, &id); // may read no ticket, so is at none
    drop(there);
    heard(&mut open, "event: presence");
    until("whoever left is gone", || !li.clone().get(&page).body.contains("同时打开此工单的还有"));
}
