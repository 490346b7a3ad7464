//! The service on sockets: its limits, and how it shuts down.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use attn_fiqa_server::{Ended, ServiceOptions};

use crate::support::{example, grey, start};

struct Serving {
    address: SocketAddr,
    stop: Sender<()>,
    thread: JoinHandle<Ended>,
}

fn serve(change: impl FnOnce(&mut ServiceOptions)) -> Serving {
    let running = start(change);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = channel();
    let thread =
        std::thread::spawn(move || running.service.run_until(listener, stopped).expect("served"));
    Serving { address, stop, thread }
}

impl Serving {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        stream
    }

    fn end(self) -> Ended {
        self.stop.send(()).expect("a running service");
        self.thread.join().expect("no panic")
    }
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    )
}

fn send(mut stream: &TcpStream, image: &[u8]) {
    stream.write_all(head("/v1/score", image.len()).as_bytes()).expect("sent");
    stream.write_all(image).expect("sent");
}

/// Sends an image and reads the answer to its end.
fn score(stream: TcpStream, image: &[u8]) -> String {
    send(&stream, image);
    read(stream)
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Several metrics of one moment.
fn metrics<const N: usize>(serving: &Serving, names: [&str; N]) -> [f64; N] {
    let mut stream = serving.connect();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .expect("sent");
    let text = read(stream);
    names.map(|name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let number = line.and_then(|number| number.trim().parse().ok());
        number.unwrap_or_else(|| panic!("{name}: {text}"))
    })
}

fn metric(serving: &Serving, name: &str) -> f64 {
    let [number] = metrics(serving, [name]);
    number
}

#[test]
fn shutdown_answers_accepted_connections() {
    let serving = serve(|_| ());
    let crop = example("faces/astronaut.png");
    // Requests at every stage: not sent, half sent, being processed.
    let unsent: Vec<TcpStream> = (0..4).map(|_| serving.connect()).collect();
    let half: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = serving.connect();
            stream.write_all(head("/v1/score", crop.len()).as_bytes()).expect("sent");
            stream.write_all(&crop[..100]).expect("sent");
            stream
        })
        .collect();
    let whole: Vec<TcpStream> = (0..16)
        .map(|_| {
            let stream = serving.connect();
            send(&stream, &crop);
            stream
        })
        .collect();
    serving.stop.send(()).expect("a running service");
    unsent.iter().for_each(|stream| send(stream, &crop));
    for stream in whole.into_iter().chain(unsent) {
        assert!(read(stream).starts_with("HTTP/1.1 200 OK"));
    }
    for mut stream in half {
        stream.write_all(&crop[100..]).expect("sent");
        assert!(read(stream).starts_with("HTTP/1.1 200 OK"));
    }
    assert_eq!(serving.thread.join().expect("no panic"), Ended::Answered);
    assert!(TcpStream::connect(serving.address).is_err());
}

