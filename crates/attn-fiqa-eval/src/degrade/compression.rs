//! JPEG compression, by the `image` crate's baseline encoder (4:4:4) and decoder.

use attn_fiqa::crop::Crop;
use attn_fiqa::decode::{DecodeLimits, decode};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// Encodes at `quality` 1 … 100, as defined by libjpeg, and decodes again.
pub(super) fn jpeg(crop: &Crop, quality: u8) -> Crop {
    let side = crop.side();
    let mut bytes = Vec::new();
    let pixels = u32::try_from(side).expect("a crop has a few hundred pixels: this is a bug");
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(crop.rgb(), pixels, pixels, ExtendedColorType::Rgb8)
        .expect("a crop can be written as JPEG: this is a bug");
    let decoded = decode(&bytes, &DecodeLimits::default());
    let image = decoded.expect("a JPEG of ours can be read: this is a bug").image;
    Crop::from_rgb(side, image.into_rgb()).expect("JPEG keeps the size: this is a bug")
}
