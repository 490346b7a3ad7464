//! Compares the memory that decoding uses with [`memory_needed`].
#![allow(unsafe_code, reason = "a counting allocator is unsafe by its trait")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed unwrap in a test is a failed test, and figures are shown with --nocapture"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use attn_fiqa::decode::{DecodeLimits, Note, decode, memory_needed};
use attn_fiqa::status::Status;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, Frame, ImageFormat, RgbaImage};

static CURRENT_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = CURRENT_BYTES.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        // SAFETY: by the caller's contract.
        let place = unsafe { System.alloc(layout) };
        // Memory that is reserved and released untouched is not used.
        if layout.size() < PROBE_SIZE.load(Ordering::Relaxed) {
            PEAK_BYTES.fetch_max(now, Ordering::Relaxed);
        }
        place
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Shrinking happens in place; growing may need both the old and the new block at once.
        let now = CURRENT_BYTES.fetch_add(size, Ordering::Relaxed);
        let at_once = if size > layout.size() { now + size } else { now };
        PEAK_BYTES.fetch_max(at_once, Ordering::Relaxed);
        CURRENT_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller's contract.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        CURRENT_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this size and above are not counted.
static PROBE_SIZE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The peak number of bytes that `run` held at once, not counting the probe for available memory,
/// which is exactly `probe` bytes.
fn peak(probe: usize, run: impl FnOnce()) -> usize {
    PROBE_SIZE.store(probe, Ordering::Relaxed);
    let before = CURRENT_BYTES.load(Ordering::Relaxed);
    PEAK_BYTES.store(before, Ordering::Relaxed);
    run();
    PROBE_SIZE.store(usize::MAX, Ordering::Relaxed);
    PEAK_BYTES.load(Ordering::Relaxed) - before
}

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 900;

fn colour() -> DynamicImage {
    DynamicImage::ImageRgba8(RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
        image::Rgba([(x * 7) as u8, (y * 3) as u8, (x ^ y) as u8, 255 - (y % 200) as u8])
    }))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn gif(frame: RgbaImage, left: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    let delay = image::Delay::from_numer_denom_ms(100, 1);
    encoder.encode_frame(Frame::from_parts(frame, left, 0, delay)).unwrap();
    drop(encoder);
    bytes
}

/// Inserts a chunk after the header of a PNG.
fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    const HEADER: usize = 33;
    with_chunk_at(HEADER, png, name, data)
}

fn with_chunk_at(at: usize, png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut checksum = flate2::Crc::new();
    checksum.update(name);
    checksum.update(data);
    let mut bytes = png[..at].to_vec();
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(data);
    bytes.extend(checksum.sum().to_be_bytes());
    bytes.extend_from_slice(&png[at..]);
    bytes
}

/// The smallest EXIF data that request a quarter turn.
fn exif() -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x01\0".to_vec();
    bytes.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let exif = [b"Exif\0\0".as_slice(), &exif()].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xFF\xE1", &length, &exif, &jpeg[2..]].concat()
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

const FIXTURES: &str = "progressive.jpg cmyk.jpg ycck.jpg restarts.jpg lossy.webp animated.webp \
                        animated.png orientation6.png orientation6.tiff orientation6.webp \
                        cmyk.tiff pages.tiff lossless.jp2 tiles.j2k grey.jp2 lossy.j2k \
                        lossless.jxl lossy.jxl grey.jxl wide.jxl alpha.jxl planar-tiles.tiff \
                        planar-strips.tiff big.tiff lzw.tiff lzw16.tiff ycbcr-jpeg.tiff \
                        palette.tiff";

