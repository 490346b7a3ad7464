//! Anchor-free outputs in the format of YuNet, which the built-in detector also uses.
//!
//! For each stride s of 8, 16 and 32 there are `cls_s` and `obj_s` `[1, cells, 1]`, `bbox_s`
//! `[1, cells, 4]` and `kps_s` `[1, cells, 10]`, cells in row-major order. The score of the cell at
//! column c and row r is √(cls·obj); its box is centred at ((c + dx)·s, (r + dy)·s) with sides s·eʷ
//! and s·eʰ, and a landmark lies at ((c + kx)·s, (r + ky)·s).

use super::{BadOutput, InputPixels, InputSize, Output, OutputFormat, checked, push};
use crate::align::Landmarks;
use crate::detect::{Face, FaceBox};

const STRIDES: [usize; 3] = [8, 16, 32];

/// Indices of one stride's four outputs.
#[derive(Debug, Clone, Copy)]
struct Level {
    stride: usize,
    class: usize,
    object: usize,
    bounds: usize,
    points: usize,
}

/// The format of YuNet.
pub(in crate::detect) struct YuNet {
    levels: Vec<Level>,
    pixels: Pixels,
}

/// The pixel conventions of a network's training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pixels {
    /// BGR; the origin is the centre of the first pixel.
    BlueFirst,
    /// RGB; the origin is the outer corner of the first pixel, as in the scenes composed by
    /// `training/detector`.
    BuiltinRgb,
}

impl Pixels {
    /// The coordinate of the first pixel's centre.
    fn origin(self) -> f32 {
        match self {
            Self::BlueFirst => 0.0,
            Self::BuiltinRgb => 0.5,
        }
    }
}

impl YuNet {
    /// Recognises it by the names of the outputs. Files of this format use BGR.
    pub(in crate::detect) fn recognise(outputs: &[Output]) -> Option<Self> {
        let find = |kind: &str, stride: usize| {
            let name = format!("{kind}_{stride}");
            outputs.iter().position(|output| output.name == name)
        };
        let levels = STRIDES
            .into_iter()
            .map(|stride| {
                Some(Level {
                    stride,
                    class: find("cls", stride)?,
                    object: find("obj", stride)?,
                    bounds: find("bbox", stride)?,
                    points: find("kps", stride)?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { levels, pixels: Pixels::BlueFirst })
    }

    /// The same outputs from the network that ships with the library.
    pub(in crate::detect) fn builtin(self) -> Self {
        Self { pixels: Pixels::BuiltinRgb, ..self }
    }
}

impl OutputFormat for YuNet {
    fn name(&self) -> &'static str {
        "YuNet"
    }

    fn pixels(&self) -> InputPixels {
        InputPixels { blue_first: self.pixels == Pixels::BlueFirst, mean: 0.0, scale: 1.0 }
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
            let cells = columns * rows;
            let class = checked(outputs, level.class, cells)?;
            let object = checked(outputs, level.object, cells)?;
            let bounds = checked(outputs, level.bounds, 4 * cells)?;
            let points = checked(outputs, level.points, 10 * cells)?;
            let stride = level.stride as f32;
            let origin = self.pixels.origin();
            let place = |cell: f32, offset: f32| (cell + offset) * stride - origin;
            for (cell, (class, object)) in class.iter().zip(object).enumerate() {
                let confidence = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
                if confidence.is_nan() {
                    return Err(BadOutput("a face score is not a number".to_owned()));
                }
                if confidence < floor {
                    continue;
                }
                let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
                let bounds = &bounds[4 * cell..][..4];
                let (width, height) = (stride * bounds[2].exp(), stride * bounds[3].exp());
                let (x, y) = (place(column, bounds[0]), place(row, bounds[1]));
                let points = &points[10 * cell..][..10];
                let landmarks = Landmarks(std::array::from_fn(|index| {
                    [place(column, points[2 * index]), place(row, points[2 * index + 1])]
                }));
                let bounds = FaceBox { x: x - width / 2.0, y: y - height / 2.0, width, height };
                push(&mut found, Face { bounds, landmarks, confidence, refined: false })?;
            }
        }
        Ok(found)
    }
}
