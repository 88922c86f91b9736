//! The binary under test.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What comes before a process: names and values of its environment.
pub type Env = [(&'static str, OsString)];

/// The program, by its path: `env!("CARGO_BIN_EXE_hotline-under-test")`, and the words of a command that runs it, if any.
#[derive(Clone, Debug)]
pub struct Program(PathBuf, Vec<String>);

/// What a process said and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Program {
    /// The program at this path.
    pub fn new(path: impl Into<PathBuf>) -> Program {
        Program(path.into(), Vec::new())
    }

    /// The same, run by another command: one that becomes the program, so that its process is the program's.
    pub fn within(&self, command: &[&str]) -> Program {
        Program(self.0.clone(), command.iter().map(|word| (*word).to_owned()).collect())
    }

    /// A command that knows nothing of the environment's HOTLINE variables.
    pub fn command(&self) -> Command {
        let mut command = match self.1.split_first() {
            None => Command::new(&self.0),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.0);
                command
            }
        };
        for name in ["HOTLINE_DIR", "HOTLINE_USER", "HOTLINE_LOG", "HOTLINE_LISTEN"] {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs one command on a data directory to its end, with JSON as its output.
    pub fn run(&self, dir: &Path, words: &[&str]) -> Said {
        self.run_with(dir, words, &[])
    }

    /// The same with something before it, such as a fault.
    pub fn run_with(&self, dir: &Path, words: &[&str], env: &Env) -> Said {
        let mut command = self.command();
        command.args(words).arg("--json").arg("--dir").arg(dir).envs(env.iter().cloned());
        Said::from(command.output().expect("the program starts"))
    }

    /// Runs one command that must succeed; the JSON that it printed.
    ///
    /// # Panics
    /// When it does not.
    pub fn ask(&self, dir: &Path, words: &[&str]) -> Value {
        let said = self.run(dir, words);
        said.json().unwrap_or_else(|| panic!("{words:?} on {}: {said}", dir.display()))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code(),
            signal: output.status.signal(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// What it printed, when it ended well and that is JSON: only this is a report that something was done.
    pub fn json(&self) -> Option<Value> {
        if self.code == Some(0) { serde_json::from_str(&self.out).ok() } else { None }
    }

    /// What it printed as JSON lines, when it ended well.
    pub fn lines(&self) -> Option<Vec<Value>> {
        if self.code != Some(0) {
            return None;
        }
        self.out.lines().map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit {code}")?,
            (_, signal) => write!(f, "signal {}", signal.unwrap_or_default())?,
        }
        write!(f, "; {} {}", self.out.trim(), self.err.trim())
    }
}
