//! The orientation of a JPEG: from its EXIF blocks, else from XMP.

use image::metadata::Orientation;

/// What a file's APP1 segments state.
#[derive(Debug, Default)]
pub(super) struct OrientationReader {
    exif: Option<u8>,
    xmp: Option<u8>,
}

impl OrientationReader {
    /// Reads the body of an APP1 segment. The first EXIF block that states an orientation wins.
    pub(super) fn read(&mut self, segment: &[u8]) {
        if let Some(exif) = segment.strip_prefix(b"Exif\0\0") {
            self.exif = self.exif.or_else(|| of_exif(exif));
        } else if let Some(xmp) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
            self.xmp = self.xmp.or_else(|| of_xmp(xmp));
        }
    }

    /// The orientation from EXIF, else from XMP, else upright.
    pub(super) fn found(&self) -> Orientation {
        let stated = self.exif.or(self.xmp);
        stated.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }
}

/// The orientation, 1 … 8, from the first directory of a TIFF structure, stored as an integer of
/// any type.
fn of_exif(tiff: &[u8]) -> Option<u8> {
    const ORIENTATION: u32 = 0x0112;
    const ENTRY: usize = 12;
    let little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let number = |at: usize, length: usize| {
        let bytes = tiff.get(at..at.checked_add(length)?)?;
        let step = |sum: u32, &byte: &u8| sum << 8 | u32::from(byte);
        Some(if little { bytes.iter().rev().fold(0, step) } else { bytes.iter().fold(0, step) })
    };
    let directory = number(4, 4)? as usize;
    for entry in 0..number(directory, 2)? as usize {
        let at = directory.checked_add(2 + ENTRY * entry)?;
        if number(at, 2)? == ORIENTATION {
            let length = match number(at + 2, 2)? {
                1 => 1,
                3 => 2,
                4 | 9 => 4,
                _ => return None,
            };
            return u8::try_from(number(at + 8, length)?).ok().filter(|o| (1..=8).contains(o));
        }
    }
    None
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6<`.
fn of_xmp(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = xmp.windows(NAME.len()).position(|part| part == NAME)?;
    let mut rest = xmp[at + NAME.len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
    let opening = match rest.next()? {
        b'=' => rest.next()?,
        byte => byte,
    };
    let digit = rest.next()?;
    (matches!(opening, b'"' | b'\'' | b'>') && (b'1'..=b'8').contains(digit)).then(|| digit - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(order: &[u8], entry: &[u8]) -> Vec<u8> {
        let mut block = b"Exif\0\0".to_vec();
        block.extend(order);
        block.extend(entry);
        block
    }

    #[test]
    fn shorts_and_longs_of_both_byte_orders_are_read() {
        let cases: [(&[u8], &[u8]); 3] = [
            (b"II\x2A\0\x08\0\0\0\x01\0", b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"),
            (b"II\x2A\0\x08\0\0\0\x01\0", b"\x12\x01\x04\0\x01\0\0\0\x06\0\0\0"),
            (b"MM\0\x2A\0\0\0\x08\0\x01", b"\x01\x12\0\x04\0\0\0\x01\0\0\0\x06"),
        ];
        for (order, entry) in cases {
            let mut stated = OrientationReader::default();
            stated.read(&exif(order, entry));
            assert_eq!(stated.found(), Orientation::Rotate90);
        }
    }

    #[test]
    fn first_exif_orientation_takes_precedence_over_xmp() {
        let mut stated = OrientationReader::default();
        stated.read(b"Exif\0\0II\x2A\0\x08\0\0\0\0\0");
        assert_eq!(stated.found(), Orientation::NoTransforms);
        stated.read(b"http://ns.adobe.com/xap/1.0/\0<a tiff:Orientation=\"3\"/>");
        assert_eq!(stated.found(), Orientation::Rotate180);
        let order = b"II\x2A\0\x08\0\0\0\x01\0";
        stated.read(&exif(order, b"\x12\x01\x03\0\x01\0\0\0\x08\0\0\0"));
        stated.read(&exif(order, b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"));
        assert_eq!(stated.found(), Orientation::Rotate270);
        assert_eq!(of_xmp(b"<tiff:Orientation> 6 </tiff:Orientation>"), Some(6));
        assert_eq!(of_xmp(b"<tiff:Orientation>9<"), None);
    }
}
