//! Scores and embeddings of a data set: from the cache, else from the network, batch by batch.

use std::collections::BTreeMap;
use std::path::Path;

use attn_fiqa::crop::Crop;
use attn_fiqa::recognise::{joined_with_mirror, mirrored};
use attn_fiqa::score::Method;
use attn_fiqa::status::Failure;
use rayon::prelude::*;

use super::StudyError;
use super::cache::{ImageHash, Table};
use super::config::CropMeasure;
use super::inputs::Dataset;
use super::network::{self, CROP_SIDE, Network};

/// Number of images computed together, and lost together when a run is killed.
const BATCH: usize = 32;

/// Incremented when the same images and weights give different values.
const VERSION: u32 = 1;

/// Progress of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The step, such as `scores of lfw`.
    pub step: String,
    /// Parts done.
    pub done: usize,
    /// Number of parts.
    pub total: usize,
}

/// One value per image.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// In the images' order; minus infinity if an image could not be used.
    pub(super) scores: Vec<f64>,
    /// Names of the images that could not be used, and why.
    pub(super) failures: Vec<(String, Failure)>,
}

/// Embeddings of every image, which stay in the cache's file.
pub(super) struct ImageEmbeddings {
    table: Table,
    keys: Vec<Result<ImageHash, Failure>>,
    /// Length of an embedding.
    pub(super) width: usize,
    /// Names of the images that could not be used, and why.
    pub(super) failures: Vec<(String, Failure)>,
    /// Number of rows from earlier runs.
    pub(super) from_cache: usize,
}

impl ImageEmbeddings {
    /// Whether each image has an embedding.
    pub(super) fn present(&self) -> Vec<bool> {
        let is_there = |key: &Result<ImageHash, Failure>| {
            key.as_ref().is_ok_and(|key| self.table.contains(key))
        };
        self.keys.iter().map(is_there).collect()
    }

    /// A reader of single embeddings: copies that of an image and returns whether it has one.
    pub(super) fn reader(
        &self,
    ) -> Result<impl FnMut(u32, &mut [f32]) -> Result<bool, StudyError>, StudyError> {
        let mut reader = self.table.reader()?;
        Ok(move |image: u32, row: &mut [f32]| match &self.keys[image as usize] {
            Ok(key) => reader.read(key, row),
            Err(_) => Ok(false),
        })
    }
}

/// One column per method.
pub(super) fn attention_scores(
    dataset: &mut Dataset<'_>,
    network: &Network,
    methods: &[Method],
    cache: &Path,
    on_progress: &dyn Fn(Progress),
) -> Result<Vec<Column>, StudyError> {
    let crop = dataset.crop_description();
    let mut tables = Vec::new();
    for method in methods {
        let what = format!("v{VERSION} score {method} model={} {crop}", network.sha256);
        tables.push(Table::open(cache, &what, 1)?);
    }
    let step = format!("scores of {} by {}", dataset.config.name, network.name);
    let assess = |crops: &[Crop], wanted: &[usize]| {
        let methods: Vec<Method> = wanted.iter().map(|&table| methods[table]).collect();
        let outcomes = network.assess(crops, &network::scores(&methods)).into_iter();
        let split = |scores: Vec<f32>| scores.into_iter().map(|score| vec![score]).collect();
        outcomes.map(|outcome| Ok(split(outcome?.scores))).collect()
    };
    let filled = fill(dataset, &mut tables, network.side(), &step, on_progress, assess)?;
    tables.iter().map(|table| column(table, &filled)).collect()
}

