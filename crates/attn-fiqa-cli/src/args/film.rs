//! Which frames of animations and videos are taken.

use std::num::NonZeroU32;

use attn_fiqa::source::{FrameSampling, VideoOptions};

#[derive(Debug, clap::Args)]
pub(crate) struct FilmArgs {
    /// Of animations and videos, every so-manieth frame.
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Input")]
    every: NonZeroU32,

    /// Of animations and videos, so many frames for each second that they last.
    #[arg(long, value_name = "F", value_parser = rate, conflicts_with = "every", help_heading = "Input")]
    fps: Option<f64>,
}

impl FilmArgs {
    pub(crate) fn options(&self, max_pixels: u64) -> VideoOptions {
        let sampling = self.fps.map_or(FrameSampling::Every(self.every), FrameSampling::PerSecond);
        VideoOptions { sampling, max_pixels }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if rate > 0.0 && rate <= 1000.0 {
        Ok(rate)
    } else {
        Err("expected more than 0, up to 1000".to_owned())
    }
}
