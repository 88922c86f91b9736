//! `hotline kb`: the knowledge base.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Cli, Session, files, show, unreadable};
use crate::files::FileRequest;
use crate::knowledge::lines;
use crate::knowledge::request::KnowledgeRequest as Ask;
use crate::request::{Failure, FailureKind, Language, Request};

/// The largest file that is read as one article, and the longest line of a file of many, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Lines in one portion of an import, and articles in one page of an export.
const PORTION: usize = 200;

/// The fields of an article, as flags or from a file.
#[derive(Debug, Args)]
pub(super) struct Fields {
    /// A file with the article, `-` for standard input: Markdown with front matter, or one JSON object.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[arg(long)]
    title: Option<String>,
    /// Markdown, as plain text.
    #[arg(long)]
    body: Option<String>,
    /// The site's own code for it, like KB001.
    #[arg(long)]
    code: Option<String>,
    /// A word to find it by; may be given several times.
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// The field of business.
    #[arg(long)]
    field: Option<String>,
    /// Who may read it: public or agent.
    #[arg(long, value_parser = ["public", "agent"])]
    audience: Option<String>,
    /// The first day on which it holds, like 2026-11-02.
    #[arg(long, value_name = "DAY")]
    valid_from: Option<String>,
    /// The last day on which it holds.
    #[arg(long, value_name = "DAY")]
    valid_to: Option<String>,
    /// The law, notice or letter that it comes from.
    #[arg(long)]
    source: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shape {
    /// A line of JSON each, in the shape of fixtures/kb.jsonl.
    Json,
    /// A Markdown file each, with front matter, in a directory.
    Markdown,
}

#[derive(Debug, Subcommand)]
pub(super) enum Kb {
    /// One of the lists.
    List {
        /// published, drafts, unreviewed, to-publish, expiring, expired, withdrawn, proposed, changed (supplements whose
        /// original changed under them), unhelpful (what did not help in the last 30 days, here and below, the most often
        /// first), all.
        #[arg(long, default_value = "published")]
        queue: String,
        /// Only this site's own.
        #[arg(long)]
        mine: bool,
        /// At most so many.
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// Articles in force: words of two characters, pinyin, codes; the best first.
    Search {
        text: String,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Articles that a text may be about, as the desk suggests them beside a call.
    Suggest {
        text: String,
        /// At most so many.
        #[arg(long, default_value_t = 5)]
        limit: usize,
    },
    /// One article: what is in force of it, else its draft.
    #[command(disable_version_flag = true)]
    Show {
        /// Id, unambiguous prefix or code.
        id: String,
        /// This version.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// Says that it served to answer somebody.
    #[command(disable_version_flag = true)]
    Used {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The version that was read, when it is not the one in force.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// Says that it was read and did not help.
    #[command(disable_version_flag = true)]
    Unhelpful {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The version that was read, when it is not the one in force.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// Writes the next version, with a file more. Whoever has the article can read it.
    Attach {
        /// Id, unambiguous prefix or code.
        id: String,
        file: PathBuf,
        /// What it is called; the file's own name if not given.
        #[arg(long)]
        name: Option<String>,
        /// Its media type; well-known ones are seen from its bytes.
        #[arg(long = "type", value_name = "TYPE")]
        media: Option<String>,
    },
    /// Writes the next version, without this file.
    Detach {
        /// Id, unambiguous prefix or code.
        id: String,
        /// The file's name.
        name: String,
    },
    /// The files of all versions, and what is here of them.
    Files {
        /// Id, unambiguous prefix or code.
        id: String,
    },
    /// Saves a file: of the version in force, else of the last one.
    Get {
        /// Id, unambiguous prefix or code.
        id: String,
        /// Its name, or its content's hash.
        name: String,
        /// Where to: a new file, or a directory.
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
    },
    /// What happened to an article.
    History {
        /// Id, unambiguous prefix or code.
        id: String,
    },
    /// Two versions, line by line.
    Diff {
        /// Id, unambiguous prefix or code.
        id: String,
        from: u32,
        to: u32,
    },
    /// Writes an article of this site: a draft.
    New(Box<Fields>),
    /// Hangs an article of this site on a superior's: a draft.
    Supplement {
        /// The superior's: id, unambiguous prefix or code.
        id: String,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// Writes the next version, with these fields changed.
    Revise {
        /// Id, unambiguous prefix or code.
        id: String,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// Lets a draft pass that somebody else wrote; needs --user.
    Review {
        /// Id, unambiguous prefix or code.
        id: String,
        /// What there is to say.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Puts the reviewed draft into force.
    Publish {
        /// Id, unambiguous prefix or code.
        id: String,
    },
    /// Takes an article out of force, everywhere.
    Withdraw {
        /// Id, unambiguous prefix or code.
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// Asks the superior to adopt an article.
    Propose {
        /// Id, unambiguous prefix or code.
        id: String,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Makes an article of this site of a lower one's: a draft.
    Adopt {
        /// Id, unambiguous prefix or code.
        id: String,
    },
    /// Takes in articles: JSON lines in the shape of fixtures/kb.jsonl, Markdown with front matter (`.md`), or a directory
    /// of Markdown as an export makes it. Those of other sites are left out. An `id` names the article that is revised;
    /// without one it is new, unless one of this site says the same already.
    Import {
        file: PathBuf,
        /// Who has read them; then what the file calls published is reviewed in this name and published. Another name
        /// than --user.
        #[arg(long, value_name = "NAME")]
        reviewed_by: Option<String>,
    },
    /// What is in force here.
    Export {
        #[arg(long, value_enum, default_value_t = Shape::Json)]
        shape: Shape,
        /// Where Markdown files go: a directory.
        #[arg(long, value_name = "DIR", required_if_eq("shape", "markdown"))]
        out: Option<PathBuf>,
    },
}

fn input(file: &Path) -> Result<Box<dyn Read>, Failure> {
    match file == Path::new("-") {
        true => Ok(Box::new(std::io::stdin())),
        false => Ok(Box::new(File::open(file).map_err(|e| unreadable(file, e))?)),
    }
}

/// A file that holds one article, as a line.
fn one_article(file: &Path) -> Result<Value, Failure> {
    let mut text = String::new();
    input(file)?.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| unreadable(file, e))?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(file, format!("it has more than {MAX_FILE} bytes")));
    }
    let read = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|e| e.to_string()),
        false => lines::from_markdown(&text),
    };
    read.map_err(|e| no_article(file, e))
}

/// The same, and it lacks nothing.
fn whole_article(file: &Path) -> Result<Value, Failure> {
    let article = one_article(file)?;
    lines::read(&article).map_err(|e| no_article(file, e))?;
    Ok(article)
}

/// What a directory holds, in the order of its names.
fn inside(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let paths = dir.read_dir().and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = paths.map_err(|e| unreadable(dir, e))?;
    paths.sort_unstable();
    Ok(paths)
}

fn no_article(file: &Path, why: String) -> Failure {
    Failure::usage(format!("{} holds no article: {why}", file.display()))
}

impl Fields {
    fn line(&self) -> Result<Value, Failure> {
        let mut line = self.from.as_deref().map(one_article).transpose()?.unwrap_or_else(|| json!({}));
        let given = [
            ("id", &self.code),
            ("title", &self.title),
            ("body", &self.body),
            ("field", &self.field),
            ("audience", &self.audience),
            ("valid_from", &self.valid_from),
            ("valid_to", &self.valid_to),
            ("source", &self.source),
        ];
        for (key, value) in given.into_iter().filter_map(|(key, value)| value.as_ref().map(|v| (key, v))) {
            line[key] = value.as_str().into();
        }
        if !self.tags.is_empty() {
            line["tags"] = json!(self.tags);
        }
        Ok(line)
    }
}

impl Kb {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let user = cli.user.clone();
        let ask = |ask: Ask| cli.ask(&Request::Knowledge(ask));
        let limit = |limit: &usize| *limit;
        let reply = match self {
            Kb::List { queue, mine, limit: n } => {
                return rows(cli, ask(Ask::List { queue: queue.clone(), mine: *mine, limit: limit(n) })?);
            }
            Kb::Search { text, limit: n } => {
                return rows(cli, ask(Ask::Search { text: text.clone(), limit: limit(n) })?);
            }
            Kb::Suggest { text, limit: n } => {
                return rows(cli, ask(Ask::Suggest { text: text.clone(), limit: limit(n) })?);
            }
            Kb::Show { id, version } => {
                let article =
                    ask(Ask::Show { id: id.clone(), version: *version, language: Language::En, user })?;
                if cli.json {
                    cli.print(&article);
                } else {
                    read(&article);
                }
                return Ok(());
            }
            Kb::Used { id, version } => ask(Ask::Used { id: id.clone(), version: *version, user }),
            Kb::Unhelpful { id, version } => ask(Ask::Unhelpful { id: id.clone(), version: *version, user }),
            Kb::Attach { id, file, name, media } => {
                let (name, media) = (name.as_deref(), media.as_deref());
                let user = cli.user.as_deref();
                files::attach(cli, &files::Attach { of: files::Of::Articles, id, file, name, media, user })
            }
            Kb::Detach { id, name } => ask(Ask::Detach { id: id.clone(), name: name.clone(), user }),
            Kb::Files { id } => {
                ask(Ask::File { file: FileRequest::List { id: id.clone(), reveal: None, user } })
            }
            Kb::Get { id, name, out } => {
                let fetch = FileRequest::Fetch { id: id.clone(), name: name.clone(), reveal: None, user };
                files::fetch(cli, files::Of::Articles, fetch, out)
            }
            Kb::History { id } => {
                let article = ask(Ask::Show { id: id.clone(), version: None, language: Language::En, user })?;
                return history(cli, &article);
            }
            Kb::Diff { id, from, to } => {
                let compared = ask(Ask::Diff { id: id.clone(), from: *from, to: *to })?;
                if cli.json {
                    cli.print(&compared);
                } else {
                    difference(&compared);
                }
                return Ok(());
            }
            Kb::Import { file, reviewed_by } => return import(cli, file, reviewed_by),
            Kb::Export { shape, out } => return export(cli, *shape, out.as_deref()),
            Kb::New(fields) => ask(Ask::New { article: fields.line()?, supplements: None, user }),
            Kb::Supplement { id, fields } => {
                ask(Ask::New { article: fields.line()?, supplements: Some(id.clone()), user })
            }
            Kb::Revise { id, fields } => ask(Ask::Revise { id: id.clone(), article: fields.line()?, user }),
            Kb::Review { id, reason } => ask(Ask::Review { id: id.clone(), reason: reason.clone(), user }),
            Kb::Publish { id } => ask(Ask::Publish { id: id.clone(), user }),
            Kb::Withdraw { id, reason } => {
                ask(Ask::Withdraw { id: id.clone(), reason: reason.clone(), user })
            }
            Kb::Propose { id, reason } => ask(Ask::Propose { id: id.clone(), reason: reason.clone(), user }),
            Kb::Adopt { id } => ask(Ask::Adopt { id: id.clone(), user }),
        };
        cli.print(&reply?);
        Ok(())
    }
}

fn rows(cli: &Cli, rows: Value) -> Result<(), Failure> {
    if cli.json {
        cli.print(&rows);
        return Ok(());
    }
    let short = |row: &Value| {
        let id: String = row["id"].as_str().unwrap_or_default().chars().take(12).collect();
        let mut short = json!({
            "id": id, "code": row["code"], "title": row["title"], "owner": row["owner"], "standing": row["standing"],
            "version": row["version"], "draft": row["draft"], "valid_to": row["valid_to"], "holds": row["holds"],
        });
        if !row["unhelpful"].is_null() {
            short["unhelpful"] = row["unhelpful"].clone();
        }
        short
    };
    let shown: Vec<Value> = rows.as_array().into_iter().flatten().map(short).collect();
    match shown.is_empty() {
        true => show::aside("none"),
        false => show::table(&shown),
    }
    Ok(())
}

/// An article as a person reads it: Markdown with its front matter, and what is to be known of it.
fn read(article: &Value) {
    show::line(lines::to_markdown(&article["line"]).trim_end());
    let version = &article["version"];
    show::aside(&format!(
        "{} of {}, version {}{}",
        article["standing"].as_str().unwrap_or_default(),
        article["owner"].as_str().unwrap_or_default(),
        version["number"],
        if article["holds"] == true { "" } else { ", does not hold today" },
    ));
    for file in article["files"].as_array().into_iter().flatten() {
        show::aside(&format!(
            "file {}: {} bytes, {}",
            file["name"].as_str().unwrap_or_default(),
            file["size"],
            file["state"].as_str().unwrap_or_default()
        ));
    }
    let said = &article["use"];
    show::aside(&format!(
        "used {} times in {} days here and below, did not help {}",
        said["used"], said["days"], said["unhelpful"]
    ));
    if article["supplements"]["changed"] == true {
        let seen = article["supplements"]["seen"].as_u64().map_or("none".to_owned(), |n| n.to_string());
        show::aside(&format!(
            "the article that it hangs on has changed: version {seen} was seen, {} is in force",
            article["supplements"]["version"]
        ));
    }
    for hung in article["supplemented_by"].as_array().into_iter().flatten() {
        show::aside(&format!(
            "supplement of {}: {} ({})",
            hung["owner"].as_str().unwrap_or_default(),
            hung["title"].as_str().unwrap_or_default(),
            hung["id"].as_str().and_then(|id| id.get(..12)).unwrap_or_default(),
        ));
    }
}

fn history(cli: &Cli, article: &Value) -> Result<(), Failure> {
    let trail = article["trail"].as_array().cloned().unwrap_or_default();
    let beaten = |id: &Value, list: &str| {
        let all = article[list].as_array().into_iter().flatten();
        all.filter(|b| b["entry"] == *id).find_map(|b| b["why"].as_str()).unwrap_or_default().to_owned()
    };
    let line = |entry: &Value| {
        let why = [beaten(&entry["id"], "unentitled"), beaten(&entry["id"], "superseded")].concat();
        json!({
            "entry": entry["id"], "at": entry["at"], "node": entry["node"], "user": entry["user"], "op": entry["op"],
            "version": entry["version"], "of": entry["of"], "reason": entry["reason"], "no effect": why,
        })
    };
    let lines: Vec<Value> = trail.iter().map(line).collect();
    if cli.json {
        cli.print(&json!({ "id": article["id"], "lines": lines }));
        return Ok(());
    }
    let short = |id: &Value| id.as_str().map(|id| id.chars().take(8).collect::<String>());
    let shown: Vec<Value> = lines
        .into_iter()
        .map(|mut line| {
            for key in ["entry", "of"] {
                line[key] = json!(short(&line[key]));
            }
            line
        })
        .collect();
    show::table(&shown);
    Ok(())
}

fn difference(compared: &Value) {
    for fact in compared["facts"].as_array().into_iter().flatten() {
        let text = |key: &str| fact[key].as_str().unwrap_or_default().replace('\n', ", ");
        show::line(&format!("{}: {} -> {}", text("field"), text("from"), text("to")));
    }
    for line in compared["lines"].as_array().into_iter().flatten() {
        let sign = match line["mark"].as_str() {
            Some("removed") => '-',
            Some("added") => '+',
            _ => ' ',
        };
        show::line(&format!("{sign} {}", line["text"].as_str().unwrap_or_default()));
    }
}

fn import(cli: &Cli, file: &Path, reviewer: &Option<String>) -> Result<(), Failure> {
    let mut session = Session::open(&cli.dir()?)?;
    let mut total: [u64; 4] = [0; 4];
    const KEYS: [&str; 4] = ["made", "revised", "same", "elsewhere"];
    let mut send = |articles: Vec<Value>, upto: usize| -> Result<(), Failure> {
        if articles.is_empty() {
            return Ok(());
        }
        let first = upto + 1 - articles.len();
        let import = Ask::Import { articles, reviewer: reviewer.clone(), user: cli.user.clone() };
        let done = session.ask(&Request::Knowledge(import)).map_err(|failure| match first {
            1 => failure,
            _ => failure.hint(format!(
                "the {} before are in; importing again takes them for what they are",
                first - 1
            )),
        })?;
        total.iter_mut().zip(KEYS).for_each(|(sum, key)| *sum += done[key].as_u64().unwrap_or(0));
        Ok(())
    };
    let markdown = |file: &Path| file.extension().is_some_and(|e| e == "md");
    if markdown(file) || file.is_dir() {
        let files = if file.is_dir() { inside(file)? } else { vec![file.to_owned()] };
        let files: Vec<PathBuf> = files.into_iter().filter(|file| markdown(file)).collect();
        if files.is_empty() {
            return Err(Failure::usage(format!("{} holds no Markdown: no file ends in .md", file.display())));
        }
        // All of them are looked at before the first is sent.
        for file in &files {
            whole_article(file)?;
        }
        for (upto, portion) in (0..files.len()).step_by(PORTION).zip(files.chunks(PORTION)) {
            let articles = portion.iter().map(|file| whole_article(file)).collect::<Result<Vec<_>, _>>()?;
            send(articles, upto + portion.len())?;
        }
    } else {
        let mut reader = BufReader::new(input(file)?);
        let (mut portion, mut at) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            let length =
                reader.by_ref().take(MAX_FILE + 1).read_line(&mut line).map_err(|e| unreadable(file, e))?;
            if length == 0 {
                break;
            }
            at += 1;
            let wrong =
                |why: String| Failure::new(FailureKind::Usage, format!("line {at} makes no article: {why}"));
            if length as u64 > MAX_FILE {
                return Err(wrong(format!("it has more than {MAX_FILE} bytes")));
            }
            if !line.trim().is_empty() {
                let article = serde_json::from_str(line.trim_start_matches('\u{feff}'))
                    .map_err(|e| wrong(e.to_string()))?;
                lines::read(&article).map_err(wrong)?;
                portion.push(article);
            }
            if portion.len() == PORTION {
                send(std::mem::take(&mut portion), at)?;
            }
        }
        send(portion, at)?;
    }
    let told: serde_json::Map<String, Value> =
        KEYS.iter().zip(total).map(|(key, sum)| ((*key).to_owned(), sum.into())).collect();
    cli.print(&Value::Object(told));
    Ok(())
}

fn export(cli: &Cli, shape: Shape, out: Option<&Path>) -> Result<(), Failure> {
    let mut session = Session::open(&cli.dir()?)?;
    let mut after = None;
    let mut count = 0u64;
    loop {
        let page = session.ask(&Request::Knowledge(Ask::Export { all: false, after, limit: PORTION }))?;
        for article in page["articles"].as_array().into_iter().flatten() {
            count += 1;
            match (shape, out) {
                (Shape::Markdown, Some(dir)) => {
                    let code = article["id"].as_str().unwrap_or_default();
                    let fine = !code.is_empty() && code.chars().all(|c| c.is_alphanumeric() || c == '-');
                    let owner = article["region_code"].as_str().unwrap_or_default();
                    let name =
                        if fine { format!("{owner}-{code}.md") } else { format!("{owner}-{count:05}.md") };
                    let failed = |e: std::io::Error| {
                        Failure::new(FailureKind::Failed, format!("{} cannot be written", dir.display()))
                            .because(e)
                    };
                    std::fs::create_dir_all(dir).map_err(failed)?;
                    std::fs::write(dir.join(name), lines::to_markdown(article)).map_err(failed)?;
                }
                _ => show::line(&article.to_string()),
            }
        }
        match page["next"].as_i64() {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if let Shape::Markdown = shape {
        show::aside(&format!("{count} articles"));
    }
    Ok(())
}
