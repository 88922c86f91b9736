//! The log of a running node: where it goes, in which form, and how much of it.
//!
//! It goes to standard error: to a person when that is a terminal, as JSON lines otherwise, and with all its fields
//! to the journal when systemd connected it there (`JOURNAL_STREAM`). No personal data and no key is ever logged: what
//! carries one (a sample, a ticket's key) shows neither in its `Debug`, and errors quote no content.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::request::{Failure, FailureKind};

#[cfg(feature = "otlp")]
mod otlp;

/// What is logged unless somebody says otherwise.
pub const LEVEL: &str = "info,quinn=warn";

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Whatever suits the place it goes to.
    #[default]
    Auto,
    /// For a person.
    Human,
    /// A JSON object a line.
    Json,
    /// The journal's own protocol.
    Journald,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "auto" => Ok(Format::Auto),
            "human" => Ok(Format::Human),
            "json" => Ok(Format::Json),
            "journald" => Ok(Format::Journald),
            other => Err(format!("`{other}` is none of auto, human, json and journald")),
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A level, or several for parts of the program: `info,sync=debug`.
    pub level: String,
    /// The form.
    pub format: Format,
    /// The collector on this machine that spans go to, if the program is built with it.
    pub otlp: Option<SocketAddr>,
}

/// Spans go to a collector until it is dropped; then what is left of them goes out.
#[derive(Default)]
#[must_use = "what it holds ends with it"]
pub struct Spans {
    #[cfg(feature = "otlp")]
    _exporting: Option<otlp::Exporting>,
}

/// Reads the address of a collector: `off`, or `http://127.0.0.1:PORT`.
pub fn collector(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    let wrong = || format!("`{text}` is neither `off` nor like http://127.0.0.1:4318");
    let address: SocketAddr = text
        .strip_prefix("http://")
        .and_then(|rest| rest.trim_end_matches('/').parse().ok())
        .ok_or_else(wrong)?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{address} is not a loopback address; traces are neither encrypted nor signed: use a local collector, and let it \
             carry them on"
        ));
    }
    if !cfg!(feature = "otlp") {
        return Err("this program was built without traces; build it with `--features otlp`".to_owned());
    }
    Ok(Some(address))
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { level: LEVEL.to_owned(), format: Format::Auto, otlp: None }
    }
}

/// Says what is wrong with a level.
pub fn check_level(text: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A single word that is no level would be taken for a part of the program, and nobody would know.
    if let Some(word) = text.split(',').find(|d| !d.contains(['=', '[']) && !LEVELS.contains(d)) {
        return Err(format!("`{word}` is none of {}; write PART=LEVEL for a part", LEVELS.join(", ")));
    }
    EnvFilter::try_new(text).map(drop).map_err(|e| e.to_string())
}

/// Whether what `JOURNAL_STREAM` names (`device:inode`) is this file: then systemd reads what is written to it.
fn in_journal(stream: Option<&str>, file: Option<(u64, u64)>) -> bool {
    let named =
        stream.and_then(|s| s.split_once(':')).and_then(|(d, i)| Some((d.parse().ok()?, i.parse().ok()?)));
    named.is_some() && named == file
}

fn chosen(format: Format, terminal: bool, journal: bool) -> Format {
    match format {
        Format::Auto if journal => Format::Journald,
        Format::Auto if terminal => Format::Human,
        Format::Auto => Format::Json,
        told => told,
    }
}

