//! Messages for people or log collectors, on standard error.
//!
//! Standard output carries data only. Settings are global and set once at the start: a line may
//! come from anywhere, and no function passes them on.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use indicatif::ProgressBar;
use serde_json::{Map, Value};

use crate::args::{LogFormat, RunOptions};
use crate::output::printable;

/// The severity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Why a run could not be done, or an answer that it waits for; never suppressed.
    Error,
    Warning,
    Note,
    Info,
    /// Only with --verbose.
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The style of the level name before the line, if the name is shown.
    fn style(self) -> Option<Style> {
        let color = match self {
            Self::Error => AnsiColor::Red,
            Self::Warning => AnsiColor::Yellow,
            Self::Note => AnsiColor::Cyan,
            Self::Info | Self::Debug => return None,
        };
        Some(color.on_default().bold())
    }
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    most: Level,
    format: LogFormat,
    color: ColorChoice,
}

const DEFAULTS: Settings =
    Settings { most: Level::Info, format: LogFormat::Text, color: ColorChoice::Auto };

static SETTINGS: OnceLock<Settings> = OnceLock::new();
/// A progress bar on the terminal, which makes way for lines.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Applies the options from now on; only the first call has an effect.
pub(crate) fn init(options: &RunOptions) {
    let most = match (options.quiet, options.verbose) {
        (true, _) => Level::Error,
        (false, true) => Level::Debug,
        (false, false) => Level::Info,
    };
    let _ = SETTINGS.set(Settings { most, format: options.log_format, color: options.color });
}

fn settings() -> Settings {
    *SETTINGS.get().unwrap_or(&DEFAULTS)
}

/// Whether lines of this level are written.
pub(crate) fn shows(level: Level) -> bool {
    level <= settings().most
}

/// Whether a bar can be drawn: only on a terminal.
pub(crate) fn shows_bar() -> bool {
    let text = settings().format == LogFormat::Text;
    text && shows(Level::Info) && io::stderr().is_terminal()
}

/// Registers the bar that makes way for lines.
pub(crate) fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

pub(crate) fn error(line: impl AsRef<str>) {
    write(Level::Error, line.as_ref(), Map::new());
}

pub(crate) fn warning(line: impl AsRef<str>) {
    write(Level::Warning, line.as_ref(), Map::new());
}

pub(crate) fn note(line: impl AsRef<str>) {
    write(Level::Note, line.as_ref(), Map::new());
}

pub(crate) fn info(line: impl AsRef<str>) {
    write(Level::Info, line.as_ref(), Map::new());
}

pub(crate) fn debug(line: impl AsRef<str>) {
    write(Level::Debug, line.as_ref(), Map::new());
}

/// A line that the user has to see, such as a question.
pub(crate) fn ask(line: impl AsRef<str>) {
    emit(Level::Info, line.as_ref(), Map::new());
}

/// A line with structured data for programs: the name of the event and its fields.
pub(crate) fn event<const N: usize>(
    level: Level,
    line: &str,
    name: &str,
    fields: [(&str, Value); N],
) {
    let mut map = Map::from_iter([("event".to_owned(), name.into())]);
    map.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    write(level, line, map);
}

fn write(level: Level, line: &str, fields: Map<String, Value>) {
    if shows(level) {
        emit(level, line, fields);
    }
}

fn emit(level: Level, line: &str, fields: Map<String, Value>) {
    // If standard error is closed, nobody wants to read it.
    let write = || {
        let _ = match settings().format {
            LogFormat::Json => json(level, line, fields),
            LogFormat::Text => text(level, line),
        };
    };
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn json(level: Level, line: &str, fields: Map<String, Value>) -> io::Result<()> {
    let mut object = Map::from_iter([
        ("level".to_owned(), level.name().into()),
        ("message".to_owned(), line.into()),
    ]);
    object.extend(fields);
    writeln!(io::stderr(), "{}", Value::Object(object))
}

/// File names must not control the terminal.
fn text(level: Level, line: &str) -> io::Result<()> {
    let choice = match settings().color {
        ColorChoice::Auto => AutoStream::choice(&io::stderr()),
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    let mut stderr = AutoStream::new(io::stderr().lock(), choice);
    if let Some(style) = level.style() {
        write!(stderr, "{style}{}:{style:#} ", level.name())?;
    }
    writeln!(stderr, "{}", printable(line))
}
