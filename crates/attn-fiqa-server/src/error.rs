//! The common form of all errors, and why a service cannot start.

use std::time::Duration;

use attn_fiqa::engine::RequestError;
use attn_fiqa::status::Failure;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a service could not be built or started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The model lacks something that every request needs.
    #[error(transparent)]
    Model(#[from] RequestError),
    /// An origin that no browser would send.
    #[error(
        "expected an origin such as https://example.org or * and found '{0}': write scheme and host \
         in lower case, the port unless it is the default one, and no path"
    )]
    CorsOrigin(String),
    /// A limit that admits nothing.
    #[error("the limit '{0}' must be at least 1")]
    Zero(&'static str),
    /// The operating system could not provide a thread or socket.
    #[error("the service cannot be started")]
    Io(#[from] std::io::Error),
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    #[schema(inline)]
    error: Detail<'a>,
    /// The request's `x-request-id`.
    request_id: &'a str,
    /// CompreFace's own error format, on its routes only: the message …
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<&'a str>,
    /// … and its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 28)]
    code: Option<u16>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Detail<'a> {
    /// The HTTP status.
    #[schema(example = 413)]
    status: u16,
    /// A stable code for programs.
    #[schema(example = "body-too-large")]
    code: &'a str,
    /// The part of the request that is wrong.
    field: Option<&'a str>,
    /// What is accepted there.
    expected: Option<&'a str>,
    /// What was found.
    found: Option<&'a str>,
    /// The same as a sentence, with what to do.
    message: &'a str,
}

/// An error on its way to the client. [`crate::observe`] writes its body, including the request id.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    field: Option<Box<str>>,
    expected: Option<Box<str>>,
    found: Option<Box<str>>,
    message: Box<str>,
    retry_after: Option<Duration>,
    /// CompreFace's error code, where its clients read one.
    compreface: Option<u16>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            field: None,
            expected: None,
            found: None,
            message: message.into().into(),
            retry_after: None,
            compreface: None,
        }
    }

    fn about(
        self,
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            field: Some(field.into().into()),
            expected: Some(expected.into().into()),
            found: Some(found.into().into()),
            ..self
        }
    }

    /// 400: a part of the request that cannot be understood.
    pub(crate) fn invalid(
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let (field, expected, found) = (field.into(), expected.into(), found.into());
        let message = format!("{field}: expected {expected}, found {found}");
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", message).about(field, expected, found)
    }

    /// 400: a body that is not JSON of the expected form.
    pub(crate) fn invalid_json(expected: &str, error: &serde_json::Error) -> Self {
        Self::invalid("body", expected, format!("an error: {error}"))
    }

    pub(crate) fn unauthorized(found: &str) -> Self {
        let message = format!(
            "this service requires a key, and {found}: send one of its keys in the header x-api-key"
        );
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message).about(
            "x-api-key",
            "one of the service's keys",
            found,
        )
    }

    pub(crate) fn unknown_path() -> Self {
        let message = "this service has no such path: /docs lists its paths";
        Self::new(StatusCode::NOT_FOUND, "unknown-path", message).about(
            "path",
            "a path of /openapi.json",
            "another one",
        )
    }

    pub(crate) fn wrong_method(method: &str) -> Self {
        let message = "this path does not accept this method: the header allow lists those it \
                       accepts";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", message).about(
            "method",
            "one of those in the header allow",
            method,
        )
    }

    pub(crate) fn slow_body(limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        let message = format!(
            "the body did not arrive within {seconds} seconds: send smaller images, or over a \
             faster connection"
        );
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow-body", message).about(
            "body",
            format!("all of it within {seconds} s"),
            "less",
        )
    }

    /// The client ended the body early; it is unlikely to see this.
    pub(crate) fn broken_body(found: impl Into<String>) -> Self {
        let found = found.into();
        let message = format!("the body could not be read to its end: {found}");
        Self::new(StatusCode::BAD_REQUEST, "broken-body", message).about(
            "body",
            "as many bytes as announced",
            found,
        )
    }

    pub(crate) fn too_large(
        code: &'static str,
        field: &str,
        limit: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let (limit, found) = (limit.into(), found.into());
        let message = format!("{field}: expected at most {limit}, found {found}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message).about(
            field,
            format!("at most {limit}"),
            found,
        )
    }

    pub(crate) fn unsupported_type(expected: &str, found: impl Into<String>) -> Self {
        let found = found.into();
        let message = format!("the type of the body must be {expected}, but is {found}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-type", message).about(
            "content-type",
            expected,
            found,
        )
    }

    pub(crate) fn unsupported_encoding(found: impl Into<String>) -> Self {
        let found = found.into();
        let message = format!(
            "the body must not be compressed, but its content-encoding is {found}: send it as it is"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", message).about(
            "content-encoding",
            "none",
            found,
        )
    }

    /// 429: a budget is exhausted.
    pub(crate) fn busy(code: &'static str, budget: &str, retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs();
        let message =
            format!("the service has no room for more {budget} in flight: retry in {seconds} s");
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, code, message).about(
            "request",
            "room for it",
            format!("{budget} at their limit"),
        );
        Self { retry_after: Some(retry_after), ..error }
    }

    pub(crate) fn internal() -> Self {
        let message = "the service failed to process this request but is still running: report it \
                       with its request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// 503: not yet or no longer serving.
    pub(crate) fn unavailable(code: &'static str, message: &str) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        Self { retry_after: Some(Duration::from_secs(1)), ..error }
    }

    /// What is wrong with the image, on routes that take one image only.
    pub(crate) fn of_image(failure: &Failure) -> Self {
        let Failure { status, message } = failure;
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, status.name(), message.clone()).about(
            "image",
            "an image with a face",
            status.name(),
        )
    }

    /// Something that the model does not have.
    pub(crate) fn of_model(field: &str, error: &RequestError) -> Self {
        let message = error.to_string();
        Self::new(StatusCode::BAD_REQUEST, "not-in-model", message).about(
            field,
            "what the model has",
            "more",
        )
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn with_compreface_code(self, code: u16) -> Self {
        Self { compreface: Some(code), ..self }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, including the request id.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        let body = ErrorBody {
            error: Detail {
                status: self.status.as_u16(),
                code: self.code,
                field: self.field.as_deref(),
                expected: self.expected.as_deref(),
                found: self.found.as_deref(),
                message: &self.message,
            },
            request_id,
            message: self.compreface.map(|_| &*self.message),
            code: self.compreface,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(after) = self.retry_after {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(self);
        response
    }
}
