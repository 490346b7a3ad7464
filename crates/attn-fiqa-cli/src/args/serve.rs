//! Arguments of `attn-fiqa serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use attn_fiqa::decode::DecodeLimits;
use clap::value_parser;

use super::numbers::bytes;
use super::{DetectorArgs, ModelArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = super::join(ABOUT, EXAMPLES))]
pub(crate) struct ServeArgs {
    /// Address and port to listen on; port 0 picks a free one and reports it
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080",
        help_heading = "Service"
    )]
    pub(crate) listen: SocketAddr,

    /// File of keys, one per line; requests must send one of them as x-api-key
    ///
    /// At least 16 visible ASCII characters each. The page, /docs, /openapi.json, /healthz,
    /// /readyz and /metrics need none.
    #[arg(long, value_name = "FILE", help_heading = "Service")]
    pub(crate) api_key_file: Option<PathBuf>,

    /// Origins whose pages may use the service from a browser [default: none]
    ///
    /// E.g. https://example.org; '*' means all.
    #[arg(
        long,
        value_name = "ORIGIN,…",
        value_delimiter = ',',
        hide_short_help = true,
        help_heading = "Service"
    )]
    pub(crate) cors_origin: Vec<String>,

    /// Policy of /v1/gate if a request names none: enrol, probe, gallery, or a file in TOML
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "enrol",
        hide_short_help = true,
        help_heading = "Service"
    )]
    pub(crate) policy: String,

    /// Seconds to answer accepted requests after SIGTERM or Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..), help_heading = "Service")]
    pub(crate) shutdown_timeout: u64,

    /// Print the resulting configuration as TOML and exit
    #[arg(long, help_heading = "Service")]
    pub(crate) print_config: bool,

    /// Check whether the service at --listen is ready, and exit: 0 if it is
    ///
    /// For health checks in a container, which has no other program.
    #[arg(long, conflicts_with = "print_config", hide_short_help = true, help_heading = "Service")]
    pub(crate) check: bool,

    /// Images being processed or waiting in total; above it 429
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = value_parser!(u32).range(1..), help_heading = "Limits")]
    pub(crate) max_queue: u32,

    /// Images per request; above it 413
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u32).range(1..), hide_short_help = true, help_heading = "Limits")]
    pub(crate) max_images: u32,

    /// Size of a request's body, such as 64M; above it 413
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = bytes, help_heading = "Limits")]
    pub(crate) max_body: u64,

    /// Memory for images, encoded and decoded, such as 800M or 4G
    ///
    /// The default is half of what this process may use.
    #[arg(long, value_name = "BYTES", value_parser = bytes, hide_short_help = true, help_heading = "Limits")]
    pub(crate) max_memory: Option<u64>,

    /// Refuse images that declare more pixels than this, before decoding
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::DEFAULT_MAX_PIXELS, hide_short_help = true, help_heading = "Limits")]
    pub(crate) max_pixels: u64,

    /// Refuse image files of more bytes than this, before reading
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::DEFAULT_MAX_BYTES, hide_short_help = true, help_heading = "Limits")]
    pub(crate) max_bytes: u64,

    /// Open connections; further ones get 503
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = value_parser!(u32).range(1..), hide_short_help = true, help_heading = "Limits")]
    pub(crate) max_connections: u32,

    /// Seconds for a request's header, and before closing idle connections
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..), hide_short_help = true, help_heading = "Limits")]
    pub(crate) header_timeout: u64,

    /// Seconds for a request's body; then 408
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..), hide_short_help = true, help_heading = "Limits")]
    pub(crate) body_timeout: u64,

    /// Seconds that an answer waits for a client that does not read; then the connection closes
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..), hide_short_help = true, help_heading = "Limits")]
    pub(crate) write_timeout: u64,

    #[command(flatten)]
    pub(crate) detector: DetectorArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// What was typed, and what the environment, the file of `--config` and the defaults gave, as
    /// that file would say it.
    #[arg(skip)]
    pub(crate) configuration: String,
}

const ABOUT: &str = "\
GET / is a page to try photos on, /docs describes the interface. POST /v1/score scores images, \
/v1/best ranks several, /v1/gate accepts or refuses them with reasons, /v1/map draws the \
attention maps. /scalar_quality and \
/vector_quality take the requests of OFIQ's service, /api/v1/detection/detect those of \
CompreFace's detection. /healthz, /readyz and /metrics are for its operators. docs/service.md \
has clients and examples for containers.

Images are neither stored nor logged, and no outgoing connection is made. There is no TLS: put \
a reverse proxy in front of it before it leaves the machine.

Every option of this list that takes a value can also be set by a variable ATTN_FIQA_NAME (such \
as ATTN_FIQA_MAX_QUEUE), or in the file of --config by its name. After the first SIGTERM or Ctrl-C \
accepted requests are answered and the status is 0, or 1 if time ran out. A second signal ends \
at once, with status 1.";

const EXAMPLES: &str = "\
Examples:
  attn-fiqa serve
  attn-fiqa serve --listen 0.0.0.0:8080 --api-key-file keys.txt
  attn-fiqa serve --config service.toml --print-config";

/// Gives every option that takes a value its variable: a container is configured by them.
pub(super) fn with_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| match arg.get_long() {
        Some(long) if arg.get_action().takes_values() && arg.get_env().is_none() => {
            let variable = format!("ATTN_FIQA_{}", long.replace('-', "_").to_uppercase());
            arg.env(variable).hide_env(true)
        }
        _ => arg,
    })
}

impl ServeArgs {
    /// Limits on one image.
    pub(crate) fn limits(&self) -> DecodeLimits {
        DecodeLimits { max_bytes: self.max_bytes, max_pixels: self.max_pixels }
    }
}
