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

/// The pictures of the desk and of the public page; manuals name these and no others of that folder.
const PICTURES: [&str; 8] = [
    "queue.png",
    "call.png",
    "ticket.png",
    "wall.png",
    "figures.png",
    "knowledge.png",
    "article.png",
    "public.png",
];

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
