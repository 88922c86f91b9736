//! A small file that holds a secret: read with a cap, and wiped from memory when it is dropped.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use zeroize::Zeroizing;

/// The text of a file of so many bytes at most.
pub(crate) fn read(path: &Path, most: usize) -> Result<Zeroizing<String>> {
    // Room for all of it at once: a text that grows leaves what it was behind.
    let mut text = Zeroizing::new(String::with_capacity(most + 1));
    File::open(path)?.take(most as u64 + 1).read_to_string(&mut text)?;
    match text.len() <= most {
        true => Ok(text),
        false => Err(Error::new(ErrorKind::InvalidData, format!("it has more than {most} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_no_text_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let reads = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path, 4).map(|text| text.to_string()).map_err(|e| e.kind())
        };
        assert_eq!(reads(b"pw\r\n"), Ok("pw\r\n".to_owned()));
        assert_eq!(reads(b"pw\r\n\n"), Err(ErrorKind::InvalidData));
        assert_eq!(reads(b"p\xff"), Err(ErrorKind::InvalidData));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, 4).map_err(|e| e.kind()).unwrap_err(), ErrorKind::NotFound);
    }
}
