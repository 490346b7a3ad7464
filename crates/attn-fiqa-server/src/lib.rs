//! Face image quality over HTTP.
//!
//! ```text
//!  connection ─ request id, key ─ admission ─ body ─ images ─► queue ─► worker ─► answer
//!  connections   observe, keys    admission   body   upload     queue    worker    answer
//! ```
//!
//! - [`Model`] does the scoring; [`ServiceOptions`] are the limits; [`Service`] combines the two.
//! - [`Service::run`] serves a listener until it is asked to stop. [`Service::router`] is the same
//!   service without a socket, for tests and for programs with their own server.
//! - [`Event`]s are passed to a function of the caller: the service writes no log itself, so that a
//!   program has one format for all its lines.
//!
//! # Guarantees
//!
//! - Scores are bit for bit those of
//!   [`FacePipeline::score`](attn_fiqa::pipeline::FacePipeline::score) for the same image, whatever
//!   else is in the queue.
//! - Memory is bounded: a request is admitted before its body is read, by the number of images
//!   and bytes, and an image is decoded once the memory that its header asks for is free.
//! - An unusable image is an entry with a typed status; only a faulty request is an HTTP error,
//!   always in the same JSON form.
//! - Neither images nor their names are stored or logged. The service makes no outgoing
//!   connections.

mod admission;
mod answer;
mod base64;
mod body;
mod connections;
mod error;
mod event;
mod file_name;
mod image_list;
mod keys;
mod linger;
mod metrics;
mod model;
mod observe;
mod options;
mod progress;
mod query;
mod queue;
mod reply;
mod routes;
mod service;
mod upload;
mod worker;

pub use connections::Ended;
pub use error::ServiceError;
pub use event::{Access, Event};
pub use keys::{ApiKeys, ApiKeysError};
pub use model::{Model, ModelInfo};
pub use options::ServiceOptions;
pub use service::Service;
