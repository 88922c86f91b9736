//! How a link spends its bandwidth.
//!
//! ```text
//! bbr          finds the rate by itself; for long and lossy links
//! cubic        gives way to others; for good links that are shared
//! rate:2M      so many bits a second, whatever is lost: for a line whose rate is known
//! ```
//!
//! On a configured rate loss says nothing about congestion: the window is what the rate fills in two round trips, so
//! that a lost packet is sent again before the window is used up, and each link's streams are fed at the rate.

use std::any::Any;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, CubicConfig};
use quinn_proto::RttEstimator;

/// How a link spends its bandwidth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// For long and lossy links.
    #[default]
    Bbr,
    /// For links shared with others.
    Cubic,
    /// So many bits a second.
    Rate(u64),
}

/// A congestion control that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CongestionError(String);

impl fmt::Display for CongestionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no congestion control; use bbr, cubic, or a rate in bits a second like rate:2M",
            self.0
        )
    }
}

impl std::error::Error for CongestionError {}

/// The slowest rate that can be asked for, in bits a second: a link needs a packet a second to be one.
const SLOWEST: u64 = 16_000;

impl FromStr for Congestion {
    type Err = CongestionError;

    fn from_str(text: &str) -> Result<Congestion, CongestionError> {
        let wrong = || CongestionError(text.chars().take(40).collect());
        match text {
            "bbr" => return Ok(Congestion::Bbr),
            "cubic" => return Ok(Congestion::Cubic),
            _ => {}
        }
        let rate = text.strip_prefix("rate:").ok_or_else(wrong)?;
        let (digits, unit) = match rate.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1_000),
            None => rate.strip_suffix('M').map_or((rate, 1), |digits| (digits, 1_000_000)),
        };
        let rate = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)?;
        if rate < SLOWEST { Err(wrong()) } else { Ok(Congestion::Rate(rate)) }
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Congestion::Bbr => f.write_str("bbr"),
            Congestion::Cubic => f.write_str("cubic"),
            Congestion::Rate(bits) if bits % 1_000_000 == 0 => write!(f, "rate:{}M", bits / 1_000_000),
            Congestion::Rate(bits) if bits % 1_000 == 0 => write!(f, "rate:{}k", bits / 1_000),
            Congestion::Rate(bits) => write!(f, "rate:{bits}"),
        }
    }
}

impl Congestion {
    pub(super) fn factory(self) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Congestion::Bbr => Arc::new(BbrConfig::default()),
            Congestion::Cubic => Arc::new(CubicConfig::default()),
            Congestion::Rate(bits) => Arc::new(Rated { rate: bits / 8 }),
        }
    }

    /// Bytes a second at which a link's streams are fed; `None` where the controller alone decides.
    pub(super) fn feed(self) -> Option<u64> {
        match self {
            Congestion::Rate(bits) => Some(bits / 8),
            Congestion::Bbr | Congestion::Cubic => None,
        }
    }
}

struct Rated {
    /// Bytes a second.
    rate: u64,
}

impl ControllerFactory for Rated {
    fn build(self: Arc<Self>, _: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(FixedRate { rate: self.rate, rtt: FIRST_RTT, mtu: u64::from(mtu) })
    }
}

/// The round trip that is assumed before one was measured: a long one, for the rate is known and only the path is not.
const FIRST_RTT: Duration = Duration::from_millis(600);

/// Shorter round trips than this do not narrow the window: acknowledgements are held back by as much.
const LEAST_RTT: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
struct FixedRate {
    rate: u64,
    rtt: Duration,
    mtu: u64,
}

impl Controller for FixedRate {
    fn on_ack(&mut self, _: Instant, _: Instant, _: u64, _: bool, rtt: &RttEstimator) {
        self.rtt = rtt.get();
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, mtu: u16) {
        self.mtu = u64::from(mtu);
    }

    fn window(&self) -> u64 {
        let two_trips = 2.0 * self.rtt.max(LEAST_RTT).as_secs_f64();
        ((self.rate as f64 * two_trips) as u64).max(8 * self.mtu)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_is_read_as_it_is_written() {
        for text in ["bbr", "cubic", "rate:2M", "rate:256k", "rate:19201"] {
            assert_eq!(text.parse::<Congestion>().unwrap().to_string(), text);
        }
        assert_eq!("rate:2M".parse(), Ok(Congestion::Rate(2_000_000)));
        for text in
            ["", "reno", "rate:", "rate:0", "rate:2G", "rate:-1", "rate:99999999999999999999", "rate:8k"]
        {
            let said = text.parse::<Congestion>().unwrap_err().to_string();
            assert!(said.contains("rate:2M"), "{said}");
        }
    }

    #[test]
    fn the_window_is_two_round_trips_of_the_rate() {
        let mut control = FixedRate { rate: 250_000, rtt: Duration::from_millis(600), mtu: 1_200 };
        assert_eq!(control.window(), 300_000);
        let now = tokio::time::Instant::now().into_std();
        control.on_congestion_event(now, now, true, 100_000);
        assert_eq!(control.window(), 300_000, "loss does not narrow it");
        control.rtt = Duration::from_micros(100);
        assert_eq!(control.window(), 25_000, "nor does a path without delay");
        control.rate = 2_000;
        assert_eq!(control.window(), 9_600, "nor a slow line below a few packets");
    }
}
