//! Iterates over the fields of a Protocol Buffers message.

/// One field: its number and its undecoded value.
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) payload: Payload<'a>,
}

/// A field's value by wire type. Groups, which no writer uses, count as damage.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    Number(u64),
    Fixed64,
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Payload<'a> {
    /// An embedded message or a string.
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A single integer.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number as i64),
            _ => None,
        }
    }

    /// Appends integers, single or packed, as long as `list` has at most `limit`; `None` if the
    /// bytes are damaged or there are more.
    pub(super) fn append_numbers(self, list: &mut Vec<i64>, limit: usize) -> Option<()> {
        match self {
            Self::Number(number) => list.push(number as i64),
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() && list.len() <= limit {
                    list.push(varint(&mut bytes)? as i64);
                }
            }
            Self::Fixed64 | Self::Fixed32(_) => return None,
        }
        (list.len() <= limit).then_some(())
    }

    /// Appends 32-bit floats, single or packed, until `list` has `limit`; `None` if damaged.
    pub(super) fn append_first_floats(self, list: &mut Vec<f32>, limit: usize) -> Option<()> {
        let room = limit.saturating_sub(list.len());
        match self {
            Self::Fixed32(bytes) => list.extend((room > 0).then(|| f32::from_le_bytes(bytes))),
            Self::Bytes(bytes) => {
                let numbers = bytes.as_chunks::<4>().0.iter().take(room);
                list.extend(numbers.map(|&bytes| f32::from_le_bytes(bytes)));
            }
            Self::Number(_) | Self::Fixed64 => return None,
        }
        Some(())
    }
}

/// Splits the first field off `bytes`; `None` if they are damaged.
pub(super) fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<Field<'a>> {
    let key = varint(bytes)?;
    let payload = match key & 7 {
        0 => Payload::Number(varint(bytes)?),
        1 => {
            take(bytes, 8)?;
            Payload::Fixed64
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Payload::Bytes(take(bytes, length)?)
        }
        5 => Payload::Fixed32(take(bytes, 4)?.try_into().ok()?),
        _ => return None,
    };
    (key >> 3 > 0).then_some(Field { number: key >> 3, payload })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Seven bits per byte, least significant first; at most ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A field that contains bytes, as [`next_field`] reads it.
pub(super) fn bytes_field(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = inner.len();
    while length >= 0x80 {
        field.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(inner);
    field
}
