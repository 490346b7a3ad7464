//! NumPy's file format, version 1.0, for float32.

/// Everything before the numbers: magic, header length, and a Python literal padded so
/// that the numbers start at a multiple of 64.
pub(super) fn header(shape: &[usize]) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    const ALIGNMENT: usize = 64;
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let literal = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}",
        if shape.len() == 1 { sides.trim_end() } else { sides.trim_end_matches(", ") }
    );
    let before_padding = MAGIC.len() + size_of::<u16>() + literal.len() + 1;
    let padding = before_padding.next_multiple_of(ALIGNMENT) - before_padding;
    let header = format!("{literal}{:padding$}\n", "");
    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes
}

/// The numbers as they stand in the file.
pub(super) fn numbers(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
