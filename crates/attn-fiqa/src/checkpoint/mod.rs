//! Checkpoints: a stranger's file in, verified tensors with canonical names out.
