//! Every kind of page under axe-core (WCAG 2.2 A and AA) in a real browser, in both languages. There is one colour scheme:
//! a light one. Without axe-core or Chromium this says that it was skipped; under `HOTLINE_CI` it fails then.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::net::TcpStream;

use harness::axe::Axe;
use harness::browser::OWN;
use harness::chromium::{Chromium, Window};
use harness::scene::{CITY, Scene};
use harness::{Town, json, tcp_port, text, until};

/// What was wrong on all pages, told together at the end: one run shows all there is to mend.
struct Looker<'a> {
    axe: &'a Axe,
    pages: usize,
    wrong: Vec<String>,
}

impl Looker<'_> {
    /// Looks at the page that a window shows.
    fn at(&mut self, window: &Window<'_>, what: &str) {
        self.pages += 1;
        let language = window.script("return document.documentElement.lang");
        let found = self.axe.wrong(window);
        self.wrong.extend(found.into_iter().map(|line| format!("{what} ({language}): {line}")));
        self.fits(window, what);
    }

    /// Nothing has to be scrolled sideways.
    fn fits(&mut self, window: &Window<'_>, what: &str) {
        let page = "const page = document.documentElement; return page.scrollWidth - page.clientWidth";
        let wide = window.script(page);
        if wide != 0 {
            self.wrong.push(format!("{what}: the page is {wide} pixels wider than the screen"));
        }
    }

    /// Goes to a page and looks at it.
    fn on(&mut self, window: &Window<'_>, path: &str) {
        window.go(path);
        window.arrives(path);
        self.at(window, path);
    }

    fn found_nothing(self, least: usize) {
        assert!(self.pages >= least, "{} pages were looked at", self.pages);
        assert!(self.wrong.is_empty(), "{} findings:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

/// The other language, by the button that every page has.
fn other_language(window: &Window<'_>, tag: &str) {
    window.go("/wall");
    window.click("form[action='/language'] button");
    window.until("the other language", || window.script("return document.documentElement.lang") == tag);
}

const LANGUAGES: [&str; 2] = ["zh-CN", "en"];

#[test]
fn a_fault_in_a_page_is_found() {
    let (Some(axe), Some(chromium)) = (Axe::find(), Chromium::start()) else { return };
    let town = Town::new(&[CITY]);
    let (_node, desk) = town.desk(CITY, &[]);
    let window = chromium.window(&desk);
    window.go("/sign-in");
    window.arrives("/sign-in");
    assert_eq!(axe.wrong(&window), Vec::<String>::new());
    window.script(
        "document.querySelector('label[for=name]').remove();
         document.querySelector('h1').style.color = '#bbb';
         document.querySelector('form button').style.cssText = 'min-height: 0; height: 9px; width: 9px; padding: 0';
         document.querySelector('form').insertAdjacentHTML('beforeend', '<button style=\"height: 9px; width: 9px; padding: 0; min-height: 0; margin: 0\">x</button>')",
    );
    let wrong = axe.wrong(&window).join("\n");
    for rule in ["label |", "color-contrast |", "target-size |"] {
        assert!(wrong.contains(rule), "{rule} was not found:\n{wrong}");
    }
}

#[test]
fn no_page_of_the_desk_has_a_fault_that_a_program_can_see() {
    let (Some(axe), Some(chromium)) = (Axe::find(), Chromium::start()) else { return };
    let mut scene = Scene::new();
    let mut looker = Looker { axe: &axe, pages: 0, wrong: Vec::new() };
    let ticket = format!("/ticket/{}", scene.ticket);
    scene.lead.get(&ticket).is(200);
    let token = scene.lead.form.clone();
    let sound =
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0";
    scene.lead.upload(&format!("{ticket}/file"), &token, "录音.wav", "audio/wav", sound).is(303);
    json(&["user", "extension", "lead", "8001", "--dir", &scene.town.at(CITY)]);
    json(&["user", "serves", "lead", "371700", "--dir", &scene.town.at(CITY)]);
    json(&["scorecard", "freeze", "--dir", &scene.town.at("370000")]);
    let frozen = || json(&["scorecard", "list", "--site", "370000", "--dir", &scene.town.at(CITY)]);
    until("what the province froze is here", || !frozen().as_array().unwrap().is_empty());
    let columns = "name,zh,en,kind,choices,business,domain,required,basis\n";
    let rows = "vehicle,车型,Kind of vehicle,choice,小客车|大货车,投诉举报,D04,yes,x\nday,日期,Day,date,,,,,x\nload,载重,Load,number,,,,,x\n";
    scene.town.rule(CITY, "fields", &format!("{columns}{rows}"));
    let columns = "business,domain,topic,region,department,site,basis\n";
    scene.town.rule(CITY, "dispatch", &format!("{columns},,,,客运管理处,,x\n"));
    let kb = json(&["kb", "list", "--dir", &scene.town.at(CITY)]);
    let of = |own: bool| {
        let row = kb.as_array().unwrap().iter().find(|row| (row["owner"] == CITY) == own).unwrap();
        row["id"].as_str().unwrap().to_owned()
    };
    let (ours, theirs) = (of(true), of(false));
    let past = scene.town.path("calls.csv");
    std::fs::write(&past, "at,calls\n2026-11-03T09:15,25\n").unwrap();

    let outside = chromium.window(&scene.desk);
    outside.tall();
    for path in ["/sign-in", "/sign-in?lang=en", "/sign-in?said=out"] {
        looker.on(&outside, path);
    }
    outside.fill("name", "nobody");
    outside.fill("password", "nothing");
    outside.click("form button.main");
    outside.until("it is refused", || outside.script("return !!document.querySelector('.problem')") == true);
    looker.at(&outside, "sign-in refused");
    looker.on(&outside, "/nowhere");

    let lead = chromium.window(&scene.desk);
    lead.tall();
    lead.sign_in("lead", OWN);
    for tag in LANGUAGES {
        for queue in [
            "mine",
            "team",
            "held",
            "to-accept",
            "returned",
            "urged",
            "overdue",
            "follow-up",
            "confidential",
            "conflicts",
        ] {
            looker.on(&lead, &format!("/queue/{queue}"));
        }
        looker.on(&lead, "/queue/all?q=%E5%87%BA%E7%A7%9F%E8%BD%A6"); // 出租车
        looker.on(&lead, "/queue/all?q=a");
        looker.on(&lead, "/queue/all?business=%E6%8A%95%E8%AF%89%E4%B8%BE%E6%8A%A5&sort=oldest"); // 投诉举报

        // A call: what shows beside it; what is missing; the keys.
        lead.go("/new");
        lead.arrives("/new");
        lead.focused("caller_phone");
        lead.press("13800000008");
        lead.fill("text", "出租车回济南路上被要求加价，车在青岛打的");
        for part in ["similar", "earlier", "suggested"] {
            lead.until(part, || {
                lead.script(&format!("return !!document.querySelector('#{part} li')")) == true
            });
        }
        let asked = "return [!document.getElementById('x-vehicle').disabled, !document.getElementById('x-vehicle').closest('div').hidden]";
        assert_eq!(lead.script(asked), serde_json::json!([false, false]), "it is of another domain");
        lead.script("const domain = document.getElementById('domain'); domain.value = 'D04'; domain.dispatchEvent(new Event('change'))");
        assert_eq!(lead.script(asked), serde_json::json!([true, true]));
        looker.at(&lead, "a call");
        lead.click("button[value=drop]");
        lead.arrives("/new?said=dropped");
        looker.at(&lead, "a draft that was dropped");
        lead.script("document.getElementById('domain').value = 'D04'");
        lead.click("button[value=answer]");
        lead.until("what is missing", || {
            lead.script("return !!document.querySelector('#text-problem')") == true
        });
        looker.at(&lead, "a call without words");
        lead.script("document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '?', bubbles: true }))");
        lead.until("the keys", || lead.script("return document.getElementById('keys').open") == true);
        looker.at(&lead, "the keys");
        lead.click("#keys button");

        // A ticket with everything open; an action that lacks something; a confidential report; the caller.
        let open = "document.querySelectorAll('details').forEach(one => one.open = true)";
        lead.go(&ticket);
        lead.arrives(&ticket);
        lead.script(open);
        looker.at(&lead, "a ticket with everything open");
        lead.go(&format!("/ticket/{}", scene.confidential));
        lead.arrives("/ticket/");
        lead.script(open);
        looker.at(&lead, "a confidential report with everything open");
        lead.script("document.querySelector('#act-offer form').noValidate = true");
        lead.click("#act-offer button.main");
        lead.until("it lacks something", || {
            lead.script("return !!document.querySelector('.problem')") == true
        });
        lead.script(open);
        looker.at(&lead, "an action that lacks something");
        lead.go(&ticket);
        lead.arrives(&ticket);
        lead.fill("reveal", "回访");
        lead.click("form[action$='/reveal'] button");
        lead.says("13800000008");
        looker.at(&lead, "a caller who is shown");

        looker.on(&lead, "/calls");
        looker.on(&lead, "/knowledge");
        looker.on(&lead, "/knowledge?q=%E5%85%8D%E8%B4%B9"); // 免费
        looker.on(&lead, "/knowledge/new");
        lead.click("button.main");
        lead.until("what is missing", || lead.script("return !!document.querySelector('.problem')") == true);
        looker.at(&lead, "an article without a title");
        for article in [&ours, &theirs] {
            lead.go(&format!("/knowledge/{article}"));
            lead.arrives("/knowledge/");
            lead.script(open);
            looker.at(&lead, "an article with everything open");
        }
        looker.on(&lead, &format!("/knowledge/{ours}/edit"));
        looker.on(&lead, "/figures");
        looker.on(&lead, "/figures?by=domain");
        lead.script(open);
        looker.at(&lead, "figures with their meanings");
        looker.on(&lead, "/figures?by=weather");
        looker.on(&lead, "/figures/form");
        looker.on(&lead, "/scorecard");
        looker.on(&lead, "/scorecard?site=370000");
        looker.on(&lead, "/rules");
        looker.on(&lead, "/rules/time_limits");
        looker.on(&lead, "/plan?level=100");
        looker.on(&lead, "/plan");
        lead.script(open);
        lead.fill("file", text(&past));
        lead.click("button[value=page]");
        lead.says("calls.csv");
        lead.script(open);
        looker.at(&lead, "a plan with everything open");
        looker.on(&lead, "/figures/tickets?id=taken");
        looker.on(&lead, "/wall");
        looker.on(&lead, "/password");
        looker.on(&lead, "/accounts"); // not for a shift leader
        other_language(&lead, LANGUAGES[usize::from(tag == LANGUAGES[0])]);
    }

    for (name, pages) in [
        ("guanli", &["/accounts", "/figures"][..]),
        ("shenji", &["/audit", "/audit?reveals=true"]),
        ("duban", &["/rules", "/rules/redirects"]),
    ] {
        let window = chromium.window(&scene.desk);
        window.tall();
        window.go("/sign-in");
        window.fill("name", name);
        window.fill("password", OWN);
        window.click("form button.main");
        window.until("it is in", || !window.at().starts_with("/sign-in"));
        for tag in LANGUAGES {
            pages.iter().for_each(|page| looker.on(&window, page));
            if name == "guanli" {
                window.go("/accounts");
                window.fill("new-name", &format!("xin-{}", tag.len()));
                window.click("form.card button");
                window.until("the first password", || {
                    window.script("return !!document.querySelector('.password')") == true
                });
                window.script("document.querySelectorAll('details').forEach(one => one.open = true)");
                looker.at(&window, "a new account");
            }
            if name == "duban" {
                window.go("/rules/redirects");
                window.script("document.querySelector('details').open = true");
                looker.at(&window, "a rule's form");
                window.fill("rows", "12348,法律服务,法律,tell,x\n");
                window.fill("basis", "厅函1号");
                window.click("button[value=try]");
                window.until("what would change", || {
                    window.script("return !!document.querySelector('.compared')") == true
                });
                looker.at(&window, "what a rule would change");
            }
            other_language(&window, LANGUAGES[usize::from(tag == LANGUAGES[0])]);
        }
    }
    // At 400 % (WCAG 1.4.10) the screen has 320 pixels across.
    lead.telephone();
    for page in [
        "/queue/all",
        "/new",
        &ticket,
        "/knowledge",
        "/figures?by=domain",
        "/plan",
        "/wall",
        "/rules",
        "/rules/time_limits",
        "/password",
        "/calls",
    ] {
        lead.go(page);
        lead.arrives(page);
        looker.fits(&lead, &format!("{page} at 400 %"));
    }
    looker.found_nothing(70);
}

#[test]
fn a_provinces_chart_of_squares_has_none_either() {
    let (Some(axe), Some(chromium)) = (Axe::find(), Chromium::start()) else { return };
    let town = Town::new(&["370000"]);
    json(&["ticket", "new", "--text", "收费站排长队", "--dir", &town.at("370000")]);
    let (_node, desk) = town.desk("370000", &[]);
    town.staff("370000", &desk, "lead", "shift-leader");
    let window = chromium.window(&desk);
    window.tall();
    window.sign_in("lead", OWN);
    let mut looker = Looker { axe: &axe, pages: 0, wrong: Vec::new() };
    for tag in LANGUAGES {
        looker.on(&window, "/figures?tiles=ended");
        looker.on(&window, "/figures");
        let squares = "return document.querySelectorAll('.tiles rect').length";
        assert_eq!(window.script(squares), 17, "its cities, and itself");
        other_language(&window, LANGUAGES[usize::from(tag == LANGUAGES[0])]);
    }
    window.telephone();
    window.go("/figures");
    window.arrives("/figures");
    looker.fits(&window, "a chart of squares at 400 %");
    looker.found_nothing(4);
}

#[test]
fn no_public_page_has_one_on_a_telephone_either() {
    let (Some(axe), Some(chromium)) = (Axe::find(), Chromium::start()) else { return };
    let town = Town::new(&[CITY]);
    let public = format!("127.0.0.1:{}", tcp_port());
    let city = town.at(CITY);
    std::fs::write(
        town.path("kb.jsonl"),
        "{\"id\":\"G1\",\"title\":\"公交线路调整\",\"body\":\"自下月起\",\"audience\":\"public\"}\n",
    )
    .unwrap();
    json(&["kb", "import", &town.at("kb.jsonl"), "--user", "li", "--dir", &city]);
    json(&["kb", "review", "G1", "--user", "wang", "--dir", &city]);
    let published = json(&["kb", "publish", "G1", "--user", "wang", "--dir", &city]);
    let article = format!("/articles/{}", published["id"].as_str().unwrap());
    let _node = town.start(CITY, &["--public", &public, "--public-figures", "on"]);
    until("the public page is served", || TcpStream::connect(&public).is_ok());
    let window = chromium.window(&public);
    window.tall();
    let mut looker = Looker { axe: &axe, pages: 0, wrong: Vec::new() };
    for (turn, tag) in LANGUAGES.iter().cycle().take(4).enumerate() {
        if turn == 2 {
            window.telephone();
        }
        let lang = if *tag == "en" { "?lang=en" } else { "" };
        for page in ["/", "/request", "/query", "/articles", &article, "/figures", "/nowhere"] {
            looker.on(&window, &format!("{page}{lang}"));
        }
        let is =
            |selector: &str| window.script(&format!("return !!document.querySelector('{selector}')")) == true;

        // A form that lacks everything, then one that is filed.
        window.go(&format!("/request{lang}"));
        window.click("main form button");
        window.until("what is missing", || is("#text-problem"));
        looker.at(&window, "a form that lacks everything");
        window.click("#kind-complaint");
        window.fill("text", "出租车在东广场拒载");
        window.fill("name", "赵六甲");
        window.fill("phone", "13800000001");
        window.click("main form button");
        window.until("number and code", || is("dl.slip"));
        looker.at(&window, "filed");
        let slip =
            window.script("return [...document.querySelectorAll('dl.slip dd')].map(one => one.innerText)");

        // A query that says nothing, a wrong one, a right one.
        window.go(&format!("/query{lang}"));
        window.click("main form button");
        window.until("what is missing", || is("#code-problem"));
        looker.at(&window, "a query that lacks everything");
        window.go(&format!("/query{lang}"));
        window.fill("number", slip[0].as_str().unwrap());
        window.fill("code", "0000-0000");
        window.click("main form button");
        window.until("nothing was found", || is("[role=alert]"));
        looker.at(&window, "a query with a wrong code");
        window.go(&format!("/query{lang}"));
        window.fill("number", slip[0].as_str().unwrap());
        window.fill("code", slip[1].as_str().unwrap());
        window.click("main form button");
        window.until("how it stands", || is("dl.slip"));
        looker.at(&window, "how it stands");
        window.fill("words", "司机的车是白色的");
        window.click("form[action^='/add'] button");
        window.until("it is added", || is("section.card li"));
        looker.at(&window, "added");
        window.click("form[action^='/add'] button");
        window.until("there was nothing to add", || is("[role=alert]"));
        looker.at(&window, "nothing to add");
    }
    looker.found_nothing(56);
}
