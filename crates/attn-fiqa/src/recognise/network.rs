//! An ONNX network as a recogniser: a crop in, an embedding out.

use super::input::{InputSpec, RecogniserPreset, names};
use crate::crop::Crop;
use crate::onnx::{OnnxError, OnnxModel, Tensor, list_tensors};
use crate::pixels::ChannelOrder;
use crate::status::{Failure, Status};
use crate::threads::Threads;

/// Input size of the published recognisers, used if a file leaves it open.
const USUAL_SIDE: usize = 112;

/// Largest accepted fixed side, in pixels: several times the usual one.
const LONGEST_SIDE: usize = 1024;

/// Longer than any embedding, shorter than feature maps.
const LONGEST_EMBEDDING: usize = 16_384;

/// A recognition network and its preprocessing. `Send + Sync`.
///
/// # Examples
///
/// ```no_run
/// use attn_fiqa::crop::Crop;
/// use attn_fiqa::onnx::OnnxModel;
/// use attn_fiqa::recognise::{Recogniser, RecogniserPreset, normalised};
/// use attn_fiqa::threads::Threads;
///
/// let model = OnnxModel::open("arcface.onnx".as_ref())?;
/// let spec = RecogniserPreset::ArcFace.spec();
/// let network = Recogniser::new(model, Some(spec), &Threads::new(None)?)?;
/// let side = network.side();
/// let crop = Crop::from_rgb(side, vec![128; side * side * 3]).ok_or("wrong size")?;
/// let unit = normalised(&network.embed(&crop)?);
/// assert_eq!(unit.len(), network.dim());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recogniser {
    model: OnnxModel,
    threads: Threads,
    spec: InputSpec,
    side: usize,
    channels_last: bool,
    input: String,
    output: String,
    dim: usize,
}

/// Why a network cannot be used as a recogniser.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecogniserError {
    /// The network cannot be opened or run.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// It takes something other than one face.
    #[error(
        "a recogniser takes one colour image and nothing else, but this network takes {found}: \
         '{file}'"
    )]
    NotAFace {
        /// The file.
        file: String,
        /// Its inputs.
        found: String,
    },
    /// It takes larger images than any recogniser.
    #[error(
        "the network takes images of {side}×{side} pixels, more than the limit of \
         {LONGEST_SIDE}×{LONGEST_SIDE}: '{file}'"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// The side of its input, in pixels.
        side: usize,
    },
    /// Its preprocessing is neither known nor given.
    #[error(
        "the file does not say how it expects its pixels (it takes {found}); specify one of \
         {names}, or rgb:MEAN:STD: '{file}'", names = names()
    )]
    NoSpec {
        /// The file.
        file: String,
        /// Its input and outputs.
        found: String,
    },
    /// It returns something other than one embedding.
    #[error("the output '{output}' is not an embedding but has the shape {shape:?}: '{file}'")]
    NotAnEmbedding {
        /// The file.
        file: String,
        /// The output.
        output: String,
        /// Its shape for one face.
        shape: Vec<usize>,
    },
}

