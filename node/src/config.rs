//! What a node is told: by flags, by its environment, by a file; and where each value came from.
//!
//! ```text
//! flag  over  environment  over  file  over  default        key by key, and peer by peer
//! ```
//!
//! The keys stand in one table ([`keys::KEYS`]): file, environment, flags, `hotline config check` and the example in
//! `systemd/hotline.toml` all follow it. A value is text until its key has parsed it, wherever it came from. Every
//! problem of all layers is told at once, with the place to mend.

mod file;
pub mod keys;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use certs::NodeName;
use serde_json::{Value, json};
use sync::quic::Congestion;

use crate::desk::DeskOptions;
use crate::files::FileLimits;
use crate::log::LogOptions;
use crate::public::PublicOptions;
use crate::request::{Failure, FailureKind};
use crate::sip::SipOptions;
use crate::sms::SmsOptions;
use keys::{KEYS, Key, PEERS};

/// The file that is read when none is named and it is there.
pub const FILE: &str = "hotline.toml";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(&'static str),
    /// A line of the file, from 1.
    File(PathBuf, usize),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(flag) => f.write_str(flag),
            Source::Environment(variable) => f.write_str(variable),
            Source::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// One value as somebody gave it.
#[derive(Clone, Debug)]
struct Told {
    key: String,
    text: String,
    source: Source,
}

/// What a node runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory; nobody may have named one.
    pub dir: Option<PathBuf>,
    /// Where to listen for links (UDP).
    pub listen: SocketAddr,
    /// The peers and where they are.
    pub peers: BTreeMap<NodeName, Vec<SocketAddr>>,
    /// How links spend bandwidth.
    pub congestion: Congestion,
    /// Where health and metrics are served, on loopback; nowhere if `None`.
    pub http: Option<SocketAddr>,
    /// What files may cost.
    pub files: FileLimits,
    /// Where agents work in their browsers, if anywhere.
    pub desk: DeskOptions,
    /// Where citizens come in with their browsers, if anywhere.
    pub public: PublicOptions,
    /// Where short messages come in and go out, if anywhere.
    pub sms: SmsOptions,
    /// Where the telephone system rings the node, if anywhere.
    pub sip: SipOptions,
    /// After how many days what callers said of themselves, and their recordings, are erased; never if `None`.
    pub retention: Option<u32>,
    /// What is logged, and how.
    pub log: LogOptions,
    file: Option<PathBuf>,
    effective: Vec<Told>,
}

/// What was given besides the file.
#[derive(Default)]
pub struct Given {
    /// Keys and values of flags; peers as `peers.NODE`.
    pub flags: Vec<(String, String)>,
    /// The file, when one was named.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Brings all layers together. `environment` answers for a variable.
    pub fn read(given: &Given, environment: impl Fn(&str) -> Option<String>) -> Result<Config, Failure> {
        let mut problems = Vec::new();
        let mut flags = Vec::new();
        for (key, text) in &given.flags {
            let flag = if key.starts_with(PEERS) { "--peer" } else { keys::find(key).map_or("", |k| k.flag) };
            flags.push(Told { key: key.clone(), text: text.clone(), source: Source::Flag(flag) });
        }
        let mut variables = Vec::new();
        for key in KEYS {
            if let Some(text) = environment(key.variable) {
                variables.extend(key.told(text, Source::Environment(key.variable)));
            }
        }
        let dir = flags.iter().chain(&variables).find(|t| t.key == "dir").map(|t| PathBuf::from(&t.text));
        let (path, demanded) = match (&given.file, dir) {
            (Some(named), _) => (Some(named.clone()), true),
            (None, Some(dir)) => (Some(dir.join(FILE)).filter(|p| p.exists()), false),
            (None, None) => (None, false),
        };
        let lines = match &path {
            Some(path) => file::read(path, &mut problems)?,
            None => Vec::new(),
        };
        if !demanded && let Some(told) = lines.iter().find(|t| t.key == "dir") {
            problems.push(format!(
                "{}: a file that lies in the data directory does not name one; take the line out",
                told.source
            ));
        }
        let mut config = Config::defaults();
        config.file = path;
        let defaults = KEYS.iter().filter(|k| !k.default.is_empty()).map(|k| Told {
            key: k.name.to_owned(),
            text: k.default.to_owned(),
            source: Source::Default,
        });
        let mut effective: BTreeMap<String, Told> = BTreeMap::new();
        for told in defaults.chain(lines).chain(variables).chain(flags) {
            // Every layer is checked, also where a higher one wins: a wrong line waits for the day it counts.
            match config.set(&told) {
                Ok(()) => drop(effective.insert(told.key.clone(), told)),
                Err(why) => problems.push(format!("{}: {}: {why}", told.source, told.key)),
            }
        }
        config.effective = effective.into_values().collect();
        if let Err(why) = config.desk.check() {
            problems.push(format!("{}: {why}", config.origin("desk.listen")));
        }
        if let Err(why) = config.public.check() {
            problems.push(format!("{}: {why}", config.origin("public.listen")));
        }
        if let Err(why) = config.sms.check() {
            problems.push(format!("{}: {why}", config.origin("sms.listen")));
        }
        if let Err(why) = config.sip.check(config.desk.listen.is_some()) {
            problems.push(format!("{}: {why}", config.origin("sip.listen")));
        }
        if problems.is_empty() {
            return Ok(config);
        }
        let count = match problems.len() {
            1 => "in one place".to_owned(),
            n => format!("in {n} places"),
        };
        let mut failure =
            Failure::new(FailureKind::Configuration, format!("the configuration is wrong {count}"));
        failure.causes = problems;
        Err(failure.hint("mend it, then see what counts: `hotline config check`"))
    }

