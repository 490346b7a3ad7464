//! Ctrl-C handling: finished work is kept, and no unfinished file remains.
//!
//! A command that can end early declares so. When interrupted, it takes no further images, finishes
//! those in progress, and its output appears under its name plus `.part`, since it is incomplete;
//! `degrade` lists what was done in its manifest. Other commands, and every command on the second
//! Ctrl-C, end at once; files being written are removed, unless a later run can continue them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::log;

/// The exit status that shells expect of a program terminated by SIGINT.
const STATUS: u8 = 130;

/// How long a command that handles signals itself may take to begin to stop.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(2);

/// Whether the command ends by itself when interrupted.
static GRACEFUL_STOP: AtomicBool = AtomicBool::new(false);
/// Whether the command handles signals itself.
static HANDLED_ELSEWHERE: AtomicBool = AtomicBool::new(false);
/// Whether that command has begun to stop.
static ACKNOWLEDGED: AtomicBool = AtomicBool::new(false);
/// Whether an interrupt was received.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Files being written, under their temporary names.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Outputs that hold a part of what was asked for.
static PARTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Whether the same command continues these outputs.
static CAN_CONTINUE: AtomicBool = AtomicBool::new(false);

/// Installs the Ctrl-C handler.
pub(crate) fn handle() {
    // If the system does not support it, Ctrl-C ends the program as usual.
    let _ = ctrlc::set_handler(on_interrupt);
}

fn on_interrupt() {
    if HANDLED_ELSEWHERE.load(Ordering::SeqCst) {
        // This runs on a thread of its own, so the signal may be older than the command's handler.
        std::thread::sleep(ACKNOWLEDGE_WITHIN);
        if ACKNOWLEDGED.load(Ordering::SeqCst) {
            return;
        }
    }
    let first = !INTERRUPTED.swap(true, Ordering::SeqCst);
    if first && GRACEFUL_STOP.load(Ordering::SeqCst) {
        log::info("interrupted: finishing the current images; interrupt again to stop immediately");
        return;
    }
    for path in lock(&UNFINISHED).iter() {
        let _ = fs::remove_file(path);
    }
    std::process::exit(STATUS.into());
}

fn lock(paths: &Mutex<Vec<PathBuf>>) -> MutexGuard<'_, Vec<PathBuf>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on the command handles signals itself, as a service does to close its connections.
#[cfg(feature = "serve")]
pub(crate) fn leave_signals_to_the_command() {
    HANDLED_ELSEWHERE.store(true, Ordering::SeqCst);
}

/// The command that handles signals itself has received one.
#[cfg(feature = "serve")]
pub(crate) fn acknowledge() {
    ACKNOWLEDGED.store(true, Ordering::SeqCst);
}

/// Whether Ctrl-C was pressed.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Declares that this command ends by itself when interrupted and that its work so far is worth
/// keeping.
pub(crate) fn enable_graceful_stop() {
    GRACEFUL_STOP.store(true, Ordering::SeqCst);
}

/// A file being written that must not remain if it is not finished.
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    pub(crate) fn new(path: &Path) -> Self {
        lock(&UNFINISHED).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        lock(&UNFINISHED).retain(|path| *path != self.0);
    }
}

/// The path of the output: its own name, or with `.part` if the run was interrupted.
pub(crate) fn partial_path(output: PathBuf) -> PathBuf {
    if !is_interrupted() {
        return output;
    }
    let mut name: OsString = output.into_os_string();
    name.push(".part");
    let part = PathBuf::from(name);
    lock(&PARTS).push(part.clone());
    part
}

/// Records rows that the same command continues.
pub(crate) fn mark_resumable(rows: &Path) {
    lock(&PARTS).push(rows.to_owned());
    CAN_CONTINUE.store(true, Ordering::SeqCst);
}

/// Reports what is left of an interrupted run.
pub(crate) fn report_interrupted() -> u8 {
    let parts: Vec<String> =
        lock(&PARTS).iter().map(|path| format!("'{}'", path.display())).collect();
    let parts = match &parts[..] {
        [] => "interrupted before all images were done".to_owned(),
        [part] => format!("interrupted: {part} holds what was done so far"),
        parts => format!("interrupted: {} hold what was done so far", parts.join(" and ")),
    };
    log::info(match CAN_CONTINUE.load(Ordering::SeqCst) {
        true => format!("{parts}; repeat the command to continue from there"),
        false => parts,
    });
    STATUS
}
