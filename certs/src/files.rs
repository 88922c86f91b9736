//! Files of an identity or an authority: written whole or not at all, secrets for their owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// The owner (0600).
    Owner,
    /// Everybody (0644).
    All,
}

/// Why a file was not read or written.
#[derive(Debug)]
pub enum FileError {
    /// The operating system says so.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A secret that others could have read.
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than such a file ever is, or not what its name says.
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, as a half-sentence.
        why: String,
    },
    /// There is one already, and it is not replaced.
    Exists(PathBuf),
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            FileError::Open { path, mode } => write!(
                f,
                "{} can be read by others (mode {mode:03o}); chmod 600 it, and replace the key if they may have",
                path.display()
            ),
            FileError::Content { path, why } => {
                write!(f, "{}: {why}; restore it from a backup", path.display())
            }
            FileError::Exists(path) => {
                write!(f, "{} exists and is not replaced; choose an empty directory", path.display())
            }
        }
    }
}

impl std::error::Error for FileError {}

pub(crate) fn content(path: &Path, why: impl ToString) -> FileError {
    FileError::Content { path: path.to_owned(), why: why.to_string() }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FileError + '_ {
    move |error| FileError::Io { path: path.to_owned(), error }
}

/// Makes the directory, for its owner only, unless it is there.
pub(crate) fn make_dir(dir: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error(dir))
}

/// Says no if the file is there.
pub(crate) fn must_not_exist(path: &Path) -> Result<(), FileError> {
    match path.symlink_metadata() {
        Ok(_) => Err(FileError::Exists(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(io_error(path)(e)),
    }
}

/// Replaces a file: after a crash at any point it holds its old content or its new one, and is on the disk when
/// this returns.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), FileError> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let temporary = path.with_extension("new");
    let fail = |error| FileError::Io { path: path.to_owned(), error };
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&temporary, path).map_err(fail)?;
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(fail)
}

/// Reads a file of at most `most` bytes. A secret that others can read is refused.
pub(crate) fn read(path: &Path, most: usize, readers: Readers) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(io_error(path))?;
    let mode = file.metadata().map_err(io_error(path))?.permissions().mode() & 0o777;
    if readers == Readers::Owner && mode & 0o077 != 0 {
        return Err(FileError::Open { path: path.to_owned(), mode });
    }
    // Room for any key at once: growing would leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most.min(1 << 16) + 1));
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() > most {
        return Err(content(path, format_args!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// Reads a text file; see [`read`].
pub(crate) fn read_text(path: &Path, most: usize, readers: Readers) -> Result<Zeroizing<String>, FileError> {
    let bytes = read(path, most, readers)?;
    std::str::from_utf8(&bytes)
        .map(|s| Zeroizing::new(s.to_owned()))
        .map_err(|_| content(path, "it is not text"))
}
