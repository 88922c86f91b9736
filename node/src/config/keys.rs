//! The table of all keys: one row says everything that any reader of the configuration needs to know of a key.

use std::net::SocketAddr;
use std::path::PathBuf;

use sync::quic::CongestionError;

use super::Config;
use crate::desk;
use crate::log;
use crate::public;
use crate::sip;
use crate::sms;

/// What a peer's key begins with.
pub(super) const PEERS: &str = "peers.";

/// The table that holds the peers.
pub(super) const PEER_TABLE: &str = "peers";

/// One key.
pub struct Key {
    /// Its name, as in the file: `table.key`.
    pub name: &'static str,
    /// The flag of `hotline run`; empty where there is none.
    pub flag: &'static str,
    /// The variable of the environment.
    pub variable: &'static str,
    /// What holds when nobody says anything; empty for nothing.
    pub default: &'static str,
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
}

/// All keys, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "dir",
        flag: "--dir",
        variable: "HOTLINE_DIR",
        default: "",
        set: |c, text| {
            if text.is_empty() {
                return Err("a directory is wanted".to_owned());
            }
            c.dir = Some(PathBuf::from(text));
            Ok(())
        },
    },
    Key {
        name: "links.listen",
        flag: "--listen",
        variable: "HOTLINE_LISTEN",
        default: "0.0.0.0:12328",
        set: |c, text| address(text).map(|a| c.listen = a),
    },
    Key {
        name: "links.congestion",
        flag: "--congestion",
        variable: "HOTLINE_CONGESTION",
        default: "bbr",
        set: |c, text| {
            c.congestion = text.parse().map_err(|e: CongestionError| e.to_string())?;
            Ok(())
        },
    },
    Key {
        name: "files.rate",
        flag: "--files-rate",
        variable: "HOTLINE_FILES_RATE",
        default: "off",
        set: |c, text| {
            c.files.rate = match text {
                "off" => None,
                text => Some(bytes(text)?).filter(|rate| *rate > 0),
            };
            Ok(())
        },
    },
    Key {
        name: "files.max_size",
        flag: "--files-max-size",
        variable: "HOTLINE_FILES_MAX_SIZE",
        default: "256M",
        set: |c, text| bytes(text).map(|v| c.files.max_size = v),
    },
    Key {
        name: "files.per_ticket",
        flag: "--files-per-ticket",
        variable: "HOTLINE_FILES_PER_TICKET",
        default: "64",
        set: |c, text| {
            let most = sync::file::MAX_FILES as u64;
            let number = text.parse().ok().filter(|n| (0..=most).contains(n));
            c.files.per_ticket =
                number.ok_or_else(|| format!("`{text}` is not a number from 0 to {most}"))?;
            Ok(())
        },
    },
    Key {
        name: "files.reserve",
        flag: "--files-reserve",
        variable: "HOTLINE_FILES_RESERVE",
        default: "1G",
        set: |c, text| bytes(text).map(|v| c.files.reserve = v),
    },
    Key {
        name: "retention.days",
        flag: "--retention-days",
        variable: "HOTLINE_RETENTION_DAYS",
        default: "off",
        set: |c, text| {
            c.retention =
                match text {
                    "off" => None,
                    text => Some(text.parse().ok().filter(|days| (30..=36_500).contains(days)).ok_or_else(
                        || format!("`{text}` is neither `off` nor a number of days from 30 to 36500"),
                    )?),
                };
            Ok(())
        },
    },
    Key {
        name: "desk.listen",
        flag: "--desk",
        variable: "HOTLINE_DESK",
        default: "off",
        set: |c, text| {
            c.desk.listen = match text {
                "off" => None,
                text => Some(address(text)?),
            };
            Ok(())
        },
    },
    Key {
        name: "desk.names",
        flag: "--desk-names",
        variable: "HOTLINE_DESK_NAMES",
        default: "",
        set: |c, text| desk::names(text).map(|names| c.desk.names = names),
    },
    Key {
        name: "desk.certificate",
        flag: "--desk-certificate",
        variable: "HOTLINE_DESK_CERTIFICATE",
        default: "",
        set: |c, text| {
            c.desk.certificate = Some(text).filter(|t| !t.is_empty()).map(PathBuf::from);
            Ok(())
        },
    },
    Key {
        name: "desk.key",
        flag: "--desk-key",
        variable: "HOTLINE_DESK_KEY",
        default: "",
        set: |c, text| {
            c.desk.key = Some(text).filter(|t| !t.is_empty()).map(PathBuf::from);
            Ok(())
        },
    },
    Key {
        name: "public.listen",
        flag: "--public",
        variable: "HOTLINE_PUBLIC",
        default: "off",
        set: |c, text| {
            c.public.listen = match text {
                "off" => None,
                text => Some(address(text)?),
            };
            Ok(())
        },
    },
    Key {
        name: "public.proxies",
        flag: "--public-proxies",
        variable: "HOTLINE_PUBLIC_PROXIES",
        default: "",
        set: |c, text| public::proxies(text).map(|proxies| c.public.proxies = proxies),
    },
    Key {
        name: "public.per_hour",
        flag: "--public-per-hour",
        variable: "HOTLINE_PUBLIC_PER_HOUR",
        default: "200",
        set: |c, text| {
            let number = text.parse().ok().filter(|n| (1..=public::MOST_PER_HOUR).contains(n));
            c.public.per_hour = number
                .ok_or_else(|| format!("`{text}` is not a number from 1 to {}", public::MOST_PER_HOUR))?;
            Ok(())
        },
    },
    Key {
        name: "public.open311",
        flag: "--public-open311",
        variable: "HOTLINE_PUBLIC_OPEN311",
        default: "off",
        set: |c, text| {
            c.public.open311 = match text {
                "on" => true,
                "off" => false,
                other => return Err(format!("`{other}` is neither `on` nor `off`")),
            };
            Ok(())
        },
    },
    Key {
        name: "public.figures",
        flag: "--public-figures",
        variable: "HOTLINE_PUBLIC_FIGURES",
        default: "off",
        set: |c, text| {
            c.public.figures = match text {
                "on" => true,
                "off" => false,
                other => return Err(format!("`{other}` is neither `on` nor `off`")),
            };
            Ok(())
        },
    },
    Key {
        name: "public.certificate",
        flag: "--public-certificate",
        variable: "HOTLINE_PUBLIC_CERTIFICATE",
        default: "",
        set: |c, text| {
            c.public.certificate = Some(text).filter(|t| !t.is_empty()).map(PathBuf::from);
            Ok(())
        },
    },
    Key {
        name: "public.key",
        flag: "--public-key",
        variable: "HOTLINE_PUBLIC_KEY",
        default: "",
        set: |c, text| {
            c.public.key = Some(text).filter(|t| !t.is_empty()).map(PathBuf::from);
            Ok(())
        },
    },
    Key {
        name: "sms.listen",
        flag: "--sms",
        variable: "HOTLINE_SMS",
        default: "off",
        set: |c, text| {
            c.sms.listen = match text {
                "off" => None,
                text => Some(address(text)?),
            };
            Ok(())
        },
    },
    Key {
        name: "sms.gateways",
        flag: "",
        variable: "HOTLINE_SMS_GATEWAYS",
        default: "127.0.0.1",
        set: |c, text| public::proxies(text).map(|gateways| c.sms.gateways = gateways),
    },
    Key {
        name: "sms.send",
        flag: "",
        variable: "HOTLINE_SMS_SEND",
        default: "off",
        set: |c, text| sms::send(text).map(|to| c.sms.send = to),
    },
    Key {
        name: "sms.user",
        flag: "",
        variable: "HOTLINE_SMS_USER",
        default: "",
        set: |c, text| sms::word(text).map(|user| c.sms.user = user),
    },
    Key {
        name: "sms.password",
        flag: "",
        variable: "HOTLINE_SMS_PASSWORD",
        default: "",
        set: |c, text| {
            c.sms.password = Some(text).filter(|t| !t.is_empty()).map(PathBuf::from);
            Ok(())
        },
    },
    Key {
        name: "sms.from",
        flag: "",
        variable: "HOTLINE_SMS_FROM",
        default: "",
        set: |c, text| sms::word(text).map(|from| c.sms.from = from),
    },
    Key {
        name: "sms.per_hour",
        flag: "",
        variable: "HOTLINE_SMS_PER_HOUR",
        default: "200",
        set: |c, text| {
            let number = text.parse().ok().filter(|n| (1..=sms::MOST_PER_HOUR).contains(n));
            c.sms.per_hour =
                number.ok_or_else(|| format!("`{text}` is not a number from 1 to {}", sms::MOST_PER_HOUR))?;
            Ok(())
        },
    },
    Key {
        name: "sms.join_minutes",
        flag: "",
        variable: "HOTLINE_SMS_JOIN_MINUTES",
        default: "10",
        set: |c, text| {
            let number = text.parse().ok().filter(|n| (0..=sms::MOST_MINUTES).contains(n));
            c.sms.join_minutes =
                number.ok_or_else(|| format!("`{text}` is not a number from 0 to {}", sms::MOST_MINUTES))?;
            Ok(())
        },
    },
    Key {
        name: "sip.listen",
        flag: "--sip",
        variable: "HOTLINE_SIP",
        default: "off",
        set: |c, text| {
            c.sip.listen = match text {
                "off" => None,
                text => Some(address(text)?),
            };
            Ok(())
        },
    },
    Key {
        name: "sip.proxies",
        flag: "",
        variable: "HOTLINE_SIP_PROXIES",
        default: "127.0.0.1",
        set: |c, text| public::proxies(text).map(|proxies| c.sip.proxies = proxies),
    },
    Key {
        name: "sip.extensions",
        flag: "",
        variable: "HOTLINE_SIP_EXTENSIONS",
        default: "",
        set: |c, text| sip::extensions(text).map(|named| c.sip.extensions = named),
    },
    Key {
        name: "sip.ring_seconds",
        flag: "",
        variable: "HOTLINE_SIP_RING_SECONDS",
        default: "60",
        set: |c, text| {
            let number = text.parse().ok().filter(|n| sip::RING_SECONDS.contains(n));
            let (least, most) = (sip::RING_SECONDS.start(), sip::RING_SECONDS.end());
            c.sip.ring_seconds =
                number.ok_or_else(|| format!("`{text}` is not a number from {least} to {most}"))?;
            Ok(())
        },
    },
    Key {
        name: "sip.registrar",
        flag: "",
        variable: "HOTLINE_SIP_REGISTRAR",
        default: "off",
        set: |c, text| {
            c.sip.registrar = match text {
                "off" => None,
                text => Some(address(text)?),
            };
            Ok(())
        },
    },
    Key {
        name: "sip.domain",
        flag: "",
        variable: "HOTLINE_SIP_DOMAIN",
        default: "",
        set: |c, text| sip::domain(text).map(|domain| c.sip.domain = domain),
    },
    Key {
        name: "sip.password",
        flag: "",
        variable: "HOTLINE_SIP_PASSWORD",
        default: "",
        set: |c, text| {
            c.sip.password = Some(text).filter(|t| !t.is_empty()).map(PathBuf::from);
            Ok(())
        },
    },
    Key {
        name: "http.listen",
        flag: "--http",
        variable: "HOTLINE_HTTP",
        default: "off",
        set: |c, text| {
            c.http = match text {
                "off" => None,
                text => Some(loopback(address(text)?)?),
            };
            Ok(())
        },
    },
    Key {
        name: "log.level",
        flag: "--log-level",
        variable: "HOTLINE_LOG",
        default: log::LEVEL,
        set: |c, text| log::check_level(text).map(|()| c.log.level = text.to_owned()),
    },
    Key {
        name: "log.format",
        flag: "--log-format",
        variable: "HOTLINE_LOG_FORMAT",
        default: "auto",
        set: |c, text| text.parse().map(|f| c.log.format = f),
    },
    Key {
        name: "log.otlp",
        flag: "--log-otlp",
        variable: "HOTLINE_LOG_OTLP",
        default: "off",
        set: |c, text| log::collector(text).map(|to| c.log.otlp = to),
    },
    // Peers are keys of their own, `peers.NODE`; this row stands for their table.
    Key {
        name: PEER_TABLE,
        flag: "--peer",
        variable: "HOTLINE_PEERS",
        default: "",
        set: |_, _| Err("a table is wanted: [peers] with one line a peer".to_owned()),
    },
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// What to say of a key that is none.
pub(super) fn unknown(name: &str) -> String {
    let nearest = KEYS.iter().min_by_key(|k| {
        // A key typed without its table, or a table alone, is nearest to the key that shares a part with it.
        let parts = k.name.split('.').map(|part| distance(name, part));
        parts.chain([distance(name, k.name)]).min()
    });
    let nearest = nearest.map_or("", |k| k.name);
    format!("there is no key `{name}`; the nearest is `{nearest}`")
}

