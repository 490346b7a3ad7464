//! An object server for tests: HTTP and HTTPS, and as much of S3, GCS and Azure as reading needs.
//! The first component of a path selects its behaviour.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) struct ObjectServer {
    pub(crate) address: String,
    is_secure: bool,
    state: Arc<State>,
}

struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Requests so far, with their ranges, by path.
    asked: Mutex<Vec<(String, String)>>,
    counts: Mutex<HashMap<String, usize>>,
}

impl ObjectServer {
    /// Serves these objects at `/ok/NAME`, in the bucket `/bucket/NAME`, and with faults:
    /// `/CODE/NAME` answers with that status, `/busy/NAME` twice with 503 and then normally,
    /// `/slow/NAME` with nothing, and `/cut/NAME` disconnects after half of what it should send.
    pub(crate) fn start(objects: &[(&str, Vec<u8>)]) -> Self {
        Self::start_with(objects, None)
    }

    /// The same with a certificate for `localhost` that [`ca_file`] signed.
    pub(crate) fn start_secure(objects: &[(&str, Vec<u8>)]) -> Self {
        let chain = CertificateDer::pem_file_iter(tls_file("server.pem")).expect("a certificate");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).expect("its key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate and its key");
        Self::start_with(objects, Some(Arc::new(config)))
    }

    fn start_with(objects: &[(&str, Vec<u8>)], tls: Option<Arc<ServerConfig>>) -> Self {
        let is_secure = tls.is_some();
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
                let (state, tls) = (Arc::clone(&of_thread), tls.clone());
                std::thread::spawn(move || {
                    // A client may disconnect early.
                    let _ = match tls {
                        None => answer(stream, &state),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).expect("a connection");
                            answer(StreamOwned::new(connection, stream), &state)
                        }
                    };
                });
            }
        });
        Self { address, is_secure, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}/{path}", self.address)
    }

    /// Paths and ranges that were requested since the last call.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.asked.lock().expect("the log"))
    }
}

/// The authority that signed the certificate of a secure server, for `SSL_CERT_FILE`.
pub(crate) fn ca_file() -> PathBuf {
    tls_file("ca.pem")
}

fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

fn answer(stream: impl Read + Write, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
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
    let mut stream = reader.into_inner();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = &unescaped(path);
    state.asked.lock().expect("the log").push((target.clone(), range.clone()));
    let count = {
        let mut counts = state.counts.lock().expect("the counts");
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    if path.trim_end_matches('/') == "bucket" {
        return match query.contains("comp=list") {
            true => list_for_azure(&mut stream, state, query),
            false => list(&mut stream, state, query),
        };
    }
    let (behaviour, name) = path.split_once('/').unwrap_or(("", path));
    let object = state.objects.get(name);
    let refuse = |stream: &mut dyn Write, code: u16| {
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

/// Google's client escapes every character of a name except letters and digits.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// Names with the prefix in `query`, after those of the previous page.
fn names<'s>(state: &'s State, query: &str, token: &str) -> Vec<&'s String> {
    let value = |key: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(name, _)| *name == key);
        found.next().map(|(_, value)| unescaped(value)).unwrap_or_default()
    };
    let (prefix, after) = (value("prefix"), value(token));
    let names = state.objects.keys().filter(|name| name.starts_with(&prefix));
    names.filter(|name| after.is_empty() || **name > after).collect()
}

/// Answers like `ListObjectsV2` of S3 and GCS, two names at a time.
fn list(stream: &mut impl Write, state: &State, query: &str) -> std::io::Result<()> {
    let names = names(state, query, "continuation-token");
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
    send_xml(stream, &body)
}

/// Answers like Azure's `List Blobs`, two names at a time.
fn list_for_azure(stream: &mut impl Write, state: &State, query: &str) -> std::io::Result<()> {
    let names = names(state, query, "marker");
    let page: String = names
        .iter()
        .take(2)
        .map(|name| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Last-Modified>Sun, 29 Nov 2026 12:00:00 \
                 GMT</Last-Modified><Etag>1</Etag><Content-Length>1</Content-Length>\
                 <Content-Type>image/png</Content-Type></Properties></Blob>"
            )
        })
        .collect();
    let more = names.get(1).filter(|_| names.len() > 2).map_or("", |name| name.as_str());
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"bucket\">\
         <Blobs>{page}</Blobs><NextMarker>{more}</NextMarker></EnumerationResults>"
    );
    send_xml(stream, &body)
}

fn send_xml(stream: &mut impl Write, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}
