//! Reads instructions and operands from a pickle, never past its end.

use super::Refusal;

/// Highest supported protocol.
const MAX_PROTOCOL: u8 = 5;

pub(super) struct Reader<'a> {
    input: &'a [u8],
    /// Position of the next byte.
    next: usize,
    /// Position of the current instruction.
    pub(super) at: usize,
    max_name: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8], max_name: usize) -> Self {
        Self { input, next: 0, at: 0, max_name }
    }

    pub(super) fn malformed(&self, what: &'static str) -> Refusal<'a> {
        Refusal::Malformed { at: self.at, what }
    }

    fn truncated(&self) -> Refusal<'a> {
        Refusal::Truncated { at: self.at }
    }

    pub(super) fn instruction(&mut self) -> Result<u8, Refusal<'a>> {
        self.at = self.next;
        self.byte()
    }

    pub(super) fn protocol(&mut self) -> Result<(), Refusal<'a>> {
        match self.byte()? {
            2..=MAX_PROTOCOL => Ok(()),
            found => Err(Refusal::UnknownProtocol { found }),
        }
    }

    /// The next `len` bytes and the position of the first.
    pub(super) fn take(&mut self, len: usize) -> Result<(usize, &'a [u8]), Refusal<'a>> {
        let start = self.next;
        let end = start.checked_add(len).ok_or_else(|| self.truncated())?;
        let taken = self.input.get(start..end).ok_or_else(|| self.truncated())?;
        self.next = end;
        Ok((start, taken))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal<'a>> {
        let (_, bytes) = self.take(N)?;
        bytes.try_into().map_err(|_| self.truncated())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Refusal<'a>> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Refusal<'a>> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A four-byte length.
    pub(super) fn len4(&mut self) -> Result<usize, Refusal<'a>> {
        usize::try_from(self.u32()?).map_err(|_| self.truncated())
    }

    /// An eight-byte length.
    pub(super) fn len8(&mut self) -> Result<usize, Refusal<'a>> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| self.truncated())
    }

    /// A little-endian two's complement integer of `len` bytes; `None` if it is longer than 8.
    pub(super) fn long(&mut self, len: usize) -> Result<Option<i64>, Refusal<'a>> {
        let (_, bytes) = self.take(len)?;
        Ok(match bytes.last() {
            Some(&high) if len <= 8 => {
                let mut value = [if high & 0x80 == 0 { 0 } else { 0xff }; 8];
                for (to, &from) in value.iter_mut().zip(bytes) {
                    *to = from;
                }
                Some(i64::from_le_bytes(value))
            }
            Some(_) => None,
            None => Some(0),
        })
    }

    pub(super) fn text(&mut self, len: usize) -> Result<&'a str, Refusal<'a>> {
        let (_, bytes) = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a text is not UTF-8"))
    }

    /// A name up to the end of the line.
    pub(super) fn line(&mut self) -> Result<&'a str, Refusal<'a>> {
        let rest = self.input.get(self.next..).unwrap_or_default();
        let len = rest
            .iter()
            .take(self.max_name)
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| self.malformed("the name of a function or class has no end"))?;
        let line = self.text(len)?;
        self.take(1)?;
        Ok(line)
    }
}
