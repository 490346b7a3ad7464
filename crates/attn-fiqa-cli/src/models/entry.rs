//! A registry entry for one model.

use std::path::{Component, Path, PathBuf};

use attn_fiqa::checkpoint::{CheckpointOptions, Preset};
use attn_fiqa::vit::config::{Activation, LandmarkBias, ScoreTokens};
use serde::{Deserialize, Serialize};

/// An entry as written in a registry file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Entry {
    /// The name used with `--model`.
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// `owner/name` on the hub; goes with `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repo: Option<String>,
    /// Path of the file in that repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// A file on this machine; excludes `repo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) activation: Option<String>,
    /// The tokens that a score is averaged over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<String>,
    /// Where the landmark bias is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) landmark_bias: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) allow_unused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) licence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) licence_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
}

/// Where an entry's file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryLocation<'a> {
    Hub { repo: &'a str, file: &'a str },
    Local(&'a Path),
}

impl Entry {
    /// Returns what is wrong with the entry, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(format!(
                "'{}' is not a model name: expected letters, digits, '-', '_' and '.', a letter or \
                 digit first",
                self.name
            ));
        }
        let wrong = |what: &str| Err(format!("model '{}': {what}", self.name));
        match (&self.repo, &self.file, &self.path) {
            (Some(repo), Some(file), None) => {
                let parts: Vec<&str> = repo.split('/').collect();
                if parts.len() != 2 || !parts.iter().all(|part| is_name(part)) {
                    return wrong("expected its repo as 'owner/name'");
                }
                let inside =
                    Path::new(file).components().all(|c| matches!(c, Component::Normal(_)));
                if file.is_empty() || !inside || file.contains(['\\', '?', '#', '%']) {
                    return wrong("expected its file as a path inside the repository");
                }
            }
            (None, None, Some(_)) => {}
            _ => return wrong("expected either repo and file, or path"),
        }
        if self.preset.as_deref().is_some_and(|name| Preset::from_name(name).is_none()) {
            return wrong("its preset is not a value of `--preset`");
        }
        if self.activation.as_deref().is_some_and(|name| Activation::from_name(name).is_none()) {
            return wrong("its activation is not a value of `--activation`");
        }
        if self.tokens.as_deref().is_some_and(|name| ScoreTokens::from_name(name).is_none()) {
            return wrong("its tokens are not a value of `--tokens`");
        }
        if self.landmark_bias.as_deref().is_some_and(|name| LandmarkBias::from_name(name).is_none())
        {
            return wrong("its landmark-bias is not a value of `--landmark-bias`");
        }
        let is_hash = |hash: &String| hash.len() == 64 && is_lower_hex(hash);
        if !self.sha256.as_ref().is_none_or(is_hash) {
            return wrong("expected its sha256 as 64 lower-case hexadecimal digits");
        }
        Ok(())
    }

    pub(crate) fn entry_location(&self) -> EntryLocation<'_> {
        match (&self.repo, &self.file, &self.path) {
            (Some(repo), Some(file), _) => EntryLocation::Hub { repo, file },
            (_, _, Some(path)) => EntryLocation::Local(path),
            _ => unreachable!("an entry that was not checked: this is a bug"),
        }
    }

    /// The typed options, completed by what the entry says about its file.
    pub(crate) fn complete(&self, typed: CheckpointOptions) -> CheckpointOptions {
        let preset = self.preset.as_deref().and_then(Preset::from_name);
        let activation = self.activation.as_deref().and_then(Activation::from_name);
        CheckpointOptions {
            preset: typed.preset.or(preset),
            heads: typed.heads.or(self.heads),
            activation: typed.activation.or(activation),
            score_tokens: typed
                .score_tokens
                .or_else(|| self.tokens.as_deref().and_then(ScoreTokens::from_name)),
            landmark_bias: typed
                .landmark_bias
                .or_else(|| self.landmark_bias.as_deref().and_then(LandmarkBias::from_name)),
            allow_unused: typed.allow_unused || self.allow_unused,
            ..typed
        }
    }
}

/// Whether a text can be a model name or a part of a repository name.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= 100
        && text.bytes().all(allowed)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

pub(crate) fn is_lower_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