/// Embeddings as the network gives them; with `flip`, those of the image and of its mirror image,
/// each normalised, concatenated. For a quality network, rows of one value.
pub(super) fn embeddings(
    dataset: &mut Dataset<'_>,
    network: &Network,
    flip: bool,
    cache: &Path,
    on_progress: &dyn Fn(Progress),
) -> Result<ImageEmbeddings, StudyError> {
    let one = Crop::from_rgb(network.side(), vec![128; network.side() * network.side() * 3])
        .expect("a grey crop: this is a bug");
    let width = match &embed(network, &[one], flip)[0] {
        Ok(row) => row.len(),
        Err(failure) => {
            let what = format!("{} gives no embedding of a grey image", network.name);
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
    let assess = |crops: &[Crop], _: &[usize]| {
        let rows = embed(network, crops, flip).into_iter();
        rows.map(|row| Ok(vec![row?])).collect()
    };
    let filled = fill(dataset, &mut tables, network.side(), &step, on_progress, assess)?;
    let ([table], Filled { keys, failures, from_cache }) = (tables, filled);
    Ok(ImageEmbeddings { table, keys, width, failures, from_cache })
}

/// The values of a quality network.
pub(super) fn quality_scores(
    dataset: &mut Dataset<'_>,
    network: &Network,
    cache: &Path,
    on_progress: &dyn Fn(Progress),
) -> Result<Column, StudyError> {
    let ImageEmbeddings { table, keys, failures, from_cache, .. } =
        embeddings(dataset, network, false, cache, on_progress)?;
    column(&table, &Filled { keys, failures, from_cache })
}

/// A measure of every crop.
pub(super) fn crop_measures(
    dataset: &mut Dataset<'_>,
    measure: CropMeasure,
    cache: &Path,
    on_progress: &dyn Fn(Progress),
) -> Result<Column, StudyError> {
    let what = format!("v{VERSION} {} {CROP_SIDE} {}", measure.name(), dataset.crop_description());
    let mut tables = [Table::open(cache, &what, 1)?];
    let step = format!("{} of {}", measure.name(), dataset.config.name);
    let assess = |crops: &[Crop], _: &[usize]| -> Vec<RowOfEach> {
        crops.par_iter().map(|crop| Ok(vec![vec![measure.compute(crop)]])).collect()
    };
    let filled = fill(dataset, &mut tables, CROP_SIDE, &step, on_progress, assess)?;
    column(&tables[0], &filled)
}

/// The column of a single-column table.
fn column(table: &Table, filled: &Filled) -> Result<Column, StudyError> {
    let mut reader = table.reader()?;
    let mut score = |key: &Result<ImageHash, Failure>| {
        let mut value = [0.0];
        let found = match key {
            Ok(key) => reader.read(key, &mut value)?,
            Err(_) => false,
        };
        Ok(if found { f64::from(value[0]) } else { f64::NEG_INFINITY })
    };
    let scores: Result<_, StudyError> = filled.keys.iter().map(&mut score).collect();
    Ok(Column { scores: scores?, failures: filled.failures.clone() })
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

/// A row for every table that lacks the image, or why there is none.
type RowOfEach = Result<Vec<Vec<f32>>, Failure>;

/// The result of completing tables.
struct Filled {
    /// The keys of each image's rows.
    keys: Vec<Result<ImageHash, Failure>>,
    /// Names of the images that could not be used, and why.
    failures: Vec<(String, Failure)>,
    /// Number of images that already had every row.
    from_cache: usize,
}

/// Completes the tables. `assess` receives crops and the indices of the tables that lack a row for
/// them: rows that one table already has are not recomputed because of another.
fn fill(
    dataset: &mut Dataset<'_>,
    tables: &mut [Table],
    side: usize,
    step: &str,
    on_progress: &dyn Fn(Progress),
    assess: impl Fn(&[Crop], &[usize]) -> Vec<RowOfEach>,
) -> Result<Filled, StudyError> {
    let keys = dataset.keys();
    let total = keys.len();
    let mut failed: Vec<(usize, Failure)> = Vec::new();
    let mut missing: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (index, key) in keys.iter().enumerate() {
        match key {
            Ok(key) => {
                let lacks = |&table: &usize| !tables[table].contains(key);
                let lacking: Vec<usize> = (0..tables.len()).filter(lacks).collect();
                if !lacking.is_empty() {
                    missing.entry(lacking).or_default().push(index);
                }
            }
            Err(failure) => failed.push((index, failure.clone())),
        }
    }
    let from_cache = total - missing.values().map(Vec::len).sum::<usize>();
    let mut done = from_cache;
    on_progress(Progress { step: step.to_owned(), done, total });
    let batches = missing.iter().flat_map(|(lacking, indices)| {
        indices.chunks(BATCH).map(move |batch| (lacking.as_slice(), batch))
    });
    for (lacking, batch) in batches {
        let crops: Vec<Result<Crop, Failure>> =
            batch.par_iter().map(|&index| dataset.crop(index, side)).collect();
        let good: Vec<Crop> = crops.iter().filter_map(|crop| crop.clone().ok()).collect();
        let mut assessed = assess(&good, lacking).into_iter();
        let mut rows: Vec<Vec<(usize, Vec<f32>)>> = vec![Vec::new(); lacking.len()];
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
        for (&table, rows) in lacking.iter().zip(&rows) {
            let keyed = rows
                .iter()
                .filter_map(|(index, row)| Some((*keys[*index].as_ref().ok()?, row.as_slice())));
            tables[table].append(keyed)?;
        }
        done += batch.len();
        on_progress(Progress { step: step.to_owned(), done, total });
    }
    failed.sort_by_key(|(index, _)| *index);
    let name = |index: usize| dataset.benchmark.images[index].name.clone();
    let failures: Vec<(String, Failure)> =
        failed.into_iter().map(|(index, failure)| (name(index), failure)).collect();
    if !keys.iter().flatten().any(|key| tables.iter().all(|table| table.contains(key))) {
        let first = failures.first();
        let first = first.map_or(String::new(), |(name, failure)| format!("{name}: {failure}"));
        return Err(StudyError::NoImage { what: step.to_owned(), images: total, first });
    }
    Ok(Filled { keys, failures, from_cache })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;

    use super::*;
    use crate::benchmark::BenchmarkKind;
    use crate::study::config::DatasetConfig;

    /// A folder of `count` distinct images with a list of pairs.
    fn images(folder: &Path, count: u8) -> DatasetConfig {
        let mut pairs = String::new();
        for number in 0..count {
            let colour = image::Rgb([number, 50, 200]);
            let image = image::RgbImage::from_pixel(112, 112, colour);
            image.save(folder.join(format!("i{number}.png"))).unwrap();
            pairs += &format!("i{number} i{} {}\n", (number + 1) % count, number % 2);
        }
        fs::write(folder.join("pair_list.txt"), pairs).unwrap();
        DatasetConfig {
            name: "set".to_owned(),
            kind: BenchmarkKind::Pairs,
            path: folder.to_owned(),
            pairs: None,
            channels: attn_fiqa::pixels::ChannelOrder::Rgb,
            resize: false,
            align: false,
        }
    }

    #[test]
    fn added_or_reordered_methods_compute_only_new_scores() {
        let folder = tempfile::tempdir().unwrap();
        let config = images(folder.path(), 40);
        let cache = folder.path().join("cache");
        // What each run computes: methods and number of crops.
        let run = |methods: &[&str]| {
            let mut tables: Vec<Table> =
                methods.iter().map(|method| Table::open(&cache, method, 1).unwrap()).collect();
            let computed = RefCell::new(BTreeMap::new());
            let assess = |crops: &[Crop], wanted: &[usize]| -> Vec<RowOfEach> {
                for &table in wanted {
                    *computed.borrow_mut().entry(methods[table].to_owned()).or_insert(0) +=
                        crops.len();
                }
                let value = |crop: &Crop, table: usize| {
                    f32::from(crop.rgb()[0]) + 1000.0 * methods[table].len() as f32
                };
                let rows =
                    |crop| Ok(wanted.iter().map(|&table| vec![value(crop, table)]).collect());
                crops.iter().map(rows).collect()
            };
            let mut dataset = Dataset::open(&config, crate::files::Missing::Fail).unwrap();
            let filled = fill(&mut dataset, &mut tables, 112, "step", &|_| {}, assess).unwrap();
            for (table, method) in tables.iter().zip(methods) {
                let scores = column(table, &filled).unwrap().scores;
                let start = 1000.0 * method.len() as f64;
                // The list contains i1 before i2, i3, …
                assert_eq!(scores[..3], [start, start + 1.0, start + 2.0], "{method}");
            }
            computed.into_inner().into_iter().collect::<Vec<(String, usize)>>()
        };
        let all = |method: &str| (method.to_owned(), 40);
        assert_eq!(run(&["a"]), [all("a")]);
        assert_eq!(run(&["a", "bb"]), [all("bb")]);
        assert_eq!(run(&["ccc", "bb", "a"]), [all("ccc")]);
        assert_eq!(run(&["bb", "a"]), []);
    }
}
