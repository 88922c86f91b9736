//! Stories of the knowledge base, on real directories: whom an article reaches, and what becomes of it at three tiers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use node::files::FileRequest;
use node::knowledge::request::KnowledgeRequest as Ask;
use node::request::{Failure, FailureKind, Language, Request};
use serde_json::{Value, json};
use world::town::Town;

const ALL: [&str; 8] = ["000000", "370000", "510000", "370100", "370200", "510100", "510700", "370100-01"];

fn linked(nodes: &[&str]) -> Town {
    let mut town = Town::new(nodes);
    town.link_tree();
    town.settle();
    town
}

fn ask(town: &mut Town, node: &str, ask: Ask) -> Result<Value, Failure> {
    town.ask(node, Request::Knowledge(ask))
}

fn shown(town: &mut Town, node: &str, id: &str) -> Option<Value> {
    ask(town, node, Ask::Show { id: id.to_owned(), version: None, language: Language::En, user: None }).ok()
}

fn user(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn draft(town: &mut Town, node: &str, title: &str, body: &str, supplements: Option<&str>) -> String {
    let article = json!({ "title": title, "body": body });
    let new = Ask::New { article, supplements: supplements.map(str::to_owned), user: user("李") };
    ask(town, node, new).unwrap()["id"].as_str().unwrap().to_owned()
}

fn pass(town: &mut Town, node: &str, id: &str) {
    ask(town, node, Ask::Review { id: id.to_owned(), reason: None, user: user("张") }).unwrap();
    ask(town, node, Ask::Publish { id: id.to_owned(), user: user("张") }).unwrap();
}

fn published(town: &mut Town, node: &str, title: &str, body: &str) -> String {
    let id = draft(town, node, title, body, None);
    pass(town, node, &id);
    id
}

fn revised(town: &mut Town, node: &str, id: &str, body: &str) {
    let article = json!({ "body": body });
    ask(town, node, Ask::Revise { id: id.to_owned(), article, user: user("李") }).unwrap();
    pass(town, node, id);
}

fn holders(town: &mut Town, nodes: &[&'static str], id: &str) -> Vec<&'static str> {
    nodes.iter().copied().filter(|node| shown(town, node, id).is_some()).collect()
}

fn say(town: &mut Town, node: &str, id: &str, helped: bool) {
    let (id, version, user) = (id.to_owned(), None, user("李"));
    let said = if helped { Ask::Used { id, version, user } } else { Ask::Unhelpful { id, version, user } };
    ask(town, node, said).unwrap();
}

/// How often it helped and did not, as a node knows it.
fn said(town: &mut Town, node: &str, id: &str) -> (u64, u64) {
    let said = shown(town, node, id).unwrap()["use"].clone();
    (said["used"].as_u64().unwrap(), said["unhelpful"].as_u64().unwrap())
}

fn found(town: &mut Town, node: &str, text: &str) -> usize {
    let search = Ask::Search { text: text.to_owned(), limit: 9 };
    ask(town, node, search).unwrap().as_array().unwrap().len()
}

#[test]
fn the_same_words_within_a_second_are_one_article() {
    let mut town = linked(&["370100", "370200"]);
    let pressed = |town: &mut Town, node: &str| draft(town, node, "按了两次", "正文", None);
    let at = town.now;
    let first = pressed(&mut town, "370100");
    for _ in 0..2 {
        town.now = at;
        assert_eq!(pressed(&mut town, "370100"), first);
    }
    town.now = at;
    assert_ne!(pressed(&mut town, "370200"), first, "another site's is another");
    assert_ne!(pressed(&mut town, "370100"), first, "a second later it was meant");
    pass(&mut town, "370100", &first);
    assert_eq!(found(&mut town, "370100", "按了两次"), 1);
}

#[test]
fn the_ministrys_reach_everybody_a_provinces_its_cities_and_a_citys_its_offices() {
    let mut town = linked(&ALL);
    let nation = published(&mut town, "000000", "受理范围", "公路、水路、出租车");
    let province = published(&mut town, "370000", "省内免费通行", "七座以下小型客车");
    let city = published(&mut town, "370100", "本市停运公告", "三路公交停运");
    town.call("370100", "公交晚点");
    town.settle();
    town.assert_converged();
    assert_eq!(holders(&mut town, &ALL, &nation), ALL);
    assert_eq!(holders(&mut town, &ALL, &province), ["370000", "370100", "370200", "370100-01"]);
    // The province holds it too: it may be proposed to it.
    assert_eq!(holders(&mut town, &ALL, &city), ["370000", "370100", "370100-01"]);
    let states: Vec<Value> =
        ALL.iter().map(|node| shown(&mut town, node, &nation).unwrap()["state_hash"].clone()).collect();
    assert!(states.iter().all(|state| *state == states[0]));
    assert_eq!((found(&mut town, "370100-01", "免费"), found(&mut town, "510100", "免费")), (1, 0));
    for node in ALL {
        let before = found(&mut town, node, "受理");
        assert_eq!(before, 1, "{node}");
        let rebuilt = town.ask(node, Request::Rebuild).unwrap();
        assert_eq!(rebuilt["changed"], false, "{node}");
        assert_eq!(found(&mut town, node, "受理"), before, "{node}");
    }
}

#[test]
fn who_is_enrolled_later_gets_what_is_for_its_region() {
    let mut town = linked(&["000000", "370000", "510000", "370100"]);
    let nation = published(&mut town, "000000", "受理范围", "公路、水路");
    let province = published(&mut town, "370000", "省内免费通行", "七座以下");
    town.settle();
    town.now += 90 * 86_400_000;
    for (node, superior) in [("370200", "370000"), ("510100", "510000"), ("370100-02", "370100")] {
        town.join(node);
        town.link(superior, node);
        town.settle();
        assert!(shown(&mut town, node, &nation).is_some(), "{node}");
        assert_eq!(shown(&mut town, node, &province).is_some(), node.starts_with("37"), "{node}");
    }
    town.assert_converged();
}

#[test]
fn a_supplement_hangs_on_and_shows_when_the_original_has_changed_under_it() {
    let mut town = linked(&["000000", "370000", "370100"]);
    let original = published(&mut town, "370000", "免费通行", "七座以下小型客车");
    town.settle();
    let hung = draft(&mut town, "370100", "本市补充", "绕城高速除外", Some(&original));
    pass(&mut town, "370100", &hung);
    assert_eq!(shown(&mut town, "370100", &hung).unwrap()["supplements"]["changed"], false);
    let own = Ask::Revise { id: original.clone(), article: json!({ "body": "x" }), user: user("王") };
    assert!(ask(&mut town, "370100", own).unwrap_err().message.contains("only 370000"));
    town.cut("370100", "370000");
    revised(&mut town, "370000", &original, "七座以下小型客车\n含摩托车");
    let changed = |town: &mut Town| {
        let list = Ask::List { queue: "changed".to_owned(), mine: true, limit: 9 };
        ask(town, "370100", list).unwrap().as_array().unwrap().len()
    };
    assert_eq!(changed(&mut town), 0, "it has not heard yet");
    town.link("370100", "370000");
    town.settle();
    assert_eq!(changed(&mut town), 1);
    let seen = shown(&mut town, "370100", &hung).unwrap();
    assert_eq!((&seen["supplements"]["changed"], &seen["supplements"]["seen"]), (&json!(true), &json!(1)));
    let above = shown(&mut town, "370000", &original).unwrap();
    assert_eq!(above["supplemented_by"][0]["changed"], true);
    let compared = ask(&mut town, "370100", Ask::Diff { id: original.clone(), from: 1, to: 2 }).unwrap();
    let marks: Vec<&str> =
        compared["lines"].as_array().unwrap().iter().filter_map(|l| l["mark"].as_str()).collect();
    assert_eq!(marks, ["same", "added"]);
    // Whoever writes it anew has the new original before them.
    revised(&mut town, "370100", &hung, "绕城高速除外,摩托车亦同");
    assert_eq!(changed(&mut town), 0);
    town.settle();
    town.assert_converged();
}

#[test]
fn a_citys_proposal_is_adopted_by_its_province_and_goes_on_to_the_ministry() {
    let mut town = linked(&ALL);
    let city = published(&mut town, "370100", "绕路怎么办", "记下车牌");
    ask(&mut town, "370100", Ask::Propose { id: city.clone(), reason: None, user: user("李") }).unwrap();
    town.settle();
    let proposed = |town: &mut Town, node: &str| {
        ask(town, node, Ask::List { queue: "proposed".to_owned(), mine: false, limit: 9 }).unwrap()
    };
    assert_eq!(proposed(&mut town, "370000")[0]["id"], json!(city));
    assert!(ask(&mut town, "370200", Ask::Adopt { id: city.clone(), user: user("王") }).is_err());
    let adopted = ask(&mut town, "370000", Ask::Adopt { id: city.clone(), user: user("王") }).unwrap();
    let provinces = adopted["id"].as_str().unwrap().to_owned();
    pass(&mut town, "370000", &provinces);
    ask(&mut town, "370000", Ask::Propose { id: provinces.clone(), reason: None, user: user("王") }).unwrap();
    town.settle();
    assert_eq!(proposed(&mut town, "370000").as_array().unwrap().len(), 0);
    assert_eq!(shown(&mut town, "370100", &city).unwrap()["adopted"][0], json!(provinces));
    let below = shown(&mut town, "370200", &provinces).unwrap();
    assert_eq!((&below["adopts"], &below["standing"]), (&json!(city), &json!("published")));
    let adopted = ask(&mut town, "000000", Ask::Adopt { id: provinces, user: user("部") }).unwrap();
    let nation = adopted["id"].as_str().unwrap().to_owned();
    pass(&mut town, "000000", &nation);
    town.settle();
    assert_eq!(holders(&mut town, &ALL, &nation), ALL);
    assert!(shown(&mut town, "510100", &city).is_none(), "the city's own stays in its province");
    town.assert_converged();
}

#[test]
fn two_replicas_without_a_link_publish_and_withdraw_and_come_out_alike() {
    let mut town = linked(&["000000", "370000", "370000-b", "370100"]);
    let id = published(&mut town, "370000", "免费通行", "七座以下");
    town.settle();
    town.cut_all();
    revised(&mut town, "370000", &id, "九座以下");
    let reason = "政策已废止".to_owned();
    ask(&mut town, "370000-b", Ask::Withdraw { id: id.clone(), reason, user: user("王") }).unwrap();
    assert_eq!((found(&mut town, "370000", "九座"), found(&mut town, "370000-b", "七座")), (1, 0));
    town.link_tree();
    town.settle();
    town.assert_converged();
    for node in ["370000", "370000-b", "370100"] {
        let article = shown(&mut town, node, &id).unwrap();
        assert_eq!(article["standing"], "withdrawn", "{node}");
        assert_eq!(article["superseded"].as_array().unwrap().len(), 1, "{node}: {article:#}");
        assert_eq!(found(&mut town, node, "免费"), 0, "{node}");
    }
    ask(&mut town, "370000", Ask::Publish { id: id.clone(), user: user("张") }).unwrap();
    town.settle();
    let article = shown(&mut town, "370100", &id).unwrap();
    assert_eq!((&article["standing"], &article["in_force"]), (&json!("published"), &json!(2)));
    assert_eq!(article["as_written"], true);
}

#[test]
fn two_versions_written_at_once_keep_their_own_texts() {
    let mut town = linked(&["370000", "370000-b"]);
    let id = published(&mut town, "370000", "免费通行", "第一行\n第二行");
    town.settle();
    town.cut_all();
    for (node, body) in [("370000", "第一行改\n第二行"), ("370000-b", "第一行\n第二行改")] {
        let article = json!({ "body": body });
        ask(&mut town, node, Ask::Revise { id: id.clone(), article, user: user("李") }).unwrap();
    }
    town.link_tree();
    town.settle();
    for node in ["370000", "370000-b"] {
        let article = shown(&mut town, node, &id).unwrap();
        let numbers: Vec<u64> =
            article["versions"].as_array().unwrap().iter().filter_map(|v| v["number"].as_u64()).collect();
        assert_eq!(numbers, [1, 2, 2], "{node}");
        assert_eq!(article["text"]["body"], "第一行\n第二行", "readers keep what is in force");
    }
    pass(&mut town, "370000", &id);
    town.settle();
    for node in ["370000", "370000-b"] {
        let article = shown(&mut town, node, &id).unwrap();
        let body = article["text"]["body"].as_str().unwrap();
        assert!(["第一行改\n第二行", "第一行\n第二行改"].contains(&body), "{node}: {body}");
        assert_eq!(article["as_written"], true, "{node}: the text is the one that its writer named");
    }
    town.assert_converged();
}

#[test]
fn what_agents_say_of_an_article_reaches_its_owner_adds_up_and_counts_once() {
    const NODES: [&str; 6] = ["000000", "370000", "370100", "370100-b", "370100-01", "370200"];
    let mut town = linked(&NODES);
    let nation = published(&mut town, "000000", "受理范围", "公路、水路");
    town.settle();
    town.quiet();
    town.cut_all();
    let clicks = [
        ("370100", 2, 1),
        ("370100-b", 3, 0),
        ("370100-01", 0, 1),
        ("370200", 5, 0),
        ("370000", 1, 0),
        ("000000", 1, 0),
    ];
    for (node, used, unhelpful) in clicks {
        (0..used).for_each(|_| say(&mut town, node, &nation, true));
        (0..unhelpful).for_each(|_| say(&mut town, node, &nation, false));
        assert_eq!(said(&mut town, node, &nation), (used, unhelpful), "{node}: at once, where it was said");
    }
    let before = town.backup("370100");
    town.restart("370100");
    town.night();
    town.night();
    say(&mut town, "370100", &nation, true); // nobody else hears of it before the night
    town.link_tree();
    town.settle();
    let sums = |town: &mut Town| NODES.map(|node| said(town, node, &nation));
    // The ministry, the province, both replicas of the city, its office, another city.
    let told = [(12, 2), (11, 2), (6, 2), (5, 2), (0, 1), (5, 0)];
    assert_eq!(sums(&mut town), told);
    let sites = shown(&mut town, "000000", &nation).unwrap()["use"]["sites"].clone();
    assert_eq!(sites[2], json!({ "site": "370100", "used": 5, "unhelpful": 1 }));
    assert_eq!(sites.as_array().unwrap().len(), 5, "{sites}");
    for node in NODES {
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
    }
    assert_eq!(sums(&mut town), told, "a rebuild keeps what only a table has");

    // An earlier disk knows nothing of its telling, and tells the same once more; what it says from now on adds to it.
    town.restore("370100", &before);
    say(&mut town, "370100", &nation, true);
    town.night();
    town.link_tree();
    town.settle();
    town.night();
    assert_eq!(sums(&mut town), [(13, 2), (12, 2), (6, 2), (6, 2), (0, 1), (5, 0)]);
    town.assert_converged();

    let unhelpful = |town: &mut Town, node: &str| {
        let list = Ask::List { queue: "unhelpful".to_owned(), mine: false, limit: 9 };
        ask(town, node, list).unwrap()[0]["unhelpful"].as_u64()
    };
    let all = NODES.map(|node| unhelpful(&mut town, node));
    assert_eq!(all, [Some(2), Some(2), Some(2), Some(2), Some(1), None]);
    revised(&mut town, "000000", &nation, "公路、水路、城市客运");
    assert_eq!(unhelpful(&mut town, "000000"), None, "of the version in force nobody said so");
    town.now += 30 * 86_400_000;
    assert_eq!(said(&mut town, "000000", &nation), (0, 0), "and nothing of these days");
}

/// Makes a version with a file: its row.
fn attach(town: &mut Town, node: &str, id: &str, name: &str, bytes: &[u8]) -> Result<Value, Failure> {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (digest, size) = (blake3::hash(bytes).to_string(), bytes.len() as u64);
    let (id, name, user) = (id.to_owned(), name.to_owned(), user("李"));
    let begin = FileRequest::Attach { id, name, size, digest, media: None, user };
    let begun = ask(town, node, Ask::File { file: begin })?;
    let upload = begun["upload"].as_u64().unwrap();
    for (n, part) in bytes.chunks(200_000).enumerate() {
        let file = FileRequest::AttachPart { upload, at: n as u64 * 200_000, hex: hex(part) };
        ask(town, node, Ask::File { file })?;
    }
    ask(town, node, Ask::File { file: FileRequest::AttachEnd { upload } })
}

fn fetched(town: &mut Town, node: &str, id: &str, name: &str) -> Result<Vec<u8>, Failure> {
    let fetch = FileRequest::Fetch { id: id.to_owned(), name: name.to_owned(), reveal: None, user: None };
    let download = ask(town, node, Ask::File { file: fetch })?["download"].as_u64().unwrap();
    let (mut bytes, mut at) = (Vec::new(), 0);
    loop {
        let part = ask(town, node, Ask::File { file: FileRequest::FetchPart { download, at } })?;
        let hex = part["hex"].as_str().unwrap();
        bytes.extend((0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()));
        at = part["at"].as_u64().unwrap();
        if part["end"] == true {
            return Ok(bytes);
        }
    }
}

#[test]
fn files_of_an_article_reach_whoever_has_it_and_are_reviewed_with_their_version() {
    let below = ["370000", "370100", "370100-01"];
    let mut town = linked(&["000000", "370000", "370100", "370100-01"]);
    let form: Vec<u8> = (0..300_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let id = draft(&mut town, "370000", "大件运输许可", "填表", None);
    assert_eq!(attach(&mut town, "370000", &id, "申请表.pdf", &form).unwrap()["version"], 2);
    pass(&mut town, "370000", &id);
    // The same file in a second article has contents of its own.
    let second = draft(&mut town, "370000", "超限运输", "同一张表", None);
    attach(&mut town, "370000", &second, "申请表.pdf", &form).unwrap();
    pass(&mut town, "370000", &second);
    town.settle();
    for node in below {
        for id in [&id, &second] {
            assert_eq!(fetched(&mut town, node, id, "申请表.pdf").unwrap(), form, "{node}");
        }
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
        assert_eq!(shown(&mut town, node, &id).unwrap()["files"][0]["state"], "here", "{node}");
    }
    let refused = attach(&mut town, "370100", &id, "x.pdf", b"x").unwrap_err();
    assert!(refused.message.contains("only 370000"), "{refused:?}");

    // Whoever is cut off keeps what is in force; a draft's file shows nowhere before it is.
    let old = shown(&mut town, "370000", &id).unwrap()["files"][0]["content"].as_str().unwrap().to_owned();
    attach(&mut town, "370000", &id, "申请表.pdf", b"%PDF-1.4 new").unwrap();
    town.settle();
    assert_eq!(fetched(&mut town, "370100", &id, "申请表.pdf").unwrap(), form);
    town.cut("370100", "370000");
    revised(&mut town, "370000", &id, "填新表");
    assert_eq!(fetched(&mut town, "370000", &id, "申请表.pdf").unwrap(), b"%PDF-1.4 new");
    assert_eq!(fetched(&mut town, "370000", &id, &old).unwrap(), form, "the earlier version has its own");
    assert_eq!(fetched(&mut town, "370100-01", &id, "申请表.pdf").unwrap(), form);
    town.link("370100", "370000");
    town.settle();
    let detach = Ask::Detach { id: id.clone(), name: "申请表.pdf".to_owned(), user: user("李") };
    ask(&mut town, "370000", detach).unwrap();
    assert_eq!(fetched(&mut town, "370100-01", &id, "申请表.pdf").unwrap(), b"%PDF-1.4 new");
    pass(&mut town, "370000", &id);
    town.settle();
    for node in below {
        assert_eq!(shown(&mut town, node, &id).unwrap()["files"], json!([]), "{node}");
        let none = fetched(&mut town, node, &id, "申请表.pdf").unwrap_err();
        assert_eq!(none.kind, FailureKind::Failed, "{none:?}");
    }
    town.assert_converged();
}
