//! Where images come from: files, folders, patterns, lists, tar and zip archives, RecordIO, on
//! request animations and videos, and what an [`External`] reads.
//!
//! [`Sources`] is an iterator over images. It holds one image at a time and reads lists and
//! archives as streams; it only keeps the names of one folder, which must be complete before they
//! can be sorted, and the names of that folder's subfolders still to be visited. The same inputs
//! give the same images in the same order in every run.

mod archive;
mod braces;
mod error;
mod external;
mod file;
mod folder;
mod list;
mod name;
mod names;
mod pattern;
mod progress;
mod record_file;
mod record_reader;
mod stdin;
mod tar_links;
mod tar_reader;
#[cfg(feature = "video")]
mod video;
mod wanted;
mod zip_reader;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::DecodeLimits;
#[cfg(feature = "video")]
use crate::decode::is_animation;
use crate::status::Failure;

use archive::Archive;
use external::ExternalInput;
use folder::Folder;
use list::List;
use names::Names;
use pattern::Matches;
use record_file::RecordFile;
#[cfg(feature = "video")]
use video::{Animation, Video};

pub use crate::input::{ImageData, SourceItem};
pub use error::SourceError;
pub use external::{External, ExternalImage, ExternalImages, Opened, PendingImage};
pub use progress::{Progress, ProgressCount};
#[cfg(feature = "video")]
pub use video::{FrameSampling, VideoOptions};

use progress::Uncounted;
use wanted::{FilterAction, ImageFilter};

/// A user's input that contains images.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A file, a folder, a tar archive (`.tar`, `.tar.gz`, `.tgz`), a zip archive, a RecordIO file
    /// of MXNet (`.rec`), or, if nothing of that name exists, several names in braces
    /// (`data-{000..999}.tar`, `{train,val}`, as in shells and WebDataset), all of which must
    /// exist, or a pattern with `*`, `?` or `[…]`. `-` is one image on standard input, and `./-` a
    /// file of that name.
    Path(PathBuf),
    /// A list of image files, one path per line, in UTF-8 or in UTF-16 with a byte order mark.
    ///
    /// A line may have more columns, such as a label: if the whole line names nothing, the path is
    /// its longest prefix before a tab, comma or space that names a file. What an [`External`]
    /// accepts ends at the first tab or space.
    List {
        /// The list.
        path: ListFrom,
        /// The folder to which relative paths in the list refer; the current directory if `None`.
        root: Option<PathBuf>,
    },
}

/// Where a list of paths is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListFrom {
    /// A file, which may be a pipe.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Options for reading inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceOptions {
    /// Whether subfolders are searched.
    pub recursive: bool,
    /// Maximum size of an encoded image, in bytes.
    pub max_bytes: u64,
    /// How animations and videos are read frame by frame; if `None`, only the first image of an
    /// animation is read, and videos are skipped.
    #[cfg(feature = "video")]
    pub videos: Option<VideoOptions>,
    /// Whether the paths in lists are separated by zero bytes, as written by `find -print0`, and
    /// not by line ends. A path may then contain any other character, and no labels are recognised.
    pub nul_separated: bool,
}

impl SourceOptions {
    /// Whether a file in a folder or archive is accepted by its name. If not, its content may still
    /// identify it as an image.
    fn takes(&self, path: &Path) -> bool {
        name::is_image(path) || self.takes_video(path)
    }

    /// Whether animations and videos are read frame by frame.
    fn reads_videos(&self) -> bool {
        #[cfg(feature = "video")]
        return self.videos.is_some();
        #[cfg(not(feature = "video"))]
        false
    }

    /// Whether a file is a video and read as one.
    fn takes_video(&self, _path: &Path) -> bool {
        #[cfg(feature = "video")]
        return self.videos.is_some() && video::is_video(_path);
        #[cfg(not(feature = "video"))]
        false
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            recursive: false,
            max_bytes: DecodeLimits::DEFAULT_MAX_BYTES,
            #[cfg(feature = "video")]
            videos: None,
            nul_separated: false,
        }
    }
}

