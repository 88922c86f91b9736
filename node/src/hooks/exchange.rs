//! One question over HTTP/1.1, on a line of its own: nothing is kept open between two.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::http::response::Parts;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::receiver::Receiver;

/// The longest head of an answer, and how much of its body is read.
const MAX_HEAD: usize = 16 << 10;
const MAX_BODY: usize = 4 << 10;

/// How long an answer's body is waited for.
const LINGER: Duration = Duration::from_secs(1);

/// What a line is, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A line to a receiver, on which nothing was said yet.
pub(crate) struct Line(Box<dyn Stream>);

impl Receiver {
    /// A line to it; why there is none, in words without its URL. Nothing was sent to anybody then.
    pub(crate) async fn reach(&self) -> Result<Line, String> {
        let addresses = self.addresses().await;
        let addresses =
            addresses.map_err(|failure| [&[failure.message][..], &failure.causes].concat().join(": "))?;
        let stream =
            TcpStream::connect(addresses.as_slice()).await.map_err(|e| format!("no connection: {e}"))?;
        let _ = stream.set_nodelay(true);
        let Some((config, name)) = &self.tls else { return Ok(Line(Box::new(stream))) };
        let secured = TlsConnector::from(config.clone()).connect(name.clone(), stream).await;
        Ok(Line(Box::new(secured.map_err(|e| format!("no TLS: {e}"))?)))
    }
}

/// Ends a connection's task with whoever waits for it.
struct Ends(JoinHandle<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Line {
    /// Asks, and gives the answer's head, and of one that says no the beginning of its body. Of a body that does not end, or
    /// breaks, there is nothing: the status has been said, and that is what counts.
    ///
    /// # Errors
    /// The line broke before: nobody knows whether the receiver has the question.
    pub(crate) async fn ask(self, request: Request<Body>) -> Result<(Parts, Bytes), hyper::Error> {
        let stream = TokioIo::new(self.0);
        let (mut sender, connection) = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await?;
        let _driven = Ends(tokio::spawn(async move {
            let _ = connection.await; // what went wrong, the request's own end tells
        }));
        let (head, body) = sender.send_request(request).await?.into_parts();
        if head.status.is_success() {
            return Ok((head, Bytes::new()));
        }
        let body = tokio::time::timeout(LINGER, axum::body::to_bytes(Body::new(body), MAX_BODY)).await;
        Ok((head, body.ok().and_then(Result::ok).unwrap_or_default()))
    }
}
