//! Makes small checkpoints, valid and malicious ones, without using the library.

pub(crate) mod hostile;
pub(crate) mod network;
pub(crate) mod pickle;
pub(crate) mod reading;
pub(crate) mod zip;
