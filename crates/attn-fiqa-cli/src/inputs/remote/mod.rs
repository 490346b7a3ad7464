//! Images from `http(s)://`, `s3://`, `gs://` and `az://`: single objects, prefixes, archives and
//! tables, without copies on disk.
//!
//! Requests run on their own runtime; the thread that reads the inputs waits for them in order. No
//! connection is made before an input with such a name is read.

mod budget;
mod location;
mod prefix;
mod random_access;
mod request;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use attn_fiqa::source::{External, Opened, PendingImage};
use attn_fiqa::status::{Failure, Status};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::table::{Format, Names};
use budget::Budget;
use location::{Kind, Url};
use prefix::Prefix;
use random_access::RandomAccess;
use request::Client;
use stream::ObjectStream;

/// Threads that run requests; their only work is decryption.
const THREADS: usize = 2;

/// How requests are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteOptions {
    /// Number of objects requested at once.
    pub(crate) requests: usize,
    /// How long a request may receive no byte before it fails.
    pub(crate) stall: Duration,
    /// Limit on the bytes of images that were read but not yet consumed.
    pub(crate) max_memory: u64,
}

/// Reads URLs.
#[derive(Debug)]
pub(crate) struct Remote {
    column: String,
    options: RemoteOptions,
    budget: Arc<Budget>,
    shared: OnceLock<Result<Arc<Shared>, String>>,
}

/// Created for the first URL.
#[derive(Debug)]
struct Shared {
    runtime: Mutex<Option<Runtime>>,
    handle: tokio::runtime::Handle,
    client: Arc<Client>,
}

impl Drop for Shared {
    /// Requests that nobody waits for any more do not delay the exit.
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Remote {
    pub(crate) fn new(column: &str, options: RemoteOptions) -> Self {
        Self {
            column: column.to_owned(),
            options,
            budget: Arc::new(Budget::new(options.max_memory)),
            shared: OnceLock::new(),
        }
    }

    fn shared(&self) -> Result<&Arc<Shared>, Failure> {
        let made = self.shared.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(THREADS)
                .thread_name("attn-fiqa-remote")
                .enable_all()
                .build()
                .map_err(|error| format!("no thread could be started: {error}"))?;
            let client = Client::new(self.options.stall)?;
            let handle = runtime.handle().clone();
            let runtime = Mutex::new(Some(runtime));
            Ok(Arc::new(Shared { runtime, handle, client: Arc::new(client) }))
        });
        made.as_ref().map_err(|message| Failure::new(Status::Unreadable, message.as_str()))
    }

    fn image(&self, url: &Url, max_bytes: u64) -> Result<PendingImage, Failure> {
        let shared = self.shared()?;
        let location = shared.client.locate(url)?;
        let (sender, receiver) = oneshot::channel();
        let (client, ticket) = (Arc::clone(&shared.client), self.budget.ticket());
        shared.handle.spawn(async move {
            // There is no receiver if the run has ended.
            let _ = sender.send(client.image(&location, max_bytes, ticket).await);
        });
        Ok(Box::new(move || match receiver.blocking_recv() {
            // From here on the pipeline owns the bytes.
            Ok(outcome) => outcome.map(|admitted| admitted.bytes),
            Err(_) => Err(Failure::new(Status::Unreadable, "the request was abandoned")),
        }))
    }
}

impl External for Remote {
    fn accepts(&self, name: &Path) -> bool {
        location::is_url(name)
    }

    fn names(&self, name: &Path) -> (String, PathBuf) {
        location::names(name)
    }

    fn check(&self, name: &Path) -> Result<(), String> {
        let url = Url::parse(name)?;
        match url.kind() {
            Kind::Unsupported(why) => Err(why.to_owned()),
            _ => Ok(()),
        }
    }

    fn open(&self, name: &Path) -> Result<Opened, Failure> {
        let unreadable = |message: String| Failure::new(Status::Unreadable, message);
        let url = Url::parse(name).map_err(unreadable)?;
        let kind = url.kind();
        if let Kind::Unsupported(why) = kind {
            return Err(unreadable(why.to_owned()));
        }
        if kind == Kind::Image {
            return Ok(Opened::Image);
        }
        let shared = self.shared()?;
        let location = shared.client.locate(&url)?;
        let client = Arc::clone(&shared.client);
        let stream = || ObjectStream::start(&shared.handle, Arc::clone(&client), location.clone());
        Ok(match kind {
            Kind::Tar => Opened::Tar(Box::new(stream())),
            Kind::Records => Opened::Records(Box::new(stream())),
            Kind::Table(format) => {
                let (path, relative) = self.names(name);
                let names = Names { path, relative };
                let table = RandomAccess::open(shared.handle.clone(), client, location)?;
                Opened::Images(format.open(table, &self.column, names)?)
            }
            Kind::Prefix => {
                let budget = Arc::clone(&self.budget);
                Opened::Images(Box::new(Prefix::start(
                    &shared.handle,
                    client,
                    location,
                    &url,
                    budget,
                )))
            }
            Kind::Image | Kind::Unsupported(_) => Opened::Image,
        })
    }

    fn start(&self, name: &Path, max_bytes: u64) -> Option<PendingImage> {
        let unreadable = |message: String| Failure::new(Status::Unreadable, message);
        let started = Url::parse(name).map_err(unreadable).and_then(|url| match url.kind() {
            Kind::Image => self.image(&url, max_bytes),
            _ => Err(unreadable(NOT_ONE_IMAGE.to_owned())),
        });
        Some(started.unwrap_or_else(|failure| Box::new(|| Err(failure))))
    }

    fn read_ahead(&self) -> usize {
        self.options.requests.saturating_sub(1)
    }
}

const NOT_ONE_IMAGE: &str = "a list names images, but this is an archive, a table or a prefix: \
                             pass it as an input";
