//! The demo's articles: they come in as samples, and once all have them they are used, supplemented, changed and proposed.

use std::collections::BTreeMap;

use jiff::ToSpan;
use serde_json::{Value, json};

use super::{CITIES, Demo, failed};
use crate::china;
use crate::daemon::now_ms;
use crate::files::FileRequest;
use crate::hex::hex;
use crate::knowledge::request::KnowledgeRequest;
use crate::request::{Failure, Language, Request};

/// The sample articles.
const SAMPLES: &str = include_str!("../../../fixtures/kb.jsonl");

/// The ministry's article that a city adds something to, and the ministry changes afterwards.
const ORIGINAL: &str = "KB007";

/// The city's supplement to it.
const SUPPLEMENT: &str = "JN001";

/// What is attached to it.
const PLACES: &str = "历下区 经十路网点\n市中区 英雄山路网点\n槐荫区 西客站网点\n";

/// The city that writes.
const WRITER: &str = "370100";

/// The city that proposes an article of its own to its province.
const PROPOSER: &str = "370200";

/// Who writes, and who reviews.
const PEOPLE: [&str; 2] = ["编写", "审核"];

/// In how many days an article ends that has an end.
const ENDS: i64 = 14;

fn writer() -> Option<String> {
    Some(PEOPLE[0].to_owned())
}

fn reviewer() -> Option<String> {
    Some(PEOPLE[1].to_owned())
}

fn show(id: &str) -> KnowledgeRequest {
    KnowledgeRequest::Show { id: id.to_owned(), version: None, language: Language::Zh, user: None }
}

impl Demo {
    /// Gives every sample article to the node of its tier that it is of, or by turns to one of that tier, and has it
    /// reviewed and published there. One that has an end has it in two weeks.
    pub async fn load_articles(&self) -> Result<usize, Failure> {
        let mut by_node: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        let mut count = 0;
        let end = china::today(now_ms()).saturating_add(ENDS.days());
        for line in SAMPLES.lines() {
            let mut article: Value =
                serde_json::from_str(line).map_err(|e| failed("a sample article cannot be read", e))?;
            let tier: &[&str] = match article["level"].as_str() {
                Some("ministry") => &["000000"],
                Some("province") => &["370000", "510000"],
                _ => &["370100", "370200", "510100", "510700"],
            };
            let of = article["region_code"].as_str().unwrap_or_default();
            let node = tier.iter().find(|n| **n == of).unwrap_or(&tier[count % tier.len()]);
            article["region_code"] = (*node).into();
            if article["valid_to"] != "" {
                article["valid_to"] = end.to_string().into();
            }
            by_node.entry(node).or_default().push(article);
            count += 1;
        }
        for (node, articles) in by_node {
            let import = KnowledgeRequest::Import { articles, reviewer: reviewer(), user: writer() };
            self.of_articles(node, import).await?;
        }
        Ok(count)
    }

    async fn of_articles(&self, node: &str, request: KnowledgeRequest) -> Result<Value, Failure> {
        self.ask(node, Request::Knowledge(request)).await
    }

    /// Whether [`Demo::read_articles`] was begun.
    pub(super) async fn articles_are_read(&self) -> bool {
        self.of_articles(WRITER, show(SUPPLEMENT)).await.is_ok()
    }

    /// What becomes of articles once all have them: a city adds something to one of the ministry's, which the ministry then changes;
    /// another proposes one of its own to its province; a draft waits for a second person; agents say which articles helped.
    pub(super) async fn read_articles(&self) -> Result<(), Failure> {
        self.supplement().await?;
        let own = KnowledgeRequest::List { queue: "published".to_owned(), mine: true, limit: 1 };
        let own = self.of_articles(PROPOSER, own).await?;
        if let Some(id) = own[0]["id"].as_str() {
            let reason = Some("全省适用(示例)".to_owned());
            let propose = KnowledgeRequest::Propose { id: id.to_owned(), reason, user: writer() };
            self.of_articles(PROPOSER, propose).await?;
        }
        let draft = json!({
            "id": "JN002", "title": "春运期间客运站延时服务(示例)", "tags": ["春运", "客运站"], "field": "客运站场",
            "body": "春运期间长途汽车站售票与候车延长至末班车发车后半小时；具体以当日公告为准。", "audience": "public",
        });
        let new = KnowledgeRequest::New { article: draft, supplements: None, user: writer() };
        self.of_articles(WRITER, new).await?;
        for (place, (city, _)) in CITIES.iter().enumerate() {
            self.use_articles(place, city).await?;
        }
        Ok(())
    }

