//! How well a detector finds faces, against a reference.

use std::io::Write;

use attn_fiqa::detect::{Detector, Face};
use attn_fiqa::pipeline::FacesRow;
use attn_fiqa::threads::Threads;
use attn_fiqa_eval::detection::{DetectionAccuracy, MATCH_IOU, WIDTH_EDGES};

use super::truth::Truth;
use crate::args::{DetectArgs, RunOptions};
use crate::exit::Exit;
use crate::journal::Images;
use crate::log;
use crate::output::Destination;

/// Landmarks within this fraction of the inter-eye distance count as correct.
const GOOD_LANDMARKS: f32 = 0.04;

/// The source of the faces that should be found.
enum Reference {
    Detector { detector: Box<Detector>, sure: f32, doubtful: f32 },
    Truth(Truth),
}

pub(super) fn run(
    args: &DetectArgs,
    run: &RunOptions,
    threads: &Threads,
    detector: &Detector,
) -> anyhow::Result<Exit> {
    let mut reference = match (&args.reference, &args.truth) {
        (Some(file), _) => {
            let detector = Box::new(Detector::open(file, threads)?.upright_only());
            let sure = args.reference_min_score;
            Reference::Detector {
                detector,
                sure,
                doubtful: args.reference_doubtful_score.min(sure),
            }
        }
        (None, Some(file)) => Reference::Truth(Truth::read(file)?),
        (None, None) => anyhow::bail!("--evaluate needs --reference or --truth: this is a bug"),
    };
    let sources = args.input.open()?;
    let mut output = Destination::open(args.output.as_deref())?;
    let mut agreement = DetectionAccuracy::default();
    let mut missed = Vec::new();
    let mut unknown = 0;
    let summary = super::find(args, run, Images::all(sources), threads, detector, |row, _| {
        let found = match (&row.faces, &reference) {
            (Ok(found), _) => found.as_slice(),
            // An image that cannot be read: its faces are missed, if they are known.
            (Err(_), Reference::Truth(_)) => &[],
            (Err(_), Reference::Detector { .. }) => return Ok(()),
        };
        match reference.faces(&row)? {
            Some((expected, doubtful)) => {
                let missing = agreement.add(&expected, &doubtful, found);
                if missing > 0 && args.missed {
                    missed.push((row.path, missing, expected.len()));
                }
            }
            None => {
                unknown += 1;
                log::debug(format!("{}: not in the truth", row.path));
            }
        }
        Ok(())
    })?;
    if unknown > 0 {
        log::note(format!("{unknown} images are not in the truth and were left out"));
    }
    if let Reference::Truth(truth) = &reference {
        let left = truth.left();
        if left > 0 {
            log::note(format!("{left} images of the truth were not among the inputs"));
        }
    }
    output.write_all(describe(&agreement).as_bytes())?;
    for (path, missing, expected) in missed {
        writeln!(output, "missed             {missing} of {expected} in {path}")?;
    }
    output.finish()?;
    Ok(summary.finish())
}

impl Reference {
    /// The faces that should be found and those that may be; `None` if unknown.
    fn faces(&mut self, row: &FacesRow) -> anyhow::Result<Option<(Vec<Face>, Vec<Face>)>> {
        match self {
            Self::Detector { detector, sure, doubtful } => {
                let photo = row.photo.as_ref().expect("a photo was not kept: this is a bug");
                let faces = detector.detect(photo, *doubtful)?.into_iter();
                Ok(Some(faces.partition(|face| face.confidence >= *sure)))
            }
            Self::Truth(truth) => Ok(truth.take(row).map(|faces| (faces, Vec::new()))),
        }
    }
}

/// Label and value on every line, for people and for `grep`.
fn describe(agreement: &DetectionAccuracy) -> String {
    let share = |share: Option<f64>| match share {
        Some(share) => format!("{:.2} %", 100.0 * share),
        None => "none to measure".to_owned(),
    };
    let of = |part: usize, whole: usize| format!("{part} of {whole}");
    let lines = [
        ("images", agreement.images.to_string()),
        ("reference faces", agreement.expected.to_string()),
        ("found faces", agreement.found.to_string()),
        ("matched", format!("{} at IoU {MATCH_IOU}", agreement.matched())),
        ("recall", share(agreement.recall())),
        ("precision", share(agreement.precision())),
        (
            "extra faces",
            format!(
                "{} ({:.1} per 100 images)",
                agreement.extra,
                100.0 * agreement.extra as f64 / agreement.images.max(1) as f64
            ),
        ),
        (
            "images missed",
            format!(
                "{} ({})",
                of(agreement.images_missed, agreement.images_with_faces),
                share(agreement.missed_image_fraction())
            ),
        ),
        ("landmark error, median", share(agreement.landmark_error(0.5))),
        ("landmark error, 95 %", share(agreement.landmark_error(0.95))),
        ("landmarks within 4 %", share(agreement.landmarks_within(GOOD_LANDMARKS))),
    ];
    let lines = lines.into_iter().map(|(label, value)| (label.to_owned(), value));
    let by_width = agreement.by_width.iter().enumerate().filter(|(_, class)| class.expected > 0);
    let by_width = by_width.map(|(class, found)| {
        let recall = share(Some(found.matched as f64 / found.expected as f64));
        let counts = of(found.matched, found.expected);
        (format!("recall, {}", width_class(class)), format!("{recall} ({counts})"))
    });
    lines.chain(by_width).map(|(label, value)| format!("{label:<22} {value}\n")).collect()
}

/// The pixel range of a width class.
fn width_class(class: usize) -> String {
    match (class.checked_sub(1).map(|below| WIDTH_EDGES[below]), WIDTH_EDGES.get(class)) {
        (None, to) => format!("below {} px", to.copied().unwrap_or_default()),
        (Some(from), None) => format!("{from} px and more"),
        (Some(from), Some(to)) => format!("{from}-{to} px"),
    }
}
