//! A quality network from an ONNX file: a crop in, one number out.

use crate::crop::Crop;
use crate::onnx::OnnxModel;
use crate::recognise::{InputSpec, Recogniser, RecogniserError, RecogniserPreset};
use crate::status::Failure;
use crate::threads::Threads;

/// A network such as CR-FIQA's or eDifFIQA's. `Send + Sync`.
pub struct QualityNetwork(Recogniser);

/// Why a network cannot be used as a quality measure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QualityNetworkError {
    /// It does not accept a single face.
    #[error(transparent)]
    Recogniser(#[from] RecogniserError),
    /// It returns more than one number.
    #[error(
        "a quality network gives one number per face, but the first output of this one holds \
         {found}; if it is a recogniser, use the length of its embedding as the quality: '{file}'"
    )]
    NotOneNumber {
        /// The file.
        file: String,
        /// How many numbers it returns.
        found: usize,
    },
    /// It takes crops of a different size than this run makes.
    #[error(
        "the network takes crops of {found}×{found} pixels, but this run makes {side}×{side}: \
         '{file}'"
    )]
    OtherSide {
        /// The file.
        file: String,
        /// The size that it takes.
        found: usize,
        /// The size that the run makes.
        side: usize,
    },
}

impl QualityNetwork {
    /// Validates a network and runs it once. Without `spec` it gets pixels as ArcFace does, RGB
    /// from −1 to 1, which is what published quality networks built on face recognisers take.
    ///
    /// # Errors
    ///
    /// If the network does not return one number for a face of `side` pixels.
    pub fn new(
        model: OnnxModel,
        spec: Option<InputSpec>,
        side: usize,
        threads: &Threads,
    ) -> Result<Self, QualityNetworkError> {
        let file = model.file().to_owned();
        let spec = spec.unwrap_or(RecogniserPreset::ArcFace.spec());
        let network = Recogniser::new(model, Some(spec), threads)?;
        if network.dim() != 1 {
            return Err(QualityNetworkError::NotOneNumber { file, found: network.dim() });
        }
        if network.side() != side {
            return Err(QualityNetworkError::OtherSide { file, found: network.side(), side });
        }
        Ok(Self(network))
    }

    /// The network's raw output for a crop.
    ///
    /// # Errors
    ///
    /// A crop of another size, or a number that is not finite.
    pub fn score(&self, crop: &Crop) -> Result<f32, Failure> {
        Ok(self.0.embed(crop)?[0])
    }
}
