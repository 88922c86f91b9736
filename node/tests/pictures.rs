//! The pictures of the manuals, of the sample calls, in a real browser:
//!
//! ```text
//! HOTLINE_PICTURES=docs/pictures cargo test -p node --test pictures
//! ```
//!
//! Without a directory they are taken all the same, and looked at: each page shows what its picture is there for, and none
//! is too large for a manual.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::path::Path;

use harness::browser::OWN;
use harness::chromium::Chromium;
use harness::scene::Scene;
use harness::text;

/// The pictures of the desk and of the public page; manuals name these and no others of that folder.
const PICTURES: [&str; 9] = [
    "queue.png",
    "call.png",
    "ticket.png",
    "wall.png",
    "figures.png",
    "plan.png",
    "knowledge.png",
    "article.png",
    "public.png",
];

/// Four weeks of a middling city: twice as many calls on a working day as on others.
fn calls() -> String {
    const HOURS: [u32; 24] =
        [2, 1, 1, 1, 2, 4, 8, 18, 34, 41, 38, 30, 22, 28, 36, 39, 37, 29, 20, 16, 14, 10, 7, 4];
    let mut lines = "at,calls\n".to_owned();
    for day in 2..=29 {
        for (hour, calls) in HOURS.iter().enumerate() {
            let calls = if day % 7 < 2 { calls / 2 } else { *calls };
            for minute in [0, 15, 30, 45] {
                lines += &format!("2026-11-{day:02}T{hour:02}:{minute:02},{calls}\n");
            }
        }
    }
    lines
}

#[test]
fn the_main_pages_of_a_working_day() {
    let Some(chromium) = Chromium::start() else { return };
    let scene = Scene::new();
    let lead = chromium.window(&scene.desk);
    lead.sign_in("lead", OWN);
    let mut taken = Vec::new();
    let mut picture = |window: &harness::chromium::Window<'_>, name: &'static str, words: &[&str]| {
        words.iter().for_each(|words| window.says(words));
        window.script("document.activeElement.blur(); scrollTo(0, 0)");
        window.picture(name);
        taken.push(name);
    };
    lead.go("/queue/open");
    lead.arrives("/queue/open");
    picture(&lead, "queue.png", &["加价", "紧急"]);

    lead.go("/new");
    lead.arrives("/new");
    lead.focused("caller_phone");
    lead.press("13800000008");
    lead.fill("text", "车是在青岛打的，回济南路上司机要求加价，算不算省内跨市投诉");
    for part in ["similar", "earlier", "suggested"] {
        lead.until(part, || lead.script(&format!("return !!document.querySelector('#{part} li')")) == true);
    }
    picture(&lead, "call.png", &["相同", "省内跨市投诉的承办规则"]);

    lead.screen((1200, 980), false); // so that the trail is in sight
    lead.go(&format!("/ticket/{}", scene.ticket));
    lead.arrives("/ticket/");
    picture(&lead, "ticket.png", &["收回", "流转轨迹"]);

    lead.screen((1200, 600), false);
    lead.go("/wall");
    lead.arrives("/wall");
    picture(&lead, "wall.png", &["线路正常"]);

    lead.go("/figures?by=domain");
    lead.arrives("/figures");
    picture(&lead, "figures.png", &["受理量"]);

    lead.screen((1200, 980), false);
    let past = scene.town.path("calls.csv");
    std::fs::write(&past, calls()).unwrap();
    lead.go("/plan?from=2026-09-28");
    lead.arrives("/plan");
    lead.script("document.querySelector('main details').open = true");
    lead.fill("file", text(&past));
    lead.click("button[value=page]");
    picture(&lead, "plan.png", &["calls.csv", "国庆节"]);
    lead.screen((1200, 600), false);

    lead.go("/knowledge");
    lead.arrives("/knowledge");
    picture(&lead, "knowledge.png", &["省内跨市投诉的承办规则"]);
    lead.click("a[data-row]");
    lead.arrives("/knowledge/");
    picture(&lead, "article.png", &["版本"]);

    let citizen = chromium.window(&scene.public);
    citizen.telephone();
    citizen.go("/");
    citizen.arrives("/");
    picture(&citizen, "public.png", &["提交诉求"]);

    assert_eq!(taken, PICTURES);
}

#[test]
fn manuals_show_pictures_that_are_there_and_all_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let manuals = [
        read("README.md"),
        read("README.zh-CN.md"),
        read("docs/desk.md"),
        read("docs/public.md"),
        read("docs/figures.md"),
        read("docs/plan.md"),
    ];
    for name in PICTURES {
        assert!(root.join("docs/pictures").join(name).is_file(), "docs/pictures/{name} is not there");
        assert!(
            manuals.iter().any(|manual| manual.contains(&format!("pictures/{name})"))),
            "no manual shows {name}"
        );
    }
    for manual in &manuals {
        for rest in manual.split("pictures/").skip(1) {
            let name = rest.split([')', ' ', '`']).next().unwrap();
            assert!(!name.ends_with(".png") || PICTURES.contains(&name), "{name} is no picture that is made");
        }
    }
}
