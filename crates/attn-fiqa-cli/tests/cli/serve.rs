//! `attn-fiqa serve` as a process: its configuration, its answers compared with those of `score`,
//! the clients in its documentation, and its shutdown.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{TestDir, examples, program};

/// A running service, killed when the test ends.
struct Serving {
    child: Child,
    address: String,
    log: std::sync::mpsc::Receiver<String>,
}

impl Serving {
    fn start(arguments: &[&str]) -> Self {
        let mut child = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let lines = BufReader::new(child.stderr.take().expect("standard error")).lines();
        let (sender, log) = std::sync::mpsc::channel();
        // Read to the end, or the service would wait for a reader.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut serving = Self { child, address: String::new(), log };
        let listening = serving.event("listening");
        listening["address"].as_str().expect("an address").clone_into(&mut serving.address);
        serving.event("ready");
        serving
    }

    /// Waits for an event of the log.
    fn event(&self, name: &str) -> Value {
        loop {
            let line = self.log.recv_timeout(Duration::from_secs(120)).expect("a line");
            let event: Value = serde_json::from_str(&line).expect(&line);
            if event["event"] == name {
                return event;
            }
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request with `connection: close`; returns the answer's status and body.
    fn send(&self, head: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        send(&self.address, head, body)
    }

    fn score(&self, path: &str, image: &Path) -> Value {
        let bytes = std::fs::read(image).expect("an image");
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/octet-stream");
        let (status, body) = self.send(&head, &bytes).expect("an answer");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(done.expect("kill").success());
    }

    fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("an end").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(address: &str, head: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let length = body.len();
    write!(stream, "{head}\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| std::io::Error::other("no answer"))?;
    let status = String::from_utf8_lossy(&answer[..end]);
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or(0), answer.split_off(end + 4)))
}

/// The service and the command line have the same keys, in the same order, and the same numbers.
#[test]
fn service_faces_match_score_rows() {
    let columns = "band,match_probability,main_cause,causes,weak_regions,landmarks,size,components,\
                   map,embedding";
    let serving = Serving::start(&[]);
    for image in ["astronaut.png", "faces/blur-3.png", "faces/dark-2.png"] {
        let image = examples().join(image);
        let output = program()
            .args(["score", "--format", "jsonl", "--columns", columns])
            .arg(&image)
            .output()
            .expect("the program");
        let row = String::from_utf8(output.stdout).expect("text");
        let row: Value = serde_json::from_str(row.trim()).expect("JSON");
        let answer = serving.score(&format!("/v1/score?columns={columns}"), &image);
        let entry = &answer["images"][0];
        let face = entry["faces"][0].as_object().expect("a face");
        let row = row.as_object().expect("a row");
        let only_here = ["map_side", "crop_transform"];
        let keys = face.keys().filter(|key| !only_here.contains(&key.as_str()));
        let expected: Vec<&String> = row.keys().filter(|key| *key != "path").collect();
        assert_eq!(keys.collect::<Vec<_>>(), expected);
        for (key, value) in
            row.iter().filter(|(key, _)| !["path", "message"].contains(&key.as_str()))
        {
            assert_eq!(&face[key], value, "{key}");
        }
        // Notes belong to the image.
        let message = entry["message"].as_str().unwrap_or_default();
        assert_eq!(json!(message), row["message"]);
    }
}

#[test]
fn flags_and_environment_override_config_file() {
    let place = TestDir::new();
    place.write(
        "service.toml",
        "max-queue = 1\nmax_images = 2\nmax-body = \"3M\"\nlisten = \"127.0.0.1:1\"\n\
         min-detection-score = 0.7\npolicy = \"probe\"\n\
         cors-origin = [\"https://a.org\", \"https://b.org\"]\n",
    );
    let output = program()
        .args(["serve", "--config", "service.toml", "--max-queue", "9", "--print-config"])
        .env("ATTN_FIQA_MAX_IMAGES", "8")
        .env("ATTN_FIQA_MAX_QUEUE", "7")
        .env("ATTN_FIQA_MIN_DETECTION_SCORE", "0.9")
        .env("ATTN_FIQA_REFINE", "never")
        .env("ATTN_FIQA_BATCH", "4")
        .current_dir(place.path(""))
        .output()
        .expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let found: toml::Table = text.parse().expect("TOML");
    assert_eq!(found["max-queue"].as_integer(), Some(9));
    assert_eq!(found["max-images"].as_integer(), Some(8));
    assert_eq!(found["max-body"].as_str(), Some("3M"));
    assert_eq!(found["listen"].as_str(), Some("127.0.0.1:1"));
    assert_eq!(found["min-detection-score"].as_float(), Some(0.9));
    assert_eq!(found["refine"].as_str(), Some("never"));
    assert_eq!(found["batch"].as_integer(), Some(4));
    assert_eq!(found["policy"].as_str(), Some("probe"));
    assert_eq!(found["cors-origin"].as_str(), Some("https://a.org,https://b.org"));
    // The printed text is a valid configuration.
    place.write("printed.toml", text.as_bytes());
    let again = program()
        .args(["serve", "--config", "printed.toml", "--print-config"])
        .current_dir(place.path(""))
        .output()
        .expect("the program");
    assert_eq!(String::from_utf8(again.stdout).expect("text"), text);
}

#[test]
fn invalid_options_are_rejected_at_startup() {
    let place = TestDir::new();
    place.write("keys", "short\n");
    for (arguments, expected) in [
        (vec!["--api-key-file", "keys"], "keys:1: expected a key of at least 16"),
        (vec!["--api-key-file", "none"], "none: the keys cannot be read"),
        (vec!["--cors-origin", "example.org"], "expected an origin such as https://example.org"),
        (vec!["--listen", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
        (vec!["--max-queue", "0"], "invalid value '0'"),
        (vec!["--check", "--listen", "127.0.0.1:1"], "no service answers at 127.0.0.1:1"),
    ] {
        let output = program().arg("serve").args(&arguments).current_dir(place.path("")).output();
        let output = output.expect("the program");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && text.contains(expected),
            "{arguments:?}: {text}"
        );
    }
}

/// Wherever it arrives between the start and the first answer, an interrupt ends the service.
#[cfg(unix)]
#[test]
fn interrupt_during_startup_ends_the_service() {
    for step in 0..12 {
        let mut service = program();
        service.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::null());
        let mut service = service.spawn().expect("the program");
        std::thread::sleep(Duration::from_millis(20 * step));
        let id = service.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
        let last = Instant::now() + Duration::from_secs(60);
        while service.try_wait().expect("the program").is_none() {
            if Instant::now() > last {
                let _ = service.kill();
                panic!("still running after an interrupt at {} ms", 20 * step);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(unix)]
#[test]
fn sigterm_under_load_answers_every_accepted_request() {
    let serving = Serving::start(&[]);
    let check = |address: &str| {
        let check = program().args(["serve", "--check", "--listen", address]).status();
        check.expect("the program").success()
    };
    assert!(check(&serving.address));
    let crop = std::fs::read(examples().join("faces/astronaut.png")).expect("an image");
    let (answered, busy, broken, refused) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let address = serving.address.clone();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let head = "POST /v1/score HTTP/1.1\r\ncontent-type: image/png";
                loop {
                    let count = match send(&address, head, &crop) {
                        Ok((200, body)) => {
                            assert!(body.windows(7).any(|window| window == b"\"score\""));
                            &answered
                        }
                        Ok((429, _)) => &busy,
                        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                            refused.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                        _ => &broken,
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while answered.load(Ordering::SeqCst) < 40 {
            std::thread::sleep(Duration::from_millis(5));
        }
        serving.signal("TERM");
    });
    serving.event("draining");
    assert_eq!(serving.wait(), Some(0));
    let counts = [&answered, &busy, &broken, &refused].map(|count| count.load(Ordering::SeqCst));
    assert_eq!((counts[2], counts[3]), (0, 8), "{counts:?}");
    assert!(!check(&address));
}

#[cfg(unix)]
#[test]
fn second_signal_stops_immediately() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT")] {
        let serving = Serving::start(&[]);
        let mut hung = TcpStream::connect(&serving.address).expect("a connection");
        write!(hung, "POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\ncontent-length: 9\r\n\r\n")
            .expect("sent");
        std::thread::sleep(Duration::from_millis(100));
        serving.signal(first);
        serving.event("draining");
        let began = Instant::now();
        serving.signal(second);
        assert_eq!(serving.wait(), Some(1));
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

/// The blocks of one language of `docs/service.md`.
fn blocks(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/service.md");
    let text = std::fs::read_to_string(path).expect("docs/service.md");
    let parts = text.split("```").skip(1).step_by(2);
    let of_language = parts.filter_map(|part| part.strip_prefix(&format!("{language}\n")));
    of_language.map(str::to_owned).collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn has(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    if !found {
        attn_fiqa_testing::skip(&format!("no {program}"));
    }
    found
}

#[test]
fn documented_service_clients_work() {
    let serving = Serving::start(&[]);
    let place = TestDir::new();
    let photo = std::fs::read(examples().join("astronaut.png")).expect("an image");
    place.write("photo.jpg", &photo);
    place.write(
        "blurred.png",
        std::fs::read(examples().join("faces/blur-5.png")).expect("an image"),
    );
    place.write("notes.txt", "not an image");
    if has("curl") {
        let curls: Vec<String> =
            blocks("sh").into_iter().filter(|block| block.starts_with("curl")).collect();
        assert_eq!(curls.len(), 2);
        for block in curls {
            let block = block.replace("http://127.0.0.1:8080", &serving.url());
            let text = run(Command::new("sh").args(["-ec", &block]).current_dir(place.path("")));
            let answer: Value = serde_json::from_str(&text).expect(&text);
            assert_eq!(answer["images"][0]["faces"][0]["quality"], 89, "{block}");
        }
    }
    if has("python3") {
        let [client] = &blocks("python")[..] else { panic!("one client in Python") };
        place.write("client.py", client.as_bytes());
        let text = run(Command::new("python3")
            .args(["client.py", &serving.url(), "photo.jpg", "notes.txt"])
            .current_dir(place.path("")));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "photo.jpg 89");
        assert!(lines[1].starts_with("notes.txt the file is not an image"), "{text}");
    }
    if has("node") {
        let [client] = &blocks("js")[..] else { panic!("one client in JavaScript") };
        place.write("client.mjs", client.as_bytes());
        let text = run(Command::new("node")
            .args(["client.mjs", &serving.url(), "blurred.png", "photo.jpg", "notes.txt"])
            .current_dir(place.path("")));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0], "1 photo.jpg 89");
        assert!(lines[1].starts_with("2 blurred.png "), "{text}");
    }
}

/// What the deployment examples say about the service is true. There is no container engine here:
/// the files are read, not run.
#[test]
fn deployment_examples_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let yaml = Command::new("python3").args(["-c", "import yaml"]).output();
    if yaml.is_ok_and(|output| output.status.success()) {
        let script =
            "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
        let read = |name: &str| -> Value {
            let file = std::fs::File::open(root.join("deploy").join(name)).expect(name);
            serde_json::from_str(&run(Command::new("python3").args(["-c", script]).stdin(file)))
                .expect("JSON")
        };
        let kubernetes = read("kubernetes.yaml");
        let pod = &kubernetes[0]["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            kubernetes[0]["spec"]["selector"]["matchLabels"],
            kubernetes[1]["spec"]["selector"]
        );
        let env = container["env"].as_array().expect("variables");
        let timeout = env.iter().find(|entry| entry["name"] == "ATTN_FIQA_SHUTDOWN_TIMEOUT");
        let timeout: i64 =
            timeout.expect("a time")["value"].as_str().expect("text").parse().expect("a number");
        let pause =
            container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().expect("seconds");
        assert!(pod["terminationGracePeriodSeconds"].as_i64() > Some(timeout + pause));
        let compose = read("compose.yaml");
        let service = &compose[0]["services"]["attn-fiqa"];
        assert_eq!(service["read_only"], true);
        // Every variable is one that the command has.
        let help = run(program().args(["serve", "--print-config"]));
        let compose_names = service["environment"].as_object().expect("variables").keys().cloned();
        let names = env.iter().filter_map(|entry| entry["name"].as_str().map(str::to_owned));
        for name in compose_names.chain(names) {
            let key = name.trim_start_matches("ATTN_FIQA_").to_lowercase().replace('_', "-");
            assert!(key == "jobs" || help.contains(&format!("{key} = ")), "{name}");
        }
    } else {
        attn_fiqa_testing::skip("no python3 with yaml");
    }
    if has("systemd-analyze") {
        let place = TestDir::new();
        let unit = std::fs::read_to_string(root.join("deploy/attn-fiqa.service")).expect("a unit");
        let here = env!("CARGO_BIN_EXE_attn-fiqa");
        place.write("attn-fiqa.service", unit.replace("/usr/local/bin/attn-fiqa", here));
        let verify = Command::new("systemd-analyze")
            .args(["verify", "attn-fiqa.service"])
            .current_dir(place.path(""))
            .output()
            .expect("systemd-analyze");
        let text = String::from_utf8_lossy(&verify.stderr);
        assert!(!text.contains("attn-fiqa.service"), "{text}");
    }
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile")).expect("Dockerfile");
    assert!(
        dockerfile.contains("USER 65534:65534") && dockerfile.contains("\"serve\", \"--check\"")
    );
}