impl Recogniser {
    /// Checks a network's inputs and outputs and runs it once.
    ///
    /// Size and layout come from the file. `spec` gives the preprocessing; without it, only
    /// networks recognised by their input and output names are accepted: OpenCV's SFace (`data` to
    /// `fc1`) and InsightFace's (`input.1` to 512 numbers). The embedding is the first output.
    ///
    /// # Errors
    ///
    /// If the network is not a recogniser, or its preprocessing is unknown.
    pub fn new(
        model: OnnxModel,
        spec: Option<InputSpec>,
        threads: &Threads,
    ) -> Result<Self, RecogniserError> {
        let file = model.file().to_owned();
        let inputs = || list_tensors(model.inputs());
        let not_a_face = || RecogniserError::NotAFace { file: file.clone(), found: inputs() };
        let input = match (model.inputs().next(), model.inputs().len()) {
            (Some(input), 1) if input.is_f32 => input.clone(),
            _ => return Err(not_a_face()),
        };
        let axes: Vec<Option<usize>> = match &input.shape {
            Some(axes) => axes.iter().map(|axis| axis.fixed()).collect(),
            None => vec![None; 4],
        };
        let &[batch, a, b, c] = &axes[..] else { return Err(not_a_face()) };
        let channels_last = c == Some(3) && a != Some(3);
        let (channels, height, width) = if channels_last { (c, a, b) } else { (a, b, c) };
        let side = height.or(width).unwrap_or(USUAL_SIDE);
        let square = [height, width].iter().all(|length| length.is_none_or(|l| l == side));
        if !square || side == 0 || channels.is_some_and(|c| c != 3) || batch.is_some_and(|b| b != 1)
        {
            return Err(not_a_face());
        }
        if side > LONGEST_SIDE {
            return Err(RecogniserError::TooLarge { file, side });
        }
        let output = model.outputs().next().map(|input| input.name.clone()).unwrap_or_default();
        let spec = spec.or_else(|| known(&model, &input.name)).ok_or_else(|| {
            let outputs = list_tensors(model.outputs());
            RecogniserError::NoSpec {
                file: file.clone(),
                found: format!("{}, gives {outputs}", inputs()),
            }
        })?;
        let mut recogniser = Self {
            model,
            threads: threads.clone(),
            spec,
            side,
            channels_last,
            input: input.name,
            output,
            dim: 0,
        };
        let grey = Crop::from_rgb(side, vec![128; side * side * 3]).ok_or_else(|| {
            RecogniserError::NotAFace { file: file.clone(), found: recogniser.input.clone() }
        })?;
        let trial = recogniser.run(&grey)?;
        recogniser.dim = trial.values().len();
        let axes = trial.shape().iter().filter(|&&length| length != 1).count();
        if axes > 1 || !(1..=LONGEST_EMBEDDING).contains(&recogniser.dim) {
            return Err(RecogniserError::NotAnEmbedding {
                file,
                output: recogniser.output,
                shape: trial.shape().to_vec(),
            });
        }
        Ok(recogniser)
    }

    /// Side of the crops that the network takes, in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Length of the embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Its preprocessing.
    pub fn spec(&self) -> &InputSpec {
        &self.spec
    }

    /// The embedding as returned by the network, not normalised. It depends on the crop alone;
    /// faces of a batch are run one by one.
    ///
    /// # Errors
    ///
    /// [`Status::WrongSize`] if the crop has another size, [`Status::NetworkFailed`] if the network
    /// fails on it, or [`Status::NonFinite`] if the embedding is not finite.
    pub fn embed(&self, crop: &Crop) -> Result<Vec<f32>, Failure> {
        if crop.side() != self.side {
            let (found, needed) = (crop.side(), self.side);
            return Err(Failure::new(
                Status::WrongSize,
                format!("the crop is {found}×{found} pixels; this model takes {needed}×{needed}"),
            ));
        }
        let embedding = self
            .run(crop)
            .map_err(|error| Failure::new(Status::NetworkFailed, error.to_string()))?
            .into_values();
        if embedding.iter().all(|value| value.is_finite()) {
            Ok(embedding)
        } else {
            Err(Failure::new(Status::NonFinite, "the embedding is not finite"))
        }
    }

    fn run(&self, crop: &Crop) -> Result<Tensor, OnnxError> {
        let input = self.tensor(crop);
        let mut found = self.model.run(&[(&self.input, &input)], &[&self.output], &self.threads)?;
        Ok(found.pop().expect("one output was asked for: this is a bug"))
    }

    /// `[1, 3, side, side]`, or `[1, side, side, 3]` for channels-last networks.
    fn tensor(&self, crop: &Crop) -> Tensor {
        let InputSpec { order, mean, std } = self.spec;
        let channel = |pixel: &[u8], channel: usize| {
            let level = match order {
                ChannelOrder::Rgb => pixel[channel],
                ChannelOrder::Bgr => pixel[2 - channel],
            };
            (f32::from(level) - mean[channel]) / std[channel]
        };
        let side = self.side;
        let pixels = || crop.rgb().chunks_exact(3);
        let (shape, values): (_, Vec<f32>) = if self.channels_last {
            ([1, side, side, 3], pixels().flat_map(|p| [0, 1, 2].map(|c| channel(p, c))).collect())
        } else {
            let plane = |c| pixels().map(move |pixel| channel(pixel, c));
            ([1, 3, side, side], (0..3).flat_map(plane).collect())
        };
        Tensor::new(&shape, values).expect("as many values as pixels: this is a bug")
    }
}

/// Networks recognised by their input and output names.
fn known(model: &OnnxModel, input: &str) -> Option<InputSpec> {
    let output = model.outputs().next()?;
    let last = output.shape.as_ref().and_then(|axes| axes.last()?.fixed());
    match (input, output.name.as_str(), last) {
        ("data", "fc1", Some(128)) => Some(RecogniserPreset::SFace.spec()),
        ("input.1", _, Some(512)) => Some(RecogniserPreset::ArcFace.spec()),
        _ => None,
    }
}
