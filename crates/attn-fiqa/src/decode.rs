//! Bytes to RGB pixels, with limits before anything is decoded.
//!
//! The `image` crate does the decoding. This module stands around it: it tells
//! the format by content, reads the declared size and checks it against the
//! limits, refuses what would come out with wrong colours or with part of the
//! picture made up, and notes what was ignored on the way.

mod animation;
mod container;
mod entropy;
mod gif;
mod huffman;
mod jpeg;
mod memory;
mod note;
mod orientation;
mod other_jpeg;
mod pixels;
mod standard_tables;
mod tiff;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{bmp, jpeg as jpeg_codec, png, tiff as tiff_codec, webp};
use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, Limits};

use crate::picture::Picture;
use crate::status::{Failure, Status};

pub(crate) use animation::{each_frame, is_animation};
pub use note::Note;

/// What a picture may cost before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The most bytes of an encoded picture.
    pub max_bytes: u64,
    /// The most pixels, width · height, that a file may declare.
    pub max_pixels: u64,
}

impl DecodeLimits {
    /// 256 MiB: more than any photograph, less than any machine.
    pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;
    /// 100 megapixels: the largest common camera sensor.
    pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

    /// The memory that a decoder may take: two copies of the picture at the
    /// widest sample layout, RGBA of 16 bits.
    fn max_alloc(&self) -> u64 {
        const BYTES_PER_PIXEL: u64 = 2 * 4 * 2;
        self.max_pixels.saturating_mul(BYTES_PER_PIXEL)
    }

    /// Refuses a declared size above the limit.
    pub(crate) fn check_pixels(&self, width: u64, height: u64) -> Result<(), Failure> {
        if width == 0 || height == 0 {
            return Err(broken(format!(
                "the picture has no pixels: its file declares {width}×{height}"
            )));
        }
        let pixels = width.saturating_mul(height);
        if pixels > self.max_pixels {
            return Err(Failure::new(
                Status::TooLarge,
                format!(
                    "the picture is {width}×{height} = {pixels} pixels and the limit is {}: \
                     make it smaller or raise the limit on pixels",
                    self.max_pixels
                ),
            ));
        }
        Ok(())
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_bytes: Self::DEFAULT_MAX_BYTES, max_pixels: Self::DEFAULT_MAX_PIXELS }
    }
}

/// A decoded picture and what was ignored or changed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The pixels, upright and in the order red, green, blue.
    pub picture: Picture,
    /// In the order in which things were done.
    pub notes: Vec<Note>,
}

/// Decodes a JPEG, PNG, WebP, GIF, BMP or TIFF picture, told apart by content.
///
/// Grey becomes three equal channels; alpha is dropped, as by OpenCV's `imread`;
/// of 16-bit samples the upper 8 bits are kept, as OpenCV does for PNG; the EXIF
/// orientation is applied; a colour profile is ignored; of an animation or a
/// document the first picture is taken. Each of these but the first leaves a
/// [`Note`].
///
/// # Examples
///
/// ```
/// use attn_fiqa::decode::{DecodeLimits, Note, decode};
///
/// # let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/astronaut.png");
/// let decoded = decode(&std::fs::read(photo)?, &DecodeLimits::default())?;
/// assert_eq!((decoded.picture.width(), decoded.picture.height()), (512, 512));
/// assert_eq!(decoded.notes, [Note::IccIgnored]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Status::TooLarge`] before anything is decoded, [`Status::NotAnImage`] for
/// bytes of no known picture format, [`Status::BrokenImage`] for damaged or cut
/// data even where a decoder would fill the rest with grey, and
/// [`Status::UnsupportedImage`] for valid pictures that cannot be decoded to
/// the right colours.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let format = admit(bytes, limits)?;
    // The decoders are other people's code, fed with bytes from anywhere. A
    // panic in one of them is a fault of that file and must cost that file's
    // row only. Nothing is shared with the closure that a panic could leave
    // half-changed.
    catch_unwind(AssertUnwindSafe(|| {
        memory::check_available(memory::needed(format, bytes, limits)?)?;
        decode_as(format, bytes, limits)
    }))
    .unwrap_or_else(|_| Err(broken("the decoder gave up on this file: its data are damaged")))
}

