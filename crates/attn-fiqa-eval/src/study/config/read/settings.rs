//! General settings.

use toml::Spanned;

use super::super::{ConfigError, Settings};
use super::Reader;
use crate::Fraction;
use crate::edc::Protocol;

impl Reader<'_> {
    pub(super) fn settings(
        &self,
        settings: Option<Spanned<Settings>>,
    ) -> Result<Settings, ConfigError> {
        let Some(settings) = settings else { return Ok(Settings::default()) };
        let span = settings.span();
        let settings = settings.into_inner();
        let rate = |value: &f64| Fraction::new(*value).is_some_and(Fraction::is_inside);
        let covered =
            |protocol: &Protocol| protocol.check_max_discard(settings.max_discard).is_ok();
        let problem = if settings.fmr.is_empty() || !settings.fmr.iter().all(rate) {
            "fmr needs rates between 0 and 1, such as [1e-2, 1e-3]"
        } else if has_twice(&settings.fmr) {
            "fmr names a rate twice"
        } else if settings.protocols.is_empty() || has_twice(&settings.protocols) {
            "protocols needs each of crfiqa, iso and nist at most once, and at least one of them"
        } else if !rate(&settings.max_discard) || !rate(&settings.confidence_level) {
            "max_discard and confidence_level must be fractions between 0 and 1"
        } else if !settings.protocols.iter().all(covered) {
            "max_discard must be at most 0.95, where the curves of crfiqa and nist end"
        } else if settings.bootstrap > 100_000 || settings.orders > 10_000 || settings.faces > 100 {
            "at most bootstrap = 100000, orders = 10000 and faces = 100"
        } else if settings.orders == 0 {
            "orders must be at least 1"
        } else {
            return Ok(settings);
        };
        self.refuse(Some(span), problem)
    }
}

fn has_twice<T: PartialEq>(values: &[T]) -> bool {
    values.iter().enumerate().any(|(index, value)| values[..index].contains(value))
}