/// Images from all inputs, in the order of the inputs.
///
/// Inside a folder, images come in the byte order of their names (`img10` before `img2`), then its
/// subfolders in that order; a pattern yields its matches in alphabetical order; lists and archives
/// keep their own order. A file named twice comes twice. Links to folders are not followed below an
/// input.
///
/// # Examples
///
/// ```
/// use attn_fiqa::source::{Input, SourceOptions, Sources};
///
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/faces");
/// let images = Sources::open(&[Input::Path(folder.into())], &SourceOptions::default())?;
/// for item in images.take(2) {
///     println!("{}: {} bytes", item.path, item.image?.bytes());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sources {
    /// Inputs still to be read; the last one is next.
    stages: Vec<Stage>,
    context: Context,
    /// While there may be videos among the images, the number of images is unknown.
    uncounted: Option<Uncounted>,
    /// Number of images returned.
    returned: u64,
}

#[derive(Debug)]
struct Context {
    options: SourceOptions,
    progress: Progress,
    wanted: ImageFilter,
    externals: Vec<Arc<dyn External>>,
}

/// An input being read.
#[derive(Debug)]
enum Stage {
    File(NamedFile),
    Stdin,
    Folder(Folder),
    Names(Names),
    Matches(Matches),
    List(List),
    Archive(Archive),
    Records(RecordFile),
    External(ExternalInput),
    #[cfg(feature = "video")]
    Animation(Animation),
    #[cfg(feature = "video")]
    Video(Video),
}

/// An image file that was named explicitly.
#[derive(Debug)]
struct NamedFile {
    path: PathBuf,
    relative: PathBuf,
}

/// The result of advancing a stage.
#[allow(clippy::large_enum_variant, reason = "one at a time, and moved once")]
enum Step {
    Item(SourceItem),
    /// An image that the filter leaves out.
    LeftOut,
    Enter(Stage),
    Done,
}

impl Sources {
    /// Checks every input without reading an image.
    ///
    /// # Errors
    ///
    /// Only for problems that must be reported before any work: see [`SourceError`]. A file that
    /// does not exist or cannot be read becomes an item, so that a run continues.
    pub fn open(inputs: &[Input], options: &SourceOptions) -> Result<Self, SourceError> {
        Self::open_with(inputs, options, &[])
    }

