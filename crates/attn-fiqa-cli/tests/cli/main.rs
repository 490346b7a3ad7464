//! The command line, run as a process.

#![allow(clippy::unwrap_used, reason = "in helpers too, a failed unwrap is a failed test")]

mod as_distributed;
mod benchmark;
mod best;
mod calibrate;
mod compare;
mod crop;
mod degrade;
mod detect;
mod edges;
mod embed;
mod faces;
mod filter;
mod gate;
mod golden;
mod groups;
mod hostile_models;
#[cfg(unix)]
mod interrupted;
#[cfg(target_os = "linux")]
mod invalid_unicode;
mod large_runs;
mod map;
mod map_colours;
mod missing;
mod model;
mod model_export;
mod model_names;
mod overview;
mod photos;
mod precision;
mod progress;
#[cfg(feature = "remote")]
mod remote;
#[cfg(unix)]
mod resume;
mod run_options;
mod score_columns;
mod score_failures;
mod score_formats;
mod score_inputs;
mod score_methods;
mod score_options;
mod score_output;
mod score_parquet;
mod series;
#[cfg(feature = "serve")]
mod serve;
mod shards;
mod shell;
mod streams;
mod support;
mod tables;
mod validate;