/// The most bytes of memory that [`decode`] takes at once for this file: the decoder's
/// buffers, the picture and copies of parts of the file, but not `bytes` itself. For
/// budgets of memory.
///
/// It is read from the file's header, which is cheap, and errs upwards: up to about twice
/// what is used. It is exact about nothing that a header does not say; so a lossless WebP
/// may hold so many tables of codes that they outweigh its pixels.
///
/// # Errors
///
/// Where [`decode`] would fail by the header alone, as it would.
///
/// # Examples
///
/// ```
/// use attn_fiqa::decode::{DecodeLimits, memory_needed};
///
/// // The header of a GIF of 4000×3000 pixels.
/// let header = *b"GIF89a\xA0\x0F\xB8\x0B\0\0\0";
/// let needed = memory_needed(&header, &DecodeLimits::default())?;
/// assert!(needed > 4000 * 3000 * 4);
/// # Ok::<(), attn_fiqa::status::Failure>(())
/// ```
pub fn memory_needed(bytes: &[u8], limits: &DecodeLimits) -> Result<u64, Failure> {
    memory::needed(admit(bytes, limits)?, bytes, limits)
}

/// The format of a file that is not too long.
fn admit(bytes: &[u8], limits: &DecodeLimits) -> Result<ImageFormat, Failure> {
    if bytes.is_empty() {
        return Err(broken("the file is empty"));
    }
    let length = bytes.len() as u64;
    if length > limits.max_bytes {
        return Err(too_many_bytes(length, limits.max_bytes));
    }
    recognise(bytes)
}

/// The failure for more encoded bytes than the limit.
pub(crate) fn too_many_bytes(length: u64, limit: u64) -> Failure {
    Failure::new(
        Status::TooLarge,
        format!("the file holds {length} bytes and the limit is {limit}"),
    )
}

fn broken(message: impl Into<String>) -> Failure {
    Failure::new(Status::BrokenImage, message)
}

fn unsupported(message: impl Into<String>) -> Failure {
    Failure::new(Status::UnsupportedImage, message)
}

const READABLE: &str = "JPEG, PNG, WebP, GIF, BMP and TIFF are read";

fn recognise(bytes: &[u8]) -> Result<ImageFormat, Failure> {
    match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Jpeg
            | ImageFormat::Png
            | ImageFormat::WebP
            | ImageFormat::Gif
            | ImageFormat::Bmp
            | ImageFormat::Tiff),
        ) => Ok(format),
        // Two letters that many a text begins with, too: not taken for a picture.
        Ok(ImageFormat::Pnm) | Err(_) => Err(Failure::new(
            Status::NotAnImage,
            format!("the file is not a picture in a known format: {READABLE}"),
        )),
        Ok(other) => Err(unsupported(format!(
            "the picture is in {other:?} format: {READABLE}; convert it to one of them"
        ))),
    }
}

