//! Events that a service reports to the program that runs it.

use std::net::SocketAddr;
use std::time::Duration;

/// An event, for a log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Connections are accepted at this address.
    Listening(SocketAddr),
    /// The model has scored a probe: `/readyz` is true from now on.
    Ready,
    /// A request was answered, or its client left before.
    Access(Access),
    /// Something that needs a person's attention, in one line.
    Warning(String),
    /// The service was asked to stop while this many connections are open.
    Draining {
        /// Number of open connections.
        connections: usize,
    },
}

/// One request. Contains nothing written by the client except its request id, which is at
/// most 128 letters, digits, dots, hyphens and underscores.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Access {
    /// The client's `x-request-id`, or a generated one.
    pub request_id: String,
    /// The method, such as `POST`; `-` for a method that HTTP does not define.
    pub method: &'static str,
    /// The route, such as `/v1/score`; `-` for an unknown path.
    pub route: &'static str,
    /// The status of the answer; 499 if the client left before.
    pub status: u16,
    /// The code of an error, such as `queue-full`.
    pub code: Option<&'static str>,
    /// Number of body bytes read.
    pub bytes: u64,
    /// Images in the body.
    pub images: usize,
    /// The time from the header to the answer, or until the client left.
    pub duration: Duration,
}
