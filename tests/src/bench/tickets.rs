//! The ticket of the design: 15 fields, a subject of 40, a text of 200 and a place of 12 Chinese characters of
//! Zipf-like frequency over 1,500; created in one change, then five edits.

use node::request::Act;
use serde_json::{Value, json};

/// How many different characters there are.
const CHARACTERS: u64 = 1_500;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed, the same dice.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 up to, and without, `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    /// A character; the r-th most frequent comes about 1/r as often as the first.
    pub fn character(&mut self) -> char {
        let share = (self.draw() >> 11) as f64 / (1u64 << 53) as f64;
        let rank = (CHARACTERS as f64).powf(share) as u32 - 1;
        // Spread over the block, so that neighbours in rank are no neighbours in code.
        char::from_u32(0x4e00 + rank * 13 % 20_000).expect("a Chinese character")
    }

    /// So many characters.
    pub fn text(&mut self, length: usize) -> String {
        (0..length).map(|_| self.character()).collect()
    }
}

/// One ticket as it is imported. `person`: whether the caller is known.
pub fn ticket(dice: &mut Dice, person: bool) -> Value {
    let mut ticket = json!({
        "text": dice.text(200),
        "subject": dice.text(40),
        "place": dice.text(12),
        "type": "投诉举报",
        "domain": "城市客运",
        "field": "巡游出租汽车",
        "region_code": "370100",
        "channel": "电话",
        "priority": "一般",
        "happened_at": format!("2027-01-{:02}T{:02}:{:02}", 1 + dice.below(28), dice.below(24), dice.below(60)),
        "plate": format!("鲁A{:05}", dice.below(100_000)),
        "unit": dice.text(3),
        "seat": format!("{}", 1 + dice.below(60)),
        "duration": format!("{}", 30 + dice.below(600)),
        "id": format!("{:08}", dice.below(100_000_000)),
    });
    if person {
        ticket["caller_name"] = json!(dice.text(3));
        ticket["caller_phone"] = json!(format!("138{:08}", dice.below(100_000_000)));
        ticket["caller_address"] = json!(dice.text(12));
    }
    ticket
}

/// The five edits that follow, in their order.
pub fn edits(dice: &mut Dice) -> [Act; 5] {
    [
        Act::Dispatch { department: dice.text(4), text: None },
        Act::Progress { text: dice.text(12) },
        Act::Feedback { text: dice.text(12) },
        Act::Progress { text: dice.text(12) },
        Act::Reply { text: dice.text(12), confirm: None },
    ]
}
