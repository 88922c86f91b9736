//! `hotline run`: the daemon.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use certs::NodeName;
use clap::{Args, ValueEnum};
use sync::quic::Congestion;

use crate::daemon::{Node, RunOptions};
use crate::request::{Failure, FailureKind};

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

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(FailureKind::Failed, "the runtime could not be started").because(e))
}

pub(super) fn log(quiet: bool) {
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

pub(super) async fn ended() {
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
