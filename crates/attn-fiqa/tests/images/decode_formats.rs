//! Less common formats: correct pixels, notes, and refusals that say what to do.
//!
//! Limits, and truncation at every length, are tested on the same fixtures in `decode_refusals.rs`.

use std::io::Cursor;

use attn_fiqa::decode::{DecodeLimits, Decoded, Note, VIDEO_NOT_IMAGE, decode, memory_needed};
use attn_fiqa::pixels::Image;
use attn_fiqa::status::{Failure, Status};
use image::{DynamicImage, ImageFormat};
use sha2::{Digest, Sha256};

use crate::fixtures::{HEIGHT, WIDTH, fixture, gradient, gradient_image};

fn grey(x: u32, y: u32) -> [i32; 3] {
    [gradient(x, y)[1]; 3]
}

fn decoded(bytes: &[u8]) -> Result<Decoded, Failure> {
    let limits = DecodeLimits::default();
    assert!(memory_needed(bytes, &limits).is_ok());
    decode(bytes, &limits)
}

fn refused(bytes: &[u8]) -> Failure {
    decode(bytes, &DecodeLimits::default()).unwrap_err()
}

fn assert_image(
    name: &str,
    bytes: &[u8],
    tolerance: i32,
    notes: &[Note],
    expected: impl Fn(u32, u32) -> [i32; 3],
) {
    let found = decoded(bytes).unwrap_or_else(|failure| panic!("{name}: {failure}"));
    let image = found.image;
    assert_eq!((image.width() as u32, image.height() as u32), (WIDTH, HEIGHT), "{name}");
    for (at, pixel) in image.rgb().chunks_exact(3).enumerate() {
        let (x, y) = (at as u32 % WIDTH, at as u32 / WIDTH);
        for (&found, expected) in pixel.iter().zip(expected(x, y)) {
            let difference = (i32::from(found) - expected).abs();
            assert!(difference <= tolerance, "{name} at ({x}, {y}): {pixel:?} ≠ {expected}");
        }
    }
    assert_eq!(found.notes, notes, "{name}");
}

#[test]
fn jpeg_2000_and_jpeg_xl_give_the_right_pixels() {
    for (name, tolerance, notes) in [
        ("lossless.jp2", 0, &[][..]),
        ("lossless.j2k", 0, &[]),
        ("tiles.j2k", 0, &[]),
        ("lossy.j2k", 4, &[]),
        ("lossless.jxl", 0, &[]),
        ("lossy.jxl", 20, &[]),
        ("alpha.jxl", 0, &[Note::AlphaDropped]),
    ] {
        assert_image(name, &fixture(name), tolerance, notes, gradient);
    }
    // 16-bit samples declared as linear light are converted to sRGB.
    let from_linear = |x, y| {
        gradient(x, y).map(|level| {
            let light = f64::from(level << 8 | 0x7F) / 65535.0;
            ((1.055 * light.powf(1.0 / 2.4) - 0.055) * 255.0).round() as i32
        })
    };
    let notes = [Note::SixteenBitReduced];
    assert_image("wide.jxl", &fixture("wide.jxl"), 1, &notes, from_linear);
    for name in ["grey.jp2", "grey.jxl"] {
        assert_image(name, &fixture(name), 0, &[], grey);
    }
}

#[test]
fn tiff_variants_give_the_right_pixels() {
    for (name, tolerance, notes) in [
        ("planar-tiles.tiff", 0, &[][..]),
        ("planar-strips.tiff", 0, &[]),
        ("big.tiff", 0, &[]),
        ("lzw.tiff", 0, &[]),
        ("lzw16.tiff", 0, &[Note::SixteenBitReduced]),
        ("ycbcr-jpeg.tiff", 8, &[]),
    ] {
        assert_image(name, &fixture(name), tolerance, notes, gradient);
    }
    let colours = |x, y| {
        let k = (x / 8 + 4 * (y / 6)) as i32;
        [k * 16, 255 - k * 9, k * k]
    };
    assert_image("palette.tiff", &fixture("palette.tiff"), 0, &[], colours);
}

