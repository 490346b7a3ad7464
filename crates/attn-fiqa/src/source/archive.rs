//! The images of a tar or zip archive, read in place and in the archive's order.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::progress::{Progress, Uncounted};
use super::tar_links::Links;
use super::tar_reader::{Kind, Member, TarReader};
use super::zip_reader::{self, ZipReader};
use super::{Context, Step, file, list, name};
use crate::decode::{starts_as_image, too_many_bytes};
use crate::regular_file::open_regular_file;
use crate::status::{Failure, Status};

/// Offset of the magic of POSIX and GNU headers.
const MAGIC_AT: usize = 257;
const MAGIC: &[u8] = b"ustar";

const GZIP: &[u8] = b"\x1F\x8B";
/// Compression formats that are detected in order to be refused by name.
const OTHER_COMPRESSIONS: [(&[u8], &str); 3] =
    [(b"BZh", "bzip2"), (b"\xFD7zXZ\0", "xz"), (b"\x28\xB5\x2F\xFD", "zstd")];

const LINK_IN_STREAM: &str = "the archive holds this file as a link, but links are followed only \
                              in archives on disk: download the archive";

/// Whether a regular file is an archive: judged by its name, or, if the name is not an image's, by
/// its content.
pub(super) fn is_archive(path: &Path) -> bool {
    let by_content =
        |path: &Path| starts_as_tar(path).unwrap_or(false) || zip_reader::starts_as_zip(path);
    name::is_archive(path) || (!name::is_image(path) && by_content(path))
}

/// Whether a file's content is a tar archive, or is compressed as tar archives are.
fn may_be_tar(path: &Path) -> bool {
    let head = file::head(path);
    let compressions = OTHER_COMPRESSIONS.iter().map(|(magic, _)| *magic);
    compressions.chain([GZIP]).any(|magic| head.starts_with(magic))
        || starts_as_tar(path).unwrap_or(false)
}

fn starts_as_tar(path: &Path) -> io::Result<bool> {
    let mut head = [0; MAGIC_AT + MAGIC.len()];
    let Ok((mut file, _)) = open_regular_file(path) else { return Ok(false) };
    file.read_exact(&mut head)?;
    Ok(head.ends_with(MAGIC))
}

/// Bytes read from an archive at once.
const BUFFER: usize = 256 << 10;

/// An archive being read.
pub(super) struct Archive {
    /// The archive's name in rows, and its relative name.
    shown: String,
    own_relative: PathBuf,
    /// Prefix of all relative names.
    base: PathBuf,
    state: State,
    /// The file, unless the archive is read as a stream.
    path: Option<PathBuf>,
    /// Targets of links; built at the first link.
    links: Option<Links>,
    /// Held until the last member is known.
    _uncounted: Uncounted,
}

enum State {
    Closed(PathBuf),
    Stream(Box<dyn Read + Send>),
    Tar(TarReader<Box<dyn Read + Send>>),
    Zip(Box<ZipReader>),
    Ended,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Archive {
    pub(super) fn new(path: PathBuf, base: PathBuf, progress: &Progress) -> Self {
        let file_name = Path::new(path.file_name().unwrap_or_default());
        let relative = if base.as_os_str().is_empty() { file_name } else { &base };
        Self {
            shown: name::escaped(&path),
            own_relative: name::safe_relative(relative),
            base,
            state: State::Closed(path.clone()),
            path: Some(path),
            links: None,
            _uncounted: progress.start_uncounted(),
        }
    }

    /// A tar archive from a stream.
    pub(super) fn of_stream(
        stream: Box<dyn Read + Send>,
        shown: String,
        relative: PathBuf,
        progress: &Progress,
    ) -> Self {
        let relative = name::safe_relative(&relative);
        Self {
            shown,
            own_relative: relative.clone(),
            base: relative,
            state: State::Stream(stream),
            path: None,
            links: None,
            _uncounted: progress.start_uncounted(),
        }
    }

    pub(super) fn step(&mut self, context: &Context) -> Step {
        let step = match self.next_image(context) {
            Ok(Some(step)) => step,
            Ok(None) => return Step::Done,
            Err(failure) => {
                self.state = State::Ended;
                context.item(self.shown.clone(), self.own_relative.clone(), || Err(failure))
            }
        };
        context.progress.add_known(1);
        step
    }

    /// The next member that is an image; `Err` ends the archive.
    fn next_image(&mut self, context: &Context) -> Result<Option<Step>, Failure> {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Closed(path) if zip_reader::is_zip(&path, may_be_tar) => {
                State::Zip(Box::new(ZipReader::open(&path)?))
            }
            State::Closed(path) => State::Tar(TarReader::new(open(&path)?.into_stream())),
            State::Stream(stream) => State::Tar(TarReader::new(unpacked(stream)?)),
            opened => opened,
        };
        match &self.state {
            State::Zip(_) => Ok(self.next_of_zip(context)),
            State::Tar(_) => self.next_of_tar(context),
            State::Closed(_) | State::Stream(_) | State::Ended => Ok(None),
        }
    }

    /// The next image of a zip archive; an unreadable one does not affect the others.
    fn next_of_zip(&mut self, context: &Context) -> Option<Step> {
        let State::Zip(reader) = &mut self.state else { return None };
        while let Some(entry) = reader.next_entry() {
            let inside = inside(&entry.name, context);
            let is_image = |inside: &PathBuf| {
                context.options.takes(inside) || starts_as_image(&reader.head(&entry))
            };
            let Some(inside) = inside.filter(is_image) else {
                context.progress.add_skipped(1);
                continue;
            };
            let (path, relative) = names(&self.shown, &self.base, &entry.name, &inside);
            let read = || reader.read(&entry, context.options.max_bytes);
            return Some(context.item(path, relative, read));
        }
        self.state = State::Ended;
        None
    }

