//! Decodes images to RGB pixels, and checks limits before anything is decoded.
//!
//! The `image` crate and others do the decoding. This module detects the format from the content,
//! checks the declared size against the limits, refuses images that would decode to wrong colours
//! or to partly invented pixels, and notes what was ignored.

#[cfg(feature = "video")]
mod animation;
mod container;
mod entropy;
mod face_record;
mod format;
mod gif;
#[cfg(feature = "heic")]
mod heic;
mod huffman;
mod jpeg;
mod jpeg2000;
mod jpeg_xl;
mod memory;
mod note;
mod orientation;
mod other_jpeg;
mod pixels;
mod pnm;
mod standard_tables;
mod tiff;

use std::io::Cursor;

use image::codecs::{bmp, jpeg as jpeg_codec, png, qoi, tiff as tiff_codec, webp};
use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{ImageDecoder, Limits};

use crate::panics::catching;
use crate::pixels::Image;
use crate::status::{Failure, Status};

#[cfg(feature = "video")]
pub(crate) use animation::{each_frame, is_animation};
pub use format::VIDEO_NOT_IMAGE;
#[cfg(feature = "source")]
pub(crate) use format::{HEAD, starts_as_image};
pub use note::Note;

use format::{Format, Kind};

/// Limits on one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Maximum size of an encoded image, in bytes.
    pub max_bytes: u64,
    /// Maximum number of pixels, width · height, that a file may declare.
    pub max_pixels: u64,
}

impl DecodeLimits {
    /// 256 MiB: larger than any photograph, smaller than the memory of any machine.
    pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;
    /// 100 megapixels: the largest common camera sensor.
    pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

    /// Memory that a decoder may use: two copies of the image at the widest sample layout, 16-bit
    /// RGBA.
    fn max_alloc(&self) -> u64 {
        const BYTES_PER_PIXEL: u64 = 2 * 4 * 2;
        self.max_pixels.saturating_mul(BYTES_PER_PIXEL)
    }

