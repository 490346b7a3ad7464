//! Where images come from and what their files are like.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use attn_fiqa::decode::DecodeLimits;
use attn_fiqa::pipeline::StreamOptions;
use attn_fiqa::pixels::ChannelOrder;
use attn_fiqa::source::{Input, ListFrom, SourceOptions, Sources, VideoOptions};

use crate::output::same_file;

#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Image files, folders, patterns ('faces/*.jpg') and archives (.tar,
    /// .tar.gz, .tgz, .zip).
    #[arg(value_name = "INPUT", required_unless_present = "list")]
    inputs: Vec<PathBuf>,

    /// A file with one image path per line (image_path_list.txt), perhaps with a label after it,
    /// in UTF-8 or UTF-16; '-' reads standard input.
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    list: Option<PathBuf>,

    /// The folder that relative paths of --list start from [default: the current folder].
    #[arg(long, value_name = "DIR", requires = "list", help_heading = "Input")]
    root: Option<PathBuf>,

    /// The paths of --list are separated by zero bytes, as 'find -print0' writes them.
    #[arg(long, short = '0', requires = "list", help_heading = "Input")]
    null: bool,

    /// Also look in the folders inside a folder.
    #[arg(long, short, help_heading = "Input")]
    recursive: bool,

    /// The files hold red and blue exchanged, as those of the CR-FIQA extraction scripts do.
    #[arg(long, help_heading = "Input")]
    swapped_channels: bool,

    /// Refuse pictures that declare more pixels than this, before decoding them.
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::DEFAULT_MAX_PIXELS, help_heading = "Input")]
    max_pixels: u64,

    /// Refuse image files of more bytes than this, before reading them.
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::DEFAULT_MAX_BYTES, help_heading = "Input")]
    max_bytes: u64,

    /// The memory that images may hold at once, encoded and decoded, as in 800M or 4G
    /// [default: half of what this process may use].
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Input")]
    max_memory: Option<u64>,
}

/// A number of bytes, with K, M, G or T for powers of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim_end_matches(['B', 'b']).trim_end_matches(['i', 'I']);
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        Some((at, 't' | 'T')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: Option<u64> = digits.trim().parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|&bytes| bytes > 0).ok_or("expected a number of bytes, such as 800M or 4G".into())
}

impl InputArgs {
    /// Looks at every input; the list comes after the named ones.
    pub(crate) fn open(&self) -> anyhow::Result<Sources> {
        self.open_all(None)
    }

    /// The same, with the frames of animations and videos as images.
    pub(crate) fn open_with_films(&self, films: VideoOptions) -> anyhow::Result<Sources> {
        self.open_all(Some(films))
    }

    fn open_all(&self, films: Option<VideoOptions>) -> anyhow::Result<Sources> {
        let mut inputs: Vec<Input> = self.inputs.iter().cloned().map(Input::Path).collect();
        if let Some(list) = &self.list {
            let path = match list.as_os_str() == "-" {
                true => ListFrom::Stdin,
                false => ListFrom::File(list.clone()),
            };
            inputs.push(Input::List { path, root: self.root.clone() });
        }
        let options = SourceOptions {
            recursive: self.recursive,
            max_bytes: self.max_bytes,
            videos: films,
            nul_separated: self.null,
        };
        Ok(Sources::open(&inputs, &options)?)
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

    /// The inputs that are folders, where those inside are looked in too.
    pub(crate) fn searched_folders(&self) -> impl Iterator<Item = &Path> {
        let inputs = self.inputs.iter().filter(|input| self.recursive && input.is_dir());
        inputs.map(PathBuf::as_path)
    }

    pub(crate) fn limits(&self) -> DecodeLimits {
        DecodeLimits { max_bytes: self.max_bytes, max_pixels: self.max_pixels }
    }

    /// How a stream of these inputs is worked through.
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
