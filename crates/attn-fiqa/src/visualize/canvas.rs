//! A white page on which rectangles, images and letters are drawn.

/// RGB pixels, `[row, column, channel]`, initially white. Anything outside is not drawn.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// A position on a canvas: pixels from the left and from the top.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) x: usize,
    pub(super) y: usize,
}

impl Canvas {
    /// A white page. The caller has checked its size against the limit.
    pub(super) fn white(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![255; width * height * 3] }
    }

    pub(super) fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    fn pixel(&mut self, x: usize, y: usize) -> Option<&mut [u8]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        self.rgb.get_mut((y * self.width + x) * 3..)?.get_mut(..3)
    }

    /// Blends ink of a colour over a pixel: `coverage` 0 leaves it unchanged, 255 replaces it.
    pub(super) fn ink(&mut self, at: At, color: [u8; 3], coverage: u8) {
        if let Some(pixel) = self.pixel(at.x, at.y) {
            let coverage = u16::from(coverage);
            for (below, above) in pixel.iter_mut().zip(color) {
                let mixed = u16::from(*below) * (255 - coverage) + u16::from(above) * coverage;
                // At most 255 · 255 / 255, even after rounding.
                *below = ((mixed + 127) / 255) as u8;
            }
        }
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, at: At, width: usize, height: usize, color: [u8; 3]) {
        for y in at.y..at.y + height {
            for x in at.x..at.x + width {
                self.ink(At { x, y }, color, 255);
            }
        }
    }

    /// Draws an image of RGB pixels, `width` per row.
    pub(super) fn image(&mut self, at: At, rgb: &[u8], width: usize) {
        for (row, pixels) in rgb.chunks_exact(width * 3).enumerate() {
            let y = at.y + row;
            if y >= self.height || at.x >= self.width {
                return;
            }
            let shown = pixels.len().min((self.width - at.x) * 3);
            let start = (y * self.width + at.x) * 3;
            self.rgb[start..start + shown].copy_from_slice(&pixels[..shown]);
        }
    }
}
