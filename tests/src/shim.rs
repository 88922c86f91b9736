//! Storage that fails: compiles `shim/crash.c` and puts it before the C library of a child process.
//!
//! A sweep is: run once with [`Mode::Count`], then once for each call with the fault at it, and look each time at
//! what the child had said to be done. What each mode does, and what is not simulated, stands in the C file.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("../shim/crash.c");

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing; calls are counted.
    Count,
    /// The process dies instead of the call.
    Kill,
    /// Half of the write, then the process dies.
    Torn,
    /// Some of what was not synced is undone, then the process dies.
    Power,
    /// This and every later write: no space left.
    Enospc,
    /// This write fails.
    Eio,
    /// This sync fails.
    FsyncEio,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Mode::Count => "count",
            Mode::Kill => "kill",
            Mode::Torn => "torn",
            Mode::Power => "power",
            Mode::Enospc => "enospc",
            Mode::Eio => "eio",
            Mode::FsyncEio => "fsync_eio",
        }
    }
}

/// One fault of one process.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What happens.
    pub mode: Mode,
    /// At which call that the mode counts, from 1.
    pub at: u64,
    /// Only to files whose path contains this; not empty.
    pub path: String,
    /// What [`Mode::Power`] undoes.
    pub seed: u64,
}

/// Why there is no shim.
#[derive(Debug)]
pub enum ShimError {
    /// The temporary directory could not be made or written, or the compiler not be started.
    Io(io::Error),
    /// The compiler refused the source.
    Compiler(String),
}

impl fmt::Display for ShimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => {
                write!(f, "the storage shim cannot be built ({e}); is there a C compiler named cc?")
            }
            Self::Compiler(said) => write!(f, "the storage shim does not compile: {said}"),
        }
    }
}

impl std::error::Error for ShimError {}

impl From<io::Error> for ShimError {
    fn from(e: io::Error) -> ShimError {
        ShimError::Io(e)
    }
}

/// A compiled shim, in a directory of its own that goes with it.
#[derive(Debug)]
pub struct Shim {
    dir: tempfile::TempDir,
}

impl Shim {
    /// Names a file in the environment: only while it exists are calls counted and harmed.
    pub const WHILE: &'static str = "SHIM_WHILE";

    /// Names a part of paths in the environment: syncs of such files do nothing and report success. Sabotage.
    pub const SWALLOW: &'static str = "SHIM_SWALLOW";

