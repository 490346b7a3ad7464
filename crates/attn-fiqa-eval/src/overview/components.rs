//! Component measures of the faces of a set.

use attn_fiqa::components::Component;

use super::reservoir::Reservoir;
use crate::scale_counts::ScaleCounts;
use crate::statistics::quantile;

/// Above this number, native values are sampled: 400 kB per measure.
const SAMPLE: usize = 100_000;

/// A value is low if at most this fraction of the faces has it or a lower one.
const LOW: f64 = 0.1;

/// Number of low measures shown for a face.
const SHOWN: usize = 3;

/// Quantiles of a measure over the faces that have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// The tenth percentile.
    pub p10: f64,
    /// The median.
    pub median: f64,
    /// The ninetieth percentile.
    pub p90: f64,
}

impl Quantiles {
    fn of(quantile: impl Fn(f64) -> Option<f64>) -> Option<Self> {
        Some(Self { p10: quantile(0.1)?, median: quantile(0.5)?, p90: quantile(0.9)? })
    }
}

/// One component measure over all faces with a quality.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentSummary {
    /// The measure.
    pub component: Component,
    /// Number of faces that have it.
    pub faces: u64,
    /// On 0 to 100; `None` for a measure without that scale.
    pub scalar: Option<Quantiles>,
    /// In the measure's own unit.
    pub native: Option<Quantiles>,
    /// Whether `native` comes from a sample of the faces.
    pub native_sampled: bool,
}

/// Collects them row by row.
#[derive(Default)]
pub(super) struct ComponentCounter {
    counters: Vec<(Component, ScaleCounts, Reservoir)>,
}

impl ComponentCounter {
    pub(super) fn add(&mut self, values: &[(Component, Option<f32>, Option<i8>)]) {
        if self.counters.is_empty() {
            let counter = |(number, &(component, ..)): (usize, &(Component, _, _))| {
                (component, ScaleCounts::default(), Reservoir::new(SAMPLE, number as u64))
            };
            self.counters = values.iter().enumerate().map(counter).collect();
        }
        for ((_, scalars, natives), &(_, native, scalar)) in self.counters.iter_mut().zip(values) {
            scalar.into_iter().for_each(|scalar| scalars.add(scalar));
            native.into_iter().for_each(|native| natives.add(native));
        }
    }

    /// Those values of a face that are low within the set, the rarest first.
    pub(super) fn lowest(&self, scalars: &[(Component, i8)]) -> Vec<(Component, i8)> {
        let rarity = |&(component, value): &(Component, i8)| {
            let (_, counts, _) = self.counters.iter().find(|(other, ..)| *other == component)?;
            let fraction = counts.below(value.saturating_add(1)).fraction()?;
            (fraction <= LOW).then_some((fraction, (component, value)))
        };
        let mut low: Vec<(f64, (Component, i8))> = scalars.iter().filter_map(rarity).collect();
        low.sort_by(|a, b| a.0.total_cmp(&b.0));
        low.into_iter().take(SHOWN).map(|(_, value)| value).collect()
    }

    pub(super) fn finish(self) -> Vec<ComponentSummary> {
        let summary = |(component, scalars, natives): (Component, ScaleCounts, Reservoir)| {
            let seen = natives.seen();
            let sorted = natives.into_sorted();
            ComponentSummary {
                component,
                faces: seen.max(scalars.computed()),
                scalar: Quantiles::of(|fraction| scalars.quantile(fraction)),
                native: Quantiles::of(|fraction| quantile(&sorted, fraction)),
                native_sampled: seen > SAMPLE as u64,
            }
        };
        self.counters.into_iter().map(summary).collect()
    }
}
