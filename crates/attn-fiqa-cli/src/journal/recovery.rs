//! What is left of a run, however it ended: the longest part of its rows that can be trusted.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::reader::{Lines, Located};
use super::{Done, Line};

/// The trustworthy part of a journal and of the rows that it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecoverableRun {
    pub(super) done: Done,
    pub(super) has_heading: bool,
    /// When the run started.
    pub(super) started: Option<SystemTime>,
    /// Where it ends in the data and in the journal.
    pub(super) data_end: u64,
    pub(super) journal_end: u64,
    /// Where the journal lines for the rows in the data start.
    pub(super) first_line: u64,
    /// Listed images whose rows are damaged or missing.
    pub(super) damaged: u64,
    /// Listed images whose files the machine may have lost.
    pub(super) not_synced: u64,
}

impl RecoverableRun {
    /// Finds the trustworthy part; `boot` is the current boot.
    pub(super) fn find(
        journal: &mut File,
        data: &mut File,
        boot: Option<u32>,
    ) -> anyhow::Result<Self> {
        let Survey { lines: most, last_part, listed, not_synced } = Survey::of(journal, boot)?;
        data.seek(SeekFrom::Start(0))?;
        let mut data = BufReader::with_capacity(1 << 18, &*data);
        let lines = Lines::new(journal)?;
        let mut whole = Self {
            done: Done::default(),
            has_heading: false,
            started: None,
            data_end: 0,
            journal_end: lines.at,
            first_line: lines.at,
            damaged: 0,
            not_synced,
        };
        for (number, located) in lines.enumerate().take(most) {
            let Located { line, end } = located?;
            // The data of images that are in a data set file have been overwritten.
            let in_data = number >= last_part;
            if let Line::Heading { bytes, crc } | Line::Image { bytes, crc, .. } = line
                && in_data
            {
                if !matches_crc(&mut data, bytes, crc)? {
                    break;
                }
                // At most the size of the file, so this cannot overflow.
                whole.data_end += bytes;
            }
            match line {
                Line::Heading { .. } => whole.has_heading = true,
                Line::Image { image, .. } => {
                    whole.done.images += 1;
                    if in_data {
                        whole.done.images_in_data += 1;
                        whole.done.rows_in_data += u64::from(image.rows);
                    }
                }
                Line::Started { nanoseconds } => {
                    whole.started = UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds));
                }
                Line::Part { part } => {
                    (whole.first_line, whole.done.parts) = (end, part + 1);
                }
                Line::Files { .. } => {}
                // The run was killed between its last line and its last step: both are redone.
                Line::End { .. } => break,
            }
            whole.journal_end = end;
        }
        whole.damaged = listed - whole.done.images;
        Ok(whole)
    }
}

/// What the journal lines contain, whatever became of the rows.
struct Survey {
    /// Lines whose files are there.
    lines: usize,
    /// How many of these come before the end of the last data set file.
    last_part: usize,
    /// Images in those lines, and in the lines after them.
    listed: u64,
    not_synced: u64,
}

impl Survey {
    fn of(journal: &mut File, boot: Option<u32>) -> anyhow::Result<Self> {
        let mut found = Self { lines: usize::MAX, last_part: 0, listed: 0, not_synced: 0 };
        // At the last line that records synced files: the contents of `found`, and the boot during
        // which the following lines were written.
        let mut synced = None;
        for (number, located) in Lines::new(journal)?.enumerate() {
            match located?.line {
                Line::Part { .. } => found.last_part = number + 1,
                Line::Image { .. } => found.listed += 1,
                Line::Files { boot } => {
                    synced = Some((number + 1, found.last_part, found.listed, boot));
                }
                Line::Started { .. } | Line::Heading { .. } => {}
                Line::End { .. } => break,
            }
        }
        if let Some((lines, last_part, listed, then)) = synced
            && (then.is_none() || then != boot)
        {
            found = Self { lines, last_part, listed, not_synced: found.listed - listed };
        }
        Ok(found)
    }
}

