//! A machine whose date is wrong: compiles `shim/clock.c` and puts it before the C library of a child process.
//!
//! What is shifted, and what is not, stands in the C file. The shift is a file that the process has mapped, so a date
//! that is set under a running process is [`WrongClock::set`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = include_str!("../shim/clock.c");

/// The clock of whatever is started with [`WrongClock::env`].
#[derive(Debug)]
pub struct WrongClock {
    dir: tempfile::TempDir,
}

impl WrongClock {
    /// Compiles the shim with `cc`; the clock is right so far.
    ///
    /// # Panics
    /// When there is no C compiler, or it refuses the source.
    pub fn build() -> WrongClock {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("clock.c"), SOURCE).expect("the source");
        let flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"];
        let compiler = Command::new("cc")
            .current_dir(dir.path())
            .args(flags)
            .args(["-o", "clock.so", "clock.c", "-ldl"])
            .output()
            .expect("a C compiler named cc");
        assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stderr));
        let clock = WrongClock { dir };
        clock.set(0);
        clock
    }

    fn shift(&self) -> PathBuf {
        self.dir.path().join("shift")
    }

    /// Sets the date: so many seconds before (negative) or after the true one, for processes that run, too.
    ///
    /// # Panics
    /// When the disk does not let it.
    pub fn set(&self, seconds: i64) {
        use std::os::unix::fs::FileExt;
        // Written in place: a file that is replaced stays mapped as it was.
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(self.shift());
        file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0)).expect("the shift");
    }

    /// The environment that gives a process this clock.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        vec![("LD_PRELOAD", self.dir.path().join("clock.so").into()), ("CLOCK_SHIFT", self.shift().into())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year_of(clock: &WrongClock) -> i32 {
        let said = Command::new("date").arg("+%Y").envs(clock.env()).output().expect("date");
        String::from_utf8_lossy(&said.stdout).trim().parse().expect("a year")
    }

    #[test]
    fn the_date_is_off_by_what_was_said() {
        let clock = WrongClock::build();
        let now = year_of(&clock);
        clock.set(-20 * 366 * 86_400);
        assert!((now - 21..=now - 20).contains(&year_of(&clock)), "{}", year_of(&clock));
        clock.set(20 * 366 * 86_400);
        assert!((now + 20..=now + 21).contains(&year_of(&clock)), "{}", year_of(&clock));
    }
}
