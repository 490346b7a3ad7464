//! The entries of a zip archive, from the central directory at its end.
//!
//! Declared sizes are compared with the limit before anything is decompressed, and actual sizes
//! during decompression: a small archive may declare, or expand to, any size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::vec;

use flate2::read::DeflateDecoder;
use rawzip::{
    CompressionMethod, ErrorKind, FileReader, RECOMMENDED_BUFFER_SIZE, ZipArchive,
    ZipArchiveEntryWayfinder, ZipFileHeaderRecord,
};

use super::{file, name};
use crate::decode::{HEAD, too_many_bytes};
use crate::regular_file::open_regular_file;
use crate::status::{Failure, Status};

/// A local file header, or the end record of an empty archive.
const MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Maximum total size of the kept names, in bytes: those of a million files.
const MAX_NAME_BYTES: usize = 64 << 20;

/// Counted per file in addition to its name.
const ENTRY_BYTES: usize = 64;

/// Maximum compression ratio of Deflate.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// An archive and the entries in its directory.
pub(super) struct ZipReader {
    archive: ZipArchive<FileReader>,
    entries: vec::IntoIter<Entry>,
}

/// A file in the archive.
pub(super) struct Entry {
    /// Its name, as stored.
    pub(super) name: Box<[u8]>,
    place: ZipArchiveEntryWayfinder,
    stored: Stored,
}

/// How an entry is stored.
#[derive(Debug, Clone, Copy)]
enum Stored {
    Plainly,
    Deflated,
    /// In an unsupported way, and why.
    Otherwise(Unread),
}

#[derive(Debug, Clone, Copy)]
enum Unread {
    Encrypted,
    Link,
    Special,
    Compressed(CompressionMethod),
}

/// Whether a file starts like a zip archive.
pub(super) fn starts_as_zip(path: &Path) -> bool {
    let head = file::head(path);
    MAGICS.iter().any(|magic| head.starts_with(magic))
}

fn broken(message: impl Into<String>) -> Failure {
    Failure::new(Status::BrokenArchive, message)
}

/// The failure for a missing or inconsistent directory.
fn unreadable_directory(error: &rawzip::Error) -> Failure {
    match error.kind() {
        ErrorKind::IO(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Failure::new(Status::Unreadable, format!("the archive cannot be read: {error}"))
        }
        _ => broken(
            "the zip archive has no complete directory at its end: it is truncated or damaged; \
             copy or download it again",
        ),
    }
}

