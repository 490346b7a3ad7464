//! A stand-in for the Hugging Face hub: serves files as the hub does, over plain HTTP, and records
//! the requests.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A file on the hub, and how the hub behaves.
#[derive(Clone, Default)]
pub(crate) struct FakeHubState {
    /// The path after the endpoint, such as `a/b/resolve/main/model.safetensors`.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    /// The ETag; for large files on the hub, their SHA-256.
    pub(crate) etag: String,
    /// Break every connection after this many bytes of the content.
    pub(crate) break_after: Option<usize>,
    /// Answer with this status instead.
    pub(crate) status: Option<u16>,
}

/// A request's path, range and authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) range: String,
    pub(crate) authorization: String,
}

pub(crate) struct FakeHub {
    pub(crate) endpoint: String,
    shelf: Arc<Mutex<FakeHubState>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeHub {
    pub(crate) fn start(shelf: FakeHubState) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let shelf = Arc::new(Mutex::new(shelf));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (of_thread, log) = (Arc::clone(&shelf), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shelf = of_thread.lock().expect("the shelf").clone();
                // A client may disconnect early.
                let _ = answer(stream, &shelf, &log);
            }
        });
        Self { endpoint, shelf, asked }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut FakeHubState)) {
        change(&mut self.shelf.lock().expect("the shelf"));
    }

    /// The requests since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().expect("the log"))
    }
}

fn answer(
    mut stream: TcpStream,
    shelf: &FakeHubState,
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let mut asked = Asked { path, range: String::new(), authorization: String::new() };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.range = value.trim().to_owned(),
            "authorization" => asked.authorization = value.trim().to_owned(),
            _ => {}
        }
    }
    log.lock().expect("the log").push(asked.clone());
    let status = match shelf.status {
        Some(status) => Some(status),
        None if asked.path != shelf.path => Some(404),
        None => None,
    };
    if let Some(status) = status {
        return write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let (from, to) = asked
        .range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .unwrap_or(("0", ""));
    let size = shelf.bytes.len();
    let from: usize = from.parse().unwrap_or(0);
    let to = to.parse().map_or(size, |last: usize| last + 1).min(size);
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{size}\
         \r\nETag: \"{}\"\r\nX-Repo-Commit: 0123456789abcdef0123456789abcdef01234567\r\nConnection: \
         close\r\n\r\n",
        to - from,
        to - 1,
        shelf.etag
    )?;
    let part = &shelf.bytes[from..to];
    let sent = shelf.break_after.filter(|_| part.len() > 1).unwrap_or(part.len()).min(part.len());
    stream.write_all(&part[..sent])?;
    stream.flush()
}
