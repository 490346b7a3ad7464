//! The images below a prefix, as listed by the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use attn_fiqa::source::{ExternalImage, ExternalImages, PendingImage, is_image_name};
use attn_fiqa::status::{Failure, Status};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::oneshot;

use super::budget::Budget;
use super::location::Url;
use super::request::{Client, Location};

/// Names listed ahead: those of two responses.
const NAMES_AHEAD: usize = 2000;

pub(super) struct Prefix {
    names: Receiver<Result<String, Failure>>,
    handle: Handle,
    client: Arc<Client>,
    location: Location,
    budget: Arc<Budget>,
    /// The store and bucket, prepended to every name.
    root: String,
    /// The prefix itself, as shown in rows.
    shown: String,
    skipped: u64,
}

impl Prefix {
    pub(super) fn start(
        handle: &Handle,
        client: Arc<Client>,
        location: Location,
        url: &Url,
        budget: Arc<Budget>,
    ) -> Self {
        let (sender, names) = channel(NAMES_AHEAD);
        let (lister, listed) = (Arc::clone(&client), location.clone());
        handle.spawn(async move {
            let outcome = lister.list(&listed, |name| {
                let sender = sender.clone();
                async move { sender.send(Ok(name)).await.is_ok() }
            });
            if let Err(failure) = outcome.await {
                let _ = sender.send(Err(failure)).await;
            }
        });
        Self {
            names,
            handle: handle.clone(),
            client,
            location,
            budget,
            root: format!("{}://{}", url.scheme(), url.bucket()),
            shown: url.shown(),
            skipped: 0,
        }
    }

    fn start_image(&self, name: &str, max_bytes: u64) -> PendingImage {
        let (sender, receiver) = oneshot::channel();
        let location = self.location.sibling(name);
        let (client, ticket) = (Arc::clone(&self.client), self.budget.ticket());
        self.handle.spawn(async move {
            let _ = sender.send(client.image(&location, max_bytes, ticket).await);
        });
        Box::new(move || match receiver.blocking_recv() {
            Ok(outcome) => outcome.map(|admitted| admitted.bytes),
            Err(_) => Err(Failure::new(Status::Unreadable, "the request was abandoned")),
        })
    }
}

impl ExternalImages for Prefix {
    fn next(
        &mut self,
        max_bytes: u64,
        wanted: &mut dyn FnMut(&str, &Path) -> bool,
    ) -> Option<ExternalImage> {
        loop {
            return match self.names.blocking_recv()? {
                Ok(name) if !is_image_name(Path::new(&name)) => {
                    self.skipped += 1;
                    continue;
                }
                Ok(name) => {
                    let path = format!("{}/{name}", self.root);
                    let relative = PathBuf::from(&name);
                    let pending: PendingImage = if wanted(&path, &relative) {
                        self.start_image(&name, max_bytes)
                    } else {
                        Box::new(|| Ok(Vec::new()))
                    };
                    Some(ExternalImage { path, relative, pending })
                }
                Err(failure) => Some(ExternalImage {
                    path: self.shown.clone(),
                    relative: PathBuf::from("prefix"),
                    pending: Box::new(|| Err(failure)),
                }),
            };
        }
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }
}
