//! Makes small checkpoints, valid and malicious ones, without using the library.

// Each test program uses a different part of this.
#![allow(dead_code)]

pub(crate) mod hostile;
pub(crate) mod network;
pub(crate) mod pickle;
pub(crate) mod reading;
pub(crate) mod zip;
