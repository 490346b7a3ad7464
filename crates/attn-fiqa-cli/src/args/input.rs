//! Where images come from and what their files are like.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(feature = "remote")]
use std::time::Duration;

use attn_fiqa::decode::DecodeLimits;
use attn_fiqa::pipeline::StreamOptions;
#[cfg(feature = "remote")]
use attn_fiqa::pipeline::default_max_memory;
use attn_fiqa::pixels::ChannelOrder;
use attn_fiqa::source::{External, Input, ListFrom, SourceOptions, Sources, VideoOptions};

use super::numbers::bytes;
#[cfg(feature = "remote")]
use crate::inputs::RemoteOptions;
use crate::inputs::externals;
use crate::output::{absolute, same_file};

#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Images, folders, patterns, archives, tables or URLs; '-' is stdin
    ///
    /// Folders are searched with their subfolders; patterns are 'a/*.jpg' and 'a-{000..999}.tar'.
    /// Archives are .tar, .tar.gz, .zip and .rec (RecordIO), tables .parquet and .arrow, URLs
    /// http://, https://, s3://, gs:// and az:// (docs/inputs.md). '-' is one image on standard
    /// input.
    #[arg(value_name = "INPUT", required_unless_present = "list")]
    inputs: Vec<PathBuf>,

    /// File with one image path per line; '-' is stdin
    ///
    /// A label may follow the path (image_path_list.txt is such a file). UTF-8 or UTF-16.
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    list: Option<PathBuf>,

    /// Base folder of relative paths in --list [default: the current folder]
    #[arg(
        long,
        value_name = "DIR",
        requires = "list",
        hide_short_help = true,
        help_heading = "Input"
    )]
    root: Option<PathBuf>,

    /// The paths of --list are separated by zero bytes, as by 'find -print0'
    #[arg(long, short = '0', requires = "list", hide_short_help = true, help_heading = "Input")]
    null: bool,

    /// Column of the encoded images in .parquet and .arrow files
    #[arg(
        long,
        value_name = "COLUMN",
        default_value = "image",
        hide_short_help = true,
        help_heading = "Input"
    )]
    column: String,

    /// Search folders without their subfolders
    #[arg(long, overrides_with = "recursive", help_heading = "Input")]
    no_recursive: bool,

    /// The default.
    #[arg(long, short, hide = true, overrides_with = "no_recursive")]
    recursive: bool,

    /// The files have red and blue swapped, like those of the CR-FIQA scripts
    #[arg(long, hide_short_help = true, help_heading = "Input")]
    swapped_channels: bool,

    /// Refuse images that declare more pixels than this, before decoding
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::DEFAULT_MAX_PIXELS, hide_short_help = true, help_heading = "Input")]
    max_pixels: u64,

    /// Refuse image files of more bytes than this, before reading
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::DEFAULT_MAX_BYTES, hide_short_help = true, help_heading = "Input")]
    max_bytes: u64,

    /// Images that are requested from URLs at once
    #[cfg(feature = "remote")]
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024), hide_short_help = true, help_heading = "Input")]
    requests: u16,

    /// Seconds without a byte after which a URL request fails
    ///
    /// It is tried 4 times, as are those that a server cannot answer for now.
    #[cfg(feature = "remote")]
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u16).range(1..=3600), hide_short_help = true, help_heading = "Input")]
    stall: u16,

    /// Memory for images, encoded and decoded, such as 800M or 4G
    ///
    /// The default is half of what this process may use.
    #[arg(long, value_name = "BYTES", value_parser = bytes, hide_short_help = true, help_heading = "Input")]
    max_memory: Option<u64>,
}

impl InputArgs {
    /// Checks every input; the list comes after the named ones.
    pub(crate) fn open(&self) -> anyhow::Result<Sources> {
        self.open_all(None)
    }

    /// The same, with the frames of animations and videos as images.
    pub(crate) fn open_with_frames(&self, videos: VideoOptions) -> anyhow::Result<Sources> {
        self.open_all(Some(videos))
    }

    fn open_all(&self, videos: Option<VideoOptions>) -> anyhow::Result<Sources> {
        let mut inputs: Vec<Input> = self.inputs.iter().cloned().map(Input::Path).collect();
        if let Some(list) = &self.list {
            let path = match list.as_os_str() == "-" {
                true => ListFrom::Stdin,
                false => ListFrom::File(list.clone()),
            };
            inputs.push(Input::List { path, root: self.root.clone() });
        }
        let options = SourceOptions {
            recursive: !self.no_recursive,
            max_bytes: self.max_bytes,
            videos,
            nul_separated: self.null,
        };
        Ok(Sources::open_with(&inputs, &options, &self.externals())?)
    }

    #[cfg(feature = "remote")]
    fn externals(&self) -> Vec<Arc<dyn External>> {
        /// As the pipeline's own shares.
        const SHARE: u64 = 8;
        let max_memory = self.max_memory.unwrap_or_else(default_max_memory);
        let remote = RemoteOptions {
            requests: self.requests.into(),
            stall: Duration::from_secs(self.stall.into()),
            max_memory: max_memory / SHARE,
        };
        externals(&self.column, remote)
    }

    #[cfg(not(feature = "remote"))]
    fn externals(&self) -> Vec<Arc<dyn External>> {
        externals(&self.column)
    }

    /// Refuses to write over what is read.
    pub(crate) fn refuse_as_output(&self, output: Option<&Path>) -> anyhow::Result<()> {
        let Some(output) = output else { return Ok(()) };
        match self.inputs.iter().chain(&self.list).find(|input| same_file(input, output)) {
            Some(input) if output.is_file() => {
                anyhow::bail!("'{}' is an input; name another file to write", input.display())
            }
            _ => Ok(()),
        }
    }

    /// Refuses a folder to write images into that would be searched for images.
    pub(crate) fn refuse_as_output_folder(&self, output: Option<&Path>) -> anyhow::Result<()> {
        let Some(output) = output.map(absolute) else { return Ok(()) };
        let inside = |input: &&Path| output.starts_with(absolute(input));
        match self.searched_folders().find(inside) {
            Some(input) => anyhow::bail!(
                "the output folder lies inside the input '{}', which is searched with its \
                 subfolders; name another, or use --no-recursive",
                input.display()
            ),
            None => Ok(()),
        }
    }

    /// The inputs that are folders, where they are searched with their subfolders.
    pub(crate) fn searched_folders(&self) -> impl Iterator<Item = &Path> {
        let inputs = self.inputs.iter().filter(|input| !self.no_recursive && input.is_dir());
        inputs.map(PathBuf::as_path)
    }

    pub(crate) fn limits(&self) -> DecodeLimits {
        DecodeLimits { max_bytes: self.max_bytes, max_pixels: self.max_pixels }
    }

    /// How a stream of these inputs is processed.
    pub(crate) fn stream(&self, batch: NonZeroUsize) -> StreamOptions {
        let stream = StreamOptions::default();
        StreamOptions {
            batch: batch.get(),
            max_memory: self.max_memory.unwrap_or(stream.max_memory),
        }
    }

    /// The order in which the files hold their colours.
    pub(crate) fn channels(&self) -> ChannelOrder {
        if self.swapped_channels { ChannelOrder::Bgr } else { ChannelOrder::Rgb }
    }
}
