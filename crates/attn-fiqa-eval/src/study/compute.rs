//! Scores and embeddings of a data set: from the cache, else from the network,
//! batch by batch.

use std::path::Path;

use attn_fiqa::crop::Crop;
use attn_fiqa::measure::sharpness;
use attn_fiqa::recognise::{joined_with_mirror, mirrored};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use rayon::prelude::*;

use super::StudyError;
use super::cache::Table;
use super::inputs::Dataset;
use super::network::{self, CROP_SIDE, Network};

/// Images that are computed together, and lost together when a run is killed.
const BATCH: usize = 32;

/// Raised when the same images and weights come to give other numbers.
const VERSION: u32 = 1;

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The step, such as `scores of lfw`.
    pub step: String,
    /// Parts done.
    pub done: usize,
    /// Parts in all.
    pub total: usize,
}

/// What a network said about the images of a set, in their order.
pub(super) struct Rows {
    /// A row an image; `None` where the image could not be used.
    pub(super) rows: Vec<Option<Vec<f32>>>,
    /// Names of the images that could not be used, and why.
    pub(super) failures: Vec<(String, Failure)>,
    /// How many rows were there before.
    pub(super) from_cache: usize,
}

/// One column a method.
pub(super) fn attention_scores(
    dataset: &mut Dataset<'_>,
    network: &Network,
    methods: &[Method],
    cache: &Path,
    tell: &dyn Fn(Progress),
) -> Result<Rows, StudyError> {
    let crop = dataset.crop_description();
    let mut tables = Vec::new();
    for method in methods {
        let what = format!("v{VERSION} score {method} model={} {crop}", network.sha256);
        tables.push(Table::open(cache, &what, 1)?);
    }
    let request = network::scores(methods);
    let step = format!("scores of {} by {}", dataset.config.name, network.name);
    let assess = |crops: &[Crop]| {
        let outcomes = network.assess(crops, &request).into_iter();
        let split = |scores: Vec<f32>| scores.into_iter().map(|score| vec![score]).collect();
        outcomes.map(|outcome| Ok(split(outcome?.scores))).collect()
    };
    fill(dataset, &mut tables, network.side(), &step, tell, assess)
}

/// Embeddings as the network gives them; with `flip` that of the image and of its
/// mirror image, each normalised, one after the other. Of a quality network rows of
/// one number.
pub(super) fn embeddings(
    dataset: &mut Dataset<'_>,
    network: &Network,
    flip: bool,
    cache: &Path,
    tell: &dyn Fn(Progress),
) -> Result<Rows, StudyError> {
    let one = Crop::from_rgb(network.side(), vec![128; network.side() * network.side() * 3])
        .expect("a grey crop: this is a bug");
    let width = match &embed(network, &[one], flip)[0] {
        Ok(row) => row.len(),
        Err(failure) => {
            let what = format!("{} gives no embedding of a grey picture", network.name);
            return Err(StudyError::NoImage { what, images: 1, first: failure.to_string() });
        }
    };
    let (crop, input) = (dataset.crop_description(), &network.input);
    let mut what = format!("v{VERSION} embedding flip={flip} model={} {crop}", network.sha256);
    if !input.is_empty() {
        what += &format!(" input={input}");
    }
    let mut tables = [Table::open(cache, &what, width)?];
    let step = format!("embeddings of {} by {}", dataset.config.name, network.name);
    let assess = |crops: &[Crop]| {
        let rows = embed(network, crops, flip).into_iter();
        rows.map(|row| Ok(vec![row?])).collect()
    };
    fill(dataset, &mut tables, network.side(), &step, tell, assess)
}

/// Sharpness of every crop, rows of one number.
pub(super) fn sharpness_of_crops(
    dataset: &mut Dataset<'_>,
    cache: &Path,
    tell: &dyn Fn(Progress),
) -> Result<Rows, StudyError> {
    let what = format!("v{VERSION} laplacian {CROP_SIDE} {}", dataset.crop_description());
    let mut tables = [Table::open(cache, &what, 1)?];
    let step = format!("sharpness of {}", dataset.config.name);
    let assess = |crops: &[Crop]| -> Vec<RowOfEach> {
        crops.par_iter().map(|crop| Ok(vec![vec![sharpness(crop)]])).collect()
    };
    fill(dataset, &mut tables, CROP_SIDE, &step, tell, assess)
}

