//! The desk in a real browser: the commonest flows by keyboard, two agents at once, two desks with a cut link between them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use harness::browser::OWN;
use harness::chromium::{Chromium, ENTER, ESCAPE, TAB};
use harness::{Town, json, tcp_port, text};

#[test]
fn the_commonest_calls_need_no_mouse() {
    let Some(chromium) = Chromium::start() else { return };
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    town.staff("370100", &desk, "li", "agent");
    let city = town.at("370100");
    json(&["ticket", "new", "--text", "出租车在火车站拒载", "--phone", "13800000001", "--dir", &city]);
    let li = chromium.window(&desk);
    li.sign_in("li", OWN);
    assert!(li.text().contains("出租车在火车站拒载"));

    // A call: number, what is said; the earlier ticket of this caller and what may be the same show beside it.
    li.press("n");
    li.arrives("/new");
    li.focused("caller_phone");
    li.press("13800000001");
    li.tab_to("text");
    li.press("我在火车站被出租车拒载了,昨天也打过电话");
    li.until("what may be the same", || {
        li.script("return document.querySelector('#similar').innerText").to_string().contains("拒载")
    });
    li.until("the caller's earlier tickets", || {
        li.script("return document.querySelector('#earlier').innerText").to_string().contains("拒载")
    });
    // While an input method composes, and in a field, a key is a letter.
    let composed = "document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', \
                    { key: 't', isComposing: true, bubbles: true })); return location.pathname";
    assert_eq!(li.script(composed), "/new");
    li.press("t");
    li.arrives("/ticket/");
    assert!(li.text().contains("我在火车站被出租车拒载了"));
    assert!(li.script("return localStorage.length").as_i64() == Some(0), "the draft is gone with the ticket");

    // A reload takes no draft away.
    li.press("n");
    li.arrives("/new");
    li.focused("caller_phone");
    li.tab_to("text");
    li.press("公交车几点末班");
    li.go("/new");
    assert_eq!(li.script("return document.getElementById('text').value"), "公交车几点末班");
    // Answered at once.
    li.tab_to("answer");
    li.press("末班车是二十二点");
    li.press(ESCAPE);
    li.press("s");
    li.until("the answer", || li.at().starts_with("/ticket/") && li.text().contains("末班车是二十二点"));

    // The queue: down, open; the list of keys.
    li.press("q");
    li.arrives("/queue");
    li.press("j");
    li.press(ENTER);
    li.arrives("/ticket/");
    li.press("?");
    li.until("the keys", || li.script("return document.getElementById('keys').open") == true);
    li.press(ESCAPE);
    assert_eq!(json(&["ticket", "list", "--dir", &city]).as_array().unwrap().len(), 3);
    assert!(li.asked_elsewhere().is_empty(), "{:?}", li.asked_elsewhere());
}

#[test]
fn two_agents_at_one_ticket_see_each_other_and_lose_no_word() {
    let Some(chromium) = Chromium::start() else { return };
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let made = json(&["ticket", "new", "--text", "公交晚点", "--dir", &town.at("370100")]);
    let page = format!("/ticket/{}", made["id"].as_str().unwrap());
    let windows = ["li", "wang"].map(|name| {
        town.staff("370100", &desk, name, "agent");
        let window = chromium.window(&desk);
        window.sign_in(name, OWN);
        window.go(&page);
        window
    });
    let [li, wang] = &windows;
    li.says("同时打开此工单的还有");
    li.says("wang");
    // Wang writes a note while li has begun one: li is told, and what li typed stays.
    li.fill("note", "我正在写");
    wang.press("m");
    wang.press("公交公司已回电");
    wang.press(&format!("{TAB}{ENTER}"));
    wang.until("the note", || wang.text().contains("公交公司已回电"));
    li.says("公交公司已回电");
    assert_eq!(li.script("return document.getElementById('note').value"), "我正在写");
}

