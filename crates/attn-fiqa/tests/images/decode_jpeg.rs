//! JPEG files of every kind, compared with Pillow's pixels (`fixtures/make_jpegs.py`), and files
//! with missing or damaged parts.

use std::collections::BTreeMap;
use std::io::Read;

use attn_fiqa::decode::{DecodeLimits, Decoded, Note, decode};
use attn_fiqa::status::{Failure, Status};
use attn_fiqa_testing::shared;

/// Decoders differ in how they round the DCT and interpolate chroma.
const MAX_ERROR: u8 = 5;
/// A chroma plane of a single block is interpolated up to a border that decoders fill differently.
const MAX_ERROR_SINGLE_BLOCK: u8 = 12;
const MAX_MEAN_ERROR: f64 = 1.0;

fn fixtures() -> BTreeMap<String, Vec<u8>> {
    let packed = flate2::read::GzDecoder::new(&include_bytes!("../fixtures/jpegs.tar.gz")[..]);
    let mut archive = tar::Archive::new(packed);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    });
    entries.collect()
}

fn decoded(bytes: &[u8]) -> Result<Decoded, Failure> {
    decode(bytes, &DecodeLimits::default())
}

fn assert_pixels(name: &str, found: &Decoded, expected: &[u8]) {
    let (width, height) = (found.image.width(), found.image.height());
    let header = format!("P6\n{width} {height}\n255\n");
    let expected = expected.strip_prefix(header.as_bytes()).unwrap();
    let off = found.image.rgb().iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let off: Vec<u8> = off.collect();
    let mean = off.iter().map(|&off| f64::from(off)).sum::<f64>() / off.len() as f64;
    let most = off.into_iter().max().unwrap();
    let one_block = width.max(height) <= 8;
    let allowed = if one_block { MAX_ERROR_SINGLE_BLOCK } else { MAX_ERROR };
    assert!(most <= allowed && mean <= MAX_MEAN_ERROR, "{name}: off by {mean}, {most}");
}

#[test]
fn pixels_match_pillow() {
    let files = fixtures();
    let mut compared = 0;
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".jpg")) {
        let expected = &files[&name.replace(".jpg", ".ppm")];
        match decoded(bytes) {
            Ok(found) => assert_pixels(name, &found, expected),
            Err(failure) => panic!("{name}: {failure:?}"),
        }
        compared += 1;
    }
    assert!(compared > 100, "{compared} files");
}

/// Positions of a file's segments, as `(marker, start, end)`, up to the first scan header.
fn segments(bytes: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut found = Vec::new();
    let mut at = 2;
    loop {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        found.push((bytes[at + 1], at, at + 2 + length));
        if bytes[at + 1] == 0xDA {
            return found;
        }
        at += 2 + length;
    }
}

fn without(bytes: &[u8], marker: u8) -> Vec<u8> {
    let mut left = bytes.to_vec();
    for (_, start, end) in segments(bytes).into_iter().rev().filter(|s| s.0 == marker) {
        left.drain(start..end);
    }
    left
}

#[test]
fn missing_huffman_tables_default_to_standard_ones() {
    let files = fixtures();
    let name = "2x1 one -";
    let (file, pixels) = (&files[&format!("{name}.jpg")], &files[&format!("{name}.ppm")]);
    let (bare, whole) = (without(file, 0xC4), decoded(file).unwrap());
    assert!(bare.len() < file.len());
    assert_eq!(decoded(&bare).unwrap().image, whole.image);
    assert_pixels(name, &whole, pixels);
}

#[test]
fn missing_eoi_is_noted_but_lost_data_rejected() {
    let files = fixtures();
    for name in ["2x2 one -", "2x2 y-cb-cr 1", "2x2 progressive", "rgb"] {
        let file = &files[&format!("{name}.jpg")];
        let whole = decoded(file).unwrap();
        for trailer in [&b""[..], b"\0\0\0", b"SEFT"] {
            let mut bare = file[..file.len() - 2].to_vec();
            bare.extend(trailer);
            let found = decoded(&bare).unwrap();
            assert_eq!(found.image, whole.image, "{name}");
            assert_eq!(found.notes, [Note::NoEndMarker], "{name}");
        }
        for left_out in [12, 40, file.len() / 3] {
            let failure = decoded(&file[..file.len() - left_out]).unwrap_err();
            assert_eq!(failure.status, Status::BrokenImage, "{name} without {left_out} bytes");
        }
    }
}

/// Within a pool, the samples of a large image are allocated while its data are checked.
#[test]
fn large_jpegs_decode_identically_in_a_thread_pool() {
    use image::codecs::jpeg::JpegEncoder;
    use image::{DynamicImage, ImageBuffer, Luma, Rgb};

    let (width, height) = (1500, 1003);
    let colours =
        ImageBuffer::from_fn(width, height, |x, y| Rgb([x, y, x ^ y].map(|level| level as u8)));
    let grey = ImageBuffer::from_fn(3 * width, height, |x, y| Luma([(x * y) as u8]));
    let encoded = |image: DynamicImage| {
        let mut bytes = Vec::new();
        image.write_with_encoder(JpegEncoder::new(&mut bytes)).unwrap();
        bytes
    };
    let [colours, grey] = [encoded(colours.into()), encoded(grey.into())];
    let cut = &colours[..colours.len() / 2];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for bytes in [&colours, &grey, cut] {
        assert_eq!(pool.install(|| decoded(bytes)), decoded(bytes));
    }
    assert_eq!(decoded(cut).unwrap_err().status, Status::BrokenImage);
    // Limits apply as well.
    let limits = DecodeLimits { max_pixels: 1_000_000, ..DecodeLimits::default() };
    assert_eq!(pool.install(|| decode(&grey, &limits)).unwrap_err().status, Status::TooLarge);
}

