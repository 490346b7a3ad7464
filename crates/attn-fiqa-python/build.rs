//! Symbols of Python are found when it loads the library: macOS has to be asked for that.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