    /// Refuses a declared size above the limits.
    pub(crate) fn check_pixels(&self, width: u64, height: u64) -> Result<(), Failure> {
        if width == 0 || height == 0 {
            return Err(broken(format!(
                "the image has no pixels: its file declares {width}×{height}"
            )));
        }
        let pixels = width.saturating_mul(height);
        if pixels > self.max_pixels {
            return Err(Failure::new(
                Status::TooLarge,
                format!(
                    "the image is {width}×{height} = {pixels} pixels and the limit is {}: \
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

/// A decoded image and notes on what was ignored or changed while decoding it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded {
    /// The pixels, upright, as RGB.
    pub image: Image,
    /// In the order in which they occurred.
    pub notes: Vec<Note>,
}

/// Decodes a JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000, JPEG XL, PPM, PGM or QOI image, or the one
/// in a face image record of ISO/IEC 19794-5; with the crate's feature `heic` also HEIC. The format
/// is detected from the content.
///
/// Grey becomes three equal channels; alpha is dropped, as OpenCV's `imread` does; 16-bit samples
/// are reduced to their upper 8 bits, as OpenCV does for PNG; the EXIF orientation is applied; a
/// colour profile is ignored; of an animation or a multi-page document, only the first image is
/// decoded. Each of these except the first adds a [`Note`].
///
/// # Examples
///
/// ```
/// use attn_fiqa::decode::{DecodeLimits, Note, decode};
///
/// # let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/astronaut.png");
/// let decoded = decode(&std::fs::read(photo)?, &DecodeLimits::default())?;
/// assert_eq!((decoded.image.width(), decoded.image.height()), (512, 512));
/// assert_eq!(decoded.notes, [Note::IccIgnored]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Status::TooLarge`] before anything is decoded, [`Status::NotAnImage`] for bytes in no known
/// image format, [`Status::BrokenImage`] for damaged or truncated data even where a decoder would
/// fill the missing part with grey, and [`Status::UnsupportedImage`] for valid images that cannot
/// be decoded to the right colours.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let Admitted { format, bytes, mut notes } = admit(bytes, limits)?;
    // The decoders are third-party code and the bytes are untrusted. A panic in one of them is the
    // fault of that file and must affect only that file's row. The closure shares no state that a
    // panic could leave half-changed.
    let decoded = catching(|| {
        memory::check_available(memory::needed(format, bytes, limits)?)?;
        decode_as(format, bytes, limits)
    })
    .unwrap_or_else(|_| Err(broken("the decoder failed on this file: its data are damaged")))?;
    notes.extend(decoded.notes);
    Ok(Decoded { image: decoded.image, notes })
}

/// Upper estimate of the peak memory, in bytes, that [`decode`] needs for this file: the decoder's
/// buffers, the image and copies of parts of the file, excluding `bytes` itself. Meant for memory
/// budgets.
///
/// It is computed from the file's header, which is cheap, and may be about twice what is actually
/// used. Anything the header does not declare is not counted: a lossless WebP may hold more bytes
/// of code tables than of pixels.
///
/// # Errors
///
/// The same as [`decode`], for everything that the header alone reveals.
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
    let Admitted { format, bytes, .. } = admit(bytes, limits)?;
    memory::needed(format, bytes, limits)
}

/// An image that passed the header checks and may be decoded.
struct Admitted<'a> {
    format: Format,
    /// The file, or the part of it that is the image.
    bytes: &'a [u8],
    notes: Vec<Note>,
}

/// Detects the format of a file that is within the size limit.
fn admit<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Admitted<'a>, Failure> {
    if bytes.is_empty() {
        return Err(broken("the file is empty"));
    }
    let length = bytes.len() as u64;
    if length > limits.max_bytes {
        return Err(too_many_bytes(length, limits.max_bytes));
    }
    match format::kind(bytes) {
        Some(Kind::Image(format)) => Ok(Admitted { format, bytes, notes: Vec::new() }),
        Some(Kind::FaceRecord) => {
            let (image, faces) = face_record::image(bytes)?;
            let notes = if faces > 1 { vec![Note::FirstOfRecord] } else { Vec::new() };
            match format::kind(image) {
                Some(Kind::Image(format @ (Format::Jpeg | Format::Jpeg2000))) => {
                    Ok(Admitted { format, bytes: image, notes })
                }
                _ => Err(broken("the face image record holds neither JPEG nor JPEG 2000")),
            }
        }
        other => Err(format::refusal(other)),
    }
}

/// The failure for an encoded image above the size limit.
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

/// The failure for truncated data.
fn truncated() -> Failure {
    broken("the file ends before the image is complete: copy or download it again")
}

fn damaged() -> Failure {
    broken("the image's data are damaged: copy or download it again")
}

/// The failure for a variant of a format that its decoder does not support.
fn not_handled() -> Failure {
    unsupported(
        "the image is stored in a rare way that is not supported: convert it to PNG or to 8-bit \
         RGB",
    )
}

fn decode_as(format: Format, bytes: &[u8], limits: &DecodeLimits) -> Result<Decoded, Failure> {
    let mut notes = Vec::new();
    match format {
        Format::Jpeg => {
            let (facts, samples) = inspect_jpeg(bytes, limits);
            let facts = facts?;
            if facts.no_end_marker {
                notes.push(Note::NoEndMarker);
            }
            if facts.scans_missing {
                notes.push(Note::ScansMissing);
            }
            if matches!(facts.colours, jpeg::Colours::Cmyk | jpeg::Colours::Ycck) {
                notes.push(Note::CmykConverted);
            }
            if !facts.ordinary {
                // More than the memory that was admitted.
                drop(samples);
                return other_jpeg::decode(&facts, limits, notes);
            }
            let decoder = jpeg_codec::JpegDecoder::new(Cursor::new(&*facts.complete));
            finish_into(samples, decoder.map_err(failure)?, limits, Some(facts.orientation), notes)
        }
        Format::Png => {
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
            // The decoder knows only EXIF data before the pixels.
            let orientation = container::png_exif(bytes)
                .and_then(Orientation::from_exif_chunk)
                .unwrap_or(Orientation::NoTransforms);
            finish_into(None, decoder, limits, Some(orientation), notes)
        }
        Format::WebP => {
            container::check_webp(bytes)?;
            let decoder = webp::WebPDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            if decoder.has_animation() {
                notes.push(Note::FirstFrame);
            }
            finish(decoder, limits, notes)
        }
        Format::Gif => gif::decode(bytes, limits),
        Format::Bmp => {
            if let Some((width, height)) = container::bmp_size(bytes) {
                limits.check_pixels(width, height)?;
            }
            let of_today = container::bmp_with_header_of_windows(bytes);
            let bytes = of_today.as_deref().unwrap_or(bytes);
            let decoder = bmp::BmpDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            finish(decoder, limits, notes)
        }
        Format::Tiff => {
            if let Some(decoded) = tiff::decode(bytes, limits) {
                let mut decoded = decoded?;
                if tiff::has_second_page(bytes) {
                    decoded.notes.insert(0, Note::FirstPage);
                }
                return Ok(decoded);
            }
            if tiff::has_second_page(bytes) {
                notes.push(Note::FirstPage);
            }
            let decoder = tiff_codec::TiffDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            finish(decoder, limits, notes)
        }
        Format::Jpeg2000 => jpeg2000::decode(bytes, limits),
        Format::JpegXl => jpeg_xl::decode(bytes, limits),
        #[cfg(feature = "heic")]
        Format::Heic => heic::decode(bytes, limits),
        Format::Pnm => pnm::decode(bytes, limits),
        Format::Qoi => {
            let (width, height) = container::qoi_size(bytes)?;
            limits.check_pixels(width, height)?;
            let decoder = qoi::QoiDecoder::new(Cursor::new(bytes)).map_err(failure)?;
            finish(decoder, limits, notes)
        }
    }
}

/// Checks size, colours and data by the JPEG's own markers. In a thread pool, the samples of a
/// large image are allocated at the same time.
fn inspect_jpeg<'a>(
    bytes: &'a [u8],
    limits: &'a DecodeLimits,
) -> (Result<jpeg::JpegFacts<'a>, Failure>, Option<Vec<u8>>) {
    /// 1.4 megapixels.
    const LARGE: usize = 4 << 20;
    let large = jpeg::ordinary_samples(bytes, limits).filter(|&length| length >= LARGE);
    match large {
        Some(length) if rayon::current_thread_index().is_some() => rayon::join(
            || jpeg::inspect(bytes, limits),
            // If they do not fit, decoding reports it.
            || memory::written_zeros(length).ok(),
        ),
        _ => (jpeg::inspect(bytes, limits), None),
    }
}

