//! Requests to servers and object stores, with time limits and retries.

use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use attn_fiqa::status::{Failure, Status};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path as ObjectPath;
use object_store::{ClientConfigKey, GetOptions, GetRange, ObjectStore, RetryConfig};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_MATCH, RANGE, RETRY_AFTER};

use super::budget::{Room, Ticket};
use super::location::Url;

/// Maximum number of attempts.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt; it quadruples each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause that a server can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

const CONNECT: Duration = Duration::from_secs(10);

/// A stream lasts as long as its consumer needs; the time between two pieces is limited instead.
const STREAM_TIMEOUT: &str = "30days";

/// Where an object is.
#[derive(Debug, Clone)]
pub(super) enum Location {
    Http(reqwest::Url),
    Object(Arc<dyn ObjectStore>, ObjectPath, Store),
}

/// The kind of store, which determines the variables that hold credentials.
#[derive(Debug, Clone, Copy)]
pub(super) enum Store {
    S3,
    Google,
    Azure,
}

/// Makes requests.
pub(super) struct Client {
    http: reqwest::Client,
    stall: Duration,
    /// The stores of the buckets seen so far, by scheme and bucket.
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// The bytes of an image and the room that they take.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) bytes: Vec<u8>,
    _room: Option<Room>,
}

/// Why a request failed.
struct RemoteError {
    failure: Failure,
    /// Whether another attempt may succeed, and after how long if the server specifies it.
    retry: Option<Option<Duration>>,
}

/// The response to a request.
struct Answer {
    /// The length of the body, if known.
    length: Option<u64>,
    /// The version of the object.
    tag: Option<String>,
    body: BoxStream<'static, Result<Bytes, RemoteError>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("stall", &self.stall).finish_non_exhaustive()
    }
}

impl Location {
    /// Another object in the same bucket.
    pub(super) fn sibling(&self, name: &str) -> Self {
        match self {
            Self::Object(store, _, kind) => {
                // A name as listed by the store, without escapes.
                let path = ObjectPath::parse(name).unwrap_or_else(|_| name.into());
                Self::Object(Arc::clone(store), path, *kind)
            }
            Self::Http(url) => Self::Http(url.clone()),
        }
    }
}

impl RemoteError {
    fn permanent(status: Status, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(status, message), retry: None }
    }

    fn transient(message: impl Into<String>) -> Self {
        Self { failure: Failure::new(Status::Unreadable, message), retry: Some(None) }
    }
}

impl Client {
    pub(super) fn new(stall: Duration) -> Result<Self, String> {
        // Another part of the process may have installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("attn-fiqa/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT.min(stall))
            .read_timeout(stall)
            .build()
            .map_err(|error| format!("requests cannot be made: {}", described(&error)))?;
        Ok(Self { http, stall, stores: Mutex::default() })
    }

    pub(super) fn locate(&self, url: &Url) -> Result<Location, Failure> {
        let unreadable = |message: String| Failure::new(Status::Unreadable, message);
        let kind = match url.scheme() {
            "s3" => Store::S3,
            "gs" => Store::Google,
            "az" => Store::Azure,
            _ => return Ok(Location::Http(url.as_http().clone())),
        };
        let path = ObjectPath::from_url_path(url.path())
            .map_err(|error| unreadable(format!("this is not the name of an object: {error}")))?;
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = format!("{}://{}", url.scheme(), url.bucket());
        let store = match stores.get(&bucket) {
            Some(store) => Arc::clone(store),
            None => {
                let store = self.store(kind, &bucket).map_err(|error| {
                    unreadable(format!("the store cannot be used: {}", described(&error)))
                })?;
                Arc::clone(stores.entry(bucket).or_insert(store))
            }
        };
        Ok(Location::Object(store, path, kind))
    }

