//! The commands, one file each.

pub(crate) mod advise;
pub(crate) mod benchmark;
pub(crate) mod best;
pub(crate) mod calibrate;
mod compare;
pub(crate) mod crop;
mod crop_folder;
pub(crate) mod degrade;
pub(crate) mod detect;
pub(crate) mod edc;
pub(crate) mod embed;
pub(crate) mod filter;
pub(crate) mod gate;
pub(crate) mod groups;
pub(crate) mod map;
pub(crate) mod measure;
pub(crate) mod merge;
pub(crate) mod model;
pub(crate) mod report;
pub(crate) mod score;
mod scorers;
#[cfg(feature = "serve")]
pub(crate) mod serve;
mod session;
pub(crate) mod shell;
pub(crate) mod validate;
pub(crate) mod verify;
