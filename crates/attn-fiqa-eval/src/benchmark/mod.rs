//! Image sets with their standard comparisons.
//!
//! A reader takes a folder as the set is distributed, checks that nothing is missing, and returns a
//! [`Benchmark`]: the same type for a list of pairs and for templates of a million images.

mod adience;
mod bin;
mod cfp;
mod folder;
mod ijbc;
mod kind;
mod lfw;
mod pair_list;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::comparisons::{Comparisons, Pair, pair_qualities};
use crate::embeddings::Embeddings;
use crate::error::{EvalError, check_count};

pub use adience::adience;
pub use bin::{insightface_bin, parse_insightface_bin};
pub use cfp::cfp;
pub use ijbc::ijbc;
pub use kind::{ADIENCE_SEED, BenchmarkKind};
pub use lfw::{lfw, person, two_line_lfw, xqlfw};
pub use pair_list::pair_list;

/// A set of images and the comparisons to be made.
#[derive(Debug, Clone)]
pub struct Benchmark {
    /// Its name, such as `lfw`.
    pub name: String,
    /// Its images; qualities and embeddings are in their order.
    pub images: Vec<BenchmarkImage>,
    /// Sets of images that are compared as one; without them, single images are compared.
    pub templates: Option<Vec<Template>>,
    /// Comparisons of images, or of templates if there are any.
    pub pairs: Vec<Pair>,
    /// The fold of each pair, from 0, if the protocol has folds.
    pub folds: Option<Vec<u16>>,
}

/// An image of a benchmark.
#[derive(Debug, Clone)]
pub struct BenchmarkImage {
    /// Its name: unique within the benchmark, and used in quality and embedding files.
    pub name: String,
    /// Where its bytes are.
    pub source: ImageSource,
    /// The person, if the set provides it: equal numbers mean the same person.
    pub identity: Option<u32>,
    /// Eyes, nose tip and mouth corners (x, y) in pixels, from the image's left to right, if the
    /// set provides them.
    pub landmarks: Option<[[f32; 2]; 5]>,
}

impl BenchmarkImage {
    /// Whether its bytes can be read.
    pub(crate) fn is_there(&self) -> bool {
        match &self.source {
            ImageSource::File(path) => path.is_file(),
            ImageSource::Packed { .. } => true,
            ImageSource::Unavailable => false,
        }
    }

    /// An image with only a name and a source.
    pub(crate) fn new(name: impl Into<String>, source: ImageSource) -> Self {
        Self { name: name.into(), source, identity: None, landmarks: None }
    }
}

/// Where an image's bytes are.
#[derive(Debug, Clone)]
pub enum ImageSource {
    /// A file.
    File(PathBuf),
    /// A part of a file that is in memory.
    Packed {
        /// The whole file.
        bytes: Arc<Vec<u8>>,
        /// The part that is this image, still encoded.
        range: Range<usize>,
    },
    /// Unavailable: the list of pairs was read without a folder of images.
    Unavailable,
}

/// Images of one person that are compared as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its number in the set's files.
    pub id: u32,
    /// Its images by index, each with its media number: a still image has its own, frames of one
    /// video share one.
    pub images: Vec<(u32, u32)>,
}

impl Benchmark {
    /// How many units are compared: templates if there are any, else images.
    pub fn template_count(&self) -> usize {
        self.templates.as_ref().map_or(self.images.len(), Vec::len)
    }

    /// The names of the images, for looking up their qualities and embeddings.
    pub fn names(&self) -> Vec<String> {
        self.images.iter().map(|image| image.name.clone()).collect()
    }

