//! The targets of links in a tar archive.
//!
//! Plain `tar` stores a file with several names once, and every further name as a hard link. At the
//! first link, the headers of the archive are read a second time to locate its members; the target
//! of a link is then read from its location.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::archive::{Archived, open};
use super::name;
use super::tar_reader::{Kind, Member, TarReader};
use crate::decode::too_many_bytes;
use crate::status::{Failure, Status};

/// Maximum total size of the kept names, in bytes: those of a million members.
const MAX_NAME_BYTES: usize = 64 << 20;

/// Counted per member in addition to its name.
const ENTRY_BYTES: usize = 64;

/// Maximum length of a chain of links, as in Linux.
const MAX_LINKS: usize = 40;

/// How often a compressed archive may be read again from its start. Links usually come in the order
/// of their targets, and then once is enough.
const MAX_RESTARTS: usize = 64;

/// The locations of an archive's members.
pub(super) struct Links {
    path: PathBuf,
    /// Members by normalised name; those with the same name in archive order.
    places: HashMap<Vec<u8>, Vec<Place>>,
    /// Whether all names were kept.
    complete: bool,
    input: Option<ReopenedArchive>,
    restarts: usize,
}

#[derive(Debug, Clone)]
struct Place {
    kind: Kind,
    at: u64,
    size: u64,
    target: Option<Vec<u8>>,
}

/// The archive, open a second time.
enum ReopenedArchive {
    Plain(BufReader<File>),
    /// The decompressor, and its offset in the decompressed stream.
    Decompressed(Box<dyn Read + Send>, u64),
}

impl Links {
    /// Reads the headers of the archive at `path` to locate its members.
    ///
    /// # Errors
    ///
    /// If it cannot be opened. If it is damaged, the search ends there, and the archive's own row
    /// reports the reason.
    pub(super) fn find(path: &Path) -> Result<Self, Failure> {
        let mut links = Self {
            path: path.to_owned(),
            places: HashMap::new(),
            complete: true,
            input: None,
            restarts: 0,
        };
        match open(path)? {
            Archived::Plain(file) => links.walk(TarReader::seekable(file)),
            Archived::Gzip(stream) => links.walk(TarReader::new(stream)),
        }
        Ok(links)
    }

    fn walk<R: Read>(&mut self, mut reader: TarReader<R>) {
        let mut kept = 0_usize;
        while let Ok(Some(member)) = reader.next_member() {
            let Some(tidy) = normalised_path(&[], &member.name) else { continue };
            let target = member.target.as_ref().map_or(0, Vec::len);
            kept = kept.saturating_add(tidy.len() + target + ENTRY_BYTES);
            if kept > MAX_NAME_BYTES {
                self.complete = false;
                return;
            }
            self.places.entry(tidy).or_default().push(Place {
                kind: member.kind,
                at: member.data_at,
                size: member.size,
                target: member.target,
            });
        }
    }

    /// The bytes of a link's target, at most `max_bytes`.
    pub(super) fn read(&mut self, link: &Member, max_bytes: u64) -> Result<Vec<u8>, Failure> {
        let place = self.follow(link)?;
        if place.size > max_bytes {
            return Err(too_many_bytes(place.size, max_bytes));
        }
        let target = name::escaped_bytes(link.target.as_deref().unwrap_or_default());
        let mut bytes = Vec::new();
        let read = self.stream_at(place.at)?.take(place.size).read_to_end(&mut bytes);
        if let Some(ReopenedArchive::Decompressed(_, at)) = &mut self.input {
            *at += bytes.len() as u64;
        }
        match read {
            Ok(length) if length as u64 == place.size => Ok(bytes),
            Ok(_) => Err(refused(&target, "the archive ends before its last byte")),
            Err(error) => Err(refused(&target, &format!("it cannot be read again: {error}"))),
        }
    }

