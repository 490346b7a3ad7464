//! The images of a folder and its subfolders.

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use super::progress::{Progress, Uncounted};
use super::{Context, ImageData, SourceError, SourceItem, SourceOptions, Step, file, name};
use crate::status::{Failure, Status};

/// A folder being read.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Prefix of all relative names.
    base: PathBuf,
    /// Subfolders still to be opened, relative to the root; the last one is next.
    to_open: Vec<PathBuf>,
    /// The folder whose images are being read, relative to the root, and their names.
    current: PathBuf,
    images: vec::IntoIter<OsString>,
    uncounted: Option<Uncounted>,
}

enum Kind {
    Image,
    Folder,
    /// Searched like any other folder, or else a row that says what it is.
    FolderNamedAsImage,
    Other,
}

/// Judged by the entry's name, or, if that is not an image's, by its content: no image is skipped.
/// A pipe, a device or a dangling link with an image's name becomes a row that says so. A link to a
/// folder may form a cycle and does not count as a folder here.
fn kind(entry: &DirEntry, options: &SourceOptions) -> Kind {
    // A folder given as an input may have any name; here its entries are filtered.
    if name::is_companion(Path::new(&entry.file_name())) {
        return Kind::Other;
    }
    let is_folder = entry.file_type().is_ok_and(|own| own.is_dir());
    let path = entry.path();
    match (is_folder, options.takes(&path)) {
        (true, false) => Kind::Folder,
        (true, true) => Kind::FolderNamedAsImage,
        (false, true) => Kind::Image,
        (false, false) if file::starts_as_image(&path) => Kind::Image,
        (false, false) => Kind::Other,
    }
}

/// Fails if a folder contains no image at all; stops at the first one.
pub(super) fn check_holds_image(root: &Path, options: &SourceOptions) -> Result<(), SourceError> {
    let mut to_open = vec![root.to_owned()];
    let mut unsearched = false;
    while let Some(folder) = to_open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(source) if folder == root => {
                return Err(SourceError::UnreadableFolder { path: folder, source });
            }
            // It will be a row of its own, so there is something to read.
            Err(_) => return Ok(()),
        };
        for entry in entries {
            let Ok(entry) = entry else { return Ok(()) };
            match kind(&entry, options) {
                Kind::Image => return Ok(()),
                Kind::Folder | Kind::FolderNamedAsImage if options.recursive => {
                    to_open.push(entry.path());
                }
                Kind::Folder | Kind::FolderNamedAsImage => unsearched = true,
                Kind::Other => {}
            }
        }
    }
    Err(SourceError::NoImages { path: root.to_owned(), unsearched })
}

impl Folder {
    pub(super) fn new(root: PathBuf, base: PathBuf, progress: &Progress) -> Self {
        Self {
            root,
            base,
            to_open: vec![PathBuf::new()],
            current: PathBuf::new(),
            images: Vec::new().into_iter(),
            uncounted: Some(progress.start_uncounted()),
        }
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        loop {
            if let Some(image) = self.images.next() {
                let inside = self.current.join(image);
                let path = self.root.join(&inside);
                let relative = name::safe_relative(&self.base.join(&inside));
                if let Some(stage) = context.video(&path, &path, &relative) {
                    return Step::Enter(stage);
                }
                let bytes = file::read(&path, context.options.max_bytes);
                return Step::Item(self.item(&path, &inside, bytes));
            }
            let Some(folder) = self.to_open.pop() else {
                return Step::Done;
            };
            // Joining an empty path would add a separator.
            let path = if folder.as_os_str().is_empty() {
                self.root.clone()
            } else {
                self.root.join(&folder)
            };
            let opened = self.read_names(&path, &folder, context);
            self.current = folder;
            if self.to_open.is_empty() {
                self.uncounted = None;
            }
            if let Err(error) = opened {
                let failure =
                    Failure::new(Status::Unreadable, format!("the folder cannot be read: {error}"));
                context.progress.add_known(1);
                return Step::Item(self.item(&path, &self.current, Err(failure)));
            }
        }
    }

    fn item(&self, path: &Path, inside: &Path, bytes: Result<Vec<u8>, Failure>) -> SourceItem {
        SourceItem {
            path: name::escaped(path),
            relative: name::safe_relative(&self.base.join(inside)),
            image: bytes.map(ImageData::Encoded),
        }
    }

    /// Reads a folder's names. If an error occurs, the names read before it are kept.
    fn read_names(&mut self, path: &Path, folder: &Path, context: &Context) -> io::Result<()> {
        let mut images = Vec::new();
        let mut folders = Vec::new();
        let mut skipped = 0;
        let read = fs::read_dir(path).and_then(|mut entries| {
            entries.try_for_each(|entry| {
                let entry = entry?;
                match kind(&entry, &context.options) {
                    Kind::Image => images.push(entry.file_name()),
                    Kind::FolderNamedAsImage if !context.options.recursive => {
                        images.push(entry.file_name());
                    }
                    Kind::Folder | Kind::FolderNamedAsImage => folders.push(entry.file_name()),
                    Kind::Other => skipped += 1,
                }
                Ok(())
            })
        });
        images.sort_unstable();
        folders.sort_unstable();
        context.progress.add_known(images.len() as u64);
        context.progress.add_skipped(skipped);
        self.images = images.into_iter();
        if context.options.recursive {
            self.to_open.extend(folders.into_iter().rev().map(|name| folder.join(name)));
        }
        read
    }
}