    fn defaults() -> Config {
        Config {
            dir: None,
            listen: SocketAddr::from(([0, 0, 0, 0], 12_328)),
            peers: BTreeMap::new(),
            congestion: Congestion::default(),
            http: None,
            files: FileLimits::default(),
            desk: DeskOptions::default(),
            public: PublicOptions::default(),
            sms: SmsOptions::default(),
            sip: SipOptions::default(),
            retention: None,
            log: LogOptions::default(),
            file: None,
            effective: Vec::new(),
        }
    }

    fn set(&mut self, told: &Told) -> Result<(), String> {
        if let Some(node) = told.key.strip_prefix(PEERS) {
            let node: NodeName = node.parse().map_err(|e: certs::NameError| e.to_string())?;
            self.peers.insert(node, keys::addresses(&told.text)?);
            return Ok(());
        }
        let key = keys::find(&told.key).ok_or_else(|| keys::unknown(&told.key))?;
        (key.set)(self, told.text.trim())
    }

    /// The file that was read; `None` when there was none.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Where the value of a key came from, for people.
    pub fn origin(&self, key: &str) -> String {
        let told = self.effective.iter().find(|t| t.key == key);
        told.map_or(Source::Default, |t| t.source.clone()).to_string()
    }

    /// Every key with its value and where that came from: `[{"key","value","from"}]`.
    pub fn explain(&self) -> Vec<Value> {
        let row = |key: &str, value: &str, from: &Source| json!({ "key": key, "value": value, "from": from.to_string() });
        let mut rows = Vec::new();
        for key in KEYS.iter().filter(|k| k.name != keys::PEER_TABLE) {
            match self.effective.iter().find(|t| t.key == key.name) {
                Some(told) => rows.push(row(key.name, &told.text, &told.source)),
                None => rows.push(row(key.name, "", &Source::Default)),
            }
        }
        let peers = self.effective.iter().filter(|t| t.key.starts_with(PEERS));
        rows.extend(peers.map(|t| row(&t.key, &t.text, &t.source)));
        rows
    }
}