    /// The regular file at the end of a chain of links.
    fn follow(&self, link: &Member) -> Result<Place, Failure> {
        let shown = name::escaped_bytes(link.target.as_deref().unwrap_or_default());
        let mut from = link.name.clone();
        let mut link =
            Place { kind: link.kind, at: link.data_at, size: 0, target: link.target.clone() };
        for _ in 0..MAX_LINKS {
            let target = link.target.as_deref().unwrap_or_default();
            let found = match link.kind {
                // Relative to the archive's root, and stored before the link.
                Kind::HardLink => normalised_path(&[], target),
                _ if target.starts_with(b"/") => None,
                // Relative to the link's own folder, and stored before or after it.
                _ => {
                    let end = from.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                    normalised_path(from.get(..end).unwrap_or_default(), target)
                }
            };
            let Some(found) = found.filter(|name| !name.is_empty()) else {
                return Err(refused(&shown, "which is outside of the archive"));
            };
            let places = self.places.get(&found).map(Vec::as_slice).unwrap_or_default();
            let place = match link.kind {
                Kind::HardLink => places.iter().rfind(|place| place.at < link.at),
                _ => places.last(),
            };
            let Some(place) = place else {
                return Err(refused(
                    &shown,
                    match self.complete {
                        true if link.kind == Kind::HardLink => {
                            "which the archive does not hold before the link"
                        }
                        true => "which the archive does not hold",
                        false => {
                            "which was not found among the first members; the archive has too \
                              many to keep the names of all: unpack it first"
                        }
                    },
                ));
            };
            match place.kind {
                Kind::Regular => return Ok(place.clone()),
                Kind::HardLink | Kind::SymbolicLink => (from, link) = (found, place.clone()),
                Kind::Folder => return Err(refused(&shown, "which is a folder")),
                Kind::Sparse => {
                    return Err(refused(
                        &shown,
                        "which the archive holds as a sparse file, which is not supported: pack \
                         the archive without sparse files",
                    ));
                }
                Kind::Other => {
                    return Err(refused(&shown, "which is a pipe or a device"));
                }
            }
        }
        Err(refused(&shown, "which leads through an endless chain of links"))
    }

    /// The archive's bytes from `offset`.
    fn stream_at(&mut self, offset: u64) -> Result<&mut dyn Read, Failure> {
        let unreadable = |error: io::Error| {
            Failure::new(Status::Unreadable, format!("the archive cannot be read again: {error}"))
        };
        let usable = match &self.input {
            Some(ReopenedArchive::Plain(_)) => true,
            Some(ReopenedArchive::Decompressed(_, at)) => *at <= offset,
            None => false,
        };
        if !usable {
            self.restarts += 1;
            if self.restarts > MAX_RESTARTS {
                return Err(Failure::new(
                    Status::Unreadable,
                    "the archive is compressed and has too many links out of order: decompress \
                     it first",
                ));
            }
            self.input = Some(match open(&self.path)? {
                Archived::Plain(file) => ReopenedArchive::Plain(file),
                Archived::Gzip(stream) => ReopenedArchive::Decompressed(stream, 0),
            });
        }
        match &mut self.input {
            Some(ReopenedArchive::Plain(file)) => {
                file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
                Ok(file)
            }
            Some(ReopenedArchive::Decompressed(stream, at)) => {
                let passed = io::copy(&mut stream.take(offset - *at), &mut io::sink());
                *at += passed.map_err(unreadable)?;
                Ok(stream)
            }
            None => Err(unreadable(io::ErrorKind::NotFound.into())),
        }
    }
}

fn refused(target: &str, why: &str) -> Failure {
    let message = format!("the archive holds this file as a link to '{target}', {why}");
    Failure::new(Status::Unreadable, message)
}

/// A name, relative to a folder of the archive, without `.`, `..` and double slashes; `None` if it
/// leads out of the archive.
fn normalised_path(folder: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in folder.split(|&byte| byte == b'/').chain(name.split(|&byte| byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}