    fn store(&self, kind: Store, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let stall = format!("{}ms", self.stall.as_millis());
        let connect = format!("{}ms", CONNECT.min(self.stall).as_millis());
        let limits = [
            (ClientConfigKey::ReadTimeout, stall),
            (ClientConfigKey::ConnectTimeout, connect),
            (ClientConfigKey::Timeout, STREAM_TIMEOUT.to_owned()),
        ];
        let mut retry =
            RetryConfig { max_retries: ATTEMPTS as usize - 1, ..RetryConfig::default() };
        retry.backoff.init_backoff = FIRST_PAUSE;
        Ok(match kind {
            Store::S3 => {
                let builder = AmazonS3Builder::from_env().with_url(bucket).with_retry(retry);
                let with = limits.into_iter().fold(builder, |builder, (key, value)| {
                    builder.with_config(AmazonS3ConfigKey::Client(key), value)
                });
                Arc::new(with.build()?)
            }
            Store::Google => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(bucket);
                let builder = builder.with_retry(retry);
                let with = limits.into_iter().fold(builder, |builder, (key, value)| {
                    builder.with_config(GoogleConfigKey::Client(key), value)
                });
                Arc::new(with.build()?)
            }
            Store::Azure => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(bucket).with_retry(retry);
                let with = limits.into_iter().fold(builder, |builder, (key, value)| {
                    builder.with_config(AzureConfigKey::Client(key), value)
                });
                Arc::new(with.build()?)
            }
        })
    }

    /// Fetches one image of at most `max_bytes`, once there is room for it.
    pub(super) async fn image(
        &self,
        location: &Location,
        max_bytes: u64,
        ticket: Ticket,
    ) -> Result<Admitted, Failure> {
        let (mut ticket, mut room) = (Some(ticket), None);
        let mut attempt = 0;
        loop {
            match self.image_once(location, max_bytes, &mut ticket, &mut room).await {
                Ok(bytes) => return Ok(Admitted { bytes, _room: room }),
                Err(error) => pause(error, &mut attempt).await?,
            }
        }
    }

    async fn image_once(
        &self,
        location: &Location,
        max_bytes: u64,
        ticket: &mut Option<Ticket>,
        room: &mut Option<Room>,
    ) -> Result<Vec<u8>, RemoteError> {
        let Answer { length, mut body, .. } = self.get(location, None, None).await?;
        let too_large = |length: u64| {
            let message = format!("the object holds {length} bytes and the limit is {max_bytes}");
            RemoteError::permanent(Status::TooLarge, message)
        };
        if let Some(length) = length.filter(|&length| length > max_bytes) {
            return Err(too_large(length));
        }
        if let Some(ticket) = ticket.take() {
            *room = Some(ticket.admit(length.unwrap_or(max_bytes)).await);
        }
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > max_bytes {
                return Err(too_large(bytes.len() as u64));
            }
        }
        match length {
            Some(length) if length != bytes.len() as u64 => Err(cut()),
            _ => Ok(bytes),
        }
    }

    /// Passes a whole object to `each`, piece by piece, until it returns `false`.
    pub(super) async fn stream<F: Future<Output = bool> + Send>(
        &self,
        location: &Location,
        mut each: impl FnMut(Bytes) -> F + Send,
    ) -> Result<(), Failure> {
        let (mut at, mut tag, mut end) = (0_u64, None, None);
        let mut attempt = 0;
        loop {
            let range = (at > 0).then_some((at, None));
            let error = match self.get(location, range, tag.as_deref()).await {
                Err(error) => error,
                Ok(mut answer) => {
                    tag = tag.or(answer.tag);
                    end = end.or(answer.length.map(|length| at + length));
                    loop {
                        match answer.body.next().await {
                            Some(Ok(piece)) => {
                                at += piece.len() as u64;
                                attempt = 0;
                                if !each(piece).await {
                                    return Ok(());
                                }
                            }
                            Some(Err(error)) => break error,
                            None if end.is_some_and(|end| at < end) => break cut(),
                            None => return Ok(()),
                        }
                    }
                }
            };
            pause(error, &mut attempt).await?;
        }
    }

    /// The length of an object, in bytes.
    pub(super) async fn length(&self, location: &Location) -> Result<u64, Failure> {
        let mut attempt = 0;
        loop {
            let found = match location {
                Location::Http(url) => self.http_length(url).await,
                Location::Object(store, path, kind) => {
                    let options = GetOptions { head: true, ..GetOptions::default() };
                    let found = store.get_opts(path, options).await;
                    found.map(|found| found.meta.size).map_err(|error| store_error(&error, *kind))
                }
            };
            match found {
                Ok(length) => return Ok(length),
                Err(error) => pause(error, &mut attempt).await?,
            }
        }
    }

    async fn http_length(&self, url: &reqwest::Url) -> Result<u64, RemoteError> {
        // Signed URLs are often valid for GET only.
        let request = self.http.get(url.clone()).header(RANGE, "bytes=0-0");
        let answer = self.answered(request).await?;
        let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let length = range.and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        length.filter(|_| answer.status() == StatusCode::PARTIAL_CONTENT).ok_or_else(no_ranges)
    }

    /// Fetches a range of an object.
    pub(super) async fn range(
        &self,
        location: &Location,
        range: Range<u64>,
    ) -> Result<Bytes, Failure> {
        let mut attempt = 0;
        loop {
            match self.range_once(location, &range).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => pause(error, &mut attempt).await?,
            }
        }
    }

    async fn range_once(
        &self,
        location: &Location,
        range: &Range<u64>,
    ) -> Result<Bytes, RemoteError> {
        let length = range.end - range.start;
        let mut answer = self.get(location, Some((range.start, Some(range.end))), None).await?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = answer.body.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > length {
                return Err(no_ranges());
            }
        }
        if bytes.len() as u64 == length { Ok(bytes.freeze()) } else { Err(cut()) }
    }

    /// Passes the names of all objects below a prefix to `each`, until it returns `false`.
    pub(super) async fn list<F: Future<Output = bool> + Send>(
        &self,
        location: &Location,
        mut each: impl FnMut(String) -> F + Send,
    ) -> Result<(), Failure> {
        let Location::Object(store, prefix, kind) = location else {
            return Err(Failure::new(Status::Unreadable, "this server does not list objects"));
        };
        let mut found = store.list(Some(prefix));
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| store_error(&error, *kind).failure)?;
            if !each(object.location.to_string()).await {
                break;
            }
        }
        Ok(())
    }

    /// Requests an object or a range of it, in the version `tag` if there is one.
    async fn get(
        &self,
        location: &Location,
        range: Option<(u64, Option<u64>)>,
        tag: Option<&str>,
    ) -> Result<Answer, RemoteError> {
        match location {
            Location::Http(url) => self.get_http(url, range, tag).await,
            Location::Object(store, path, kind) => {
                let kind = *kind;
                let range = range.map(|range| match range {
                    (from, Some(to)) => GetRange::Bounded(from..to),
                    (from, None) => GetRange::Offset(from),
                });
                let if_match = tag.map(str::to_owned);
                let options = GetOptions { range, if_match, ..GetOptions::default() };
                let found = store.get_opts(path, options).await;
                let found = found.map_err(|error| store_error(&error, kind))?;
                Ok(Answer {
                    length: Some(found.range.end - found.range.start),
                    tag: found.meta.e_tag.clone(),
                    body: found
                        .into_stream()
                        .map(move |piece| piece.map_err(|error| store_error(&error, kind)))
                        .boxed(),
                })
            }
        }
    }

    async fn get_http(
        &self,
        url: &reqwest::Url,
        range: Option<(u64, Option<u64>)>,
        tag: Option<&str>,
    ) -> Result<Answer, RemoteError> {
        let mut request = self.http.get(url.clone());
        if let Some((from, to)) = range {
            let to = to.map_or(String::new(), |to| (to - 1).to_string());
            request = request.header(RANGE, format!("bytes={from}-{to}"));
        }
        // Weak tags never match.
        if let Some(tag) = tag.filter(|tag| !tag.starts_with("W/")) {
            request = request.header(IF_MATCH, tag);
        }
        let answer = self.answered(request).await?;
        if range.is_some() && answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(no_ranges());
        }
        let stall = self.stall;
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Answer {
            length: answer.content_length(),
            tag,
            body: answer
                .bytes_stream()
                .map(move |piece| piece.map_err(|error| http_error(error, stall)))
                .boxed(),
        })
    }

    /// Sends a request; any response other than success is a failure.
    async fn answered(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, RemoteError> {
        let answer = request.send().await.map_err(|error| http_error(error, self.stall))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let says = format!("the server answers {status}");
        Err(match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                RemoteError::permanent(Status::NotFound, says)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RemoteError::permanent(
                Status::Unreadable,
                format!("{says}: access is denied; a signature in the URL may have expired"),
            ),
            StatusCode::PRECONDITION_FAILED => RemoteError::permanent(
                Status::Unreadable,
                "the object changed while it was being read",
            ),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                RemoteError { retry: Some(retry_after(&answer)), ..RemoteError::transient(says) }
            }
            _ if status.is_server_error() => {
                RemoteError { retry: Some(retry_after(&answer)), ..RemoteError::transient(says) }
            }
            _ => RemoteError::permanent(Status::Unreadable, says),
        })
    }
}

