//! Reads a tar archive as a stream, member by member.
//!
//! The `tar` crate parses the headers. The loop over members is our own because an iterator must
//! own its archive, because extended headers must not allocate memory by their declared size, and
//! because a truncated archive must be distinguished from a complete one.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};

use tar::{EntryType, Header};

const BLOCK: usize = 512;

/// Maximum size of one extended header, in bytes: far above any name or attribute.
const MAX_EXTENSION: u64 = 1 << 20;

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Regular,
    /// A file stored without its holes.
    Sparse,
    Folder,
    /// Another name for a file that was stored before.
    HardLink,
    SymbolicLink,
    /// A device, a pipe or an unknown type.
    Other,
}

/// A member, from its header.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Bytes stored in the archive.
    pub(super) size: u64,
    /// Offset of its data in the decompressed archive.
    pub(super) data_at: u64,
    /// The target of a link.
    pub(super) target: Option<Vec<u8>>,
}

/// A tar archive being read. Errors are messages for the archive's row.
pub(super) struct TarReader<R> {
    input: R,
    /// Skips bytes; without reading them if the input can seek.
    skip: fn(&mut R, u64) -> io::Result<u64>,
    /// Unread bytes of the current member and of its padding.
    data: u64,
    padding: u64,
    /// Offset in the archive, in bytes.
    at: u64,
    members: u64,
    /// The current member's name, for messages.
    name: String,
}

/// Attributes that extended headers give to the member that follows.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self::with_skip(input, read_and_discard)
    }

    fn with_skip(input: R, skip: fn(&mut R, u64) -> io::Result<u64>) -> Self {
        Self { input, skip, data: 0, padding: 0, at: 0, members: 0, name: String::new() }
    }

    /// Skips the rest of the current member and reads the next header.
    pub(super) fn next_member(&mut self) -> Result<Option<Member>, String> {
        let mut extension = Extension::default();
        loop {
            self.skip_data()?;
            let Some(header) = self.next_header()? else {
                return Ok(None);
            };
            let kind = header.entry_type();
            let size = match extension.size.take_if(|_| !is_extension(kind)) {
                Some(size) => size,
                None => header.entry_size().map_err(|error| damaged(&error.to_string()))?,
            };
            self.data = if has_data(kind) { size } else { 0 };
            self.padding = self.data.wrapping_neg() % BLOCK as u64;
            match kind {
                EntryType::GNULongName => extension.name = Some(self.read_text()?),
                EntryType::GNULongLink => extension.target = Some(self.read_text()?),
                EntryType::XHeader => extension.read_pax(&self.read_extension()?)?,
                // Metadata for the whole archive.
                EntryType::XGlobalHeader => {}
                _ => return self.member(&header, extension).map(Some),
            }
        }
    }

    /// Checks what follows the end marker: only padding, and intact to its end, where compressed
    /// archives have their checksum.
    pub(super) fn check_end(&mut self) -> Result<(), String> {
        let mut part = [0; 16 * BLOCK];
        loop {
            match self.input.read(&mut part) {
                Ok(0) => return Ok(()),
                Ok(count) if part[..count].iter().all(|&byte| byte == 0) => {}
                Ok(_) => return Err(MORE_FOLLOWS.to_owned()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(format!(
                        "the archive cannot be read to its end ({error}), so its images may be \
                         damaged: copy or download it again"
                    ));
                }
            }
        }
    }

    /// All data of the current member. The caller has checked its size.
    pub(super) fn read_data(&mut self) -> Result<Vec<u8>, String> {
        const FIRST_RESERVE: u64 = 1 << 20;
        let mut bytes = Vec::with_capacity(self.data.min(FIRST_RESERVE) as usize);
        let read = (&mut self.input).take(self.data).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(&error))?;
        self.data -= bytes.len() as u64;
        self.at += bytes.len() as u64;
        if self.data > 0 {
            return Err(self.truncated());
        }
        Ok(bytes)
    }

    fn member(&mut self, header: &Header, extension: Extension) -> Result<Member, String> {
        self.members += 1;
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous if extension.sparse => Kind::Sparse,
            EntryType::Regular | EntryType::Continuous => Kind::Regular,
            EntryType::GNUSparse => {
                self.skip_sparse_map(header)?;
                Kind::Sparse
            }
            EntryType::Directory => Kind::Folder,
            EntryType::Link => Kind::HardLink,
            EntryType::Symlink => Kind::SymbolicLink,
            _ => Kind::Other,
        };
        let name = extension.name.unwrap_or_else(|| header.path_bytes().into_owned());
        self.name = String::from_utf8_lossy(&name).into_owned();
        // Before POSIX, a folder was stored as a file whose name ends in a slash.
        let kind = if name.ends_with(b"/") && kind == Kind::Regular { Kind::Folder } else { kind };
        let target = matches!(kind, Kind::HardLink | Kind::SymbolicLink).then(|| {
            extension.target.unwrap_or_else(|| {
                header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default()
            })
        });
        Ok(Member { name, kind, size: self.data, data_at: self.at, target })
    }

    /// The next header; `None` at the end-of-archive marker.
    fn next_header(&mut self) -> Result<Option<Header>, String> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        match filled {
            0 if self.members == 0 => return Err("the archive is empty".to_owned()),
            0 => return Err(self.truncated()),
            BLOCK => {}
            _ if self.members == 0 => return Err(NOT_TAR.to_owned()),
            _ => return Err(self.truncated()),
        }
        self.at += BLOCK as u64;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if header.cksum().ok() != Some(checksum(header.as_bytes())) {
            return Err(if self.members == 0 {
                NOT_TAR.to_owned()
            } else {
                damaged(&format!("the header after {} has a wrong checksum", self.name))
            });
        }
        Ok(Some(header))
    }

    /// Reads an extended header that contains a name, up to its terminating zero.
    fn read_text(&mut self) -> Result<Vec<u8>, String> {
        let mut text = self.read_extension()?;
        text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
        Ok(text)
    }

    fn read_extension(&mut self) -> Result<Vec<u8>, String> {
        if self.data > MAX_EXTENSION {
            return Err(damaged(&format!("an extended header claims {} bytes", self.data)));
        }
        self.read_data()
    }

    /// Old GNU archives store the rest of a long sparse map before the data.
    fn skip_sparse_map(&mut self, header: &Header) -> Result<(), String> {
        const CONTINUES_AT: usize = 504;
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        let mut block = [0; BLOCK];
        while more {
            self.input.read_exact(&mut block).map_err(|error| self.failed(&error))?;
            self.at += BLOCK as u64;
            more = block[CONTINUES_AT] != 0;
        }
        Ok(())
    }

    fn skip_data(&mut self) -> Result<(), String> {
        for left in [self.data, self.padding] {
            let passed = (self.skip)(&mut self.input, left).map_err(|error| self.failed(&error))?;
            self.at += passed;
            if passed < left {
                return Err(self.truncated());
            }
        }
        (self.data, self.padding) = (0, 0);
        Ok(())
    }

    fn truncated(&self) -> String {
        let place = match self.name.as_str() {
            "" => String::new(),
            name => format!(" in or after {name}"),
        };
        format!(
            "the archive ends{place}, without its end marker: it is truncated; \
             copy or download it again"
        )
    }

    fn failed(&self, error: &io::Error) -> String {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.truncated(),
            _ if self.members == 0 => format!("the archive cannot be read: {error}"),
            _ => format!("the archive cannot be read after {}: {error}", self.name),
        }
    }
}

