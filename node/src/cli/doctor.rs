//! `hotline doctor` for people, `hotline check` for monitoring systems.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{Cli, Session, show};
use crate::daemon::{ask_running, is_running, now_ms};
use crate::doctor::{self, Finding, Look, Severity, examine};
use crate::request::{Failure, FailureKind, Request};

/// How long an outbox is given to become less.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Also hashes every item and checks every seal.
    #[arg(long)]
    deep: bool,
    /// Writes an archive for whoever is asked for help: findings, status, configuration, events. Nothing in it names a
    /// caller, quotes a ticket or holds a key.
    #[arg(long, value_name = "FILE.tar.zst")]
    bundle: Option<PathBuf>,
}

impl DoctorArgs {
    /// Says what was found. Exit code 6 when a person should look at something.
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let dir = cli.dir()?;
        let running = is_running(&dir);
        let (mut look, events) = match Session::open(&dir) {
            Ok(mut session) => {
                let look = doctor::look(&dir, running, now_ms() as i64, self.deep, PAUSE, |r| session.ask(r));
                (look, session.ask(&Request::Events).unwrap_or_default())
            }
            Err(failure) => {
                let look =
                    doctor::look(&dir, running, now_ms() as i64, false, PAUSE, doctor::unasked(failure));
                (look, Value::Null)
            }
        };
        let configuration = cli.config(Vec::new());
        if let Err(failure) = &configuration {
            look.configuration = Some([&[failure.message.clone()][..], &failure.causes].concat().join(": "));
        }
        let found = examine(&look);
        let worst = found.first().map_or(Severity::Fine, |finding| finding.severity);
        if let Some(file) = &self.bundle {
            let explained = configuration.map_or(Value::Null, |config| json!(config.explain()));
            bundle(file, &look, &found, &explained, &events)?;
        }
        match cli.json {
            true => cli.print(&json!({ "worst": worst, "findings": found, "bundle": self.bundle })),
            false => tell(&found, self.bundle.as_deref()),
        }
        if worst >= Severity::Warning {
            let count = found.iter().filter(|finding| finding.severity >= Severity::Warning).count();
            return Err(Failure::new(FailureKind::NeedsPerson, format!("{count} findings want a person")));
        }
        Ok(())
    }
}

fn tell(found: &[Finding], bundle: Option<&Path>) {
    for Finding { topic, severity, what, next } in found {
        let (mark, reset) = match severity {
            Severity::Critical => ("\x1b[31m!!", "\x1b[0m"),
            Severity::Warning => ("\x1b[33m! ", "\x1b[0m"),
            Severity::Notice => ("\x1b[36mi ", "\x1b[0m"),
            Severity::Fine => ("\x1b[32mok", "\x1b[0m"),
        };
        show::line(&format!("{mark}{reset}  {topic:<14} {what}"));
        if let Some(next) = next {
            show::line(&format!("    {:<14} next: {next}", ""));
        }
    }
    if let Some(file) = bundle {
        show::aside(&format!(
            "written for whoever helps: {}; look into it before you send it",
            file.display()
        ));
    }
}

/// Writes the archive for whoever helps.
fn bundle(
    file: &Path,
    look: &Look,
    found: &[Finding],
    config: &Value,
    events: &Value,
) -> Result<(), Failure> {
    let fail = |e: std::io::Error| {
        Failure::new(FailureKind::Failed, format!("{} cannot be written", file.display())).because(e)
    };
    let status = look.status.as_ref().map_or_else(|failure| json!({ "failure": failure }), Clone::clone);
    let program = json!({ "version": look.version, "now": look.now, "running": look.running, "log_bytes": look.log_bytes });
    let parts = [
        ("findings.json", json!(found)),
        ("status.json", status),
        ("configuration.json", config.clone()),
        ("events.json", events.clone()),
        ("program.json", program),
    ];
    let out = std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(fail)?;
    let write = || -> std::io::Result<()> {
        let mut tar = tar::Builder::new(zstd::Encoder::new(out, 3)?);
        for (name, value) in parts {
            let bytes = serde_json::to_vec_pretty(&value)?;
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes.as_slice())?;
        }
        let mut out = tar.into_inner()?.finish()?;
        out.flush()?;
        out.sync_all()
    };
    write().map_err(fail)
}

/// Says one line for a monitoring system, with its exit codes (Monitoring Plugins guidelines): 0 OK, 1 WARNING,
/// 2 CRITICAL, 3 UNKNOWN.
pub(super) fn check(cli: &Cli) -> u8 {
    let dir = match cli.dir() {
        Ok(dir) => dir,
        Err(failure) => {
            show::line(&format!("HOTLINE UNKNOWN - {failure}"));
            return 3;
        }
    };
    let now = now_ms() as i64;
    let stopped = || {
        Failure::new(FailureKind::Unreachable, "the node does not run")
            .hint("systemctl start hotline; what it said last: journalctl -u hotline -n 50")
    };
    let look = doctor::look(&dir, is_running(&dir), now, false, PAUSE, |request| {
        ask_running(&dir, request).unwrap_or_else(|| Err(stopped()))
    });
    let found = examine(&look);
    let worst = found.first().map_or(Severity::Fine, |finding| finding.severity);
    let (word, code) = match worst {
        Severity::Fine | Severity::Notice => ("OK", 0),
        Severity::Warning => ("WARNING", 1),
        Severity::Critical => ("CRITICAL", 2),
    };
    let status = look.status.clone().unwrap_or_default();
    let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
    let linked = peers.iter().filter(|p| p["connected"] == true).count();
    let outbox: u64 = peers.iter().filter_map(|p| p["outbox"].as_u64()).sum();
    let said: Vec<&str> =
        found.iter().filter(|f| f.severity >= Severity::Warning).map(|f| f.what.as_str()).collect();
    let said = match said.is_empty() {
        true => format!("{linked} of {} links up, {outbox} changes wait", peers.len()),
        false => said.join("; "),
    };
    if cli.json {
        show::line(&json!({ "state": word, "code": code, "findings": found }).to_string());
        return code;
    }
    show::line(&format!(
        "HOTLINE {word} - {} | links={linked};;;0;{} outbox={outbox} documents={} disk_free={}B",
        said.replace('|', "/"),
        peers.len(),
        status["documents"].as_u64().unwrap_or(0),
        look.disk.map_or(0, |disk| disk.free)
    ));
    code
}