fn codec_limits(limits: &DecodeLimits) -> Limits {
    let mut codec = Limits::no_limits();
    codec.max_alloc = Some(limits.max_alloc());
    codec
}

/// Checks the declared size, decodes, and converts the pixels to upright RGB.
fn finish(
    decoder: impl ImageDecoder,
    limits: &DecodeLimits,
    notes: Vec<Note>,
) -> Result<Decoded, Failure> {
    finish_into(None, decoder, limits, None, notes)
}

/// As `finish`, with zeroed samples if they are already allocated, and the orientation if it is
/// known.
fn finish_into(
    samples: Option<Vec<u8>>,
    mut decoder: impl ImageDecoder,
    limits: &DecodeLimits,
    orientation: Option<Orientation>,
    mut notes: Vec<Note>,
) -> Result<Decoded, Failure> {
    let (width, height) = decoder.dimensions();
    limits.check_pixels(u64::from(width), u64::from(height))?;
    decoder.set_limits(codec_limits(limits)).map_err(failure)?;
    // Unreadable metadata is no reason to lose the image.
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
    let mut samples = match samples.filter(|samples| samples.len() == length) {
        Some(samples) => samples,
        None => memory::zeros(length)?,
    };
    decoder.read_image(&mut samples).map_err(failure)?;

    if has_profile {
        notes.push(Note::IccIgnored);
    }
    let image = pixels::to_rgb(samples, layout, (width, height), &mut notes)?;
    let image = pixels::turn(image, orientation, &mut notes)?;
    Ok(Decoded { image, notes })
}

fn failure(error: ImageError) -> Failure {
    match error {
        ImageError::Limits(limit) => match limit.kind() {
            LimitErrorKind::Unsupported { .. } => not_handled(),
            _ => Failure::new(
                Status::TooLarge,
                "the image needs more memory to decode than the limit on pixels allows",
            ),
        },
        // The decoders' own messages are written for their authors.
        ImageError::Unsupported(_) => not_handled(),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            truncated()
        }
        _ => damaged(),
    }
}
