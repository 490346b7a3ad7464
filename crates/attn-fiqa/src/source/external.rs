//! Formats and places that this library does not read itself, such as Parquet files and object
//! stores.
//!
//! They need more dependencies than a library should have, so a program that wants them implements
//! [`External`] and opens inputs with [`Sources::open_with`](super::Sources::open_with). Names,
//! order, filters, skipping, limits and archive formats are handled here: a stream that comes over
//! a network is read like a file.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Archive;
use super::progress::Uncounted;
use super::record_file::RecordFile;
use super::wanted::FilterAction;
use super::{Context, ImageData, SourceItem, Stage, Step, name};
use crate::panics::catching;
use crate::status::{Failure, Status};

const PANICKED: &str = "the file cannot be read to its end: it is damaged, or of a kind that the \
                        reader does not support; copy or download it again";

/// Reads inputs of other formats or from other places.
pub trait External: fmt::Debug + Send + Sync {
    /// Whether the input, or the line of a list, is read by this external. Called before the file
    /// system is accessed.
    fn accepts(&self, name: &Path) -> bool;

    /// The name to show in rows and messages, without secrets, and the relative name for output
    /// files. By default, both are those of `name` itself.
    fn names(&self, name: &Path) -> (String, PathBuf) {
        (name::escaped(name), name::safe_relative(name))
    }

    /// Checks a named input before any work, to report one that cannot be used. Of a pattern's
    /// matches only the first is checked, and of a list no line.
    ///
    /// # Errors
    ///
    /// What was expected, what was found and what to do, without the name. A missing or unreadable
    /// file is not an error but a row.
    fn check(&self, name: &Path) -> Result<(), String> {
        let _ = name;
        Ok(())
    }

    /// Opens an input.
    ///
    /// # Errors
    ///
    /// The failure for the input's row.
    fn open(&self, name: &Path) -> Result<Opened, Failure>;

    /// Starts to read one image of at most `max_bytes` and returns without waiting for it; `None`
    /// if the name is not that of a single image.
    fn start(&self, name: &Path, max_bytes: u64) -> Option<PendingImage>;

    /// How many further images are started before the first one is waited for.
    fn read_ahead(&self) -> usize {
        0
    }
}

/// What an input turned out to be.
#[non_exhaustive]
pub enum Opened {
    /// One image, to be read with [`External::start`].
    Image,
    /// The bytes of a tar archive, plain or compressed with gzip.
    Tar(Box<dyn Read + Send>),
    /// The bytes of a RecordIO file.
    Records(Box<dyn Read + Send>),
    /// Images one by one.
    Images(Box<dyn ExternalImages>),
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "Image",
            Self::Tar(_) => "Tar",
            Self::Records(_) => "Records",
            Self::Images(_) => "Images",
        })
    }
}

/// Waits for the bytes of one image.
pub type PendingImage = Box<dyn FnOnce() -> Result<Vec<u8>, Failure> + Send>;

/// The images of one input, in a stable order.
pub trait ExternalImages: Send {
    /// The next image, of at most `max_bytes`; `None` at the end. `wanted` is called with the names
    /// of the [`ExternalImage`]; an image that it refuses need not be read: its bytes are never
    /// waited for.
    fn next(
        &mut self,
        max_bytes: u64,
        wanted: &mut dyn FnMut(&str, &Path) -> bool,
    ) -> Option<ExternalImage>;

    /// Number of entries so far that are not images and were skipped.
    fn skipped(&self) -> u64 {
        0
    }
}

/// One image of an input.
pub struct ExternalImage {
    /// As [`SourceItem::path`].
    pub path: String,
    /// As [`SourceItem::relative`]; components that lead elsewhere are removed.
    pub relative: PathBuf,
    /// Its bytes.
    pub pending: PendingImage,
}

impl fmt::Debug for ExternalImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalImage").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Images that were started and not yet waited for, in their order.
#[derive(Default)]
pub(super) struct Ahead(VecDeque<Started>);

struct Started {
    path: String,
    relative: PathBuf,
    want: FilterAction,
    pending: PendingImage,
}

