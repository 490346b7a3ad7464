//! What the commands that measure comparisons have in common: reading them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attn_fiqa_eval::benchmark::person;
use attn_fiqa_eval::comparisons::{Comparisons, ScoreScale};
use attn_fiqa_eval::edc::{Bootstrap, Resample};
use attn_fiqa_eval::files::{EmbeddingFile, Failed, GroupFile, PairList, QualityFile};

use crate::args::{BootstrapArgs, ComparisonArgs, ScaleChoice};
use crate::report::say;

/// Pairs with their scores.
pub(crate) struct Compared {
    pub(crate) list: PairList,
    pub(crate) comparisons: Comparisons,
}

impl Compared {
    pub(crate) fn read(args: &ComparisonArgs, quiet: bool) -> anyhow::Result<Self> {
        let mut list = PairList::read(&args.pairs)?;
        let comparisons = match &args.embeddings {
            Some(path) => {
                let file = EmbeddingFile::read(path, args.names.as_deref())?;
                let found = file.for_images(&list.names)?;
                if !quiet {
                    let (by_path, by_stem) = (found.by_path, found.by_stem);
                    say(&format!(
                        "{}: {} embeddings matched, {by_path} by path and {by_stem} by stem",
                        path.display(),
                        list.names.len(),
                    ));
                }
                Comparisons::from_embeddings(&found.embeddings, &list.pairs)
            }
            None => {
                let scale = match args.scale {
                    ScaleChoice::Cosine => ScoreScale::Cosine,
                    ScaleChoice::Similarity => ScoreScale::Similarity,
                    ScaleChoice::Distance => ScoreScale::Distance,
                };
                let Some(scores) = list.scores.take() else {
                    bail!(
                        "{}: its pairs have no scores; name --embeddings, or add the scores as a \
                         fourth column",
                        args.pairs.display()
                    );
                };
                let mated = list.pairs.iter().map(|pair| pair.mated).collect();
                Comparisons::new(scores, mated, scale)
            }
        };
        let comparisons = comparisons.with_context(|| args.pairs.display().to_string())?;
        Ok(Self { list, comparisons })
    }

    /// One quality an image, in the order of the list's names.
    pub(crate) fn qualities(
        &self,
        source: &Source,
        failed_lowest: bool,
        quiet: bool,
    ) -> anyhow::Result<Vec<f64>> {
        let failed = if failed_lowest { Failed::Lowest } else { Failed::Refuse };
        let file = QualityFile::read(&source.file, source.column.as_deref())?;
        let found = file.for_images(&self.list.names, failed)?;
        if !quiet {
            let (by_path, by_stem, unused) = (found.by_path, found.by_stem, found.unused);
            let mut line = format!(
                "{}: {} qualities matched, {by_path} by path and {by_stem} by stem, {unused} unused",
                source.file.display(),
                self.list.names.len(),
            );
            if found.failed > 0 {
                line += &format!("; {} images failed and count as the lowest", found.failed);
            }
            say(&line);
        }
        Ok(found.values)
    }

    /// The persons of each pair, if they were asked for.
    pub(crate) fn identities(&self, args: &BootstrapArgs) -> anyhow::Result<Option<Vec<[u32; 2]>>> {
        let names = &self.list.names;
        let of_image = if args.identities_by_name {
            let mut persons: Vec<&str> = names.iter().map(|name| person(name)).collect();
            persons.sort_unstable();
            persons.dedup();
            let number =
                |name: &String| persons.partition_point(|&other| other < person(name)) as u32;
            names.iter().map(number).collect()
        } else if let Some(path) = &args.identities {
            GroupFile::read(path, None)?.for_images(names)?.1
        } else {
            return Ok(None);
        };
        for pair in &self.list.pairs {
            let [a, b] = [pair.a, pair.b].map(|image| of_image[image as usize]);
            if (a == b) != pair.mated {
                let [one, other] = [pair.a, pair.b].map(|image| &names[image as usize]);
                let kind = if pair.mated { "mated" } else { "non-mated" };
                let persons = if a == b { "one person" } else { "two persons" };
                bail!("the pair '{one}' '{other}' is {kind}, but the identities say {persons}");
            }
        }
        let pair = |pair: &attn_fiqa_eval::comparisons::Pair| {
            [of_image[pair.a as usize], of_image[pair.b as usize]]
        };
        Ok(Some(self.list.pairs.iter().map(pair).collect()))
    }
}

/// The bootstrap that was asked for, if any.
pub(crate) fn bootstrap<'a>(
    args: &BootstrapArgs,
    identities: Option<&'a [[u32; 2]]>,
    limit: f64,
) -> Option<Bootstrap<'a>> {
    let resample = identities.map_or(Resample::Pairs, Resample::Identities);
    let BootstrapArgs { bootstrap: replicates, seed, level, .. } = *args;
    (replicates > 0).then_some(Bootstrap { resample, replicates, seed, level, limit })
}

/// `[NAME=]FILE[:COLUMN]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) column: Option<String>,
}

impl Source {
    /// A colon belongs to the path unless a table's ending stands before it, and an
    /// equals sign unless a name without a folder does.
    pub(crate) fn parse(text: &str) -> Self {
        let (name, rest) = match text.split_once('=') {
            Some((name, rest)) if !name.contains(['/', '\\']) && !Path::new(text).exists() => {
                (Some(name), rest)
            }
            _ => (None, text),
        };
        let is_table = |file: &str| {
            let endings = [".csv", ".jsonl", ".ndjson", ".parquet"];
            endings.iter().any(|ending| file.to_ascii_lowercase().ends_with(ending))
        };
        let (file, column) = match rest.rsplit_once(':') {
            Some((file, column)) if is_table(file) => (file, Some(column.to_owned())),
            _ => (rest, None),
        };
        let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let own = match (&stem, &column) {
            (Some(stem), Some(column)) => format!("{stem}:{column}"),
            (Some(stem), None) => stem.clone(),
            (None, _) => file.to_owned(),
        };
        Self { name: name.map_or(own, str::to_owned), file: file.into(), column }
    }
}

/// A number in a cell, or nothing.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// An area as the papers print it, ×1000.
pub(crate) fn thousandths(value: Option<f64>) -> String {
    value.map(|value| format!("{:.4}", 1000.0 * value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_names_and_columns() {
        let parse = |text: &str| {
            let Source { name, file, column } = Source::parse(text);
            (name, file.display().to_string(), column)
        };
        let source = |name: &str, file: &str, column: Option<&str>| {
            (name.to_owned(), file.to_owned(), column.map(str::to_owned))
        };
        assert_eq!(parse("a/s.txt"), source("s", "a/s.txt", None));
        assert_eq!(parse("s.csv:attn-max"), source("s:attn-max", "s.csv", Some("attn-max")));
        assert_eq!(parse("ours=s.csv:score"), source("ours", "s.csv", Some("score")));
        assert_eq!(parse("C:\\s.txt"), ("C:\\s".into(), "C:\\s.txt".into(), None));
        assert_eq!(parse("a/b=c.txt"), source("b=c", "a/b=c.txt", None));
    }
}
