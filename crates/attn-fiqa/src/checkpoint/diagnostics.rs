//! The wording of checkpoint errors: lists of names, and shapes.

use std::fmt;

use super::family::Family;
use super::preset::Preset;

/// How many tensors of a kind an error lists by name; the rest are only counted.
const NAMED_TENSORS: usize = 5;

/// How the tensors of a file differ from those of a face ViT.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutMismatch {
    /// Canonical names that are missing.
    pub missing: Vec<String>,
    /// Names in the file that are not expected.
    pub unexpected: Vec<String>,
    /// Tensors whose shape does not match the rest of the file.
    pub shape_mismatches: Vec<ShapeMismatch>,
    /// Harmless tensors that were not allowed by the options.
    pub harmless: Vec<String>,
    /// The architecture that the names suggest instead.
    pub looks_like: Option<&'static str>,
    /// The family that the file was read as, if other than the official layout.
    pub read_as: Option<Family>,
}

/// A tensor with an unexpected shape.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShapeMismatch {
    /// Canonical name.
    pub tensor: String,
    /// The expected shape, with letters for free dimensions.
    pub expected: String,
    /// The actual shape.
    pub found: Vec<usize>,
}

impl fmt::Display for LayoutMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.shape_mismatches.is_empty() {
            let shapes: Vec<String> = self
                .shape_mismatches
                .iter()
                .take(NAMED_TENSORS)
                .map(|one| {
                    format!("`{}` expected {}, found {:?}", one.tensor, one.expected, one.found)
                })
                .collect();
            let count = self.shape_mismatches.len();
            parts.push(format!(
                "{} with a different shape: {}{}",
                tensors(count),
                shapes.join("; "),
                more(count)
            ));
        }
        for (list, what) in [
            (&self.missing, "missing"),
            (&self.unexpected, "unexpected"),
            (&self.harmless, "not needed"),
        ] {
            if !list.is_empty() {
                parts.push(format!("{} {what}: {}", tensors(list.len()), Quoted(list)));
            }
        }
        match self.read_as {
            None => write!(f, "is not a face ViT as expected: {}", parts.join("; "))?,
            Some(family) => {
                write!(
                    f,
                    "has the tensor names of the family {family} but is not one of its networks: "
                )?;
                f.write_str(&parts.join("; "))?;
            }
        }
        if !self.harmless.is_empty() {
            let only = self.missing.is_empty()
                && self.unexpected.is_empty()
                && self.shape_mismatches.is_empty();
            write!(
                f,
                "; {} from training and harmless: {} can be allowed for{}",
                if self.harmless.len() == 1 { "it is" } else { "they are" },
                if self.harmless.len() == 1 { "it" } else { "they" },
                if only { "" } else { " but not the rest" }
            )?;
        }
        write!(f, "{}", LooksLike(&self.looks_like))
    }
}

fn tensors(count: usize) -> String {
    match count {
        1 => "1 tensor".to_owned(),
        _ => format!("{count} tensors"),
    }
}

fn more(count: usize) -> String {
    match count.checked_sub(NAMED_TENSORS) {
        None | Some(0) => String::new(),
        Some(rest) => format!(" and {rest} more"),
    }
}

pub(super) struct Quoted<'a>(pub(super) &'a [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> =
            self.0.iter().take(NAMED_TENSORS).map(|name| format!("`{name}`")).collect();
        write!(f, "{}{}", names.join(", "), more(self.0.len()))
    }
}

pub(super) struct Examples<'a>(pub(super) &'a [String]);

impl fmt::Display for Examples<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " (found {})", Quoted(self.0))
    }
}

pub(super) struct LooksLike<'a>(pub(super) &'a Option<&'static str>);

impl fmt::Display for LooksLike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(what) => write!(f, "; the file looks like {what}"),
            None => Ok(()),
        }
    }
}

pub(super) struct Numbers<'a>(pub(super) &'a [usize]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(", "))
    }
}

pub(super) struct PresetChoices<'a>(pub(super) &'a [Preset]);

impl fmt::Display for PresetChoices<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self
            .0
            .iter()
            .map(|preset| format!("{} ({} heads)", preset.name(), preset.shape().num_heads))
            .collect();
        write!(f, " or name the preset of these shapes: {}", names.join(", "))
    }
}
