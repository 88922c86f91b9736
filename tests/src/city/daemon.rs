//! One running node.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{Env, Program, until};

/// A `hotline run`. It is killed when dropped, and nothing is lost by it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    dir: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts a node on its directory; `log` gets its standard error, after what is there already. It may be dead
    /// before it is ready: ask [`Daemon::ready`].
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(
        program: &Program,
        dir: &Path,
        listen: SocketAddr,
        peers: &[(String, SocketAddr)],
        log: &Path,
        env: &Env,
    ) -> Daemon {
        let peers: Vec<_> = peers.iter().map(|(node, address)| (node.clone(), Some(*address))).collect();
        Daemon::start_toward(program, dir, listen, &peers, log, env)
    }

    /// The same with peers of whom some have no address: they dial.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start_toward(
        program: &Program,
        dir: &Path,
        listen: SocketAddr,
        peers: &[(String, Option<SocketAddr>)],
        log: &Path,
        env: &Env,
    ) -> Daemon {
        let log_file = File::options().create(true).append(true).open(log).expect("a log");
        let mut command = program.command();
        command.arg("run").arg("--dir").arg(dir).arg("--listen").arg(listen.to_string());
        for (node, address) in peers {
            let address = address.map_or_else(String::new, |address| address.to_string());
            command.arg("--peer").arg(format!("{node}={address}"));
        }
        command.envs(env.iter().cloned()).stdout(Stdio::null()).stderr(log_file);
        let child = command.spawn().expect("the program starts");
        Daemon { child, dir: dir.to_owned(), log: log.to_owned() }
    }

    /// Waits until it answers on its socket (`true`) or has ended before that (`false`). Commands given earlier would
    /// work on the directory themselves and stand in its way.
    pub fn ready(&mut self) -> bool {
        until("the node answers or ends", || {
            if self.child.try_wait().expect("a child").is_some() {
                return Ok(false);
            }
            match UnixStream::connect(self.dir.join(node::daemon::SOCKET)) {
                Ok(_) => Ok(true),
                Err(e) => Err(e.to_string()),
            }
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        until("the node ends", || self.ended().ok_or_else(|| "it runs".to_owned()))
    }

    /// SIGTERM; how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        self.wait()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
