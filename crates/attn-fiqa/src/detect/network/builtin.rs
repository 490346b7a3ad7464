//! The network of the built-in detector (`training/detector/network.py`), run by the layers of
//! `convolution`.
//!
//! 1. The stem and four stages bring the image down to strides of 4, 8, 16 and 32.
//! 2. Starting at the coarsest, the features of each of the last three stages are added to the
//!    doubled coarser ones: the pyramid.
//! 3. A head at each level gives 15 numbers per cell: score, box and five points.

use attn_fiqa_kernels::{Isa, PatchShape, Precision};

use crate::buffer_pool::BufferPool;
use crate::convolution::{
    FeatureMap, Pointwise, Separable, SeparableShape, Sequence, Stem, Weights, WeightsError,
};
use crate::detect::format::{InputSize, Output};
use crate::pixels::Image;

/// Cell side of each level, in pixels.
const STRIDES: [usize; 3] = [8, 16, 32];
/// Channels of the stem, which halves width and height.
const STEM: usize = 16;
/// 3×3 pixels with a stride of 2.
const STEM_PATCHES: PatchShape = PatchShape { side: 3, stride: 2, padding: 1 };
/// Channels of the stage with stride 4 and of the stages that feed the pyramid.
const STAGE4: usize = 32;
const STAGES: [usize; 3] = [64, 96, 128];
/// Channels of every level of the pyramid.
const PYRAMID: usize = 64;
/// A head's outputs per cell: names and widths.
const OUTPUTS: [(&str, usize); 3] = [("cls", 1), ("bbox", 4), ("kps", 10)];
const OUTPUT_NUMBERS: usize = 15;
/// Maximum size of the features kept for the next image, in bytes: 640×480 pixels need thirteen
/// million. Larger ones are freed.
const KEPT_BYTES: usize = 16 << 20;

pub(in crate::detect) struct BuiltinNetwork {
    stem: Stem,
    stage4: Sequence,
    stages: [Sequence; 3],
    laterals: [Pointwise; 3],
    heads: [Head; 3],
    workspaces: BufferPool<Workspace>,
}

struct Head {
    mix: Separable,
    out: Pointwise,
}

/// Buffers for the features of one image.
#[derive(Default)]
struct Workspace {
    /// The features at a stride of 4, and afterwards the finest level of the pyramid.
    stage4_or_finest: FeatureMap,
    stages: [FeatureMap; 3],
    /// The coarser levels.
    coarser: [FeatureMap; 2],
    mixed: FeatureMap,
    numbers: FeatureMap,
}

impl BuiltinNetwork {
    /// # Errors
    ///
    /// If the tensors are not those of this network.
    pub(in crate::detect) fn load(
        bytes: &[u8],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, WeightsError> {
        let weights = Weights::parse(bytes, isa, precision)?;
        let block =
            |inputs, outputs, side, stride| SeparableShape { inputs, outputs, side, stride };
        let [first, second, third] = STAGES;
        let same = |channels, side| block(channels, channels, side, 1);
        let down = |inputs, outputs| block(inputs, outputs, 3, 2);
        let stage = |stride: usize, shapes: &[SeparableShape]| {
            Sequence::load(&weights, &format!("stage{stride}"), shapes)
        };
        let lateral = |index: usize| {
            Pointwise::load(&weights, &format!("lateral.{index}"), STAGES[index], PYRAMID)
        };
        let head = |index: usize| {
            let mix = format!("heads.{index}.mix");
            let out = format!("heads.{index}.out");
            Ok::<_, WeightsError>(Head {
                mix: Separable::load(&weights, &mix, same(PYRAMID, 3))?,
                out: Pointwise::load(&weights, &out, PYRAMID, OUTPUT_NUMBERS)?,
            })
        };
        Ok(Self {
            stem: Stem::load(&weights, "stem", STEM, STEM_PATCHES)?,
            stage4: stage(4, &[down(STEM, STAGE4), same(STAGE4, 3)])?,
            stages: [
                stage(8, &[down(STAGE4, first), same(first, 3), same(first, 3), same(first, 3)])?,
                stage(
                    16,
                    &[down(first, second), same(second, 3), same(second, 3), same(second, 3)],
                )?,
                stage(32, &[down(second, third), same(third, 5), same(third, 5)])?,
            ],
            laterals: [lateral(0)?, lateral(1)?, lateral(2)?],
            heads: [head(0)?, head(1)?, head(2)?],
            workspaces: BufferPool::new(),
        })
    }

    /// Outputs with the names and meaning of YuNet's, for an image in the top-left corner of an
    /// input of `size`, whose width and height are multiples of 32; black elsewhere.
    ///
    /// One trained score fills both of YuNet's outputs, so that the root of their product is the
    /// score.
    pub(in crate::detect) fn run(&self, image: &Image, size: InputSize) -> Vec<Output> {
        let mut space = self.workspaces.acquire(Workspace::default);
        self.compute_pyramid(image, size, &mut space);
        let mut outputs = Vec::with_capacity(4 * STRIDES.len());
        let pyramid = [&space.stage4_or_finest].into_iter().chain(&space.coarser);
        for ((level, head), stride) in pyramid.zip(&self.heads).zip(STRIDES) {
            head.mix.apply(level, &mut space.mixed);
            head.out.apply(&space.mixed, &mut space.numbers);
            outputs.extend(as_outputs(space.numbers.values(), stride));
        }
        if space.bytes() <= KEPT_BYTES {
            self.workspaces.release(space);
        }
        outputs
    }

    /// Computes the pyramid from the image.
    fn compute_pyramid(&self, image: &Image, size: InputSize, space: &mut Workspace) {
        let Workspace {
            stage4_or_finest, stages: [x8, x16, x32], coarser: [p16, p32], mixed, ..
        } = space;
        let stage4 = stage4_or_finest;
        let [to_8, to_16, to_32] = &self.stages;
        self.stage4.apply_to_stem(&self.stem, image, (size.width, size.height), stage4, mixed);
        to_8.apply(stage4, x8, mixed);
        to_16.apply(x8, x16, mixed);
        to_32.apply(x16, x32, mixed);
        let [of_8, of_16, of_32] = &self.laterals;
        of_32.apply_relu(x32, p32);
        of_16.apply_onto(x16, p32, p16);
        // Its buffer is large and no longer needed.
        let p8 = stage4;
        of_8.apply_onto(x8, p16, p8);
    }
}

impl Workspace {
    fn bytes(&self) -> usize {
        let Self { stage4_or_finest, stages, coarser, mixed, numbers } = self;
        let maps = [stage4_or_finest, mixed, numbers].into_iter().chain(stages).chain(coarser);
        maps.map(FeatureMap::bytes).sum()
    }
}

/// Splits the values of a level's cells by meaning.
fn as_outputs(numbers: &[f32], stride: usize) -> Vec<Output> {
    let cells = numbers.len() / OUTPUT_NUMBERS;
    let mut first = 0;
    let mut outputs: Vec<Output> = OUTPUTS
        .iter()
        .map(|(kind, width)| {
            let mut values = Vec::with_capacity(cells * width);
            for cell in numbers.chunks_exact(OUTPUT_NUMBERS) {
                values.extend_from_slice(&cell[first..first + width]);
            }
            first += width;
            Output { name: format!("{kind}_{stride}"), shape: vec![1, cells, *width], values }
        })
        .collect();
    let score = &mut outputs[0];
    score.values.iter_mut().for_each(|level| *level = 1.0 / (1.0 + (-*level).exp()));
    let object = Output { name: format!("obj_{stride}"), ..score.clone() };
    outputs.push(object);
    outputs
}
