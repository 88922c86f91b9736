//! `hotline run`: the daemon.

use std::collections::BTreeMap;

use clap::Args;

use crate::config::Config;
use crate::daemon::{Node, RunOptions, watchdog};
use crate::log;
use crate::request::{Failure, FailureKind};

/// What a flag says outranks environment and file; see `hotline config check`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Where to listen for links (UDP) [default: 0.0.0.0:12328] [env: HOTLINE_LISTEN].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// A peer and where it is; several addresses are tried in turn, and one without an address is waited for
    /// [env: HOTLINE_PEERS].
    #[arg(long, value_name = "NODE=[ADDR[,ADDR]]")]
    peer: Vec<String>,
    /// Where health and metrics are served, on loopback, or `off` [default: off] [env: HOTLINE_HTTP].
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// How links spend bandwidth: bbr, cubic, or a rate in bits a second like rate:2M [default: bbr]
    /// [env: HOTLINE_CONGESTION].
    #[arg(long, value_name = "CONTROL")]
    congestion: Option<String>,
    /// Bytes a second that files may take of all links, or `off` [default: off] [env: HOTLINE_FILES_RATE].
    #[arg(long, value_name = "BYTES")]
    files_rate: Option<String>,
    /// The largest file that is attached here [default: 256M] [env: HOTLINE_FILES_MAX_SIZE].
    #[arg(long, value_name = "BYTES")]
    files_max_size: Option<String>,
    /// Most files of a ticket that are attached here [default: 64] [env: HOTLINE_FILES_PER_TICKET].
    #[arg(long, value_name = "NUMBER")]
    files_per_ticket: Option<String>,
    /// Free disk space that files leave alone [default: 1G] [env: HOTLINE_FILES_RESERVE].
    #[arg(long, value_name = "BYTES")]
    files_reserve: Option<String>,
    /// After how many days the callers' data and recordings of ended tickets that this site holds are erased, or `off`
    /// [default: off] [env: HOTLINE_RETENTION_DAYS].
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<String>,
    /// Where agents work in their browsers (TCP), or `off`; HTTPS unless it is loopback [default: off] [env: HOTLINE_DESK].
    #[arg(long, value_name = "ADDR")]
    desk: Option<String>,
    /// The names and addresses by which browsers reach the desk, between commas [env: HOTLINE_DESK_NAMES].
    #[arg(long, value_name = "NAMES")]
    desk_names: Option<String>,
    /// A certificate chain of one's own for the desk, as PEM [env: HOTLINE_DESK_CERTIFICATE].
    #[arg(long, value_name = "FILE")]
    desk_certificate: Option<String>,
    /// Its key, as PEM [env: HOTLINE_DESK_KEY].
    #[arg(long, value_name = "FILE")]
    desk_key: Option<String>,
    /// Where citizens file and look up in their browsers (TCP), or `off` [default: off] [env: HOTLINE_PUBLIC].
    #[arg(long, value_name = "ADDR")]
    public: Option<String>,
    /// The reverse proxies before the public page, between commas: only what these say of a client's address is believed
    /// [env: HOTLINE_PUBLIC_PROXIES].
    #[arg(long, value_name = "IP,...")]
    public_proxies: Option<String>,
    /// Most tickets that are taken by the public page in an hour [default: 200] [env: HOTLINE_PUBLIC_PER_HOUR].
    #[arg(long, value_name = "NUMBER")]
    public_per_hour: Option<String>,
    /// Whether the public page serves programs by Open311: on or off [default: off] [env: HOTLINE_PUBLIC_OPEN311].
    #[arg(long, value_name = "on|off")]
    public_open311: Option<String>,
    /// Whether the public page tells last year's figures by month: on or off [default: off] [env: HOTLINE_PUBLIC_FIGURES].
    #[arg(long, value_name = "on|off")]
    public_figures: Option<String>,
    /// A certificate chain for the public page, as PEM, where no proxy speaks HTTPS for it [env: HOTLINE_PUBLIC_CERTIFICATE].
    #[arg(long, value_name = "FILE")]
    public_certificate: Option<String>,
    /// Its key, as PEM [env: HOTLINE_PUBLIC_KEY].
    #[arg(long, value_name = "FILE")]
    public_key: Option<String>,
    /// Where a gateway brings short messages (TCP), or `off`; the rest of `sms` is in the file [default: off] [env: HOTLINE_SMS].
    #[arg(long, value_name = "ADDR")]
    sms: Option<String>,
    /// Where the telephone system rings the node by SIP (UDP), or `off`; the rest of `sip` is in the file [default: off] [env: HOTLINE_SIP].
    #[arg(long, value_name = "ADDR")]
    sip: Option<String>,
    /// What is logged: a level, or several for parts of the program [env: HOTLINE_LOG].
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// auto, human, json or journald [default: auto] [env: HOTLINE_LOG_FORMAT].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// A collector on this machine that spans go to by OTLP, like http://127.0.0.1:4318, or `off`; only in programs that
    /// were built with the feature `otlp` [default: off] [env: HOTLINE_LOG_OTLP].
    #[arg(long, value_name = "URL")]
    log_otlp: Option<String>,
}