    /// The encoded bytes of an image.
    ///
    /// # Errors
    ///
    /// If its file cannot be read, or the benchmark was read without images.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn read_image(&self, index: usize) -> io::Result<Vec<u8>> {
        match &self.images[index].source {
            ImageSource::File(path) => fs::read(path),
            ImageSource::Packed { bytes, range } => Ok(bytes[range.clone()].to_vec()),
            ImageSource::Unavailable => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the list of pairs was read without a folder of images",
            )),
        }
    }

    /// The quality of each compared unit: an image's own, or the lowest of a template's images.
    ///
    /// # Errors
    ///
    /// If there is not one quality per image.
    pub fn template_qualities(&self, images: &[f64]) -> Result<Vec<f64>, EvalError> {
        check_count(("qualities", images.len()), ("images", self.images.len()))?;
        let Some(templates) = &self.templates else { return Ok(images.to_vec()) };
        let lowest = |template: &Template| {
            let of_images = template.images.iter().map(|&(image, _)| images[image as usize]);
            // A NaN must not be dropped by a comparison that it always loses.
            of_images.fold(f64::INFINITY, |a, b| {
                if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
            })
        };
        Ok(templates.iter().map(lowest).collect())
    }

    /// The quality of each pair: the lower of the two.
    ///
    /// # Errors
    ///
    /// If there is not one quality per image, or one is NaN.
    pub fn pair_qualities(&self, images: &[f64]) -> Result<Vec<f64>, EvalError> {
        pair_qualities(&self.template_qualities(images)?, &self.pairs)
    }

    /// The embedding of each compared unit: an image's own, or for a template the sum over its
    /// media of the mean over each media's images, from the embeddings as given.
    ///
    /// # Errors
    ///
    /// If there is not one embedding per image, or a template's is zero.
    pub fn template_embeddings(&self, images: &Embeddings) -> Result<Embeddings, EvalError> {
        check_count(("embeddings", images.len()), ("images", self.images.len()))?;
        if self.templates.is_none() {
            return Ok(images.clone());
        }
        let row = |image: u32, row: &mut [f32]| {
            row.copy_from_slice(images.row(image as usize));
            Ok(true)
        };
        self.gather_embeddings(images.dim(), row)
    }

    /// As [`Self::template_embeddings`], from embeddings of `dim` numbers that are read one by one,
    /// so that not all of them need to be in memory: `read` copies the embedding of an image and
    /// returns whether it has one. A unit without any gets an embedding of length 1.
    pub(crate) fn gather_embeddings<E: From<EvalError>>(
        &self,
        dim: usize,
        mut read: impl FnMut(u32, &mut [f32]) -> Result<bool, E>,
    ) -> Result<Embeddings, E> {
        let mut values = vec![0.0; self.template_count() * dim];
        let mut rows = values.chunks_exact_mut(dim);
        match &self.templates {
            None => {
                for (row, image) in rows.by_ref().zip(0..) {
                    if !read(image, row)? {
                        unused_placeholder(row);
                    }
                }
            }
            Some(templates) => {
                let (mut embedding, mut sum) = (vec![0.0; dim], vec![0.0; dim]);
                for (template, row) in templates.iter().zip(rows) {
                    sum.fill(0.0);
                    let mut members = template.images.clone();
                    members.sort_by_key(|&(_, media)| media);
                    for media in members.chunk_by(|a, b| a.1 == b.1) {
                        for &(image, _) in media {
                            if !read(image, &mut embedding)? {
                                continue;
                            }
                            for (sum, &value) in sum.iter_mut().zip(&embedding) {
                                *sum += f64::from(value) / media.len() as f64;
                            }
                        }
                    }
                    row.iter_mut().zip(&sum).for_each(|(value, &sum)| *value = sum as f32);
                    if members.is_empty() {
                        unused_placeholder(row);
                    }
                }
            }
        }
        Ok(Embeddings::new(dim, values)?)
    }

    /// The comparison scores: cosines between the compared units.
    ///
    /// # Errors
    ///
    /// If there is not one embedding per image, or all pairs are of one kind.
    pub fn comparisons(&self, images: &Embeddings) -> Result<Comparisons, EvalError> {
        if self.templates.is_none() {
            check_count(("embeddings", images.len()), ("images", self.images.len()))?;
            return Comparisons::from_embeddings(images, &self.pairs);
        }
        Comparisons::from_embeddings(&self.template_embeddings(images)?, &self.pairs)
    }

    /// The two identities of each pair, numbered from 0, for intervals over persons; `None` if the
    /// set does not provide all of them.
    pub fn pair_identities(&self) -> Option<Vec<[u32; 2]>> {
        let identity = |template: u32| match &self.templates {
            Some(templates) => {
                let (image, _) = *templates[template as usize].images.first()?;
                self.images[image as usize].identity
            }
            None => self.images[template as usize].identity,
        };
        self.pairs.iter().map(|pair| Some([identity(pair.a)?, identity(pair.b)?])).collect()
    }
}

/// An embedding for units that no comparison refers to.
fn unused_placeholder(row: &mut [f32]) {
    row.fill(0.0);
    row.iter_mut().take(1).for_each(|value| *value = 1.0);
}