#[test]
fn orientation_supports_long_tags_and_later_segments() {
    let file = &fixtures()["2x1 one -.jpg"];
    let upright = decoded(file).unwrap().image;
    let with = |bodies: &[&[u8]]| {
        let mut bytes = file[..2].to_vec();
        for body in bodies {
            bytes.extend([0xFF, 0xE1]);
            bytes.extend((body.len() as u16 + 2).to_be_bytes());
            bytes.extend(*body);
        }
        bytes.extend(&file[2..]);
        decoded(&bytes).unwrap()
    };
    let long = b"Exif\0\0II\x2A\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let empty = b"Exif\0\0II\x2A\0\x08\0\0\0\0\0\0\0\0\0";
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>";
    for bodies in [&[&long[..]][..], &[&empty[..], &long[..]], &[&empty[..], &xmp[..]]] {
        let found = with(bodies);
        assert_eq!(found.notes, [Note::OrientationApplied(6)]);
        assert_eq!((found.image.width(), found.image.height()), (19, 21));
        // The bottom left pixel becomes the top left one.
        assert_eq!(found.image.rgb()[..3], upright.rgb()[3 * 21 * 18..][..3]);
    }
}

fn markers(bytes: &[u8], codes: std::ops::RangeInclusive<u8>) -> Vec<usize> {
    let is_marker = |&at: &usize| bytes[at] == 0xFF && codes.contains(&bytes[at + 1]);
    (0..bytes.len() - 1).filter(is_marker).collect()
}

#[test]
fn restart_intervals_must_be_in_order_and_hold_only_their_blocks() {
    for name in ["1x1 one 2B", "2x2 y-cb-cr 2B"] {
        let file = &fixtures()[&format!("{name}.jpg")];
        let restarts = markers(file, 0xD0..=0xD7);
        let (first, second, third) = (restarts[0], restarts[1], restarts[2]);
        let interval = &file[first..second];

        let mut renumbered = file.clone();
        renumbered[first + 1] = 0xD1;
        let lost = [&file[..first], &file[second..]].concat();
        let repeated = [&file[..second], interval, &file[second..]].concat();
        let mut swapped = [&file[..first], &file[second..third], interval].concat();
        swapped.extend(&file[third..]);
        let longer = [&file[..first], &[0x55], &file[first..]].concat();
        for (what, bytes) in [
            ("renumbered", renumbered),
            ("lost", lost),
            ("repeated", repeated),
            ("swapped", swapped),
            ("longer", longer),
        ] {
            let failure = decoded(&bytes).unwrap_err();
            assert_eq!(failure.status, Status::BrokenImage, "{name}, {what}: {failure}");
        }

        // Fill bytes, and a marker after the last interval.
        let end = file.len() - 2;
        let filled = [&file[..first], b"\xFF\xFF", &file[first..]].concat();
        let ended = [&file[..end], b"\xFF\xD0", &file[end..]].concat();
        for bytes in [filled, ended] {
            assert_eq!(decoded(&bytes), decoded(file), "{name}");
        }
        let surplus = [&file[..end], interval, &file[end..]].concat();
        assert_eq!(decoded(&surplus).unwrap_err().status, Status::BrokenImage, "{name}");
    }
}

#[test]
fn missing_progressive_scans_are_noted() {
    let file = &fixtures()["2x2 progressive.jpg"];
    let whole = decoded(file).unwrap();
    assert_eq!(whole.notes, []);
    let last = *markers(file, 0xDA..=0xDA).last().unwrap();
    let found = decoded(&[&file[..last], b"\xFF\xD9"].concat()).unwrap();
    assert_eq!(found.notes, [Note::ScansMissing]);
    assert_ne!(found.image, whole.image);
}

/// `jpeg-decoder`, which decodes what is not ordinary, mixes up the columns of these.
#[test]
fn progressive_jpeg_with_factor_4_and_contradicting_colours_is_unsupported() {
    let file = &fixtures()["4x1 progressive.jpg"];
    assert!(decoded(file).is_ok());
    let adobe = b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\0";
    let contradicting = [&file[..2], adobe, &file[2..]].concat();
    assert_eq!(decoded(&contradicting).unwrap_err().status, Status::UnsupportedImage);
}

/// Real files that failed.
#[test]
fn jpeg_regression_cases_are_decoded_or_rejected() {
    let Some(cases) = shared("cases") else { return };
    let read = |name: &str| decoded(&std::fs::read(cases.join(name)).unwrap());
    let one = read("jpeg-baseline-multiscan/one-scan-420.jpg").unwrap().image;
    for name in ["y-cb-cr-420", "y-cbcr-420", "ycb-cr-420", "cb-cr-y-420"] {
        let found = read(&format!("jpeg-baseline-multiscan/{name}.jpg")).unwrap().image;
        let off = found.rgb().iter().zip(one.rgb()).map(|(a, b)| u64::from(a.abs_diff(*b)));
        let mean = off.sum::<u64>() as f64 / one.rgb().len() as f64;
        assert!(mean < 1.0, "{name}: off by {mean}");
    }
    assert!(read("mjpeg-without-tables/frame.jpg").is_ok());
    for name in ["no-eoi", "no-eoi-trailer"] {
        let found = read(&format!("jpeg-without-end-marker/{name}.jpg")).unwrap();
        assert!(found.notes.contains(&Note::NoEndMarker), "{name}");
    }
    let cut = read("jpeg-without-end-marker/cut.jpg").unwrap_err();
    assert_eq!(cut.status, Status::BrokenImage);
}
