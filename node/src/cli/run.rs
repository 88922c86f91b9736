//! What takes longer than a question: the daemon, the demo, an import.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use certs::NodeName;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sync::quic::Congestion;

use super::{ask, show};
use crate::daemon::{Node, RunOptions};
use crate::demo::{self, Demo};
use crate::request::{Failure, FailureKind, Request};

/// Tickets in one request of an import.
const CHUNK: usize = 500;

/// The largest file that is read into memory.
const MAX_FILE: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Control {
    /// For long and lossy links.
    Bbr,
    /// For links shared with others.
    Cubic,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Where to listen for links (UDP).
    #[arg(long, env = "HOTLINE_LISTEN", default_value = "0.0.0.0:12328")]
    listen: SocketAddr,
    /// A peer and where it is; several addresses are tried in turn.
    #[arg(long, value_name = "NODE=ADDR[,ADDR]")]
    peer: Vec<String>,
    /// Where health and metrics are served (loopback only).
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// How links spend bandwidth.
    #[arg(long, value_enum, default_value_t = Control::Bbr)]
    congestion: Control,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    /// The first of eight UDP ports.
    #[arg(long, default_value_t = 12_400)]
    port: u16,
    /// Tells the story as a script and ends.
    #[arg(long)]
    headless: bool,
}

#[derive(Debug, Subcommand)]
enum DemoCommand {
    /// Cuts a link of the running demo.
    Cut { a: String, b: String },
    /// Heals it.
    Heal { a: String, b: String },
    /// Every node of the running demo.
    Status,
}

fn peers(given: &[String]) -> Result<BTreeMap<NodeName, Vec<SocketAddr>>, Failure> {
    let mut peers = BTreeMap::new();
    for one in given {
        let wrong = |why: String| {
            Failure::new(FailureKind::Usage, format!("--peer {one}: {why}"))
                .hint("like --peer 370000=10.37.0.1:12328")
        };
        let (node, addresses) = one.split_once('=').ok_or_else(|| wrong("there is no `=`".to_owned()))?;
        let node: NodeName = node.parse().map_err(|e: certs::NameError| wrong(e.to_string()))?;
        let addresses: Vec<SocketAddr> = addresses
            .split(',')
            .map(|a| a.parse().map_err(|_| wrong(format!("`{a}` is not an address with a port"))))
            .collect::<Result<_, _>>()?;
        peers.entry(node).or_insert_with(Vec::new).extend(addresses);
    }
    Ok(peers)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(FailureKind::Failed, "the runtime could not be started").because(e))
}

fn log(quiet: bool) {
    use tracing_subscriber::EnvFilter;
    let default = if quiet { "error" } else { "info,quinn=warn" };
    let filter = EnvFilter::try_from_env("HOTLINE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
    // automerge panics on some hostile changes; the gate contains that, and a contained panic is no news here.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let inside = panic.location().is_some_and(|l| l.file().contains("automerge"));
        if !inside {
            before(panic);
        }
    }));
}

async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

pub(super) fn run(args: &RunArgs, dir: &Path) -> Result<(), Failure> {
    log(false);
    let options = RunOptions {
        dir: dir.to_owned(),
        listen: args.listen,
        peers: peers(&args.peer)?,
        http: args.http,
        congestion: match args.congestion {
            Control::Bbr => Congestion::Bbr,
            Control::Cubic => Congestion::Cubic,
        },
    };
    runtime()?.block_on(async {
        let node = Node::start(options).await?;
        tracing::info!(node = %node.name(), "running");
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
        let beat = tokio::spawn(async {
            loop {
                tokio::time::sleep(Duration::from_secs(10)).await;
                let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Watchdog]);
            }
        });
        ended().await;
        beat.abort();
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopping");
        node.stop().await;
        Ok(())
    })
}

pub(super) fn demo(args: &DemoArgs, dir: Option<&Path>, as_json: bool) -> Result<(), Failure> {
    let usual = std::env::temp_dir().join("hotline-demo");
    let told = dir.map(Path::to_owned);
    let words = match &args.command {
        Some(DemoCommand::Cut { a, b }) => Some(format!("cut {a} {b}")),
        Some(DemoCommand::Heal { a, b }) => Some(format!("heal {a} {b}")),
        Some(DemoCommand::Status) => Some("status".to_owned()),
        None => None,
    };
    if let Some(words) = words {
        let reply = demo::control(&told.unwrap_or(usual), &words)?;
        match (&args.command, as_json) {
            (Some(DemoCommand::Status), false) => {
                show::table(&rows(reply.as_array().map_or(&[], Vec::as_slice)))
            }
            _ => show::value(&reply, as_json),
        }
        return Ok(());
    }
    log(true);
    let fresh = told.is_none();
    let dir = told.unwrap_or(usual);
    if fresh {
        if demo::control(&dir, "status").is_ok() {
            return Err(Failure::new(FailureKind::Failed, "a demo is running already")
                .hint("look at it: `hotline demo status`"));
        }
        let _ = std::fs::remove_dir_all(&dir);
    }
    let result = runtime()?.block_on(play(args, &dir));
    if fresh {
        let _ = std::fs::remove_dir_all(&dir);
    }
    result
}

