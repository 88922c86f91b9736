//! One archive: tar in zstd, sealed or not, with a manifest at its end.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use certs::{BoxKey, RecoveryKey};

use super::sealed::{Opener, Opening, Sealing, StreamKey};
use super::{Entry, FOLDERS, FORMAT, MANIFEST, Manifest, Part, damaged, failed};
use crate::request::Failure;
use crate::users;

/// How hard zstd tries: databases of compressed items gain nothing from more.
const LEVEL: i32 = 1;

/// The longest manifest that is read.
const MAX_MANIFEST: u64 = 256 << 20;

/// Where compressed bytes go.
enum Out {
    Plain(BufWriter<File>),
    Sealed(Box<Sealing<BufWriter<File>>>),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::Plain(to) => to.write(bytes),
            Out::Sealed(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Plain(to) => to.flush(),
            Out::Sealed(to) => to.flush(),
        }
    }
}

/// A reader that hashes and counts what passes.
struct Passing<R> {
    from: R,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<R> Passing<R> {
    fn new(from: R) -> Passing<R> {
        Passing { from, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    fn entry(&self, path: &str) -> Entry {
        Entry { path: path.to_owned(), bytes: self.bytes, blake3: self.hasher.finalize().to_string() }
    }
}

impl<R: Read> Read for Passing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

/// An archive being written.
pub(super) struct Writer {
    tar: tar::Builder<zstd::Encoder<'static, Out>>,
    path: PathBuf,
    key: Option<StreamKey>,
    entries: Vec<Entry>,
}

impl Writer {
    /// Begins an archive, for its owner only, sealed if there are recipients.
    pub(super) fn begin(path: &Path, recipients: &[BoxKey]) -> Result<Writer, Failure> {
        let fail = |e: io::Error| unwritten(path, e);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let (out, key) = match recipients {
            [] => (Out::Plain(file), None),
            to => {
                let (sealing, key) = Sealing::begin(file, to).map_err(fail)?;
                (Out::Sealed(Box::new(sealing)), Some(key))
            }
        };
        let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(fail)?;
        encoder.include_checksum(true).map_err(fail)?; // the manifest has no hash but this
        let tar = tar::Builder::new(encoder);
        Ok(Writer { tar, path: path.to_owned(), key, entries: Vec::new() })
    }

    /// Adds `bytes` bytes of a file of the data directory; there must be so many.
    pub(super) fn add(&mut self, path: &str, bytes: u64, from: impl Read) -> Result<(), Failure> {
        let mut passing = Passing::new(from.take(bytes));
        self.append(path, bytes, &mut passing).map_err(|e| unwritten(&self.path, e))?;
        if passing.bytes != bytes {
            return Err(failed(
                format!("{path} has become shorter while it was copied"),
                format!("{} bytes of {bytes}", passing.bytes),
            ));
        }
        self.entries.push(passing.entry(path));
        Ok(())
    }

    fn append(&mut self, path: &str, bytes: u64, from: &mut dyn Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        self.tar.append_data(&mut header, path, from)
    }

    /// Writes the manifest and brings everything onto the disk. Returns what [`check`] reads it with.
    pub(super) fn finish(
        mut self,
        node: &str,
        part: Part,
        taken: &str,
    ) -> Result<(Manifest, Option<StreamKey>), Failure> {
        let manifest = Manifest {
            format: FORMAT,
            node: node.to_owned(),
            part,
            taken: taken.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            entries: std::mem::take(&mut self.entries),
        };
        let bytes = serde_json::to_vec_pretty(&manifest).expect("plain values have a JSON form");
        let (path, key) = (self.path.clone(), self.key.take());
        let end = || -> io::Result<()> {
            self.append(MANIFEST, bytes.len() as u64, &mut bytes.as_slice())?;
            let file = match self.tar.into_inner()?.finish()? {
                Out::Plain(file) => file,
                Out::Sealed(sealing) => sealing.finish()?,
            };
            file.into_inner().map_err(|e| e.into_error())?.sync_all()
        };
        end().map_err(|e| unwritten(&path, e))?;
        Ok((manifest, key))
    }
}

fn unwritten(path: &Path, e: io::Error) -> Failure {
    let failure = failed(format!("the backup {} cannot be written", path.display()), &e);
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failure.hint("make room there, or keep fewer with --keep; nothing of this backup is left")
        }
        _ => failure,
    }
}

/// How an archive is opened.
pub(super) enum Key<'a> {
    /// It is not sealed, or its key is not at hand.
    None,
    /// The one it was written with.
    Stream(&'a StreamKey),
    /// An operator's.
    Recovery(&'a RecoveryKey),
}

/// Reads an archive to its end and hands each of its files to `take`. Returns the manifest; every file agrees with it.
pub(super) fn read(
    path: &Path,
    sealed: bool,
    key: &Key<'_>,
    mut take: impl FnMut(&str, u64, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, Failure> {
    let unread = |e: io::Error| {
        let what = format!("the backup {} cannot be read", path.display());
        match e.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => {
                damaged(what).because(e)
            }
            _ => failed(what, e),
        }
    };
    let file = BufReader::with_capacity(1 << 20, File::open(path).map_err(unread)?);
    let opener = match (sealed, key) {
        (false, _) => None,
        (true, Key::Stream(key)) => Some(Opener::Writer(key)),
        (true, Key::Recovery(key)) => Some(Opener::Recovery(key)),
        (true, Key::None) => {
            return Err(failed(format!("{} is sealed", path.display()), "no recovery key was given")
                .hint("give the secret half of a recovery key it was sealed to: --key recovery.key"));
        }
    };
    let stream: Box<dyn Read> = match &opener {
        None => Box::new(file),
        Some(opener) => Box::new(Opening::begin(file, opener).map_err(unread)?),
    };
    let mut tar = tar::Archive::new(zstd::Decoder::new(stream).map_err(unread)?);
    let mut found: Vec<Entry> = Vec::new();
    let mut manifest: Option<Manifest> = None;
    for entry in tar.entries().map_err(unread)? {
        let mut entry = entry.map_err(unread)?;
        if manifest.is_some() {
            return Err(damaged(format!("{} goes on after its manifest", path.display())));
        }
        let name = entry.path().map_err(unread)?.to_string_lossy().into_owned();
        let size = entry.size();
        if name == MANIFEST {
            let mut bytes = Vec::new();
            (&mut entry).take(MAX_MANIFEST).read_to_end(&mut bytes).map_err(unread)?;
            let read: Manifest = serde_json::from_slice(&bytes).map_err(|e| {
                damaged(format!("the manifest of {} does not read", path.display())).because(e)
            })?;
            if read.format > FORMAT {
                return Err(failed(
                    format!("{} was written by a newer version ({})", path.display(), read.program),
                    format!("its format is {}, and this program knows {FORMAT}", read.format),
                )
                .hint("restore it with the version that wrote it, or a later one"));
            }
            manifest = Some(read);
            continue;
        }
        if !is_of_a_data_directory(&name) || entry.header().entry_type() != tar::EntryType::Regular {
            return Err(damaged(format!(
                "{} holds `{}`, which no backup does",
                path.display(),
                shown(&name)
            )));
        }
        let mut passing = Passing::new(&mut entry);
        take(&name, size, &mut passing).map_err(unread)?;
        io::copy(&mut passing, &mut io::sink()).map_err(unread)?;
        found.push(passing.entry(&name));
    }
    // To the very end, where the checksum of it all stands.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(unread)?;
    let manifest =
        manifest.ok_or_else(|| damaged(format!("{} is cut off: it has no manifest", path.display())))?;
    if manifest.entries != found {
        let wrong = manifest.entries.iter().zip(&found).find(|(a, b)| a != b);
        let which = wrong.map_or_else(|| "their number".to_owned(), |(a, _)| shown(&a.path));
        return Err(damaged(format!("{} is not what was written", path.display()))
            .because(format!("{which} differs from the manifest")));
    }
    Ok(manifest)
}

fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Whether a path is one that a data directory has: nothing leaves the directory that is restored.
fn is_of_a_data_directory(path: &str) -> bool {
    const FILES: [&str; 8] = [
        "node.db",
        "node.db-wal",
        "vault.db",
        "vault.db-wal",
        "serials.json",
        "hotline.toml",
        users::DATABASE,
        users::HEAD,
    ];
    let inside = FOLDERS.iter().any(|of| path.strip_prefix(of).is_some_and(|rest| rest.starts_with('/')));
    let normal = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
    FILES.contains(&path) || inside && normal && path.len() < 200
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::FailureKind;

    fn written(path: &Path, names: &[&str], to: &[BoxKey]) -> Result<Option<StreamKey>, Failure> {
        let mut writer = Writer::begin(path, to)?;
        for name in names {
            writer.add(name, 5, &b"words and more"[..])?;
        }
        Ok(writer.finish("370100", Part::Node, "20261128T135301Z")?.1)
    }

    #[test]
    fn an_archive_is_what_was_written_or_it_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        written(&path, &["node.db", "files/ab/cd"], &[]).unwrap();
        let mut seen = Vec::new();
        let manifest = read(&path, false, &Key::None, |name, size, from| {
            let mut text = String::new();
            from.read_to_string(&mut text)?;
            seen.push((name.to_owned(), size, text));
            Ok(())
        })
        .unwrap();
        let expected = |name: &str| (name.to_owned(), 5, "words".to_owned());
        assert_eq!(seen, [expected("node.db"), expected("files/ab/cd")]);
        assert_eq!(manifest.entries.len(), 2);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut touched = whole.clone();
            touched[at] ^= 0x55;
            std::fs::write(&path, &touched).unwrap();
            // A byte that zstd or tar do not look at may change; what is read never does.
            if let Ok(read) = read(&path, false, &Key::None, |_, _, _| Ok(())) {
                assert_eq!(read, manifest, "byte {at}");
            }
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path, false, &Key::None, |_, _, _| Ok(())).is_err(), "cut off at {at}");
        }
    }

    #[test]
    fn nothing_but_files_of_a_data_directory_comes_out() {
        let dir = tempfile::tempdir().unwrap();
        for (n, name) in ["../node.db", "files/../../x", "etc/passwd", "identity/../../y", "desk/../../z"]
            .iter()
            .enumerate()
        {
            let path = dir.path().join(n.to_string());
            // tar's own writer refuses `..`; an attacker's does not.
            let mut encoder = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(5);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            encoder.write_all(header.as_bytes()).unwrap();
            encoder.write_all(&[0; 512]).unwrap();
            encoder.finish().unwrap();
            let refused = read(&path, false, &Key::None, |_, _, _| panic!("{name} came out")).unwrap_err();
            assert_eq!(refused.kind, FailureKind::Integrity, "{name}: {refused:?}");
        }
    }

    #[test]
    fn a_sealed_archive_needs_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let key = RecoveryKey::generate();
        let stream = written(&path, &["node.db"], &[key.public()]).unwrap().unwrap();
        for good in [Key::Stream(&stream), Key::Recovery(&key)] {
            read(&path, true, &good, |_, _, _| Ok(())).unwrap();
        }
        assert!(read(&path, true, &Key::None, |_, _, _| Ok(())).is_err());
        let other = RecoveryKey::generate();
        assert!(read(&path, true, &Key::Recovery(&other), |_, _, _| Ok(())).is_err());
        let plain = std::fs::read(&path).unwrap();
        assert!(!plain.windows(5).any(|w| w == b"words"));
    }
}
