//! Inputs that the library does not read itself, since they need more dependencies than a library
//! should have: columns of encoded images in Parquet and Arrow files, and object stores.

mod arrow_images;
mod parquet_images;
#[cfg(feature = "remote")]
mod remote;
mod table;

use std::sync::Arc;

use attn_fiqa::source::External;

#[cfg(feature = "remote")]
pub(crate) use remote::RemoteOptions;
pub(crate) use table::NO_COLUMN;
pub use table::Tables;

/// The response to URLs in a program built without the feature `remote`.
#[cfg(not(feature = "remote"))]
mod remote {
    use std::path::Path;

    use attn_fiqa::source::{External, Opened, PendingImage};
    use attn_fiqa::status::{Failure, Status};

    /// Whether a name starts like a URL of an object store.
    pub(super) fn is_url(name: &Path) -> bool {
        let name = name.to_string_lossy().to_ascii_lowercase();
        let schemes = ["http://", "https://", "s3://", "gs://", "az://"];
        schemes.iter().any(|scheme| name.starts_with(scheme))
    }

    #[derive(Debug)]
    pub(super) struct Unsupported;

    const MESSAGE: &str = "this program was built without the feature 'remote', which reads URLs";

    impl External for Unsupported {
        fn accepts(&self, name: &Path) -> bool {
            is_url(name)
        }

        fn check(&self, _name: &Path) -> Result<(), String> {
            Err(MESSAGE.to_owned())
        }

        fn open(&self, _name: &Path) -> Result<Opened, Failure> {
            Err(Failure::new(Status::Unreadable, MESSAGE))
        }

        fn start(&self, _name: &Path, _max_bytes: u64) -> Option<PendingImage> {
            Some(Box::new(|| Err(Failure::new(Status::Unreadable, MESSAGE))))
        }
    }
}

/// The readers of further inputs: URLs first, since they may end like a table.
#[cfg(feature = "remote")]
pub(crate) fn externals(column: &str, remote: RemoteOptions) -> Vec<Arc<dyn External>> {
    vec![Arc::new(remote::Remote::new(column, remote)), Arc::new(Tables::new(column))]
}

/// The readers of further inputs.
#[cfg(not(feature = "remote"))]
pub(crate) fn externals(column: &str) -> Vec<Arc<dyn External>> {
    vec![Arc::new(remote::Unsupported), Arc::new(Tables::new(column))]
}
