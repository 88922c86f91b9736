//! A message of SIP (RFC 3261) as it comes in one datagram: read with caps, and the few parts of it that are looked at.
//!
//! ```text
//! INVITE sip:8001@10.37.1.5:5062 SIP/2.0    |    SIP/2.0 401 Unauthorized
//! Name: value                                    short names and folded lines are taken as what they stand for
//! (empty line)
//! body, which nobody reads
//! ```
//!
//! What is taken over into an answer holds no control character, so nothing that came in can begin a line of its own.
//! Exchanges write names in GBK: bytes that are no UTF-8 are taken as U+FFFD, for nothing that is looked at has any.

/// The largest datagram that is looked at, in bytes.
pub(super) const MAX_DATAGRAM: usize = 16 << 10;

/// Most header lines, and the longest value of one, in bytes.
const MAX_HEADERS: usize = 128;
const MAX_VALUE: usize = 2_048;

/// Headers that have a short name.
const SHORT: [(&str, &str); 8] = [
    ("c", "content-type"),
    ("f", "from"),
    ("i", "call-id"),
    ("k", "supported"),
    ("l", "content-length"),
    ("m", "contact"),
    ("t", "to"),
    ("v", "via"),
];

/// How a message begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Somebody asks.
    Request {
        /// What for.
        method: String,
        /// Whom.
        uri: String,
    },
    /// Somebody answers, with this code.
    Response(u16),
}

/// A message. It has no `Debug`: callers' numbers would turn up in logs.
pub(super) struct Message {
    pub(super) start: Start,
    /// Names in small letters, and values, as they came.
    headers: Vec<(String, String)>,
    /// Whether the body that the head promises is there.
    pub(super) whole: bool,
}

impl Message {
    /// Reads a datagram; `None` when it is no message of SIP.
    pub(super) fn read(bytes: &[u8]) -> Option<Message> {
        let begins = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
        let bytes = bytes.get(begins..).filter(|bytes| bytes.len() <= MAX_DATAGRAM)?;
        let (end, gap) = match bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            Some(end) => (end, 4),
            None => (bytes.windows(2).position(|w| w == b"\n\n")?, 2),
        };
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let start = begin(lines.next()?)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return None;
            }
            let goes_on = line.starts_with([' ', '\t']);
            match (headers.last_mut(), goes_on) {
                (Some((_, value)), true) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                (None, true) => return None,
                (_, false) => {
                    let (name, value) = line.split_once(':')?;
                    let name = name.trim_end().to_ascii_lowercase();
                    if !is_token(&name) {
                        return None;
                    }
                    let long = SHORT.iter().find(|(short, _)| *short == name);
                    let name = long.map_or(name, |(_, long)| (*long).to_owned());
                    headers.push((name, value.trim().to_owned()));
                }
            }
            if headers.len() > MAX_HEADERS || headers.last().is_some_and(|(_, v)| v.len() > MAX_VALUE) {
                return None;
            }
        }
        let mut message = Message { start, headers, whole: true };
        let body = bytes.len() - end - gap;
        message.whole = match message.first("content-length") {
            Some(said) => said.parse::<usize>().is_ok_and(|said| said <= body),
            None => true, // in a datagram everything to its end
        };
        Some(message)
    }

    /// All values of a header, as they came.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Number and method of `CSeq`.
    pub(super) fn sequence(&self) -> Option<(u32, &str)> {
        let (number, method) = self.first("cseq")?.split_once([' ', '\t'])?;
        Some((number.parse().ok()?, method.trim()))
    }
}

fn begin(line: &str) -> Option<Start> {
    if line.chars().any(char::is_control) || line.len() > MAX_VALUE {
        return None;
    }
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let code = rest.split(' ').next()?;
        let code: u16 = code.parse().ok().filter(|code| (100..700).contains(code))?;
        return Some(Start::Response(code));
    }
    let mut parts = line.split(' ');
    let (method, uri, version) = (parts.next()?, parts.next()?, parts.next()?);
    let fine = parts.next().is_none() && is_token(method) && !uri.is_empty();
    (fine && version.eq_ignore_ascii_case("SIP/2.0"))
        .then(|| Start::Request { method: method.to_owned(), uri: uri.to_owned() })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// The parts of a value between these signs, where they stand in no quotes and no angle brackets.
pub(super) fn split(value: &str, at: char) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (i, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            c if c == at && !quoted && !bracketed => {
                parts.push(value[from..i].trim());
                from = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(value[from..].trim());
    parts
}

/// A parameter of a value: `Some("")` when it stands there without one.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    split(value, ';').into_iter().skip(1).find_map(|part| {
        let (key, said) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| unquoted(said.trim()))
    })
}

/// A text without its quotes.
pub(super) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// The URI of a value like `"Li" <sip:li@x>;tag=1` or `sip:li@x;tag=1`.
pub(super) fn uri_of(value: &str) -> &str {
    let value = split(value, ';').first().copied().unwrap_or_default();
    // A display name in quotes may hold a bracket; the URI's is the last that opens.
    match value.rsplit_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or("", |(uri, _)| uri),
        None => value,
    }
}

/// The topmost `Via`: who asks, and how the answer finds back.
pub(super) struct Via<'a> {
    /// The whole element.
    pub(super) text: &'a str,
    /// The name of the request, drawn by whoever asks.
    pub(super) branch: &'a str,
    /// Host and port of whoever asks, as it says.
    pub(super) sent_by: &'a str,
    /// The port in it.
    pub(super) port: u16,
    /// Whether the answer is to go to the port that the request came from (RFC 3581).
    pub(super) rport: bool,
}