impl Ahead {
    /// Whether another image should be started first.
    pub(super) fn has_room(&self, read_ahead: usize) -> bool {
        self.0.len() <= read_ahead
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an image, started by `start` only if it is wanted.
    pub(super) fn push(
        &mut self,
        context: &Context,
        path: String,
        relative: PathBuf,
        start: impl FnOnce() -> PendingImage,
    ) {
        let relative = name::safe_relative(&relative);
        let want = context.wanted.want(&path, &relative);
        let pending =
            if want == FilterAction::Read { start() } else { Box::new(|| Ok(Vec::new())) };
        self.0.push_back(Started { path, relative, want, pending });
    }

    /// Waits for the oldest image.
    pub(super) fn pop(&mut self, context: &Context) -> Option<Step> {
        let Started { path, relative, want, pending } = self.0.pop_front()?;
        context.progress.add_known(1);
        let image = match want {
            FilterAction::Read => pending(),
            FilterAction::Skip => Ok(Vec::new()),
            FilterAction::LeaveOut => return Some(Step::LeftOut),
        };
        Some(Step::Item(SourceItem { path, relative, image: image.map(ImageData::Encoded) }))
    }
}

/// An external input being read.
pub(super) struct ExternalInput {
    external: Arc<dyn External>,
    name: PathBuf,
    state: State,
    ahead: Ahead,
    /// Held until the last image is known.
    _uncounted: Uncounted,
}

enum State {
    Closed,
    Images(Box<dyn ExternalImages>),
    Ended,
}

impl fmt::Debug for ExternalInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalInput").field("external", &self.external).finish_non_exhaustive()
    }
}

impl ExternalInput {
    pub(super) fn new(external: Arc<dyn External>, name: PathBuf, context: &Context) -> Self {
        Self {
            external,
            name,
            state: State::Closed,
            ahead: Ahead::default(),
            _uncounted: context.progress.start_uncounted(),
        }
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        if let State::Closed = self.state {
            self.state = State::Ended;
            match self.external.open(&self.name) {
                Ok(Opened::Images(images)) => self.state = State::Images(images),
                Ok(Opened::Image) => self.push_image(context),
                Ok(Opened::Tar(stream)) => {
                    let (shown, relative) = self.external.names(&self.name);
                    let archive = Archive::of_stream(stream, shown, relative, &context.progress);
                    return Step::Enter(Stage::Archive(archive));
                }
                Ok(Opened::Records(stream)) => {
                    let (shown, relative) = self.external.names(&self.name);
                    let records = RecordFile::of_stream(stream, shown, relative, &context.progress);
                    return Step::Enter(Stage::Records(records));
                }
                Err(failure) => {
                    let (path, relative) = self.external.names(&self.name);
                    self.ahead.push(context, path, relative, || Box::new(|| Err(failure)));
                }
            }
        }
        while let State::Images(images) = &mut self.state
            && self.ahead.has_room(self.external.read_ahead())
        {
            let mut want = None;
            let mut wanted = |path: &str, relative: &Path| {
                let want = want.get_or_insert_with(|| context.wanted.want(path, relative));
                *want == FilterAction::Read
            };
            // The external reads untrusted bytes with third-party code.
            let next = catching(|| {
                let before = images.skipped();
                let next = images.next(context.options.max_bytes, &mut wanted);
                context.progress.add_skipped(images.skipped().saturating_sub(before));
                next
            });
            let Ok(next) = next else {
                self.state = State::Ended;
                let (path, relative) = self.external.names(&self.name);
                let failure = Failure::new(Status::BrokenArchive, PANICKED);
                self.ahead.push(context, path, relative, || Box::new(|| Err(failure)));
                break;
            };
            match next {
                Some(ExternalImage { path, relative, pending }) => {
                    let relative = name::safe_relative(&relative);
                    let want = want.unwrap_or_else(|| context.wanted.want(&path, &relative));
                    self.ahead.0.push_back(Started { path, relative, want, pending });
                }
                None => self.state = State::Ended,
            }
        }
        self.ahead.pop(context).unwrap_or(Step::Done)
    }

    fn push_image(&mut self, context: &Context) {
        let (path, relative) = self.external.names(&self.name);
        let (external, name) = (&self.external, &self.name);
        self.ahead.push(context, path, relative, || {
            external.start(name, context.options.max_bytes).unwrap_or_else(not_an_image)
        });
    }
}

fn not_an_image() -> PendingImage {
    Box::new(|| Err(Failure::new(Status::Unreadable, "this is not the name of a single image")))
}
