//! Images from URLs: a server run by this test, and moto's S3 if installed.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::objects::{ObjectServer, ca_file};
use crate::support::{CommandResult, TestDir, face_bytes};

/// An archive of these example faces and a text.
fn tar(faces: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let faces = faces.iter().map(|face| (*face, face_bytes(face)));
    for (name, bytes) in faces.chain([("note.json", b"{}".to_vec())]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn server() -> ObjectServer {
    ObjectServer::start(&objects())
}

fn objects() -> [(&'static str, Vec<u8>); 9] {
    let faces = ["blur-3.png", "jpeg-1.jpg"];
    [
        ("a.png", face_bytes("blur-3.png")),
        ("b.jpg", face_bytes("jpeg-1.jpg")),
        ("set/c.png", face_bytes("turn-1.png")),
        ("set/n.txt", b"a text".to_vec()),
        ("set/d.png", face_bytes("blur-3.png")),
        ("set/deep/e.jpg", face_bytes("jpeg-1.jpg")),
        ("data-0.tar", tar(&faces)),
        ("data-1.tar", tar(&faces[..1])),
        ("empty.png", Vec::new()),
    ]
}

/// Runs `score` with short limits.
fn score(here: &TestDir, args: &[&str]) -> CommandResult {
    let common = ["score", "--aligned", "--stall", "1", "--requests", "4"];
    here.run(&[&common[..], args].concat())
}

fn outcomes(ran: &CommandResult) -> Vec<[String; 2]> {
    let table = ran.table();
    let outcomes = table.outcomes();
    outcomes.iter().map(|[path, status, _]| [(*path).to_owned(), (*status).to_owned()]).collect()
}

#[test]
fn single_images_lists_and_archives_are_read_in_order() {
    let (here, server) = (TestDir::new(), server());
    here.face("blur-3.png", "local.png");
    let (a, b) = (server.url("ok/a.png?X-Signature=secret"), server.url("ok/b.jpg"));
    let shown_a = server.url("ok/a.png");
    let ran = score(&here, &[&a, &b, "local.png"]).ended_with(0);
    let table = ran.table();
    assert_eq!(table.column("path"), [shown_a.as_str(), &b, "local.png"]);
    let scores = table.column("score");
    assert_eq!(scores[0], scores[2], "the same bytes have the same score");
    let asked: Vec<_> = server.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(asked, ["ok/a.png?X-Signature=secret", "ok/b.jpg"]);

    let mut list: String = (0..12).map(|_| format!("{b} 1\n{a}\n")).collect();
    list += "local.png\n";
    here.write("list.txt", &list);
    let ran = score(&here, &["--list", "list.txt"]).ended_with(0);
    let paths = ran.table().column("path").join("\n");
    let expected: String = (0..12).map(|_| format!("{b}\n{shown_a}\n")).collect();
    assert_eq!(paths, expected + "local.png");

    let shards = server.url("ok/data-{0..1}.tar");
    let ran = score(&here, &[&shards]).ended_with(0);
    let member = |path: &str| [server.url(path), "ok".to_owned()];
    let members =
        ["ok/data-0.tar/blur-3.png", "ok/data-0.tar/jpeg-1.jpg", "ok/data-1.tar/blur-3.png"];
    assert_eq!(outcomes(&ran), members.map(member));
    assert!(ran.stderr.contains("2 files that are not images skipped"), "{}", ran.stderr);
}

#[test]
fn failed_requests_become_rows_without_secrets() {
    let (here, server) = (TestDir::new(), server());
    here.face("blur-3.png", "local.png");
    let paths = ["403", "404", "410", "503", "slow", "cut", "busy", "ok"];
    let urls: Vec<_> =
        paths.iter().map(|path| server.url(&format!("{path}/a.png?sig=SECRET"))).collect();
    let nowhere = "http://127.0.0.1:1/a.png?sig=SECRET";
    let list = [&urls.join("\n"), nowhere, &server.url("ok/empty.png"), "local.png"].join("\n");
    here.write("list.txt", list);
    let ran = score(&here, &["--list", "list.txt", "--verbose"]).ended_with(1);
    let table = ran.table();
    let expected = [
        ("unreadable", "access is denied"),
        ("not-found", "404"),
        ("not-found", "410"),
        ("unreadable", "503 Service Unavailable, 4 times in a row"),
        ("unreadable", "no data arrived within 1 s, 4 times"),
        ("unreadable", ", 4 times"),
        ("ok", ""),
        ("ok", ""),
        ("unreadable", "cannot reach the server"),
        ("broken-image", "empty"),
        ("ok", ""),
    ];
    for ([path, status, message], (expected, part)) in table.outcomes().into_iter().zip(expected) {
        assert_eq!(status, expected, "{path}: {message}");
        assert!(message.contains(part), "{path}: {message}");
    }
    assert_eq!(table.rows.len(), expected.len());
    assert!(!ran.stdout().contains("SECRET") && !ran.stderr.contains("SECRET"), "{}", ran.stderr);
    let busy = server.asked().iter().filter(|(path, _)| path.starts_with("busy")).count();
    assert_eq!(busy, 3);
    // A limit on bytes holds before anything is read.
    let ran = score(&here, &[&server.url("ok/a.png"), "--max-bytes", "10"]).ended_with(1);
    assert_eq!(outcomes(&ran)[0][1], "too-large");
}

#[test]
fn broken_stream_resumes_with_range_request() {
    let (here, server) = (TestDir::new(), server());
    let ran = score(&here, &[&server.url("cut/data-0.tar")]).ended_with(0);
    assert_eq!(ran.table().rows.len(), 2);
    let asked = server.asked();
    assert!(asked.len() > 2, "{asked:?}");
    assert!(asked[0].1.is_empty() && asked[1..].iter().all(|(_, range)| range.ends_with('-')));
    let ran = score(&here, &[&server.url("503/data-0.tar")]).ended_with(1);
    let table = ran.table();
    let [path, status, message] = table.outcomes()[0];
    assert_eq!([path, status], [server.url("503/data-0.tar").as_str(), "unreadable"]);
    assert!(message.contains("503"), "{message}");
    for name in ["ok/gone.tar", "ok/gone.rec"] {
        let ran = score(&here, &[&server.url(name)]).ended_with(1);
        let table = ran.table();
        let [path, status, message] = table.outcomes()[0];
        assert_eq!([path, status], [server.url(name).as_str(), "not-found"], "{message}");
    }
}

#[test]
fn unsupported_urls_are_rejected() {
    let here = TestDir::new();
    here.run(&["score", "https://h.example/a.zip?s=SECRET"])
        .refused_with("https://h.example/a.zip: zip archives can be read only from files");
    here.run(&["score", "s3:///a.jpg"]).refused_with("s3:///a.jpg: this ");
}

/// Runs `score` with these variables, and without any store variables that are already set.
fn with(here: &TestDir, variables: &[(&str, &str)], args: &[&str]) -> CommandResult {
    let args = [&["score", "--aligned", "--stall", "2"], args].concat();
    let mut command = here.command(&args);
    let stores = ["AWS_", "GOOGLE_", "AZURE_", "AZURITE_", "SSL_CERT_"];
    for (name, _) in std::env::vars() {
        if stores.iter().any(|store| name.starts_with(store)) {
            command.env_remove(name);
        }
    }
    CommandResult::from(command.envs(variables.iter().copied()).output().unwrap())
}

/// The variables of S3 for a server on this machine.
fn s3(endpoint: &str) -> [(&str, &str); 5] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ]
}

#[test]
fn object_store_prefixes_are_listed_and_read() {
    let (here, server) = (TestDir::new(), server());
    let endpoint = format!("http://{}", server.address);
    let google = [
        ("GOOGLE_BASE_URL", endpoint.as_str()),
        ("GOOGLE_SKIP_SIGNATURE", "true"),
        ("GOOGLE_ALLOW_HTTP", "true"),
    ];
    let azure = [
        ("AZURE_STORAGE_ENDPOINT", endpoint.as_str()),
        ("AZURE_ALLOW_HTTP", "true"),
        ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
    ];
    let stores: [(&str, &[(&str, &str)]); 3] =
        [("s3", &s3(&endpoint)), ("gs", &google), ("az", &azure)];
    for (scheme, variables) in stores {
        let url = |name: &str| format!("{scheme}://bucket/{name}");
        let run = |names: &[&str]| {
            let urls: Vec<String> = names.iter().map(|name| url(name)).collect();
            with(&here, variables, &urls.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let ran = run(&["set/"]).ended_with(0);
        let images = ["set/c.png", "set/d.png", "set/deep/e.jpg"];
        assert_eq!(outcomes(&ran), images.map(|name| [url(name), "ok".to_owned()]));
        assert!(ran.stderr.contains("1 file that is not an image skipped"), "{}", ran.stderr);
        let ran = run(&["a.png", "gone.png", "data-1.tar"]);
        let statuses: Vec<_> = outcomes(&ran).into_iter().map(|[_, status]| status).collect();
        assert_eq!(statuses, ["ok", "not-found", "ok"], "{scheme}");
    }
}

/// Other systems have their own certificate stores, and no variable.
#[cfg(target_os = "linux")]
#[test]
fn ssl_cert_file_certificates_are_trusted() {
    let (here, server) = (TestDir::new(), ObjectServer::start_secure(&objects()));
    let url = server.url("ok/a.png").replace("127.0.0.1", "localhost");
    let ran = with(&here, &[], &[&url]).ended_with(1);
    let table = ran.table();
    let [_, status, message] = table.outcomes()[0];
    assert_eq!(status, "unreadable");
    assert!(message.starts_with("the server's certificate is not trusted: "), "{message}");
    assert!(message.ends_with("SSL_CERT_FILE names a file of certificates to trust"), "{message}");
    assert!(server.asked().is_empty(), "nothing is sent to a server that is not trusted");

    let authority = ca_file();
    let trusted = ("SSL_CERT_FILE", authority.to_str().unwrap());
    let ran = with(&here, &[trusted], &[&url, &server.url("ok/data-1.tar")]).ended_with(0);
    assert_eq!(ran.table().rows.len(), 2);
    let endpoint = server.url("");
    let variables = [&s3(endpoint.trim_end_matches('/'))[..], &[trusted]].concat();
    let ran = with(&here, &variables, &["s3://bucket/set/"]).ended_with(0);
    assert_eq!(ran.table().rows.len(), 3);
}

/// Stops the server when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `ATTN_FIQA_MOTO` names the program `moto_server` of the Python package `moto[server]`.
#[test]
fn moto_s3_bucket_is_read() {
    let Some(moto) = std::env::var_os("ATTN_FIQA_MOTO") else {
        attn_fiqa_testing::skip("ATTN_FIQA_MOTO does not name moto_server");
        return;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(moto);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let _moto = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let endpoint = format!("http://127.0.0.1:{port}");
    let started = Instant::now();
    while ureq::get(format!("{endpoint}/moto-api/")).call().is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "moto does not start");
        std::thread::sleep(Duration::from_millis(200));
    }
    ureq::put(format!("{endpoint}/faces")).send_empty().unwrap();
    let face = face_bytes("blur-3.png");
    for number in 0..1200 {
        let url = format!("{endpoint}/faces/set/{:02}/{number:04}.png", number % 7);
        ureq::put(url).send(&face[..]).unwrap();
    }
    ureq::put(format!("{endpoint}/faces/d.tar")).send(&tar(&["blur-3.png"])[..]).unwrap();
    let here = TestDir::new();
    // More than one page of names.
    let ran = with(&here, &s3(&endpoint), &["s3://faces/set/"]).ended_with(0);
    let table = ran.table();
    let paths = table.column("path");
    assert_eq!(paths.len(), 1200);
    assert!(paths.is_sorted());
    let args = ["s3://faces/d.tar", "s3://faces/gone.png", "s3://nowhere/a.png"];
    let ran = with(&here, &s3(&endpoint), &args).ended_with(1);
    let statuses: Vec<_> = outcomes(&ran).into_iter().map(|[_, status]| status).collect();
    assert_eq!(statuses, ["ok", "not-found", "not-found"]);
}