/// How many letters are to be put in, taken out or changed to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address with a port, like 10.37.0.1:12328"))
}

/// Addresses between commas; none at all for a peer that is waited for.
pub(super) fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|one| address(one.trim())).collect()
}

/// Health and metrics carry no password, so they are for this machine alone.
/// Bytes, in units of 1,024 if a letter follows: 300, 64K, 256M, 2G.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(digits) => (digits, 1 << (10 * (1 + "KMG".find(&text[digits.len()..]).unwrap_or(0)))),
        None => (text, 1u64),
    };
    let number = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    number.ok_or_else(|| format!("`{text}` is not a number of bytes, like 300, 64K, 256M or 2G"))
}

fn loopback(address: SocketAddr) -> Result<SocketAddr, String> {
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(format!(
            "{address} is not a loopback address; health and metrics carry no password: use 127.0.0.1:PORT and a \
             local collector"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("300", Some(300)),
            ("64K", Some(65_536)),
            ("2G", Some(2 << 30)),
            ("256M", Some(256 << 20)),
        ] {
            assert_eq!(bytes(text).ok(), wanted, "{text}");
        }
        for text in ["", "K", "1.5M", "-1", "1T", "99999999999G", "兆"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn distances() {
        let check = |a: &str, b: &str, expected: usize| {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        };
        check("", "", 0);
        check("", "abc", 3);
        check("listen", "lisen", 1);
        check("kitten", "sitting", 3);
    }
}
