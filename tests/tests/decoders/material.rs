//! Honest bytes of every kind, made by the program's own parts: what mutations begin with.

use std::path::Path;
use std::sync::Arc;

use certs::{
    Authority, Enrolment, Identity, NodeKeys, NodeName, NodeRecord, Reason, Response, SecretKey, Subject,
    UnixTime,
};
use node::engine::{Engine, Options};
use node::request::{Act, Request};
use serde_json::json;
use sync::id::DocId;
use sync::item::Kind;
use sync::seal::Seal;
use sync::store::sqlite::Sqlite;
use sync::store::{Position, Store};

/// Some day in 2027.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// Everything that one city's directory and its authorities have to show.
pub(crate) struct Material {
    pub(crate) identity: Arc<Identity>,
    pub(crate) city: NodeName,
    pub(crate) doc: DocId,
    /// The ticket's changes, parents first.
    pub(crate) changes: Vec<Vec<u8>>,
    pub(crate) grants: Vec<Vec<u8>>,
    pub(crate) record: Vec<u8>,
    pub(crate) lists: Vec<Vec<u8>>,
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) seals: Vec<Seal>,
    /// Request, response and root as they travel on a stick.
    pub(crate) request: String,
    pub(crate) response: String,
    pub(crate) root: String,
    pub(crate) requests: Vec<Vec<u8>>,
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a node's name")
}

pub(crate) fn open(dir: &Path) -> Engine {
    Engine::open(dir, &Options { seed: [7; 32] }).expect("a directory that opens")
}

pub(crate) fn make() -> Material {
    let mut root = Authority::root(SecretKey::from_seed(&[1; 32], "root"), NOW).expect("a root");
    let key = SecretKey::from_seed(&[2; 32], "province");
    let mut p37 = root.issue_province("370000".parse().expect("a site"), key, NOW).expect("a province");
    let city = name("370100");
    let mut identity =
        Identity::create(&mut p37, city, NodeKeys::from_seed(&[3; 32]), NOW, 90).expect("an identity");
    let begun = Enrolment::begin(name("370200"), NodeKeys::from_seed(&[4; 32]));
    let request = begun.request().to_pem();
    let response = p37.answer(begun.request(), &[], NOW, 90).expect("a response").to_pem();
    let mut lists = Vec::new();
    for counts in [vec![], vec![[5; 32]], vec![[5; 32], [6; 32]]] {
        let list = p37.revoke(Subject::Node(name("370200")), &counts, Reason::KeyCompromise, NOW);
        lists.push(list.expect("a list").bytes().to_vec());
    }
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("node");
    Engine::init(&data, &mut identity).expect("a data directory");

    let ticket = json!({ "text": "出租车拒载,司机说不去。", "type": "投诉举报", "caller_phone": "13800000001",
        "caller_name": "王芳", "plate": "鲁A12345", "region_code": "370100" });
    let mut asked = vec![Request::New { tickets: vec![ticket], user: Some("王芳".to_owned()) }];
    let mut engine = open(&data);
    let mut ask = |request: &Request| {
        engine.begin(NOW.secs() * 1000).expect("a transaction");
        let reply = engine.ask(request).expect("it is granted");
        engine.commit().expect("it is durable");
        reply
    };
    let id = ask(&asked[0])[0]["id"].as_str().expect("an id").to_owned();
    let act = |act: Act| Request::Act { id: id.clone(), act, user: None };
    let more = [
        Request::Note { id: id.clone(), text: "已联系".to_owned(), user: None },
        act(Act::Dispatch { department: "运管处".to_owned(), text: None }),
        act(Act::Offer { to: "370000".to_owned(), reason: "属地不符".to_owned() }),
        act(Act::Withdraw {}),
        act(Act::Close { result: "已处理".to_owned() }),
        Request::Show { id: id.clone(), reveal: None, user: None },
        Request::Search { text: "拒载".to_owned(), limit: 10 },
        Request::Status,
    ];
    for request in more {
        ask(&request);
        asked.push(request);
    }
    drop(engine);
    drop(open(&data)); // at its start a node seals what its earlier life left unsealed

    let doc: DocId = id.parse().expect("an id");
    let mut store = Sqlite::open(&data.join("node.db")).expect("a store");
    let of = |store: &mut Sqlite, kind: Kind| -> Vec<Vec<u8>> {
        let items = store.items_of(&doc).expect("items");
        items.into_iter().filter(|i| i.kind == kind).map(|i| i.bytes).collect()
    };
    let (changes, grants) = (of(&mut store, Kind::CHANGE), of(&mut store, Kind::GRANT));
    let mut seals = Vec::new();
    for (_, hash, _) in store.scan(Position(0), 100).expect("items") {
        if let Some(sealed) = store.item(&hash).expect("an item").and_then(|i| i.sealed) {
            seals.push(store.seal(&sealed.seal).expect("a store").expect("a seal").seal);
        }
    }
    Material {
        record: identity.record().bytes().to_vec(),
        chain: identity.chain().iter().map(|c| c.to_vec()).collect(),
        root: identity.root().to_pem(),
        requests: asked.iter().map(|r| serde_json::to_vec(r).expect("JSON")).collect(),
        identity: Arc::new(identity),
        city,
        doc,
        changes,
        grants,
        lists,
        seals,
        request,
        response,
    }
}

/// What a record says once it is verified: its node.
pub(crate) fn record_of(bytes: &[u8], root: &certs::Root) -> Option<NodeName> {
    NodeRecord::verify(bytes, root).ok().map(|r| r.node)
}

/// Whether a response can be read.
pub(crate) fn response_of(text: &str) -> Option<Response> {
    Response::from_pem(text).ok()
}
