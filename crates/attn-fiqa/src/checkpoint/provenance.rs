//! Where a value of the configuration comes from.

use std::fmt;

use super::family::Family;
use super::preset::Preset;

/// The source of one configuration value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provenance {
    /// Inferred from the shape, or the presence, of this tensor or these tensors; `*` matches any
    /// name.
    Shape(&'static str),
    /// Given by the caller.
    Option,
    /// Fixed by the preset that the caller named.
    Preset(Preset),
    /// Declared in the file's own metadata.
    Metadata,
    /// Declared in the JSON file at this path, next to the checkpoint.
    Json(String),
    /// The default, because the caller did not choose.
    Default,
    /// Not specified anywhere: the value of the official layout.
    Assumed,
    /// Not specified anywhere: the usual value for networks of this family.
    Family(Family),
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(tensor) => write!(f, "tensor `{tensor}`"),
            Self::Option => f.write_str("the option given"),
            Self::Preset(preset) => write!(f, "preset {}", preset.name()),
            Self::Metadata => f.write_str("the file's metadata"),
            Self::Json(path) => f.write_str(path),
            Self::Default => f.write_str("the default"),
            Self::Assumed => f.write_str("assumed: official layout"),
            Self::Family(family) => write!(f, "assumed: usual for {family}"),
        }
    }
}