fn decode_as(format: ImageFormat, bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let mut notes = Vec::new();
    match format {
        ImageFormat::Jpeg => {
            // Sizes and colours are checked here, on the file's own markers.
            let facts = jpeg::inspect(bytes, limits)?;
            if facts.no_end_marker {
                notes.push(Note::NoEndMarker);
            }
            if matches!(facts.colours, jpeg::Colours::Cmyk | jpeg::Colours::Ycck) {
                notes.push(Note::CmykConverted);
            }
            if !facts.ordinary {
                return other_jpeg::decode(&facts, limits, notes);
            }
            let decoder = jpeg_codec::JpegDecoder::new(Cursor::new(&*facts.complete));
            finish_turned(decoder.map_err(failure)?, limits, Some(facts.orientation), notes)
        }
        ImageFormat::Png => {
            let (width, height) = container::png_size(bytes)?;
            limits.check_pixels(width, height)?;
            let without_profile = container::png_without_profile(bytes);
            let bytes = without_profile.as_deref().unwrap_or(bytes);
            let decoder = png::PngDecoder::with_limits(Cursor::new(bytes), codec_limits(limits))
                .map_err(failure)?;
            if decoder.is_apng().map_err(failure)? {
                notes.push(Note::FirstFrame);
            }
            if without_profile.is_some() {
                notes.push(Note::IccIgnored);
            }
            finish(decoder, limits, notes)
        }
        ImageFormat::WebP => {
            container::check_webp(bytes)?;
            let decoder = webp::WebPDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            if decoder.has_animation() {
                notes.push(Note::FirstFrame);
            }
            finish(decoder, limits, notes)
        }
        ImageFormat::Gif => gif::decode(bytes, limits),
        ImageFormat::Bmp => {
            if let Some((width, height)) = container::bmp_size(bytes) {
                limits.check_pixels(width, height)?;
            }
            let decoder = bmp::BmpDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            finish(decoder, limits, notes)
        }
        ImageFormat::Tiff => {
            if tiff::has_second_page(bytes) {
                notes.push(Note::FirstPage);
            }
            let decoder = tiff_codec::TiffDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            finish(decoder, limits, notes)
        }
        other => Err(unsupported(format!("the picture is in {other:?} format: {READABLE}"))),
    }
}

fn codec_limits(limits: &DecodeLimits) -> Limits {
    let mut codec = Limits::no_limits();
    codec.max_alloc = Some(limits.max_alloc());
    codec
}

/// Checks the declared size, decodes, and brings the pixels to upright RGB.
fn finish(
    decoder: impl ImageDecoder,
    limits: &DecodeLimits,
    notes: Vec<Note>,
) -> Result<Decoded, Failure> {
    finish_turned(decoder, limits, None, notes)
}

/// The same with an orientation that is known already.
fn finish_turned(
    mut decoder: impl ImageDecoder,
    limits: &DecodeLimits,
    orientation: Option<Orientation>,
    mut notes: Vec<Note>,
) -> Result<Decoded, Failure> {
    let (width, height) = decoder.dimensions();
    limits.check_pixels(u64::from(width), u64::from(height))?;
    decoder.set_limits(codec_limits(limits)).map_err(failure)?;
    // Metadata that cannot be read is no reason to lose the picture.
    let has_profile = matches!(decoder.icc_profile(), Ok(Some(profile)) if !profile.is_empty());
    let orientation =
        orientation.unwrap_or_else(|| decoder.orientation().unwrap_or(Orientation::NoTransforms));
    let layout = decoder.color_type();
    pixels::check_layout(layout, decoder.original_color_type(), &mut notes)?;

    let length = decoder.total_bytes();
    let length = usize::try_from(length)
        .ok()
        .filter(|_| length <= limits.max_alloc())
        .ok_or_else(|| too_many_bytes(length, limits.max_alloc()))?;
    let mut samples = memory::zeros(length)?;
    decoder.read_image(&mut samples).map_err(failure)?;

    if has_profile {
        notes.push(Note::IccIgnored);
    }
    let picture = pixels::to_rgb(samples, layout, (width, height), &mut notes)?;
    let picture = pixels::turn(picture, orientation, &mut notes)?;
    Ok(Decoded { picture, notes })
}

fn failure(error: ImageError) -> Failure {
    match error {
        ImageError::Limits(limit) => match limit.kind() {
            LimitErrorKind::Unsupported { .. } => unsupported(limit.to_string()),
            _ => Failure::new(
                Status::TooLarge,
                "the picture needs more memory to decode than the limit on pixels allows",
            ),
        },
        ImageError::Unsupported(error) => unsupported(format!(
            "the decoder does not handle this kind of picture ({error}): \
             convert it to 8-bit RGB"
        )),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            broken("the file ends before the picture is complete: copy or download it again")
        }
        error => broken(format!("the picture's data are damaged: {error}")),
    }
}
