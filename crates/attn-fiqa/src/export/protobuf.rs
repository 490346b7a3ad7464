//! Writes Protocol Buffers messages.

/// A message under construction, with fields in the order in which they are added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

impl Message {
    pub(super) fn integer(mut self, field: u64, value: i64) -> Self {
        varint(&mut self.0, field << 3 | VARINT);
        varint(&mut self.0, value as u64);
        self
    }

    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        varint(&mut self.0, field << 3 | FIXED_32);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// The tag and length of a length-delimited field whose `length` bytes are written elsewhere.
    pub(super) fn head(mut self, field: u64, length: u64) -> Self {
        varint(&mut self.0, field << 3 | LENGTH_DELIMITED);
        varint(&mut self.0, length);
        self
    }

    /// Adds the fields of another message.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut message = self.head(field, value.len() as u64);
        message.0.extend_from_slice(value);
        message
    }
}

/// Seven bits per byte, least significant first.
fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples from the encoding's documentation.
    #[test]
    fn fields_have_the_documented_bytes() {
        assert_eq!(Message::default().integer(1, 150).as_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().text(2, "testing");
        assert_eq!(text.as_bytes(), [&[0x12, 0x07][..], b"testing"].concat());
        let outer = Message::default().message(3, &Message::default().integer(1, 150));
        assert_eq!(outer.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = Message::default().integer(1, -2);
        assert_eq!(minus_two.as_bytes()[1..], [[0xfe].as_slice(), &[0xff; 8], &[0x01]].concat());
        assert_eq!(Message::default().float(2, 1.0).as_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().head(16, 300).as_bytes(), [0x82, 0x01, 0xac, 0x02]);
    }
}
