//! Detects a file's format from its content.

use super::{broken, unsupported};
use crate::status::{Failure, Status};

/// A supported format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
    Jpeg2000,
    JpegXl,
    #[cfg(feature = "heic")]
    Heic,
    /// PGM and PPM.
    Pnm,
    Qoi,
}

/// What a file is, judged by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image(Format),
    /// A face image record of ISO/IEC 19794-5, possibly in a passport's data group 2; it contains
    /// an image.
    FaceRecord,
    /// An image in an unsupported format with this name.
    Unread(&'static str),
    Video,
}

/// Number of leading bytes that [`starts_as_image`] needs.
#[cfg(feature = "source")]
pub(crate) const HEAD: usize = 256;

/// Failure message for a video where an image was expected.
pub const VIDEO_NOT_IMAGE: &str = "the file is a video, but an image was expected";

const READABLE: &str = "JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000, JPEG XL, PPM, PGM and QOI are \
                        supported";

#[cfg(feature = "heic")]
const HEIC: Kind = Kind::Image(Format::Heic);
#[cfg(not(feature = "heic"))]
const HEIC: Kind = Kind::Unread("HEIC");

const CAMERA_RAW: &str = "a camera's raw";

/// Formats by their leading signature.
const SIGNATURES: [(&[u8], Kind); 31] = [
    (b"\xFF\xD8\xFF", Kind::Image(Format::Jpeg)),
    (b"\x89PNG\r\n\x1A\n", Kind::Image(Format::Png)),
    (b"GIF87a", Kind::Image(Format::Gif)),
    (b"GIF89a", Kind::Image(Format::Gif)),
    (b"BM", Kind::Image(Format::Bmp)),
    (b"II*\0", Kind::Image(Format::Tiff)),
    (b"MM\0*", Kind::Image(Format::Tiff)),
    (b"II+\0\x08\0\0\0", Kind::Image(Format::Tiff)),
    (b"MM\0+\0\x08\0\0", Kind::Image(Format::Tiff)),
    (b"\0\0\0\x0CjP  \r\n\x87\n", Kind::Image(Format::Jpeg2000)),
    (b"\xFF\x4F\xFF\x51", Kind::Image(Format::Jpeg2000)),
    (b"\0\0\0\x0CJXL \r\n\x87\n", Kind::Image(Format::JpegXl)),
    (b"\xFF\x0A", Kind::Image(Format::JpegXl)),
    (b"qoif", Kind::Image(Format::Qoi)),
    (b"FAC\0", Kind::FaceRecord),
    (b"8BPS", Kind::Unread("Photoshop")),
    (b"\x76\x2F\x31\x01", Kind::Unread("OpenEXR")),
    (b"#?RADIANCE", Kind::Unread("Radiance HDR")),
    (b"DDS ", Kind::Unread("DDS")),
    (b"farbfeld", Kind::Unread("farbfeld")),
    (b"gimp xcf ", Kind::Unread("GIMP")),
    (b"II\xBC\x01", Kind::Unread("JPEG XR")),
    (b"FUJIFILMCCD-RAW", Kind::Unread(CAMERA_RAW)),
    (b"IIRO", Kind::Unread(CAMERA_RAW)),
    (b"IIRS", Kind::Unread(CAMERA_RAW)),
    (b"IIU\0", Kind::Unread(CAMERA_RAW)),
    (b"\x1A\x45\xDF\xA3", Kind::Video),
    (b"FLV\x01", Kind::Video),
    (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", Kind::Video),
    (b"\0\0\x01\xBA", Kind::Video),
    (b"OggS", Kind::Video),
];

/// What a file is, judged by its first bytes; `None` if neither image nor video.
pub(super) fn kind(head: &[u8]) -> Option<Kind> {
    const CANON: &[u8] = b"II*\0\x10\0\0\0CR";
    if head.starts_with(CANON) {
        return Some(Kind::Unread(CAMERA_RAW));
    }
    if let Some((_, kind)) = SIGNATURES.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*kind);
    }
    match head.get(4..12) {
        Some([.., b'W', b'E', b'B', b'P']) if head.starts_with(b"RIFF") => {
            return Some(Kind::Image(Format::WebP));
        }
        Some([.., b'A', b'V', b'I', b' ']) if head.starts_with(b"RIFF") => {
            return Some(Kind::Video);
        }
        Some([b'f', b't', b'y', b'p', ..]) => return Some(of_brands(head)),
        Some([b'm', b'o', b'o', b'v', ..] | [b'm', b'd', b'a', b't', ..]) => {
            return Some(Kind::Video);
        }
        _ => {}
    }
    if is_passport_group(head) {
        return Some(Kind::FaceRecord);
    }
    netpbm(head)
}

