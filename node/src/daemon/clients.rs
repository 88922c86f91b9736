//! The local socket: one JSON line a request, one JSON line a reply.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::Node;
use crate::request::{Failure, FailureKind, Reply, Request};

/// The longest request in bytes.
const MAX_LINE: u64 = 32 << 20;

/// Most clients at once; further ones wait.
const CLIENTS: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Ok(Value),
    Err(Failure),
}

pub(super) fn serve(path: &Path, node: Node) -> Result<(), Failure> {
    let failed = |e: std::io::Error| {
        Failure::new(FailureKind::Failed, format!("the local socket {} cannot be made", path.display()))
            .because(e)
    };
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let listener = tokio::net::UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let room = Arc::new(Semaphore::new(CLIENTS));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            let node = node.clone();
            tokio::spawn(async move {
                let _ = client(stream, node).await; // a client that went away loses only its own reply
                drop(permit);
            });
        }
    });
    Ok(())
}

async fn client(stream: tokio::net::UnixStream, node: Node) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = tokio::io::BufReader::new(read);
    loop {
        let mut line = Vec::new();
        if (&mut read).take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let reply = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => node.ask(request).await,
            Err(e) => Err(Failure::new(FailureKind::Usage, "the request is not understood").because(e)),
        };
        let line = match reply {
            Ok(value) => Line::Ok(value),
            Err(failure) => Line::Err(failure),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        write.write_all(&bytes).await?;
    }
}

/// Asks over the socket; `None` when nobody listens there.
pub(super) fn ask(path: &Path, request: &Request) -> Option<Reply> {
    let mut stream = UnixStream::connect(path).ok()?;
    let lost = |e: std::io::Error| {
        Failure::new(FailureKind::Unreachable, "the running node did not answer")
            .because(e)
            .hint("ask again; what it acknowledged is kept")
    };
    let mut ask = || -> std::io::Result<Line> {
        let mut bytes = serde_json::to_vec(request)?;
        bytes.push(b'\n');
        stream.write_all(&bytes)?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    };
    Some(match ask() {
        Ok(Line::Ok(value)) => Ok(value),
        Ok(Line::Err(failure)) => Err(failure),
        Err(e) => Err(lost(e)),
    })
}
