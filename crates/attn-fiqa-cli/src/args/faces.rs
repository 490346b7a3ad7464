//! Which faces of a picture are scored, and who finds them.

use std::path::PathBuf;
use std::sync::Arc;

use attn_fiqa::align::landmark_file::{LandmarkFile, LandmarkFileLimits};
use attn_fiqa::crop::Fit;
use attn_fiqa::detect::{DEFAULT_MIN_CONFIDENCE, Detector};
use attn_fiqa::pipeline::{FaceChoice, FaceOptions, FaceSource};
use attn_fiqa::threads::Threads;
use clap::ValueEnum;

use super::InputArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct FaceArgs {
    /// Every picture is an aligned face: find nothing, and refuse other sizes than the
    /// network's. Without it, pictures of exactly that size are scored as they are and
    /// the faces of all others are found and aligned.
    #[arg(
        long,
        conflicts_with_all = ["detector", "refine", "turned", "min_confidence", "min_size", "max_faces"],
        help_heading = "Faces"
    )]
    pub(crate) aligned: bool,

    /// Resize aligned faces of another size to the network's, as OpenCV's INTER_LINEAR does.
    #[arg(long, requires = "aligned", help_heading = "Faces")]
    resize: bool,

    #[command(flatten)]
    pub(crate) detector: DetectorArgs,

    /// Landmarks that somebody else found: a path, ten numbers and perhaps a confidence a
    /// line, a line a face (ijbc_name_5pts_score.txt is such a file). Every picture is aligned
    /// by them, and the detector is not used.
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["aligned", "detector", "refine", "turned"], help_heading = "Faces")]
    landmarks: Option<PathBuf>,

    /// Only the largest face of each picture.
    #[arg(long, conflicts_with_all = ["max_faces", "aligned"], help_heading = "Faces")]
    largest: bool,

    /// Only the face of each picture with the highest score.
    #[arg(long, conflicts_with_all = ["largest", "aligned"], help_heading = "Faces")]
    best: bool,
}

/// The detector and what it must find; also of commands that score nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct DetectorArgs {
    /// A face detector in ONNX, with outputs as YuNet's or SCRFD's [default: the built-in one].
    #[arg(long, value_name = "FILE.onnx", help_heading = "Faces")]
    detector: Option<PathBuf>,

    /// Look at each face a second time, upright, with a network of our own for exacter landmarks.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, help_heading = "Faces")]
    refine: Refine,

    /// Whether a picture without a sure upright face is looked at in its other quarter turns.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, help_heading = "Faces")]
    turned: Turned,

    /// How sure the detector must be of a face, from 0 to 1.
    #[arg(long, value_name = "P", default_value_t = DEFAULT_MIN_CONFIDENCE, value_parser = share, help_heading = "Faces")]
    min_confidence: f32,

    /// Leave out faces with fewer pixels than this between the eyes.
    #[arg(long, value_name = "PIXELS", default_value_t = 0.0, value_parser = pixels, help_heading = "Faces")]
    min_size: f32,

    /// The most faces of one picture, the largest ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Faces")]
    max_faces: Option<u32>,
}

/// Whose landmarks a face is aligned by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Refine {
    /// With the built-in detector only.
    #[default]
    Auto,
    /// With any detector.
    Always,
    /// Never: the detector's own landmarks.
    Never,
}

/// Whether faces are looked for in turned pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Turned {
    /// Where no face surely stands upright.
    #[default]
    Auto,
    /// Never.
    Never,
}

impl DetectorArgs {
    /// Opens the detector on threads that it shares.
    pub(crate) fn open(&self, threads: &Threads) -> anyhow::Result<Detector> {
        let detector = match &self.detector {
            Some(file) => Detector::open(file, threads)?,
            None => Detector::builtin(threads)?,
        };
        let detector = match self.turned {
            Turned::Auto => detector,
            Turned::Never => detector.upright_only(),
        };
        Ok(match self.refine {
            Refine::Auto => detector,
            Refine::Always => detector.with_refined_landmarks()?,
            Refine::Never => detector.with_own_landmarks(),
        })
    }

    /// Which of the faces found are taken.
    pub(crate) fn choice(&self) -> FaceChoice {
        FaceChoice {
            min_confidence: self.min_confidence,
            min_inter_eye_distance: self.min_size,
            max_faces: self.max_faces.map(|count| count as usize),
        }
    }
}

impl FaceArgs {
    /// Opens what finds the faces.
    pub(crate) fn source(&self, threads: &Threads) -> anyhow::Result<FaceSource> {
        if self.aligned {
            return Ok(FaceSource::Aligned(if self.resize { Fit::Resize } else { Fit::Exact }));
        }
        if let Some(file) = &self.landmarks {
            let file = LandmarkFile::open(file, &LandmarkFileLimits::default())?;
            return Ok(FaceSource::Landmarks(Arc::new(file)));
        }
        Ok(FaceSource::Detected(Arc::new(self.detector.open(threads)?)))
    }

    /// How the images of `input` become faces.
    pub(crate) fn options(
        &self,
        input: &InputArgs,
        threads: &Threads,
    ) -> anyhow::Result<FaceOptions> {
        Ok(FaceOptions {
            limits: input.limits(),
            channels: input.channels(),
            choice: self.choice(),
            ..FaceOptions::new(self.source(threads)?)
        })
    }

    /// Whether only the face with the highest score of each image is wanted.
    pub(crate) fn wants_best(&self) -> bool {
        self.best
    }

    /// Which of the faces found are taken.
    fn choice(&self) -> FaceChoice {
        let choice = self.detector.choice();
        let max_faces = if self.largest { Some(1) } else { choice.max_faces };
        FaceChoice { max_faces, ..choice }
    }
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    let share: f32 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("expected 0 to 1".to_owned()) }
}

fn pixels(text: &str) -> Result<f32, String> {
    let pixels: f32 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if pixels >= 0.0 && pixels.is_finite() {
        Ok(pixels)
    } else {
        Err("expected 0 or more".to_owned())
    }
}
