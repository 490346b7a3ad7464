//! The files of the page.

use axum::body::Body;
use axum::http::Request;

use crate::support::start;

#[tokio::test]
async fn pages_have_strict_csp_and_etag() {
    let service = start(|_| ());
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/docs.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = service.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");

        let tag = answer.header("etag").to_owned();
        let request = Request::get(path).header("if-none-match", &tag).body(Body::empty());
        let again = service.send(request.expect("a request")).await;
        assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), tag);
    }
}

#[tokio::test]
async fn pages_reference_no_other_origin() {
    let service = start(|_| ());
    for path in ["/", "/docs", "/style.css", "/docs.css"] {
        let text = String::from_utf8(service.get(path).await.bytes).expect("text");
        for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
            assert!(!text.contains(outside), "{path}: {outside}");
        }
    }
}
