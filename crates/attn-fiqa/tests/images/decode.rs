//! Decoding: correct pixels, all notes, and refusal of what would be decoded wrongly.

use std::io::Cursor;

use attn_fiqa::decode::{DecodeLimits, Decoded, Note, decode};
use attn_fiqa::pixels::Image;
use attn_fiqa::status::{Failure, Status};
use image::{DynamicImage, ImageFormat};

use crate::fixtures::{HEIGHT, WIDTH, fixture, gradient, gradient_image};

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
    gradient_image().write_with_encoder(encoder).unwrap();
    bytes
}

fn decoded(bytes: &[u8]) -> Decoded {
    decode(bytes, &DecodeLimits::default()).unwrap()
}

fn refused(bytes: &[u8]) -> Failure {
    decode(bytes, &DecodeLimits::default()).unwrap_err()
}

/// Asserts that every level follows a formula of the upright image.
fn assert_levels(
    image: &Image,
    (width, height): (u32, u32),
    tolerance: i32,
    expected: impl Fn(u32, u32) -> [i32; 3],
) {
    assert_eq!((image.width() as u32, image.height() as u32), (width, height));
    for (at, pixel) in image.rgb().chunks_exact(3).enumerate() {
        let (x, y) = (at as u32 % width, at as u32 / width);
        let expected = expected(x, y);
        for (&found, expected) in pixel.iter().zip(expected) {
            let difference = (i32::from(found) - expected).abs();
            assert!(difference <= tolerance, "at ({x}, {y}): {pixel:?} ≠ {expected}");
        }
    }
}

fn assert_gradient(bytes: &[u8], tolerance: i32, notes: &[Note]) {
    let found = decoded(bytes);
    assert_levels(&found.image, (WIDTH, HEIGHT), tolerance, gradient);
    assert_eq!(found.notes, notes);
}

#[test]
fn common_formats_give_the_right_pixels() {
    let image = DynamicImage::ImageRgb8(gradient_image());
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        assert_gradient(&encoded(&image, format), 0, &[]);
    }
    assert_gradient(&jpeg(), 6, &[]);
    assert_gradient(&fixture("progressive.jpg"), 10, &[]);
    assert_gradient(&fixture("restarts.jpg"), 10, &[]);
    assert_gradient(&fixture("lossy.webp"), 10, &[]);
}

#[test]
fn first_frame_or_page_is_decoded_and_noted() {
    assert_gradient(&fixture("animated.png"), 0, &[Note::FirstFrame]);
    assert_gradient(&fixture("animated.webp"), 0, &[Note::FirstFrame]);
    assert_gradient(&fixture("pages.tiff"), 0, &[Note::FirstPage]);
}

#[test]
fn grey_alpha_and_16_bit_convert_to_rgb() {
    let colour = DynamicImage::ImageRgb8(gradient_image());
    let grey = encoded(&DynamicImage::ImageLuma8(colour.to_luma8()), ImageFormat::Png);
    let found = decoded(&grey);
    assert!(found.image.rgb().chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    assert_eq!(found.notes, []);

    let mut translucent = colour.to_rgba8();
    translucent.pixels_mut().for_each(|pixel| pixel.0[3] = pixel.0[0] / 2);
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let bytes = encoded(&DynamicImage::ImageRgba8(translucent.clone()), format);
        assert_gradient(&bytes, 0, &[Note::AlphaDropped]);
    }

    let mut wide = colour.to_rgba16();
    // The lower byte must not matter.
    wide.pixels_mut().for_each(|pixel| pixel.0[1] |= 0xFF);
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let bytes = encoded(&DynamicImage::ImageRgba16(wide.clone()), format);
        assert_gradient(&bytes, 0, &[Note::SixteenBitReduced, Note::AlphaDropped]);
    }
}

#[test]
fn floating_point_samples_are_refused() {
    let floats = DynamicImage::ImageRgb32F(DynamicImage::ImageRgb8(gradient_image()).to_rgb32f());
    let failure = refused(&encoded(&floats, ImageFormat::Tiff));
    assert_eq!(failure.status, Status::UnsupportedImage);
    assert!(failure.message.contains("32-bit or floating-point samples"), "{failure}");
}

/// The levels printed by ink amounts of cyan, magenta, yellow and black.
fn printed(inks: [i32; 3], black: i32) -> [i32; 3] {
    inks.map(|ink| ((255 - ink) * (255 - black) + 127) / 255)
}

fn inks(x: u32, y: u32) -> ([i32; 3], i32) {
    let (x, y) = (x as i32, y as i32);
    ([10 + 5 * x, 200 - 7 * y, 40 + 2 * x + 2 * y], 3 * x)
}