/// Every format that the `image` crate can write.
fn images() -> Vec<(String, Vec<u8>)> {
    let rgba = colour();
    let layouts = [
        ("grey", DynamicImage::ImageLuma8(rgba.to_luma8())),
        ("grey-alpha", DynamicImage::ImageLumaA8(rgba.to_luma_alpha8())),
        ("rgb", DynamicImage::ImageRgb8(rgba.to_rgb8())),
        ("rgba", rgba.clone()),
        ("grey-16", DynamicImage::ImageLuma16(rgba.to_luma16())),
        ("rgb-16", DynamicImage::ImageRgb16(rgba.to_rgb16())),
        ("rgba-16", DynamicImage::ImageRgba16(rgba.to_rgba16())),
    ];
    let mut found = Vec::new();
    for (name, image) in &layouts {
        found.push((format!("{name}.png"), encoded(image, ImageFormat::Png)));
        if *name != "grey-alpha" {
            found.push((format!("{name}.tiff"), encoded(image, ImageFormat::Tiff)));
        }
        if !name.ends_with("16") {
            found.push((format!("{name}.bmp"), encoded(image, ImageFormat::Bmp)));
        }
        if name.starts_with("rgb") && !name.ends_with("16") {
            found.push((format!("{name}.qoi"), encoded(image, ImageFormat::Qoi)));
            found.push((format!("{name}.webp"), encoded(image, ImageFormat::WebP)));
        }
        if matches!(*name, "grey" | "rgb") {
            let jpeg = encoded(image, ImageFormat::Jpeg);
            found.push((format!("turned-{name}.jpg"), with_exif(&jpeg)));
            found.push((format!("{name}.jpg"), jpeg));
        }
    }
    let mut coarse = Vec::new();
    let rgb = rgba.to_rgb8();
    JpegEncoder::new_with_quality(&mut coarse, 20)
        .encode(&rgb, WIDTH, HEIGHT, ExtendedColorType::Rgb8)
        .unwrap();
    found.push(("coarse.jpg".to_owned(), coarse));
    let png = encoded(&DynamicImage::ImageRgb8(rgb), ImageFormat::Png);
    found.push(("turned.png".to_owned(), with_chunk(&png, b"eXIf", &exif())));
    let last_chunk = png.len() - 12;
    let turned_late = with_chunk_at(last_chunk, &png, b"eXIf", &exif());
    found.push(("turned-late.png".to_owned(), turned_late));
    for letter in [5, 6] {
        let mut netpbm = format!("P{letter} {WIDTH} {HEIGHT} 255\n").into_bytes();
        netpbm.resize(netpbm.len() + (WIDTH * HEIGHT * (2 * letter - 9)) as usize, 7);
        found.push((format!("netpbm-{letter}"), netpbm));
    }
    found.push(("whole.gif".to_owned(), gif(rgba.to_rgba8(), 0)));
    // A first frame that starts to the right of the image's left edge.
    let mut beside = gif(rgba.to_rgba8(), 1);
    beside[6..8].copy_from_slice(&(WIDTH as u16 + 1).to_le_bytes());
    found.push(("beside.gif".to_owned(), beside));
    found
}

fn measure(name: &str, bytes: &[u8]) -> (usize, usize) {
    let limits = DecodeLimits::default();
    let needed = usize::try_from(memory_needed(bytes, &limits).unwrap()).unwrap();
    let used = peak(needed, || {
        decode(bytes, &limits).unwrap_or_else(|failure| panic!("{name}: {failure}"));
    });
    println!("{name:<16} needed {needed:>9} used {used:>9} {:.2}", needed as f64 / used as f64);
    (needed, used)
}

/// A single test: the allocator counts for the whole process.
#[test]
fn peak_memory_stays_within_memory_needed() {
    for (name, bytes) in images() {
        let (needed, used) = measure(&name, &bytes);
        assert!(used <= needed, "{name}: {used} bytes used, and {needed} were said");
        // In larger images, tables and rows matter less.
        assert!(needed <= 2 * used + (3 << 20), "{name}: {needed} bytes said, and {used} used");
    }
    // Small fixtures of formats that this test cannot write.
    for name in FIXTURES.split_whitespace() {
        let (needed, used) = measure(name, &fixture(name));
        assert!(used <= needed, "{name}: {used} bytes used, and {needed} were said");
    }
    if cfg!(feature = "heic") {
        for name in ["lossy.heic", "alpha.heic", "rotated.heic"] {
            let (needed, used) = measure(name, &fixture(name));
            assert!(used <= needed, "{name}: {used} bytes used, and {needed} were said");
        }
        if let Some(path) = attn_fiqa_testing::shared("cases/heic-passed-over/IMG_0001.HEIC") {
            let (needed, used) = measure("a photo", &std::fs::read(path).unwrap());
            assert!(used <= needed && needed <= 2 * used + (3 << 20), "{used} used, {needed} said");
        }
    }
    small_code_blocks_are_counted_in_both_headers();
    icc_bomb_is_not_decompressed();
    memory_needed_rejects_oversized_and_invalid_files();
    changed_headers_never_panic();
}

