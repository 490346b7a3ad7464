//! What a detector's network takes and gives: one trait, one file a format.

mod scrfd;
#[cfg(test)]
mod tests;
mod yunet;

use super::Face;

pub(super) use scrfd::Scrfd;
pub(super) use yunet::YuNet;

/// How levels of 0 … 255 become the network's input, `[1, 3, row, column]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct InputPixels {
    /// Whether the first plane is blue.
    pub(super) blue_first: bool,
    /// Taken away from each level.
    pub(super) mean: f32,
    /// What the rest is multiplied with.
    pub(super) scale: f32,
}

/// One output of a network: its name, its shape and its numbers, row-major.
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
    /// Columns and rows of the cells of `stride` pixels that cover the input.
    pub(super) fn cells(self, stride: usize) -> (usize, usize) {
        (self.width.div_ceil(stride), self.height.div_ceil(stride))
    }
}

/// Outputs that are not what the format promised, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadOutput(pub(super) String);

/// A family of detectors: what goes in, and faces out of what comes out.
pub(super) trait OutputFormat: Send + Sync {
    /// The family's name.
    fn name(&self) -> &'static str;

    /// How the input is made.
    fn pixels(&self) -> InputPixels;

    /// Every cell at least `floor` sure of a face, in pixels of the input.
    ///
    /// `outputs` stand in the order of the graph, as they did when the format
    /// was recognised.
    fn candidates(
        &self,
        outputs: &[Output],
        input: InputSize,
        floor: f32,
    ) -> Result<Vec<Face>, BadOutput>;
}

/// Tells the format by the outputs of a first run at `input`; `None` for others.
pub(super) fn recognise(outputs: &[Output], input: InputSize) -> Option<Box<dyn OutputFormat>> {
    if let Some(format) = YuNet::recognise(outputs) {
        return Some(Box::new(format));
    }
    Scrfd::recognise(outputs, input).map(|format| Box::new(format) as Box<dyn OutputFormat>)
}

/// The numbers of one output if it has as many as its cells need.
fn checked(outputs: &[Output], index: usize, expected: usize) -> Result<&[f32], BadOutput> {
    let output = outputs.get(index).ok_or_else(|| BadOutput("an output is missing".to_owned()))?;
    let found = output.values.len();
    if found == expected {
        return Ok(&output.values);
    }
    Err(BadOutput(format!("output '{}' holds {found} numbers, expected {expected}", output.name)))
}

/// Takes a candidate unless its numbers are none.
fn push(found: &mut Vec<Face>, face: Face) -> Result<(), BadOutput> {
    if !face.is_finite() {
        return Err(BadOutput("a box or landmark is not a finite number".to_owned()));
    }
    found.push(face);
    Ok(())
}
