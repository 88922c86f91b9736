//! A stick, or whatever directory stands for one: files are found, and written so that half of one is never taken for
//! the whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::MAX_PART;
use crate::request::{Failure, FailureKind};

/// How bundles' files end.
const ENDING: &str = "hlb";

/// Most files of one import.
const MAX_FILES: usize = 100_000;

/// What became of a file that is to be read.
pub enum Opened {
    /// It is open, and has so many bytes.
    File(File, u64),
    /// It is left alone.
    Not(String),
}

fn unreadable(path: &Path, e: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Failed, format!("{} cannot be read", path.display()))
        .because(e)
        .hint("is the stick plugged in and mounted?")
}

/// The bundles that these paths name: files as they are, of directories the `*.hlb` files in them, in the order of
/// their names.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let meta = fs::symlink_metadata(path).map_err(|e| unreadable(path, &e))?;
        if !meta.is_dir() {
            found.push(path.clone());
            continue;
        }
        for entry in fs::read_dir(path).map_err(|e| unreadable(path, &e))? {
            let entry = entry.map_err(|e| unreadable(path, &e))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(|e| unreadable(path, &e))?);
            // Other systems write small letters as large ones.
            let ends = path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ENDING));
            if kind.is_file() && ends {
                found.push(path);
            }
            if found.len() > MAX_FILES {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("there are more than {MAX_FILES} files"),
                )
                .hint("import them directory by directory"));
            }
        }
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()).then(a.cmp(b)));
    found.dedup();
    Ok(found)
}

/// Opens a file of a stick: only a plain one, and nothing that a link points to.
pub(super) fn open(path: &Path) -> Result<Opened, Failure> {
    let before = fs::symlink_metadata(path).map_err(|e| unreadable(path, &e))?;
    if !before.is_file() {
        return Ok(Opened::Not("it is not a plain file, and is left alone".to_owned()));
    }
    if before.len() > MAX_PART {
        return Ok(Opened::Not("it is larger than any part of a bundle".to_owned()));
    }
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let after = file.metadata().map_err(|e| unreadable(path, &e))?;
    if (before.dev(), before.ino()) != (after.dev(), after.ino()) {
        return Ok(Opened::Not("it became another file while it was opened".to_owned()));
    }
    Ok(Opened::File(file, after.len()))
}

/// A file being written under another name; it gets its own when all of it is on the medium.
pub(super) struct Writing {
    file: File,
    beside: PathBuf,
    to: PathBuf,
    /// How many bytes it has so far.
    pub(super) size: u64,
    kept: bool,
}

impl Writing {
    pub(super) fn begin(dir: &Path, name: &str) -> Result<Writing, Failure> {
        let to = dir.join(name);
        let beside = dir.join(format!("{name}.part"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&beside);
        let file = file.map_err(|e| unwritable(dir, &e))?;
        Ok(Writing { file, beside, to, size: 0, kept: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|e| unwritable(&self.to, &e))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Makes it durable and gives it its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let dir = self.to.parent().unwrap_or(Path::new("."));
        let named = self.file.sync_all().and_then(|()| fs::rename(&self.beside, &self.to));
        let named = named.and_then(|()| match File::open(dir)?.sync_all() {
            // Some file systems of sticks cannot synchronise a directory; the name follows with the unmounting.
            Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            synced => synced,
        });
        named.map_err(|e| unwritable(&self.to, &e))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.beside); // what fitted of it makes room again
        }
    }
}

/// Why nothing more can be written there. Full is something that a further stick helps against.
fn unwritable(path: &Path, e: &std::io::Error) -> Failure {
    let failure = |kind, why: &str| Failure::new(kind, format!("{}: {why}", path.display())).because(e);
    match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => failure(
            FailureKind::TryAgain,
            "the medium is full",
        )
        .hint(
            "make room or take another stick, and export again with --basis handed-out; nothing is forgotten",
        ),
        ErrorKind::ReadOnlyFilesystem => failure(FailureKind::Failed, "the medium is read-only")
            .hint("open the stick's lock, or mount it for writing; or choose another --out"),
        ErrorKind::NotFound => failure(FailureKind::Failed, "there is no such directory")
            .hint("is the stick mounted? --out names a directory on it"),
        ErrorKind::PermissionDenied => failure(FailureKind::Failed, "writing is not allowed there")
            .hint("mount the stick for this user, or choose another --out"),
        _ => failure(FailureKind::Failed, "it cannot be written")
            .hint("try another stick; nothing that is owed was forgotten"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_with_a_medium_has_words_and_a_next_step() {
        // By their numbers: full, quota, file too large, read-only, not there, not allowed, broken.
        for (errno, kind, words) in [
            (28, FailureKind::TryAgain, "full"),
            (122, FailureKind::TryAgain, "full"),
            (27, FailureKind::TryAgain, "full"),
            (30, FailureKind::Failed, "read-only"),
            (2, FailureKind::Failed, "no such directory"),
            (13, FailureKind::Failed, "not allowed"),
            (5, FailureKind::Failed, "cannot be written"),
        ] {
            let failure = unwritable(Path::new("/stick/a.hlb"), &std::io::Error::from_raw_os_error(errno));
            assert_eq!(failure.kind, kind, "{errno}");
            assert!(
                failure.message.contains(words) && failure.message.contains("/stick/a.hlb"),
                "{failure:?}"
            );
            assert!(failure.hint.is_some(), "{failure:?}");
        }
    }

    #[test]
    fn half_a_file_never_has_the_name_of_a_whole_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let names = || {
            let mut names: Vec<String> = fs::read_dir(dir.path())
                .expect("a directory")
                .map(|e| e.expect("a file").file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        let mut writing = Writing::begin(dir.path(), "a.hlb").expect("begun");
        writing.write(b"half").expect("written");
        assert_eq!(names(), ["a.hlb.part"]);
        drop(writing);
        assert_eq!(names(), [] as [&str; 0], "what was given up makes room");
        let mut writing = Writing::begin(dir.path(), "a.hlb").expect("begun");
        writing.write(b"whole").expect("written");
        writing.finish().expect("finished");
        assert_eq!(names(), ["a.hlb"]);
        assert_eq!(find(&[dir.path().to_owned()]).expect("found"), [dir.path().join("a.hlb")]);
    }
}
