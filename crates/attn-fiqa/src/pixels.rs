//! A decoded image of any size, before it becomes a crop.

/// The order of the three colour channels of a pixel, in an array, a file or a network input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChannelOrder {
    /// Red, green, blue: every ordinary file, PIL and scikit-image.
    #[default]
    Rgb,
    /// Blue, green, red: OpenCV arrays, and files written by the extraction scripts of CR-FIQA.
    Bgr,
}

/// An RGB image: `[row, column, channel]`, 8 bits per channel, at least one pixel.
///
/// # Examples
///
/// ```
/// use attn_fiqa::pixels::{ChannelOrder, Image};
///
/// // One blue pixel as OpenCV holds it.
/// let image = Image::from_pixels(1, 1, vec![255, 0, 0], ChannelOrder::Bgr);
/// assert_eq!(image.ok_or("wrong size")?.rgb(), [0, 0, 255]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Image {
    /// Wraps pixels laid out `[row, column, channel]` in the order red, green, blue.
    ///
    /// Returns `None` unless both sides are positive and there are exactly
    /// `width · height · 3` bytes.
    pub fn from_rgb(width: usize, height: usize, rgb: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(3)?;
        (expected > 0 && rgb.len() == expected).then_some(Self { width, height, rgb })
    }

    /// Wraps pixels with their channels in `order`, laid out `[row, column, channel]`, 8 bits per
    /// channel. If blue comes first, red and blue are exchanged in place.
    ///
    /// Returns `None` unless both sides are positive and there are exactly
    /// `width · height · 3` bytes.
    pub fn from_pixels(
        width: usize,
        height: usize,
        pixels: Vec<u8>,
        order: ChannelOrder,
    ) -> Option<Self> {
        let image = Self::from_rgb(width, height, pixels)?;
        Some(match order {
            ChannelOrder::Rgb => image,
            ChannelOrder::Bgr => image.with_red_and_blue_exchanged(),
        })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, `[row, column, channel]`, RGB.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, by value.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// The same image with the first and the third channel exchanged.
    pub fn with_red_and_blue_exchanged(mut self) -> Self {
        for pixel in self.rgb.chunks_exact_mut(3) {
            pixel.swap(0, 2);
        }
        self
    }
}