    /// Some of what a city has is used more often than the rest, and some does not help.
    async fn use_articles(&self, place: usize, city: &str) -> Result<(), Failure> {
        let list = KnowledgeRequest::List { queue: "published".to_owned(), mine: false, limit: 100 };
        let articles = self.of_articles(city, list).await?;
        for (at, article) in articles.as_array().into_iter().flatten().enumerate() {
            let (version, user) = (None, reviewer());
            let Some(id) = article["id"].as_str().map(str::to_owned) else { continue };
            for _ in 0..(at * 5 + place * 3) % 7 {
                let (id, user) = (id.clone(), user.clone());
                self.of_articles(city, KnowledgeRequest::Used { id, version, user }).await?;
            }
            if (at + place).is_multiple_of(4) {
                self.of_articles(city, KnowledgeRequest::Unhelpful { id, version, user }).await?;
            }
        }
        Ok(())
    }

    async fn supplement(&self) -> Result<(), Failure> {
        let text = json!({
            "id": SUPPLEMENT, "title": "ETC扣费异议：本市受理点(示例)", "tags": ["ETC", "扣费"], "field": "收费与ETC",
            "body": "本市ETC服务网点可当场打印通行明细；对扣费有异议的，凭明细登记，三个工作日内答复。", "audience": "public",
        });
        let made =
            KnowledgeRequest::New { article: text, supplements: Some(ORIGINAL.to_owned()), user: writer() };
        self.of_articles(WRITER, made).await?;
        self.attach(WRITER, SUPPLEMENT, "受理点一览.txt", PLACES).await?;
        self.put_in_force(WRITER, SUPPLEMENT).await?;
        let shown = self.of_articles("000000", show(ORIGINAL)).await?;
        let body = shown["text"]["body"].as_str().unwrap_or_default();
        let article = json!({ "body": format!("{body}\n来电人提供车牌和通行时间即可登记，无须先到网点。") });
        let revise = KnowledgeRequest::Revise { id: ORIGINAL.to_owned(), article, user: writer() };
        self.of_articles("000000", revise).await?;
        self.put_in_force("000000", ORIGINAL).await
    }

    /// Attaches a small file to an article, which makes its next version.
    async fn attach(&self, node: &str, id: &str, name: &str, content: &str) -> Result<(), Failure> {
        let file = |file| KnowledgeRequest::File { file };
        let begin = FileRequest::Attach {
            id: id.to_owned(),
            name: name.to_owned(),
            size: content.len() as u64,
            digest: blake3::hash(content.as_bytes()).to_hex().to_string(),
            media: Some("text/plain".to_owned()),
            user: writer(),
        };
        let upload = self.of_articles(node, file(begin)).await?["upload"].as_u64().unwrap_or_default();
        let part = FileRequest::AttachPart { upload, at: 0, hex: hex(content.as_bytes()) };
        self.of_articles(node, file(part)).await?;
        self.of_articles(node, file(FileRequest::AttachEnd { upload })).await.map(drop)
    }

    /// A second person reads a draft, and it comes into force.
    async fn put_in_force(&self, node: &str, id: &str) -> Result<(), Failure> {
        let review = KnowledgeRequest::Review { id: id.to_owned(), reason: None, user: reviewer() };
        self.of_articles(node, review).await?;
        let publish = KnowledgeRequest::Publish { id: id.to_owned(), user: writer() };
        self.of_articles(node, publish).await.map(drop)
    }
}
