//! Reads MXNet's RecordIO as a stream, record by record.
//!
//! A record consists of one or more parts: the little-endian magic number, a word with the kind of
//! the part in its upper 3 bits and the length of its data in the others, the data, and zeros up to
//! a multiple of 4 bytes. Where the data contain the magic number at such a multiple, the writer
//! splits them, and the reader puts the number back between the parts.
//!
//! Format: dmlc-core, `recordio.h`.

use std::io::{self, Read};

const MAGIC: [u8; 4] = 0xced7_230a_u32.to_le_bytes();

const LENGTH_BITS: u32 = 29;

/// A record's data, or its length if it exceeds the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Data(Vec<u8>),
    TooLong(u64),
}

/// A RecordIO file being read. Errors are messages for the file's row.
pub(super) struct RecordReader<R> {
    input: R,
    /// Offset in the file, in bytes.
    at: u64,
}

/// The position of a part in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Only,
    First,
    Middle,
    Last,
}

/// Whether a file starts like a record file.
pub(super) fn starts_as_records(head: &[u8]) -> bool {
    head.starts_with(&MAGIC)
}

impl<R: Read> RecordReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, at: 0 }
    }

    /// Offset of the next record, in bytes.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// The next record, if it holds at most `max_bytes`; a longer one is skipped. `None` at the end
    /// of the file.
    pub(super) fn next_record(&mut self, max_bytes: u64) -> Result<Option<Record>, String> {
        let mut data = Vec::new();
        let mut length = 0_u64;
        loop {
            let is_start = length == 0;
            let Some((part, part_length)) = self.next_part(is_start)? else { return Ok(None) };
            let fits = matches!(part, Part::Only | Part::First) == is_start;
            if !fits {
                return Err(damaged(self.at, "a part of a record is out of order"));
            }
            // Not zero even for an empty part, to mark that the record has started.
            length = length.saturating_add(part_length).saturating_add(MAGIC.len() as u64);
            let (kept, left) = if length - MAGIC.len() as u64 <= max_bytes {
                if !is_start {
                    data.extend_from_slice(&MAGIC);
                }
                (part_length, 0)
            } else {
                data = Vec::new();
                (0, part_length)
            };
            self.read_data(&mut data, kept, left)?;
            if matches!(part, Part::Only | Part::Last) {
                length -= MAGIC.len() as u64;
                let is_whole = length <= max_bytes;
                return Ok(Some(if is_whole {
                    Record::Data(data)
                } else {
                    Record::TooLong(length)
                }));
            }
        }
    }

    /// The header of a part; `None` at the end of the file, where a record may start.
    fn next_part(&mut self, may_end: bool) -> Result<Option<(Part, u64)>, String> {
        let mut header = Vec::with_capacity(8);
        let read = (&mut self.input).take(8).read_to_end(&mut header);
        read.map_err(|error| self.failed(&error))?;
        let (magic, word) = match (header.first_chunk::<4>(), header.last_chunk::<4>()) {
            (Some(magic), Some(word)) if header.len() == 8 => (*magic, u32::from_le_bytes(*word)),
            _ if header.is_empty() && may_end && self.at > 0 => return Ok(None),
            _ if header.is_empty() && self.at == 0 => return Err("the file is empty".to_owned()),
            _ => return Err(self.truncated()),
        };
        if magic != MAGIC {
            return Err(match self.at {
                0 => "this is not a RecordIO file of MXNet, though its name says so".to_owned(),
                at => damaged(at, "no record starts there"),
            });
        }
        self.at += 8;
        let part = match word >> LENGTH_BITS {
            0 => Part::Only,
            1 => Part::First,
            2 => Part::Middle,
            3 => Part::Last,
            _ => return Err(damaged(self.at, "the kind of the record is unknown")),
        };
        Ok(Some((part, u64::from(word & ((1 << LENGTH_BITS) - 1)))))
    }

    /// Appends `kept` bytes to `data`, and skips `left` bytes and the padding.
    fn read_data(&mut self, data: &mut Vec<u8>, kept: u64, left: u64) -> Result<(), String> {
        let read = (&mut self.input).take(kept).read_to_end(data);
        let read = read.map_err(|error| self.failed(&error))? as u64;
        let padding = (kept + left).wrapping_neg() % 4;
        let passed = io::copy(&mut (&mut self.input).take(left + padding), &mut io::sink());
        let passed = passed.map_err(|error| self.failed(&error))?;
        self.at += read + passed;
        if read < kept || passed < left + padding { Err(self.truncated()) } else { Ok(()) }
    }

    fn truncated(&self) -> String {
        format!(
            "the file ends at byte {}, in the middle of a record: it is truncated; copy or \
             download it again",
            self.at
        )
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("the file cannot be read after byte {}: {error}", self.at)
    }
}