#[test]
fn netpbm_and_qoi_give_the_right_pixels() {
    let rgb = gradient_image();
    let head = |letter, depth| format!("P{letter}\n# made up\n{WIDTH} {HEIGHT}\n{depth}\n");
    let binary = [head(6, 255).as_bytes(), rgb.as_raw()].concat();
    assert_image("P6", &binary, 0, &[], gradient);
    let numbers: Vec<String> = rgb.as_raw().iter().map(ToString::to_string).collect();
    let text = format!("{}{}\n", head(3, 255), numbers.join(" "));
    assert_image("P3", text.as_bytes(), 0, &[], gradient);
    let levels: Vec<u8> = rgb.pixels().map(|pixel| pixel.0[1]).collect();
    assert_image("P5", &[head(5, 255).as_bytes(), &levels].concat(), 0, &[], grey);

    let mut qoi = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(rgb.clone()).write_to(&mut qoi, ImageFormat::Qoi).unwrap();
    let qoi = qoi.into_inner();
    assert_image("QOI", &qoi, 0, &[], gradient);

    for whole in [binary, text.into_bytes(), qoi] {
        for length in 0..whole.len() {
            if let Ok(cut) = decode(&whole[..length], &DecodeLimits::default()) {
                assert!(cut.image.rgb() == rgb.as_raw().as_slice(), "cut to {length}");
            }
        }
    }
}

/// A face image record of ISO/IEC 19794-5:2005 with one image.
fn face_record(image: &[u8], points: u16) -> Vec<u8> {
    let block = 20 + 8 * usize::from(points) + 12 + image.len();
    let mut record = b"FAC\x00010\0".to_vec();
    record.extend((14 + block as u32).to_be_bytes());
    record.extend([0, 1]);
    record.extend((block as u32).to_be_bytes());
    record.extend(points.to_be_bytes());
    record.extend(vec![0; 14 + 8 * usize::from(points) + 12]);
    record.extend_from_slice(image);
    record
}

/// A BER-TLV object with a two-byte length.
fn object(tag: &[u8], content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16).to_be_bytes();
    [tag, &[0x82], &length, content].concat()
}

#[test]
fn face_record_decodes_to_its_embedded_image() {
    for name in ["lossless.jp2", "lossless.j2k"] {
        for points in [0, 3] {
            let record = face_record(&fixture(name), points);
            assert_image(name, &record, 0, &[], gradient);
            let template = [object(&[0xA1], b"\x80\x02\x01\x01"), object(&[0x5F, 0x2E], &record)];
            let templates = [b"\x02\x01\x01".to_vec(), object(&[0x7F, 0x60], &template.concat())];
            let group = object(&[0x75], &object(&[0x7F, 0x61], &templates.concat()));
            assert_image("a passport's data group 2", &group, 0, &[], gradient);
            for whole in [record, group] {
                for length in (1..whole.len()).step_by(7) {
                    let cut = refused(&whole[..length]);
                    let status = cut.status;
                    assert!(
                        matches!(status, Status::BrokenImage | Status::NotAnImage),
                        "{length}: {cut}"
                    );
                }
            }
        }
    }
    let mut two = face_record(&fixture("lossless.jp2"), 0);
    two[13] = 2;
    assert_image("two faces", &two, 0, &[Note::FirstOfRecord], gradient);
    let mut other = face_record(b"\x89PNG\r\n\x1A\n", 0);
    assert_eq!(refused(&other).status, Status::BrokenImage);
    other[4..7].copy_from_slice(b"030");
    assert_eq!(refused(&other).status, Status::UnsupportedImage);
}

