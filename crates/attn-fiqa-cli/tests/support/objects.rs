//! A server of objects for tests: plain HTTP, and as much of S3 as reading takes. The first part of
//! a path says how it behaves.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) struct ObjectServer {
    pub(crate) address: String,
    state: Arc<State>,
}

struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Requests so far, with their ranges, by path.
    asked: Mutex<Vec<(String, String)>>,
    counts: Mutex<HashMap<String, usize>>,
}

impl ObjectServer {
    /// Serves these objects at `/ok/NAME`, in the bucket `/bucket/NAME`, and with troubles:
    /// `/CODE/NAME` answers with that status, `/busy/NAME` twice with 503 and then well,
    /// `/slow/NAME` with nothing, and `/cut/NAME` breaks after half of what it should send.
    pub(crate) fn start(objects: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let objects = objects.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone()));
        let state = Arc::new(State {
            objects: objects.collect(),
            asked: Mutex::default(),
            counts: Mutex::default(),
        });
        let of_thread = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&of_thread);
                std::thread::spawn(move || {
                    // A client may disconnect early.
                    let _ = answer(stream, &state);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Paths and ranges that were requested since the last call.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.asked.lock().expect("the log"))
    }
}

fn answer(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let is_head = line.starts_with("HEAD");
    let mut range = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("range") {
            range = value.trim().to_owned();
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    state.asked.lock().expect("the log").push((target.clone(), range.clone()));
    let count = {
        let mut counts = state.counts.lock().expect("the counts");
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    if path.trim_end_matches('/') == "bucket" {
        return list(&mut stream, state, query);
    }
    let (behaviour, name) = path.split_once('/').unwrap_or(("", path));
    let object = state.objects.get(name);
    let refuse = |stream: &mut TcpStream, code: u16| {
        write!(stream, "HTTP/1.1 {code} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let Some(bytes) = object else { return refuse(&mut stream, 404) };
    match behaviour {
        "slow" => {
            std::thread::sleep(Duration::from_secs(30));
            return Ok(());
        }
        "busy" if count <= 2 => return refuse(&mut stream, 503),
        code if code.parse::<u16>().is_ok() => {
            return refuse(&mut stream, code.parse().expect("a number"));
        }
        _ => {}
    }
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let size = bytes.len();
    let from = bounds.and_then(|(from, _)| from.parse().ok()).unwrap_or(0).min(size);
    let to = bounds.and_then(|(_, to)| to.parse::<usize>().ok()).map_or(size, |last| last + 1);
    let part = &bytes[from..to.min(size)];
    let status = if bounds.is_some() {
        format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{size}", to.min(size) - 1)
    } else {
        "200 OK".to_owned()
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"{size}\"\r\nLast-Modified: Sun, 29 Nov \
         2026 12:00:00 GMT\r\nConnection: close\r\n\r\n",
        part.len()
    )?;
    if !is_head {
        let sent = if behaviour == "cut" && part.len() > 100 { part.len() / 2 } else { part.len() };
        stream.write_all(&part[..sent])?;
    }
    stream.flush()
}

/// As `ListObjectsV2` answers, two names at a time.
fn list(stream: &mut TcpStream, state: &State, query: &str) -> std::io::Result<()> {
    let value = |key: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(name, _)| *name == key);
        found.next().map(|(_, value)| value.replace("%2F", "/")).unwrap_or_default()
    };
    let (prefix, after) = (value("prefix"), value("continuation-token"));
    let names = state.objects.keys().filter(|name| name.starts_with(&prefix));
    let names: Vec<_> = names.filter(|name| after.is_empty() || **name > after).collect();
    let page: String = names
        .iter()
        .take(2)
        .map(|name| {
            format!(
                "<Contents><Key>{name}</Key><LastModified>2026-11-29T12:00:00.000Z</LastModified>\
                 <ETag>\"1\"</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        })
        .collect();
    let more = match names.get(1).filter(|_| names.len() > 2) {
        Some(last) => format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
        ),
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name>{more}{page}\
         </ListBucketResult>"
    );
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n{body}",
        body.len()
    )
}