    fn next_of_tar(&mut self, context: &Context) -> Result<Option<Step>, Failure> {
        let State::Tar(reader) = &mut self.state else { return Ok(None) };
        loop {
            let Some(member) = reader.next_member().map_err(broken)? else {
                reader.check_end().map_err(broken)?;
                self.state = State::Ended;
                return Ok(None);
            };
            if member.kind == Kind::Folder {
                continue;
            }
            let options = &context.options;
            let Some(inside) = inside(&member.name, context) else {
                context.progress.add_skipped(1);
                continue;
            };
            let named_as_image = options.takes(&inside);
            // If the name is not an image's, only a regular file's content can identify one.
            let readable = member.kind == Kind::Regular && member.size <= options.max_bytes;
            if !named_as_image && !readable {
                context.progress.add_skipped(1);
                continue;
            }
            let bytes = match member.kind {
                Kind::HardLink | Kind::SymbolicLink => match &self.path {
                    Some(path) => {
                        let links = match self.links.take() {
                            Some(links) => links,
                            None => Links::find(path)?,
                        };
                        self.links.insert(links).read(&member, options.max_bytes)
                    }
                    None => Err(Failure::new(Status::Unreadable, LINK_IN_STREAM)),
                },
                _ => bytes_of(&member, reader, options.max_bytes)?,
            };
            let is_image = |bytes: &Vec<u8>| starts_as_image(bytes);
            if !named_as_image && !bytes.as_ref().is_ok_and(is_image) {
                context.progress.add_skipped(1);
                continue;
            }
            let (path, relative) = names(&self.shown, &self.base, &member.name, &inside);
            return Ok(Some(context.item(path, relative, || bytes)));
        }
    }
}

/// The names of a file in an archive: the one to show, and the relative one.
fn names(archive: &str, base: &Path, stored: &[u8], inside: &Path) -> (String, PathBuf) {
    let shown = name::escaped_bytes(stored);
    let shown = shown.strip_prefix("./").unwrap_or(&shown);
    let path = format!("{archive}/{shown}");
    (path, base.join(name::safe_relative(inside)))
}

/// The path of a file in the archive, from its stored name; `None` if its name excludes it.
fn inside(stored: &[u8], context: &Context) -> Option<PathBuf> {
    let inside = list::path_from(stored).filter(|path| !name::is_companion(path));
    // A video can only be read from a file on disk.
    inside.filter(|path| !context.options.takes_video(path))
}

/// A member's bytes. The outer failure is the archive's, the inner one the member's.
fn bytes_of(
    member: &Member,
    reader: &mut TarReader<Box<dyn Read + Send>>,
    max_bytes: u64,
) -> Result<Result<Vec<u8>, Failure>, Failure> {
    let not_read = match member.kind {
        Kind::Regular | Kind::Folder | Kind::HardLink | Kind::SymbolicLink => None,
        Kind::Sparse => Some(
            "the archive holds this file as a sparse file, which is not supported: pack the \
             archive without sparse files",
        ),
        Kind::Other => Some("this is a pipe or a device, but a file was expected"),
    };
    if let Some(message) = not_read {
        return Ok(Err(Failure::new(Status::Unreadable, message)));
    }
    if member.size > max_bytes {
        return Ok(Err(too_many_bytes(member.size, max_bytes)));
    }
    reader.read_data().map(Ok).map_err(broken)
}

fn broken(message: String) -> Failure {
    Failure::new(Status::BrokenArchive, message)
}

/// An opened archive.
pub(super) enum Archived {
    Plain(BufReader<File>),
    /// Decompressed while being read.
    Gzip(Box<dyn Read + Send>),
}

impl Archived {
    fn into_stream(self) -> Box<dyn Read + Send> {
        match self {
            Self::Plain(file) => Box::new(file),
            Self::Gzip(stream) => stream,
        }
    }
}

pub(super) fn open(path: &Path) -> Result<Archived, Failure> {
    let (file, _) = open_regular_file(path).map_err(|error| file::not_opened(path, error))?;
    let mut file = BufReader::with_capacity(BUFFER, file);
    Ok(if is_gzip(&mut file)? {
        Archived::Gzip(Box::new(BufReader::new(MultiGzDecoder::new(file))))
    } else {
        Archived::Plain(file)
    })
}

/// The bytes of an archive from a stream, decompressed.
fn unpacked(stream: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>, Failure> {
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    Ok(if is_gzip(&mut stream)? {
        Box::new(BufReader::new(MultiGzDecoder::new(stream)))
    } else {
        Box::new(stream)
    })
}

/// Whether an archive is compressed with gzip.
///
/// # Errors
///
/// If it cannot be read, or uses another compression.
fn is_gzip(archive: &mut impl BufRead) -> Result<bool, Failure> {
    let head = file::peek(archive)?;
    for (magic, compression) in OTHER_COMPRESSIONS {
        if head.starts_with(magic) {
            return Err(broken(format!(
                "the archive is compressed with {compression}, but only gzip is supported: \
                 decompress it first"
            )));
        }
    }
    Ok(head.starts_with(GZIP))
}
