//! The `attn-fiqa` program; all of it is in the library of the same crate, so that the Python
//! package provides the same command line.

fn main() -> std::process::ExitCode {
    attn_fiqa_cli::run(std::env::args_os()).into()
}
