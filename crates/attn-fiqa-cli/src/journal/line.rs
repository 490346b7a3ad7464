//! The lines of a journal.

use std::fmt;

use attn_fiqa::status::Status;

use crate::summary::FOUND;

/// A finished image and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DoneImage {
    /// Its number among all input images, from 0, including those of other shards.
    pub(crate) ordinal: u64,
    /// CRC-32 of its name in the rows.
    pub(crate) name: u32,
    pub(crate) rows: u32,
    /// Its outcome, as counted by [`Summary`](crate::summary::Summary): one word per outcome.
    pub(crate) outcome: String,
}

/// One line after the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// When the run started, in nanoseconds since 1970 by the clock of its file system.
    Started { nanoseconds: u64 },
    /// The data begin with a heading of this many bytes and this CRC-32.
    Heading { bytes: u64, crc: u32 },
    /// The rows of an image come next in the data, with this many bytes and this CRC-32.
    Image { image: DoneImage, bytes: u64, crc: u32 },
    /// The files of all images so far are on disk. What follows was written during the same boot of
    /// the machine, which `boot` identifies if it is known.
    Files { boot: Option<u32> },
    /// The rows of all images so far are in file number `part` of a data set, and the data start
    /// again from empty.
    Part { part: u64 },
    /// All images were seen; their number includes those of other shards.
    End { images: u64 },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { nanoseconds } => writeln!(f, "started {nanoseconds}"),
            Self::Heading { bytes, crc } => writeln!(f, "heading {bytes} {crc:08x}"),
            Self::Image { image, bytes, crc } => {
                let DoneImage { ordinal, name, rows, outcome } = image;
                writeln!(f, "{ordinal} {name:08x} {rows} {bytes} {crc:08x} {outcome}")
            }
            Self::Files { boot: Some(boot) } => writeln!(f, "files {boot:08x}"),
            Self::Files { boot: None } => writeln!(f, "files -"),
            Self::Part { part } => writeln!(f, "part {part}"),
            Self::End { images } => writeln!(f, "end {images}"),
        }
    }
}

impl Line {
    /// Parses a line without its line end; `None` if it is invalid.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let first = words.next()?;
        let parsed = match first {
            "heading" => {
                Self::Heading { bytes: number(words.next()?)?, crc: checksum(words.next()?)? }
            }
            "started" => Self::Started { nanoseconds: number(words.next()?)? },
            "files" => Self::Files {
                boot: match words.next()? {
                    "-" => None,
                    boot => Some(checksum(boot)?),
                },
            },
            // The number of files is this plus one.
            "part" => Self::Part { part: number(words.next()?).filter(|&part| part < u64::MAX)? },
            "end" => Self::End { images: number(words.next()?)? },
            ordinal => Self::Image {
                image: DoneImage {
                    ordinal: number(ordinal)?,
                    name: checksum(words.next()?)?,
                    rows: number(words.next()?)?.try_into().ok()?,
                    outcome: String::new(),
                },
                bytes: number(words.next()?)?,
                crc: checksum(words.next()?)?,
            },
        };
        let parsed = match parsed {
            Self::Image { image, bytes, crc } => {
                let outcome = words.next().filter(|word| is_outcome(word))?.to_owned();
                Self::Image { image: DoneImage { outcome, ..image }, bytes, crc }
            }
            other => other,
        };
        words.next().is_none().then_some(parsed)
    }
}

/// A number in canonical form: without a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn checksum(text: &str) -> Option<u32> {
    let hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u32::from_str_radix(text, 16).ok())?
}

/// Words that a summary counts, separated by commas.
fn is_outcome(text: &str) -> bool {
    let is_status = |word| Status::ALL.iter().any(|status| status.name() == word);
    text.split(',').all(|word| word == FOUND || is_status(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Line {
        let outcome = "ok,ok,not-found".to_owned();
        let image = DoneImage { ordinal: 12, name: 0xab, rows: 3, outcome };
        Line::Image { image, bytes: u64::MAX, crc: u32::MAX }
    }

    #[test]
    fn journal_lines_round_trip() {
        let lines = [
            Line::Started { nanoseconds: 1_796_000_000_000_000_000 },
            Line::Heading { bytes: 7, crc: 0 },
            image(),
            Line::Files { boot: Some(0xc0ffee) },
            Line::Files { boot: None },
            Line::Part { part: 3 },
            Line::End { images: 1_000_000_000_000 },
        ];
        for line in lines {
            let text = line.to_string();
            assert_eq!(Line::parse(text.trim_end()), Some(line), "{text}");
        }
    }

    /// A truncated or changed line is either rejected or another valid line, and never causes a
    /// panic.
    #[test]
    fn malformed_lines_are_rejected() {
        let text = image().to_string();
        let text = text.trim_end();
        for end in 0..text.len() - "not-found".len() {
            let cut = Line::parse(&text[..end]);
            assert!(cut.is_none() || text[..end].ends_with("ok"), "{end}: {cut:?}");
        }
        for wrong in [
            "",
            " ",
            "end",
            "end -1",
            "end +1",
            "end 1 2",
            "part 99999999999999999999999",
            "part 18446744073709551615",
            "files",
            "files -1",
            "files 1",
            "heading 1 0000000g",
            "heading 1 00",
            "1 00000000 4294967296 1 00000000 ok",
            "1 00000000 1 1 00000000 OK",
            "1 00000000 1 1 00000000 ",
            "1 00000000 1 1 00000000 okay",
            "\u{0}\u{0}\u{0}",
        ] {
            assert_eq!(Line::parse(wrong), None, "{wrong:?}");
        }
    }
}