    /// As [`Sources::open`], with further formats and places; the first of `externals` that accepts
    /// a name reads it.
    ///
    /// # Errors
    ///
    /// As [`Sources::open`].
    pub fn open_with(
        inputs: &[Input],
        options: &SourceOptions,
        externals: &[Arc<dyn External>],
    ) -> Result<Self, SourceError> {
        if inputs.is_empty() {
            return Err(SourceError::NoInput);
        }
        let from_stdin = |input: &&Input| match input {
            Input::Path(path) => stdin::is_stdin(path),
            Input::List { path, .. } => *path == ListFrom::Stdin,
        };
        if inputs.iter().filter(from_stdin).count() > 1 {
            return Err(SourceError::StandardInputTwice);
        }
        let context = Context {
            options: *options,
            progress: Progress::default(),
            wanted: ImageFilter::default(),
            externals: externals.to_vec(),
        };
        let mut stages = inputs
            .iter()
            .map(|input| match input {
                Input::Path(path) => context.open_path(path),
                Input::List { path, root } => {
                    List::open(path, root.as_deref(), options.nul_separated, &context.progress)
                        .map(Stage::List)
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        stages.reverse();
        let uncounted = options.reads_videos().then(|| context.progress.start_uncounted());
        Ok(Self { stages, context, uncounted, returned: 0 })
    }

    /// Only the images that `filter` admits, by [`SourceItem::path`] and [`SourceItem::relative`]:
    /// the others are neither returned nor counted, and their bytes are not read where their
    /// container allows that. An animation or a video is left out as a whole.
    ///
    /// # Examples
    ///
    /// ```
    /// use attn_fiqa::source::{Input, SourceOptions, Sources};
    ///
    /// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/faces");
    /// let images = Sources::open(&[Input::Path(folder.into())], &SourceOptions::default())?;
    /// let png = |_: &str, relative: &std::path::Path| relative.extension() == Some("png".as_ref());
    /// assert!(images.only(png).all(|item| item.path.ends_with(".png")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn only(mut self, filter: impl Fn(&str, &Path) -> bool + Send + 'static) -> Self {
        self.context.wanted.only(Box::new(filter));
        self
    }

    /// A handle on the number of images known so far and of files skipped, which stays up to date
    /// while the iterator runs elsewhere.
    pub fn progress(&self) -> Progress {
        self.context.progress.clone()
    }

    /// Number of entries of folders and archives skipped so far: files that are images neither by
    /// extension nor by content, and what macOS stores next to files (`._NAME`, `__MACOSX`).
    pub fn skipped(&self) -> u64 {
        self.context.progress.skipped()
    }
}

/// Reads one image file, still encoded, of at most `max_bytes`. Only regular files are read: a pipe
/// or a device may never end.
///
/// # Errors
///
/// If there is no such file, it cannot be read, or it is too large.
///
/// # Examples
///
/// ```
/// use attn_fiqa::decode::DecodeLimits;
/// use attn_fiqa::source::read_image;
/// use attn_fiqa::status::Status;
///
/// let missing = read_image("no-such-file.jpg".as_ref(), DecodeLimits::DEFAULT_MAX_BYTES);
/// assert_eq!(missing.expect_err("no such file").status, Status::NotFound);
/// ```
pub fn read_image(path: &Path, max_bytes: u64) -> Result<ImageData, crate::status::Failure> {
    file::read(path, max_bytes).map(ImageData::Encoded)
}

/// Opens a regular file; a pipe or a device may never end.
///
/// # Errors
///
/// If there is no such file, or it cannot be opened.
pub fn open_file(path: &Path) -> Result<fs::File, Failure> {
    let opened = crate::regular_file::open_regular_file(path);
    opened.map(|(file, _)| file).map_err(|error| file::not_opened(path, error))
}

/// A path as written in [`SourceItem::path`]: bytes that are not UTF-8 become `\xNN`, so that different
/// paths are written differently.
pub fn escaped_path(path: &Path) -> String {
    name::escaped(path)
}

/// Whether a name has an image extension, in any case, and is not that of a macOS companion file.
/// Files in folders are also recognised by their content.
pub fn is_image_name(name: &Path) -> bool {
    name::is_image(name) && !name::is_companion(name)
}

impl Iterator for Sources {
    type Item = SourceItem;

    fn next(&mut self) -> Option<SourceItem> {
        let item = self.next_item();
        self.returned += u64::from(item.is_some());
        item
    }

    /// Skips `n` images, as [`Iterator::skip`] does, without reading files, requesting objects or
    /// keeping the contents of archives. If videos are read frame by frame, everything is read,
    /// since the number of frames is unknown.
    fn nth(&mut self, n: usize) -> Option<SourceItem> {
        if !self.context.options.reads_videos() {
            self.context.wanted.skip_to(self.returned.saturating_add(n as u64));
        }
        for _ in 0..n {
            self.next()?;
        }
        self.next()
    }
}

impl Sources {
    fn next_item(&mut self) -> Option<SourceItem> {
        loop {
            let context = &self.context;
            let Some(stage) = self.stages.last_mut() else {
                self.uncounted = None;
                return None;
            };
            let step = match stage {
                Stage::File(file) => {
                    let step = file.read(context);
                    self.stages.pop();
                    step
                }
                Stage::Stdin => {
                    self.stages.pop();
                    stdin::read(context)
                }
                Stage::Folder(folder) => folder.step(context),
                Stage::Names(names) => names.step(context),
                Stage::Matches(matches) => matches.step(context),
                Stage::List(list) => list.step(context),
                Stage::Archive(archive) => archive.step(context),
                Stage::Records(records) => records.step(context),
                Stage::External(input) => input.step(context),
                // Its frames are images, not further videos.
                #[cfg(feature = "video")]
                Stage::Animation(animation) => match animation.step(&context.progress) {
                    Step::Item(frame) => return Some(frame),
                    step => step,
                },
                #[cfg(feature = "video")]
                Stage::Video(video) => match video.step(&context.progress) {
                    Step::Item(frame) => return Some(frame),
                    step => step,
                },
            };
            match step {
                Step::Item(item) => match context.animation(item) {
                    Ok(stage) => self.stages.push(stage),
                    Err(item) => return Some(item),
                },
                Step::LeftOut => context.progress.add_left_out(),
                Step::Enter(stage) => self.stages.push(stage),
                Step::Done => {
                    self.stages.pop();
                }
            }
        }
    }
}

impl Context {
    /// An image by its names; its bytes are read only if it is wanted.
    fn item(
        &self,
        path: String,
        relative: PathBuf,
        read: impl FnOnce() -> Result<Vec<u8>, Failure>,
    ) -> Step {
        let image = match self.wanted.want(&path, &relative) {
            FilterAction::Read => read(),
            FilterAction::Skip => Ok(Vec::new()),
            FilterAction::LeaveOut => return Step::LeftOut,
        };
        Step::Item(SourceItem { path, relative, image: image.map(ImageData::Encoded) })
    }

    /// The external that reads inputs of this name.
    fn external(&self, name: &Path) -> Option<&Arc<dyn External>> {
        self.externals.iter().find(|external| external.accepts(name))
    }

    fn open_path(&self, path: &Path) -> Result<Stage, SourceError> {
        if stdin::is_stdin(path) {
            self.progress.add_known(1);
            return Ok(Stage::Stdin);
        }
        if let Some(names) = Names::open(path, self)? {
            return Ok(Stage::Names(names));
        }
        if self.external(path).is_none()
            && let Some(pattern) = pattern::of(path)
        {
            return Matches::open(pattern, self).map(Stage::Matches);
        }
        self.check(path)?;
        let relative = name::safe_relative(Path::new(path.file_name().unwrap_or_default()));
        Ok(self.stage_for(path.to_owned(), relative, PathBuf::new()))
    }

    /// Fails if a named input cannot be used.
    fn check(&self, path: &Path) -> Result<(), SourceError> {
        if let Some(external) = self.external(path) {
            let unusable =
                |message| SourceError::Unusable { name: external.names(path).0, message };
            return external.check(path).map_err(unusable);
        }
        match pattern::of(path) {
            Some(pattern) => Matches::open(pattern, self).map(|_| ()),
            None if fs::metadata(path).is_ok_and(|found| found.is_dir()) => {
                folder::check_holds_image(path, &self.options)
            }
            None => Ok(()),
        }
    }

    /// The stage for a name that was checked: a path or a pattern. Relative names start after
    /// `fixed`.
    fn stage(&self, path: &Path, fixed: &Path) -> Stage {
        let relative = pattern::relative_to(fixed, path);
        match pattern::of(path).filter(|_| self.external(path).is_none()) {
            // If its matches no longer exist, it becomes a file that is not found.
            Some(pattern) => match Matches::open(pattern, self) {
                Ok(matches) => Stage::Matches(matches.with_fixed(fixed)),
                Err(_) => Stage::File(NamedFile { path: path.to_owned(), relative }),
            },
            None => self.stage_for(path.to_owned(), relative.clone(), relative),
        }
    }

    /// The stage for a path that was named or matched. `file_name` is its relative name if it is a
    /// file; otherwise `base` is the prefix of the relative names in it.
    fn stage_for(&self, path: PathBuf, file_name: PathBuf, base: PathBuf) -> Stage {
        if let Some(external) = self.external(&path) {
            return Stage::External(ExternalInput::new(Arc::clone(external), path, self));
        }
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => Stage::Folder(Folder::new(path, base, &self.progress)),
            Ok(found) if found.is_file() && record_file::is_record_file(&path) => {
                Stage::Records(RecordFile::new(path, base, &self.progress))
            }
            Ok(found) if found.is_file() && archive::is_archive(&path) => {
                Stage::Archive(Archive::new(path, base, &self.progress))
            }
            _ => {
                self.progress.add_known(1);
                match self.video(&path, &path, &file_name) {
                    Some(stage) => stage,
                    None => Stage::File(NamedFile { path, relative: file_name }),
                }
            }
        }
    }
}

#[cfg(feature = "video")]
impl Context {
    /// The stage for a video file at `path` that is read frame by frame; `shown` is its name in
    /// rows.
    fn video(&self, path: &Path, shown: &Path, relative: &Path) -> Option<Stage> {
        let options = self.options.videos.filter(|_| video::is_video(path))?;
        if !self.wanted.admits(&name::escaped(shown), relative) {
            return None;
        }
        Some(Stage::Video(Video::new(path.to_owned(), shown, relative.to_owned(), options)))
    }

    /// The stage for an animation that is read frame by frame; any other image is returned.
    fn animation(&self, item: SourceItem) -> Result<Stage, SourceItem> {
        match (&item.image, self.options.videos) {
            (Ok(ImageData::Encoded(bytes)), Some(options)) if is_animation(bytes) => {
                Ok(Stage::Animation(Animation::new(item, options, self.options.max_bytes)))
            }
            _ => Err(item),
        }
    }
}

#[cfg(not(feature = "video"))]
impl Context {
    fn video(&self, _path: &Path, _shown: &Path, _relative: &Path) -> Option<Stage> {
        None
    }

    fn animation(&self, item: SourceItem) -> Result<Stage, SourceItem> {
        Err(item)
    }
}

impl NamedFile {
    fn read(&mut self, context: &Context) -> Step {
        let relative = std::mem::take(&mut self.relative);
        context.item(name::escaped(&self.path), relative, || {
            file::read(&self.path, context.options.max_bytes)
        })
    }
}
