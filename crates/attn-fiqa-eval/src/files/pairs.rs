//! Lists of pairs: `a b 1|0` per line.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use super::lines::{Lines, columns};
use super::{FileError, FileProblem, error::sanitized};
use crate::comparisons::{Comparisons, Pair};

const EXPECTED: &str = "`a b 1|0`, or `a b 1|0 score`, with the same columns on every line (names \
                        that hold spaces need tabs between the columns)";

/// A list of pairs, as read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct PairList {
    /// The file.
    pub file: String,
    /// Distinct image names, in the order of their first occurrence.
    pub names: Vec<String>,
    /// The pairs, as indices into `names`, in the order of the file.
    pub pairs: Vec<Pair>,
    /// Comparison scores, if the list has a fourth column.
    pub scores: Option<Vec<f64>>,
}

impl PairList {
    /// Reads a list of pairs: columns `a b 1|0` and an optional comparison score, separated by
    /// spaces, tabs or commas. The labels `true`/`false`, `same`/`diff` and `−1` are accepted too;
    /// a first line without a label is a header if commas or tabs separate the columns.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, a line has another format, a pair has two labels, or all pairs
    /// are of one kind.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        Self::parse_lines(Lines::open(path)?)
    }

    /// Reads a list of pairs from any reader; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn parse(file: &str, reader: impl BufRead) -> Result<Self, FileError> {
        Self::parse_lines(Lines::new(file, reader))
    }

    /// Leaves out the pairs of some images, given as indices into `names`, and the names that no
    /// pair uses any more. Returns the number of pairs left out.
    ///
    /// # Errors
    ///
    /// If no pair, or only pairs of one kind, are left.
    pub fn leave_out(&mut self, images: &[usize]) -> Result<usize, FileError> {
        let mut stays = vec![true; self.names.len()];
        images.iter().for_each(|&image| stays[image] = false);
        let keep: Vec<bool> = self
            .pairs
            .iter()
            .map(|pair| stays[pair.a as usize] && stays[pair.b as usize])
            .collect();
        let mut at = keep.iter();
        self.pairs.retain(|_| at.next() == Some(&true));
        if let Some(scores) = &mut self.scores {
            let mut at = keep.iter();
            scores.retain(|_| at.next() == Some(&true));
        }
        let names = std::mem::take(&mut self.names);
        let mut numbers = vec![None; names.len()];
        for pair in &mut self.pairs {
            for image in [&mut pair.a, &mut pair.b] {
                let old = *image as usize;
                *image = *numbers[old].get_or_insert_with(|| {
                    self.names.push(names[old].clone());
                    self.names.len() as u32 - 1
                });
            }
        }
        check_classes(&self.file, &self.pairs)?;
        Ok(keep.len() - self.pairs.len())
    }

    fn parse_lines(mut lines: Lines<impl BufRead>) -> Result<Self, FileError> {
        let file = lines.file().to_owned();
        let mut builder = PairBuilder::new(&file);
        let mut scores = Vec::new();
        let mut width = None;
        while let Some((number, line)) = lines.next()? {
            let cells = columns(line);
            let label = cells.get(2).and_then(|text| label(text));
            let separated = line.contains(['\t', ',']);
            if width.is_none() && separated && cells.len() >= 3 && label.is_none() {
                width = Some(cells.len());
                continue;
            }
            let unexpected = || FileError::unexpected(&file, number, EXPECTED, line);
            let Some(mated) = label else { return Err(unexpected()) };
            if !(3..=4).contains(&cells.len()) || width.is_some_and(|width| width != cells.len()) {
                return Err(unexpected());
            }
            width = Some(cells.len());
            builder.add(number, cells[0], cells[1], mated)?;
            if let Some(score) = cells.get(3) {
                match score.parse::<f64>() {
                    Ok(score) if score.is_finite() => scores.push(score),
                    _ => {
                        let expected = "a finite comparison score";
                        return Err(FileError::unexpected(&file, number, expected, score));
                    }
                }
            }
        }
        let (names, pairs) = builder.finish()?;
        let scores = (!scores.is_empty()).then_some(scores);
        Ok(Self { file, names, pairs, scores })
    }
}

/// The value of a label, in any of its forms.
fn label(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "same" => Some(true),
        "0" | "-1" | "false" | "diff" => Some(false),
        _ => None,
    }
}

/// Collects pairs of names and detects errors in them.
pub(crate) struct PairBuilder {
    file: String,
    names: Vec<String>,
    indices: HashMap<String, u32>,
    pairs: Vec<Pair>,
    lines: Vec<u64>,
}

impl PairBuilder {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            names: Vec::new(),
            indices: HashMap::new(),
            pairs: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// The index of a name, new or known.
    pub(crate) fn index(&mut self, name: &str) -> u32 {
        if let Some(&index) = self.indices.get(name) {
            return index;
        }
        let index = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.indices.insert(name.to_owned(), index);
        index
    }

    pub(crate) fn add(
        &mut self,
        line: u64,
        a: &str,
        b: &str,
        mated: bool,
    ) -> Result<(), FileError> {
        if a.is_empty() || b.is_empty() {
            return Err(FileError::unexpected(&self.file, line, "two names", ""));
        }
        if self.pairs.len() >= Comparisons::MAX {
            let (what, limit) = ("list of pairs", Comparisons::MAX as u64);
            let problem = FileProblem::TooLarge { what, limit, unit: "pairs" };
            return Err(FileError::at(&self.file, line, problem));
        }
        let (a, b) = (self.index(a), self.index(b));
        self.pairs.push(Pair { a, b, mated });
        self.lines.push(line);
        Ok(())
    }

    /// The names and pairs, if both kinds exist and no pair has both labels.
    pub(crate) fn finish(self) -> Result<(Vec<String>, Vec<Pair>), FileError> {
        let Self { file, names, pairs, lines, .. } = self;
        check_classes(&file, &pairs)?;
        let key = |index: u32| {
            let Pair { a, b, mated } = pairs[index as usize];
            (a.min(b), a.max(b), mated)
        };
        let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
        order.sort_unstable_by_key(|&index| (key(index), index));
        for pair in order.windows(2) {
            let [(a, b, mated), (other_a, other_b, other_mated)] = [key(pair[0]), key(pair[1])];
            if (a, b) == (other_a, other_b) && mated != other_mated {
                let mut at = [lines[pair[0] as usize], lines[pair[1] as usize]];
                at.sort_unstable();
                let name =
                    format!("{} {}", sanitized(&names[a as usize]), sanitized(&names[b as usize]));
                let problem = FileProblem::Contradiction { name, what: "label", first: at[0] };
                return Err(FileError::at(&file, at[1], problem));
            }
        }
        Ok((names, pairs))
    }
}

/// Checks that there are mated and non-mated pairs.
pub(crate) fn check_classes(file: &str, pairs: &[Pair]) -> Result<(), FileError> {
    let mated = pairs.iter().filter(|pair| pair.mated).count();
    let problem = match (pairs.len(), mated) {
        (0, _) => FileProblem::Empty { what: "pair" },
        (count, 0) => FileProblem::OneClass { kind: "non-mated", count },
        (count, mated) if count == mated => FileProblem::OneClass { kind: "mated", count },
        _ => return Ok(()),
    };
    Err(FileError::new(file, problem))
}
