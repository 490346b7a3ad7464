//! The data sets.

use std::path::PathBuf;

use attn_fiqa::pixels::ChannelOrder;
use serde::Deserialize;
use toml::Spanned;

use super::super::{ConfigError, DatasetConfig};
use super::Reader;
use crate::benchmark::BenchmarkKind;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDataset {
    pub(super) name: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) path: Spanned<PathBuf>,
    pub(super) pairs: Option<Spanned<PathBuf>>,
    pub(super) channels: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) resize: bool,
    pub(super) align: Option<Spanned<bool>>,
}

impl Reader<'_> {
    pub(super) fn datasets(&self, raw: Vec<RawDataset>) -> Result<Vec<DatasetConfig>, ConfigError> {
        self.check_names("dataset", raw.iter().map(|dataset| &dataset.name))?;
        let dataset = |raw: RawDataset| {
            let kind: BenchmarkKind = match raw.kind.get_ref().parse() {
                Ok(kind) => kind,
                Err(message) => return self.refuse(Some(raw.kind.span()), message),
            };
            if let (Some(pairs), true) = (&raw.pairs, kind != BenchmarkKind::Pairs) {
                let message = format!("'pairs' belongs to kind = \"pairs\"; {kind} has its own");
                return self.refuse(Some(pairs.span()), message);
            }
            let channels = match raw.channels.as_ref().map(|channels| channels.get_ref().as_str()) {
                None | Some("rgb") => ChannelOrder::Rgb,
                Some("swapped") => ChannelOrder::Bgr,
                Some(other) => {
                    let message = format!("channels is 'rgb' or 'swapped', not '{other}'");
                    return self.refuse(raw.channels.as_ref().map(Spanned::span), message);
                }
            };
            if let Some(align) = raw.align.as_ref().filter(|align| *align.get_ref()) {
                let message = match (raw.resize, kind) {
                    (true, _) => {
                        "align finds faces in images of any size, but resize treats the image as \
                         an aligned face; choose one of them"
                    }
                    (false, BenchmarkKind::IjbC) => {
                        "ijb-c comes with landmarks, which align its faces; leave align out"
                    }
                    _ => "",
                };
                if !message.is_empty() {
                    return self.refuse(Some(align.span()), message);
                }
            }
            Ok(DatasetConfig {
                align: raw.align.is_some_and(Spanned::into_inner),
                name: raw.name.into_inner(),
                kind,
                path: self.existing(&raw.path)?,
                pairs: raw.pairs.as_ref().map(|pairs| self.existing(pairs)).transpose()?,
                channels,
                resize: raw.resize,
            })
        };
        raw.into_iter().map(dataset).collect()
    }
}
