//! Inputs and outputs of detection networks: one trait, one file per format.

mod scrfd;
#[cfg(test)]
mod tests;
mod yunet;

use super::Face;

pub(super) use scrfd::Scrfd;
pub(super) use yunet::YuNet;

/// How pixel values of 0 … 255 become the network's input, `[1, 3, row, column]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct InputPixels {
    /// Whether the first plane is blue.
    pub(super) blue_first: bool,
    /// Subtracted from each value.
    pub(super) mean: f32,
    /// Factor applied to the difference.
    pub(super) scale: f32,
}

/// One output of a network: its name, its shape and its values, row-major.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// Width and height of a network's input in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InputSize {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl InputSize {
    /// Columns and rows of the grid cells of `stride` pixels that cover the input.
    pub(super) fn cells(self, stride: usize) -> (usize, usize) {
        (self.width.div_ceil(stride), self.height.div_ceil(stride))
    }
}

/// Why outputs do not match their format, as a message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadOutput(pub(super) String);

/// A family of detectors: its preprocessing, and how its outputs are decoded into faces.
pub(super) trait OutputFormat: Send + Sync {
    /// The family's name.
    fn name(&self) -> &'static str;

    /// The preprocessing of the input.
    fn pixels(&self) -> InputPixels;

    /// Every cell with a score of at least `floor`, as a face in pixels of the input.
    ///
    /// `outputs` are in the order of the graph, as when the format was recognised.
    fn candidates(
        &self,
        outputs: &[Output],
        input: InputSize,
        floor: f32,
    ) -> Result<Vec<Face>, BadOutput>;
}

/// Recognises the format from the outputs of a trial run at `input`; `None` if unknown.
pub(super) fn recognise(outputs: &[Output], input: InputSize) -> Option<Box<dyn OutputFormat>> {
    if let Some(format) = YuNet::recognise(outputs) {
        return Some(Box::new(format));
    }
    Scrfd::recognise(outputs, input).map(|format| Box::new(format) as Box<dyn OutputFormat>)
}

/// The values of one output, if there are `expected` of them.
fn checked(outputs: &[Output], index: usize, expected: usize) -> Result<&[f32], BadOutput> {
    let output = outputs.get(index).ok_or_else(|| BadOutput("an output is missing".to_owned()))?;
    let found = output.values.len();
    if found == expected {
        return Ok(&output.values);
    }
    Err(BadOutput(format!("output '{}' holds {found} numbers, expected {expected}", output.name)))
}

/// Adds a candidate unless its box is empty. Fails if its values are not finite, or if its score is
/// no probability, as in a file exported without the sigmoid.
fn push(found: &mut Vec<Face>, face: Face) -> Result<(), BadOutput> {
    if !face.is_finite() {
        return Err(BadOutput("a box or landmark is not a finite number".to_owned()));
    }
    if face.confidence > 1.0 {
        return Err(BadOutput(format!("a face score is {}, expected 0 to 1", face.confidence)));
    }
    if face.bounds.width > 0.0 && face.bounds.height > 0.0 {
        found.push(face);
    }
    Ok(())
}