#[test]
fn a_week_is_planned_from_a_file_and_fits_a_telephone() {
    let Some(chromium) = Chromium::start() else { return };
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    town.staff("370100", &desk, "ban", "shift-leader");
    let calls = town.path("calls.csv");
    std::fs::write(&calls, "at,calls\n2026-11-03T09:15,250\n2026-11-03T14:00,40\n").unwrap();
    let ban = chromium.window(&desk);
    ban.sign_in("ban", OWN);
    ban.press("h");
    ban.arrives("/figures");
    ban.press("p");
    ban.arrives("/plan");
    ban.says("没有历史来电");
    ban.script("document.querySelector('main details').open = true; document.getElementById('file-from').value = '2026-12-01'; \
                document.getElementById('file-handling').value = '120'");
    ban.fill("file", text(&calls));
    ban.click("button[value=page]");
    ban.says("calls.csv: 1 天历史来电");
    let cells = "return [...document.querySelectorAll('tbody tr:first-child td')].slice(1, 4).map(one => one.innerText)";
    assert_eq!(ban.script(cells), serde_json::json!(["290", "09:15", "42"]));
    let drawn = "return [...document.querySelectorAll('svg.chart')].map(one => one.getBoundingClientRect().width > 900)";
    assert_eq!(ban.script(drawn), serde_json::json!([true, true, true]));
    ban.telephone();
    let sideways = "const page = document.documentElement; return page.scrollWidth - page.clientWidth";
    assert_eq!(ban.script(sideways), 0);
    ban.click("form[action='/language'] button");
    ban.says("Seats and trunks");
    assert!(ban.asked_elsewhere().is_empty(), "{:?}", ban.asked_elsewhere());
}

#[test]
fn a_ticket_goes_from_desk_to_desk_over_a_link_that_was_cut_meanwhile() {
    let Some(chromium) = Chromium::start() else { return };
    let town = Town::new(&["370100", "370000"]);
    let [x, y] = [(); 2].map(|()| format!("127.0.0.1:{}", harness::port()));
    let [here, there] = [(); 2].map(|()| format!("127.0.0.1:{}", tcp_port()));
    let city = ["--listen", &x, "--peer", &format!("370000={y}"), "--desk", &here];
    let province = ["--listen", &y, "--peer", &format!("370100={x}"), "--desk", &there];
    let _city = town.start("370100", &city);
    let over = town.start("370000", &province);
    town.proved("370100");
    town.staff("370100", &here, "li", "shift-leader");
    town.staff("370000", &there, "zhao", "shift-leader");
    let (li, zhao) = (chromium.window(&here), chromium.window(&there));
    li.sign_in("li", OWN);
    zhao.sign_in("zhao", OWN);
    zhao.go("/queue/to-accept");

    // The province's machine is gone: a call is taken and handed up, and the page says whom it has not reached.
    drop(over);
    li.press("n");
    li.arrives("/new");
    li.focused("caller_phone");
    li.tab_to("text");
    li.press("跨省货车被扣,当地不受理");
    li.press(ESCAPE);
    li.press("t");
    li.arrives("/ticket/");
    let number = li.script("return document.querySelector('h1 .number').innerText");
    li.press("o");
    li.press("370000");
    li.press(TAB);
    li.press("跨省事项,需要省级协调");
    li.press(TAB);
    li.press(ENTER);
    li.until("the offer", || {
        li.script("return document.getElementById('standing').innerText").to_string().contains("等待")
    });
    let copies = "return document.getElementById('copies').innerText";
    assert!(li.script(copies).to_string().contains("尚缺变更"), "{}", li.script(copies));

    // Somebody answers in its place that there is no answer, as a node does that is too busy: a browser gives up then.
    let busy = TcpListener::bind(&there).unwrap();
    loop {
        let (mut stream, _) = busy.accept().unwrap();
        let mut asked = String::new();
        BufReader::new(&stream).read_line(&mut asked).unwrap();
        write!(stream, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        if asked.starts_with("GET /events") {
            break;
        }
    }
    drop(busy);

    // It is back: its page, which nobody touched, shows by itself what waits, and is opened and accepted by keys.
    let _over = town.start("370000", &province);
    let number = number.as_str().unwrap();
    harness::until("the province has it", || {
        json(&["ticket", "list", "--dir", &town.at("370000")]).to_string().contains(number)
    });
    zhao.says(number);
    zhao.press("j");
    zhao.press(ENTER);
    zhao.arrives("/ticket/");
    zhao.press("a");
    zhao.press(ENTER);
    let holder = "return document.querySelector('#standing strong').innerText";
    zhao.until("it is accepted", || zhao.script(holder).to_string().contains("370000"));
    // And the first desk's page tells who holds it now, and that its copy has all of it.
    li.until("the first desk hears of it", || li.script(holder).to_string().contains("370000"));
    town.proved("370100");
    li.until("the copies", || !li.script(copies).to_string().contains("尚缺变更"));
}