/// Begins to log. Once a process; a second call fails. `instance` is what a collector calls this node.
pub fn begin(options: &LogOptions, instance: Option<&str>) -> Result<Spans, Failure> {
    let wrong =
        |why: String| Failure::new(FailureKind::Configuration, "the log cannot be set up").because(why);
    let stderr = std::fs::metadata("/proc/self/fd/2").ok().map(|m| (m.dev(), m.ino()));
    let journal = in_journal(std::env::var("JOURNAL_STREAM").ok().as_deref(), stderr);
    let lines = || tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer: Box<dyn Layer<Registry> + Send + Sync> =
        match chosen(options.format, std::io::stderr().is_terminal(), journal) {
            Format::Journald => {
                let layer =
                    tracing_journald::layer().map_err(|e| wrong(format!("no journal listens: {e}")))?;
                layer.with_syslog_identifier("hotline".to_owned()).boxed()
            }
            Format::Human => lines().with_ansi(std::env::var_os("NO_COLOR").is_none()).boxed(),
            Format::Json | Format::Auto => lines().json().boxed(),
        };
    let filter = EnvFilter::try_new(&options.level).map_err(|e| wrong(e.to_string()))?;
    let layers = vec![layer.with_filter(filter).boxed()];
    let (layers, spans) = with_spans(layers, options, instance).map_err(wrong)?;
    tracing_subscriber::registry().with(layers).try_init().map_err(|e| wrong(e.to_string()))?;
    // automerge panics on some hostile changes; the gate contains that, and a contained panic is no news here.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let inside = panic.location().is_some_and(|l| l.file().contains("automerge"));
        if !inside {
            before(panic);
        }
    }));
    Ok(spans)
}

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// The layers with the one for spans, if a collector is named.
#[cfg(feature = "otlp")]
fn with_spans(
    mut layers: Layers,
    options: &LogOptions,
    instance: Option<&str>,
) -> Result<(Layers, Spans), String> {
    let Some(to) = options.otlp else { return Ok((layers, Spans::default())) };
    let (layer, exporting) = otlp::layer(to, instance)?;
    layers.push(layer);
    Ok((layers, Spans { _exporting: Some(exporting) }))
}

/// [`collector`] takes no address then.
#[cfg(not(feature = "otlp"))]
fn with_spans(layers: Layers, _: &LogOptions, _: Option<&str>) -> Result<(Layers, Spans), String> {
    Ok((layers, Spans::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for fine in ["info", "off", LEVEL, "sync::replica=trace", "warn,[span]=debug"] {
            assert_eq!(check_level(fine), Ok(()), "{fine}");
        }
        for wrong in ["inof", "info,quin", "sync=loud", ""] {
            assert!(check_level(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_collector_is_on_this_machine() {
        assert_eq!(collector("off"), Ok(None));
        for wrong in
            ["", "127.0.0.1:4318", "https://127.0.0.1:4318", "http://localhost:4318", "http://127.0.0.1"]
        {
            assert!(collector(wrong).unwrap_err().contains("neither"), "{wrong}");
        }
        assert!(collector("http://10.0.0.1:4318").unwrap_err().contains("loopback"));
        match cfg!(feature = "otlp") {
            true => assert_eq!(collector("http://127.0.0.1:4318/"), Ok(Some(([127, 0, 0, 1], 4318).into()))),
            false => assert!(collector("http://127.0.0.1:4318").unwrap_err().contains("--features otlp")),
        }
    }

    #[test]
    fn the_journal_is_known_by_its_inode() {
        assert!(in_journal(Some("8:2345"), Some((8, 2345))));
        for (stream, file) in [
            (None, Some((8, 2345))),
            (Some("8:2345"), Some((8, 9))),
            (Some("8"), Some((8, 0))),
            (Some("x:y"), None),
        ] {
            assert!(!in_journal(stream, file), "{stream:?} {file:?}");
        }
    }

    #[test]
    fn the_form_suits_the_place_unless_somebody_says_otherwise() {
        let check = |told, terminal, journal, expected| assert_eq!(chosen(told, terminal, journal), expected);
        check(Format::Auto, true, false, Format::Human);
        check(Format::Auto, false, false, Format::Json);
        check(Format::Auto, false, true, Format::Journald);
        check(Format::Human, false, true, Format::Human);
        check(Format::Json, true, false, Format::Json);
    }
}
