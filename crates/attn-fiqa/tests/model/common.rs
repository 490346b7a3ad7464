//! Where the expected values are, and how to read them.

use std::path::PathBuf;

use attn_fiqa::checkpoint::{Checkpoint, CheckpointOptions};
use attn_fiqa::crop::Crop;
use safetensors::SafeTensors;

/// `../shared` next to the checkout; `None`, with a recorded skip, if absent.
pub(crate) fn shared() -> Option<PathBuf> {
    attn_fiqa_testing::shared("")
}

/// A small random ViT in the official layout, and the official code's results for it.
pub(crate) struct Golden {
    pub(crate) name: &'static str,
    pub(crate) heads: usize,
    folder: PathBuf,
    expected: Vec<u8>,
}

impl Golden {
    /// The golden network of the repository, and two more if `../shared` exists.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::read(attn_fiqa_testing::golden("vit"), "tiny_p14_qkvbias", 5)];
        if let Some(folder) = attn_fiqa_testing::shared("golden/vit") {
            all.push(Self::read(folder.clone(), "tiny_p8", 4));
            all.push(Self::read(folder, "tiny_p16_deep", 6));
        }
        all
    }

    fn read(folder: PathBuf, name: &'static str, heads: usize) -> Self {
        let expected = folder.join(format!("{name}.expected.safetensors"));
        let expected = std::fs::read(expected).expect("expected values");
        Self { name, heads, folder, expected }
    }

    /// The checkpoint's file, in one of its two formats (`safetensors` or `pt`).
    pub(crate) fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    /// The checkpoint, in one of its two formats.
    pub(crate) fn checkpoint(&self, extension: &str) -> Checkpoint {
        let options = CheckpointOptions { heads: Some(self.heads), ..Default::default() };
        Checkpoint::open(&self.file(extension), &options).expect("golden checkpoint")
    }

    /// The shape and values of an expected tensor.
    pub(crate) fn expected(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.expected).expect("expected values");
        let tensor = file.tensor(name).expect("an expected tensor");
        let values = tensor.data().chunks_exact(4);
        let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        (tensor.shape().to_vec(), values)
    }

    /// The images that the expected values belong to.
    pub(crate) fn crops(&self) -> Vec<Crop> {
        let file = SafeTensors::deserialize(&self.expected).expect("expected values");
        let images = file.tensor("images_u8_nhwc_rgb").expect("images");
        let side = images.shape()[1];
        let images = images.data().chunks_exact(side * side * 3);
        images.map(|rgb| Crop::from_rgb(side, rgb.to_vec()).expect("a crop")).collect()
    }
}

/// Asserts that values agree within `fraction` of the largest expected magnitude.
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32], fraction: f32) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let scale = expected.iter().fold(0.0f32, |scale, value| scale.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= fraction * scale,
            "{what}[{index}]: {found} is not {expected} (off by {error:e} at scale {scale})"
        );
    }
}
