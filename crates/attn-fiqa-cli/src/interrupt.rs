//! Ctrl-C: what was done until then is kept, and no unfinished file remains.
//!
//! A command that can end early says so. Interrupted, it takes no further image, finishes
//! those at work, and its output appears under its name with `.part` after it, since it is
//! not the whole. Other commands, and every command at the second Ctrl-C, end at once;
//! files that are being written are removed, unless a later run can continue them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::log;

/// The exit status that shells expect of a program that SIGINT ended.
const STATUS: u8 = 130;

/// Whether the command ends by itself when it is asked to.
static ENDS_EARLY: AtomicBool = AtomicBool::new(false);
/// Whether the command has its own way to handle signals.
static HANDLED_ELSEWHERE: AtomicBool = AtomicBool::new(false);
/// Whether it was asked to.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Files that are being written, under names of their own.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Outputs that hold a part of what was asked for.
static PARTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Whether the same command continues them.
static CAN_CONTINUE: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is handled here.
pub(crate) fn handle() {
    // Where the system has no such thing, Ctrl-C ends the program as ever.
    let _ = ctrlc::set_handler(on_interrupt);
}

fn on_interrupt() {
    if HANDLED_ELSEWHERE.load(Ordering::SeqCst) {
        return;
    }
    let first = !ASKED.swap(true, Ordering::SeqCst);
    if first && ENDS_EARLY.load(Ordering::SeqCst) {
        log::info("interrupted: finishing the images at work; once more to end at once");
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

/// From now on the command handles signals itself, as a service does, which has to end its
/// connections.
#[cfg(feature = "serve")]
pub(crate) fn leave_signals_to_the_command() {
    HANDLED_ELSEWHERE.store(true, Ordering::SeqCst);
}

/// Whether Ctrl-C was pressed.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Says that this command ends by itself when it is asked, and that what
/// it has done until then is worth keeping.
pub(crate) fn end_early() {
    ENDS_EARLY.store(true, Ordering::SeqCst);
}

/// A file that is being written and must not stay if it is not finished.
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

/// Where the output of the whole run belongs: its own name, or that of a part if the run was
/// interrupted.
pub(crate) fn place_of(output: PathBuf) -> PathBuf {
    if !asked() {
        return output;
    }
    let mut name: OsString = output.into_os_string();
    name.push(".part");
    let part = PathBuf::from(name);
    lock(&PARTS).push(part.clone());
    part
}

/// Takes note of rows that the same command continues.
pub(crate) fn left(rows: &Path) {
    lock(&PARTS).push(rows.to_owned());
    CAN_CONTINUE.store(true, Ordering::SeqCst);
}

/// Says what there is of an interrupted run.
pub(crate) fn farewell() -> u8 {
    let parts: Vec<String> =
        lock(&PARTS).iter().map(|path| format!("'{}'", path.display())).collect();
    let parts = match &parts[..] {
        [] => "interrupted before all images were done".to_owned(),
        [part] => format!("interrupted: {part} holds what was done until then"),
        parts => format!("interrupted: {} hold what was done until then", parts.join(" and ")),
    };
    log::info(match CAN_CONTINUE.load(Ordering::SeqCst) {
        true => format!("{parts}, and the same command continues from there"),
        false => parts,
    });
    STATUS
}
