//! What a service reports to the program that runs it.

use std::net::SocketAddr;
use std::time::Duration;

/// Something that happened, for a log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Connections are accepted here.
    Listening(SocketAddr),
    /// The model has scored a probe: `/readyz` is true from now on.
    Ready,
    /// A request was answered.
    Access(Access),
    /// Something that a person should look at, in one line.
    Warning(String),
    /// The service was asked to stop; this many connections are still open.
    Draining {
        /// Connections that are open.
        connections: usize,
    },
}

/// One answered request. Holds nothing that the client wrote except its request id, which is at
/// most 128 letters, digits, dots, hyphens and underscores.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Access {
    /// The client's `x-request-id`, or one that was made up.
    pub request_id: String,
    /// The method, such as `POST`; `-` for one that HTTP does not define.
    pub method: &'static str,
    /// The route, such as `/v1/score`; `-` for an unknown path.
    pub route: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// The code of an error, such as `queue-full`.
    pub code: Option<&'static str>,
    /// Bytes of the body that were read.
    pub bytes: u64,
    /// Images in the body.
    pub images: usize,
    /// From the header to the answer.
    pub duration: Duration,
}
