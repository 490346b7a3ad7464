//! The quality setting that a JPEG's quantization tables correspond to.

/// The luminance table of ITU-T T.81, annex K.1, in the zigzag order used in files.
const STANDARD_LUMINANCE: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37,
    29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81,
    87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];

/// The quality setting, 1 to 100, for which the Independent JPEG Group's scaling of the standard
/// luminance table comes closest to the file's first table; `None` if the bytes are not a JPEG or
/// define no table before the first scan.
///
/// Files from programs with their own tables, such as cameras and Photoshop, get the setting with
/// the nearest table.
pub fn jpeg_quality(encoded: &[u8]) -> Option<u8> {
    let table = luminance_table(encoded)?;
    let distance = |quality: u8| -> u32 {
        let scaled = scaled(quality);
        table.iter().zip(scaled).map(|(&a, b)| u32::from(a.abs_diff(b))).sum()
    };
    // The highest among equals: at 1 to 3, every entry is at its limit.
    (1..=100).rev().min_by_key(|&quality| distance(quality))
}

/// The standard table at a quality setting.
fn scaled(quality: u8) -> [u16; 64] {
    let quality = u32::from(quality);
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    STANDARD_LUMINANCE.map(|entry| ((u32::from(entry) * percent + 50) / 100).clamp(1, 255) as u16)
}

/// Quantization table 0 of a JPEG, in zigzag order.
fn luminance_table(encoded: &[u8]) -> Option<[u16; 64]> {
    const DQT: u8 = 0xDB;
    const SOS: u8 = 0xDA;
    const EOI: u8 = 0xD9;
    let mut rest = encoded.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let (&[0xFF, marker], after) = rest.split_first_chunk()? else { return None };
        // Fill bytes may precede a marker, and a few markers have no segment.
        match marker {
            0xFF => {
                rest = &rest[1..];
                continue;
            }
            0x01 | 0xD0..=0xD7 => {
                rest = after;
                continue;
            }
            SOS | EOI => return None,
            _ => {}
        }
        let (&length, _) = after.split_first_chunk()?;
        let (segment, next) = after.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
        if marker == DQT
            && let Some(table) = table_zero(segment.get(2..)?)
        {
            return Some(table);
        }
        rest = next;
    }
}

/// Table 0 of a DQT segment, if it has one.
fn table_zero(mut segment: &[u8]) -> Option<[u16; 64]> {
    loop {
        let (&kind, rest) = segment.split_first()?;
        let wide = kind >> 4 != 0;
        let (entries, next) = rest.split_at_checked(if wide { 128 } else { 64 })?;
        if kind & 0x0F == 0 {
            return Some(std::array::from_fn(|index| {
                if wide {
                    u16::from_be_bytes([entries[2 * index], entries[2 * index + 1]])
                } else {
                    u16::from(entries[index])
                }
            }));
        }
        segment = next;
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    fn jpeg(quality: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
        encoder.write_image(&[90; 8 * 8 * 3], 8, 8, ExtendedColorType::Rgb8).expect("encodes");
        bytes
    }

    #[test]
    fn jpeg_quality_is_recovered_from_quantization_table() {
        for quality in [5, 10, 30, 49, 50, 51, 75, 90, 95, 99, 100] {
            assert_eq!(jpeg_quality(&jpeg(quality)), Some(quality));
        }
    }

    #[test]
    fn malformed_files_have_no_jpeg_quality() {
        assert_eq!(jpeg_quality(b"\x89PNG\r\n\x1a\n"), None);
        let whole = jpeg(80);
        for end in 0..whole.len() {
            // No panic, whatever is missing.
            let _ = jpeg_quality(&whole[..end]);
        }
        assert_eq!(jpeg_quality(&whole[..10]), None);
        assert_eq!(jpeg_quality(&[0xFF, 0xD8, 0xFF, 0xDB, 0x00, 0x00]), None);
    }
}