impl TarReader<BufReader<File>> {
    /// Reads headers only. Seeking does not detect the end of the file, so the last member of a
    /// truncated archive may be incomplete.
    pub(super) fn seekable(input: BufReader<File>) -> Self {
        Self::with_skip(input, |input, count| match i64::try_from(count) {
            Ok(offset) => input.seek_relative(offset).map(|()| count),
            Err(_) => read_and_discard(input, count),
        })
    }
}

/// Reads and discards up to `count` bytes; returns how many there were.
fn read_and_discard<R: Read>(input: &mut R, count: u64) -> io::Result<u64> {
    io::copy(&mut input.take(count), &mut io::sink())
}

const NOT_TAR: &str = "this is not a tar archive, though its name says so";

const MORE_FOLLOWS: &str = "the archive holds more data after its end marker, which were not read: \
                            if archives were joined, pass each by itself";

fn damaged(what: &str) -> String {
    format!("the archive is damaged: {what}")
}

fn is_extension(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader
    )
}

/// Links, devices and folders may declare a size but store no data.
fn has_data(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

/// The sum of a header's bytes, with its checksum field counted as spaces (POSIX `ustar`).
fn checksum(header: &[u8; BLOCK]) -> u32 {
    const FIELD: std::ops::Range<usize> = 148..156;
    let value =
        |(at, &byte): (usize, &u8)| u32::from(if FIELD.contains(&at) { b' ' } else { byte });
    header.iter().enumerate().map(value).sum()
}

impl Extension {
    /// Parses records `LENGTH KEY=VALUE\n`, where the length counts the whole record (POSIX `pax`).
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), String> {
        while !records.is_empty() {
            let (record, rest) =
                pax_record(records).ok_or_else(|| damaged("an extended header does not parse"))?;
            records = rest;
            let Some(equals) = record.iter().position(|&byte| byte == b'=') else {
                return Err(damaged("an extended header does not parse"));
            };
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                // This is the real name of a sparse file; `path` is a placeholder for programs that
                // do not know sparse files.
                b"GNU.sparse.name" => {
                    self.sparse = true;
                    self.name = Some(value.to_vec());
                }
                b"path" if !self.sparse => self.name = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                    self.size = Some(size.ok_or_else(|| damaged("a size is not a number"))?);
                }
                _ => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

/// Splits off the first record, without its length and line ending.
fn pax_record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = records.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    Some((record, &records[length..]))
}
