//! The files of the page and of the documentation, embedded in the program.

use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Nothing from other origins, nothing inline, no embedding in a frame.
const CSP_HEADER: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Only the page itself may use the camera; microphone and geolocation are off.
const PERMISSIONS: &str = "camera=(self), microphone=(), geolocation=()";

/// A file and its path.
pub(super) struct File {
    pub(super) path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JPEG: &str = "image/jpeg";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $kind:ident $file:literal,)*) => {
        &[$(File { path: $path, kind: $kind, bytes: include_bytes!(concat!("../../", $file)) },)*]
    };
}

/// Every file. A test compares them with the contents of their folders.
pub(super) static FILES: &[File] = files! {
    "/" HTML "page/index.html",
    "/bands.js" SCRIPT "page/bands.js",
    "/best.js" SCRIPT "page/best.js",
    "/camera.js" SCRIPT "page/camera.js",
    "/causes.js" SCRIPT "page/causes.js",
    "/client.js" SCRIPT "page/client.js",
    "/dom.js" SCRIPT "page/dom.js",
    "/example-blurred.jpg" JPEG "page/example-blurred.jpg",
    "/example-dark.jpg" JPEG "page/example-dark.jpg",
    "/example.jpg" JPEG "page/example.jpg",
    "/export.js" SCRIPT "page/export.js",
    "/face-box.js" SCRIPT "page/face-box.js",
    "/face-list.js" SCRIPT "page/face-list.js",
    "/icon.svg" SVG "page/icon.svg",
    "/intake.js" SCRIPT "page/intake.js",
    "/labels.js" SCRIPT "page/labels.js",
    "/main.js" SCRIPT "page/main.js",
    "/map.js" SCRIPT "page/map.js",
    "/messages.js" SCRIPT "page/messages.js",
    "/photo.js" SCRIPT "page/photo.js",
    "/queue.js" SCRIPT "page/queue.js",
    "/style.css" CSS "page/style.css",
    "/table.js" SCRIPT "page/table.js",
    "/viridis.js" SCRIPT "page/viridis.js",
    "/docs" HTML "docs/docs.html",
    "/docs.css" CSS "docs/docs.css",
    "/docs.js" SCRIPT "docs/docs.js",
};

impl File {
    /// Responds with the file, or with 304 if the browser already has it.
    pub(super) fn serve(&'static self, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag);
        let mut response = match known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.bytes.into_response(),
        };
        let kind = HeaderValue::from_static(self.kind);
        let fields = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP_HEADER)),
            // Revalidated each time, and answered with 304.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        // The bytes already have a content type, which is replaced.
        for (name, value) in fields {
            response.headers_mut().insert(name, value);
        }
        response.headers_mut().insert("permissions-policy", HeaderValue::from_static(PERMISSIONS));
        if let Ok(tag) = HeaderValue::from_str(tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    /// The entity tag; identical for identical bytes.
    fn tag(&'static self) -> &'static str {
        static TAGS: OnceLock<Vec<String>> = OnceLock::new();
        let tags = TAGS.get_or_init(|| {
            let digest = |file: &File| Sha256::digest(file.bytes);
            let tag =
                |file| digest(file).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            FILES.iter().map(tag).map(|tag: String| format!("\"{tag}\"")).collect()
        });
        let place = FILES.iter().position(|file| file.path == self.path);
        place.and_then(|place| tags.get(place)).map_or("\"\"", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_page_files_are_embedded() {
        for folder in ["page", "docs"] {
            let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for entry in std::fs::read_dir(place).expect("a folder") {
                let entry = entry.expect("an entry");
                let bytes = std::fs::read(entry.path()).expect("a file");
                let served = FILES.iter().any(|file| file.bytes == bytes);
                assert!(served, "{} is not in FILES", entry.path().display());
            }
        }
        let mut paths: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), FILES.len());
    }

    #[test]
    fn etags_are_unique() {
        let mut tags: Vec<&str> = FILES.iter().map(File::tag).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), FILES.len());
    }
}
