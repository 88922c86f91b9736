//! The command line: what was typed becomes a request; the reply becomes words, a table, or JSON.

mod cert;
mod run;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value, json};

use crate::daemon::{ask_running, now_ms};
use crate::engine::{Engine, Options};
use crate::request::{Act, Failure, FailureKind, Language, Reply, Request};

/// 12328 hotline: an offline-first node for complaints and work orders.
#[derive(Debug, Parser)]
#[command(name = "hotline", version, propagate_version = true)]
pub struct Cli {
    /// The node's data directory.
    #[arg(long, global = true, env = "HOTLINE_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One JSON document on stdout.
    #[arg(long, global = true)]
    json: bool,
    /// Who sits at the desk; written into entries and into the log of revealed persons.
    #[arg(long, global = true, env = "HOTLINE_USER", value_name = "NAME")]
    user: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A network of eight nodes on this machine, with sample data.
    Demo(run::DemoArgs),
    /// Authorities, identities and revocations.
    #[command(subcommand)]
    Cert(cert::Cert),
    /// Makes a data directory for an identity.
    Init {
        /// The identity's directory, as `hotline cert node` made it.
        #[arg(long, value_name = "DIR")]
        identity: PathBuf,
    },
    /// Runs the node until SIGTERM or Ctrl-C.
    Run(run::RunArgs),
    /// Tickets.
    #[command(subcommand)]
    Ticket(Ticket),
    /// This replica and its peers.
    #[command(subcommand)]
    Replica(Replica),
}

#[derive(Debug, Args)]
struct NewArgs {
    /// What the caller said.
    #[arg(long)]
    text: Option<String>,
    /// JSON or JSON lines of `samples.jsonl` shape; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
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
    /// 举报人保密.
    #[arg(long)]
    confidential: bool,
}

#[derive(Debug, Subcommand)]
enum Ticket {
    /// Takes a call.
    New(Box<NewArgs>),
    /// Takes the calls of a file of JSON lines.
    Import {
        /// The file; `-` reads standard input.
        file: PathBuf,
    },
    /// A queue, the newest first.
    List {
        /// held, to-accept, offered, returned, open, closed, conflicts, all.
        #[arg(long, default_value = "all")]
        queue: String,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Full text: words of two characters, pinyin, numbers, plates.
    Search {
        /// What to look for.
        text: String,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
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
    /// What happened to a ticket, who holds it and why.
    History {
        /// Id, unambiguous prefix or number.
        id: String,
        /// zh or en.
        #[arg(long, default_value = "zh")]
        lang: String,
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
        #[arg(long)]
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

#[derive(Debug, Subcommand)]
enum Replica {
    /// Documents, items, links, proofs.
    Status,
    /// The links alone.
    Peers,
    /// The fingerprint of what a peer and this node must both hold.
    Digest {
        #[arg(long, value_name = "NODE")]
        peer: String,
    },
    /// What a peer lacks, and why.
    Diff {
        node: String,
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Superseded entries, close proposals, ties.
    Conflicts,
    /// Hashes everything anew and checks every seal.
    Verify,
    /// Makes all projections anew.
    Rebuild,
    /// What the node told its operator since it started.
    Events,
    /// The status, again every second.
    Watch,
    /// Says that this machine's date is right.
    ConfirmClock,
}

/// Runs the command line and returns its exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { FailureKind::Usage.exit_code() } else { 0 };
        }
    };
    match cli.run() {
        Ok(()) => 0,
        Err(failure) => {
            show::failure(&failure, cli.json);
            failure.kind.exit_code()
        }
    }
}

impl Cli {
    fn dir(&self) -> Result<&Path, Failure> {
        self.dir.as_deref().ok_or_else(|| {
            Failure::new(FailureKind::Usage, "which node? its data directory is not given")
                .hint("add --dir DIR or set HOTLINE_DIR")
        })
    }

    /// Asks the node that runs on the directory; without one works on the directory itself.
    fn ask(&self, request: &Request) -> Reply {
        ask(self.dir()?, request)
    }

    fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Command::Demo(args) => run::demo(args, self.dir.as_deref(), self.json),
            Command::Cert(command) => command.run(self),
            Command::Init { identity } => {
                let dir = self.dir()?;
                let mut identity = certs::Identity::load(identity).map_err(|e| {
                    Failure::new(FailureKind::Configuration, "the identity cannot be read").because(e)
                })?;
                Engine::init(dir, &mut identity)?;
                self.print(&json!({ "node": identity.node(), "dir": dir }));
                Ok(())
            }
            Command::Run(args) => run::run(args, self.dir()?),
            Command::Ticket(ticket) => self.ticket(ticket),
            Command::Replica(replica) => self.replica(replica),
        }
    }

    fn print(&self, value: &Value) {
        show::value(value, self.json);
    }

