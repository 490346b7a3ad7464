//! Connections: accepting and limiting them, and shutting down the service.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use crate::error::ServiceError;
use crate::event::Event;
use crate::linger::{self, Lingering};
use crate::service::{Service, Shared};

/// How a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Every accepted request was answered.
    Answered,
    /// The time limit ran out with this many connections still open.
    TimedOut {
        /// Number of connections that were closed.
        connections: usize,
    },
    /// A second signal ended it immediately.
    AtOnce,
}

/// Threads for I/O; the work runs on the engine's threads.
const IO_THREADS: usize = 2;

/// Maximum size of a request's header, in bytes.
const MAX_HEADER: usize = 16 << 10;

/// When the service is asked to stop, how long requests are still read from open connections before
/// idle ones are closed: a client may be sending one at that moment. Every answer says that its
/// connection closes.
const DRAIN_PERIOD: Duration = Duration::from_secs(1);

/// How often to check whether connections are still open.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The pause after a system error, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Maximum number of refused connections that are closed gracefully at a time.
const MAX_CLOSING: usize = 32;

/// File descriptors reserved for other uses than connections.
const RESERVED_FILES: u64 = 64;

const TOO_MANY_CONNECTIONS_RESPONSE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 188\r\n\r\n\
    {\"error\":{\"status\":503,\"code\":\"too-many-connections\",\"field\":null,\"expected\":null,\
    \"found\":null,\"message\":\"too many connections are open: close idle ones or \
    retry in 1 s\"},\"request_id\":\"-\"}";

impl Service {
    /// Serves connections until SIGTERM or SIGINT (Ctrl-C on other systems). From then on no more
    /// connections are accepted, `/readyz` is false, and accepted requests are answered within
    /// [`ServiceOptions::shutdown_timeout`](crate::ServiceOptions::shutdown_timeout). A second
    /// signal ends the service immediately.
    ///
    /// # Errors
    ///
    /// If the threads for connections cannot be started or the listener cannot be used.
    pub fn run(self, listener: StdListener) -> Result<Ended, ServiceError> {
        let runtime = runtime()?;
        let ended = runtime.block_on(async {
            let signals = signals()?;
            self.serve(listener, signals).await
        });
        self.end(runtime, ended)
    }

    /// Same as [`Service::run`], but the caller sends the signals through `stop`: for tests and for
    /// programs that handle signals themselves.
    ///
    /// # Errors
    ///
    /// Same as [`Service::run`].
    pub fn run_until(
        self,
        listener: StdListener,
        stop: std::sync::mpsc::Receiver<()>,
    ) -> Result<Ended, ServiceError> {
        let runtime = runtime()?;
        let (sender, signals) = mpsc::channel(2);
        std::thread::Builder::new().name("attn-fiqa-stop".to_owned()).spawn(move || {
            while stop.recv().is_ok() {
                if sender.blocking_send(()).is_err() {
                    break;
                }
            }
        })?;
        let ended = runtime.block_on(self.serve(listener, signals));
        self.end(runtime, ended)
    }

    /// Ends without waiting for unanswered requests.
    fn end(
        mut self,
        runtime: tokio::runtime::Runtime,
        ended: Result<Ended, ServiceError>,
    ) -> Result<Ended, ServiceError> {
        runtime.shutdown_background();
        if !matches!(ended, Ok(Ended::Answered)) {
            self.abandon_worker();
        }
        ended
    }

    async fn serve(
        &self,
        listener: StdListener,
        mut signals: mpsc::Receiver<()>,
    ) -> Result<Ended, ServiceError> {
        let shared = &self.shared;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        (shared.report)(Event::Listening(listener.local_addr()?));
        let warming = Arc::clone(shared);
        std::thread::Builder::new()
            .name("attn-fiqa-warm-up".to_owned())
            .spawn(move || warming.warm_up())?;

        let connections = Connections::new(shared, self.router());
        loop {
            tokio::select! {
                accepted = listener.accept() => connections.take(accepted).await,
                _ = signals.recv() => break,
            }
        }
        shared.draining.store(true, Ordering::SeqCst);
        // Clients that are connected but not yet accepted are served too.
        while let Ok(accepted) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
            if accepted.is_err() {
                break;
            }
            connections.take(accepted).await;
        }
        drop(listener);
        let open = connections.open();
        (shared.report)(Event::Draining { connections: open });
        let limit = shared.options.shutdown_timeout;
        let Connections { graceful, permits, most, .. } = connections;
        let open = || most - permits.available_permits();
        let answered = async {
            let last = tokio::time::Instant::now() + DRAIN_PERIOD.min(limit / 4);
            while open() > 0 && tokio::time::Instant::now() < last {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            graceful.shutdown().await;
        };
        tokio::select! {
            () = answered => Ok(Ended::Answered),
            () = tokio::time::sleep(limit) => Ok(Ended::TimedOut { connections: open() }),
            Some(()) = signals.recv() => Ok(Ended::AtOnce),
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .thread_name("attn-fiqa-io")
        .enable_all()
        .build()
}

/// Sends a message for each signal that asks the program to end.
#[cfg(unix)]
fn signals() -> std::io::Result<mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, receiver) = mpsc::channel(2);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if sender.send(()).await.is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

#[cfg(not(unix))]
fn signals() -> std::io::Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if sender.send(()).await.is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

/// Open connections.
struct Connections {
    shared: Arc<Shared>,
    router: Router,
    builder: http1::Builder,
    graceful: GracefulShutdown,
    permits: Arc<Semaphore>,
    most: usize,
    /// For refused connections that are being closed.
    closing: Arc<Semaphore>,
}

impl Connections {
    fn new(shared: &Arc<Shared>, router: Router) -> Self {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(shared.options.header_timeout)
            .max_header_size(MAX_HEADER)
            .max_buf_size(4 * MAX_HEADER);
        let most = shared.options.max_connections.min(max_open_files());
        Self {
            shared: Arc::clone(shared),
            router,
            builder,
            graceful: GracefulShutdown::new(),
            permits: Arc::new(Semaphore::new(most)),
            most,
            closing: Arc::new(Semaphore::new(MAX_CLOSING)),
        }
    }

    fn open(&self) -> usize {
        self.most - self.permits.available_permits()
    }

    async fn take(&self, accepted: std::io::Result<(TcpStream, SocketAddr)>) {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                (self.shared.report)(Event::Warning(format!(
                    "cannot accept a connection: {error}"
                )));
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return;
            }
        };
        let metrics = &self.shared.metrics;
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            metrics.refused_connections.inc();
            self.refuse(stream);
            return;
        };
        // Answers are written in one piece, so there is nothing to gain from waiting for more.
        let _ = stream.set_nodelay(true);
        metrics.connections.inc();
        let router = self.router.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let unasked = !request.headers().contains_key(header::EXPECT);
            router.clone().oneshot(request.map(|body| Body::new(Lingering::new(body, unasked))))
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.shared.options.write_timeout));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = self.builder.serve_connection(stream, service);
        let connection = self.graceful.watch(connection);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            // A client that disconnects is not an error of the service.
            let _ = pin!(connection).await;
            shared.metrics.connections.dec();
            drop(permit);
        });
    }
}

impl Connections {
    fn refuse(&self, stream: TcpStream) {
        // As much as fits into the socket's buffer, which is all of it.
        let _ = stream.try_write(TOO_MANY_CONNECTIONS_RESPONSE);
        // Beyond the limit, a client that is still sending may see a reset instead.
        if let Ok(permit) = Arc::clone(&self.closing).try_acquire_owned() {
            tokio::spawn(async move {
                linger::close(stream).await;
                drop(permit);
            });
        }
    }
}

/// The number of files that can be open for connections, after raising the system's soft limit to
/// the hard limit.
#[cfg(unix)]
fn max_open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let found = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: found.maximum, maximum: found.maximum };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => found.maximum,
        Err(_) => found.current,
    };
    let limit = limit.map_or(u64::MAX, |limit| limit.saturating_sub(RESERVED_FILES).max(1));
    usize::try_from(limit).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

#[cfg(not(unix))]
fn max_open_files() -> usize {
    let _ = RESERVED_FILES;
    Semaphore::MAX_PERMITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_connections_response_is_well_formed() {
        let text = std::str::from_utf8(TOO_MANY_CONNECTIONS_RESPONSE).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len()))
                || head.ends_with(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(json["error"]["code"], "too-many-connections");
    }
}
