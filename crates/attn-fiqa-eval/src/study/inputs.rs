//! The images of a data set, by content.

use std::collections::BTreeMap;

use attn_fiqa::align::{Landmarks, align};
use attn_fiqa::crop::{Crop, CropOptions, Fit, crop_from_image};
use attn_fiqa::decode::{DecodeLimits, decode};
use attn_fiqa::status::{Failure, Status};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::StudyError;
use super::cache::ImageHash;
use super::config::DatasetConfig;
use super::hash::hex;
use crate::benchmark::{Benchmark, BenchmarkImage, BenchmarkKind, ImageSource, pair_list};
use crate::comparisons::Pair;
use crate::files::{Missing, first_names, sanitized};

/// A data set of a study.
pub(super) struct Dataset<'c> {
    pub(super) config: &'c DatasetConfig,
    pub(super) benchmark: Benchmark,
    /// Hash of each image's bytes, computed on demand.
    hashes: Vec<Result<ImageHash, Failure>>,
    /// Positions of the images whose face was not found, and why.
    pub(super) without_face: BTreeMap<usize, Failure>,
}

impl<'c> Dataset<'c> {
    /// Reads its lists and checks that every image exists; no image is read.
    pub(super) fn open(config: &'c DatasetConfig, missing: Missing) -> Result<Self, StudyError> {
        let benchmark = match (&config.pairs, config.kind) {
            (Some(pairs), BenchmarkKind::Pairs) => {
                pair_list(&config.name, pairs, Some(&config.path), missing)?
            }
            _ => config.kind.open(&config.name, &config.path, missing)?,
        };
        Ok(Self { config, benchmark, hashes: Vec::new(), without_face: BTreeMap::new() })
    }

    /// Whether there are images, and not only names.
    pub(super) fn has_images(&self) -> bool {
        !self.benchmark.images.iter().any(|image| matches!(image.source, ImageSource::Unavailable))
    }

    /// An error if the first readable image is not an aligned crop and the study file does not say
    /// what to do about that. `side` is the side of crops.
    pub(super) fn check_size(&self, side: usize) -> Result<(), String> {
        let DatasetConfig { name, resize, align, .. } = self.config;
        if *resize || *align || self.benchmark.images.iter().any(|i| i.landmarks.is_some()) {
            return Ok(());
        }
        let size = |index: usize| {
            let image = decode(&self.read(index).ok()?, &DecodeLimits::default()).ok()?.image;
            Some((index, image.width(), image.height()))
        };
        match (0..self.benchmark.images.len()).find_map(size) {
            Some((index, width, height)) if (width, height) != (side, side) => Err(format!(
                "dataset '{name}': the image '{}' has {width}×{height} pixels and is not an \
                 aligned crop of {side}×{side}; set align = true in its [[dataset]] to have the \
                 face of each image detected and aligned, or resize = true if the images are \
                 aligned faces of another size",
                sanitized(&self.benchmark.images[index].name)
            )),
            _ => Ok(()),
        }
    }

    /// The first few images without a face, quoted.
    pub(super) fn without_face_examples(&self) -> String {
        let name = |&index: &usize| self.benchmark.images[index].name.as_str();
        first_names(self.without_face.keys().map(name))
    }

    /// The hash of every image's bytes; the files are read the first time.
    pub(super) fn hashes(&mut self) -> &[Result<ImageHash, Failure>] {
        if self.hashes.is_empty() {
            let hash = |index: usize| Ok(Sha256::digest(self.read(index)?).into());
            self.hashes = (0..self.benchmark.images.len()).into_par_iter().map(hash).collect();
        }
        &self.hashes
    }

    /// What each image's crop depends on in addition to the settings: its bytes, and its landmarks
    /// if the set has some.
    pub(super) fn keys(&mut self) -> Vec<Result<ImageHash, Failure>> {
        self.hashes();
        let key =
            |(index, (hash, image)): (usize, (&Result<ImageHash, Failure>, &BenchmarkImage))| {
                if let Some(failure) = self.without_face.get(&index) {
                    return Err(failure.clone());
                }
                let hash = hash.clone()?;
                let Some(landmarks) = image.landmarks else { return Ok(hash) };
                let mut key = Sha256::new_with_prefix(hash);
                landmarks.iter().flatten().for_each(|number| key.update(number.to_le_bytes()));
                Ok(key.finalize().into())
            };
        self.hashes.iter().zip(&self.benchmark.images).enumerate().map(key).collect()
    }

