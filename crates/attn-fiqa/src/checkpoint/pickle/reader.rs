//! Takes instructions and their operands off a pickle, never past its end.

use super::PickleProblem;

/// Highest protocol that is known.
const MAX_PROTOCOL: u8 = 5;

/// Longest line of a GLOBAL instruction; module paths are far shorter.
const MAX_LINE: usize = 1024;

pub(super) struct Reader<'a> {
    input: &'a [u8],
    /// Position of the next byte.
    next: usize,
    /// Position of the instruction at work.
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, next: 0, at: 0 }
    }

    pub(super) fn malformed(&self, what: &'static str) -> PickleProblem {
        PickleProblem::Malformed { at: self.at, what }
    }

    pub(super) fn instruction(&mut self) -> Result<u8, PickleProblem> {
        self.at = self.next;
        self.byte()
    }

    pub(super) fn protocol(&mut self) -> Result<(), PickleProblem> {
        match self.byte()? {
            2..=MAX_PROTOCOL => Ok(()),
            _ => Err(self.malformed("the pickle protocol is not one of 2 to 5")),
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], PickleProblem> {
        let taken = self
            .next
            .checked_add(len)
            .and_then(|end| self.input.get(self.next..end))
            .ok_or(PickleProblem::CutShort { at: self.at })?;
        self.next += len;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleProblem> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| PickleProblem::CutShort { at })
    }

    pub(super) fn byte(&mut self) -> Result<u8, PickleProblem> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn len4(&mut self) -> Result<usize, PickleProblem> {
        usize::try_from(u32::from_le_bytes(self.array()?))
            .map_err(|_| PickleProblem::CutShort { at: self.at })
    }

    pub(super) fn len8(&mut self) -> Result<usize, PickleProblem> {
        usize::try_from(u64::from_le_bytes(self.array()?))
            .map_err(|_| PickleProblem::CutShort { at: self.at })
    }

    /// A little-endian two's complement integer of `len` bytes. `None` for one
    /// longer than 64 bits: it is no size or offset of anything in a file.
    pub(super) fn long(&mut self, len: usize) -> Result<Option<i64>, PickleProblem> {
        let bytes = self.take(len)?;
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

    pub(super) fn text(&mut self, len: usize) -> Result<&'a str, PickleProblem> {
        std::str::from_utf8(self.take(len)?).map_err(|_| self.malformed("a text is not UTF-8"))
    }

    /// The text up to the end of the line.
    pub(super) fn line(&mut self) -> Result<&'a str, PickleProblem> {
        let rest = self.input.get(self.next..).unwrap_or_default();
        let len = rest
            .iter()
            .take(MAX_LINE)
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| self.malformed("a name to refer to has no end"))?;
        let line = self.text(len)?;
        self.take(1)?;
        Ok(line)
    }
}
