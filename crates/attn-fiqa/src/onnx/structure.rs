//! A first look at the bytes of an ONNX file, before anything builds a network of them.
//!
//! ONNX is one Protocol Buffers message. A graph may hold nodes that hold graphs, and a
//! type may hold types; readers follow that by recursion, so a file of a few hundred
//! kilobytes could exhaust the stack. This walk, which keeps its own stack, bounds the
//! depth, and picks up the version of the operator set for error messages.
//!
//! Field numbers are those of the published `onnx.proto3`.

/// Graphs inside graphs (`If`, `Loop`, `Scan`) or types inside types. Face networks
/// have none or one.
const DEEPEST: usize = 16;

/// The messages that can lead to recursion.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    ValueInfo,
    Type,
    Sequence,
    OperatorSet,
}

/// What a first look tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Structure {
    /// Version of the default operator set, when it is stated.
    pub(super) opset: Option<u64>,
}

/// One field of a message: its number and, for embedded messages and strings, its bytes.
struct Field<'a> {
    number: u64,
    bytes: Option<&'a [u8]>,
    value: u64,
}

/// # Errors
///
/// What makes the bytes no ONNX file that should be parsed.
pub(super) fn look(file: &[u8]) -> Result<Structure, &'static str> {
    let mut structure = Structure::default();
    let mut has_graph = false;
    let mut to_visit = vec![(Message::Model, file, 0)];
    while let Some((message, mut bytes, depth)) = to_visit.pop() {
        let mut domain: &[u8] = b"";
        let mut version = None;
        while !bytes.is_empty() {
            let field = next_field(&mut bytes).ok_or("its bytes are damaged or cut short")?;
            let inner = match (message, field.number) {
                (Message::Model, 7) => {
                    has_graph = true;
                    Some(Message::Graph)
                }
                (Message::Model, 8) => Some(Message::OperatorSet),
                (Message::Graph, 1) => Some(Message::Node),
                (Message::Graph, 11..=13) => Some(Message::ValueInfo),
                (Message::Node, 5) => Some(Message::Attribute),
                (Message::Attribute, 6 | 11) => Some(Message::Graph),
                (Message::ValueInfo, 2) => Some(Message::Type),
                (Message::Type, 4 | 9) => Some(Message::Sequence),
                (Message::Sequence, 1) => Some(Message::Type),
                (Message::OperatorSet, 1) => {
                    domain = field.bytes.unwrap_or_default();
                    None
                }
                (Message::OperatorSet, 2) => {
                    version = Some(field.value);
                    None
                }
                _ => None,
            };
            if let (Some(inner), Some(bytes)) = (inner, field.bytes) {
                let deeper = matches!(inner, Message::Graph | Message::Sequence);
                let depth = depth + usize::from(deeper);
                if depth > DEEPEST {
                    return Err("graphs or types are nested more than 16 deep");
                }
                to_visit.push((inner, bytes, depth));
            }
        }
        if message == Message::OperatorSet && matches!(domain, b"" | b"ai.onnx") {
            structure.opset = version.or(structure.opset);
        }
    }
    if has_graph { Ok(structure) } else { Err("it holds no graph") }
}

fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<Field<'a>> {
    let key = varint(bytes)?;
    let mut field = Field { number: key >> 3, bytes: None, value: 0 };
    match key & 7 {
        0 => field.value = varint(bytes)?,
        1 => drop(take(bytes, 8)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            field.bytes = Some(take(bytes, length)?);
        }
        5 => drop(take(bytes, 4)?),
        _ => return None,
    }
    (field.number > 0).then_some(field)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Seven bits a byte, the least significant first; at most ten bytes.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = inner.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(inner);
        bytes
    }

    #[test]
    fn the_operator_set_is_found() {
        let custom = [message(1, b"com.example"), vec![2 << 3, 99]].concat();
        let standard = [message(1, b""), vec![2 << 3, 17]].concat();
        let file = [message(8, &custom), message(7, b""), message(8, &standard)].concat();
        assert_eq!(look(&file), Ok(Structure { opset: Some(17) }));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| {
            let graph = (0..levels)
                .fold(Vec::new(), |graph, _| message(1, &message(5, &message(6, &graph))));
            message(7, &graph)
        };
        assert!(look(&nested(DEEPEST - 1)).is_ok());
        assert!(look(&nested(DEEPEST)).is_err());
        assert!(look(&nested(2_000)).is_err());
    }

    #[test]
    fn damage_is_noticed() {
        for damaged in [&b"\x3a\x05ab"[..], b"\xff", b"\x3f", b"\x08\x07", b"", b"this is text"] {
            assert!(look(damaged).is_err(), "{damaged:?}");
        }
    }
}
