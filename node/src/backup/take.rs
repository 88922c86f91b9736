//! Taking a backup beside the node that works.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use certs::BoxKey;
use serde_json::{Value, json};

use super::archive::{self, Key, Writer};
use super::rotation::rotate;
use super::{FOLDERS, LAST, Named, Part, failed};
use crate::request::{Failure, FailureKind, Hold, Reply, Request};
use crate::users::{self, Users};

/// How often it is begun again when the copy was worth nothing.
const TRIES: usize = 3;

/// How often the hold is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// What a backup is to be.
pub struct Backup<'a> {
    /// The data directory.
    pub dir: &'a Path,
    /// Where the archives go.
    pub dest: &'a Path,
    /// Sealed to these recovery keys; to nobody when there are none.
    pub to: &'a [BoxKey],
    /// How many backups of this node stay there; all of them when not given.
    pub keep: Option<usize>,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// Takes a backup. `ask` asks the node, or the engine that has the directory; `progress` hears of every byte read. The
/// files that are opened come into `open` and must stay there until the engine is closed, if it is of this process:
/// closing one of them would free the database's lock.
///
/// # Errors
/// Nothing is left of a backup that failed, and none is removed before it.
pub fn take(
    backup: &Backup<'_>,
    open: &mut Vec<File>,
    mut ask: impl FnMut(&Request) -> Reply,
    mut progress: impl FnMut(u64),
) -> Result<Value, Failure> {
    make_dest(backup.dest)?;
    for _ in 0..TRIES {
        let mut copy = Copy { backup, open, ask: &mut ask, progress: &mut progress, renewed: Instant::now() };
        let made = copy.make();
        if made.is_err() {
            let _ = copy.hold(Hold::End); // it ends by itself, if nobody hears this
        }
        if let Some(said) = made? {
            return Ok(said);
        }
    }
    Err(Failure::new(FailureKind::TryAgain, "the files changed again and again while they were copied")
        .because("callers' data was erased, or another backup began")
        .hint("take the backup when nobody erases, and one at a time"))
}

fn make_dest(dest: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dest)
        .map_err(|e| failed(format!("{} is no directory that backups can go to", dest.display()), e))
}

/// An archive that has not got its name yet; dropping it removes it.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

struct Copy<'a, 'b> {
    backup: &'a Backup<'b>,
    open: &'a mut Vec<File>,
    ask: &'a mut dyn FnMut(&Request) -> Reply,
    progress: &'a mut dyn FnMut(u64),
    renewed: Instant,
}

/// Reads a file; what is read moves the bar and keeps the hold alive.
struct Watched<'a, 'b, 'c, R>(R, &'a mut Copy<'b, 'c>);

impl<R: Read> Read for Watched<'_, '_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buffer)?;
        (self.1.progress)(n as u64);
        if self.1.renewed.elapsed() >= RENEW {
            self.1.hold(Hold::Mark).map_err(|failure| io::Error::other(failure.message))?;
        }
        Ok(n)
    }
}

impl Copy<'_, '_> {
    fn hold(&mut self, step: Hold) -> Reply {
        self.renewed = Instant::now();
        (self.ask)(&Request::Hold { step })
    }

    /// `None` when something was erased meanwhile, or the files were not held still all the time.
    fn make(&mut self) -> Result<Option<Value>, Failure> {
        let begun = self.hold(Hold::Begin)?;
        let node = begun["node"].as_str().unwrap_or_default().to_owned();
        let taken = jiff::Timestamp::from_second(self.backup.now)
            .map_err(|e| failed("the machine's time is no time", e))?
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let sealed = !self.backup.to.is_empty();
        let begin = |part: Part| {
            let name = Named::file_name(&node, &taken, part, sealed);
            let (path, partial) =
                (self.backup.dest.join(&name), self.backup.dest.join(format!(".{name}.partial")));
            if path.exists() {
                return Err(Failure::new(
                    FailureKind::TryAgain,
                    format!("{} is there already", path.display()),
                ));
            }
            let guard = Partial(partial.clone());
            Writer::begin(&partial, self.backup.to).map(|writer| (writer, guard, path))
        };
        let (mut main, main_partial, main_path) = begin(Part::Node)?;
        let (mut vault, vault_partial, vault_path) = begin(Part::Vault)?;
        self.add(&mut main, "node.db", None)?;
        self.add(&mut vault, "vault.db", None)?;
        let marked = self.hold(Hold::Mark)?;
        for (log, length) in marked["logs"].as_object().into_iter().flatten() {
            let writer = if Part::of(log) == Part::Vault { &mut vault } else { &mut main };
            if let Some(length) = length.as_u64().filter(|length| *length > 0) {
                self.add(writer, log, Some(length))?;
            }
        }
        // Contents after the logs: no bit speaks of a piece that was not there yet.
        for path in self.others().map_err(|e| failed("the data directory cannot be read", e))? {
            self.add(&mut main, &path, None)?;
        }
        self.add_desk(&mut main)?;
        let ended = self.hold(Hold::End)?;
        if ["hold", "cuts"].iter().any(|what| ended[what] != begun[what]) {
            return Ok(None);
        }
        let mut bytes = 0;
        for (writer, part, partial) in
            [(main, Part::Node, &main_partial), (vault, Part::Vault, &vault_partial)]
        {
            let (written, key) = writer.finish(&node, part, &taken)?;
            let key = key.as_ref().map_or(Key::None, Key::Stream);
            let read = archive::read(&partial.0, sealed, &key, |_, _, _| Ok(()))?;
            if read != written {
                return Err(super::damaged("what was written reads as something else; look at that disk"));
            }
            bytes += fs::metadata(&partial.0).map_or(0, |m| m.len());
        }
        self.name([(&main_partial, &main_path), (&vault_partial, &vault_path)])?;
        let removed = rotate(self.backup.dest, &node, self.backup.keep, self.backup.now)
            .map_err(|e| failed("the backup is there, but older ones could not be removed", e))?;
        let said = json!({
            "node": node, "taken": taken, "files": [main_path, vault_path], "bytes": bytes, "sealed": sealed,
            "verified": true, "removed": removed,
        });
        let last = serde_json::to_vec(&said).expect("plain values have a JSON form");
        fs::write(self.backup.dir.join(LAST), last)
            .map_err(|e| failed("the backup is there, but the data directory could not note it", e))?;
        Ok(Some(said))
    }

