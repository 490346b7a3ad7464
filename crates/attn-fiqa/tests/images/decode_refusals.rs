//! Decoding of files that are too large, truncated, damaged or not images at all.

use std::io::Cursor;
use std::path::Path;

use attn_fiqa::decode::{DecodeLimits, Note, decode};
use attn_fiqa::status::{Failure, Status};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;

fn jpeg() -> Vec<u8> {
    let image =
        RgbImage::from_fn(48, 40, |x, y| Rgb([(x * 5) as u8, (y * 6) as u8, (x * y % 251) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// Every stored fixture, plus one file of each format.
fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut samples: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let skipped = |extension: &std::ffi::OsStr| {
                extension == "py"
                    || extension == "gz"
                    || (extension == "heic" && !cfg!(feature = "heic"))
            };
            path.extension().is_some_and(|extension| !skipped(extension))
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    samples.push(("plain.jpg".to_owned(), jpeg()));
    let decoded = image::load_from_memory(&jpeg()).unwrap();
    let formats = [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ];
    for format in formats {
        let mut bytes = Cursor::new(Vec::new());
        decoded.write_to(&mut bytes, format).unwrap();
        samples.push((format!("plain {format:?}"), bytes.into_inner()));
    }
    samples
}

fn refused(bytes: &[u8]) -> Failure {
    decode(bytes, &DecodeLimits::default()).unwrap_err()
}

fn marker(bytes: &[u8], marker: u8) -> usize {
    bytes.windows(2).position(|pair| pair == [0xFF, marker]).unwrap()
}

#[test]
fn an_empty_file_is_called_empty() {
    let failure = refused(b"");
    assert_eq!(failure.status, Status::BrokenImage);
    assert_eq!(failure.message, "the file is empty");
}

#[test]
fn non_images_and_unsupported_formats_are_distinguished() {
    for text in ["name,score\n", "P5 is a fine start for a text", "<svg/>", "\0\0\0\0"] {
        assert_eq!(refused(text.as_bytes()).status, Status::NotAnImage, "{text}");
    }
    let failure = refused(b"8BPS and so on");
    assert_eq!(failure.status, Status::UnsupportedImage);
    assert!(failure.message.contains("Photoshop"), "{failure}");
    assert_eq!(refused(b"GIF89a").status, Status::BrokenImage);
}

#[test]
fn a_truncated_file_is_never_decoded_to_other_pixels() {
    let limits = DecodeLimits::default();
    for (name, bytes) in samples() {
        let whole = decode(&bytes, &limits).map(|decoded| decoded.image);
        for length in 0..bytes.len() {
            match decode(&bytes[..length], &limits) {
                // The missing part came after the pixels.
                Ok(cut) => {
                    let lost_its_end = cut.notes.contains(&Note::NoEndMarker);
                    assert!(!name.ends_with(".jpg") || lost_its_end, "{name} cut to {length}");
                    assert_eq!(Ok(cut.image), whole, "{name} cut to {length}");
                }
                Err(failure) => assert!(
                    matches!(
                        failure.status,
                        Status::BrokenImage | Status::NotAnImage | Status::UnsupportedImage
                    ),
                    "{name} cut to {length}: {failure}"
                ),
            }
        }
    }
}

#[test]
fn a_jpeg_with_lost_data_in_its_middle_is_broken() {
    let names = ["plain.jpg", "progressive.jpg", "restarts.jpg", "cmyk.jpg"];
    for (name, bytes) in samples() {
        if !names.contains(&name.as_str()) {
            continue;
        }
        // The end-of-image marker stays, so only the data reveal the damage.
        let start = marker(&bytes, 0xDA) + 14;
        let lost = (bytes.len() - start) / 2;
        let mut damaged = bytes[..start].to_vec();
        damaged.extend_from_slice(&bytes[start + lost..]);
        assert_eq!(refused(&damaged).status, Status::BrokenImage, "{name}");
    }
}

#[test]
fn a_truncated_jpeg_with_an_end_marker_is_broken() {
    for (name, bytes) in samples() {
        if !["plain.jpg", "restarts.jpg", "cmyk.jpg"].contains(&name.as_str()) {
            continue;
        }
        let start = marker(&bytes, 0xDA) + 14;
        for length in start..bytes.len() - 4 {
            let mut closed = bytes[..length].to_vec();
            closed.extend_from_slice(&[0xFF, 0xD9]);
            let failure = refused(&closed);
            assert_eq!(failure.status, Status::BrokenImage, "{name} cut to {length}");
        }
    }
}

#[test]
fn trailing_bytes_after_jpeg_are_ignored() {
    let mut bytes = jpeg();
    let alone = decode(&bytes, &DecodeLimits::default());
    bytes.extend_from_slice(b"appended by a camera");
    assert!(alone.is_ok());
    assert_eq!(decode(&bytes, &DecodeLimits::default()), alone);
}

#[test]
fn oversized_images_are_rejected_before_decoding() {
    const SIDE: u16 = 30_000;
    let mut large_jpeg = jpeg();
    let at = marker(&large_jpeg, 0xC0);
    large_jpeg[at + 5..at + 7].copy_from_slice(&SIDE.to_be_bytes());
    large_jpeg[at + 7..at + 9].copy_from_slice(&SIDE.to_be_bytes());

    let mut large_png = b"\x89PNG\r\n\x1A\n\0\0\0\x0D".to_vec();
    let mut header = b"IHDR".to_vec();
    header.extend_from_slice(&u32::from(SIDE).to_be_bytes());
    header.extend_from_slice(&u32::from(SIDE).to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&header);
    large_png.extend_from_slice(&header);
    large_png.extend_from_slice(&checksum.sum().to_be_bytes());

    let mut large_bmp = Vec::new();
    DynamicImage::new_rgb8(4, 4)
        .write_to(&mut Cursor::new(&mut large_bmp), ImageFormat::Bmp)
        .unwrap();
    large_bmp[18..22].copy_from_slice(&u32::from(SIDE).to_le_bytes());
    large_bmp[22..26].copy_from_slice(&u32::from(SIDE).to_le_bytes());

    for bytes in [large_jpeg, large_png, large_bmp] {
        let failure = refused(&bytes);
        assert_eq!(failure.status, Status::TooLarge, "{failure}");
        assert!(failure.message.contains("30000×30000"), "{failure}");
        assert!(failure.message.contains("100000000"), "{failure}");
    }
}

#[test]
fn limits_hold_for_every_format() {
    let few_pixels = DecodeLimits { max_pixels: 700, ..DecodeLimits::default() };
    let few_bytes = DecodeLimits { max_bytes: 60, ..DecodeLimits::default() };
    for (name, bytes) in samples() {
        for limits in [few_pixels, few_bytes] {
            let failure = decode(&bytes, &limits).unwrap_err();
            assert_eq!(failure.status, Status::TooLarge, "{name}: {failure}");
        }
    }
}

#[test]
fn jpeg_with_zero_height_is_broken() {
    let mut bytes = jpeg();
    let at = marker(&bytes, 0xC0);
    bytes[at + 5..at + 7].copy_from_slice(&[0, 0]);
    assert_eq!(refused(&bytes).status, Status::BrokenImage);
}

#[test]
fn zero_sized_bmp_is_rejected_with_its_size() {
    for (width, height) in [(0, 0), (0, 5), (5, 0)] {
        let mut bytes = Vec::new();
        let filled = DynamicImage::new_rgb8(4, 4);
        filled.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Bmp).unwrap();
        bytes[18..22].copy_from_slice(&i32::to_le_bytes(width));
        bytes[22..26].copy_from_slice(&i32::to_le_bytes(height));
        let failure = refused(&bytes);
        assert_eq!(failure.status, Status::BrokenImage, "{failure}");
        let expected = format!("has no pixels: its file declares {width}×{height}");
        assert!(failure.message.contains(&expected), "{failure}");
    }
}

#[test]
fn arithmetic_and_12_bit_jpegs_are_unsupported() {
    let mut arithmetic = jpeg();
    let at = marker(&arithmetic, 0xC0);
    arithmetic[at + 1] = 0xC9;
    let mut twelve_bits = jpeg();
    twelve_bits[at + 4] = 12;
    for bytes in [arithmetic, twelve_bits] {
        assert_eq!(refused(&bytes).status, Status::UnsupportedImage);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens to the bytes, there is a result, and any decoded image is complete.
    #[test]
    fn changed_bytes_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let samples = samples();
        let (_, mut bytes) = samples[which.index(samples.len())].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let limits = DecodeLimits { max_pixels: 1 << 20, ..DecodeLimits::default() };
        if let Ok(decoded) = decode(&bytes, &limits) {
            let image = decoded.image;
            prop_assert_eq!(image.rgb().len(), image.width() * image.height() * 3);
        }
    }

    #[test]
    fn random_bytes_after_magic_never_panic(
        format in 0..5_usize,
        tail in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let heads: [&[u8]; 5] = [
            b"\xFF\xD8\xFF",
            b"\x89PNG\r\n\x1A\n",
            b"RIFF\x20\x01\0\0WEBPVP8 ",
            b"BM",
            b"II*\0\x08\0\0\0",
        ];
        let bytes = [heads[format], &tail].concat();
        let _ = decode(&bytes, &DecodeLimits::default());
    }
}