/// Whether the next `bytes` bytes have this checksum.
fn matches_crc(data: &mut impl Read, bytes: u64, crc: u32) -> anyhow::Result<bool> {
    let mut hasher = crc32fast::Hasher::new();
    let (mut left, mut buffer) = (bytes, vec![0; 1 << 16]);
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = data.read(&mut buffer[..most])?;
        if read == 0 {
            return Ok(false);
        }
        hasher.update(&buffer[..read]);
        left -= read as u64;
    }
    Ok(hasher.finalize() == crc)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::journal::DoneImage;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    fn find(journal: &[u8], data: &[u8], boot: Option<u32>) -> RecoverableRun {
        let (mut journal, mut data) = (file(journal), file(data));
        RecoverableRun::find(&mut journal, &mut data, boot).expect("read")
    }

    fn image(ordinal: u64, rows: &[u8]) -> Line {
        let image = DoneImage { ordinal, name: 7, rows: 1, outcome: "ok".to_owned() };
        Line::Image { image, bytes: rows.len() as u64, crc: crc32fast::hash(rows) }
    }

    const BOOT: u32 = 0xb001;

    /// A journal and its data: a heading, and images whose files were last synced after the second.
    fn run() -> (Vec<u8>, Vec<u8>) {
        let rows: [&[u8]; 5] = [b"path,score\n", b"a,1\n", b"b,22\n", b"c,333\n", b"d,4\n"];
        let heading = Line::Heading { bytes: rows[0].len() as u64, crc: crc32fast::hash(rows[0]) };
        let lines = [
            Line::Started { nanoseconds: 1_796_000_000_000_000_000 },
            heading,
            Line::Files { boot: Some(BOOT) },
            image(0, rows[1]),
            image(1, rows[2]),
            Line::Files { boot: Some(BOOT) },
            image(2, rows[3]),
            image(4, rows[4]),
        ];
        let header = ["attn-fiqa journal 1\n{}\n".to_owned()].into_iter();
        let journal: String = header.chain(lines.iter().map(Line::to_string)).collect();
        (journal.into_bytes(), rows.concat())
    }

    /// Keeps everything up to the last image whose line and rows are both there.
    #[test]
    fn truncated_journal_or_data_keeps_complete_images() {
        let (journal, data) = run();
        let whole = find(&journal, &data, Some(BOOT));
        assert_eq!((whole.done.images, whole.damaged, whole.not_synced), (4, 0, 0));
        assert_eq!((whole.data_end, whole.journal_end), (data.len() as u64, journal.len() as u64));
        assert!(whole.has_heading && whole.started > Some(UNIX_EPOCH));
        let row_ends = [15, 20, 26, 30];
        for end in 0..=data.len() {
            let cut = find(&journal, &data[..end], Some(BOOT));
            let kept = row_ends.iter().filter(|&&row| row <= end).count() as u64;
            assert_eq!((cut.done.images, cut.damaged), (kept, 4 - kept), "{end}");
            assert!(cut.data_end <= end as u64 && cut.has_heading == (end >= 11), "{end}");
        }
        for end in 0..=journal.len() {
            let cut = find(&journal[..end], &data, Some(BOOT));
            let text = std::str::from_utf8(&journal[..end]).expect("ASCII");
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with(" ok\n"));
            assert_eq!((cut.done.images, cut.damaged), (lines.count() as u64, 0), "{end}");
            assert!(cut.journal_end <= end as u64, "{end}");
        }
    }

    #[test]
    fn unsynced_images_are_dropped_after_reboot() {
        let (journal, data) = run();
        let unknown = String::from_utf8(journal.clone()).expect("text").replace("0000b001", "-");
        for (journal, now) in [
            (&journal[..], Some(BOOT + 1)),
            (&journal, None),
            (unknown.as_bytes(), Some(BOOT)),
            (unknown.as_bytes(), None),
        ] {
            let whole = find(journal, &data, now);
            assert_eq!((whole.done.images, whole.damaged, whole.not_synced), (2, 0, 2));
            assert_eq!(whole.data_end, 20);
            assert!(journal[..whole.journal_end as usize].ends_with(b"\n"));
        }
        // Without file lines, everything is trusted.
        let text = String::from_utf8(journal).expect("text");
        let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("files"));
        let without: String = lines.collect();
        let whole = find(without.as_bytes(), &data, None);
        assert_eq!((whole.done.images, whole.not_synced), (4, 0));
    }

    /// Rows in a data set file are no longer in the data, whatever their lines say.
    #[test]
    fn completed_parts_are_not_verified_against_data() {
        let huge = Line::Image {
            image: DoneImage { ordinal: 0, name: 7, rows: 9, outcome: "ok".to_owned() },
            bytes: u64::MAX,
            crc: 0,
        };
        let lines = [huge.clone(), huge.clone(), Line::Part { part: 0 }, image(2, b"row")];
        let text = |lines: &[Line]| {
            let lines: String = lines.iter().map(Line::to_string).collect();
            format!("attn-fiqa journal 1\n{{}}\n{lines}").into_bytes()
        };
        let whole = find(&text(&lines), b"row", None);
        let done = Done { images: 3, parts: 1, images_in_data: 1, rows_in_data: 1 };
        assert_eq!((whole.done, whole.data_end, whole.damaged), (done, 3, 0));
        // What follows the end line is not part of the run.
        let whole =
            find(&text(&[huge, Line::End { images: 1 }, Line::Part { part: 0 }]), b"", None);
        assert_eq!((whole.done.images, whole.damaged), (0, 1));
    }
}
