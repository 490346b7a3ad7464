//! Which faces of an image are used, and how they are found.

use std::path::PathBuf;
use std::sync::Arc;

use attn_fiqa::align::landmark_file::{LandmarkFile, LandmarkFileLimits};
use attn_fiqa::crop::Fit;
use attn_fiqa::detect::{DEFAULT_MIN_CONFIDENCE, Detector};
use attn_fiqa::engine::Precision;
use attn_fiqa::pipeline::{FaceChoice, FaceOptions, FaceSource};
use attn_fiqa::threads::Threads;
use clap::ValueEnum;

use super::InputArgs;
use super::numbers::{fraction_f32, pixels};

#[derive(Debug, clap::Args)]
pub(crate) struct FaceArgs {
    /// Every image is an aligned crop; no detection
    ///
    /// Sizes other than the network's are refused. Without it, images of exactly the network's size are used as they are, and the faces of
    /// all others are detected and aligned.
    #[arg(
        long,
        conflicts_with_all = ["detector", "refine", "turned", "min_detection_score", "min_inter_eye_distance", "max_faces"],
        help_heading = "Faces"
    )]
    pub(crate) aligned: bool,

    /// Resize aligned crops of another size to the network's, as OpenCV's INTER_LINEAR does
    #[arg(long, requires = "aligned", hide_short_help = true, help_heading = "Faces")]
    resize: bool,

    #[command(flatten)]
    pub(crate) detector: DetectorArgs,

    /// Align by these landmarks instead of detecting faces
    ///
    /// One line per face: path, ten numbers and optionally a detection score
    /// (ijbc_name_5pts_score.txt is such a file).
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["aligned", "detector", "refine", "turned"], hide_short_help = true, help_heading = "Faces")]
    landmarks: Option<PathBuf>,

    /// Only the largest face of each image
    #[arg(long, conflicts_with_all = ["max_faces", "aligned"], help_heading = "Faces")]
    largest: bool,
}

/// The choice by score, for commands that score.
#[derive(Debug, clap::Args)]
pub(crate) struct BestFaceArgs {
    /// Only the face of each image with the highest score
    #[arg(long, conflicts_with_all = ["largest", "aligned"], hide_short_help = true, help_heading = "Faces")]
    pub(crate) best: bool,
}

/// The detector and which of its faces are used; also for commands that score nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct DetectorArgs {
    /// A face detector in ONNX, with outputs like YuNet's or SCRFD's [default: built-in]
    #[arg(long, value_name = "FILE.onnx", hide_short_help = true, help_heading = "Faces")]
    detector: Option<PathBuf>,

    /// Refine the landmarks of each face with the built-in landmark network
    ///
    /// It sees the face upright and is more accurate than detectors. 'auto': with the
    /// built-in detector only; 'always': with any detector; 'never': the detector's own
    /// landmarks.
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_short_help = true,
        hide_possible_values = true,
        help_heading = "Faces"
    )]
    refine: Refine,

    /// Whether to also search images rotated by quarter turns
    ///
    /// 'auto': if no upright face is certain; 'never': not at all.
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_short_help = true,
        hide_possible_values = true,
        help_heading = "Faces"
    )]
    turned: Turned,

    /// Minimum detection score, 0 to 1
    #[arg(long, alias = "min-confidence", value_name = "P", default_value_t = DEFAULT_MIN_CONFIDENCE, value_parser = fraction_f32, help_heading = "Faces")]
    min_detection_score: f32,

    /// Minimum inter-eye distance in pixels
    #[arg(long, alias = "min-size", value_name = "PIXELS", default_value_t = 0.0, value_parser = pixels, hide_short_help = true, help_heading = "Faces")]
    min_inter_eye_distance: f32,

    /// At most N faces per image, the largest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true, help_heading = "Faces")]
    max_faces: Option<u32>,
}

/// Whose landmarks a face is aligned by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Refine {
    /// With the built-in detector only
    #[default]
    Auto,
    /// With any detector
    Always,
    /// The detector's own landmarks
    Never,
}

/// Whether images are searched in other orientations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Turned {
    /// Where no upright face is certain
    #[default]
    Auto,
    /// Not at all
    Never,
}

impl DetectorArgs {
    /// Opens the detector on threads that it shares. Its built-in networks run in the precision of
    /// the model that scores.
    pub(crate) fn open(&self, threads: &Threads, precision: Precision) -> anyhow::Result<Detector> {
        let detector = match &self.detector {
            Some(file) => Detector::open(file, threads)?,
            None => Detector::builtin(threads)?,
        };
        let detector = match self.turned {
            Turned::Auto => detector,
            Turned::Never => detector.upright_only(),
        };
        let detector = match self.refine {
            Refine::Auto => detector,
            Refine::Always => detector.with_refined_landmarks()?,
            Refine::Never => detector.with_own_landmarks(),
        };
        Ok(detector.with_precision(precision)?)
    }

    /// Which of the faces found are used.
    pub(crate) fn choice(&self) -> FaceChoice {
        FaceChoice {
            min_confidence: self.min_detection_score,
            min_inter_eye_distance: self.min_inter_eye_distance,
            max_faces: self.max_faces.map(|count| count as usize),
        }
    }
}

impl FaceArgs {
    /// Opens what finds the faces.
    pub(crate) fn source(
        &self,
        threads: &Threads,
        precision: Precision,
    ) -> anyhow::Result<FaceSource> {
        if self.aligned {
            return Ok(FaceSource::Aligned(if self.resize { Fit::Resize } else { Fit::Exact }));
        }
        if let Some(file) = &self.landmarks {
            let file = LandmarkFile::open(file, &LandmarkFileLimits::default())?;
            return Ok(FaceSource::Landmarks(Arc::new(file)));
        }
        Ok(FaceSource::Detected(Arc::new(self.detector.open(threads, precision)?)))
    }

    /// How the images of `input` become faces.
    pub(crate) fn options(
        &self,
        input: &InputArgs,
        threads: &Threads,
        precision: Precision,
    ) -> anyhow::Result<FaceOptions> {
        Ok(FaceOptions {
            limits: input.limits(),
            channels: input.channels(),
            choice: self.choice(),
            ..FaceOptions::new(self.source(threads, precision)?)
        })
    }

    /// Which of the faces found are used.
    fn choice(&self) -> FaceChoice {
        let choice = self.detector.choice();
        let max_faces = if self.largest { Some(1) } else { choice.max_faces };
        FaceChoice { max_faces, ..choice }
    }
}
