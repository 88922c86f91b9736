//! Adding to a request that is filed: words, photographs, recordings, by whoever has its number and code.
//!
//! ```text
//! number, code ──> wrong: as a query says it ──> right ──> words: a note, or sealed as a file of a confidential report
//!                                                     └──> each file: taken when all of it has come
//! ```
//!
//! A file is asked for when the request is safe already, so nothing typed depends on a long upload. What a citizen calls a
//! file stays with the citizen: it would be read by everybody who has the ticket. Its name here is made of its content, and so
//! whatever is sent twice is there once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::App;
use super::file::{USER, broken};
use super::guard::{self, From};
use super::query;
use super::shell::{self, Shell, Tongue};
use crate::desk::comes_from_elsewhere;
use crate::files::{FileRequest, Sent, sniff};
use crate::hex::hex;
use crate::import::mask_phones;
use crate::request::{Failure, FailureKind, Request};
use crate::ticket::number::TicketNumber;

/// Where it is sent to.
pub(super) const PATH: &str = "/add";

/// The largest file: what a telephone's camera makes of a picture, and a minute or two of a film.
const MAX_FILE: usize = 16 << 20;

/// Most files that are sent together.
const TOGETHER: usize = 5;

/// The largest form with files.
pub(super) const MAX_BODY: usize = TOGETHER * MAX_FILE + (64 << 10);

/// Most files, and most notes, that citizens add to one ticket; those of the desk have room of their own.
const MOST: usize = 20;

/// Most words that are added at once, in characters; the longest value of a field that is no file, in bytes.
const MAX_WORDS: usize = 1_000;
const MAX_VALUE: usize = 8 << 10;

/// The most characters of a file's name that are shown again.
const SHOWN: usize = 60;

/// How long the fields before the files may take, and all of it.
const READING: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(4 * 60);

/// What is taken, as its first bytes say, and how its name ends.
const KINDS: [(&str, &str); 13] = [
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/heic", "heic"),
    ("audio/mpeg", "mp3"),
    ("audio/mp4", "m4a"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
    ("audio/amr", "amr"),
    ("video/mp4", "mp4"),
    ("application/pdf", "pdf"),
    ("video/quicktime", "mov"),
];

/// What came of an addition.
#[derive(Template)]
#[template(path = "public/added.html")]
struct Added {
    s: Shell,
    number: String,
    code: String,
    /// What is stored.
    taken: Vec<String>,
    /// What is not, and why.
    refused: Vec<String>,
    /// Words that are not stored, to be mended.
    words: String,
}

/// What stands before the files.
#[derive(Default)]
struct Said {
    number: String,
    code: String,
    words: String,
}

/// The ticket that is added to.
struct Ticket {
    number: TicketNumber,
    confidential: bool,
    /// Notes of this page that it has.
    notes: Vec<String>,
    /// How many files of this page it has.
    files: usize,
    /// One of few that send files at once: each is in memory while it comes.
    _room: OwnedSemaphorePermit,
}

/// One addition, as it comes.
struct Addition<'a> {
    app: &'a Arc<App>,
    parts: &'a Parts,
    t: Tongue,
    said: Said,
    sent: usize,
    taken: Vec<String>,
    refused: Vec<String>,
    /// Words that were not stored.
    left: String,
}

pub(super) async fn take(State(app): State<Arc<App>>, request: HttpRequest<Body>) -> Response {
    let t = guard::tongue(request.uri());
    let (parts, body) = request.into_parts();
    let Ok(form) = Multipart::from_request(HttpRequest::from_parts(parts.clone(), body), &app).await else {
        return shell::message(
            &app,
            t,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            t.say("这不是表单。", "This is not a form."),
        );
    };
    let addition = Addition {
        app: &app,
        parts: &parts,
        t,
        said: Said::default(),
        sent: 0,
        taken: Vec::new(),
        refused: Vec::new(),
        left: String::new(),
    };
    match tokio::time::timeout(PATIENCE, addition.read(form)).await {
        Ok(Ok(response) | Err(response)) => response,
        Err(_) => slow(&app, t),
    }
}

/// It took too long. What had come whole is stored, and sending it again stores nothing twice.
fn slow(app: &App, t: Tongue) -> Response {
    let text = t.say(
        "上传超时。已传完的内容已经保存，其余请在网络较好时重新添加，不会重复。",
        "It took too long to send. What had come whole is stored; add the rest again on a better line. Nothing is stored twice.",
    );
    shell::message(app, t, StatusCode::REQUEST_TIMEOUT, text)
}

