//! Images as PNG and JPEG files.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::VisualizeError;

/// Encodes 8-bit RGB pixels, `[row, column, channel]`, as a PNG file.
///
/// # Errors
/// [`VisualizeError::Size`] if a side is 0 or too large for PNG,
/// [`VisualizeError::PixelCount`] unless there are `width · height · 3` bytes,
/// [`VisualizeError::Png`] if the encoder fails.
pub fn encode_png(rgb: &[u8], width: usize, height: usize) -> Result<Vec<u8>, VisualizeError> {
    let found = rgb.len();
    let (Ok(png_width @ 1..), Ok(png_height @ 1..)) = (u32::try_from(width), u32::try_from(height))
    else {
        return Err(VisualizeError::Size { width, height });
    };
    let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
    if expected != Some(found) {
        return Err(VisualizeError::PixelCount { width, height, found });
    }
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(rgb, png_width, png_height, ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

/// Quality of [`encode_jpeg`]: high, since networks will read the written images again.
const JPEG_QUALITY: u8 = 95;

/// Encodes 8-bit RGB pixels, `[row, column, channel]`, as a JPEG file of quality 95.
///
/// # Errors
/// As [`encode_png`], with 65,535 pixels as the maximum side.
pub fn encode_jpeg(rgb: &[u8], width: usize, height: usize) -> Result<Vec<u8>, VisualizeError> {
    let (Ok(jpeg_width @ 1..), Ok(jpeg_height @ 1..)) =
        (u16::try_from(width), u16::try_from(height))
    else {
        return Err(VisualizeError::Size { width, height });
    };
    if width * height * 3 != rgb.len() {
        return Err(VisualizeError::PixelCount { width, height, found: rgb.len() });
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).write_image(
        rgb,
        u32::from(jpeg_width),
        u32::from(jpeg_height),
        ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let fails = |len, w, h| encode_png(&vec![0; len], w, h).unwrap_err();
        assert!(matches!(fails(0, 0, 4), VisualizeError::Size { .. }));
        assert!(matches!(fails(11, 2, 2), VisualizeError::PixelCount { found: 11, .. }));
        assert!(matches!(fails(12, usize::MAX, 2), VisualizeError::Size { .. }));
        assert!(matches!(
            fails(12, 4_000_000_000, 4_000_000_000),
            VisualizeError::PixelCount { .. }
        ));
    }

    proptest! {
        #[test]
        fn a_decoder_gives_the_same_pixels(
            (width, height, rgb) in (1usize..20, 1usize..20).prop_flat_map(|(w, h)| {
                (Just(w), Just(h), prop::collection::vec(any::<u8>(), w * h * 3))
            })
        ) {
            let png = encode_png(&rgb, width, height).unwrap();
            let decoded = image::load_from_memory(&png).unwrap();
            prop_assert_eq!((decoded.width() as usize, decoded.height() as usize), (width, height));
            prop_assert_eq!(decoded.to_rgb8().into_raw(), rgb);
        }
    }
}
