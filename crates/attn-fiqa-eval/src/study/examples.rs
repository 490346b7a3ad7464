//! The best and the worst images of a method, as examples.

use std::path::Path;

use attn_fiqa::crop::Crop;
use attn_fiqa::engine::Request;
use attn_fiqa::score::Method;
use attn_fiqa::visualize::{ColorRange, MapStyle, PatchGrid, RangeOverSet, overlay};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::StudyError;
use super::cache::write_atomic;
use super::hash::hex;
use super::inputs::Dataset;
use super::network::{CROP_SIDE, Network};
use super::results::FaceRecord;

/// Quality of the JPEG files: faces of 112 pixels in 5 kB.
const JPEG_QUALITY: u8 = 88;

/// A method's network, if its score has a map.
pub(super) struct MapSource<'n> {
    pub(super) network: &'n Network,
    pub(super) method: Method,
}

/// Where example images are written.
pub(super) struct ExampleFiles<'a> {
    /// They are in `faces` inside this folder.
    pub(super) folder: &'a Path,
    /// Distinguishes the maps of data sets and methods.
    pub(super) tag: &'a str,
}

/// The images with the lowest and with the highest finite scores, as examples.
pub(super) fn extremes(
    dataset: &mut Dataset<'_>,
    scores: &[f64],
    count: usize,
    map_source: Option<&MapSource<'_>>,
    files: &ExampleFiles<'_>,
) -> Result<(Vec<FaceRecord>, Vec<FaceRecord>), StudyError> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| scores[i].is_finite()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let worst: Vec<usize> = order.iter().copied().take(count).collect();
    let best: Vec<usize> = order.iter().rev().copied().take(count).collect();
    let chosen: Vec<usize> = worst.iter().chain(&best).copied().collect();
    let mut records: Vec<FaceRecord> = chosen
        .iter()
        .map(|&index| FaceRecord {
            image: dataset.benchmark.images[index].name.clone(),
            score: scores[index],
            face: None,
            map: None,
        })
        .collect();
    if dataset.has_images() {
        draw_examples(dataset, &chosen, map_source, files, &mut records)?;
    }
    let best = records.split_off(worst.len());
    Ok((records, best))
}

fn draw_examples(
    dataset: &mut Dataset<'_>,
    chosen: &[usize],
    map_source: Option<&MapSource<'_>>,
    files: &ExampleFiles<'_>,
    records: &mut [FaceRecord],
) -> Result<(), StudyError> {
    let ExampleFiles { folder, tag } = *files;
    let side = map_source.map_or(CROP_SIDE, |map_source| map_source.network.side());
    let names: Vec<Option<String>> = {
        let hashes = dataset.hashes();
        let name = |&index: &usize| hashes[index].as_ref().ok().map(|hash| hex(&hash[..8]));
        chosen.iter().map(name).collect()
    };
    let crops: Vec<Option<Crop>> =
        chosen.iter().map(|&index| dataset.crop(index, side).ok()).collect();
    for ((crop, name), record) in crops.iter().zip(&names).zip(records.iter_mut()) {
        if let (Some(crop), Some(name)) = (crop, name) {
            let file = format!("faces/{name}.jpg");
            write_jpeg(&folder.join(&file), crop.rgb(), side)?;
            record.face = Some(file);
        }
    }
    let Some(MapSource { network, method }) = map_source else { return Ok(()) };
    let good: Vec<Crop> = crops.iter().flatten().cloned().collect();
    let request = Request { received: true, ..Request::new(*method) };
    let mut maps = network.assess(&good, &request).into_iter();
    let maps: Vec<Option<Vec<f32>>> = crops
        .iter()
        .map(|crop| {
            crop.as_ref()?;
            Some(maps.next()?.ok()?.received?.mean.values().to_vec())
        })
        .collect();
    let mut range = RangeOverSet::default();
    for map in maps.iter().flatten() {
        range.include(map);
    }
    let Some(range) = range.range() else { return Ok(()) };
    for (((crop, map), name), record) in crops.iter().zip(&maps).zip(&names).zip(records) {
        if let (Some(crop), Some(map), Some(name)) = (crop, map, name)
            && let Some(rgb) = overlaid(crop, map, range)
        {
            let file = format!("faces/{name}-{tag}.jpg");
            write_jpeg(&folder.join(&file), &rgb, side)?;
            record.map = Some(file);
        }
    }
    Ok(())
}

fn overlaid(crop: &Crop, map: &[f32], range: ColorRange) -> Option<Vec<u8>> {
    let grid = (map.len() as f64).sqrt() as usize;
    let grid = PatchGrid::new(map, grid, grid).ok()?;
    let style = MapStyle { side: crop.side(), ..MapStyle::new(range) };
    Some(overlay(crop, &grid, &style).ok()?.rgb)
}

fn write_jpeg(path: &Path, rgb: &[u8], side: usize) -> Result<(), StudyError> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    let side = side as u32;
    encoder.encode(rgb, side, side, ExtendedColorType::Rgb8).map_err(|error| {
        StudyError::UnexpectedContent { path: path.to_owned(), problem: error.to_string() }
    })?;
    write_atomic(path, &bytes)
}
