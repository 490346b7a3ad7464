//! The worst and the best images of each method.

use std::fs;
use std::path::{Component, Path};

use maud::{Markup, html};

use super::super::html::data_uri;
use crate::study::results::{FaceRecord, QualityRecord, Results};

/// Larger than any face image that a run writes.
const MAX_FACE_BYTES: u64 = 1 << 20;

/// `None` if no method has images.
pub(super) fn content(folder: &Path, results: &Results) -> Option<Markup> {
    let has_pictures = |record: &&QualityRecord| {
        record.worst.iter().chain(&record.best).any(|face| face.face.is_some())
    };
    let records: Vec<&QualityRecord> = results.qualities.iter().filter(has_pictures).collect();
    let content = || {
        html! {
            @for (index, record) in records.iter().enumerate() {
                // Only the first is open: it shows what the others contain.
                details open[index == 0] {
                    summary { (record.dataset) ", " (record.method) }
                    @for (title, faces) in [("Worst", &record.worst), ("Best", &record.best)] {
                        h4 { (title) }
                        ul.faces { @for face in faces { (item(folder, face)) } }
                    }
                }
            }
        }
    };
    (!records.is_empty()).then(content)
}

fn item(folder: &Path, record: &FaceRecord) -> Markup {
    let name = &record.image;
    html! {
        li {
            (picture(folder, record.face.as_deref(), &format!("Face of {name}")))
            (picture(folder, record.map.as_deref(), &format!("Attention over {name}")))
            span title=(name) { (name) }
            b { (format!("{:.4}", record.score)) }
        }
    }
}

fn picture(folder: &Path, file: Option<&str>, alt: &str) -> Markup {
    html! {
        @if let Some(bytes) = file.and_then(|file| read_jpeg(folder, file)) {
            img src=(data_uri("image/jpeg", &bytes)) alt=(alt) width="112" height="112";
        }
    }
}

/// An image named in the record, which must be inside the run's folder.
fn read_jpeg(folder: &Path, file: &str) -> Option<Vec<u8>> {
    let file = Path::new(file);
    if !file.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let path = folder.join(file);
    let size = fs::metadata(&path).ok()?.len();
    if size > MAX_FACE_BYTES {
        return None;
    }
    fs::read(path).ok().filter(|bytes| bytes.starts_with(&[0xff, 0xd8]))
}