#[test]
fn os2_bmp_headers_are_decoded() {
    let mut windows = Cursor::new(Vec::new());
    let rgb = DynamicImage::ImageRgb8(gradient_image());
    rgb.write_to(&mut windows, ImageFormat::Bmp).unwrap();
    let windows = windows.into_inner();
    let headers = u32::from_le_bytes(windows[10..14].try_into().unwrap()) as usize;
    let pixels = &windows[headers..];
    let with_header = |length: u32, header: &[u8]| {
        let mut bytes = windows[..10].to_vec();
        bytes.extend((14 + length).to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend_from_slice(header);
        bytes.resize(14 + length as usize, 0);
        bytes.extend_from_slice(pixels);
        bytes
    };
    assert_image("64", &with_header(64, &windows[18..54]), 0, &[], gradient);
    assert_image("16", &with_header(16, &windows[18..30]), 0, &[], gradient);
    let short = [WIDTH as u16, HEIGHT as u16, 1, 24].map(u16::to_le_bytes).concat();
    assert_image("12", &with_header(12, &short), 0, &[], gradient);
}

/// A TIFF with one more entry, added to a copy of its directory at the end.
fn tiff_with_entry(entry: [u8; 12]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(gradient_image()).write_to(&mut bytes, ImageFormat::Tiff).unwrap();
    let mut bytes = bytes.into_inner();
    let start = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let entries = u16::from_le_bytes([bytes[start], bytes[start + 1]]);
    let own = bytes[start + 2..start + 2 + 12 * usize::from(entries)].to_vec();
    let at = (bytes.len() as u32).to_le_bytes();
    bytes[4..8].copy_from_slice(&at);
    bytes.extend((entries + 1).to_le_bytes());
    bytes.extend(own);
    bytes.extend(entry);
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn tiff_with_reversed_bits_is_unsupported() {
    let with_fill_order = |order| tiff_with_entry([0x0A, 1, 3, 0, 1, 0, 0, 0, order, 0, 0, 0]);
    assert_image("usual order", &with_fill_order(1), 0, &[], gradient);
    assert_eq!(refused(&with_fill_order(2)).status, Status::UnsupportedImage);
}

#[test]
fn jpeg_2000_without_a_tile_is_broken() {
    const TILE_PART: [u8; 2] = [0xFF, 0x90];
    let whole = fixture("tiles.j2k");
    let starts: Vec<usize> =
        (0..whole.len() - 1).filter(|&at| whole[at..at + 2] == TILE_PART).collect();
    assert_eq!(starts.len(), 4);
    let ends = [&starts[1..], &[whole.len() - 2]].concat();
    for (&start, &end) in starts.iter().zip(&ends) {
        let failure = refused(&[&whole[..start], &whole[end..]].concat());
        assert_eq!(failure.status, Status::BrokenImage, "{failure}");
        assert!(failure.message.contains("3 of the image's 4 tiles"), "{failure}");
    }
}

#[test]
fn camera_raw_preview_is_not_decoded() {
    // The DNG version.
    let failure = refused(&tiff_with_entry([0x12, 0xC6, 1, 0, 4, 0, 0, 0, 1, 4, 0, 0]));
    assert_eq!(failure.status, Status::UnsupportedImage);
    assert!(failure.message.contains("raw"), "{failure}");
}

#[test]
fn unsupported_formats_are_named_with_a_remedy() {
    for (bytes, name) in [
        (&b"\0\0\0\x1Cftypavif\0\0\0\0mif1avifmiaf"[..], "AVIF"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"II*\0\x10\0\0\0CR\x02\0", "raw"),
        (b"P4\n3 2\n\0\0", "PBM"),
    ] {
        let failure = refused(bytes);
        assert_eq!(failure.status, Status::UnsupportedImage, "{failure}");
        assert!(failure.message.contains(name), "{failure}");
        assert!(failure.message.contains("convert") || failure.message.contains("export"));
    }
    let heic = refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    if cfg!(feature = "heic") {
        assert_eq!(heic.status, Status::BrokenImage, "{heic}");
    } else {
        assert_eq!(heic.status, Status::UnsupportedImage, "{heic}");
        for word in ["HEIC", "convert", "feature `heic`"] {
            assert!(heic.message.contains(word), "{heic}");
        }
    }
    let failure = refused(b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2");
    assert_eq!((failure.status, failure.message.as_str()), (Status::NotAnImage, VIDEO_NOT_IMAGE));
}

/// Messages are for users: no type or field names of a decoder.
#[test]
fn error_messages_hide_decoder_internals() {
    for name in ["big.tiff", "palette.tiff", "planar-tiles.tiff", "lossless.jxl", "lossless.jp2"] {
        let whole = fixture(name);
        for at in (8..whole.len()).step_by(5) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            if let Err(failure) = decode(&bytes, &DecodeLimits::default()) {
                for word in ["Type", "Unknown(", "{", "::", "`", "Some(", "Error"] {
                    assert!(!failure.message.contains(word), "{name} at {at}: {failure}");
                }
            }
        }
    }
}

#[test]
fn declared_size_is_checked_before_decoding() {
    let limits = DecodeLimits { max_pixels: 700, ..DecodeLimits::default() };
    for name in ["lossless.jp2", "tiles.j2k", "lossless.jxl", "lossy.jxl", "big.tiff"] {
        let failure = decode(&fixture(name), &limits).unwrap_err();
        assert_eq!(failure.status, Status::TooLarge, "{name}");
        assert!(failure.message.contains("32×24"), "{name}: {failure}");
    }
    // 60,000 pixels per side, in 300 bytes.
    let mut large = fixture("lossless.j2k");
    for at in [8, 12, 24, 28] {
        large[at..at + 4].copy_from_slice(&60_000_u32.to_be_bytes());
    }
    assert_eq!(refused(&large).status, Status::TooLarge);
}

/// Real files that revealed a defect, if available.
#[test]
fn regression_cases_are_decoded() {
    let Some(cases) = attn_fiqa_testing::shared("cases") else { return };
    for name in [
        "tiff/planar-tiles.tif",
        "tiff/lzw-without-end-code.tif",
        "tiff/big.tif",
        "tiff/ycbcr-jpeg.tif",
        "tiff/palette.tif",
        "heic-passed-over/passport.jp2",
        "heic-passed-over/dg2.j2k",
        "heic-passed-over/IMG_0002.jxl",
        "heic-passed-over/from-browser.jfif",
    ] {
        let bytes = std::fs::read(cases.join(name)).unwrap();
        decoded(&bytes).unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
    let heic = std::fs::read(cases.join("heic-passed-over/IMG_0001.HEIC")).unwrap();
    if cfg!(feature = "heic") {
        // The means of its quadrants as decoded by libheif.
        let image = decoded(&heic).unwrap().image;
        assert_eq!((image.width(), image.height()), (190, 256));
        for (place, expected) in [
            ((0, 0), [184.5, 175.9, 169.1]),
            ((3, 1), [168.1, 162.5, 160.9]),
            ((0, 2), [217.7, 103.0, 70.2]),
            ((3, 3), [27.5, 26.6, 26.6]),
        ] {
            for (found, expected) in mean_of_sixteenth(&image, place).iter().zip(expected) {
                assert!((found - expected).abs() < 1.0, "{place:?}: {found} is not {expected}");
            }
        }
    } else {
        assert!(refused(&heic).message.contains("HEIC"));
    }
}

/// The mean colour of the cell at this column and row of a 4×4 grid.
fn mean_of_sixteenth(image: &Image, (column, row): (usize, usize)) -> [f64; 3] {
    let (width, height) = (image.width(), image.height());
    let mut sums = [0.0; 3];
    let (columns, rows) =
        (width * column / 4..width * (column + 1) / 4, height * row / 4..height * (row + 1) / 4);
    for y in rows.clone() {
        for x in columns.clone() {
            for (sum, &level) in sums.iter_mut().zip(&image.rgb()[3 * (y * width + x)..]) {
                *sum += f64::from(level);
            }
        }
    }
    sums.map(|sum| sum / (columns.len() * rows.len()) as f64)
}

/// The real TIFF files, compared with the pixels read by Pillow 13.0.
#[test]
fn tiff_regression_cases_match_pillow() {
    let Some(cases) = attn_fiqa_testing::shared("cases/tiff") else { return };
    let image = |name: &str| decoded(&std::fs::read(cases.join(name)).unwrap()).unwrap().image;
    for (name, expected) in [
        ("planar-tiles.tif", "a516563a2bd93cc0bba3067e789139eece9bb13be9337baf6c4ff26ff3d08e97"),
        (
            "lzw-without-end-code.tif",
            "a50923b39fa40f45a517d00578564e30be5d8a99269b3bc477ce4a5661e47407",
        ),
        ("big.tif", "a516563a2bd93cc0bba3067e789139eece9bb13be9337baf6c4ff26ff3d08e97"),
        ("palette.tif", "b222c6ee89c516aa4d7451c51fc9de10ce9e418120a8910aab5cd30659829328"),
    ] {
        let hash = Sha256::digest(image(name).rgb());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected, "{name}");
    }
    // Lossy, and in its own colour space.
    let lossy = image("ycbcr-jpeg.tif");
    for (place, expected) in [
        ((0, 0), [239.3, 138.8, 250.9]),
        ((3, 1), [185.0, 132.9, 186.9]),
        ((0, 2), [136.9, 249.3, 173.9]),
        ((3, 3), [21.9, 134.4, 21.1]),
    ] {
        for (found, expected) in mean_of_sixteenth(&lossy, place).iter().zip(expected) {
            assert!((found - expected).abs() < 1.5, "{place:?}: {found} is not {expected}");
        }
    }
}

/// The format used by phones, with the feature that decodes it.
#[cfg(feature = "heic")]
mod heic {
    use super::*;

    #[test]
    fn heic_gives_the_right_pixels_upright() {
        assert_image("lossy", &fixture("lossy.heic"), 4, &[], gradient);
        assert_image("alpha", &fixture("alpha.heic"), 4, &[Note::AlphaDropped], gradient);
        // Its EXIF data state the same rotation again.
        let notes = [Note::OrientationApplied(6)];
        assert_image("rotated", &fixture("rotated.heic"), 6, &notes, gradient);
    }

    #[test]
    fn truncated_heic_is_rejected() {
        for name in ["lossy.heic", "alpha.heic"] {
            let whole = fixture(name);
            for length in 0..whole.len() {
                let cut = decode(&whole[..length], &DecodeLimits::default());
                assert!(cut.is_err(), "{name} cut to {length}");
            }
        }
    }

    #[test]
    fn sizes_are_checked_before_heic_is_decoded() {
        let limits = DecodeLimits { max_pixels: 700, ..DecodeLimits::default() };
        let failure = decode(&fixture("lossy.heic"), &limits).unwrap_err();
        assert_eq!(failure.status, Status::TooLarge);
        let mut large = fixture("lossy.heic");
        let at = large.windows(4).position(|part| part == b"ispe").unwrap() + 8;
        large[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(refused(&large).status, Status::TooLarge);
    }
}