impl Key {
    /// What a variable of the environment says: one value, or for the peers one a peer.
    fn told(&self, text: String, source: Source) -> Vec<Told> {
        if self.name != keys::PEER_TABLE {
            return vec![Told { key: self.name.to_owned(), text, source }];
        }
        let peers = text.split_whitespace().map(|one| {
            let (node, addresses) = one.split_once('=').unwrap_or((one, ""));
            Told { key: format!("{PEERS}{node}"), text: addresses.to_owned(), source: source.clone() }
        });
        peers.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[(&str, &str)], env: &[(&str, &str)], text: Option<&str>) -> Result<Config, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let given = Given {
            flags: flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            file: text.map(|_| path),
        };
        Config::read(&given, |name| {
            env.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn from(config: &Config, key: &str) -> (String, String) {
        let rows = config.explain();
        let row = rows.iter().find(|r| r["key"] == key).unwrap();
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("value"), text("from").rsplit('/').next().unwrap().to_owned())
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let file = "[links]\nlisten = \"127.0.0.1:1\"\n";
        let env = [("HOTLINE_LISTEN", "127.0.0.1:2")];
        let flag = [("links.listen", "127.0.0.1:3")];
        let check =
            |flags: &[(&str, &str)], env: &[(&str, &str)], file: Option<&str>, value: &str, place: &str| {
                let config = read(flags, env, file).unwrap();
                assert_eq!(config.listen.to_string(), value);
                assert_eq!(from(&config, "links.listen"), (value.to_owned(), place.to_owned()));
            };
        check(&flag, &env, Some(file), "127.0.0.1:3", "--listen");
        check(&[], &env, Some(file), "127.0.0.1:2", "HOTLINE_LISTEN");
        check(&[], &[], Some(file), "127.0.0.1:1", "c.toml, line 2");
        check(&[], &[], None, "0.0.0.0:12328", "default");
    }

    #[test]
    fn peers_are_told_one_by_one() {
        let file = "[peers]\n370000 = [\"10.0.0.1:1\", \"10.0.0.2:1\"]\n510000 = \"10.0.0.3:1\"\n";
        let config =
            read(&[("peers.370000", "127.0.0.1:9")], &[("HOTLINE_PEERS", "000000=10.0.0.9:1")], Some(file))
                .unwrap();
        let shown: Vec<String> = config.peers.iter().map(|(n, a)| format!("{n} {}", a.len())).collect();
        assert_eq!(shown, ["000000 1", "370000 1", "510000 1"]);
        assert_eq!(from(&config, "peers.370000").1, "--peer");
        assert_eq!(from(&config, "peers.510000").1, "c.toml, line 3");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_all_of_it_at_once() {
        let check = |text: &str, expected: &[&str]| {
            let failure = read(&[], &[], Some(text)).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Configuration);
            assert_eq!(failure.causes.len(), expected.len(), "{:?}", failure.causes);
            for (cause, expected) in failure.causes.iter().zip(expected) {
                assert!(cause.contains(expected), "{cause} lacks {expected}");
            }
        };
        check(
            "[links]\nlisen = \"x\"\n",
            &["c.toml, line 2: there is no key `links.lisen`; the nearest is `links.listen`"],
        );
        check(
            "[link]\nlisten = \"127.0.0.1:1\"\n",
            &["line 2: there is no key `link.listen`; the nearest is `links.listen`"],
        );
        check("\n\nlogs = 1\n", &["line 3: there is no key `logs`; the nearest is `log.level`"]);
        check(
            "[links]\nlisten = \"nowhere\"\n",
            &["line 2: links.listen: `nowhere` is not an address with a port"],
        );
        check("[http]\nlisten = \"0.0.0.0:80\"\n", &["is not a loopback address"]);
        check(
            "[log]\nlevel = \"inof\"\nformat = \"xml\"\n",
            &["line 2: log.level: `inof`", "line 3: log.format: `xml`"],
        );
        check("[peers]\n37000 = \"10.0.0.1:1\"\n", &["line 2: peers.37000: "]);
        check(
            "[links]\nlisten = [\"127.0.0.1:1\"]\n",
            &["line 2: links.listen: one value is wanted, not a list"],
        );
        check("[links\n", &["line 1: "]);
        check("[links]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", &["line 3: "]);
    }

    #[test]
    fn a_wrong_line_is_told_also_when_a_flag_outranks_it() {
        let failure =
            read(&[("links.listen", "127.0.0.1:1")], &[], Some("[links]\nlisten = \"x\"\n")).unwrap_err();
        assert!(failure.causes[0].contains("line 2"), "{failure:?}");
    }

    #[test]
    fn a_file_that_was_named_must_be_there_and_one_in_the_directory_may() {
        let dir = tempfile::tempdir().unwrap();
        let named = Given { file: Some(dir.path().join("none.toml")), ..Given::default() };
        let failure = Config::read(&named, |_| None).unwrap_err();
        assert!(failure.message.contains("none.toml"), "{failure:?}");
        let of = || Given {
            flags: vec![("dir".to_owned(), dir.path().to_str().unwrap().to_owned())],
            ..Given::default()
        };
        assert_eq!(Config::read(&of(), |_| None).unwrap().file(), None);
        std::fs::write(dir.path().join(FILE), "log.level = \"warn\"\n").unwrap();
        assert_eq!(Config::read(&of(), |_| None).unwrap().log.level, "warn");
        std::fs::write(dir.path().join(FILE), "dir = \"/elsewhere\"\n").unwrap();
        let failure = Config::read(&of(), |_| None).unwrap_err();
        assert!(failure.causes[0].contains("does not name one"), "{failure:?}");
    }

    #[test]
    fn the_example_is_valid_and_shows_every_key_with_its_default() {
        let example = include_str!("../../systemd/hotline.toml");
        let config = read(&[], &[], Some(example)).expect("the example is valid as it is shipped");
        assert_eq!(config.dir, None);
        // `#key = value` is a key at its default; a comment in words has a blank behind the sign.
        let uncommented: String = example
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let full = read(&[], &[], Some(&uncommented)).expect("and with every line taken in");
        for row in full.explain() {
            let key = row["key"].as_str().unwrap();
            assert!(row["from"].as_str().unwrap().contains("line"), "the example lacks {key}");
            if let Some(known) = keys::find(key).filter(|k| !k.default.is_empty()) {
                assert_eq!(row["value"], known.default, "{key}");
            }
        }
        assert!(!full.peers.is_empty(), "the example shows how a peer is named");
    }
}