fn damaged(at: u64, what: &str) -> String {
    format!("the file is damaged at byte {at}: {what}; copy or download it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One part, written independently of the reader.
    fn part(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x0a, 0x23, 0xd7, 0xce];
        bytes.extend_from_slice(&((kind << 29) | data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(data);
        while !bytes.len().is_multiple_of(4) {
            bytes.push(0);
        }
        bytes
    }

    fn records(bytes: &[u8], max_bytes: u64) -> Vec<Result<Record, String>> {
        let mut reader = RecordReader::new(bytes);
        let mut found = Vec::new();
        loop {
            match reader.next_record(max_bytes) {
                Ok(None) => return found,
                Ok(Some(record)) => found.push(Ok(record)),
                Err(message) => {
                    found.push(Err(message));
                    return found;
                }
            }
        }
    }

    #[test]
    fn records_of_every_length_are_read() {
        let data: Vec<Vec<u8>> = (0..9).map(|length| vec![7; length]).collect();
        let file: Vec<u8> = data.iter().flat_map(|data| part(0, data)).collect();
        let expected: Vec<_> = data.into_iter().map(|data| Ok(Record::Data(data))).collect();
        assert_eq!(records(&file, 8), expected);
        assert_eq!(records(&file, 7)[8], Ok(Record::TooLong(8)));
    }

    #[test]
    fn split_records_are_rejoined_with_magic_number() {
        let magic = [0x0a, 0x23, 0xd7, 0xce];
        let whole = [b"abcd".as_slice(), &magic, &magic, b"xyz"].concat();
        let parts = [part(1, b"abcd"), part(2, b""), part(3, b"xyz"), part(0, b"next")].concat();
        let next = || Ok(Record::Data(b"next".to_vec()));
        assert_eq!(records(&parts, 15), [Ok(Record::Data(whole)), next()]);
        for limit in 4..15 {
            assert_eq!(records(&parts, limit), [Ok(Record::TooLong(15)), next()], "{limit}");
        }
    }

    #[test]
    fn truncated_or_damaged_records_are_reported() {
        let whole = [part(0, b"12345"), part(0, b"6")].concat();
        for end in 1..whole.len() {
            let found = records(&whole[..end], 100);
            let last = found.last().unwrap();
            match end {
                16 => assert_eq!(last, &Ok(Record::Data(b"12345".to_vec()))),
                _ => assert!(last.as_ref().is_err_and(|m| m.contains("truncated")), "{end}"),
            }
        }
        let mut wrong = whole.clone();
        wrong[16] = 0;
        let found = records(&wrong, 100);
        assert!(found[1].as_ref().is_err_and(|m| m.contains("byte 16")), "{found:?}");
        let message = |bytes: &[u8]| records(bytes, 100).pop().unwrap().unwrap_err();
        assert!(message(b"").contains("empty"));
        assert!(message(b"an ordinary text").contains("not a RecordIO file"));
        assert!(message(&part(3, b"last")).contains("out of order"));
        assert!(message(&[part(1, b"a"), part(0, b"b")].concat()).contains("out of order"));
        assert!(message(&part(4, b"")).contains("unknown"));
        assert!(message(&part(1, b"first")).contains("truncated"));
    }

    #[test]
    fn record_shorter_than_declared_is_truncated() {
        let mut bytes = part(0, b"");
        bytes[4..].copy_from_slice(&0x1fff_ffff_u32.to_le_bytes());
        assert!(records(&bytes, u64::MAX)[0].as_ref().is_err_and(|m| m.contains("truncated")));
    }
}
