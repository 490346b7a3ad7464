//! The `attn-fiqa` command line.

fn main() {}
