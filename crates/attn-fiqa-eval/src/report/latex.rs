//! The papers' tables for LaTeX, with `booktabs`.

use crate::edc::Series;
use crate::study::Results;
use crate::study::summary::{Summary, SummaryRow, summaries};

use super::{rate, times_thousand};

/// Name and text of each file: one per protocol and target.
pub(super) fn all(results: &Results) -> Vec<(String, String)> {
    let tables = summaries(results);
    let mut files = Vec::new();
    for &protocol in &results.settings.protocols {
        for &fmr in &results.settings.fmr {
            let of_file: Vec<&Summary> =
                tables.iter().filter(|t| t.protocol == protocol && t.fmr == fmr).collect();
            let name = format!("pauc-{protocol}-{}.tex", rate(fmr));
            files.push((name, table(results, &of_file)));
        }
    }
    files
}

fn table(results: &Results, summaries: &[&Summary]) -> String {
    let Some(first) = summaries.first() else { return String::new() };
    let columns = "r".repeat(first.datasets.len());
    let mut tex = format!(
        "% {}; needs \\usepackage{{booktabs}}.\n% pAUC-EDC x1000 up to a discard fraction of {}, \
         FMR {}, protocol {};\n% relative to discarding at random, mean over the sets.\n\\begin{{tabular}}{{l{columns}rr}}\n\\toprule\nMethod",
        results.program,
        results.settings.max_discard,
        rate(first.fmr),
        first.protocol,
    );
    for dataset in &first.datasets {
        tex += &format!(" & {}", escaped(dataset));
    }
    tex += " & Relative & Rank \\\\\n";
    for summary in summaries {
        let width = first.datasets.len() + 3;
        tex += &format!(
            "\\midrule\n\\multicolumn{{{width}}}{{l}}{{\\emph{{{}}}}} \\\\\n",
            escaped(&summary.recogniser)
        );
        for row in &summary.rows {
            tex += &line(row);
        }
    }
    tex + "\\bottomrule\n\\end{tabular}\n"
}

fn line(row: &SummaryRow) -> String {
    let bold =
        |text: String| if row.rank == Some(1) { format!("\\textbf{{{text}}}") } else { text };
    let mut line = match row.series {
        Series::Method => escaped(&row.method),
        Series::Random | Series::TheoreticalBest => format!("\\emph{{{}}}", escaped(&row.method)),
    };
    for &value in &row.pauc {
        line += &format!(" & {}", number(value));
    }
    let rank = row.rank.map_or("--".to_owned(), |rank| rank.to_string());
    format!(
        "{line} & {} & {rank} \\\\\n",
        bold(row.mean_relative.map_or("--".to_owned(), |mean| format!("{mean:.3}")))
    )
}

fn number(value: Option<f64>) -> String {
    times_thousand(value).replace('–', "--")
}

/// Text escaped so that LaTeX recognises no command in it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => safe.extend(['\\', letter]),
            '\\' => safe.push_str("\\textbackslash{}"),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn latex_special_characters_are_escaped() {
        assert_eq!(super::escaped(r"a_b\input{x}%"), r"a\_b\textbackslash{}input\{x\}\%");
    }
}
