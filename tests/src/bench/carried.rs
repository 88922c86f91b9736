//! Two engines and the frames between them, carried by hand and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use certs::NodeName;
use node::daemon::now_ms;
use node::engine::Engine;
use sync::replica::{Effect, Event, Input};

use super::process::cpu;

/// What travelled.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Bytes by the frame's type, with four bytes of length for each.
    pub bytes: BTreeMap<u8, u64>,
    /// One-way trips until both sides were silent, the first flight included.
    pub flights: u32,
    /// One-way trips until both sides had told that they were proved equal.
    pub flights_to_proof: Option<u32>,
    /// CPU time of both engines.
    pub cpu: Duration,
    /// What was told.
    pub told: Vec<Event>,
}

impl Traffic {
    /// All bytes.
    pub fn total(&self) -> u64 {
        self.bytes.values().sum()
    }

    /// When both knew that they are equal.
    pub fn proof(&self) -> String {
        self.flights_to_proof.map_or("never proved equal".to_owned(), |flights| {
            format!("proved equal after {} round trips", f64::from(flights) / 2.0)
        })
    }

    /// Bytes of these types of frames.
    pub fn of(&self, kinds: &[u8]) -> u64 {
        kinds.iter().filter_map(|k| self.bytes.get(k)).sum()
    }
}

/// Two engines.
pub struct Carried {
    engines: [Engine; 2],
}

impl Carried {
    /// These two, not linked.
    pub fn new(a: Engine, b: Engine) -> Carried {
        Carried { engines: [a, b] }
    }

    /// One of them.
    pub fn engine(&mut self, which: usize) -> &mut Engine {
        &mut self.engines[which]
    }

    /// Links the two, carries what they say until they are silent, and cuts the link. All frames that were said by
    /// one moment travel together: that is a flight.
    pub fn meet(&mut self) -> Traffic {
        let names: [NodeName; 2] = [self.engines[0].me(), self.engines[1].me()];
        let mut traffic = Traffic::default();
        let before = cpu();
        let mut proofs = [false; 2];
        let mut inbox: [Vec<Input>; 2] = [vec![Input::Connected(names[1])], vec![Input::Connected(names[0])]];
        while inbox.iter().any(|i| !i.is_empty()) {
            let mut next: [Vec<Input>; 2] = Default::default();
            for (which, inputs) in inbox.into_iter().enumerate() {
                if inputs.is_empty() {
                    continue;
                }
                let engine = &mut self.engines[which];
                engine.begin(now_ms()).expect("a transaction");
                inputs.into_iter().for_each(|input| engine.link(input).expect("it is taken"));
                for effect in engine.commit().expect("it is durable") {
                    match effect {
                        Effect::Send { bytes, .. } => {
                            let kind = bytes.first().copied().unwrap_or_default();
                            *traffic.bytes.entry(kind).or_default() += bytes.len() as u64 + 4;
                            next[1 - which].push(Input::Frame { peer: names[which], bytes });
                        }
                        Effect::Tell(event) => {
                            proofs[which] |= matches!(event, Event::Proved { .. });
                            traffic.told.push(event);
                        }
                        Effect::Close { reason, .. } => panic!("the link ended: {reason}"),
                    }
                }
            }
            if proofs == [true; 2] && traffic.flights_to_proof.is_none() {
                traffic.flights_to_proof = Some(traffic.flights);
            }
            inbox = next;
            traffic.flights += u32::from(inbox.iter().any(|i| !i.is_empty()));
        }
        traffic.cpu = cpu() - before;
        for (which, name) in [(0, names[1]), (1, names[0])] {
            let engine = &mut self.engines[which];
            engine.begin(now_ms()).expect("a transaction");
            engine.link(Input::Disconnected(name)).expect("it is taken");
            engine.commit().expect("it is durable");
        }
        traffic
    }
}
