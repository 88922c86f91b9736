//! What kind of file it is, seen from its first bytes.

/// Anything.
pub const OCTETS: &str = "application/octet-stream";

/// How many of the first bytes are looked at.
const LOOK: usize = 512;

/// Beginnings of well-known files: where, what, and the type.
const KNOWN: &[(usize, &[u8], &str)] = &[
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"#!AMR", "audio/amr"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
];

/// The media type: the content's own if it is a well-known one, else what somebody said, else text or octets. What
/// is said narrows a container: a document in a ZIP file is what its writer calls it.
pub fn sniff(first: &[u8], said: Option<&str>) -> String {
    let said = said.filter(|s| well_formed(s));
    let seen = KNOWN.iter().find(|(at, what, _)| first.get(*at..).is_some_and(|rest| rest.starts_with(what)));
    match (seen, said) {
        (Some((.., "application/zip" | "application/x-ole-storage")), Some(said)) => said.to_owned(),
        (Some((.., seen)), _) => (*seen).to_owned(),
        (None, Some(said)) => said.to_owned(),
        (None, None) if is_text(&first[..first.len().min(LOOK)]) => "text/plain".to_owned(),
        (None, None) => OCTETS.to_owned(),
    }
}

fn is_text(first: &[u8]) -> bool {
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        // Cut within a character, or not text at all.
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&first[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c'))
}

/// Whether this is a media type: two names of plain characters.
pub fn well_formed(said: &str) -> bool {
    let name = |part: &str| {
        (1..=64).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    said.split_once('/').is_some_and(|(kind, form)| name(kind) && name(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bytes_say_counts_before_what_somebody_says() {
        let check = |first: &[u8], said: Option<&str>, wanted: &str| {
            assert_eq!(sniff(first, said), wanted, "{first:?} {said:?}");
        };
        check(b"\xff\xd8\xff\xe0 and so on", Some("text/plain"), "image/jpeg");
        check(b"RIFF1234WAVEfmt ", None, "audio/wav");
        check(b"\0\0\0\x1cftypM4A ", None, "audio/mp4");
        check(b"PK\x03\x04...", None, "application/zip");
        check(b"PK\x03\x04...", Some("application/ofd"), "application/ofd");
        check("投诉内容".as_bytes(), None, "text/plain");
        check(&"投诉".as_bytes()[..5], None, "text/plain");
        check(b"\0\x01\x02", None, OCTETS);
        check(b"", None, OCTETS);
        check(b"\0\x01\x02", Some("audio/x-own"), "audio/x-own");
        check(b"\0\x01\x02", Some("no type\n"), OCTETS);
    }
}