#[test]
fn cmyk_and_ycck_convert_to_rgb() {
    let expected = |x, y| {
        let (inks, black) = inks(x, y);
        printed(inks, black)
    };
    for (name, tolerance) in [("cmyk.jpg", 5), ("cmyk.tiff", 1)] {
        let found = decoded(&fixture(name));
        assert_levels(&found.image, (WIDTH, HEIGHT), tolerance, expected);
        assert_eq!(found.notes, [Note::CmykConverted]);
    }
    // The inverted inks are stored as Y, Cb and Cr of the colours to be inverted.
    let from_luma_and_chroma = |x, y| {
        let ([c, m, y], black) = inks(x, y);
        let (luma, cb, cr) = (f64::from(255 - c), f64::from(127 - m), f64::from(127 - y));
        let inks = [luma + 1.402 * cr, luma - 0.344_136 * cb - 0.714_136 * cr, luma + 1.772 * cb];
        printed(inks.map(|ink| ink.round().clamp(0.0, 255.0) as i32), black)
    };
    let found = decoded(&fixture("ycck.jpg"));
    assert_levels(&found.image, (WIDTH, HEIGHT), 8, from_luma_and_chroma);

    // Without Adobe's marker, inks are inverted as well, as OpenCV and Pillow interpret them.
    let adobe = fixture("cmyk.jpg");
    let at = adobe.windows(2).position(|pair| pair == [0xFF, 0xEE]).unwrap();
    let length = usize::from(u16::from_be_bytes([adobe[at + 2], adobe[at + 3]]));
    let unmarked = [&adobe[..at], &adobe[at + 2 + length..]].concat();
    let found = decoded(&unmarked);
    assert_levels(&found.image, (WIDTH, HEIGHT), 5, expected);
    assert_eq!(found.notes, [Note::CmykConverted]);
}

/// The JPEG with its components named R, G and B.
fn with_rgb_ids(jpeg: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    for marker in [[0xFF, 0xC0], [0xFF, 0xDA]] {
        let at = bytes.windows(2).position(|pair| pair == marker).unwrap();
        let (first, step) = if marker[1] == 0xC0 { (10, 3) } else { (5, 2) };
        for (component, name) in b"RGB".iter().enumerate() {
            bytes[at + first + step * component] = *name;
        }
    }
    bytes
}

#[test]
fn colour_markers_take_precedence_over_rgb_component_ids() {
    let with_jfif = with_rgb_ids(&jpeg());
    assert_gradient(&with_jfif, 6, &[]);
    for transform in [1, 2] {
        let adobe = [b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat();
        assert_gradient(&with_segment(&with_jfif, 0xEE, &adobe), 6, &[]);
    }
}

#[test]
fn rgb_component_ids_disable_ycbcr_conversion() {
    let mut bytes = jpeg();
    // Without the JFIF marker, whose length is at offset 4, component names decide.
    let jfif_end = 4 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    bytes.drain(2..jfif_end);
    let as_colours = decoded(&bytes);
    assert_eq!(as_colours.notes, []);
    let as_rgb = decoded(&with_rgb_ids(&bytes)).image;
    // The stored luma becomes red: the grey level of each pixel.
    for (rgb, stored) in as_colours.image.rgb().chunks_exact(3).zip(as_rgb.rgb().chunks_exact(3)) {
        let [r, g, b] = [0, 1, 2].map(|colour| f64::from(rgb[colour]));
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        assert!((luma - f64::from(stored[0])).abs() < 6.0, "{rgb:?} {stored:?}");
    }
}

/// A JPEG segment inserted after the start-of-image marker.
fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend_from_slice(&[0xFF, marker]);
    bytes.extend_from_slice(&(body.len() as u16 + 2).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&jpeg[2..]);
    bytes
}

fn exif(orientation: u8) -> Vec<u8> {
    let mut body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    body.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    body
}

/// Where a stored pixel belongs in the upright image, following EXIF 2.32's definition of the sides
/// that row 0 and column 0 represent.
fn upright(orientation: u8, (x, y): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    let (right, bottom) = (width - 1 - x, height - 1 - y);
    match orientation {
        1 => (x, y),
        2 => (right, y),
        3 => (right, bottom),
        4 => (x, bottom),
        5 => (y, x),
        6 => (bottom, x),
        7 => (bottom, right),
        _ => (y, right),
    }
}

fn assert_turned(bytes: &[u8], stored: &Image, orientation: u8) {
    let found = decoded(bytes);
    let (width, height) = if orientation < 5 { (WIDTH, HEIGHT) } else { (HEIGHT, WIDTH) };
    let mut expected = vec![0; (3 * WIDTH * HEIGHT) as usize];
    for (at, pixel) in stored.rgb().chunks_exact(3).enumerate() {
        let place = (at as u32 % WIDTH, at as u32 / WIDTH);
        let (x, y) = upright(orientation, place, (WIDTH, HEIGHT));
        expected[3 * (y * width + x) as usize..][..3].copy_from_slice(pixel);
    }
    let expected = Image::from_rgb(width as usize, height as usize, expected).unwrap();
    assert!(found.image == expected, "orientation {orientation}");
    let noted = found.notes.contains(&Note::OrientationApplied(orientation));
    assert_eq!(noted, orientation > 1);
}

