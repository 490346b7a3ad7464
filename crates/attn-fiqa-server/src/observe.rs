//! Handling common to all requests: the request id, the log line, the metrics, the headers, and the
//! body of an error.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::error::{ApiError, ServiceError};
use crate::event::{Access, Event};
use crate::keys;
use crate::progress::Progress;
use crate::routes;
use crate::service::Shared;

/// The header that carries a request id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of an id accepted from a client.
const MAX_REQUEST_ID: usize = 128;

/// The status of a request whose client left before the answer; it is only reported, never sent.
const CLIENT_LEFT: (u16, &str) = (499, "client-closed-request");

/// Ids for requests that come without one: different from those of other processes, and numbered.
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { process: RandomState::new().hash_one(0), next: AtomicU64::new(0) }
    }

    /// The client's id if it can safely be repeated in a log, otherwise a new one.
    fn of(&self, headers: &HeaderMap) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let usable = |id: &&str| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(plain);
        match given.filter(usable) {
            Some(id) => id.to_owned(),
            None => {
                format!("{:016x}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
            }
        }
    }
}

/// The name of the method, without any text from the client.
fn method_name(method: &Method) -> &'static str {
    let known = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
    ];
    known.iter().find(|(known, _)| known == method).map_or("-", |(_, name)| name)
}

/// A request that is reported exactly once: when it is answered, or when it is dropped because its
/// client left.
struct Pending {
    shared: Arc<Shared>,
    request_id: String,
    method: &'static str,
    route: &'static str,
    started: Instant,
    progress: Progress,
    reported: bool,
}

impl Pending {
    fn report(&mut self, status: u16, code: Option<&'static str>) {
        self.reported = true;
        let duration = self.started.elapsed();
        self.shared.metrics.count_request(self.route, status, duration);
        (self.shared.report)(Event::Access(Access {
            request_id: std::mem::take(&mut self.request_id),
            method: self.method,
            route: self.route,
            status,
            code,
            bytes: self.progress.bytes(),
            images: self.progress.images(),
            duration,
        }));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.reported {
            let (status, code) = CLIENT_LEFT;
            self.report(status, Some(code));
        }
    }
}

pub(crate) async fn observe(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut pending = Pending {
        request_id: shared.request_ids.of(request.headers()),
        method: method_name(request.method()),
        route: routes::name_of(request.uri().path()),
        started: Instant::now(),
        progress: Progress::default(),
        reported: false,
        shared,
    };
    request.extensions_mut().insert(pending.progress.clone());
    let mut response = next.run(request).await;

    let error = response.extensions_mut().remove::<ApiError>();
    if let Some(error) = &error {
        *response.body_mut() = Body::from(error.body(&pending.request_id));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        // The body has been replaced, and hyper knows its length.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let headers = response.headers_mut();
    if pending.shared.draining.load(Ordering::SeqCst) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(id) = HeaderValue::from_str(&pending.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    let always = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in always {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }

    pending.report(response.status().as_u16(), error.map(|error| error.code()));
    response
}

/// Accepts only requests with one of the keys.
pub(crate) async fn authorize(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if let Some(known) = &shared.options.api_keys {
        match request.headers().get(keys::HEADER) {
            None => return Err(ApiError::unauthorized("no key was sent")),
            Some(key) if !known.accepts(key.as_bytes()) => {
                return Err(ApiError::unauthorized("an unknown key was sent"));
            }
            Some(_) => {}
        }
    }
    Ok(next.run(request).await)
}

/// What browsers are told about pages of other origins; `None` if no origins are named.
///
/// # Errors
///
/// If an origin is one that no browser would send.
pub(crate) fn cors(origins: &[String]) -> Result<Option<CorsLayer>, ServiceError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let origins = match origins {
        [all] if all == "*" => AllowOrigin::any(),
        origins => {
            let origins = origins.iter().map(|origin| checked_origin(origin));
            AllowOrigin::list(origins.collect::<Result<Vec<_>, _>>()?)
        }
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, HeaderName::from_static(keys::HEADER), REQUEST_ID])
        .expose_headers([REQUEST_ID, header::RETRY_AFTER]);
    Ok(Some(layer))
}

/// Checks for scheme, host and optional port, as browsers write it.
fn checked_origin(origin: &str) -> Result<HeaderValue, ServiceError> {
    let wrong = || ServiceError::CorsOrigin(origin.to_owned());
    let (scheme, address) = origin.split_once("://").ok_or_else(wrong)?;
    let default_port = match scheme {
        "https" => "443",
        "http" => "80",
        _ => return Err(wrong()),
    };
    let plain = |byte: u8| {
        byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"/?#*@,\"'".contains(&byte)
    };
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    let usable = |port: &str| port != default_port && port.parse::<u16>().is_ok();
    if host.is_empty() || !address.bytes().all(plain) || !port.is_none_or(usable) {
        return Err(wrong());
    }
    HeaderValue::from_str(origin).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_client_request_ids_are_kept() {
        let ids = RequestIds::new();
        let of = |id: &str| {
            let value = HeaderValue::from_str(id).expect("a header");
            ids.of(&HeaderMap::from_iter([(REQUEST_ID, value)]))
        };
        assert_eq!(of("a-1.b_C"), "a-1.b_C");
        for wrong in ["", "a b", "a\"b", "é", &"a".repeat(129)] {
            assert_ne!(of(wrong), wrong);
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }

    #[test]
    fn malformed_cors_origins_are_rejected() {
        let cors = |origin: &str| cors(&[origin.to_owned()]);
        for right in [
            "*",
            "https://example.org",
            "http://localhost:3000",
            "http://[::1]:8080",
            "http://[::1]",
        ] {
            assert!(cors(right).expect(right).is_some());
        }
        let malformed =
            ["", "example.org", "https://", "https://a/", "https://*.a", "null", "ftp://a"];
        // Browsers write neither capitals nor default ports.
        let never_sent =
            ["https://Example.org", "HTTPS://a", "https://a:443", "http://[::1]:80", "http://a:b"];
        for wrong in malformed.into_iter().chain(never_sent) {
            assert!(cors(wrong).is_err(), "{wrong}");
        }
        assert!(super::cors(&[]).expect("off").is_none());
    }
}