async fn play(args: &DemoArgs, dir: &Path) -> Result<(), Failure> {
    let first = !dir.join("000000").exists();
    let demo = Demo::start(dir, args.port).await?;
    let mut said = Ok(());
    if first {
        let calls = demo.load_samples().await?;
        show::line(&format!(
            "8 nodes run on 127.0.0.1, UDP {} to {}; {calls} sample calls are in",
            args.port,
            args.port + 7
        ));
    }
    if args.headless {
        said = demo::tell(&demo, &mut |line| show::line(&line)).await;
        if said.is_ok() {
            show::table(&rows(&demo.status().await?));
        }
    } else {
        watch(&demo, dir).await?;
    }
    demo.stop().await;
    said
}

/// The live table, until Ctrl-C.
async fn watch(demo: &Demo, dir: &Path) -> Result<(), Failure> {
    let stop = ended();
    tokio::pin!(stop);
    loop {
        let all = demo.status().await?;
        show::clear();
        show::table(&rows(&all));
        show::line("\nthree things to try in another terminal:");
        show::line("  hotline demo cut 370100 370000");
        show::line(&format!(
            "  hotline ticket new --dir {} --text '出租车拒载' --phone 13800000000",
            dir.join("370100").display()
        ));
        show::line(
            "  hotline demo heal 370100 370000        and watch the outbox fall to 0 and the links become equal",
        );
        show::line("Ctrl-C ends everything");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = &mut stop => return Ok(()),
        }
    }
}

/// A line a node: what a person looks for first.
fn rows(all: &[Value]) -> Vec<Value> {
    let row = |s: &Value| {
        let peers: Vec<&Value> = s["peers"].as_array().into_iter().flatten().collect();
        let links: Vec<String> = peers
            .iter()
            .map(|p| {
                let node = p["node"].as_str().unwrap_or_default();
                match (p["connected"] == true, p["digest_equal"] == true) {
                    (true, true) => format!("{node} equal"),
                    (true, false) => format!("{node} talking"),
                    (false, _) => format!("{node} DOWN"),
                }
            })
            .collect();
        let outbox: u64 = peers.iter().filter_map(|p| p["outbox"].as_u64()).sum();
        json!({
            "node": s["node"], "documents": s["documents"], "custody": s["custody"], "items": s["items"],
            "outbox": outbox, "links": links.join(", "),
        })
    };
    all.iter().map(row).collect()
}

/// JSON or JSON lines of a file, or of standard input for `-`.
pub(super) fn read_lines(file: &Path) -> Result<Vec<Value>, Failure> {
    let unreadable = |e: std::io::Error| {
        Failure::new(FailureKind::Failed, format!("{} cannot be read", file.display())).because(e)
    };
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        std::fs::File::open(file)
            .map_err(unreadable)?
            .take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
    }
    if let Ok(Value::Array(all)) = serde_json::from_str(&text) {
        return Ok(all);
    }
    if let Ok(one @ Value::Object(_)) = serde_json::from_str(&text) {
        return Ok(vec![one]);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                Failure::new(
                    FailureKind::Usage,
                    format!("{}, line {}: not a JSON object", file.display(), i + 1),
                )
                .because(e)
                .hint("write one JSON object a line with at least `text`")
            })
        })
        .collect()
}

pub(super) fn import(file: &Path, dir: &Path, user: Option<String>, as_json: bool) -> Result<(), Failure> {
    let tickets = read_lines(file)?;
    let total = tickets.len();
    let bar = ProgressBar::new(total as u64);
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} tickets, {per_sec}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let began = Instant::now();
    for chunk in tickets.chunks(CHUNK) {
        ask(dir, &Request::New { tickets: chunk.to_vec(), user: user.clone() })?;
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    show::value(
        &json!({ "imported": total, "seconds": (seconds * 1000.0).round() / 1000.0, "per_second": (total as f64 / seconds.max(0.001)).round() }),
        as_json,
    );
    Ok(())
}
