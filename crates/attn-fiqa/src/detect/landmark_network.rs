//! The network that locates five landmarks in an upright view of a face
//! (`training/landmarks/net.py`), run by the layers of `convolution`.
//!
//! 1. The stem and three stages bring the view down to strides of 4, 8 and 16.
//! 2. From the coarsest on, each stage's features and the doubled coarser ones are added
//!    up.
//! 3. Five heat maps at a stride of 4; a point is the mean place under its map's softmax.

use attn_fiqa_kernels::{Isa, PatchShape, Precision};

use super::DetectorError;
use crate::align::Landmarks;
use crate::buffer_pool::BufferPool;
use crate::convolution::{
    FeatureMap, Pointwise, Separable, SeparableShape, Sequence, Stem, Weights, WeightsError,
};
use crate::pixels::Image;

/// Side of a view, in pixels.
pub(super) const VIEW: usize = 80;
/// The network's name in messages.
const NAME: &str = "built-in landmark network";
/// Side of a heat map's cell, in pixels.
const STRIDE: usize = 4;
/// Receptive field of a stem cell, in pixels.
const STEM_PATCHES: PatchShape = PatchShape { side: 4, stride: 4, padding: 0 };
/// Channels of the stem and of the three stages.
const STEM: usize = 64;
const STAGES: [usize; 3] = [64, 128, 192];
/// Channels of the summed features.
const PYRAMID: usize = 64;
/// Landmarks of a face, one heat map each.
const POINTS: usize = 5;

pub(super) struct LandmarkNetwork {
    stem: Stem,
    stages: [Sequence; 3],
    laterals: [Pointwise; 3],
    mix: Separable,
    out: Pointwise,
    workspaces: BufferPool<Workspace>,
}

/// Buffers for the features of one view.
#[derive(Default)]
struct Workspace {
    stem: FeatureMap,
    stages: [FeatureMap; 3],
    pyramid: [FeatureMap; 3],
    spare: FeatureMap,
    heat: FeatureMap,
}

impl LandmarkNetwork {
    /// Loads the embedded file.
    ///
    /// # Errors
    ///
    /// If the tensors are not those of this network.
    pub(super) fn load(
        bytes: &[u8],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, DetectorError> {
        Self::parse(bytes, isa, precision).map_err(|error| DetectorError::BadWeights {
            name: NAME.to_owned(),
            what: error.to_string(),
        })
    }

    fn parse(bytes: &[u8], isa: Isa, precision: Precision) -> Result<Self, WeightsError> {
        let weights = Weights::parse(bytes, isa, precision)?;
        let block = |inputs, outputs, stride| SeparableShape { inputs, outputs, side: 3, stride };
        let [first, second, third] = STAGES;
        let (into, same) = (|a, b| block(a, b, 2), |channels| block(channels, channels, 1));
        let stages = [
            [same(first); 3].to_vec(),
            [&[into(first, second)][..], &[same(second); 3]].concat(),
            [&[into(second, third)][..], &[same(third); 2]].concat(),
        ];
        let stage = |index: usize| {
            let name = format!("stage{}", STRIDE << index);
            Sequence::load(&weights, &name, &stages[index])
        };
        let lateral = |index: usize| {
            Pointwise::load(&weights, &format!("lateral.{index}"), STAGES[index], PYRAMID)
        };
        Ok(Self {
            stem: Stem::load(&weights, "stem", STEM, STEM_PATCHES)?,
            stages: [stage(0)?, stage(1)?, stage(2)?],
            laterals: [lateral(0)?, lateral(1)?, lateral(2)?],
            mix: Separable::load(&weights, "mix", same(PYRAMID))?,
            out: Pointwise::load(&weights, "out", PYRAMID, POINTS)?,
            workspaces: BufferPool::new(),
        })
    }

    /// The landmarks of the face in a view of [`VIEW`]×[`VIEW`] pixels, in its pixels.
    pub(super) fn points(&self, view: &Image) -> Landmarks {
        let mut space = self.workspaces.acquire(Workspace::default);
        self.heat(view, &mut space);
        let points = std::array::from_fn(|point| centre_of_heat(&space.heat, point));
        self.workspaces.release(space);
        Landmarks(points)
    }

    fn heat(&self, view: &Image, space: &mut Workspace) {
        let Workspace { stem, stages: [x4, x8, x16], pyramid: [p4, p8, p16], spare, heat } = space;
        self.stem.apply(view, (VIEW, VIEW), stem);
        let [to_4, to_8, to_16] = &self.stages;
        to_4.apply(stem, x4, spare);
        to_8.apply(x4, x8, spare);
        to_16.apply(x8, x16, spare);
        let [of_4, of_8, of_16] = &self.laterals;
        of_16.apply_relu(x16, p16);
        of_8.apply_onto(x8, p16, p8);
        of_4.apply_onto(x4, p8, p4);
        self.mix.apply(p4, spare);
        self.out.apply(spare, heat);
    }
}

/// The soft-argmax of a heat map, in pixels: the mean position of its cells, weighted by softmax.
fn centre_of_heat(heat: &FeatureMap, map: usize) -> [f32; 2] {
    let [_, columns, maps] = heat.shape();
    let cells = || heat.values().iter().skip(map).step_by(maps).map(|&heat| f64::from(heat));
    let highest = cells().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for (cell, heat) in cells().enumerate() {
        let weight = (heat - highest).exp();
        sum += weight;
        x += weight * (cell % columns) as f64;
        y += weight * (cell / columns) as f64;
    }
    let pixel = |cell: f64| (cell * STRIDE as f64 + (STRIDE as f64 - 1.0) / 2.0) as f32;
    [pixel(x / sum), pixel(y / sum)]
}
