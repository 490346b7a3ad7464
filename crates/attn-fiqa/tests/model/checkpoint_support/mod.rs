//! Makes small checkpoints, both valid and malicious, without using the library.

pub(crate) mod hostile;
pub(crate) mod network;
pub(crate) mod pickle;
pub(crate) mod reading;
pub(crate) mod zip;
