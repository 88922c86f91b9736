//! `hotline demo`: a network on this machine, to look at and to play with.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::run::{ended, runtime};
use super::show;
use crate::demo::{self, Demo};
use crate::log::{self, LogOptions};
use crate::request::{Failure, FailureKind};

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
    let level = std::env::var("HOTLINE_LOG").unwrap_or_else(|_| "error".to_owned());
    log::begin(&LogOptions { level, ..LogOptions::default() })?;
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
