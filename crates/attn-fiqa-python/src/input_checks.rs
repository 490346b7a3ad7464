//! Warnings for the most common mistakes with arrays.
//!
//! Faces with red and blue swapped, and crops that are not aligned, get plausible scores. Both
//! mistakes can be detected from a few faces, but not from one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use attn_fiqa::align::{Landmarks, TEMPLATE_112};
use attn_fiqa::crop::Crop;
use attn_fiqa::detect::Detector;
use attn_fiqa::pixels::{ChannelOrder, Image};

/// Number of faces needed to judge the channel order.
const MIN_FACES: u64 = 8;
/// A warning is issued if, in the middle of faces, blue exceeds red by this many levels on average.
/// Measured on groups of eight aligned faces of LFW and FairFace: red exceeds blue by at least 39.
const MIN_BLUE_EXCESS: f64 = 8.0;
/// Number of crops whose alignment is checked.
pub(crate) const MAX_CHECKED_CROPS: usize = 8;
/// A crop counts as not aligned if the mean distance of the landmarks found from the template's is
/// at least this fraction of the distance between the template's eyes.
const MAX_LANDMARK_DISTANCE: f64 = 0.25;

/// What a scorer has seen so far.
pub(crate) struct InputChecks {
    colors: Mutex<Colors>,
    alignment_checked: AtomicBool,
}

#[derive(Default)]
struct Colors {
    faces: u64,
    /// Sum over faces of mean red − mean blue.
    redness: f64,
    warned: bool,
}

impl InputChecks {
    pub(crate) const fn new() -> Self {
        let colors = Colors { faces: 0, redness: 0.0, warned: false };
        Self { colors: Mutex::new(colors), alignment_checked: AtomicBool::new(false) }
    }

    /// Adds faces that came in `order`; returns a warning, once, if they are blue on average.
    pub(crate) fn check_colors<'a>(
        &self,
        crops: impl Iterator<Item = (usize, &'a [u8])>,
        order: ChannelOrder,
    ) -> Option<String> {
        let mut colors = self.colors.lock().unwrap_or_else(PoisonError::into_inner);
        if colors.warned {
            return None;
        }
        for (side, rgb) in crops {
            colors.faces += 1;
            colors.redness += redness(side, rgb);
        }
        let mean = colors.redness / colors.faces.max(1) as f64;
        if colors.faces < MIN_FACES || mean > -MIN_BLUE_EXCESS {
            return None;
        }
        colors.warned = true;
        let (given, other) = match order {
            ChannelOrder::Rgb => ("rgb", "bgr"),
            ChannelOrder::Bgr => ("bgr", "rgb"),
        };
        Some(format!(
            "the faces of {} images have {:.0} levels more blue than red on average, but faces \
             have more red; were they color='{other}' and passed as color='{given}'?",
            colors.faces, -mean
        ))
    }

    /// Whether the alignment still has to be checked: true once.
    pub(crate) fn take_alignment_check(&self) -> bool {
        !self.alignment_checked.swap(true, Ordering::Relaxed)
    }
}

/// Mean red minus mean blue in the middle of a face.
fn redness(side: usize, rgb: &[u8]) -> f64 {
    let middle = side / 4..side - side / 4;
    let mut sum = 0i64;
    for row in middle.clone() {
        let row = &rgb[(row * side + middle.start) * 3..(row * side + middle.end) * 3];
        sum +=
            row.chunks_exact(3).map(|pixel| i64::from(pixel[0]) - i64::from(pixel[2])).sum::<i64>();
    }
    sum as f64 / (middle.len() * middle.len()).max(1) as f64
}

/// A warning if most of these crops are not aligned faces.
pub(crate) fn check_alignment(detector: &Detector, crops: &[Crop]) -> Option<String> {
    let off = crops.iter().filter(|crop| !is_aligned(detector, crop)).count();
    (2 * off > crops.len()).then(|| {
        format!(
            "{off} of the first {} crops are not aligned faces: their eyes, nose and mouth are not \
             where the template has them, so the scores mean little; pass whole images to score(), \
             or align them by their landmarks with attn_fiqa.align()",
            crops.len()
        )
    })
}

/// Whether the landmark network finds the points of the template where they should be.
fn is_aligned(detector: &Detector, crop: &Crop) -> bool {
    let side = crop.side();
    let scale = side as f64 / 112.0;
    let template = TEMPLATE_112.map(|point| point.map(|value| value * scale));
    let image = Image::from_rgb(side, side, crop.rgb().to_vec());
    let image = image.expect("a crop is an image: this is a bug");
    let rough = Landmarks(template.map(|point| point.map(|value| value as f32)));
    let Some(found) = detector.refine_landmarks(&image, &rough) else { return false };
    let pairs = found.0.iter().zip(template);
    let distances = pairs.map(|(&[x, y], [u, v])| (f64::from(x) - u).hypot(f64::from(y) - v));
    let eyes = (template[1][0] - template[0][0]).hypot(template[1][1] - template[0][1]);
    distances.sum::<f64>() / 5.0 / eyes < MAX_LANDMARK_DISTANCE
}
