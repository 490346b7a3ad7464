//! Face image quality over HTTP.
//!
//! ```text
//!  connection ─ request id, key ─ admission ─ body ─ images ─► queue ─► worker ─► answer
//!  connections   observe, keys    admission   body   upload     queue    worker    answer
//! ```
//!
//! - [`Model`] is what scores; [`ServiceOptions`] are the limits; [`Service`] joins the two.
//! - [`Service::run`] serves a listener until it is asked to stop. [`Service::router`] is the same
//!   service without a socket, for tests and for programs that have a server of their own.
//! - What happens is passed to a function of the caller as [`Event`]s: the service writes no log
//!   itself, so that a program has one format for all its lines.
//!
//! # What holds
//!
//! - Scores have the bits that [`FacePipeline::score`](attn_fiqa::pipeline::FacePipeline::score)
//!   gives for the same image, whatever else is in the queue.
//! - Memory is bounded: a request is admitted before its body is read, by the number of requests
//!   and by bytes, and an image is decoded when what its header says that it needs is free.
//! - An image that cannot be used is an entry with a typed status; only what is wrong with the
//!   request is an HTTP error, in one JSON form.
//! - Images are neither stored nor logged, nor are their names. No connection is made to anywhere.

mod admission;
mod answer;
mod body;
mod connections;
mod error;
mod event;
mod keys;
mod linger;
mod metrics;
mod model;
mod observe;
mod options;
mod query;
mod queue;
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
