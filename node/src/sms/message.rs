//! A message as the gateway brings it: the parameters of its URL, or a body beside them, as bytes until their charset is known.
//!
//! ```text
//! from  %p sender       to       %P receiver    id    %I the gateway's id of it, the same at every repetition
//! text  %b bytes        charset  %C             time  %t
//! coding %c 2: UCS-2, when no charset is given
//! ```

use std::collections::BTreeMap;

use encoding_rs::{Encoding, GB18030, UTF_16BE};

/// The longest text, in characters; what is longer is cut, and says so.
pub(super) const MAX_TEXT: usize = 3_000;

/// What stands at the end of a text that was cut.
const CUT: &str = "（短信过长，其余已截去）";

/// Most parameters, and the longest value of one that is no text.
const MAX_PARAMETERS: usize = 20;
const MAX_VALUE: usize = 200;

/// How many digits a number has that a person writes from: service numbers, which answer by themselves, have fewer.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=18;

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The sender, as the gateway wrote it.
    pub(super) from: String,
    /// What it says.
    pub(super) text: String,
    /// What is the same at every repetition: the gateway's id, or sender, time and bytes.
    pub(super) same: Vec<u8>,
}

/// The parameters of a URL as bytes.
pub(super) fn parameters(query: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        if all.len() == MAX_PARAMETERS {
            return None;
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = unescaped(value);
        if name != "text" && value.len() > MAX_VALUE {
            return None;
        }
        all.insert(name.to_owned(), value);
    }
    Some(all)
}

fn unescaped(text: &str) -> Vec<u8> {
    let nibble = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, nibble(bytes.get(at + 1)), nibble(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(*byte),
        }
        at += 1;
    }
    out
}

/// Bytes as text, by what the gateway says of them.
fn decoded(bytes: &[u8], charset: &str, coding: &str) -> String {
    let named = Encoding::for_label(charset.trim().as_bytes());
    let text = match named {
        Some(encoding) if encoding != encoding_rs::UTF_8 => encoding.decode_without_bom_handling(bytes).0,
        None if coding.trim() == "2" => UTF_16BE.decode_without_bom_handling(bytes).0,
        // "GSM", nothing, or UTF-8: the gateway gives UTF-8, and old ones what the centre sent.
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => GB18030.decode_without_bom_handling(bytes).0,
        },
    };
    let text = text.replace("\r\n", "\n").replace(['\0', '\r'], "");
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match text.char_indices().nth(MAX_TEXT) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}{CUT}", &text[..at]),
    }
}

impl Message {
    /// The message that these parameters are, or the body beside them.
    pub(super) fn read(parameters: &BTreeMap<String, Vec<u8>>, body: &[u8]) -> Option<Message> {
        let given = |name: &str| parameters.get(name).map(Vec::as_slice).unwrap_or_default();
        let word = |name: &str| String::from_utf8_lossy(given(name)).trim().to_owned();
        let bytes = if body.is_empty() { given("text") } else { body };
        let from = word("from");
        if from.is_empty() {
            return None;
        }
        let same = match word("id") {
            id if id.is_empty() => {
                let mut same = format!("{from}\n{}\n", word("time")).into_bytes();
                same.extend_from_slice(bytes);
                same
            }
            id => format!("id {id}").into_bytes(),
        };
        Some(Message { text: decoded(bytes, &word("charset"), &word("coding")), from, same })
    }

    /// The number that a person has sent it from; `None` for names and for services.
    pub(super) fn phone(&self) -> Option<&str> {
        let digits = self.from.strip_prefix('+').unwrap_or(&self.from);
        (digits.chars().all(|c| c.is_ascii_digit()) && DIGITS.contains(&digits.len())).then_some(&self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(query: &str) -> Message {
        Message::read(&parameters(query).unwrap(), b"").unwrap()
    }

    #[test]
    fn texts_of_every_charset_are_read() {
        let check = |query: &str, text: &str| {
            assert_eq!(message(&format!("from=13800000001&{query}")).text, text, "{query}");
        };
        check("coding=2&charset=UTF-16BE&text=Q%FAy%DF%8Ffb%D2%8F%7D", "出租车拒载");
        check("coding=2&text=Q%FAy%DF%8Ffb%D2%8F%7D", "出租车拒载");
        check("coding=0&charset=GSM&text=help+me%21", "help me!");
        check("charset=UTF-8&text=%E6%8B%92%E8%BD%BD", "拒载");
        check("text=%E6%8B%92%E8%BD%BD%0D%0A", "拒载");
        check("charset=GBK&text=%BE%DC%D4%D8", "拒载");
        check("charset=GB2312&text=%BE%DC%D4%D8", "拒载");
        check("text=%BE%DC%D4%D8", "拒载");
        check("charset=UTF-16BE&text=%D8%3D%DE%97", "🚗");
        check("charset=UTF-16BE&text=%D8", "\u{fffd}");
        check("text=100%25+%zz%", "100% %zz%");
        let long = format!("from=1&text={}", "a".repeat(MAX_TEXT + 1));
        assert!(message(&long).text.ends_with(CUT));
        let body = Message::read(&parameters("from=1&charset=UTF-16BE").unwrap(), &[0x62, 0xd2]).unwrap();
        assert_eq!(body.text, "拒");
    }

    #[test]
    fn a_repetition_is_known_by_the_gateways_id_or_by_all_of_it() {
        let same = |a: &str, b: &str| message(a).same == message(b).same;
        assert!(same("from=1&id=x&text=a", "from=1&id=x&text=a&time=2"));
        assert!(!same("from=1&id=x&text=a", "from=1&id=y&text=a"));
        assert!(same("from=1&text=a&time=2", "from=1&text=a&time=2"));
        assert!(!same("from=1&text=a&time=2", "from=1&text=a&time=3"));
        assert!(!same("from=1&text=a&time=2", "from=2&text=a&time=2"));
    }

    #[test]
    fn names_and_services_are_nobody_to_answer() {
        let phone = |from: &str| message(&format!("from={from}&text=a")).phone().is_some();
        assert!(phone("13800000001") && phone("%2B8613800000001") && phone("053188880000"));
        for from in ["10086", "BANK", "1380000000a", "%2B", "1234567890123456789"] {
            assert!(!phone(from), "{from}");
        }
        assert!(Message::read(&parameters("text=a").unwrap(), b"").is_none());
        assert!(parameters(&format!("from={}", "1".repeat(MAX_VALUE + 1))).is_none());
        assert!(parameters(&(0..=MAX_PARAMETERS).map(|i| format!("p{i}=&")).collect::<String>()).is_none());
    }
}
