//! The image in a face image record of ISO/IEC 19794-5, stand-alone or in a passport.
//!
//! First-edition records (2005, version `010`), as ICAO 9303-10 stores them in data group 2: a
//! 14-byte header, then for each face a facial information block (20 bytes), its feature points (8
//! bytes each), the image information (12 bytes) and the image, JPEG or JPEG 2000.

use super::container::{u16_at, u32_at};
use super::{broken, unsupported};
use crate::status::Failure;

/// The first face's image and the number of faces.
pub(super) fn image(bytes: &[u8]) -> Result<(&[u8], u16), Failure> {
    const HEADER: usize = 14;
    const FACIAL_INFORMATION: usize = 20;
    const FEATURE_POINT: usize = 8;
    const IMAGE_INFORMATION: usize = 12;
    let record = if bytes.starts_with(b"FAC\0") { bytes } else { biometric_data(bytes)? };
    match record.get(4..8) {
        Some(b"010\0") => {}
        Some(_) => {
            return Err(unsupported(
                "the face image record does not follow the 2005 edition of ISO/IEC 19794-5: \
                 extract the image that it holds",
            ));
        }
        None => return Err(truncated()),
    }
    let number = |at| u32_at(record, at, false).map(|number| number as usize).ok_or_else(truncated);
    let length = number(8)?;
    let record = record.get(..length).ok_or_else(truncated)?;
    let faces = u16_at(record, 12, false).ok_or_else(truncated)?;
    if faces == 0 {
        return Err(broken("the face image record holds no face"));
    }
    let block = number(HEADER)?;
    let block = record.get(HEADER..HEADER.saturating_add(block)).ok_or_else(truncated)?;
    let points = usize::from(u16_at(block, 4, false).ok_or_else(truncated)?);
    let image_at = FACIAL_INFORMATION + points * FEATURE_POINT + IMAGE_INFORMATION;
    match block.get(image_at..) {
        Some(image) if !image.is_empty() => Ok((image, faces)),
        _ => Err(broken("the face image record's lengths contradict each other")),
    }
}

fn truncated() -> Failure {
    broken("the face image record ends before its image is complete: read it again")
}

/// The first record among the templates of a passport's data group 2, found by its BER-TLV tags:
/// 75, 7F61, 7F60, and 5F2E or 7F2E.
fn biometric_data(bytes: &[u8]) -> Result<&[u8], Failure> {
    let mut inside = bytes;
    for wanted in [0x75, 0x7F61, 0x7F60] {
        inside = child(inside, |tag| tag == wanted)?;
    }
    let record = child(inside, |tag| tag == 0x5F2E || tag == 0x7F2E)?;
    if record.starts_with(b"FAC\0") {
        Ok(record)
    } else {
        Err(unsupported("the passport's data group holds no face image record of ISO/IEC 19794-5"))
    }
}

/// The content of the first child with one of the wanted tags.
fn child(mut bytes: &[u8], wanted: impl Fn(u32) -> bool) -> Result<&[u8], Failure> {
    loop {
        let &first = bytes.first().ok_or_else(truncated)?;
        let mut at = 1;
        let mut tag = u32::from(first);
        // All lower five bits set: the tag continues, here in one more byte.
        if first & 0x1F == 0x1F {
            tag = tag << 8 | u32::from(*bytes.get(at).ok_or_else(truncated)?);
            at += 1;
        }
        let short = *bytes.get(at).ok_or_else(truncated)?;
        at += 1;
        let mut length = usize::from(short);
        if short > 0x80 {
            let count = usize::from(short & 0x7F);
            let digits = bytes.get(at..at + count).ok_or_else(truncated)?;
            if count > 4 {
                return Err(broken("a length in the passport's data group is out of range"));
            }
            length = digits.iter().fold(0, |value, &digit| value << 8 | usize::from(digit));
            at += count;
        }
        let content =
            at.checked_add(length).and_then(|end| bytes.get(at..end)).ok_or_else(truncated)?;
        if wanted(tag) {
            return Ok(content);
        }
        bytes = &bytes[at + length..];
    }
}
