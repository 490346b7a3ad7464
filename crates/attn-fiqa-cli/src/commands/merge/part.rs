//! The output of one shard: its journal, and its rows in journal order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::journal::{DoneImage, Fingerprint, JournalReader, Line, RunPaths, Shard};
use crate::output::{OwnedCell, SUCCESS, TableReader, TableSchema, encode, parts};

/// Maximum number of bytes of an image's rows: a damaged journal must not fill the memory.
const MAX_IMAGE_BYTES: u64 = 1 << 30;

pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) fingerprint: Fingerprint,
    pub(super) shard: Shard,
    /// Number of images in this part, and in all shards together.
    pub(super) images: u64,
    pub(super) total: u64,
    journal: JournalReader,
    pub(super) content: Content,
    heading: Option<(u64, u32)>,
    /// The image of the next rows, with their length and checksum.
    current: Option<(DoneImage, u64, u32)>,
}

pub(super) enum Content {
    Text(BufReader<File>),
    Table(Tables),
}

/// One table, or the files of a data set in order.
pub(super) struct Tables {
    current: TableReader,
    further: VecDeque<PathBuf>,
}

impl Part {
    /// # Errors
    ///
    /// If it is not the output of a shard, is not finished, or cannot be read.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let place = if path.is_dir() { RunPaths::inside(path) } else { RunPaths::beside(path) };
        if !place.journal.is_file() {
            bail!(
                "'{}' has no journal '{}': only outputs of runs with --shard can be merged, each \
                 with its journal",
                path.display(),
                place.journal.display()
            );
        }
        if place.data.exists() || (path.is_dir() && !path.join(SUCCESS).exists()) {
            bail!(
                "the run of '{}' is not finished: repeat its command to continue it",
                path.display()
            );
        }
        let (fingerprint, _) = JournalReader::open(&place.journal)?;
        let shard = fingerprint.shard.as_deref().and_then(|shard| shard.parse().ok());
        let shard = shard.with_context(|| {
            format!("'{}' is the output of a whole run, not of one shard", path.display())
        })?;
        let Survey { images, total, heading } = survey(&place.journal)?;
        let content = if path.is_dir() {
            Content::Table(Tables::open(parts(path)?, path)?)
        } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
            Content::Table(Tables::open(vec![path.to_owned()], path)?)
        } else {
            let file = File::open(path);
            let file = file.with_context(|| format!("cannot read '{}'", path.display()))?;
            Content::Text(BufReader::with_capacity(1 << 16, file))
        };
        let (_, journal) = JournalReader::open(&place.journal)?;
        let path = path.to_owned();
        Ok(Self {
            path,
            fingerprint,
            shard,
            images,
            total,
            journal,
            content,
            heading,
            current: None,
        })
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.content, Content::Table(_))
    }

    /// The bytes before the rows; must be read before any row.
    pub(super) fn heading(&mut self) -> anyhow::Result<Vec<u8>> {
        match self.heading {
            Some((bytes, crc)) => self.read(bytes, crc),
            None => Ok(Vec::new()),
        }
    }

    /// Advances to the next image, and returns its number among all images; `None` after the last.
    pub(super) fn next_image(&mut self) -> anyhow::Result<Option<u64>> {
        while let Some(line) = self.journal.next_line()? {
            if let Line::Image { image, bytes, crc } = line {
                let ordinal = image.ordinal;
                self.current = Some((image, bytes, crc));
                return Ok(Some(ordinal));
            }
        }
        self.check_end().map(|()| None)
    }

    /// The number of rows of the image.
    pub(super) fn rows(&self) -> u32 {
        self.current.as_ref().map_or(0, |(image, ..)| image.rows)
    }

    /// The bytes of the image's rows, for text.
    pub(super) fn bytes(&mut self) -> anyhow::Result<Vec<u8>> {
        let (_, bytes, crc) = self.current.take().context("no image: this is a bug")?;
        self.read(bytes, crc)
    }

    /// The image's rows, for a table.
    pub(super) fn cells(&mut self) -> anyhow::Result<Vec<Vec<OwnedCell>>> {
        let (image, _, crc) = self.current.take().context("no image: this is a bug")?;
        let Content::Table(table) = &mut self.content else {
            bail!("a text has no cells: this is a bug")
        };
        let mut rows = Vec::new();
        let mut bytes = Vec::new();
        for _ in 0..image.rows {
            let Some(row) = table.next_row()? else { return Err(self.changed()) };
            encode(&row, &mut bytes);
            rows.push(row);
        }
        if crc32fast::hash(&bytes) != crc {
            return Err(self.changed());
        }
        Ok(rows)
    }

    fn read(&mut self, bytes: u64, crc: u32) -> anyhow::Result<Vec<u8>> {
        let Content::Text(file) = &mut self.content else {
            bail!("a table has no lines: this is a bug")
        };
        let mut read = Vec::new();
        file.take(bytes.min(MAX_IMAGE_BYTES))
            .read_to_end(&mut read)
            .with_context(|| format!("cannot read '{}'", self.path.display()))?;
        if read.len() as u64 != bytes || crc32fast::hash(&read) != crc {
            return Err(self.changed());
        }
        Ok(read)
    }

    /// Fails if there are more rows than the journal lists.
    fn check_end(&mut self) -> anyhow::Result<()> {
        let more = match &mut self.content {
            Content::Text(file) => file.read(&mut [0])? > 0,
            Content::Table(table) => table.next_row()?.is_some(),
        };
        if more { Err(self.changed()) } else { Ok(()) }
    }

    fn changed(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "'{}' does not hold the rows that its journal lists: it was changed after its run; run \
             this shard again",
            self.path.display()
        )
    }
}

impl Tables {
    fn open(files: Vec<PathBuf>, path: &Path) -> anyhow::Result<Self> {
        let mut further = VecDeque::from(files);
        let first = further.pop_front();
        let first =
            first.with_context(|| format!("the data set '{}' has no files", path.display()))?;
        Ok(Self { current: TableReader::open(&first)?, further })
    }

    pub(super) fn schema(&self) -> &TableSchema {
        self.current.schema()
    }

    fn next_row(&mut self) -> anyhow::Result<Option<Vec<OwnedCell>>> {
        loop {
            if let Some(row) = self.current.next_row()? {
                return Ok(Some(row));
            }
            match self.further.pop_front() {
                Some(next) => self.current = TableReader::open(&next)?,
                None => return Ok(None),
            }
        }
    }
}

/// What a journal says about its run as a whole.
#[derive(Default)]
struct Survey {
    /// Number of images in the part, and in all parts.
    images: u64,
    total: u64,
    /// Length and checksum of the heading.
    heading: Option<(u64, u32)>,
}

fn survey(journal: &Path) -> anyhow::Result<Survey> {
    let (_, mut reader) = JournalReader::open(journal)?;
    let mut survey = Survey::default();
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Heading { bytes, crc } => survey.heading = Some((bytes, crc)),
            Line::Image { .. } => survey.images += 1,
            Line::End { images } => survey.total = images,
            Line::Started { .. } | Line::Files { .. } | Line::Part { .. } => {}
        }
    }
    Ok(survey)
}
