//! Reads comparisons, for all commands that measure them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attn_fiqa_eval::benchmark::person;
use attn_fiqa_eval::comparisons::{Comparisons, Pair, ScoreScale};
use attn_fiqa_eval::edc::{Bootstrap, Resample};
use attn_fiqa_eval::files::{
    EmbeddingFile, Failed, GroupFile, MatchedRows, Missing, PairList, QualityFile, first_names,
    quality_columns,
};

use crate::args::{BootstrapArgs, ComparisonArgs, ScaleChoice};
use crate::log;

/// Pairs with their scores, and the table values of their images.
pub(crate) struct Compared {
    pub(crate) list: PairList,
    pub(crate) comparisons: Comparisons,
    /// For each table in [`Tables::qualities`] one quality per image, in the order of the list's
    /// names.
    pub(crate) qualities: Vec<Vec<f64>>,
    /// The persons of each pair, if requested.
    pub(crate) identities: Option<Vec<[u32; 2]>>,
    /// The distinct groups and the group of each image, if requested.
    pub(crate) groups: Option<(Vec<String>, Vec<u32>)>,
}

/// The tables joined with the images of the pairs.
#[derive(Default)]
pub(crate) struct Tables<'a> {
    pub(crate) qualities: &'a [Source],
    pub(crate) failed_lowest: bool,
    pub(crate) identities: Option<&'a BootstrapArgs>,
    pub(crate) groups: Option<&'a Source>,
}

impl Compared {
    /// Reads pairs and tables. Images missing from a table are an error, or are left out of
    /// everything.
    pub(crate) fn read(args: &ComparisonArgs, tables: &Tables<'_>) -> anyhow::Result<Self> {
        let mut list = PairList::read(&args.pairs)?;
        let embeddings = match &args.embeddings {
            Some(path) => Some(EmbeddingFile::read(path, args.names.as_deref())?),
            None if list.scores.is_none() => bail!(
                "{}: its pairs have no scores; give --embeddings, or add the scores as a fourth \
                 column",
                args.pairs.display()
            ),
            None => None,
        };
        let read = |source: &Source| QualityFile::read(&source.file, source.column.as_deref());
        let qualities = tables.qualities.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let group_file = |source: &Source| GroupFile::read(&source.file, source.column.as_deref());
        let groups = tables.groups.map(group_file).transpose()?;
        let identities = tables.identities.and_then(|args| args.identities.as_ref());
        let identities = identities.map(|path| GroupFile::read(path, None)).transpose()?;

        let policy = args.missing.into();
        let failed = if tables.failed_lowest { Failed::Lowest } else { Failed::Refuse };
        let mut missing = Vec::new();
        let mut take = |file: &str, what: &str, rows: MatchedRows| {
            let MatchedRows { rows, by_path, by_stem, missing: absent } = rows;
            let found = rows.len() - absent.len();
            let mut line =
                format!("{file}: {found} {what} matched, {by_path} by path and {by_stem} by stem");
            if !absent.is_empty() {
                let names = first_names(absent.iter().map(|&image| list.names[image].as_str()));
                line += &format!(", {} missing ({names})", absent.len());
            }
            missing.extend(absent);
            line
        };
        if let Some(file) = &embeddings {
            log::info(take(&file.file, "embeddings", file.rows_of(&list.names, policy)?));
        }
        for file in &qualities {
            let found = file.for_images(&list.names, failed, policy)?;
            let mut line = take(&file.file, "qualities", file.rows_of(&list.names, policy)?);
            line += &format!(", {} unused", found.unused);
            if found.failed > 0 {
                line += &format!("; {} images failed and count as the lowest", found.failed);
            }
            log::info(line);
        }
        for file in groups.iter().chain(&identities) {
            let rows = file.rows_of(&list.names, policy)?;
            let lacks = !rows.missing.is_empty();
            let line = take(&file.file, "groups", rows);
            if lacks {
                log::info(line);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let pairs = list.pairs.len();
            let left_out = list.leave_out(&missing)?;
            log::note(format!(
                "{left_out} of {pairs} comparisons are left out, because {} images are missing \
                 from a table",
                missing.len()
            ));
        }

        let comparisons = match embeddings {
            Some(file) => {
                let found = file.for_images(&list.names)?;
                Comparisons::from_embeddings(&found.embeddings, &list.pairs)
            }
            None => {
                let scale = match args.scale {
                    ScaleChoice::Cosine => ScoreScale::Cosine,
                    ScaleChoice::Similarity => ScoreScale::Similarity,
                    ScaleChoice::Distance => ScoreScale::Distance,
                };
                let mated = list.pairs.iter().map(|pair| pair.mated).collect();
                Comparisons::new(list.scores.take().unwrap_or_default(), mated, scale)
            }
        };
        let comparisons = comparisons.with_context(|| args.pairs.display().to_string())?;
        let of_file =
            |file: &QualityFile| Ok(file.for_images(&list.names, failed, Missing::Fail)?.values);
        let qualities = qualities.iter().map(of_file).collect::<anyhow::Result<_>>()?;
        let groups = groups.map(|file| file.for_images(&list.names)).transpose()?;
        let by_name = tables.identities.is_some_and(|args| args.identities_by_name);
        let identities = match identities {
            Some(file) => Some(pair_persons(&list, file.for_images(&list.names)?.1)?),
            None if by_name => Some(pair_persons(&list, persons_by_name(&list.names))?),
            None => None,
        };
        Ok(Self { list, comparisons, qualities, identities, groups })
    }
}

/// Numbers the person of each image, based on its name.
fn persons_by_name(names: &[String]) -> Vec<u32> {
    let mut persons: Vec<&str> = names.iter().map(|name| person(name)).collect();
    persons.sort_unstable();
    persons.dedup();
    let number = |name: &String| persons.partition_point(|&other| other < person(name)) as u32;
    names.iter().map(number).collect()
}

/// The persons of each pair; they must agree with its label.
fn pair_persons(list: &PairList, of_image: Vec<u32>) -> anyhow::Result<Vec<[u32; 2]>> {
    for pair in &list.pairs {
        let [a, b] = [pair.a, pair.b].map(|image| of_image[image as usize]);
        if (a == b) != pair.mated {
            let [one, other] = [pair.a, pair.b].map(|image| &list.names[image as usize]);
            let kind = if pair.mated { "mated" } else { "non-mated" };
            let persons = if a == b { "one person" } else { "two persons" };
            bail!("the pair '{one}' '{other}' is {kind}, but the identities say {persons}");
        }
    }
    let pair = |pair: &Pair| [of_image[pair.a as usize], of_image[pair.b as usize]];
    Ok(list.pairs.iter().map(pair).collect())
}

/// The requested bootstrap, if any.
pub(crate) fn bootstrap<'a>(
    args: &BootstrapArgs,
    identities: Option<&'a [[u32; 2]]>,
    limit: f64,
) -> Option<Bootstrap<'a>> {
    let resample = identities.map_or(Resample::Pairs, Resample::Identities);
    let BootstrapArgs { bootstrap: replicates, seed, confidence_level, .. } = *args;
    (replicates > 0).then_some(Bootstrap {
        resample,
        replicates,
        seed,
        confidence_level,
        max_discard: limit,
    })
}