/// Pauses before the next attempt, or fails if there is none left.
async fn pause(error: RemoteError, attempt: &mut u32) -> Result<(), Failure> {
    *attempt += 1;
    let RemoteError { failure, retry } = error;
    match retry {
        None => Err(failure),
        Some(_) if *attempt >= ATTEMPTS => {
            let message = format!("{}, {ATTEMPTS} times in a row", failure.message);
            Err(Failure::new(failure.status, message))
        }
        Some(asked) => {
            let own = FIRST_PAUSE * 4_u32.pow(*attempt - 1);
            tokio::time::sleep(asked.map_or(own, |asked| asked.min(LONGEST_PAUSE))).await;
            Ok(())
        }
    }
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn cut() -> RemoteError {
    RemoteError::transient("the connection ended before the object was complete")
}

fn no_ranges() -> RemoteError {
    RemoteError::permanent(
        Status::Unreadable,
        "the server does not support range requests for this object, which are needed here: \
         download it",
    )
}

fn http_error(error: reqwest::Error, stall: Duration) -> RemoteError {
    let error = error.without_url();
    if error.is_timeout() && !error.is_connect() {
        return RemoteError::transient(format!("no data arrived within {} s", stall.as_secs_f64()));
    }
    if error.is_redirect() || error.is_builder() {
        return RemoteError::permanent(Status::Unreadable, described(&error));
    }
    if refuses_certificate(&error) {
        let message = format!("the server's certificate is not trusted: {}", described(&error));
        return RemoteError::permanent(Status::Unreadable, message + TRUST);
    }
    let kind = if error.is_connect() { "cannot reach the server" } else { "the request failed" };
    RemoteError::transient(format!("{kind}: {}", described(&error)))
}

/// How to have a custom certificate trusted.
const TRUST: &str = if cfg!(target_os = "linux") {
    "; SSL_CERT_FILE names a file of certificates to trust"
} else {
    "; add its authority to those that the system trusts"
};

/// Whether an error is due to a certificate, so that another attempt would not help.
fn refuses_certificate(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // `source` of an I/O error skips the error that it wraps, which may be the one.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

/// The failure for an error of a store, which has already made its own attempts.
fn store_error(error: &object_store::Error, kind: Store) -> RemoteError {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => {
            RemoteError::permanent(Status::NotFound, "the store has no such object or bucket")
        }
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            let variables = match kind {
                Store::S3 => {
                    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or \
                     AWS_SKIP_SIGNATURE=true for a public bucket"
                }
                Store::Google => {
                    "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for a public \
                     bucket"
                }
                Store::Azure => {
                    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or \
                     AZURE_SKIP_SIGNATURE=true for a public container"
                }
            };
            RemoteError::permanent(
                Status::Unreadable,
                format!("the store denies access: credentials are read from {variables}"),
            )
        }
        E::Precondition { .. } => {
            RemoteError::permanent(Status::Unreadable, "the object changed while it was being read")
        }
        other => {
            let text = described(other);
            // The text before it contains times, which differ from run to run.
            let reason = text.rsplit_once(" - ").map_or(text.as_str(), |(_, reason)| reason);
            let message = format!(
                "the store did not send the object: {}",
                reason.trim_end_matches([':', ' '])
            );
            RemoteError::permanent(Status::Unreadable, message)
        }
    }
}

/// An error with its causes, with the queries of URLs removed.
fn described(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text += &format!(": {next_text}");
        }
        cause = next.source();
    }
    without_queries(&text)
}

/// A text without URL queries: what follows a question mark, up to the next character that ends a
/// URL in a sentence.
fn without_queries(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut in_query = false;
    for c in text.chars() {
        in_query = if in_query { !(c.is_whitespace() || "\"'`)>,".contains(c)) } else { c == '?' };
        if !in_query {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_queries_are_removed_from_messages() {
        let text = "GET http://h/a?X-Sig=se%20cret&b=1 failed (see \"https://h/?token=2\")";
        assert_eq!(without_queries(text), "GET http://h/a failed (see \"https://h/\")");
    }
}
