//! `hotline ticket`: what was typed becomes a request.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{Cli, Session, files, import, show};
use crate::files::FileRequest;
use crate::import::{NewTicket, Sample};
use crate::reference::{Categories, CategoryError, Limits, OwnField, Reference};
use crate::request::{Act, Correction, Failure, FailureKind, Language, Request, Sift, Sort};

/// The business of a matter that is of none of those with a time limit.
const OTHER: &str = "其他";

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Lang {
    /// 中文.
    Zh,
    /// English.
    En,
}

impl Lang {
    fn language(self) -> Language {
        match self {
            Lang::Zh => Language::Zh,
            Lang::En => Language::En,
        }
    }
}

/// What narrows a queue.
#[derive(Debug, Args)]
pub(super) struct Narrow {
    /// 信息咨询, 投诉举报 or 意见建议.
    #[arg(long)]
    business: Option<String>,
    /// A domain by its code, like D04.
    #[arg(long)]
    domain: Option<String>,
    /// A topic by its code, like D0401.
    #[arg(long)]
    topic: Option<String>,
    /// How it came, like 电话 or 网站.
    #[arg(long)]
    channel: Option<String>,
    /// 一般, 紧急 or 特急.
    #[arg(long)]
    urgency: Option<String>,
    /// Taken on this day or later; 2026-11-02.
    #[arg(long, value_name = "DAY")]
    first: Option<String>,
    /// Taken on this day or earlier.
    #[arg(long, value_name = "DAY")]
    last: Option<String>,
    /// Whose `team` is.
    #[arg(long)]
    department: Option<String>,
    /// newest, oldest, or due: the first to end first.
    #[arg(long, default_value = "newest")]
    sort: Order,
}

/// The order of a queue.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    Newest,
    Oldest,
    Due,
}

