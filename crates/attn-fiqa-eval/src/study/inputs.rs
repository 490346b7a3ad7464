//! The images of a data set, by content.

use attn_fiqa::align::{Landmarks, align};
use attn_fiqa::crop::{Crop, CropOptions, Fit, crop_from_picture};
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::status::{Failure, Status};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::StudyError;
use super::cache::ImageHash;
use super::config::DatasetConfig;
use super::hash::hex;
use crate::benchmark::{Benchmark, BenchmarkKind, ImageAt, pair_list};

/// A data set of a study.
pub(super) struct Dataset<'c> {
    pub(super) config: &'c DatasetConfig,
    pub(super) benchmark: Benchmark,
    /// Hash of each image's bytes, once they were needed.
    hashes: Vec<Result<ImageHash, Failure>>,
}

impl<'c> Dataset<'c> {
    /// Reads its lists and looks whether every image is there; no image is read.
    pub(super) fn open(config: &'c DatasetConfig) -> Result<Self, StudyError> {
        let benchmark = match (&config.pairs, config.kind) {
            (Some(pairs), BenchmarkKind::Pairs) => {
                pair_list(&config.name, pairs, Some(&config.path))?
            }
            _ => config.kind.open(&config.name, &config.path)?,
        };
        Ok(Self { config, benchmark, hashes: Vec::new() })
    }

    /// Whether there are images, and not only names.
    pub(super) fn has_images(&self) -> bool {
        !self.benchmark.images.iter().any(|image| matches!(image.at, ImageAt::Nowhere))
    }

    /// The hash of every image's bytes; the files are read the first time.
    pub(super) fn hashes(&mut self) -> &[Result<ImageHash, Failure>] {
        if self.hashes.is_empty() {
            let hash = |index: usize| Ok(Sha256::digest(self.read(index)?).into());
            self.hashes = (0..self.benchmark.images.len()).into_par_iter().map(hash).collect();
        }
        &self.hashes
    }

    /// One hash over the pairs and, where they were read, the images.
    pub(super) fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for image in &self.benchmark.images {
            hash.update(image.name.as_bytes());
            hash.update([0]);
        }
        for image in self.hashes.iter().flatten() {
            hash.update(image);
        }
        for pair in &self.benchmark.pairs {
            hash.update(pair.a.to_le_bytes());
            hash.update(pair.b.to_le_bytes());
            hash.update([u8::from(pair.mated)]);
        }
        hex(&hash.finalize())
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Failure> {
        self.benchmark.read_image(index).map_err(|error| {
            let status = match error.kind() {
                std::io::ErrorKind::NotFound => Status::NotFound,
                _ => Status::Unreadable,
            };
            Failure::new(status, format!("the file cannot be read: {error}"))
        })
    }

    /// The network's input: the face aligned by the set's own landmarks where the
    /// picture is no crop, else the picture.
    pub(super) fn crop(&self, index: usize, side: usize) -> Result<Crop, Failure> {
        let bytes = self.read(index)?;
        let picture = decode(&bytes, &DecodeLimits::default())?.picture;
        let fit = if self.config.resize { Fit::Resize } else { Fit::Exact };
        let options = CropOptions { side, fit, channels: self.config.channels };
        let is_crop = (picture.width(), picture.height()) == (side, side);
        match self.benchmark.images[index].landmarks {
            Some(landmarks) if !is_crop => {
                let aligned = align(&picture, &Landmarks(landmarks), side);
                let aligned =
                    aligned.map_err(|error| Failure::new(Status::WrongSize, error.to_string()))?;
                let rgb = aligned.crop.rgb().to_vec();
                let picture = attn_fiqa::picture::Picture::from_rgb(side, side, rgb)
                    .expect("a crop is a picture: this is a bug");
                Ok(crop_from_picture(picture, &options)?.0)
            }
            _ => Ok(crop_from_picture(picture, &options)?.0),
        }
    }

    /// What of the settings changes a crop.
    pub(super) fn crop_description(&self) -> String {
        let DatasetConfig { channels, resize, .. } = self.config;
        let aligned = self.benchmark.images.iter().any(|image| image.landmarks.is_some());
        // Landmarks belong to the list and not to the image's bytes.
        let landmarks = if aligned { self.sha256() } else { "none".to_owned() };
        format!("channels={channels:?} resize={resize} landmarks={landmarks}")
    }
}
