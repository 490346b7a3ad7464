//! Frames of animations and videos, each as a separate image.
//!
//! Frames are passed on as decoded pixels, within the same limits as every other image.

mod animation;
mod bmp;
mod ffmpeg;

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::{ImageData, SourceItem};
use crate::pixels::Image;
use crate::status::Failure;

pub(super) use animation::Animation;
pub(super) use ffmpeg::{Video, is_video};

/// Extensions of videos, in lower case.
const VIDEO_EXTENSIONS: [&str; 16] = [
    "mp4", "m4v", "mov", "mkv", "avi", "webm", "3gp", "3g2", "mpg", "mpeg", "wmv", "asf", "flv",
    "ogv", "vob", "mxf",
];

/// Extensions of MPEG transport streams; TypeScript files share them, so the content decides.
const STREAM_EXTENSIONS: [&str; 3] = ["ts", "mts", "m2ts"];

/// Options for reading animations and videos.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoOptions {
    /// Which frames are sampled.
    pub sampling: FrameSampling,
    /// Maximum number of pixels of a frame.
    pub max_pixels: u64,
}

/// Which frames of a video are sampled. The first one always is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FrameSampling {
    /// Every Nth frame.
    Every(NonZeroU32),
    /// This many frames per second of the video's duration; positive.
    PerSecond(f64),
}

/// The names of a video and its frames, in rows and files.
#[derive(Debug, Clone)]
struct Names {
    path: String,
    relative: PathBuf,
}

impl Names {
    /// A frame by its number, from 0: `clip.gif#12`, and `clip.gif.frame-000012` for output files.
    fn frame(&self, number: u64, image: Image) -> SourceItem {
        let mut name = OsString::from(self.relative.file_name().unwrap_or_default());
        name.push(format!(".frame-{number:06}"));
        SourceItem {
            path: format!("{}#{number}", self.path),
            relative: self.relative.with_file_name(name),
            image: Ok(ImageData::Pixels(image)),
        }
    }

    /// The video itself, if it cannot be read, or not completely.
    fn video(&self, failure: Failure) -> SourceItem {
        SourceItem { path: self.path.clone(), relative: self.relative.clone(), image: Err(failure) }
    }
}

/// Whether a file has one of these extensions, in any case.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|own| extensions.iter().any(|known| own.eq_ignore_ascii_case(known)))
}