impl Narrow {
    fn sift(&self, cli: &Cli) -> Sift {
        Sift {
            user: cli.user.clone(),
            department: self.department.clone(),
            centres: None,
            business: self.business.clone(),
            domain: self.domain.clone(),
            topic: self.topic.clone(),
            channel: self.channel.clone(),
            urgency: self.urgency.clone(),
            first: self.first.clone(),
            last: self.last.clone(),
            sort: match self.sort {
                Order::Newest => Sort::Newest,
                Order::Oldest => Sort::Oldest,
                Order::Due => Sort::Due,
            },
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Ticket {
    /// Takes a call.
    New(Box<NewArgs>),
    /// Takes the calls of a file of JSON lines.
    Import(import::ImportArgs),
    /// A queue, the newest first; by deadlines, the first to end first.
    List {
        /// mine (of --user), team (of --department), held, to-accept, offered, returned, urged, overdue, due-soon, follow-up, open,
        /// closed, confidential, conflicts, all.
        #[arg(long, default_value = "all")]
        queue: String,
        #[command(flatten)]
        narrow: Narrow,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Full text: words of two characters, pinyin, numbers, plates; or the tickets of a caller.
    Search {
        /// What to look for.
        text: Option<String>,
        /// The caller's telephone number.
        #[arg(long, conflicts_with_all = ["text", "name"])]
        phone: Option<String>,
        /// The caller's whole name.
        #[arg(long, conflicts_with = "text")]
        name: Option<String>,
        /// Shows the callers' personal data too, for this reason; it is logged.
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
        /// Confidential reports too; for the confidential desk, with a reason.
        #[arg(long)]
        desk: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Tickets that may be about the same matter as a call, as the desk shows them beside it: open ones, and those of the
    /// last 30 days.
    Similar {
        /// What the caller says.
        text: String,
        /// The plate of the vehicle that it is about.
        #[arg(long)]
        plate: Option<String>,
        /// Where it happened.
        #[arg(long)]
        place: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Lets a site see the caller's personal data, on its request; it is logged.
    Grant {
        /// Id, unambiguous prefix or number.
        id: String,
        #[arg(long, value_name = "NODE")]
        to: String,
        #[arg(long, default_value = "on request")]
        reason: String,
    },
    /// Erases the caller's personal data, at every node and for ever.
    Erase {
        /// Id, unambiguous prefix or number.
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// Who was shown whose personal data and why; checks that the log is whole.
    Reveals {
        /// Only of this ticket: id, unambiguous prefix or number.
        id: Option<String>,
    },
    /// All tickets as JSON lines.
    Export,
    /// One ticket.
    Show {
        /// Id, unambiguous prefix or number.
        id: String,
        /// Shows the caller's personal data too, for this reason; it is logged.
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
    /// What this site may do with a ticket now, why not the rest and who may, and which peers lack something of it.
    Choices {
        /// Id, unambiguous prefix or number.
        id: String,
        /// In which language.
        #[arg(long, value_enum, default_value_t = Lang::Zh)]
        lang: Lang,
    },
    /// What happened to a ticket, who holds it and why.
    History {
        /// Id, unambiguous prefix or number.
        id: String,
        /// The language of the story.
        #[arg(long, value_enum, default_value_t = Lang::Zh)]
        lang: Lang,
    },
    /// The query code of a ticket: with its number a caller is told how it stands, on the public page of this node.
    Code {
        /// Id, unambiguous prefix or number.
        id: String,
    },
    /// Attaches a file, sealed under the ticket's key. Its name is read by everybody who holds the ticket, unless the
    /// ticket is confidential.
    Attach {
        id: String,
        file: PathBuf,
        /// What it is called; the file's own name if not given.
        #[arg(long)]
        name: Option<String>,
        /// Its media type; well-known ones are seen from its bytes.
        #[arg(long = "type", value_name = "TYPE")]
        media: Option<String>,
    },
    /// A ticket's files, and what is here of them.
    Files {
        id: String,
        /// Shows the true names of a confidential ticket's files, for this reason; it is logged.
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
    /// Saves a file of a ticket.
    Fetch {
        id: String,
        /// Its name, or its content's hash.
        name: String,
        /// Where to: a new file, or a directory.
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
        /// Opens a confidential ticket's file, for this reason; it is logged.
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
    /// Adds a note.
    Note { id: String, text: String },
    /// 直接答复.
    Answer { id: String, text: String },
    /// 告知/转接.
    Redirect {
        id: String,
        /// The number that the caller was told or connected with.
        #[arg(long)]
        to: String,
        #[arg(default_value = "")]
        text: String,
    },
    /// 不予受理.
    Reject {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 交办 to a department.
    Dispatch {
        id: String,
        #[arg(long, value_name = "DEPARTMENT")]
        to: String,
        text: Option<String>,
    },
    /// What the department found.
    Feedback { id: String, text: String },
    /// How it goes.
    Progress { id: String, text: String },
    /// 暂停计时.
    Pause {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 延期: asks for it, or grants a request.
    Extend {
        id: String,
        #[arg(long)]
        reason: String,
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: Option<u32>,
        /// The request that is granted.
        #[arg(long, value_name = "ENTRY")]
        grant: Option<String>,
    },
    /// 回复 to the caller.
    Reply {
        id: String,
        text: String,
        /// A superseded reply that this one confirms.
        #[arg(long, value_name = "ENTRY")]
        confirm: Option<String>,
    },
    /// 回访.
    FollowUp {
        id: String,
        text: String,
        #[arg(long)]
        satisfied: Option<bool>,
    },
    /// 催办.
    Urge { id: String, text: String },
    /// 督办.
    Supervise { id: String, text: String },
    /// Asks the next superior to assign.
    Escalate {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 并单.
    Merge {
        id: String,
        #[arg(long, value_name = "ID")]
        into: String,
    },
    /// 保全: nobody erases the caller's data and recordings until it is released.
    Keep {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 解除保全: takes a keep back; the oldest, where there are several.
    Release {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 更正: sets facts of the ticket, like `place=汽车站 topic=D0401`; with nothing after the `=` a fact is taken away.
    Correct {
        id: String,
        /// A fact and what is to stand there; a field of your own begins with `x.`.
        #[arg(value_name = "FACT=VALUE", required = true, value_parser = set)]
        facts: Vec<(String, String)>,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Takes a merge back.
    Unmerge {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 转办.
    Offer {
        id: String,
        #[arg(long, value_name = "NODE")]
        to: String,
        #[arg(long)]
        reason: String,
    },
    /// 签收.
    Accept { id: String },
    /// 退回.
    Decline {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 撤回.
    Withdraw { id: String },
    /// 指派.
    Assign {
        id: String,
        #[arg(long, value_name = "NODE")]
        to: String,
        #[arg(long)]
        reason: String,
    },
    /// 收回.
    Recall {
        id: String,
        #[arg(long)]
        reason: String,
    },
    /// 办结.
    Close {
        id: String,
        #[arg(long)]
        result: String,
    },
    /// 重办.
    Reopen {
        id: String,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// What the caller said.
    #[arg(long)]
    text: Option<String>,
    /// JSON or JSON lines of `samples.jsonl` shape; `-` reads standard input. It says everything itself.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "subject", "business", "domain", "topic", "place", "plate", "phone", "name", "urgency", "channel", "confidential", "against"])]
    from: Option<PathBuf>,
    /// One line; made of the first sentence when it is not given.
    #[arg(long)]
    subject: Option<String>,
    /// 信息咨询, 投诉举报, 意见建议, ...
    #[arg(long)]
    business: Option<String>,
    /// The domain's code or name.
    #[arg(long)]
    domain: Option<String>,
    /// The topic's code or name.
    #[arg(long)]
    topic: Option<String>,
    /// Where it happened.
    #[arg(long)]
    place: Option<String>,
    /// The plate of the vehicle that it is about.
    #[arg(long)]
    plate: Option<String>,
    /// The caller's telephone number; sealed.
    #[arg(long)]
    phone: Option<String>,
    /// The caller's name; sealed.
    #[arg(long)]
    name: Option<String>,
    /// 一般, 紧急, 特急.
    #[arg(long)]
    urgency: Option<String>,
    /// 电话, 短信, ...
    #[arg(long)]
    channel: Option<String>,
    /// 举报人保密: caller and words are shown to two confidential desks only.
    #[arg(long)]
    confidential: bool,
    /// The unit of ours that the matter is about: its desk never sees a confidential report.
    #[arg(long, value_name = "SITE")]
    against: Option<String>,
    /// A field of the centre's own, as `hotline policy show fields` names them; may be given several times.
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = set, conflicts_with = "from")]
    fields: Vec<(String, String)>,
}

impl Ticket {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let (id, act) = match self {
            Ticket::New(args) => return take(cli, args),
            Ticket::Import(args) => return import::import(args, &cli.dir()?, &cli.user, cli.json),
            Ticket::List { queue, narrow, limit } => {
                let sift = narrow.sift(cli);
                let list = Request::List { queue: queue.clone(), sift, limit: *limit, before: None };
                let rows = cli.ask(&list)?;
                cli.print(&rows);
                return Ok(());
            }
            Ticket::Search { text: Some(text), limit, .. } => {
                let rows = cli.ask(&Request::Search { text: text.clone(), limit: *limit })?;
                cli.print(&rows);
                return Ok(());
            }
            Ticket::Similar { text, plate, place, limit } => {
                let rows = cli.ask(&Request::Similar {
                    text: text.clone(),
                    plate: plate.clone(),
                    place: place.clone(),
                    limit: *limit,
                })?;
                cli.print(&rows);
                return Ok(());
            }
            Ticket::Search { text: None, phone: None, name: None, .. } => {
                return Err(Failure::new(FailureKind::Usage, "what is to be looked for?")
                    .hint("give TEXT, --phone NUMBER or --name NAME"));
            }
            Ticket::Search { text: None, phone, name, reveal, desk, limit } => {
                let rows = cli.ask(&Request::Lookup {
                    phone: phone.clone(),
                    name: name.clone(),
                    desk: *desk,
                    reveal: reveal.clone(),
                    user: cli.user.clone(),
                    limit: *limit,
                })?;
                cli.print(&rows);
                return Ok(());
            }
            Ticket::Grant { id, to, reason } => {
                let granted = cli.ask(&Request::Grant {
                    id: id.clone(),
                    to: to.clone(),
                    reason: reason.clone(),
                    user: cli.user.clone(),
                })?;
                cli.print(&granted);
                return Ok(());
            }
            Ticket::Erase { id, reason } => {
                let erased = cli.ask(&Request::Erase {
                    id: id.clone(),
                    reason: reason.clone(),
                    user: cli.user.clone(),
                })?;
                cli.print(&erased);
                return Ok(());
            }
            Ticket::Reveals { id } => return reveals(cli, id.as_deref()),
            Ticket::Export => return export(cli),
            Ticket::Show { id, reveal } => {
                let shown = cli.ask(&Request::Show {
                    id: id.clone(),
                    reveal: reveal.clone(),
                    user: cli.user.clone(),
                })?;
                show::ticket(&shown, cli.json);
                return Ok(());
            }
            Ticket::Code { id } => return code(cli, id),
            Ticket::Choices { id, lang } => {
                let choices = cli.ask(&Request::Choices { id: id.clone(), language: lang.language() })?;
                show::choices(&choices, cli.json);
                return Ok(());
            }
            Ticket::History { id, lang } => {
                let story = cli.ask(&Request::History { id: id.clone(), language: lang.language() })?;
                show::story(&story, cli.json);
                return Ok(());
            }
            Ticket::Attach { id, file, name, media } => {
                let what = files::Attach {
                    of: files::Of::Tickets,
                    id,
                    file,
                    name: name.as_deref(),
                    media: media.as_deref(),
                    user: cli.user.as_deref(),
                };
                cli.print(&files::attach(cli, &what)?);
                return Ok(());
            }
            Ticket::Files { id, reveal } => {
                let (id, reveal, user) = (id.clone(), reveal.clone(), cli.user.clone());
                cli.print(&cli.ask(&Request::File(FileRequest::List { id, reveal, user }))?);
                return Ok(());
            }
            Ticket::Fetch { id, name, out, reveal } => {
                let (id, name) = (id.clone(), name.clone());
                let (reveal, user) = (reveal.clone(), cli.user.clone());
                cli.print(&files::fetch(
                    cli,
                    files::Of::Tickets,
                    FileRequest::Fetch { id, name, reveal, user },
                    out,
                )?);
                return Ok(());
            }
            Ticket::Note { id, text } => {
                let noted =
                    cli.ask(&Request::Note { id: id.clone(), text: text.clone(), user: cli.user.clone() })?;
                cli.print(&noted);
                return Ok(());
            }
            Ticket::Answer { id, text } => (id, Act::Answer { text: text.clone() }),
            Ticket::Redirect { id, to, text } => (id, Act::Redirect { to: to.clone(), text: text.clone() }),
            Ticket::Reject { id, reason } => (id, Act::Reject { reason: reason.clone() }),
            Ticket::Dispatch { id, to, text } => {
                (id, Act::Dispatch { department: to.clone(), text: text.clone() })
            }
            Ticket::Feedback { id, text } => (id, Act::Feedback { text: text.clone() }),
            Ticket::Progress { id, text } => (id, Act::Progress { text: text.clone() }),
            Ticket::Pause { id, reason } => (id, Act::Pause { reason: reason.clone() }),
            Ticket::Extend { id, reason, days, grant } => {
                (id, Act::Extend { days: *days, reason: reason.clone(), grant: grant.clone() })
            }
            Ticket::Reply { id, text, confirm } => {
                (id, Act::Reply { text: text.clone(), confirm: confirm.clone() })
            }
            Ticket::FollowUp { id, text, satisfied } => {
                (id, Act::FollowUp { text: text.clone(), satisfied: *satisfied })
            }
            Ticket::Urge { id, text } => (id, Act::Urge { text: text.clone() }),
            Ticket::Supervise { id, text } => (id, Act::Supervise { text: text.clone() }),
            Ticket::Escalate { id, reason } => (id, Act::Escalate { reason: reason.clone() }),
            Ticket::Merge { id, into } => (id, Act::Merge { into: into.clone() }),
            Ticket::Keep { id, reason } => (id, Act::Keep { reason: reason.clone() }),
            Ticket::Release { id, reason } => (id, Act::Release { reason: reason.clone() }),
            Ticket::Unmerge { id, reason } => (id, Act::Unmerge { reason: reason.clone() }),
            Ticket::Offer { id, to, reason } => (id, Act::Offer { to: to.clone(), reason: reason.clone() }),
            Ticket::Accept { id } => (id, Act::Accept {}),
            Ticket::Decline { id, reason } => (id, Act::Decline { reason: reason.clone() }),
            Ticket::Withdraw { id } => (id, Act::Withdraw {}),
            Ticket::Assign { id, to, reason } => (id, Act::Assign { to: to.clone(), reason: reason.clone() }),
            Ticket::Recall { id, reason } => (id, Act::Recall { reason: reason.clone() }),
            Ticket::Close { id, result } => (id, Act::Close { result: result.clone() }),
            Ticket::Reopen { id, reason } => (id, Act::Reopen { reason: reason.clone() }),
            Ticket::Correct { id, facts, reason } => {
                let to = |to: &String| Correction { from: None, to: to.clone() };
                let facts = facts.iter().map(|(name, value)| (name.clone(), to(value))).collect();
                (id, Act::Correct { facts, reason: reason.clone() })
            }
        };
        let done = cli.ask(&Request::Act { id: id.clone(), act, user: cli.user.clone() })?;
        cli.print(&done);
        Ok(())
    }
}

/// A fact and what is to stand there.
fn set(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write FACT=VALUE, like place=汽车站")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn take(cli: &Cli, args: &NewArgs) -> Result<(), Failure> {
    let tickets = match &args.from {
        Some(file) => import::read_lines(file)?,
        None => vec![typed(args)?],
    };
    let one = tickets.len() == 1;
    let mut session = Session::open(&cli.dir()?)?;
    let reference = session.reference()?;
    business(args, &reference.limits)?;
    category(args, &reference.categories)?;
    own_fields(args, &reference)?;
    tickets
        .iter()
        .enumerate()
        .try_for_each(|(i, ticket)| complete(i + 1, ticket, &reference, args.from.is_some()))?;
    let mut made = session.ask(&Request::New { tickets, user: cli.user.clone() })?;
    if !cli.json {
        // People want to know how many; the ids are for programs.
        for ticket in made.as_array_mut().into_iter().flatten() {
            ticket["earlier"] = json!(ticket["earlier"].as_array().map_or(0, Vec::len));
        }
    }
    cli.print(if one { &made[0] } else { &made });
    Ok(())
}

/// Whoever types a ticket names a business that has a time limit, or none of them: a slip would set another clock.
fn business(args: &NewArgs, limits: &Limits) -> Result<(), Failure> {
    let known = limits.businesses();
    match &args.business {
        Some(said) if said != OTHER && !known.contains(said.as_str()) => {
            let known: Vec<&str> = known.into_iter().chain([OTHER]).collect();
            Err(Failure::usage(format!("--business {said}: there is no such business"))
                .hint(format!("it is one of {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}

/// Whoever types a ticket names a domain and a topic that there are; what a file calls them is kept as it came.
fn category(args: &NewArgs, categories: &Categories) -> Result<(), Failure> {
    let all = "`hotline policy show categories` has all of them".to_owned();
    let mut within = None;
    if let Some(said) = &args.domain {
        let topic = || categories.topic(None, said).ok();
        let hint = || topic().map(|topic| format!("it is a topic: --topic {}", topic.code()));
        let unknown = |_| Failure::usage(format!("--domain {said}: there is no such domain"));
        within = Some(
            categories.domain(said).map_err(unknown).map_err(|e| e.hint(hint().unwrap_or(all.clone())))?,
        );
    }
    let Some(said) = &args.topic else { return Ok(()) };
    let elsewhere = within.and_then(|_| categories.domain_of(categories.topic(None, said).ok()?));
    match (categories.topic(within, said), elsewhere) {
        (Ok(_), _) => Ok(()),
        (Err(_), Some(domain)) => {
            Err(Failure::usage(format!("--topic {said} is one of {} {}", domain.code(), domain.name()))
                .hint("leave --domain out: the topic brings it"))
        }
        (Err(CategoryError::Unknown { .. }), None) => {
            Err(Failure::usage(format!("--topic {said}: there is no such topic")).hint(all))
        }
        (Err(e), None) => Err(Failure::usage(format!("--topic: {e}")).hint(all)),
    }
}

/// Whoever types a ticket names fields that the centre has; what a file calls them is kept as it came.
fn own_fields(args: &NewArgs, reference: &Reference) -> Result<(), Failure> {
    let unknown = |name: &&str| reference.fields.get(name).is_none();
    let Some(name) = args.fields.iter().map(|(name, _)| own_name(name)).find(unknown) else { return Ok(()) };
    let failure = Failure::usage(format!("--field {name}: this centre has no such field of its own"));
    let names: Vec<&str> = reference.fields.iter().map(OwnField::name).collect();
    Err(failure.hint(match names.as_slice() {
        [] => "it has none: `hotline policy set fields` defines them".to_owned(),
        names => format!("it has {}: `hotline policy show fields` tells more of them", names.join(", ")),
    }))
}

/// A field's name as its table has it; in a ticket's facts it begins with `x.`.
fn own_name(name: &str) -> &str {
    name.strip_prefix("x.").unwrap_or(name)
}

/// Whoever types a ticket fills in what the centre asks for. What else is wrong with it, the node says.
fn complete(n: usize, ticket: &Value, reference: &Reference, from_file: bool) -> Result<(), Failure> {
    let Ok(Ok(ticket)) = Sample::read(ticket, n).map(|sample| NewTicket::from_sample(sample, reference))
    else {
        return Ok(());
    };
    let mut unfit = ticket.unfit(reference, true).into_iter().map(|e| e.to_string());
    let Some(first) = unfit.next() else { return Ok(()) };
    let mut failure = Failure::usage(format!("ticket {n}: {first}"));
    failure.causes = unfit.collect();
    let how = if from_file { "a field of that name in its line" } else { "--field NAME=VALUE" };
    Err(failure.hint(format!("{how}; `hotline policy show fields` tells what this centre asks for")))
}

/// Prints number and query code of a ticket that is here.
fn code(cli: &Cli, id: &str) -> Result<(), Failure> {
    let shown = cli.ask(&Request::Show { id: id.to_owned(), reveal: None, user: cli.user.clone() })?;
    let number = shown["number"].as_str().and_then(|number| number.parse().ok()).ok_or_else(|| {
        Failure::new(
            FailureKind::NeedsPerson,
            "this ticket has no number that counts, so it has no query code",
        )
        .hint("its beginning does not count, or a newer version numbered it: `hotline ticket show`")
    })?;
    let code = super::user::open(&cli.dir()?)?.query_secret()?.code(number);
    cli.print(&json!({ "id": shown["id"], "number": shown["number"], "code": code.to_string() }));
    Ok(())
}

/// Prints the log of reveals; one that is not whole ends the command with the exit code for damage.
pub(super) fn reveals(cli: &Cli, id: Option<&str>) -> Result<(), Failure> {
    let log = cli.ask(&Request::Reveals { id: id.map(str::to_owned) })?;
    cli.print(if cli.json { &log } else { &log["lines"] });
    match log["wrong"].as_str() {
        None => Ok(()),
        Some(wrong) => {
            Err(Failure::new(FailureKind::Integrity, "the log of reveals is not as it was written")
                .because(wrong)
                .hint("keep a copy of vault.db and ask who had access to this machine"))
        }
    }
}

fn export(cli: &Cli) -> Result<(), Failure> {
    let mut session = Session::open(&cli.dir()?)?;
    let mut after = None;
    loop {
        let page = session.ask(&Request::Export { after, limit: 500 })?;
        for ticket in page["tickets"].as_array().into_iter().flatten() {
            show::line(&ticket.to_string());
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok(());
        }
    }
}

fn typed(args: &NewArgs) -> Result<Value, Failure> {
    let Some(text) = &args.text else {
        return Err(Failure::new(FailureKind::Usage, "what did the caller say?")
            .hint("give --text TEXT, or --from FILE with JSON"));
    };
    let mut fields = Map::new();
    fields.insert("text".to_owned(), json!(text));
    fields.insert("confidential".to_owned(), json!(args.confidential));
    let given = [
        ("subject", &args.subject),
        ("type", &args.business),
        ("domain", &args.domain),
        ("field", &args.topic),
        ("place", &args.place),
        ("plate", &args.plate),
        ("caller_phone", &args.phone),
        ("caller_name", &args.name),
        ("priority", &args.urgency),
        ("channel", &args.channel),
        ("against", &args.against),
    ];
    for (field, value) in given {
        if let Some(value) = value {
            fields.insert(field.to_owned(), json!(value));
        }
    }
    for (name, value) in &args.fields {
        let name = own_name(name);
        if fields.insert(name.to_owned(), json!(value)).is_some() {
            return Err(Failure::usage(format!("`{name}` is said twice")).hint("leave one of them out"));
        }
    }
    Ok(Value::Object(fields))
}
