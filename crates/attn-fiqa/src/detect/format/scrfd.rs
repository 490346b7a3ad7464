//! SCRFD's outputs, as InsightFace exports them: two anchors per cell.
//!
//! For each stride s of 8, 16 and 32 there are three outputs of two rows per cell: a score, four
//! distances from the anchor to the sides of the box (left, top, right, bottom) and five offsets to
//! the landmarks, both in units of s. Anchors lie at (c·s, r·s). The format is recognised by the
//! outputs' shapes at a known input size; their names are arbitrary.

use super::{BadOutput, InputPixels, InputSize, Output, OutputFormat, checked, push};
use crate::align::Landmarks;
use crate::detect::{Face, FaceBox};

const STRIDES: [usize; 3] = [8, 16, 32];
const ANCHORS: usize = 2;

/// Indices of one stride's three outputs.
#[derive(Debug, Clone, Copy)]
struct Level {
    stride: usize,
    score: usize,
    bounds: usize,
    points: usize,
}

/// The format of SCRFD with landmarks.
pub(in crate::detect) struct Scrfd {
    levels: Vec<Level>,
}

impl Scrfd {
    /// Recognises it by the shapes of the outputs, with or without a leading batch axis of one.
    pub(in crate::detect) fn recognise(outputs: &[Output], input: InputSize) -> Option<Self> {
        let find = |stride: usize, numbers: usize| {
            let (columns, rows) = input.cells(stride);
            let wanted = [columns * rows * ANCHORS, numbers];
            outputs.iter().position(|output| {
                let shape = &output.shape[..];
                shape == wanted || shape.strip_prefix(&[1]).is_some_and(|shape| shape == wanted)
            })
        };
        let levels = STRIDES
            .into_iter()
            .map(|stride| {
                Some(Level {
                    stride,
                    score: find(stride, 1)?,
                    bounds: find(stride, 4)?,
                    points: find(stride, 10)?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { levels })
    }
}

impl OutputFormat for Scrfd {
    fn name(&self) -> &'static str {
        "SCRFD"
    }

    fn pixels(&self) -> InputPixels {
        InputPixels { blue_first: false, mean: 127.5, scale: 1.0 / 128.0 }
    }

    fn candidates(
        &self,
        outputs: &[Output],
        input: InputSize,
        floor: f32,
    ) -> Result<Vec<Face>, BadOutput> {
        let mut found = Vec::new();
        for level in &self.levels {
            let (columns, rows) = input.cells(level.stride);
            let anchors = columns * rows * ANCHORS;
            let scores = checked(outputs, level.score, anchors)?;
            let bounds = checked(outputs, level.bounds, 4 * anchors)?;
            let points = checked(outputs, level.points, 10 * anchors)?;
            let stride = level.stride as f32;
            for (anchor, &confidence) in scores.iter().enumerate() {
                if confidence.is_nan() {
                    return Err(BadOutput("a face score is not a number".to_owned()));
                }
                if confidence < floor {
                    continue;
                }
                let cell = anchor / ANCHORS;
                let x = (cell % columns) as f32 * stride;
                let y = (cell / columns) as f32 * stride;
                let [left, up, right, down] =
                    std::array::from_fn(|side| bounds[4 * anchor + side] * stride);
                let points = &points[10 * anchor..][..10];
                let landmarks = Landmarks(std::array::from_fn(|index| {
                    [x + points[2 * index] * stride, y + points[2 * index + 1] * stride]
                }));
                let bounds =
                    FaceBox { x: x - left, y: y - up, width: left + right, height: up + down };
                push(&mut found, Face { bounds, landmarks, confidence, refined: false })?;
            }
        }
        Ok(found)
    }
}
