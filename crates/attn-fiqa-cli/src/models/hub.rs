//! The Hugging Face hub or a mirror, and the cache that all its clients share.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

const PUBLIC: &str = "https://huggingface.co";

/// Maximum number of attempts at a download over broken connections.
const ATTEMPTS: usize = 3;

/// Where files are fetched from and stored, configured by the environment variables of the hub's
/// own client.
#[derive(Debug)]
pub(crate) struct Hub {
    endpoint: String,
    cache: PathBuf,
    token: Option<String>,
    offline: bool,
}

/// What the hub announces about a file before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    /// In bytes.
    pub(crate) size: u64,
    /// The SHA-256 of a large file, which is its ETag; that of a small file is another hash.
    pub(crate) sha256: Option<String>,
    etag: String,
}

impl Hub {
    /// Reads `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`, `HF_TOKEN_PATH` and
    /// `HF_HUB_OFFLINE`.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let set = |name: &str| env::var(name).ok().map(|value| value.trim().to_owned());
        let set = |name: &str| set(name).filter(|value| !value.is_empty());
        let home = || -> anyhow::Result<PathBuf> {
            if let Some(home) = set("HF_HOME") {
                return Ok(home.into());
            }
            let cache = match set("XDG_CACHE_HOME") {
                Some(cache) => cache.into(),
                None => dirs::home_dir()
                    .context("there is no home folder to keep models in; set HF_HOME to a folder")?
                    .join(".cache"),
            };
            Ok(cache.join("huggingface"))
        };
        let cache = match set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")) {
            Some(cache) => cache.into(),
            None => home()?.join("hub"),
        };
        let token = match set("HF_TOKEN") {
            Some(token) => Some(token),
            None => {
                let file = match set("HF_TOKEN_PATH") {
                    Some(file) => Some(file.into()),
                    None => home().ok().map(|home| home.join("token")),
                };
                let text = file.and_then(|file| std::fs::read_to_string(file).ok());
                text.map(|text| text.trim().to_owned()).filter(|token| !token.is_empty())
            }
        };
        let yes = |value: String| {
            ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
        };
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| PUBLIC.to_owned());
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: std::path::absolute(cache)?,
            token,
            offline: set("HF_HUB_OFFLINE").is_some_and(yes),
        })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.offline
    }

    /// The file next to the cache that holds the pins.
    pub(crate) fn pins_file(&self) -> PathBuf {
        self.cache.parent().unwrap_or(&self.cache).join("attn-fiqa-pins.toml")
    }

    fn repo(repo: &str) -> Repo {
        Repo::new(repo.to_owned(), RepoType::Model)
    }

    /// A file that was fetched earlier, by any client.
    pub(crate) fn cached(&self, repo: &str, file: &str) -> Option<PathBuf> {
        Cache::new(self.cache.clone()).repo(Self::repo(repo)).get(file)
    }

    fn api(&self, repo: &str) -> anyhow::Result<(hf_hub::api::sync::Api, ApiRepo)> {
        let api = ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(false)
            .with_user_agent("attn-fiqa", env!("CARGO_PKG_VERSION"))
            .build()?;
        let repo = api.repo(Self::repo(repo));
        Ok((api, repo))
    }

    /// Requests a file's size and ETag.
    pub(crate) fn announced(&self, repo: &str, file: &str) -> anyhow::Result<Announced> {
        let (api, of_repo) = self.api(repo)?;
        let found =
            api.metadata(&of_repo.url(file)).map_err(|error| self.explain(&error, repo, file))?;
        let (etag, commit) = (found.etag().to_owned(), found.commit_hash());
        // Both become file names in the cache.
        let is_plain = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (1..=200).contains(&text.len()) && text.bytes().all(plain)
        };
        if !is_plain(&etag) || !is_plain(commit) {
            bail!(
                "{} answers for '{file}' of '{repo}' with an ETag '{etag}' and a commit \
                 '{commit}', which cannot be file names; is HF_ENDPOINT a mirror of the hub?",
                self.endpoint
            );
        }
        let is_hash = etag.len() == 64 && super::entry::is_lower_hex(&etag);
        let sha256 = is_hash.then(|| etag.clone());
        Ok(Announced { size: found.size() as u64, sha256, etag })
    }

    /// How much of an announced file an interrupted download left behind; a partial file that
    /// cannot be its beginning is removed.
    pub(crate) fn partial_length(&self, repo: &str, announced: &Announced) -> u64 {
        let blob = Cache::new(self.cache.clone()).repo(Self::repo(repo)).blob_path(&announced.etag);
        let part = blob.with_extension("part");
        let length = std::fs::metadata(&part).map_or(0, |found| found.len());
        if length >= announced.size && length > 0 {
            let _ = std::fs::remove_file(&part);
            return 0;
        }
        length
    }

    /// Fetches a file into the cache, resuming an interrupted download.
    pub(crate) fn fetch(
        &self,
        repo: &str,
        file: &str,
        announced: &Announced,
        progress: &impl Fn() -> Box<dyn Progress>,
    ) -> anyhow::Result<PathBuf> {
        let (_, of_repo) = self.api(repo)?;
        let mut before = self.partial_length(repo, announced);
        for attempt in 1.. {
            let error = match of_repo.download_with_progress(file, Bar(progress())) {
                Ok(path) => return Ok(path),
                Err(error) => error,
            };
            let now = self.partial_length(repo, announced);
            // A connection that made progress is worth another attempt.
            if status(&error).is_some() || (now <= before && attempt > 1) || attempt == ATTEMPTS {
                let mut explained = self.explain(&error, repo, file);
                if now > 0 {
                    explained = anyhow!(
                        "{explained}; {now} of {} bytes are kept, and the same command continues \
                         from there",
                        announced.size
                    );
                }
                return Err(explained);
            }
            before = now;
        }
        unreachable!("the last attempt returns: this is a bug")
    }

    /// Removes a file from the cache.
    pub(crate) fn discard(path: &Path) {
        if let Ok(blob) = path.canonicalize() {
            let _ = std::fs::remove_file(blob);
        }
        let _ = std::fs::remove_file(path);
    }

    fn explain(&self, error: &ApiError, repo: &str, file: &str) -> anyhow::Error {
        let at = &self.endpoint;
        match status(error) {
            Some(404) => anyhow!(
                "{at} has no file '{file}' in '{repo}' (404): its publisher may have moved it; \
                 download it yourself and add it with `attn-fiqa model add`"
            ),
            Some(code @ (401 | 403)) => anyhow!(
                "{at} restricts access to '{file}' of '{repo}' ({code}): accept its terms at \
                 {at}/{repo}, and set HF_TOKEN to your token"
            ),
            Some(code) => anyhow!("{at} answers {code} for '{file}' of '{repo}'; try again later"),
            None => anyhow!(
                "cannot fetch '{file}' of '{repo}' from {at}: {error}; is the network available, \
                 or is a mirror needed (HF_ENDPOINT)?"
            ),
        }
    }
}

/// The status of an unsuccessful response.
fn status(error: &ApiError) -> Option<u16> {
    let ApiError::RequestError(error) = error else { return None };
    match **error {
        ureq::Error::StatusCode(code) => Some(code),
        _ => None,
    }
}

/// The crate takes the progress by value and by type.
struct Bar(Box<dyn Progress>);

impl Progress for Bar {
    fn init(&mut self, size: usize, filename: &str) {
        self.0.init(size, filename);
    }

    fn update(&mut self, size: usize) {
        self.0.update(size);
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}
