//! Traces to a collector on this machine, by OTLP over HTTP (protobuf).
//!
//! What is exported are spans: the engine's transactions, and in them the requests, by their names and how they ended. No
//! span has a field with what somebody said; the log's rule holds here, too. The exporter has a thread of its own and a
//! bounded queue: a collector that is slow or away costs spans and never a transaction.
//!
//! The client below speaks just enough of HTTP/1.1 for that: one POST a connection, to loopback, with caps and time limits.
//! Beyond this machine a collector carries traces on, with whatever encryption and passwords that takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// What is exported: the program's own spans, whatever the log's level is.
const SPANS: &str = "off,node=debug,sync=debug";

/// How long a collector may take, and the most bytes of its answer.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER: u64 = 64 << 10;

/// Exports until it is dropped; then what is left goes out.
pub(super) struct Exporting(SdkTracerProvider);

impl Drop for Exporting {
    fn drop(&mut self) {
        let _ = self.0.shutdown(); // the collector may be away
    }
}

/// Where spans go, as a layer of the log, and what ends it.
pub(super) fn layer(
    to: SocketAddr,
    instance: Option<&str>,
) -> Result<(Box<dyn Layer<Registry> + Send + Sync>, Exporting), String> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client { to })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{to}/v1/traces"))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|e| e.to_string())?;
    let instance = instance.map(|node| KeyValue::new("service.instance.id", node.to_owned()));
    let resource = Resource::builder_empty()
        .with_service_name("hotline")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(instance)
        .build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("hotline"));
    let filter = EnvFilter::try_new(SPANS).map_err(|e| e.to_string())?;
    Ok((layer.with_filter(filter).boxed(), Exporting(provider)))
}

/// One POST after the other. It blocks, and runs in the exporter's own thread only.
#[derive(Debug)]
struct Client {
    to: SocketAddr,
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        Ok(self.post(&request)?)
    }
}

impl Client {
    fn post(&self, request: &Request<Bytes>) -> std::io::Result<Response<Bytes>> {
        let mut stream = TcpStream::connect_timeout(&self.to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let path = request.uri().path();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.to,
            request.body().len()
        );
        for (name, value) in request.headers() {
            if let Ok(value) = value.to_str() {
                head += &format!("{name}: {value}\r\n");
            }
        }
        head += "\r\n";
        stream.write_all(head.as_bytes())?;
        stream.write_all(request.body())?;
        let mut said = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut said)?;
        answer(&said).ok_or_else(|| std::io::Error::other("the collector's answer is not HTTP"))
    }
}

/// Status and body of an answer. The connection ends with it, so its length is what came.
fn answer(said: &[u8]) -> Option<Response<Bytes>> {
    let end = said.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&said[..end]).ok()?;
    let status: u16 = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Response::builder().status(status).body(Bytes::copy_from_slice(&said[end + 4..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_what_is_none_is_refused() {
        let fine = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((fine.status().as_u16(), &fine.body()[..]), (200, &b"{}"[..]));
        assert_eq!(answer(b"HTTP/1.0 503 no\r\n\r\n").unwrap().status().as_u16(), 503);
        for odd in
            ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 x y\r\n\r\n", "HTTP/1.1 99999 y\r\n\r\n"]
        {
            assert!(answer(odd.as_bytes()).is_none(), "{odd}");
        }
    }
}
