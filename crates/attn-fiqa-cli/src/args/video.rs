//! Which frames of animations and videos are used.

use std::num::NonZeroU32;

use attn_fiqa::source::{FrameSampling, VideoOptions};

use super::numbers::frame_rate;

#[derive(Debug, clap::Args)]
pub(crate) struct VideoArgs {
    /// Every Nth frame of animations and videos
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Input")]
    every: NonZeroU32,

    /// F frames per second of animations and videos instead
    #[arg(long, value_name = "F", value_parser = frame_rate, conflicts_with = "every", hide_short_help = true, help_heading = "Input")]
    fps: Option<f64>,
}

impl VideoArgs {
    pub(crate) fn options(&self, max_pixels: u64) -> VideoOptions {
        let sampling = self.fps.map_or(FrameSampling::Every(self.every), FrameSampling::PerSecond);
        VideoOptions { sampling, max_pixels }
    }
}
