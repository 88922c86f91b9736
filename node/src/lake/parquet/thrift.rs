//! Thrift's compact protocol, as far as Parquet's headers and footer need it: structures whose fields come in the order of their
//! numbers.
//!
//! ```text
//! field:     (number - the one before) << 4 | type, value      end of a structure: 0
//! int, long: zigzag varint      text: varint of its length, bytes      list: size << 4 | type of its elements, elements
//! ```

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const INT: u8 = 5;
const LONG: u8 = 6;
const TEXT: u8 = 8;
const LIST: u8 = 9;
const STRUCTURE: u8 = 12;

/// A structure in the making.
#[derive(Default)]
pub(super) struct Structure {
    bytes: Vec<u8>,
    last: u8,
}

/// Seven bits a byte, the lowest first.
pub(super) fn varint(bytes: &mut Vec<u8>, mut n: u64) {
    while n > 0x7f {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

impl Structure {
    fn begin(&mut self, number: u8, what: u8) {
        self.bytes.push((number - self.last) << 4 | what);
        self.last = number;
    }

    pub(super) fn flag(mut self, number: u8, value: bool) -> Structure {
        self.begin(number, if value { TRUE } else { FALSE });
        self
    }

    pub(super) fn int(mut self, number: u8, value: i32) -> Structure {
        self.begin(number, INT);
        varint(&mut self.bytes, zigzag(value.into()));
        self
    }

    pub(super) fn long(mut self, number: u8, value: u64) -> Structure {
        self.begin(number, LONG);
        varint(&mut self.bytes, zigzag(value as i64));
        self
    }

    pub(super) fn text(mut self, number: u8, value: &str) -> Structure {
        self.begin(number, TEXT);
        varint(&mut self.bytes, value.len() as u64);
        self.bytes.extend(value.as_bytes());
        self
    }

    pub(super) fn structure(mut self, number: u8, value: Structure) -> Structure {
        self.begin(number, STRUCTURE);
        self.bytes.extend(value.end());
        self
    }

    pub(super) fn structures(mut self, number: u8, values: Vec<Structure>) -> Structure {
        self.list(number, STRUCTURE, values.len());
        self.bytes.extend(values.into_iter().flat_map(Structure::end));
        self
    }

    pub(super) fn ints(mut self, number: u8, values: &[i32]) -> Structure {
        self.list(number, INT, values.len());
        for value in values {
            varint(&mut self.bytes, zigzag((*value).into()));
        }
        self
    }

    pub(super) fn texts(mut self, number: u8, values: &[&str]) -> Structure {
        self.list(number, TEXT, values.len());
        for value in values {
            varint(&mut self.bytes, value.len() as u64);
            self.bytes.extend(value.as_bytes());
        }
        self
    }

    fn list(&mut self, number: u8, what: u8, size: usize) {
        self.begin(number, LIST);
        match size {
            0..15 => self.bytes.push((size as u8) << 4 | what),
            _ => {
                self.bytes.push(0xf0 | what);
                varint(&mut self.bytes, size as u64);
            }
        }
    }

    /// Its bytes.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_by_their_distance() {
        let inner = Structure::default().int(1, -1).flag(2, true);
        let made = Structure::default().int(1, 300).text(4, "ab").structure(5, inner).ints(7, &[0, 1]).end();
        let expected = [0x15, 0xd8, 0x04, 0x38, 2, b'a', b'b', 0x1c, 0x15, 1, 0x11, 0, 0x29, 0x25, 0, 2, 0];
        assert_eq!(made, expected);
        let long = Structure::default().texts(1, &["x"; 16]).end();
        assert_eq!((long[0], long[1], long[2], long.len()), (0x19, 0xf8, 16, 3 + 32 + 1));
    }
}
