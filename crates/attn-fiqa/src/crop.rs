//! The network's input: a square RGB picture of exactly the right size.

/// An aligned face: `[row, column, channel]`, RGB, 8 bits, side × side pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crop {
    side: usize,
    rgb: Vec<u8>,
}

impl Crop {
    /// Wraps pixels laid out `[row, column, channel]` in the order red, green, blue.
    ///
    /// Returns `None` unless there are exactly `side · side · 3` bytes.
    pub fn from_rgb(side: usize, rgb: Vec<u8>) -> Option<Self> {
        let expected = side.checked_mul(side)?.checked_mul(3)?;
        (rgb.len() == expected).then_some(Self { side, rgb })
    }

    /// Side in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The pixels, `[row, column, channel]`, RGB.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}
