//! `hotline demo`: a network on this machine, to look at and to play with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::run::{ended, runtime};
use super::screen::Screen;
use super::show;
use crate::demo::{self, Demo};
use crate::log::{self, LogOptions};
use crate::request::{Failure, FailureKind};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    /// The first of ten ports: UDP for links, TCP for the nodes' desks and, on the last two, for the map and a page for citizens.
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

pub(super) fn demo(args: &DemoArgs, dir: Option<&Path>, as_json: bool) -> Result<(), Failure> {
    let told = dir.map(Path::to_owned);
    let words = match &args.command {
        Some(DemoCommand::Cut { a, b }) => Some(format!("cut {a} {b}")),
        Some(DemoCommand::Heal { a, b }) => Some(format!("heal {a} {b}")),
        Some(DemoCommand::Status) => Some("status".to_owned()),
        None => None,
    };
    if let Some(words) = words {
        let reply = demo::control(&told.unwrap_or_else(usual), &words)?;
        match (&args.command, as_json) {
            (Some(DemoCommand::Status), false) => {
                show::table(&rows(reply.as_array().map_or(&[], Vec::as_slice)))
            }
            _ => show::value(&reply, as_json),
        }
        return Ok(());
    }
    let level = std::env::var("HOTLINE_LOG").unwrap_or_else(|_| "error".to_owned());
    let _spans = log::begin(&LogOptions { level, ..LogOptions::default() }, None)?;
    let fresh = told.is_none();
    let dir = told.unwrap_or_else(usual);
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
    let stop = ended();
    tokio::pin!(stop);
    let begun = tokio::select! {
        begun = begin(args, dir) => begun?,
        () = &mut stop => return Ok(()), // the nodes that ran so far end with the process, as with kill -9
    };
    let mut said = Ok(());
    if args.headless {
        let mut say = |line: String| show::line(&line);
        said = tokio::select! {
            told = demo::tell(&begun, &mut say) => told,
            () = &mut stop => Err(Failure::new(FailureKind::Failed, "the story was interrupted")),
        };
        if said.is_ok() {
            show::table(&rows(&begun.status().await?));
        }
    } else {
        watch(&begun, dir, args.port, stop).await?;
    }
    begun.stop().await;
    said
}

async fn begin(args: &DemoArgs, dir: &Path) -> Result<Demo, Failure> {
    let first = !dir.join("000000").exists();
    let demo = Demo::start(dir, args.port, !args.headless, !args.headless).await?;
    if first {
        let articles = demo.load_articles().await?;
        let calls = demo.load_samples().await?;
        let past = match demo.past() {
            0 => String::new(),
            past => format!("; {past} tickets of last month and this one as well"),
        };
        show::line(&format!(
            "8 nodes run on 127.0.0.1, UDP {} to {}; {calls} sample calls are in, and {articles} articles{past}",
            args.port,
            args.port + 7
        ));
    }
    if !args.headless {
        demo.complete();
    }
    Ok(demo)
}

fn things_to_try(dir: &Path, port: u16) -> String {
    let there = if dir == usual() { String::new() } else { format!(" --dir {}", dir.display()) };
    format!(
        "three things to try in another terminal:\n\
         \x20 hotline demo cut 370100 370000{there}\n\
         \x20 hotline ticket new --dir {} --text '出租车拒载' --phone 13800000000\n\
         \x20 hotline demo heal 370100 370000{there}        and watch the outbox fall to 0 and the links become equal\n\
         or in a browser: http://127.0.0.1:{}/ is the map, with every node's desk (account {}, password {})\n\
         last month is there: http://127.0.0.1:{port}/figures is 统计分析 of the nation, /scorecard beside it who was best, http://127.0.0.1:{}/figures what citizens see\n\
         Ctrl-C ends everything",
        dir.join("370100").display(),
        Demo::map_port(port),
        demo::ACCOUNT.name,
        demo::ACCOUNT.password,
        Demo::public_port(port),
    )
}

/// Where a demo lies that was told nothing else.
fn usual() -> PathBuf {
    std::env::temp_dir().join("hotline-demo")
}

/// The live table, until the person has seen enough. Where there is no terminal, the words alone.
async fn watch(demo: &Demo, dir: &Path, port: u16, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    tokio::pin!(stop);
    let Some(mut screen) = Screen::open() else {
        show::line(&things_to_try(dir, port));
        stop.await;
        return Ok(());
    };
    loop {
        let all = demo.status().await?;
        screen.draw(&format!("{}\n\n{}", show::table_text(&rows(&all)), things_to_try(dir, port)));
        tokio::select! {
            enough = screen.enough(Duration::from_millis(500)) => if enough { return Ok(()) },
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
                if let Some(by_stick) = p["by_stick"].as_str() {
                    return format!("{node} by stick: {by_stick}");
                }
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
