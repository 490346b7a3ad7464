//! Detects faces without scoring them.

use super::driver::drive;
use super::memory::Budget;
use super::prepare::{FoundFaces, find_in};
use super::{FaceChoice, FacesRow, StreamOptions};
use crate::decode::DecodeLimits;
use crate::detect::Detector;
use crate::input::SourceItem;
use crate::pixels::ChannelOrder;
use crate::threads::Threads;

/// Options of [`find_faces`].
#[derive(Debug, Clone, Default)]
pub struct FindOptions {
    /// Limits that are checked before decoding.
    pub limits: DecodeLimits,
    /// Channel order of the files.
    pub channels: ChannelOrder,
    /// Which of an image's faces are used.
    pub choice: FaceChoice,
    /// Whether rows keep the upright photo.
    pub keep_photo: bool,
}

/// Runs decoding and detection only, and passes one row per image to `sink`, in the order of the
/// items.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "builtin-model")] {
/// use attn_fiqa::detect::Detector;
/// use attn_fiqa::pipeline::{FindOptions, StreamOptions, find_faces};
/// use attn_fiqa::source::{Input, SourceOptions, Sources};
/// use attn_fiqa::threads::Threads;
///
/// # let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/astronaut.png");
/// let threads = Threads::new(None)?;
/// let detector = Detector::builtin(&threads)?;
/// let photos = Sources::open(&[Input::Path(photo.into())], &SourceOptions::default())?;
/// let (options, stream) = (FindOptions::default(), StreamOptions::default());
/// find_faces(photos, &threads, &detector, &options, &stream, |row| {
///     println!("{}: {} faces", row.path, row.faces?.len());
///     Ok::<(), attn_fiqa::status::Failure>(())
/// })?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Errors of `sink`: reading then stops and the remaining images are dropped.
pub fn find_faces<E>(
    items: impl Iterator<Item = SourceItem> + Send,
    threads: &Threads,
    detector: &Detector,
    options: &FindOptions,
    stream: &StreamOptions,
    sink: impl FnMut(FacesRow) -> Result<(), E>,
) -> Result<(), E> {
    let budget = Budget::new(stream, options.limits, options.keep_photo).with_detector();
    let find = |SourceItem { path, relative, image }| {
        let FoundFaces { size, notes, photo, faces } = find_in(image, detector, options);
        FacesRow { path, relative, size, notes, photo, faces }
    };
    drive(items, threads, stream, &budget, find, |rows| rows, sink)
}
