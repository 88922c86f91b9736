//! Small harms to bytes, drawn from a seed.

/// Numbers from a seed (SplitMix64, Steele and others, 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`; 0 when there is no choice.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }
}

/// What parsers trip over: ends of ranges, and numbers that claim too much, in LEB128 and big-endian.
const NASTY: [&[u8]; 10] = [
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x80, 0x80, 0x40],
];

/// Harms `bytes` in one to four places; `other` lends parts.
pub(crate) fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let span = (1 + dice.below(16)).min(bytes.len() - at);
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add([1, 255, 128][dice.below(3)]),
            3 => drop(bytes.splice(at..at, NASTY[dice.below(NASTY.len())].iter().copied())),
            4 => {
                let nasty = NASTY[dice.below(NASTY.len())];
                let end = (at + nasty.len()).min(bytes.len());
                drop(bytes.splice(at..end, nasty.iter().copied()));
            }
            5 => drop(bytes.drain(at..at + span)),
            6 => {
                let again = bytes[at..at + span].to_vec();
                let to = dice.below(bytes.len() + 1);
                drop(bytes.splice(to..to, again));
            }
            7 if dice.below(4) == 0 => bytes.truncate(at),
            8 if !other.is_empty() => {
                let from = dice.below(other.len());
                let end = (from + 1 + dice.below(64)).min(other.len());
                drop(bytes.splice(at..at + span, other[from..end].iter().copied()));
            }
            _ => {}
        }
    }
}