#[test]
fn idle_service_shuts_down_promptly() {
    let serving = serve(|_| ());
    // A used connection that is kept open does not delay the end.
    let mut idle = serving.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    let mut start = [0; 15];
    idle.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    let began = Instant::now();
    assert_eq!(serving.end(), Ended::Answered);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn shutdown_times_out_on_hung_clients() {
    let serving = serve(|options| options.shutdown_timeout = Duration::from_millis(200));
    let mut hung = serving.connect();
    hung.write_all(head("/v1/score", 1000).as_bytes()).expect("sent");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(serving.end(), Ended::TimedOut { connections: 1 });
}

#[test]
fn second_signal_forces_shutdown() {
    let serving = serve(|_| ());
    let mut hung = serving.connect();
    hung.write_all(head("/v1/score", 1000).as_bytes()).expect("sent");
    std::thread::sleep(Duration::from_millis(100));
    serving.stop.send(()).expect("a running service");
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    assert_eq!(serving.end(), Ended::AtOnce);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn slow_and_oversized_headers_are_rejected() {
    let serving = serve(|options| options.header_timeout = Duration::from_millis(200));
    let mut slow = serving.connect();
    slow.write_all(b"POST /v1/score HTTP/1.1\r\nhost: a\r\n").expect("sent");
    let silent = serving.connect();
    let began = Instant::now();
    for stream in [slow, silent] {
        let answer = read(stream);
        assert!(!answer.contains("200"), "{answer}");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Long headers are refused rather than stored.
    let mut long = serving.connect();
    long.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: ").expect("sent");
    let _ = long.write_all(&vec![b'a'; 100_000]);
    assert!(!read(long).contains(" 200 "));
    assert_eq!(serving.end(), Ended::Answered);
}

#[test]
fn clients_that_never_read_are_disconnected() {
    let serving = serve(|options| options.write_timeout = Duration::from_millis(200));
    let mut deaf = serving.connect();
    deaf.set_write_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    // More answers than the buffers at both ends can hold. The service reads the next request only
    // after writing the answer, so writing fails once the service is blocked.
    let requests = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
    while deaf.write_all(&requests).is_ok() {}
    let began = Instant::now();
    while metric(&serving, "attn_fiqa_connections") > 1.0 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(serving.end(), Ended::Answered);
}

#[test]
fn excess_connections_get_503() {
    let serving = serve(|options| options.max_connections = 3);
    let kept: Vec<TcpStream> = (0..3).map(|_| serving.connect()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let refused = read(serving.connect());
    assert!(
        refused.starts_with("HTTP/1.1 503") && refused.contains("too-many-connections"),
        "{refused}"
    );
    drop(kept);
    std::thread::sleep(Duration::from_millis(200));
    assert!(score(serving.connect(), &grey(64)).starts_with("HTTP/1.1 200"));
    assert_eq!(metric(&serving, "attn_fiqa_refused_connections_total"), 1.0);
    assert_eq!(serving.end(), Ended::Answered);
}

#[test]
fn refused_connections_get_503_while_still_sending() {
    let serving = serve(|options| options.max_connections = 1);
    let kept = serving.connect();
    std::thread::sleep(Duration::from_millis(200));
    let body = vec![0; 6 << 20];
    for _ in 0..5 {
        let mut stream = serving.connect();
        stream.write_all(head("/v1/score", body.len()).as_bytes()).expect("sent");
        stream.write_all(&body).expect("sent");
        let refused = read(stream);
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    }
    drop(kept);
    assert_eq!(serving.end(), Ended::Answered);
}

#[test]
fn queued_jobs_of_disconnected_clients_are_abandoned() {
    let serving = serve(|options| options.batch = 1);
    let photo = example("astronaut.png");
    // All but the first few are still waiting when their clients leave.
    let clients: Vec<TcpStream> = (0..24)
        .map(|_| {
            let stream = serving.connect();
            send(&stream, &photo);
            stream
        })
        .collect();
    while metric(&serving, "attn_fiqa_queue_depth") < 8.0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(clients);
    let began = Instant::now();
    let in_flight =
        ["attn_fiqa_images_in_flight", "attn_fiqa_in_flight_bytes", "attn_fiqa_queue_depth"];
    loop {
        let [images, bytes, waiting] = metrics(&serving, in_flight);
        // What is still in memory still counts against the budgets.
        assert!(waiting <= images, "{waiting} {images}");
        assert!(waiting * photo.len() as f64 <= bytes, "{waiting} {bytes}");
        if images == 0.0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(score(serving.connect(), &photo).starts_with("HTTP/1.1 200"));
    let [answered, abandoned] = ["attn_fiqa_images_total", "attn_fiqa_abandoned_images_total"]
        .map(|name| metric(&serving, name));
    assert!(abandoned >= 1.0 && answered + abandoned <= 25.0, "{answered} {abandoned}");
    assert_eq!(serving.end(), Ended::Answered);
}

/// A client that sends its whole body before reading sees the answer, not a reset connection.
#[test]
fn early_errors_reach_clients_still_sending() {
    let serving = serve(|options| options.max_body = 1 << 20);
    let body = vec![0; 6 << 20];
    for (path, status) in
        [("/v1/score", "413"), ("/v1/score?columns=none", "400"), ("/v1/nothing", "404")]
    {
        for _ in 0..5 {
            let mut stream = serving.connect();
            stream.write_all(head(path, body.len()).as_bytes()).expect("sent");
            let sent = stream.write_all(&body);
            sent.unwrap_or_else(|error| panic!("{path}: {error}"));
            let answer = read(stream);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
    }
    assert_eq!(serving.end(), Ended::Answered);
}
