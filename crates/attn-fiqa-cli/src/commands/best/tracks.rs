//! The track of each face, read from a file.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail};

use super::face::ScoredFace;

/// More bytes than any list of tracks would have; it is held in memory.
const MAX_BYTES: u64 = 1 << 30;

const EXPECTED: &str = "path,track or path,face,track";

/// Tracks by image.
pub(super) struct Tracks {
    by_path: HashMap<String, Vec<Line>>,
    /// Paths by file name; `None` if several paths have it.
    by_name: HashMap<String, Option<String>>,
}

struct Line {
    /// `None` stands for all faces of the image.
    face: Option<usize>,
    track: String,
}

impl Tracks {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let found = std::fs::metadata(file)
            .with_context(|| format!("the track file cannot be read: {shown}"))?;
        if found.len() > MAX_BYTES {
            bail!(
                "{shown}: expected a track file of at most {MAX_BYTES} bytes; found {}",
                found.len()
            );
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_path(file)
            .with_context(|| format!("the track file cannot be read: {shown}"))?;
        let mut tracks = Self { by_path: HashMap::new(), by_name: HashMap::new() };
        for (number, row) in reader.records().enumerate() {
            let row = row.with_context(|| format!("{shown}: not a CSV file"))?;
            let line = row.position().map_or(0, csv::Position::line);
            if number == 0 && row.get(0).is_some_and(|cell| cell.eq_ignore_ascii_case("path")) {
                continue;
            }
            let (path, face, track) = match row.iter().collect::<Vec<_>>()[..] {
                [path, track] => (path, None, track),
                [path, face, track] => {
                    let face = match face {
                        "" => None,
                        face => Some(face.parse().with_context(|| {
                            format!(
                                "{shown}, line {line}: expected a face number, counted from 0, or \
                                 nothing; found '{face}'"
                            )
                        })?),
                    };
                    (path, face, track)
                }
                _ => bail!("{shown}, line {line}: expected {EXPECTED}; found {} fields", row.len()),
            };
            if path.is_empty() || track.is_empty() {
                bail!("{shown}, line {line}: expected {EXPECTED}; found an empty path or track");
            }
            tracks.insert(path, Line { face, track: track.to_owned() });
        }
        if tracks.by_path.is_empty() {
            bail!("{shown}: expected {EXPECTED} on each line; found no track");
        }
        Ok(tracks)
    }

    fn insert(&mut self, path: &str, line: Line) {
        let path = tidy(path);
        if !self.by_path.contains_key(&path) {
            let known = self.by_name.contains_key(file_name(&path));
            self.by_name.insert(file_name(&path).to_owned(), (!known).then(|| path.clone()));
        }
        self.by_path.entry(path).or_default().push(line);
    }

    /// The track of a face: that of its image, otherwise of its video, looked up by the whole path,
    /// otherwise by a file name that only one listed path has.
    pub(super) fn track_of(&self, face: &ScoredFace) -> Option<&str> {
        let lines = std::iter::once(face.path.as_str()).chain(face.video());
        lines.filter_map(|path| self.lines(path)).find_map(|lines| {
            let own = lines.iter().find(|line| line.face == Some(face.index));
            let own = own.or_else(|| lines.iter().find(|line| line.face.is_none()));
            own.map(|line| line.track.as_str())
        })
    }

    fn lines(&self, path: &str) -> Option<&Vec<Line>> {
        let path = tidy(path);
        self.by_path.get(&path).or_else(|| {
            let listed = self.by_name.get(file_name(&path))?.as_ref()?;
            self.by_path.get(listed)
        })
    }
}

fn tidy(path: &str) -> String {
    let path = path.replace('\\', "/");
    path.strip_prefix("./").unwrap_or(&path).to_owned()
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
