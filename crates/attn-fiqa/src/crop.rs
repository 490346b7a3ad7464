//! The network's input: a square RGB image of exactly the right size.

use std::borrow::Cow;

use crate::decode::Note;
use crate::pixels::{ChannelOrder, Image};
use crate::resize::resize_bilinear;
use crate::status::{Failure, Status};

/// An aligned face: `[row, column, channel]`, RGB, 8 bits, side × side pixels; and its landmarks,
/// if they are known.
///
/// # Examples
///
/// ```
/// use attn_fiqa::crop::Crop;
///
/// let grey = Crop::from_rgb(112, vec![128; 112 * 112 * 3]).ok_or("not 112×112 pixels")?;
/// assert_eq!(grey.side(), 112);
/// assert!(Crop::from_rgb(112, vec![128; 7]).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Crop {
    side: usize,
    rgb: Vec<u8>,
    landmarks: Option<[[f32; 2]; 5]>,
}

impl Crop {
    /// Wraps pixels laid out `[row, column, channel]` in the order red, green, blue.
    ///
    /// Returns `None` unless the side is positive and there are exactly `side · side · 3`
    /// bytes.
    pub fn from_rgb(side: usize, rgb: Vec<u8>) -> Option<Self> {
        let expected = side.checked_mul(side)?.checked_mul(3)?;
        (expected > 0 && rgb.len() == expected).then_some(Self { side, rgb, landmarks: None })
    }

    /// The same crop with its five landmarks, in the order of
    /// [`Landmarks`](crate::align::Landmarks): each `[x, y]` in pixels of the crop, where the
    /// centre of the top-left pixel is (0, 0). Those of a perfectly aligned face are
    /// [`TEMPLATE_112`](crate::align::TEMPLATE_112), scaled to the crop's side.
    ///
    /// Only networks with a landmark bias read them
    /// ([`VitConfig::landmark_bias`](crate::vit::config::VitConfig::landmark_bias)).
    /// [`align`](crate::align::align) sets them.
    #[must_use]
    pub fn with_landmarks(self, landmarks: [[f32; 2]; 5]) -> Self {
        Self { landmarks: Some(landmarks), ..self }
    }

    /// The landmarks in pixels of the crop, if known. Otherwise, networks that need landmarks use
    /// those of the template.
    pub fn landmarks(&self) -> Option<[[f32; 2]; 5]> {
        self.landmarks
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

/// How an image becomes a crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropOptions {
    /// The side of the network's input, in pixels.
    pub side: usize,
    /// What to do with an image of another size.
    pub fit: Fit,
    /// The channel order of the file.
    pub channels: ChannelOrder,
}

/// What to do with an image whose size is not the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// Refuse it. It is usually an unaligned photograph, and its score would be meaningless.
    #[default]
    Exact,
    /// Resize it bilinearly, and add a note.
    Resize,
}

/// Turns an image into network input, with notes on what was changed.
///
/// An image of another size is a [`Status::WrongSize`] failure under [`Fit::Exact`]; under
/// [`Fit::Resize`] it is resized as OpenCV does, each side independently, so that the aspect ratio
/// of an image that is not square changes.
pub fn crop_from_image(image: Image, options: &CropOptions) -> Result<(Crop, Vec<Note>), Failure> {
    crop_from(Cow::Owned(image), options)
}

/// Same, copying the pixels of a borrowed image only if its size is right.
pub(crate) fn crop_from(
    image: Cow<'_, Image>,
    options: &CropOptions,
) -> Result<(Crop, Vec<Note>), Failure> {
    let side = options.side;
    let from = (image.width(), image.height());
    let to = (side, side);
    let mut notes = Vec::new();
    let image = if from == to {
        image.into_owned()
    } else {
        match options.fit {
            Fit::Exact => return Err(wrong_size(from, side)),
            Fit::Resize => {
                notes.push(Note::Resized { from, to });
                resize_bilinear(&image, side, side).ok_or_else(|| wrong_size(from, side))?
            }
        }
    };
    let image = if options.channels == ChannelOrder::Bgr {
        notes.push(Note::ChannelsSwapped);
        image.with_red_and_blue_exchanged()
    } else {
        image
    };
    let crop = Crop::from_rgb(side, image.into_rgb()).ok_or_else(|| wrong_size(from, side))?;
    Ok((crop, notes))
}

fn wrong_size((width, height): (usize, usize), side: usize) -> Failure {
    Failure::new(
        Status::WrongSize,
        format!(
            "the image is {width}×{height} pixels but the network takes {side}×{side}: detect and \
             align its faces or, if it is already an aligned face, resize it"
        ),
    )
}
