//! Benchmarks, curves, figures and everything else computed from scores.

mod benchmarks;
mod calibrate;
mod calibrate_samples;
mod calibrate_scale;
mod degrade;
mod degrade_seeds;
mod edc_bootstrap;
mod edc_curve;
mod edc_golden;
mod edc_naive;
mod edc_reliability;
mod figure;
mod files;
mod insightface_bin;
mod overview;
mod overview_counts;
mod rejection;
mod study_config;
mod support;
mod validate;
mod verification;
