//! The limits of a service.

use std::time::Duration;

use attn_fiqa::gate::Policy;
use attn_fiqa::pipeline::default_max_memory;

use crate::keys::ApiKeys;

/// The limits of a service, and who may use it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// Maximum number of images being processed or waiting, over all requests. A request without
    /// room for its images is answered with 429.
    pub max_queue: usize,
    /// Maximum number of images in one request.
    pub max_images: usize,
    /// Maximum size of one request's body, in bytes.
    pub max_body: u64,
    /// Memory for bodies and for images, encoded and decoded, in bytes. A quarter is for bodies in
    /// flight, half for images being decoded.
    pub max_memory: u64,
    /// Maximum number of open connections; further ones are answered with 503 and closed.
    pub max_connections: usize,
    /// Maximum number of images scored together. Scores do not depend on it.
    pub batch: usize,
    /// Time limit for receiving a request's header, counted from the earliest moment that it could
    /// come. Also how long an idle connection stays open.
    pub header_timeout: Duration,
    /// Time limit for receiving a request's body.
    pub body_timeout: Duration,
    /// How long the bytes of an answer wait for a client that does not read. Then the connection is
    /// closed.
    pub write_timeout: Duration,
    /// How long admitted requests have to be answered after the service is asked to stop.
    pub shutdown_timeout: Duration,
    /// The accepted values of `x-api-key`; `None` requires no key.
    pub api_keys: Option<ApiKeys>,
    /// Origins whose pages may use the service from a browser, such as `https://example.org`; `*`
    /// allows all.
    pub cors_origins: Vec<String>,
    /// The policy of the gate for requests that name none.
    pub policy: Policy,
}

impl ServiceOptions {
    /// Limit on the bytes of all bodies in flight.
    pub(crate) fn body_budget(&self) -> u64 {
        (self.max_memory / 4).max(1 << 20)
    }

    /// Limit on the bytes used for decoding at any time.
    pub(crate) fn decode_budget(&self) -> u64 {
        self.max_memory / 2
    }

    /// Limit on the bytes of one body: no more than all bodies may have together.
    pub(crate) fn body_limit(&self) -> u64 {
        self.max_body.min(self.body_budget())
    }
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            max_queue: 128,
            max_images: 64,
            max_body: 64 << 20,
            max_memory: default_max_memory(),
            max_connections: 16_384,
            batch: 32,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(30),
            api_keys: None,
            cors_origins: Vec::new(),
            policy: Policy::default(),
        }
    }
}