impl ZipReader {
    /// Reads the directory of the archive at `path`.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or the archive is truncated, damaged or has more files than
    /// can be kept.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let (file, _) = open_regular_file(path).map_err(|error| file::not_opened(path, error))?;
        let starts_with_entry = starts_with_entry(&file);
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(file, &mut buffer)
            .map_err(|error| unreadable_directory(&error))?;
        let mut entries = Vec::new();
        let mut kept = 0;
        let mut found = 0_u64;
        let mut first = archive.directory_offset();
        let mut directory = archive.entries(&mut buffer);
        while let Some(record) =
            directory.next_entry().map_err(|error| unreadable_directory(&error))?
        {
            found += 1;
            first = first.min(record.local_header_offset());
            if is_folder(&record) {
                continue;
            }
            let name: Box<[u8]> = record.file_path().as_bytes().into();
            kept += name.len() + ENTRY_BYTES;
            if kept > MAX_NAME_BYTES {
                return Err(broken(
                    "the zip archive names more files than are kept in memory, about a million: \
                     unpack it, or pack it as a tar archive",
                ));
            }
            entries.push(Entry { name, place: record.wayfinder(), stored: stored(&record) });
        }
        // Old programs count modulo 65,536.
        let declared = archive.entries_hint();
        if declared != found && declared != found % (1 << 16) {
            return Err(broken(format!(
                "the zip archive's directory should name {declared} files but names {found}: it is \
                 damaged; copy or download it again"
            )));
        }
        // The end of a truncated archive may be that of a complete archive stored inside it.
        if starts_with_entry && first != 0 {
            return Err(broken(
                "the zip archive's directory does not name the file at its start: it is truncated \
                 or damaged; copy or download it again",
            ));
        }
        Ok(Self { archive, entries: entries.into_iter() })
    }

    /// The next file, in the directory's order.
    pub(super) fn next_entry(&mut self) -> Option<Entry> {
        self.entries.next()
    }

    /// A file's first bytes, as far as they can be read.
    pub(super) fn head(&self, entry: &Entry) -> Vec<u8> {
        let mut head = Vec::new();
        if let Ok(mut unpacked) = self.unpack(entry) {
            // Bytes read before an error are used.
            let _ = unpacked.by_ref().take(HEAD as u64).read_to_end(&mut head);
        }
        head
    }

    /// A file's bytes, at most `max_bytes`, with a valid checksum.
    pub(super) fn read(&self, entry: &Entry, max_bytes: u64) -> Result<Vec<u8>, Failure> {
        let size = entry.place.uncompressed_size_hint();
        let unpacked = self.unpack(entry)?;
        if size > max_bytes {
            return Err(too_many_bytes(size, max_bytes));
        }
        let mut bytes = Vec::new();
        let packed = entry.place.compressed_size_hint();
        // Allocates what the compressed bytes can expand to, whatever size is declared.
        if size <= packed.saturating_mul(MAX_DEFLATE_RATIO)
            && !usize::try_from(size).is_ok_and(|size| bytes.try_reserve_exact(size).is_ok())
        {
            return Err(Failure::new(
                Status::TooLarge,
                format!("the file's {size} bytes do not fit in memory"),
            ));
        }
        let read = unpacked.take(size.saturating_add(1)).read_to_end(&mut bytes);
        if read.is_err() || bytes.len() as u64 != size {
            return Err(Failure::new(
                Status::Unreadable,
                "the archive holds damaged data of this file: copy or download the archive again",
            ));
        }
        Ok(bytes)
    }

    /// A reader of a file's uncompressed bytes; a wrong length or checksum is an error at the end.
    fn unpack(&self, entry: &Entry) -> Result<Box<dyn Read + '_>, Failure> {
        let place = self.archive.get_entry(entry.place).map_err(|_| {
            Failure::new(
                Status::Unreadable,
                "the archive has no file where its directory says: copy or download the archive \
                 again",
            )
        })?;
        let packed = place.reader();
        match entry.stored {
            Stored::Plainly => Ok(Box::new(place.verifying_reader(packed))),
            Stored::Deflated => Ok(Box::new(place.verifying_reader(DeflateDecoder::new(packed)))),
            Stored::Otherwise(unread) => Err(refusal(unread)),
        }
    }
}

fn starts_with_entry(mut file: &File) -> bool {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).is_ok() && magic == MAGICS[0]
}

fn is_folder(record: &ZipFileHeaderRecord<'_>) -> bool {
    // Some Windows programs use their own separator for folders.
    record.is_dir() || record.file_path().as_bytes().ends_with(b"\\")
}

fn stored(record: &ZipFileHeaderRecord<'_>) -> Stored {
    /// The bits of a Unix file mode that hold the file type. Regular files and an unspecified type
    /// are accepted.
    const KIND: u32 = 0o170_000;
    const REGULAR: [u32; 2] = [0o100_000, 0];

    let flags = record.flags();
    let mode = record.mode();
    if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
        Stored::Otherwise(Unread::Encrypted)
    } else if mode.is_symlink() {
        Stored::Otherwise(Unread::Link)
    } else if !REGULAR.contains(&(mode.value() & KIND)) {
        Stored::Otherwise(Unread::Special)
    } else {
        match record.compression_method() {
            CompressionMethod::STORE => Stored::Plainly,
            CompressionMethod::DEFLATE => Stored::Deflated,
            other => Stored::Otherwise(Unread::Compressed(other)),
        }
    }
}

fn refusal(unread: Unread) -> Failure {
    let message = match unread {
        Unread::Encrypted => "the archive holds this file encrypted: unpack it with its password \
                              and give the files"
            .to_owned(),
        Unread::Link => {
            "this is a symbolic link, but links in zip archives are not followed: pack its target \
             instead"
                .to_owned()
        }
        Unread::Special => "this is a pipe or a device, but a file was expected".to_owned(),
        Unread::Compressed(method) => format!(
            "the archive holds this file compressed with {}, but only stored and deflated files \
             are supported: pack it again, or unpack it and give the files",
            match method.name() {
                Some(name) => name.to_owned(),
                None => format!("method {}", method.as_u16()),
            }
        ),
    };
    Failure::new(Status::Unreadable, message)
}

/// Whether a file is read as a zip archive: judged by its content, or by its name if the content is
/// not another archive's.
pub(super) fn is_zip(path: &Path, other_archive: impl FnOnce(&Path) -> bool) -> bool {
    starts_as_zip(path) || (name::is_zip(path) && !other_archive(path))
}
