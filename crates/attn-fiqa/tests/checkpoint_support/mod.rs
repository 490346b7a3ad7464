//! Makes small checkpoints, good and hostile ones, without the library's help.

// Each test program uses another part of this.
#![allow(dead_code)]

pub(crate) mod hostile;
pub(crate) mod network;
pub(crate) mod pickle;
pub(crate) mod reading;
pub(crate) mod zip;