/// `[NAME=]FILE[:COLUMN]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) column: Option<String>,
}

impl Source {
    /// The sources in `[NAME=]FILE:COLUMN,COLUMN…`, one per column; in `[NAME=]FILE:*`, one per
    /// column of qualities; and in whatever [`Self::parse`] accepts.
    pub(crate) fn parse_all(text: &str) -> anyhow::Result<Vec<Self>> {
        let source = Self::parse(text);
        let columns: Vec<String> = match source.column.as_deref() {
            Some("*") => quality_columns(&source.file)?,
            Some(columns) if columns.contains(',') => {
                columns.split(',').map(|column| column.trim().to_owned()).collect()
            }
            _ => return Ok(vec![source]),
        };
        if columns.is_empty() {
            bail!("'{}' has no quality column", source.file.display());
        }
        let prefix = source.name.split_once(':').map_or(source.name.as_str(), |(name, _)| name);
        let of_column = |column: String| Self {
            name: format!("{prefix}:{column}"),
            file: source.file.clone(),
            column: Some(column),
        };
        Ok(columns.into_iter().map(of_column).collect())
    }

    /// A column follows the first colon after a table extension; other colons belong to the path.
    /// So does an equals sign, unless a name without a folder comes before it.
    pub(crate) fn parse(text: &str) -> Self {
        let is_table = |file: &str| {
            let endings = [".csv", ".jsonl", ".ndjson", ".parquet"];
            endings.iter().any(|ending| file.to_ascii_lowercase().ends_with(ending))
        };
        let mut colons = text.match_indices(':').map(|(place, _)| place);
        let (named, column) = match colons.find(|&place| is_table(&text[..place])) {
            Some(colon) => (&text[..colon], Some(text[colon + 1..].to_owned())),
            None => (text, None),
        };
        let (name, file) = match named.split_once('=') {
            Some((name, file)) if !name.contains(['/', '\\']) && !Path::new(named).exists() => {
                (Some(name), file)
            }
            _ => (None, named),
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

/// A number in a cell, empty if there is none.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// An area ×1000, as printed in papers.
pub(crate) fn thousandths(value: Option<f64>) -> String {
    value.map(|value| format!("{:.4}", 1000.0 * value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_spec_parses_name_file_and_column() {
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
        let column = "onnx:q.onnx@preprocess=bgr:127.5:127.5";
        let name = format!("s:{column}");
        assert_eq!(parse(&format!("a/s.csv:{column}")), source(&name, "a/s.csv", Some(column)));
        assert_eq!(parse(&format!("x=s.csv:{column}")), source("x", "s.csv", Some(column)));
        assert_eq!(parse("C:\\s.csv:score"), source("C:\\s:score", "C:\\s.csv", Some("score")));
    }
}
