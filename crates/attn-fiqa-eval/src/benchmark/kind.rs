//! The benchmarks by name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::{Benchmark, adience, cfp, ijbc, insightface_bin, lfw, pair_list, two_line_lfw, xqlfw};
use crate::files::{FileError, Missing};

/// Seed for drawing the non-mated comparisons that Adience's protocol lacks.
pub const ADIENCE_SEED: u64 = 0;

/// A benchmark that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "their names say all")]
pub enum BenchmarkKind {
    Lfw,
    #[serde(rename = "agedb-30")]
    AgeDb30,
    CfpFp,
    CfpFf,
    Calfw,
    Cplfw,
    Xqlfw,
    Adience,
    #[serde(rename = "ijb-c")]
    IjbC,
    /// Any `.bin` file of InsightFace.
    Bin,
    /// Any folder with `pair_list.txt`, or a list of pairs alone.
    Pairs,
}

impl BenchmarkKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Lfw,
        Self::AgeDb30,
        Self::CfpFp,
        Self::CfpFf,
        Self::Calfw,
        Self::Cplfw,
        Self::Xqlfw,
        Self::Adience,
        Self::IjbC,
        Self::Bin,
        Self::Pairs,
    ];

    /// The name in commands, configuration files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lfw => "lfw",
            Self::AgeDb30 => "agedb-30",
            Self::CfpFp => "cfp-fp",
            Self::CfpFf => "cfp-ff",
            Self::Calfw => "calfw",
            Self::Cplfw => "cplfw",
            Self::Xqlfw => "xqlfw",
            Self::Adience => "adience",
            Self::IjbC => "ijb-c",
            Self::Bin => "bin",
            Self::Pairs => "pairs",
        }
    }

    /// Reads the benchmark at `path` and names it `name`. A missing image is an error or, with
    /// [`Missing::Skip`], a failure when it is read.
    ///
    /// A file ending in `.bin` is read as InsightFace's, whatever the kind: most of these sets are
    /// distributed that way. A folder is read in the set's own layout or, if it has `pair_list.txt`
    /// instead, in the layout written by the CR-FIQA extraction. Any other file is a list of pairs,
    /// without images.
    ///
    /// # Errors
    ///
    /// The first error in the files; also if an image is missing and `missing` requires all of
    /// them, or if all are missing.
    pub fn open(self, name: &str, path: &Path, missing: Missing) -> Result<Benchmark, FileError> {
        if path.is_file() {
            return match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("bin")) {
                true => insightface_bin(name, path),
                false => pair_list(name, path, None, missing),
            };
        }
        std::fs::read_dir(path).map_err(|error| FileError::io(path, error))?;
        let list = path.join("pair_list.txt");
        match self {
            Self::Lfw => lfw(name, path, missing),
            Self::Xqlfw => xqlfw(name, path, missing),
            Self::Calfw => two_line_lfw(name, path, "pairs_CALFW.txt", missing),
            Self::Cplfw => two_line_lfw(name, path, "pairs_CPLFW.txt", missing),
            Self::CfpFp | Self::CfpFf if !list.is_file() => {
                cfp(name, path, self == Self::CfpFp, missing)
            }
            Self::Adience if !list.is_file() => adience(name, path, ADIENCE_SEED, missing),
            Self::IjbC => ijbc(name, path, missing),
            Self::AgeDb30 | Self::Bin if !list.is_file() => {
                let bins = ["agedb_30.bin", "agedb30.bin", "agedb-30.bin"];
                insightface_bin(name, &super::folder::first_of(path, &bins)?)
            }
            _ => pair_list(name, &list, Some(path), missing),
        }
    }
}

impl fmt::Display for BenchmarkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BenchmarkKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.to_ascii_lowercase().replace('_', "-");
        Self::ALL.into_iter().find(|kind| kind.name() == wanted).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("no benchmark '{text}'; expected one of {}", names.join(", "))
        })
    }
}
