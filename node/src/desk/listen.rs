//! The socket: connections with caps, TLS, HTTP/1.1, and an orderly end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::certificate::Keeper;
use crate::daemon::now_ms;

/// Most connections at once, and of one address: a hall may sit behind one.
const CONNECTIONS: usize = 1024;
const OF_ONE: usize = 512;

/// How long a handshake, or the head of a request, may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The most lines of a request's head, and its bytes.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 32 << 10;

/// How long what was asked before a stop may still take.
const ENDING: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client(pub(crate) IpAddr);

/// Connections by address.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them; dropping it makes room.
struct Counted(Count, IpAddr);

impl Count {
    fn admit(&self, address: IpAddr) -> Option<Counted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Counted(self.clone(), address))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// Serves until it is to stop; then takes nobody in, and waits a little for what was asked.
pub(crate) async fn serve(
    listener: TcpListener,
    keeper: Option<Arc<Keeper>>,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let tls = keeper.as_ref().map(|keeper| acceptor(keeper.clone()));
    let (room, count, graceful) =
        (Arc::new(Semaphore::new(CONNECTIONS)), Count::default(), GracefulShutdown::new());
    let mut daily = tokio::time::interval(DAY);
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            _ = daily.tick() => {
                if let Some(keeper) = &keeper {
                    keeper.look_again(now_ms());
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await; // no descriptors left: others end meanwhile
            continue;
        };
        let address = address.ip().to_canonical();
        let (Ok(permit), Some(counted)) = (room.clone().try_acquire_owned(), count.admit(address)) else {
            continue; // it is closed without a word, which costs nothing
        };
        let _ = stream.set_nodelay(true);
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _held = (permit, counted);
            match tls {
                None => speak(stream, address, router, watcher).await,
                Some(tls) => match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => speak(stream, address, router, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS with a browser"),
                    Err(_) => tracing::debug!(%address, "no TLS with a browser in time"),
                },
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(ENDING, graceful.shutdown()).await;
}

fn acceptor(keeper: Arc<Keeper>) -> TlsAcceptor {
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(keeper);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    address: IpAddr,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let pages = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Client(address));
        pages.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%address, %error, "a browser's connection ended");
    }
}
