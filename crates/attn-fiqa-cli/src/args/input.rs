//! Where images come from and what their files are like.

use std::path::{Path, PathBuf};

use attn_fiqa::crop::ChannelOrder;
use attn_fiqa::decode::DecodeLimits;
use attn_fiqa::source::{FilmOptions, Input, ListFrom, SourceOptions, Sources};

use crate::output::same_file;

#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Image files, folders, patterns ('faces/*.jpg') and tar archives (.tar, .tar.gz, .tgz).
    #[arg(value_name = "INPUT", required_unless_present = "list")]
    inputs: Vec<PathBuf>,

    /// A file with one image path a line (image_path_list.txt); '-' reads standard input.
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    list: Option<PathBuf>,

    /// The folder that relative paths of --list start from [default: the current folder].
    #[arg(long, value_name = "DIR", requires = "list", help_heading = "Input")]
    root: Option<PathBuf>,

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
}

impl InputArgs {
    /// Looks at every input; the list comes after the named ones.
    pub(crate) fn open(&self) -> anyhow::Result<Sources> {
        self.open_all(None)
    }

    /// The same, with the frames of animations and videos as images.
    pub(crate) fn open_with_films(&self, films: FilmOptions) -> anyhow::Result<Sources> {
        self.open_all(Some(films))
    }

    fn open_all(&self, films: Option<FilmOptions>) -> anyhow::Result<Sources> {
        let mut inputs: Vec<Input> = self.inputs.iter().cloned().map(Input::Path).collect();
        if let Some(list) = &self.list {
            let path = match list.as_os_str() == "-" {
                true => ListFrom::Stdin,
                false => ListFrom::File(list.clone()),
            };
            inputs.push(Input::List { path, root: self.root.clone() });
        }
        let options = SourceOptions { recursive: self.recursive, max_bytes: self.max_bytes, films };
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

    pub(crate) fn limits(&self) -> DecodeLimits {
        DecodeLimits { max_bytes: self.max_bytes, max_pixels: self.max_pixels }
    }

    /// The order in which the files hold their colours.
    pub(crate) fn channels(&self) -> ChannelOrder {
        if self.swapped_channels { ChannelOrder::Swapped } else { ChannelOrder::Rgb }
    }
}