/// What the first branch that RFC 3261 allows begins with.
const MAGIC: &str = "z9hG4bK";

/// The port of SIP.
const PORT: u16 = 5060;

impl<'a> Via<'a> {
    /// Reads the topmost element.
    pub(super) fn top(message: &'a Message) -> Option<Via<'a>> {
        let text = *split(message.first("via")?, ',').first()?;
        let (protocol, rest) = text.split_once([' ', '\t'])?;
        if !protocol.eq_ignore_ascii_case("SIP/2.0/UDP") {
            return None;
        }
        let sent_by = split(rest, ';').first().copied().unwrap_or_default();
        if sent_by.is_empty() {
            return None; // an answer would carry a line that is no Via any more
        }
        let after_host = sent_by.rsplit_once(']').map_or(sent_by, |(_, after)| after);
        let port = match after_host.rsplit_once(':') {
            Some((_, port)) => port.trim().parse().ok()?,
            None => PORT,
        };
        let branch = parameter(text, "branch").filter(|branch| branch.starts_with(MAGIC))?;
        Some(Via { text, branch, sent_by, port, rport: parameter(text, "rport").is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:8001@10.0.0.5:5062 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa.1;rport, SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKb\r\n\
        f: \"Wang; <x>, 1\" <sip:13800000001@10.0.0.9>;tag=7\r\nTo:\r\n <sip:12328@10.0.0.2>\r\ni: a@b\r\nCSeq: 1  INVITE\r\nl: 2\r\n\r\nhi";

    #[test]
    fn a_request_is_read_with_short_names_and_folded_lines() {
        let message = Message::read(INVITE.as_bytes()).unwrap();
        let asked = Start::Request { method: "INVITE".into(), uri: "sip:8001@10.0.0.5:5062".into() };
        assert!(message.start == asked && message.whole);
        let via = Via::top(&message).unwrap();
        assert_eq!((via.branch, via.sent_by, via.port, via.rport), ("z9hG4bKa.1", "10.0.0.2", 5060, true));
        assert_eq!(uri_of(message.first("from").unwrap()), "sip:13800000001@10.0.0.9");
        assert_eq!(parameter(message.first("from").unwrap(), "TAG"), Some("7"));
        assert_eq!(uri_of(message.first("to").unwrap()), "sip:12328@10.0.0.2");
        assert_eq!((message.first("call-id"), message.sequence()), (Some("a@b"), Some((1, "INVITE"))));
        assert_eq!(uri_of("sip:li@x;tag=1"), "sip:li@x");
        let answer = Message::read(b"\r\nSIP/2.0 401 Go away\nCSeq: 2 REGISTER\n\n").unwrap();
        assert!(answer.start == Start::Response(401) && answer.sequence() == Some((2, "REGISTER")));
    }

    #[test]
    fn a_via_of_nobody_is_none() {
        for nobody in
            ["SIP/2.0/UDP ;branch=z9hG4bKa", "SIP/2.0/UDP;branch=z9hG4bKa", "SIP/2.0/TCP x;branch=z9hG4bKa"]
        {
            let torn = INVITE.replace("SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa.1;rport", nobody);
            assert!(Via::top(&Message::read(torn.as_bytes()).unwrap()).is_none(), "{nobody}");
        }
    }

    #[test]
    fn a_name_in_gbk_hinders_nobody() {
        let gbk = b"\"\xcd\xf5\x80\x5c\" <sip:13800000001@10.0.0.9>;tag=7";
        let (before, after) = INVITE.split_once("\"Wang; <x>, 1\" <sip:13800000001@10.0.0.9>;tag=7").unwrap();
        let bytes = [before.as_bytes(), gbk, after.as_bytes()].concat();
        let message = Message::read(&bytes).unwrap();
        assert_eq!(uri_of(message.first("from").unwrap()), "sip:13800000001@10.0.0.9");
        assert!(message.whole && Via::top(&message).is_some());
    }

    #[test]
    fn what_is_no_message_is_none_and_a_torn_one_says_so() {
        let torn = INVITE.replace("l: 2", "l: 3");
        assert!(!Message::read(torn.as_bytes()).unwrap().whole);
        assert!(!Message::read(INVITE.replace("l: 2", "l: -2").as_bytes()).unwrap().whole);
        let many = INVITE.replace("i: a@b", &"X: y\r\n".repeat(MAX_HEADERS)).into_bytes();
        let long = INVITE.replace("a@b", &"x".repeat(MAX_VALUE + 1)).into_bytes();
        let large = [INVITE.as_bytes(), &vec![b'x'; MAX_DATAGRAM]].concat();
        let wrong = INVITE.replace("sip:8001", "sip: 8001").into_bytes();
        for bytes in [
            b"".as_slice(),
            b"\r\n\r\n",
            b"\0\0\0\0",
            b"GET / HTTP/1.1\r\n\r\n",
            &many,
            &long,
            &large,
            &wrong,
        ] {
            assert!(Message::read(bytes).is_none());
        }
        for broken in ["i: a\rX: y", "i: a\0", "no header at all", ": x"] {
            assert!(Message::read(INVITE.replace("i: a@b", broken).as_bytes()).is_none(), "{broken}");
        }
        for cut in 0..INVITE.len() {
            // Whatever is cut off, and wherever: it is read or not, and nothing panics.
            if let Some(message) = Message::read(&INVITE.as_bytes()[..cut]) {
                let _ = (Via::top(&message).is_some(), message.sequence());
            }
        }
    }
}
