//! What QUIC is told: windows, timers, keys.

use std::sync::Arc;
use std::time::Duration;

use certs::tls::{Meetings, client_config, server_config};
use certs::{Identity, Trust};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{EndpointConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::time_provider::TimeProvider;

use super::{Congestion, DriverError};

/// A connection without a sign of life ends after this long.
pub(super) const IDLE: Duration = Duration::from_secs(45);

/// How often an idle connection is kept alive: three may be lost.
const KEEP_ALIVE: Duration = Duration::from_secs(12);

/// Streams that a peer may open on one connection. This version uses one for each lane; newer ones may have more.
pub(super) const MAX_STREAMS: u32 = 8;

/// Handshakes that QUIC holds for us until we have looked at them, and the bytes that may come with them.
const UNSEEN: usize = 256;
const UNSEEN_BYTES: u64 = 1 << 20;

/// A round trip that is remembered is used within these limits: a wrong one must not cost a link.
const SHORTEST_RTT: Duration = Duration::from_millis(20);
const LONGEST_RTT: Duration = Duration::from_secs(2);

pub(super) fn transport(congestion: Congestion, rtt: Option<Duration>) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(IDLE.try_into().expect("45 s fit")));
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(MAX_STREAMS));
    transport.datagram_receive_buffer_size(None);
    transport.stream_receive_window(VarInt::from_u32(2 << 20));
    transport.receive_window(VarInt::from_u32(4 << 20));
    transport.send_window(4 << 20);
    transport.congestion_controller_factory(congestion.factory());
    if let Some(rtt) = rtt {
        transport.initial_rtt(rtt.clamp(SHORTEST_RTT, LONGEST_RTT));
    }
    Arc::new(transport)
}

/// The two halves of an endpoint's TLS. They are a snapshot of trust: made anew whenever it changes.
pub(super) fn tls(
    identity: &Identity,
    trust: &Trust,
    meetings: &Meetings,
    time: &Arc<dyn TimeProvider>,
    congestion: Congestion,
) -> Result<(quinn::ServerConfig, quinn::ClientConfig), DriverError> {
    let tls = |e: String| DriverError::Tls(e);
    let server = server_config(identity, trust, meetings, time.clone()).map_err(|e| tls(e.to_string()))?;
    let client = client_config(identity, trust, meetings, time.clone()).map_err(|e| tls(e.to_string()))?;
    let server = QuicServerConfig::try_from(server).map_err(|e| tls(e.to_string()))?;
    let client = QuicClientConfig::try_from(client).map_err(|e| tls(e.to_string()))?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
    server.transport_config(transport(congestion, None));
    server.migration(true);
    server.max_incoming(UNSEEN);
    server.incoming_buffer_size(16 << 10);
    server.incoming_buffer_size_total(UNSEEN_BYTES);
    let mut client = quinn::ClientConfig::new(Arc::new(client));
    client.transport_config(transport(congestion, None));
    Ok((server, client))
}

/// The endpoint of a node. Its reset key outlives the process: after a crash the peers' packets for the old
/// connections are answered with a reset that they believe, and the links come up again at once.
pub(super) fn endpoint(identity: &Identity, seed: Option<[u8; 32]>) -> EndpointConfig {
    let secret = blake3::derive_key("hotline 2026 link reset", &identity.sign("reset", b""));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
    let ids = u64::from_le_bytes(*secret.first_chunk().expect("32 bytes hold 8"));
    let ids = blake3::hash(&ids.to_le_bytes()); // what marks our connection ids says nothing of the key
    let ids = u64::from_le_bytes(*ids.as_bytes().first_chunk().expect("32 bytes hold 8"));
    let mut config = EndpointConfig::new(Arc::new(key));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config.rng_seed(seed);
    config
}