    fn replica(&self, replica: &Replica) -> Result<(), Failure> {
        let request = match replica {
            Replica::Status | Replica::Peers => Request::Status,
            Replica::Digest { peer } => Request::Digest { peer: peer.clone() },
            Replica::Diff { node, limit } => Request::Diff { peer: node.clone(), limit: *limit },
            Replica::Conflicts => Request::Conflicts,
            Replica::Verify => Request::Verify,
            Replica::Rebuild => Request::Rebuild,
            Replica::Events => Request::Events,
            Replica::ConfirmClock => Request::ConfirmClock,
            Replica::Watch => loop {
                let status = self.ask(&Request::Status)?;
                show::clear();
                show::value(&status, false);
                std::thread::sleep(std::time::Duration::from_secs(1));
            },
        };
        let value = self.ask(&request)?;
        match replica {
            Replica::Peers => self.print(&value["peers"]),
            _ => self.print(&value),
        }
        Ok(())
    }

    fn ticket(&self, ticket: &Ticket) -> Result<(), Failure> {
        let (id, act) = match ticket {
            Ticket::New(args) => return self.new_ticket(args),
            Ticket::Import { file } => return run::import(file, self.dir()?, self.user.clone(), self.json),
            Ticket::List { queue, limit } => {
                let rows = self.ask(&Request::List { queue: queue.clone(), limit: *limit, before: None })?;
                self.print(&rows);
                return Ok(());
            }
            Ticket::Search { text, limit } => {
                let rows = self.ask(&Request::Search { text: text.clone(), limit: *limit })?;
                self.print(&rows);
                return Ok(());
            }
            Ticket::Export => return self.export(),
            Ticket::Show { id, reveal } => {
                let shown = self.ask(&Request::Show {
                    id: id.clone(),
                    reveal: reveal.clone(),
                    user: self.user.clone(),
                })?;
                self.print(&shown);
                return Ok(());
            }
            Ticket::History { id, lang } => {
                let language = match lang.as_str() {
                    "zh" => Language::Zh,
                    "en" => Language::En,
                    other => {
                        return Err(Failure::new(
                            FailureKind::Usage,
                            format!("`{other}` is not a language of this program"),
                        )
                        .hint("zh or en"));
                    }
                };
                let story = self.ask(&Request::History { id: id.clone(), language })?;
                show::story(&story, self.json);
                return Ok(());
            }
            Ticket::Note { id, text } => {
                let noted =
                    self.ask(&Request::Note { id: id.clone(), text: text.clone(), user: self.user.clone() })?;
                self.print(&noted);
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
            Ticket::Unmerge { id, reason } => (id, Act::Unmerge { reason: reason.clone() }),
            Ticket::Offer { id, to, reason } => (id, Act::Offer { to: to.clone(), reason: reason.clone() }),
            Ticket::Accept { id } => (id, Act::Accept {}),
            Ticket::Decline { id, reason } => (id, Act::Decline { reason: reason.clone() }),
            Ticket::Withdraw { id } => (id, Act::Withdraw {}),
            Ticket::Assign { id, to, reason } => (id, Act::Assign { to: to.clone(), reason: reason.clone() }),
            Ticket::Recall { id, reason } => (id, Act::Recall { reason: reason.clone() }),
            Ticket::Close { id, result } => (id, Act::Close { result: result.clone() }),
            Ticket::Reopen { id, reason } => (id, Act::Reopen { reason: reason.clone() }),
        };
        let done = self.ask(&Request::Act { id: id.clone(), act, user: self.user.clone() })?;
        self.print(&done);
        Ok(())
    }

    fn new_ticket(&self, args: &NewArgs) -> Result<(), Failure> {
        let tickets = match &args.from {
            Some(file) => run::read_lines(file)?,
            None => vec![typed(args)?],
        };
        let one = tickets.len() == 1;
        let made = self.ask(&Request::New { tickets, user: self.user.clone() })?;
        self.print(if one { &made[0] } else { &made });
        Ok(())
    }

    fn export(&self) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let page = self.ask(&Request::Export { after, limit: 500 })?;
            for ticket in page["tickets"].as_array().into_iter().flatten() {
                show::line(&ticket.to_string());
            }
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                return Ok(());
            }
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
    ];
    for (field, value) in given {
        if let Some(value) = value {
            fields.insert(field.to_owned(), json!(value));
        }
    }
    Ok(Value::Object(fields))
}

fn ask(dir: &Path, request: &Request) -> Reply {
    if let Some(reply) = ask_running(dir, request) {
        return reply;
    }
    let mut engine = Engine::open(dir, &Options::drawn()?)?;
    engine.begin(now_ms())?;
    let reply = engine.ask(request);
    engine.commit()?;
    reply
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_sound() {
        super::Cli::command().debug_assert();
    }
}