fn embed(network: &Network, crops: &[Crop], flip: bool) -> Vec<Result<Vec<f32>, Failure>> {
    let straight = network.embed(crops);
    if !flip {
        return straight;
    }
    let mirrors: Vec<Crop> = crops.iter().map(mirrored).collect();
    let pairs = straight.into_iter().zip(network.embed(&mirrors));
    pairs.map(|(straight, mirror)| Ok(joined_with_mirror(&straight?, &mirror?))).collect()
}

/// A row for every table, or what is wrong with the image.
type RowOfEach = Result<Vec<Vec<f32>>, Failure>;

/// Completes the tables and gives their rows side by side.
fn fill(
    dataset: &mut Dataset<'_>,
    tables: &mut [Table],
    side: usize,
    step: &str,
    tell: &dyn Fn(Progress),
    assess: impl Fn(&[Crop]) -> Vec<RowOfEach>,
) -> Result<Rows, StudyError> {
    let hashes = dataset.hashes().to_vec();
    let total = hashes.len();
    let known = |tables: &[Table], index: usize| match &hashes[index] {
        Ok(hash) => tables.iter().all(|table| table.get(hash).is_some()),
        Err(_) => true,
    };
    let missing: Vec<usize> = (0..total).filter(|&index| !known(tables, index)).collect();
    let from_cache = total - missing.len();
    let mut failed: Vec<(usize, Failure)> = hashes
        .iter()
        .enumerate()
        .filter_map(|(index, hash)| Some((index, hash.as_ref().err()?.clone())))
        .collect();
    let mut done = from_cache;
    tell(Progress { step: step.to_owned(), done, total });
    for batch in missing.chunks(BATCH) {
        let crops: Vec<Result<Crop, Failure>> =
            batch.par_iter().map(|&index| dataset.crop(index, side)).collect();
        let good: Vec<Crop> = crops.iter().filter_map(|crop| crop.clone().ok()).collect();
        let mut assessed = assess(&good).into_iter();
        let mut rows: Vec<Vec<(usize, Vec<f32>)>> = vec![Vec::new(); tables.len()];
        for (&index, crop) in batch.iter().zip(crops) {
            let outcome =
                crop.and_then(|_| assessed.next().expect("one outcome a crop: this is a bug"));
            match outcome {
                Ok(of_each) => {
                    for (rows, row) in rows.iter_mut().zip(of_each) {
                        rows.push((index, row));
                    }
                }
                Err(failure) => failed.push((index, failure)),
            }
        }
        for (table, rows) in tables.iter_mut().zip(&rows) {
            let hashed = rows
                .iter()
                .filter_map(|(index, row)| Some((*hashes[*index].as_ref().ok()?, row.as_slice())));
            table.append(hashed)?;
        }
        done += batch.len();
        tell(Progress { step: step.to_owned(), done, total });
    }
    let row = |hash: &Result<_, Failure>| {
        let hash = hash.as_ref().ok()?;
        let parts: Option<Vec<&[f32]>> = tables.iter().map(|table| table.get(hash)).collect();
        Some(parts?.concat())
    };
    failed.sort_by_key(|(index, _)| *index);
    let name = |index: usize| dataset.benchmark.images[index].name.clone();
    let failures: Vec<(String, Failure)> =
        failed.into_iter().map(|(index, failure)| (name(index), failure)).collect();
    let rows: Vec<Option<Vec<f32>>> = hashes.iter().map(row).collect();
    if rows.iter().all(Option::is_none) {
        let first = failures.first();
        let first = first.map_or(String::new(), |(name, failure)| format!("{name}: {failure}"));
        return Err(StudyError::NoImage { what: step.to_owned(), images: total, first });
    }
    Ok(Rows { rows, failures, from_cache })
}
