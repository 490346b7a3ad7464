//! Reads images from a stream of BMP files, as ffmpeg writes them.
//!
//! BMP is only the format of the pipe: each file declares its own size, so frames may vary in size.
//! The pixels are read directly into an [`Image`].

use std::io::{self, Read};

use crate::decode::DecodeLimits;
use crate::pixels::Image;
use crate::status::{Failure, Status};

/// Size of the file header and the oldest image header with a 32-bit size.
const HEADERS: usize = 14 + 40;

/// Maximum bytes between these headers and the pixels: longer image headers.
const MAX_GAP: u64 = 1 << 10;

fn broken(message: impl Into<String>) -> Failure {
    Failure::new(Status::BrokenImage, message)
}

fn not_bmp() -> Failure {
    broken("its output is not a 24-bit BMP image")
}

/// Reads the next image of the stream; `None` at its end.
///
/// # Errors
///
/// [`Status::TooLarge`] for an image above the limit on pixels or too large for memory,
/// [`Status::BrokenImage`] if the data are not a 24-bit BMP file or the stream ends inside it.
pub(super) fn read_next(
    stream: &mut impl Read,
    limits: &DecodeLimits,
) -> Result<Option<Image>, Failure> {
    let mut head = [0; HEADERS];
    let read = read_fully(stream, &mut head).map_err(|error| broken(error.to_string()))?;
    if read == 0 {
        return Ok(None);
    }
    let u32_at = |at| u32::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    let (pixels_at, bits, compression) = (u64::from(u32_at(10)), u32_at(28) & 0xFFFF, u32_at(30));
    if read < HEADERS || !head.starts_with(b"BM") || bits != 24 || compression != 0 {
        return Err(not_bmp());
    }
    // A negative height means that rows are stored top-down.
    let (width, height) = (u32_at(18), u32_at(22) as i32);
    limits.check_pixels(u64::from(width), u64::from(height.unsigned_abs()))?;
    let gap = pixels_at.checked_sub(HEADERS as u64).filter(|&gap| gap <= MAX_GAP);
    skip(stream, gap.ok_or_else(not_bmp)?)?;
    let mut rgb = read_rows(stream, width as usize, height.unsigned_abs() as usize, height > 0)?;
    for pixel in rgb.chunks_exact_mut(3) {
        pixel.swap(0, 2);
    }
    Image::from_rgb(width as usize, height.unsigned_abs() as usize, rgb)
        .ok_or_else(not_bmp)
        .map(Some)
}

/// Reads BGR rows, top-down, without their padding.
fn read_rows(
    stream: &mut impl Read,
    width: usize,
    height: usize,
    upside_down: bool,
) -> Result<Vec<u8>, Failure> {
    let row = width * 3;
    let padding = row.next_multiple_of(4) - row;
    let mut rows = Vec::new();
    rows.try_reserve_exact(row * height)
        .map_err(|_| Failure::new(Status::TooLarge, "a frame does not fit in memory"))?;
    rows.resize(row * height, 0);
    for place in 0..height {
        let at = row * if upside_down { height - 1 - place } else { place };
        let read = read_fully(stream, &mut rows[at..at + row]);
        if read.map_err(|error| broken(error.to_string()))? < row {
            return Err(truncated());
        }
        skip(stream, padding as u64)?;
    }
    Ok(rows)
}

fn truncated() -> Failure {
    broken("its output ended inside a frame")
}

fn skip(stream: &mut impl Read, count: u64) -> Result<(), Failure> {
    let skipped = io::copy(&mut stream.take(count), &mut io::sink());
    match skipped.map_err(|error| broken(error.to_string()))? {
        skipped if skipped == count => Ok(()),
        _ => Err(truncated()),
    }
}

/// Reads until the buffer is full or the stream ends.
fn read_fully(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, height: usize) -> Image {
        let rgb = (0..width * height * 3).map(|i| (i * 37 % 251) as u8).collect();
        Image::from_rgb(width, height, rgb).expect("an image")
    }

    fn encoded(image: &Image) -> Vec<u8> {
        let mut file = Vec::new();
        image::codecs::bmp::BmpEncoder::new(&mut file)
            .encode(
                image.rgb(),
                image.width() as u32,
                image.height() as u32,
                image::ExtendedColorType::Rgb8,
            )
            .expect("a file");
        file
    }

    fn limits(max_pixels: u64) -> DecodeLimits {
        DecodeLimits { max_pixels, ..DecodeLimits::default() }
    }

    #[test]
    fn concatenated_images_of_any_size_are_read() {
        let sizes = [(1, 1), (2, 3), (3, 2), (4, 4), (5, 1), (7, 9)];
        let images = sizes.map(|(width, height)| image(width, height));
        let stream: Vec<u8> = images.iter().flat_map(encoded).collect();
        let mut from = stream.as_slice();
        for image in images {
            assert_eq!(read_next(&mut from, &limits(100)), Ok(Some(image)));
        }
        assert_eq!(read_next(&mut from, &limits(100)), Ok(None));
    }

    #[test]
    fn top_down_image_is_not_flipped() {
        let upright = image(4, 3);
        let mut file = encoded(&upright);
        let headers = file.len() - upright.rgb().len();
        let rows: Vec<u8> = file[headers..].chunks(12).rev().flatten().copied().collect();
        file[headers..].copy_from_slice(&rows);
        file[22..26].copy_from_slice(&(-3_i32).to_le_bytes());
        assert_eq!(read_next(&mut file.as_slice(), &limits(100)), Ok(Some(upright)));
    }

    #[test]
    fn invalid_frames_are_rejected() {
        let file = encoded(&image(5, 5));
        let refused = |bytes: &[u8], max_pixels| {
            read_next(&mut &*bytes, &limits(max_pixels)).expect_err("no image").status
        };
        assert_eq!(refused(&file, 24), Status::TooLarge);
        for cut in 1..file.len() {
            assert_eq!(refused(&file[..cut], 25), Status::BrokenImage, "{cut} bytes");
        }
        assert_eq!(refused(&[b'x'; 500], 25), Status::BrokenImage);
        let with = |at: usize, value: u32| {
            let mut file = file.clone();
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
            file
        };
        assert_eq!(refused(&with(10, u32::MAX), 25), Status::BrokenImage);
        assert_eq!(refused(&with(10, 0), 25), Status::BrokenImage);
        assert_eq!(refused(&with(18, u32::MAX), 25), Status::TooLarge);
        assert_eq!(refused(&with(22, i32::MIN as u32), 25), Status::TooLarge);
        assert_eq!(refused(&with(30, 1), 25), Status::BrokenImage);
    }
}
