//! `attn-fiqa serve`: scores over HTTP.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use attn_fiqa::engine::{Engine, EngineOptions};
use attn_fiqa_server::{Access, ApiKeys, Ended, Event, Model, ModelInfo, Service, ServiceOptions};
use serde_json::json;

use super::gate::read_policy;
use crate::args::{RunOptions, ServeArgs};
use crate::exit::Exit;
use crate::interrupt;
use crate::log::{self, Level};
use crate::models::sha256_of;
use crate::output::stdout;

pub(crate) fn run(args: &ServeArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    if args.print_config {
        stdout().write_all(args.configuration.as_bytes())?;
        return Ok(Exit::Done);
    }
    if args.check {
        return check(args.listen);
    }
    let options = options(args, run)?;
    // Detect an unusable address before the model is loaded.
    let listener = TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let service = Service::new(model(args, run)?, options, report)?;
    match service.run(listener)? {
        Ended::Answered => {
            log::info("stopped: every accepted request was answered");
            Ok(Exit::Done)
        }
        Ended::TimedOut { connections } => {
            log::warning(format!(
                "stopped with {connections} connections still open; --shutdown-timeout gives them \
                 longer"
            ));
            Ok(Exit::SomeFailed)
        }
        _ => {
            log::warning("stopped immediately by a second signal");
            Ok(Exit::SomeFailed)
        }
    }
}

/// Timeout of the readiness check, for connecting, reading and writing each.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the service at an address is ready. A service that listens on every address is checked
/// at the loopback address.
fn check(listen: SocketAddr) -> anyhow::Result<Exit> {
    let own: IpAddr = match listen {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let ip = if listen.ip().is_unspecified() { own } else { listen.ip() };
    let address = SocketAddr::new(ip, listen.port());
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, CHECK_TIMEOUT)?;
        stream.set_read_timeout(Some(CHECK_TIMEOUT))?;
        stream.set_write_timeout(Some(CHECK_TIMEOUT))?;
        let request =
            format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().with_context(|| format!("no service answers at {address}"))?;
    let line = String::from_utf8_lossy(answer.split(|&byte| byte == b'\r').next().unwrap_or(&[]));
    if line.starts_with("HTTP/1.1 200 ") {
        return Ok(Exit::Done);
    }
    anyhow::bail!("the service at {address} is not ready: it answered '{line}'")
}

/// More than `/readyz` returns.
const MAX_ANSWER: u64 = 64 << 10;

fn options(args: &ServeArgs, run: &RunOptions) -> anyhow::Result<ServiceOptions> {
    let seconds = Duration::from_secs;
    let mut options = ServiceOptions::default();
    options.max_queue = args.max_queue as usize;
    options.max_images = args.max_images as usize;
    options.max_body = args.max_body;
    options.max_memory = args.max_memory.unwrap_or(options.max_memory);
    options.max_connections = args.max_connections as usize;
    options.batch = run.batch.get();
    options.header_timeout = seconds(args.header_timeout);
    options.body_timeout = seconds(args.body_timeout);
    options.write_timeout = seconds(args.write_timeout);
    options.shutdown_timeout = seconds(args.shutdown_timeout);
    options.api_keys = args.api_key_file.as_deref().map(ApiKeys::open).transpose()?;
    options.cors_origins.clone_from(&args.cors_origin);
    options.policy = read_policy(&args.policy)?;
    Ok(options)
}

/// Opens the model, with its embedding if it has one.
fn model(args: &ServeArgs, run: &RunOptions) -> anyhow::Result<Model> {
    let checkpoint = args.model.open()?;
    let engine_options = EngineOptions {
        threads: run.jobs,
        embedding: true,
        precision: args.model.precision,
        ..EngineOptions::default()
    };
    let engine = Arc::new(Engine::new(&checkpoint, &engine_options)?);
    let detector = Arc::new(args.detector.open(engine.threads(), engine.precision().precision)?);
    let identifier = match args.model.file()? {
        Some(file) => sha256_of(&file)?,
        None => checkpoint.inspect().sha256,
    };
    // Answers name the file, but not its location.
    let name = args.model.name();
    let name = match std::path::Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some(file) => file.to_owned(),
        None => name,
    };
    let info = ModelInfo::new(name, Some(identifier), &checkpoint, &engine);
    let mut model = Model::new(engine, detector, info);
    model.limits = args.limits();
    model.choice = args.detector.choice();
    Ok(model)
}

/// Writes what happens to the log, without any image data.
fn report(event: Event) {
    match event {
        Event::Listening(address) => {
            log::event(
                Level::Info,
                &format!("listening on http://{address}"),
                "listening",
                [("address", json!(address.to_string()))],
            );
            // Not earlier: the service handles signals by now.
            interrupt::leave_signals_to_the_command();
        }
        Event::Ready => log::event(Level::Info, "ready", "ready", []),
        Event::Draining { connections } => {
            interrupt::acknowledge();
            log::event(
                Level::Info,
                &format!(
                    "stopping: answering accepted requests, {connections} connections are open; \
                     signal again to stop immediately"
                ),
                "draining",
                [("connections", json!(connections))],
            );
        }
        Event::Warning(line) => log::warning(line),
        Event::Access(access) => log_access(&access),
        _ => {}
    }
}

fn log_access(access: &Access) {
    let Access { request_id, method, route, status, code, bytes, images, duration, .. } = access;
    let milliseconds = (duration.as_secs_f64() * 1e5).round() / 1e2;
    let code_text = code.map(|code| format!(" {code}")).unwrap_or_default();
    let line = format!(
        "{method} {route} {status}{code_text} {milliseconds} ms, {bytes} bytes, {images} images, \
         {request_id}"
    );
    // Requested by machines every few seconds.
    let routine = matches!(*route, "/healthz" | "/readyz" | "/metrics") && *status < 500;
    let level = match status {
        _ if routine => Level::Debug,
        500.. => Level::Warning,
        _ => Level::Info,
    };
    log::event(
        level,
        &line,
        "access",
        [
            ("request_id", json!(request_id)),
            ("method", json!(method)),
            ("route", json!(route)),
            ("status", json!(status)),
            ("code", json!(code)),
            ("bytes", json!(bytes)),
            ("images", json!(images)),
            ("milliseconds", json!(milliseconds)),
        ],
    );
}
