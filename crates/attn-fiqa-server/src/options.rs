//! The limits of a service.

use std::time::Duration;

use attn_fiqa::gate::Policy;
use attn_fiqa::pipeline::default_max_memory;

use crate::keys::ApiKeys;

/// The limits of a service, and who may use it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// Images that are in work or wait, of all requests together. A request without room for its
    /// images is answered with 429.
    pub max_queue: usize,
    /// Images of one request.
    pub max_images: usize,
    /// Bytes of one request's body.
    pub max_body: u64,
    /// Bytes of memory for bodies and for images, encoded and decoded. A quarter is for bodies
    /// in flight, half for images being decoded.
    pub max_memory: u64,
    /// Connections that are open at once; further ones are answered with 503 and closed.
    pub max_connections: usize,
    /// Images that are scored together at most. Scores do not depend on it.
    pub batch: usize,
    /// The time for a request's header, from the first moment that it could come. Also how long
    /// an idle connection stays open.
    pub header_timeout: Duration,
    /// The time for a request's body.
    pub body_timeout: Duration,
    /// The longest that the bytes of an answer wait for a client that reads none. Then the
    /// connection is closed.
    pub write_timeout: Duration,
    /// The time that admitted requests have to be answered once the service was asked to stop.
    pub shutdown_timeout: Duration,
    /// The keys of which `x-api-key` must hold one; `None` asks for none.
    pub api_keys: Option<ApiKeys>,
    /// Origins whose pages may use the service from a browser, such as `https://example.org`;
    /// `*` is all.
    pub cors_origins: Vec<String>,
    /// By which the gate decides where a request names no policy.
    pub policy: Policy,
}

impl ServiceOptions {
    /// Bytes of bodies that are in flight at once.
    pub(crate) fn body_budget(&self) -> u64 {
        (self.max_memory / 4).max(1 << 20)
    }

    /// Bytes that decoding takes at once.
    pub(crate) fn decode_budget(&self) -> u64 {
        self.max_memory / 2
    }

    /// Bytes of one body: no more than all bodies may have together.
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