    /// Adds a file of the data directory, or so many bytes of it.
    fn add(&mut self, writer: &mut Writer, path: &str, bytes: Option<u64>) -> Result<(), Failure> {
        let unread = |e: io::Error| failed(format!("{path} of the data directory cannot be read"), e);
        let file = match File::open(self.backup.dir.join(path)) {
            // An erased ticket's content went between the listing and here; `cuts` tells.
            Err(e) if e.kind() == io::ErrorKind::NotFound && path.starts_with("files/") => return Ok(()),
            opened => opened.map_err(unread)?,
        };
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => file.metadata().map_err(unread)?.len(),
        };
        writer.add(path, bytes, Watched(&file, self))?;
        if path.contains(".db") {
            self.open.push(file);
        }
        Ok(())
    }

    /// Adds the desk's accounts and audit log, if there is a desk. Its database is open to others all the time, so SQLite
    /// itself makes the copy; sessions and drafts stay out of it.
    fn add_desk(&mut self, writer: &mut Writer) -> Result<(), Failure> {
        let dir = self.backup.dir;
        if !dir.join(users::DATABASE).exists() {
            return Ok(());
        }
        let beside = |name: &str| Partial(dir.join(format!("{name}.copy-{}", std::process::id())));
        // The note of the newest line first: it may be older than the log, and never newer.
        let head = beside(users::HEAD);
        let noted = match fs::copy(dir.join(users::HEAD), &head.0) {
            Ok(_) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(failed(format!("{} cannot be copied", users::HEAD), e)),
        };
        let copy = beside(users::DATABASE);
        let _ = fs::remove_file(&copy.0); // of a backup that was killed, by a process of the same number
        Users::open(dir)?.copy_to(&copy.0)?;
        for (name, partial) in [(users::DATABASE, Some(&copy)), (users::HEAD, noted.then_some(&head))] {
            let Some(partial) = partial else { continue };
            let unread = |e: io::Error| failed(format!("the copy of {name} cannot be read"), e);
            let file = File::open(&partial.0).map_err(unread)?;
            let bytes = file.metadata().map_err(unread)?.len();
            writer.add(name, bytes, Watched(&file, self))?;
        }
        Ok(())
    }

    /// What else a data directory has, by its paths.
    fn others(&self) -> io::Result<Vec<String>> {
        let dir = self.backup.dir;
        let mut paths: Vec<String> = ["serials.json", "hotline.toml"]
            .into_iter()
            .filter(|name| dir.join(name).is_file())
            .map(str::to_owned)
            .collect();
        let mut inside: Vec<String> = FOLDERS.map(str::to_owned).into();
        while let Some(folder) = inside.pop() {
            let entries = match fs::read_dir(dir.join(&folder)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let (path, kind) =
                    (format!("{folder}/{}", entry.file_name().to_string_lossy()), entry.file_type()?);
                match () {
                    () if path == "files/new" => {} // what is only being attached
                    () if kind.is_dir() => inside.push(path),
                    () if kind.is_file() => paths.push(path),
                    () => {}
                }
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Both archives get their names; the vault first, so that a node's archive never stands alone.
    fn name(&self, [main, vault]: [(&Partial, &PathBuf); 2]) -> Result<(), Failure> {
        let rename = || {
            fs::rename(&vault.0.0, vault.1)?;
            fs::rename(&main.0.0, main.1)?;
            File::open(self.backup.dest)?.sync_all()
        };
        rename()
            .map_err(|e| failed(format!("the backup cannot be named in {}", self.backup.dest.display()), e))
    }
}
