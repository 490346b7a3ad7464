//! The service, in process and on sockets: every route and every error.

mod compatibility;
mod connections;
mod errors;
mod gate;
mod operation;
mod page;
mod score;
mod support;
