//! Real `hotline` processes: their directories, their certificates, their links on 127.0.0.1, and their ends.
//!
//! ```text
//! Program    the binary under test: one command, what it said and how it ended
//! Daemon     one running node: its log, kill -9, SIGTERM
//! Network    identities and directories made by the program itself; daemons linked through relays that can be cut
//! Hosts      nodes in network namespaces of their own, linked by cables of the kernel's
//! Hostile    a node made of the library that harms what it sends
//! Sweep      one deed, done again and again with a fault at every storage call
//! ```
//!
//! Nothing here waits for a time: it waits for a condition, looks again every few milliseconds, and gives up with what
//! was seen last after a minute.

mod daemon;
mod hostile;
mod hosts;
mod network;
mod program;
pub mod sweep;

pub use daemon::Daemon;
pub use hostile::{Harm, Hostile};
pub use hosts::Hosts;
pub use network::Network;
pub use program::{Env, Program, Said};

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `look` finds what is wanted; it says what it still sees otherwise.
///
/// # Panics
/// When it does not come within [`PATIENCE`].
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > PATIENCE => {
                panic!("not within two minutes: {what}; last seen: {seen}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// UDP ports of 127.0.0.1 that were free a moment ago, all different.
///
/// # Panics
/// When there are none.
pub fn free<const N: usize>() -> [SocketAddr; N] {
    let sockets: [UdpSocket; N] =
        std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    sockets.map(|s| s.local_addr().expect("an address"))
}

/// Copies a directory with everything in it but sockets.
///
/// # Panics
/// When the disk does not let it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory that can be read").flatten() {
        let kind = entry.file_type().expect("a file's type");
        let to = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &to);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}