/// JPEG 2000 with precincts of two samples, which limit the size of its code-blocks.
fn small_code_blocks_are_counted_in_both_headers() {
    const SIDE: u32 = 256;
    const STYLE: &[u8] = b"\xFF\x52";
    const TILE_PART: &[u8] = b"\xFF\x90";
    let mut plain = fixture("lossless.j2k");
    for at in [8, 12, 24, 28] {
        plain[at..at + 4].copy_from_slice(&SIDE.to_be_bytes());
    }
    let place = |wanted: &[u8]| plain.windows(2).position(|two| two == wanted).unwrap();
    let (style, tile_part) = (place(STYLE), place(TILE_PART));
    let mut small = plain[style..style + 14].to_vec();
    small[3] += 2;
    small[4] |= 1;
    small.extend([0x11; 2]);
    let in_main_header = [&plain[..style], &small, &plain[style + 14..]].concat();
    let body = tile_part + 12;
    let mut in_tile_part = [&plain[..body], &small, &plain[body..]].concat();
    let length = &mut in_tile_part[tile_part + 6..tile_part + 10];
    let longer = u32::from_be_bytes(length.try_into().unwrap()) + small.len() as u32;
    length.copy_from_slice(&longer.to_be_bytes());

    let limits = DecodeLimits::default();
    let usual = memory_needed(&plain, &limits).unwrap();
    for (name, bytes) in [("main header", in_main_header), ("tile-part", in_tile_part)] {
        let needed = memory_needed(&bytes, &limits).unwrap();
        let used = peak(needed as usize, || drop(decode(&bytes, &limits)));
        println!("{name:<16} needed {needed:>9} used {used:>9}");
        assert!(used as u64 <= needed, "{name}: {used} bytes used, and {needed} were said");
        assert!(needed > 20 * usual, "{name}: {needed}, and {usual} with usual code-blocks");
    }
}

fn changed_headers_never_panic() {
    let limits = DecodeLimits::default();
    for name in FIXTURES.split_whitespace() {
        let mut bytes = fixture(name);
        for at in 0..bytes.len().min(400) {
            // Any result is fine, as long as nothing panics.
            let _ = memory_needed(&bytes[..at], &limits);
            for value in [0, 1, 0x7F, 0xFF] {
                let own = std::mem::replace(&mut bytes[at], value);
                let _ = memory_needed(&bytes, &limits);
                bytes[at] = own;
            }
        }
    }
}

/// A profile that unpacks to 64 MiB.
fn icc_bomb_is_not_decompressed() {
    let mut packed = b"k\0\0".to_vec();
    let mut encoder = ZlibEncoder::new(&mut packed, Compression::best());
    encoder.write_all(&vec![b'x'; 64 << 20]).unwrap();
    encoder.finish().unwrap();
    let png = encoded(&DynamicImage::ImageRgb8(image::RgbImage::new(9, 9)), ImageFormat::Png);
    // A second profile would be decompressed if only the first were removed.
    let bomb = with_chunk(&with_chunk(&png, b"iCCP", &packed), b"iCCP", &packed);
    let limits = DecodeLimits::default();
    let needed = memory_needed(&bomb, &limits).unwrap() as usize;
    let mut notes = Vec::new();
    let used = peak(needed, || notes = decode(&bomb, &limits).unwrap().notes);
    assert!(used <= needed && needed < 4 << 20, "{used} bytes used, {needed} said");
    assert_eq!(notes, [Note::IccIgnored]);
}

fn memory_needed_rejects_oversized_and_invalid_files() {
    let limits = DecodeLimits { max_pixels: 99, max_bytes: 1 << 20 };
    let refused = |bytes: &[u8]| memory_needed(bytes, &limits).unwrap_err().status;
    let image = DynamicImage::ImageRgb8(image::RgbImage::new(10, 10));
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ] {
        assert_eq!(refused(&encoded(&image, format)), Status::TooLarge, "{format:?}");
    }
    assert_eq!(refused(b""), Status::BrokenImage);
    assert_eq!(refused(b"no image"), Status::NotAnImage);
    assert_eq!(refused(&vec![0; 2 << 20]), Status::TooLarge);
}