    /// Compiles the shim with `cc`, in well under a second.
    pub fn build() -> Result<Shim, ShimError> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("crash.c"), SOURCE)?;
        let flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread"];
        let output = Command::new("cc")
            .current_dir(dir.path())
            .args(flags)
            .args(["-o", "crash.so", "crash.c"])
            .output()?;
        if !output.status.success() {
            return Err(ShimError::Compiler(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(Shim { dir })
    }

    /// The shared object.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("crash.so")
    }

    /// The environment that puts the shim and a fault before a process. With `report`, a process that ends by itself
    /// writes how many calls it made into that file ([`Shim::calls`]).
    pub fn env(&self, fault: &Fault, report: Option<&Path>) -> Vec<(&'static str, OsString)> {
        let mut env: Vec<(&'static str, OsString)> = vec![
            ("LD_PRELOAD", self.path().into()),
            ("SHIM_MODE", fault.mode.word().into()),
            ("SHIM_AT", fault.at.to_string().into()),
            ("SHIM_PATH", fault.path.clone().into()),
            ("SHIM_SEED", fault.seed.to_string().into()),
        ];
        env.extend(report.map(|r| ("SHIM_REPORT", r.into())));
        env
    }

    /// The number of calls in a report.
    pub fn calls(report: &Path) -> io::Result<u64> {
        let text = std::fs::read_to_string(report)?;
        text.trim().parse().map_err(|_| io::Error::other("the report of the storage shim holds no number"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::sync::LazyLock;

    use super::*;

    static SHIM: LazyLock<Shim> = LazyLock::new(|| Shim::build().unwrap());

    const RECORD: usize = 64;
    const RECORDS: u8 = 10;
    const FILE: &str = "SHIM_TEST_FILE";
    const LAZY: &str = "SHIM_TEST_LAZY";

    const WATCHED: &str = "SHIM_TEST_WATCHED";

    /// The child of the tests below: appends records, syncs each, and says so only then.
    #[test]
    #[ignore = "the child process of the other tests, useless by itself"]
    fn child_appends_records() {
        let path = std::env::var(FILE).expect("run by its parents");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        if std::env::var(WATCHED).is_ok() {
            std::thread::spawn(move || {
                let size = || std::fs::metadata(&path).unwrap().len();
                let mut seen = 0;
                loop {
                    let now = size();
                    if now < seen {
                        std::process::abort();
                    }
                    seen = now;
                }
            });
        }
        for i in 0..RECORDS {
            if let Err(e) = file.write_all(&[b'a' + i; RECORD]) {
                return println!("write {i} failed: {}", e.raw_os_error().unwrap());
            }
            if std::env::var(LAZY).is_err()
                && let Err(e) = file.sync_data()
            {
                return println!("sync {i} failed: {}", e.raw_os_error().unwrap());
            }
            println!("done {i}");
        }
    }

    struct Ran {
        /// How many records the child said were done.
        done: usize,
        /// What the file holds.
        file: Vec<u8>,
        /// The signal that ended it.
        signal: Option<i32>,
        said: String,
        calls: io::Result<u64>,
    }

    impl Ran {
        /// How many records are whole, from the start.
        fn whole(&self) -> usize {
            self.file
                .chunks(RECORD)
                .zip(b'a'..)
                .take_while(|(r, c)| r.len() == RECORD && r.iter().all(|b| b == c))
                .count()
        }
    }

    fn run(mode: Mode, at: u64, seed: u64, lazy: bool) -> Ran {
        run_with(mode, at, seed, if lazy { &[LAZY] } else { &[] })
    }

    fn run_with(mode: Mode, at: u64, seed: u64, how: &[&str]) -> Ran {
        let dir = tempfile::tempdir().unwrap();
        let (file, report) = (dir.path().join("records"), dir.path().join("report"));
        let fault = Fault { mode, at, path: file.display().to_string(), seed };
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([
            "--exact",
            "shim::tests::child_appends_records",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        child.envs(SHIM.env(&fault, Some(&report))).env(FILE, &file);
        child.envs(how.iter().map(|name| (name, "1")));
        let output = child.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        Ran {
            done: said.matches("done ").count(),
            file: std::fs::read(&file).unwrap_or_default(),
            signal: output.status.signal(),
            calls: Shim::calls(&report),
            said,
        }
    }

    #[test]
    fn calls_are_counted_and_nothing_is_harmed() {
        let ran = run(Mode::Count, 0, 1, false);
        assert_eq!((ran.done, ran.whole(), ran.signal), (10, 10, None), "{}", ran.said);
        assert_eq!(ran.calls.unwrap(), 20);
    }

    #[test]
    fn a_process_is_killed_before_any_call() {
        for at in 1..=20 {
            let ran = run(Mode::Kill, at, 1, false);
            // Calls alternate: write, sync, write, ...
            let (written, synced) = (at as usize / 2, (at as usize - 1) / 2);
            assert_eq!(
                (ran.signal, ran.whole(), ran.done),
                (Some(9), written, synced),
                "call {at}: {}",
                ran.said
            );
            assert!(ran.calls.is_err(), "the dead report nothing");
        }
        assert_eq!(run(Mode::Kill, 21, 1, false).done, 10, "past the last call nothing happens");
    }

    #[test]
    fn a_torn_write_leaves_half() {
        let ran = run(Mode::Torn, 4, 1, false);
        assert_eq!((ran.signal, ran.done, ran.file.len()), (Some(9), 3, 3 * RECORD + RECORD / 2));
    }

    #[test]
    fn a_power_cut_spares_what_was_synced_and_nothing_else() {
        for at in 1..=20 {
            let ran = run(Mode::Power, at, at, false);
            assert_eq!(ran.signal, Some(9));
            assert!(ran.whole() >= ran.done, "call {at}: {} said, {} there", ran.done, ran.whole());
        }
        // The teeth: a writer that does not sync loses records that it called done.
        let lost = (0..8).filter(|seed| {
            let ran = run(Mode::Power, 9, *seed, true);
            assert_eq!((ran.signal, ran.done), (Some(9), 8));
            ran.whole() < ran.done
        });
        assert!(lost.count() >= 4);
    }

    /// A thread that reads a file, or a map of it, while the file shrinks under it ends otherwise than by the cut.
    #[test]
    fn nobody_is_awake_while_a_power_cut_undoes() {
        for seed in 0..40 {
            let ran = run_with(Mode::Power, 10, seed, &[LAZY, WATCHED]);
            assert_eq!(ran.signal, Some(9), "seed {seed}: {}", ran.said);
        }
    }

    #[test]
    fn a_full_disk_stays_full_and_an_error_comes_once() {
        let check = |mode, at, said: &str, whole| {
            let ran = run(mode, at, 1, false);
            assert!(ran.said.contains(said), "{}", ran.said);
            assert_eq!((ran.signal, ran.whole()), (None, whole), "{mode:?}");
        };
        check(Mode::Enospc, 4, "write 3 failed: 28", 3);
        check(Mode::Eio, 4, "write 3 failed: 5", 3);
        check(Mode::FsyncEio, 4, "sync 3 failed: 5", 4);
    }

    #[test]
    fn files_that_are_not_named_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("records");
        let fault = Fault { mode: Mode::Kill, at: 1, path: "/some/other/place".to_owned(), seed: 1 };
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "shim::tests::child_appends_records", "--ignored", "--nocapture"]);
        let output = child.envs(SHIM.env(&fault, None)).env(FILE, &file).output().unwrap();
        assert!(output.status.success());
        assert_eq!(std::fs::read(&file).unwrap().len(), RECORD * RECORDS as usize);
    }
}
