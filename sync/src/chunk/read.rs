//! A reader of bytes that knows which part it is in, so that its errors can say so.

use super::ChunkError;

/// The bytes that are left, and the name of the part they belong to.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    part: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], part: &'static str) -> Self {
        Self { rest: bytes, part }
    }

    /// Names what is read from here on.
    pub(crate) fn part(&mut self, part: &'static str) -> &mut Self {
        self.part = part;
        self
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, n: u64) -> Result<&'a [u8], ChunkError> {
        let (taken, rest) = usize::try_from(n)
            .ok()
            .and_then(|n| self.rest.split_at_checked(n))
            .ok_or(ChunkError::Cut(self.part))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, ChunkError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ChunkError> {
        Ok(self.take(N as u64)?.try_into().expect("as many bytes were taken as the array has"))
    }

    /// An unsigned LEB128 number in its shortest form.
    pub(crate) fn uleb(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let too_large = shift == 63 && byte > 1;
            let overlong = shift > 0 && byte == 0;
            if too_large || overlong {
                return Err(ChunkError::Number(self.part));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ChunkError::Number(self.part))
    }

    /// A signed LEB128 number in its shortest form.
    pub(crate) fn sleb(&mut self) -> Result<i64, ChunkError> {
        let (mut value, mut previous) = (0, 0);
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let too_large = shift == 63 && byte != 0 && byte != 0x7f;
            let extends = if previous & 0x40 == 0 { 0 } else { 0x7f };
            let overlong = shift > 0 && byte == extends;
            if too_large || overlong {
                return Err(ChunkError::Number(self.part));
            }
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let negative = shift < 57 && byte & 0x40 != 0;
                return Ok(if negative { value | -1 << (shift + 7) } else { value });
            }
            previous = byte;
        }
        Err(ChunkError::Number(self.part))
    }

    /// A length and as many bytes.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], ChunkError> {
        let n = self.uleb()?;
        self.take(n)
    }

    /// A number and as many things of at least `least` bytes each: the number is held against the bytes that are
    /// left before anything is read.
    pub(crate) fn counted<T>(
        &mut self,
        least: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, ChunkError>,
    ) -> Result<Vec<T>, ChunkError> {
        let n = self.uleb()?;
        if n > (self.rest.len() / least) as u64 {
            return Err(ChunkError::Cut(self.part));
        }
        (0..n).map(|_| read(self)).collect()
    }
}

/// Appends an unsigned LEB128 number in its shortest form.
pub(crate) fn write_uleb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write_sleb(mut v: i64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let byte = v as u8 & 0x7f;
            v >>= 7;
            if (v == 0 && byte & 0x40 == 0) || (v == -1 && byte & 0x40 != 0) {
                out.push(byte);
                return out;
            }
            out.push(byte | 0x80);
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_written(v in any::<u64>(), shift in 0..64u32) {
            let v = v >> shift;
            let mut bytes = Vec::new();
            write_uleb(&mut bytes, v);
            prop_assert_eq!(Reader::new(&bytes, "").uleb(), Ok(v));
            let signed = (v as i64).wrapping_sub(1 << 20);
            prop_assert_eq!(Reader::new(&write_sleb(signed), "").sleb(), Ok(signed));
        }

        #[test]
        fn one_number_has_one_form(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut r = Reader::new(&bytes, "");
            if let Ok(v) = r.uleb() {
                let mut again = Vec::new();
                write_uleb(&mut again, v);
                prop_assert_eq!(&bytes[..bytes.len() - r.rest().len()], &again[..]);
            }
            let mut r = Reader::new(&bytes, "");
            if let Ok(v) = r.sleb() {
                prop_assert_eq!(&bytes[..bytes.len() - r.rest().len()], &write_sleb(v)[..]);
            }
        }
    }

    #[test]
    fn the_ends_of_the_ranges() {
        for v in [i64::MIN, i64::MIN + 1, -65, -64, -1, 0, 63, 64, i64::MAX] {
            assert_eq!(Reader::new(&write_sleb(v), "").sleb(), Ok(v));
        }
        assert_eq!(Reader::new(&[0xff; 12], "x").uleb(), Err(ChunkError::Number("x")));
        assert_eq!(Reader::new(&[0x80], "x").uleb(), Err(ChunkError::Cut("x")));
    }
}
