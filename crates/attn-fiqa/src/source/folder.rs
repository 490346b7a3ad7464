//! The images of a folder and its subfolders.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use super::progress::{Progress, Uncounted};
use super::{Context, SourceError, SourceOptions, Step, file, name};
use crate::status::{Failure, Status};

/// Maximum total size of the names kept for one folder, in bytes: those of about 20 million files.
const MAX_NAME_BYTES: usize = if cfg!(test) { 4 << 10 } else { 1 << 30 };

/// Counted per name in addition to its bytes.
const ENTRY_BYTES: usize = 32;

const TOO_MANY_NAMES: &str = "it has more files than can be listed in memory, about 20 million: \
                              give a list of them, in the order that you want";

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
    images: vec::IntoIter<Box<OsStr>>,
    uncounted: Option<Uncounted>,
}

enum Kind {
    Image,
    Folder,
    /// Searched like any other folder if subfolders are searched, else a row that says what it is.
    FolderNamedAsImage,
    /// Not followed: links may form a cycle.
    LinkToFolder,
    Other,
}

/// Judged by the entry's name, or, if that is not an image's, by its content: no image is skipped.
/// A pipe, a device, a dangling link or a link to a folder with an image's name becomes a row that
/// says so.
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
        // Only links are looked up again.
        (false, false) if is_link(entry) && path.is_dir() => Kind::LinkToFolder,
        (false, false) => Kind::Other,
    }
}

fn is_link(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|own| own.is_symlink())
}

/// Fails if a folder contains no image at all; stops at the first one.
pub(super) fn check_holds_image(root: &Path, options: &SourceOptions) -> Result<(), SourceError> {
    let mut to_open = vec![root.to_owned()];
    let (mut unsearched, mut links) = (false, 0);
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
                Kind::LinkToFolder => links += 1,
                Kind::Other => {}
            }
        }
    }
    Err(SourceError::NoImages { path: root.to_owned(), unsearched, links })
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
                let inside = self.current.join(&*image);
                let path = self.root.join(&inside);
                let relative = name::safe_relative(&self.base.join(&inside));
                if let Some(stage) = context.video(&path, &path, &relative) {
                    return Step::Enter(stage);
                }
                return context.item(name::escaped(&path), relative, || {
                    file::read(&path, context.options.max_bytes)
                });
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
                let relative = name::safe_relative(&self.base.join(&self.current));
                return context.item(name::escaped(&path), relative, || Err(failure));
            }
        }
    }

    /// Reads a folder's names. If an error occurs, the names read before it are kept, unless there
    /// are too many of them.
    fn read_names(&mut self, path: &Path, folder: &Path, context: &Context) -> io::Result<()> {
        let mut images: Vec<Box<OsStr>> = Vec::new();
        let mut folders: Vec<Box<OsStr>> = Vec::new();
        let (mut skipped, mut links) = (0, 0);
        let mut kept = 0_usize;
        let read = fs::read_dir(path).and_then(|mut entries| {
            entries.try_for_each(|entry| {
                let entry = entry?;
                let names = match kind(&entry, &context.options) {
                    Kind::Image => &mut images,
                    Kind::FolderNamedAsImage if !context.options.recursive => &mut images,
                    Kind::Folder | Kind::FolderNamedAsImage => &mut folders,
                    Kind::LinkToFolder => {
                        links += 1;
                        return Ok(());
                    }
                    Kind::Other => {
                        skipped += 1;
                        return Ok(());
                    }
                };
                let name = entry.file_name().into_boxed_os_str();
                kept = kept.saturating_add(name.len() + ENTRY_BYTES);
                if kept > MAX_NAME_BYTES {
                    return Err(io::Error::other(TOO_MANY_NAMES));
                }
                names.push(name);
                Ok(())
            })
        });
        // A subset of the names, in no particular order, would differ from run to run.
        if kept > MAX_NAME_BYTES {
            (images, folders) = (Vec::new(), Vec::new());
        }
        images.sort_unstable();
        folders.sort_unstable();
        context.progress.add_known(images.len() as u64);
        context.progress.add_skipped(skipped);
        context.progress.add_links(links);
        self.images = images.into_iter();
        if context.options.recursive {
            self.to_open.extend(folders.into_iter().rev().map(|name| folder.join(&*name)));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Sources};
    use super::*;

    #[test]
    fn folder_with_too_many_names_is_one_failure() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["few", "many"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("few/a.jpg"), "a").unwrap();
        for number in 0..=MAX_NAME_BYTES / (ENTRY_BYTES + 8) {
            fs::write(root.path().join(format!("many/{number:04}.jpg")), "").unwrap();
        }
        let options = SourceOptions { recursive: true, ..SourceOptions::default() };
        let sources = Sources::open(&[Input::Path(root.path().to_owned())], &options).unwrap();
        let found: Vec<_> = sources.collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].image.is_ok());
        let failure = found[1].image.as_ref().unwrap_err();
        assert_eq!((failure.status, found[1].path.ends_with("many")), (Status::Unreadable, true));
        assert!(failure.message.contains("give a list"), "{failure}");
    }
}