    /// One hash over the pairs and, if they were read, the images.
    pub(super) fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for image in &self.benchmark.images {
            hash.update(image.name.as_bytes());
            hash.update([0]);
        }
        for image in self.hashes.iter().flatten() {
            hash.update(image);
        }
        hash_pairs(&mut hash, &self.benchmark.pairs);
        hex(&hash.finalize())
    }

    pub(super) fn read(&self, index: usize) -> Result<Vec<u8>, Failure> {
        self.benchmark.read_image(index).map_err(|error| {
            let status = match error.kind() {
                std::io::ErrorKind::NotFound => Status::NotFound,
                _ => Status::Unreadable,
            };
            Failure::new(status, format!("the file cannot be read: {error}"))
        })
    }

    /// The network's input: the face aligned by the set's own landmarks if it has some, whatever
    /// the size of the image, else the image.
    pub(super) fn crop(&self, index: usize, side: usize) -> Result<Crop, Failure> {
        if let Some(failure) = self.without_face.get(&index) {
            return Err(failure.clone());
        }
        let bytes = self.read(index)?;
        let image = decode(&bytes, &DecodeLimits::default())?.image;
        let fit = if self.config.resize { Fit::Resize } else { Fit::Exact };
        let options = CropOptions { side, fit, channels: self.config.channels };
        match self.benchmark.images[index].landmarks {
            Some(landmarks) => {
                let aligned = align(&image, &Landmarks(landmarks), side);
                let aligned =
                    aligned.map_err(|error| Failure::new(Status::WrongSize, error.to_string()))?;
                let rgb = aligned.crop.rgb().to_vec();
                let image = attn_fiqa::pixels::Image::from_rgb(side, side, rgb)
                    .expect("a crop is an image: this is a bug");
                Ok(crop_from_image(image, &options)?.0)
            }
            None => Ok(crop_from_image(image, &options)?.0),
        }
    }

    /// The settings that affect a crop.
    pub(super) fn crop_description(&self) -> String {
        let DatasetConfig { channels, resize, .. } = self.config;
        let aligned = self.benchmark.images.iter().any(|image| image.landmarks.is_some());
        // The landmarks themselves are part of each image's key.
        let landmarks = if aligned { "each" } else { "none" };
        format!("channels={channels:?} resize={resize} landmarks={landmarks}")
    }
}

/// Adds every pair to a hash, in blocks.
pub(super) fn hash_pairs(hash: &mut Sha256, pairs: &[Pair]) {
    let mut bytes = Vec::new();
    for pairs in pairs.chunks(1 << 12) {
        bytes.clear();
        for pair in pairs {
            bytes.extend(pair.a.to_le_bytes());
            bytes.extend(pair.b.to_le_bytes());
            bytes.push(pair.mated.into());
        }
        hash.update(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const POINTS: [[f32; 2]; 5] =
        [[40.0, 40.0], [70.0, 42.0], [54.0, 60.0], [44.0, 78.0], [66.0, 80.0]];

    /// An IJB-C set of two templates with one image each, both of a crop's size.
    fn two_loose_images(folder: &Path, points: [[f32; 2]; 5]) -> DatasetConfig {
        let numbers: String = points.iter().flatten().map(|n| format!(" {n}")).collect();
        let meta = folder.join("meta");
        let crops = folder.join("loose_crop");
        fs::create_dir_all(&meta).unwrap();
        fs::create_dir_all(&crops).unwrap();
        let write = |name: &str, text: String| fs::write(meta.join(name), text).unwrap();
        write("ijbc_name_5pts_score.txt", format!("1.png{numbers} 1\n2.png{numbers} 1\n"));
        write("ijbc_face_tid_mid.txt", "1.png 1 1\n2.png 2 2\n".to_owned());
        write("ijbc_template_pair_label.txt", "1 2 1\n1 1 0\n".to_owned());
        for name in ["1.png", "2.png"] {
            let pixel = |x: u32, y: u32| image::Rgb([(2 * x) as u8, (2 * y) as u8, (x ^ y) as u8]);
            image::RgbImage::from_fn(112, 112, pixel).save(crops.join(name)).unwrap();
        }
        DatasetConfig {
            name: "ijb-c".to_owned(),
            kind: BenchmarkKind::IjbC,
            path: folder.to_owned(),
            pairs: None,
            channels: attn_fiqa::pixels::ChannelOrder::Rgb,
            resize: false,
            align: false,
        }
    }

    #[test]
    fn crop_sized_ijbc_image_is_aligned_by_landmarks() {
        let folder = tempfile::tempdir().unwrap();
        let config = two_loose_images(folder.path(), POINTS);
        let crop = Dataset::open(&config, Missing::Fail).unwrap().crop(0, 112).unwrap();
        let bytes = fs::read(folder.path().join("loose_crop/1.png")).unwrap();
        let image = decode(&bytes, &DecodeLimits::default()).unwrap().image;
        let expected = align(&image, &Landmarks(POINTS), 112).unwrap().crop;
        assert!(crop.rgb() == expected.rgb(), "not what its landmarks give");
        assert!(crop.rgb() != image.rgb(), "taken as it is");
    }

    #[test]
    fn image_key_depends_on_landmarks_not_pair_list() {
        let folder = tempfile::tempdir().unwrap();
        let keys = |config: &DatasetConfig| {
            let mut dataset = Dataset::open(config, Missing::Fail).unwrap();
            let before = dataset.crop_description();
            let keys: Vec<ImageHash> = dataset.keys().into_iter().map(Result::unwrap).collect();
            // Values read before are unaffected.
            assert_eq!(dataset.crop_description(), before);
            (before, keys)
        };
        let config = two_loose_images(folder.path(), POINTS);
        let first = keys(&config);
        let pairs = folder.path().join("meta/ijbc_template_pair_label.txt");
        fs::write(pairs, "1 2 1\n1 1 0\n2 2 0\n").unwrap();
        assert_eq!(keys(&config), first);
        let mut moved = POINTS;
        moved[2][0] += 1.0;
        let other = keys(&two_loose_images(folder.path(), moved));
        assert!(other.0 == first.0 && other.1[0] != first.1[0]);
    }
}