/// Whether a file is an image, in a supported format or not, judged by its first [`HEAD`] bytes
/// because its name does not say so.
///
/// Where a signature is only two letters, more of the header must match.
#[cfg(feature = "source")]
pub(crate) fn starts_as_image(head: &[u8]) -> bool {
    match kind(head) {
        Some(Kind::Image(Format::Bmp)) => {
            // The header lengths that exist.
            matches!(head.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
        }
        Some(Kind::Image(_) | Kind::FaceRecord | Kind::Unread(_)) => true,
        Some(Kind::Video) | None => false,
    }
}

/// ISO base media files declare their content by brands.
fn of_brands(head: &[u8]) -> Kind {
    const HEIF: [&[u8]; 10] =
        [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"];
    let length = head.get(..4).map_or(0, |four| usize::from(four[2]) << 8 | usize::from(four[3]));
    let brands = head.get(8..length.clamp(12, head.len())).unwrap_or_default();
    let has = |wanted: &[u8]| brands.chunks_exact(4).any(|brand| brand == wanted);
    let main = &brands[..4];
    if has(b"avif") || has(b"avis") {
        Kind::Unread("AVIF")
    } else if HEIF.contains(&main) {
        HEIC
    } else if main == b"crx " {
        Kind::Unread(CAMERA_RAW)
    } else {
        Kind::Video
    }
}

/// ICAO 9303-10: tag 75, a length, and the group of templates 7F61.
fn is_passport_group(head: &[u8]) -> bool {
    let after_length = match head {
        [0x75, length @ ..=0x7F, ..] if *length > 0 => 2,
        [0x75, 0x81, ..] => 3,
        [0x75, 0x82, ..] => 4,
        [0x75, 0x83, ..] => 5,
        [0x75, 0x84, ..] => 6,
        _ => return false,
    };
    head.get(after_length..).is_some_and(|rest| rest.starts_with(b"\x7F\x61"))
}

/// Many texts begin with the same two letters, so only a complete header counts as an image.
fn netpbm(head: &[u8]) -> Option<Kind> {
    match head {
        [b'P', b'2' | b'3' | b'5' | b'6', ..] => {
            super::pnm::header(head).map(|_| Kind::Image(Format::Pnm))
        }
        [b'P', b'1' | b'4', b'\n' | b'\r' | b'#', ..] => {
            super::pnm::two_numbers(head).map(|_| Kind::Unread("PBM"))
        }
        [b'P', b'7', b'\n', b'W' | b'#', ..] => Some(Kind::Unread("PAM")),
        _ => None,
    }
}

/// The failure for a file that is not a supported image.
pub(super) fn refusal(kind: Option<Kind>) -> Failure {
    match kind {
        None => Failure::new(
            Status::NotAnImage,
            format!("the file is not an image in a known format: {READABLE}"),
        ),
        Some(Kind::Video) => Failure::new(Status::NotAnImage, VIDEO_NOT_IMAGE),
        Some(Kind::Unread(name)) => {
            let how = match name {
                "HEIC" => {
                    "convert it to JPEG, for instance with `heif-convert` or `magick`, let the \
                     phone export JPEG, or use a program that was built with the cargo feature \
                     `heic`"
                }
                "AVIF" => "convert it to PNG, for instance with `avifdec` or `magick`",
                CAMERA_RAW => {
                    "export it as JPEG or TIFF from a raw converter, or take the \
                               camera's own JPEG"
                }
                _ => "convert it to PNG or JPEG, for instance with `magick`",
            };
            unsupported(format!("the image is in {name} format, which is not supported: {how}"))
        }
        // Not reached: both are supported.
        Some(Kind::Image(_) | Kind::FaceRecord) => broken("the image cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_image_files_are_not_detected_as_images() {
        let others: [&[u8]; 11] = [
            b"",
            b"P",
            b"P5 is a fine start for a text",
            b"P3 12 of them",
            b"P2 1 2 and so on, which is no number",
            b"P7 is the last",
            b"BMW and other cars, a list of them",
            b"path,score\na.jpg,1\n",
            b"%PDF-1.7",
            b"PK\x03\x04",
            b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
        ];
        for other in others {
            assert!(!starts_as_image(other), "{}", String::from_utf8_lossy(other));
        }
        assert!(!starts_as_image(b"\0\0\0\x18ftypisom\0\0\0\0isom"));
    }

    #[test]
    fn formats_are_detected_by_signature() {
        let avif = b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf";
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        assert_eq!(kind(avif), Some(Kind::Unread("AVIF")));
        assert_eq!(kind(heic), Some(HEIC));
        assert_eq!(kind(b"\0\0\0\x14ftypqt  \0\0\0\0qt  "), Some(Kind::Video));
        assert_eq!(kind(b"\0\0\0\x08ftyp\0\0\0\0"), Some(Kind::Video));
        assert_eq!(kind(b"P5\n# a comment\n3 2\n255\n"), Some(Kind::Image(Format::Pnm)));
        assert_eq!(kind(b"P4\n3 2\n\0"), Some(Kind::Unread("PBM")));
        assert_eq!(kind(b"\x75\x82\x40\x00\x7F\x61\x82"), Some(Kind::FaceRecord));
        for cut in 0..heic.len() {
            // Any result will do, as long as it does not panic.
            let _ = kind(&heic[..cut]);
        }
    }
}