impl Addition<'_> {
    async fn read(mut self, mut form: Multipart) -> Result<Response, Response> {
        let begun = Instant::now();
        let mut ticket = None;
        loop {
            let left = match ticket {
                None => READING.saturating_sub(begun.elapsed()),
                Some(_) => PATIENCE,
            };
            let field =
                tokio::time::timeout(left, form.next_field()).await.map_err(|_| slow(self.app, self.t))?;
            let Some(field) = field.map_err(|e| self.broken_off(&e))? else { break };
            match field.name() {
                Some("file") => {
                    if ticket.is_none() {
                        ticket = Some(self.open().await?);
                    }
                    if let Some(ticket) = &mut ticket {
                        self.file(ticket, field).await?;
                    }
                }
                Some("number") => self.said.number = self.value(field).await?,
                Some("code") => self.said.code = self.value(field).await?,
                Some("words") => self.said.words = self.value(field).await?,
                _ => {}
            }
        }
        if ticket.is_none() {
            self.open().await?;
        }
        if self.taken.is_empty() && self.refused.is_empty() {
            self.refused.push(
                self.t.say("请填写补充说明，或选择文件。", "Write something, or choose files.").to_owned(),
            );
        }
        let status = if self.taken.is_empty() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let title = match self.refused.is_empty() {
            true => self.t.say("补充内容已保存", "What you added is stored"),
            false => self.t.say("有内容没有保存", "Not all of it is stored"),
        };
        let added = Added {
            s: Shell::new(self.app, self.t, title, "/query"),
            number: self.said.number,
            code: self.said.code,
            taken: self.taken,
            refused: self.refused,
            words: self.left,
        };
        Ok(shell::page(status, &added))
    }

    /// The body ended early, or is larger than any form of ours.
    fn broken_off(&self, e: &MultipartError) -> Response {
        let text = match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => self.t.say(
                "文件合计过大。已传完的内容已经保存，其余请分几次添加，每个文件不超过 16 MB。",
                "The files are too large together. What had come whole is stored; add the rest a few at a time, each at most 16 MB.",
            ),
            _ => self.t.say(
                "没有收完整。已传完的内容已经保存，其余请重新添加，不会重复。",
                "Not all of it came. What had come whole is stored; add the rest again. Nothing is stored twice.",
            ),
        };
        shell::message(self.app, self.t, e.status(), text)
    }

    /// A short field, while it is early enough to read one.
    async fn value(&self, mut field: Field<'_>) -> Result<String, Response> {
        let read = async {
            let mut value = Vec::new();
            while let Some(bytes) = field.chunk().await? {
                value.extend(bytes.iter().take(MAX_VALUE - value.len())); // a longer one is not of our form
            }
            Ok(String::from_utf8_lossy(&value).trim().to_owned())
        };
        let read = tokio::time::timeout(READING, read).await.map_err(|_| slow(self.app, self.t))?;
        read.map_err(|e| self.broken_off(&e))
    }

    /// Finds the ticket for number and code, and stores the words.
    async fn open(&mut self) -> Result<Ticket, Response> {
        let (app, t) = (self.app, self.t);
        if comes_from_elsewhere(&self.parts.headers) {
            let text = t.say(
                "页面来自其他网站，没有保存。请从查询页面重新添加。",
                "This form came from another site; nothing is stored. Please add it again from the page that says how it stands.",
            );
            return Err(shell::message(app, t, StatusCode::FORBIDDEN, text));
        }
        let Some(From(client)) = self.parts.extensions.get::<From>().copied() else {
            return Err(broken(app, t, &Failure::new(FailureKind::Failed, "a request without an address")));
        };
        let (number, code) = query::opened(app, t, client, &self.said.number, &self.said.code)
            .map_err(|response| *response)?;
        (self.said.number, self.said.code) = (number.to_string(), code.to_string());
        app.pace.adds(client, Instant::now()).map_err(|wait| guard::too_fast(app, t, wait))?;
        let room = tokio::time::timeout(READING, app.uploads.clone().acquire_owned()).await;
        let Ok(Ok(room)) = room else { return Err(guard::busy(app, t)) };
        let shown = app.node.ask(Request::Show { id: number.to_string(), reveal: None, user: None }).await;
        let shown = shown.map_err(|failure| broken(app, t, &failure))?;
        if query::stage(t, shown["stage"].as_str().unwrap_or_default()).1 {
            let text = t.say(
                "此事项已有结果，不再接收补充。如有异议，请拨打 12328，或另行提交。",
                "This matter has its result, and nothing is added to it any more. If you disagree call 12328, or file another request.",
            );
            return Err(shell::message(app, t, StatusCode::CONFLICT, text));
        }
        let files = FileRequest::List { id: number.to_string(), reveal: None, user: None };
        let files = app.node.ask(Request::File(files)).await.map_err(|failure| broken(app, t, &failure))?;
        let ours = |row: &&Value| row["user"] == USER;
        let notes = shown["notes"].as_object().into_iter().flat_map(|notes| notes.values());
        let mut ticket = Ticket {
            number,
            confidential: shown["confidential"] != false,
            notes: notes.filter(ours).filter_map(|note| note["text"].as_str()).map(str::to_owned).collect(),
            files: files.as_array().into_iter().flatten().filter(ours).count(),
            _room: room,
        };
        self.words(&mut ticket).await;
        Ok(ticket)
    }

    /// Stores the words: as a note, or sealed in a file where everybody who has the ticket would read them.
    async fn words(&mut self, ticket: &mut Ticket) {
        let t = self.t;
        let words = mask_phones(&self.said.words).replace("\r\n", "\n");
        let what = t.say("补充说明", "What you wrote");
        if words.is_empty() {
            return;
        }
        if words.chars().count() > MAX_WORDS {
            let why = t.say(
                "补充说明超过 1000 字，请分几次写",
                "What you wrote has more than 1,000 characters: write it in parts",
            );
            self.refused.push(why.to_owned());
            self.left = std::mem::take(&mut self.said.words);
            return;
        }
        let text = format!("网上补充：{words}");
        let known = ticket.notes.contains(&text);
        let full = if ticket.confidential { ticket.files >= MOST } else { ticket.notes.len() >= MOST };
        if full && !known {
            let why = t.say(
                "这件事项已补充 20 次，请拨打 12328",
                "this request has 20 additions already: call 12328",
            );
            self.refused.push(format!("{what}：{why}"));
            self.left = std::mem::take(&mut self.said.words);
            return;
        }
        let stored = match ticket.confidential {
            true => self.attach(ticket, Bytes::from(words)).await,
            false if known => Ok(()),
            false => {
                let note = Request::Note { id: ticket.number.to_string(), text, user: Some(USER.to_owned()) };
                self.app.node.ask(note).await.map(drop)
            }
        };
        match stored {
            Ok(()) => self.taken.push(what.to_owned()),
            Err(failure) => {
                self.left = std::mem::take(&mut self.said.words);
                self.refuse(what, &failure);
            }
        }
    }

    /// Stores a file when all of it has come.
    async fn file(&mut self, ticket: &mut Ticket, mut field: Field<'_>) -> Result<(), Response> {
        let t = self.t;
        let given: String = field.file_name().unwrap_or_default().chars().take(SHOWN).collect();
        let mut bytes = Vec::new();
        let mut larger = false;
        while let Some(more) = field.chunk().await.map_err(|e| self.broken_off(&e))? {
            larger |= bytes.len() + more.len() > MAX_FILE;
            if larger {
                bytes = Vec::new(); // the rest is read and dropped, so that the next one can come
            } else {
                bytes.extend_from_slice(&more);
            }
        }
        // A browser sends an empty part without a name when nothing was chosen.
        if given.is_empty() && bytes.is_empty() && !larger {
            return Ok(());
        }
        self.sent += 1;
        let why = if larger {
            t.say("超过 16 MB", "larger than 16 MB")
        } else if bytes.is_empty() {
            t.say("文件是空的", "it is empty")
        } else if self.sent > TOGETHER {
            t.say("一次最多 5 个文件，请再次添加", "at most 5 files at once: add it again")
        } else if ticket.files >= MOST {
            t.say("这件事项的文件已满 20 个", "this request has 20 files already")
        } else if kind(&bytes).is_none() {
            t.say(
                "只接收照片、录音、视频（MP4）和 PDF",
                "only pictures, sound, films (MP4) and PDF are taken",
            )
        } else {
            match self.attach(ticket, Bytes::from(bytes)).await {
                Ok(()) => self.taken.push(given),
                Err(failure) => self.refuse(&given, &failure),
            }
            return Ok(());
        };
        self.refused.push(format!("{given}：{why}"));
        Ok(())
    }

    /// Attaches a file under a name made of its content.
    async fn attach(&self, ticket: &mut Ticket, bytes: Bytes) -> Result<(), Failure> {
        let (media, end) = kind(&bytes).unwrap_or(("text/plain", "txt"));
        let mark = hex(&blake3::hash(&bytes).as_bytes()[..6]);
        let sent = Sent { name: format!("群众补充-{mark}.{end}"), media: Some(media.to_owned()), bytes };
        let ask = |request| self.app.node.ask(Request::File(request));
        let (fresh, _) = sent.attach(&ticket.number.to_string(), Some(USER), ask).await?;
        ticket.files += usize::from(fresh);
        Ok(())
    }

    /// It could not be stored: why is in the log, and none of it is the citizen's.
    fn refuse(&mut self, what: &str, failure: &Failure) {
        tracing::warn!(%failure, "something that a citizen added was not stored");
        let why = self.t.say(
            "暂时无法保存，请稍后再试，或拨打 12328",
            "cannot be stored just now: try again later, or call 12328",
        );
        self.refused.push(format!("{what}：{why}"));
    }
}

/// What kind of file is taken, and how its name ends.
fn kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let seen = sniff(bytes, None);
    KINDS.into_iter().find(|(media, _)| *media == seen)
}