impl RunArgs {
    /// The flags that were given, as keys and values of the configuration.
    pub(super) fn flags(&self) -> Result<Vec<(String, String)>, Failure> {
        let single = [
            ("links.listen", &self.listen),
            ("http.listen", &self.http),
            ("desk.listen", &self.desk),
            ("desk.names", &self.desk_names),
            ("desk.certificate", &self.desk_certificate),
            ("desk.key", &self.desk_key),
            ("public.listen", &self.public),
            ("public.proxies", &self.public_proxies),
            ("public.per_hour", &self.public_per_hour),
            ("public.open311", &self.public_open311),
            ("public.figures", &self.public_figures),
            ("public.certificate", &self.public_certificate),
            ("public.key", &self.public_key),
            ("sms.listen", &self.sms),
            ("sip.listen", &self.sip),
            ("links.congestion", &self.congestion),
            ("files.rate", &self.files_rate),
            ("files.max_size", &self.files_max_size),
            ("files.per_ticket", &self.files_per_ticket),
            ("files.reserve", &self.files_reserve),
            ("retention.days", &self.retention_days),
            ("log.level", &self.log_level),
            ("log.format", &self.log_format),
            ("log.otlp", &self.log_otlp),
        ];
        let mut flags: Vec<(String, String)> =
            single.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect();
        let mut peers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for one in &self.peer {
            let (node, addresses) = one.split_once('=').ok_or_else(|| {
                Failure::new(FailureKind::Usage, format!("--peer {one}: there is no `=`"))
                    .hint("like --peer 370000=10.37.0.1:12328, or --peer 370000= for one that dials us")
            })?;
            peers.entry(node).or_default().push(addresses);
        }
        flags.extend(peers.into_iter().map(|(node, all)| (format!("peers.{node}"), all.join(","))));
        Ok(flags)
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64) // the desk's accounts; the unit allows 512 tasks in all
        .enable_all()
        .build()
        .map_err(|e| Failure::new(FailureKind::Failed, "the runtime could not be started").because(e))
}

pub(super) async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// A node does not talk to itself: the line was meant for another node's file.
pub(super) fn not_its_own_peer(config: &Config) -> Result<(), Failure> {
    let Some(dir) = &config.dir else { return Ok(()) };
    match certs::Identity::load(&dir.join(crate::engine::IDENTITY)) {
        Ok(identity) if config.peers.contains_key(&identity.node()) => {
            let node = identity.node();
            Err(Failure::new(FailureKind::Configuration, format!("{node} is named as a peer of itself"))
                .because(config.origin(&format!("peers.{node}")))
                .hint("take that peer out"))
        }
        _ => Ok(()), // what is wrong with the identity is said when the node starts
    }
}

pub(super) fn run(config: Config) -> Result<(), Failure> {
    let dir = config.dir.clone().ok_or_else(super::no_directory)?;
    not_its_own_peer(&config)?;
    let instance =
        certs::Identity::load(&dir.join(crate::engine::IDENTITY)).map(|i| i.node().to_string()).ok();
    let _spans = log::begin(&config.log, instance.as_deref())?;
    let options = RunOptions {
        dir,
        listen: config.listen,
        peers: config.peers,
        http: config.http,
        congestion: config.congestion,
        files: config.files,
        desk: config.desk,
        public: config.public,
        sms: config.sms,
        sip: config.sip,
        retention: config.retention,
    };
    runtime()?.block_on(async {
        let node = Node::start(options).await?;
        tracing::info!(node = %node.name(), "running");
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
        let beat = tokio::spawn(watchdog::feed(node.clone()));
        ended().await;
        beat.abort();
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopping");
        node.stop().await;
        Ok(())
    })
}