#[test]
fn all_orientations_of_a_jpeg_are_applied() {
    let stored = decoded(&jpeg()).image;
    for orientation in 1..=8 {
        assert_turned(&with_segment(&jpeg(), 0xE1, &exif(orientation)), &stored, orientation);
    }
    // An invalid orientation: the image is left as it is.
    assert_eq!(decoded(&with_segment(&jpeg(), 0xE1, &exif(9))).image, stored);
}

/// Some writers put EXIF data after the pixels.
#[test]
fn all_orientations_of_a_png_are_applied_before_and_after_its_pixels() {
    const HEADER_END: usize = 33;
    const LAST_CHUNK: usize = 12;
    let png = encoded(&DynamicImage::ImageRgb8(gradient_image()), ImageFormat::Png);
    let stored = decoded(&png).image;
    for at in [HEADER_END, png.len() - LAST_CHUNK] {
        let with_chunk = |chunk: &[u8]| [&png[..at], chunk, &png[at..]].concat();
        for orientation in 1..=8 {
            let tiff = &exif(orientation)[b"Exif\0\0".len()..];
            let named = [b"eXIf", tiff].concat();
            let mut checksum = flate2::Crc::new();
            checksum.update(&named);
            let length = (tiff.len() as u32).to_be_bytes();
            let mut chunk = [&length[..], &named, &checksum.sum().to_be_bytes()].concat();
            assert_turned(&with_chunk(&chunk), &stored, orientation);
            // Damaged EXIF data state nothing.
            *chunk.last_mut().unwrap() ^= 1;
            assert_turned(&with_chunk(&chunk), &stored, 1);
        }
    }
}

#[test]
fn orientation_is_applied_in_other_formats() {
    for name in ["orientation6.png", "orientation6.webp", "orientation6.tiff"] {
        let found = decoded(&fixture(name));
        assert_levels(&found.image, (HEIGHT, WIDTH), 0, |x, y| gradient(y, HEIGHT - 1 - x));
        assert_eq!(found.notes, [Note::OrientationApplied(6)], "{name}");
    }
}

#[test]
fn a_colour_profile_is_ignored_and_noted() {
    let profile = b"ICC_PROFILE\0\x01\x01not much of a profile";
    assert_gradient(&with_segment(&jpeg(), 0xE2, profile), 6, &[Note::IccIgnored]);
}

#[test]
fn notes_display_expected_text() {
    let shown = [
        (Note::IccIgnored, "ICC profile ignored"),
        (Note::OrientationApplied(6), "EXIF orientation 6 applied"),
        (Note::AlphaDropped, "alpha channel dropped"),
        (Note::SixteenBitReduced, "16-bit samples reduced to 8"),
        (Note::ScansMissing, "scans of the progressive JPEG are missing, it lacks detail"),
    ];
    for (note, expected) in shown {
        assert_eq!(note.to_string(), expected);
    }
}

/// Quadrants of four colours, which a palette represents exactly.
fn quarters(alpha: u8) -> image::RgbaImage {
    let colours = [[250, 10, 20], [30, 240, 50], [60, 70, 230], [200, 210, 190]];
    image::RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let quarter = usize::from(x >= WIDTH / 2) + 2 * usize::from(y >= HEIGHT / 2);
        let [red, green, blue] = colours[quarter];
        let alpha = if quarter == 3 { alpha } else { 255 };
        image::Rgba([red, green, blue, alpha])
    })
}

fn gif(frames: &[image::RgbaImage]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    encoder.encode_frames(frames.iter().cloned().map(image::Frame::new)).unwrap();
    drop(encoder);
    bytes
}

#[test]
fn gif_decodes_to_its_first_frame() {
    let other = image::RgbaImage::from_pixel(WIDTH, HEIGHT, image::Rgba([1, 2, 3, 255]));
    for (frames, alpha, notes) in
        [(1, 255, &[][..]), (2, 255, &[Note::FirstFrame][..]), (1, 0, &[Note::AlphaDropped][..])]
    {
        let first = quarters(alpha);
        let bytes = gif(&[first.clone(), other.clone()][..frames]);
        let found = decoded(&bytes);
        assert_eq!(found.notes, notes);
        let pixels = found.image.rgb().chunks_exact(3).zip(first.pixels());
        for (found, expected) in pixels.filter(|(_, expected)| expected[3] == 255) {
            assert_eq!(found, &expected.0[..3]);
        }
        // If truncated inside the first image, the file is broken; after it, the image is complete.
        let whole = found.image;
        for length in 0..bytes.len() {
            if let Ok(cut) = decode(&bytes[..length], &DecodeLimits::default()) {
                assert_eq!(cut.image, whole, "cut to {length} of {}", bytes.len());
            }
        }
    }
    let mut large = gif(&[quarters(255)]);
    large[6..10].copy_from_slice(&[0x30, 0x75, 0x30, 0x75]);
    let failure = refused(&large);
    assert_eq!(failure.status, Status::TooLarge);
    assert!(failure.message.contains("30000×30000"), "{failure}");
}
