//! The frames of a video, decoded by the program `ffmpeg` if it is installed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{
    FrameSampling, Names, STREAM_EXTENSIONS, VIDEO_EXTENSIONS, VideoOptions, bmp, has_extension,
};
use crate::decode::DecodeLimits;
use crate::pixels::Image;
use crate::regular_file::open_regular_file;
use crate::source::{Progress, Step, file, name};
use crate::status::{Failure, Status};

/// How many bytes at the end of ffmpeg's error output a message quotes.
const STDERR_TAIL_BYTES: u64 = 300;

const NOT_INSTALLED: &str = "videos are read by the program ffmpeg, which was not found: install \
                             it (Debian, Ubuntu: apt-get install ffmpeg; macOS: brew install \
                             ffmpeg; Windows: winget install ffmpeg), or give a folder of frames";

/// Whether a file is a video by its extension and, for ambiguous extensions, by its content.
pub(in crate::source) fn is_video(path: &Path) -> bool {
    has_extension(path, &VIDEO_EXTENSIONS)
        || (has_extension(path, &STREAM_EXTENSIONS) && is_transport_stream(&file::head(path)))
}

/// 188-byte packets start with a sync byte; discs and cameras prepend four bytes to each.
fn is_transport_stream(head: &[u8]) -> bool {
    const PACKET: usize = 188;
    const SYNC: u8 = 0x47;
    [(0, PACKET), (4, PACKET + 4)].into_iter().any(|(first, packet)| {
        [first, first + packet].into_iter().all(|at| head.get(at) == Some(&SYNC))
    })
}

/// A video being read.
#[derive(Debug)]
pub(in crate::source) struct Video {
    names: Names,
    path: PathBuf,
    options: VideoOptions,
    state: State,
    /// Number of frames so far.
    frames: u64,
}

#[derive(Debug)]
enum State {
    Closed,
    Running(Running),
    Ended,
}

/// The running program. Dropping this kills it.
#[derive(Debug)]
struct Running {
    program: Child,
    images: BufReader<ChildStdout>,
    /// Its error output goes to a file, so that it never blocks on a pipe.
    stderr_log: File,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Video {
    /// A video at `path`; `shown` is its name in rows.
    pub(in crate::source) fn new(
        path: PathBuf,
        shown: &Path,
        relative: PathBuf,
        options: VideoOptions,
    ) -> Self {
        let names = Names { path: name::escaped(shown), relative };
        Self { names, path, options, state: State::Closed, frames: 0 }
    }

    pub(in crate::source) fn step(&mut self, progress: &Progress) -> Step {
        if matches!(self.state, State::Ended) {
            return Step::Done;
        }
        let item = match self.next_frame() {
            Ok(Some(image)) => {
                let step = match self.options.sampling {
                    FrameSampling::Every(step) => u64::from(step.get()),
                    FrameSampling::PerSecond(_) => 1,
                };
                self.names.frame(self.frames * step, image)
            }
            Ok(None) => {
                self.state = State::Ended;
                return Step::Done;
            }
            Err(failure) => {
                self.state = State::Ended;
                self.names.video(failure)
            }
        };
        // The file itself was counted as one image.
        if self.frames > 0 {
            progress.add_known(1);
        }
        self.frames += 1;
        Step::Item(item)
    }

    fn next_frame(&mut self) -> Result<Option<Image>, Failure> {
        if let State::Closed = self.state {
            self.state = State::Running(start(&self.path, &self.options)?);
        }
        let State::Running(running) = &mut self.state else {
            return Ok(None);
        };
        let limits =
            DecodeLimits { max_pixels: self.options.max_pixels, ..DecodeLimits::default() };
        match bmp::read_next(&mut running.images, &limits) {
            Ok(Some(image)) => Ok(Some(image)),
            Ok(None) => running.end(self.frames).map(|()| None),
            Err(failure) if failure.status == Status::BrokenImage => {
                Err(running.failed(&failure.message))
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Running {
    /// Waits for the end of the video; fails if ffmpeg did, or found no frame.
    fn end(&mut self, frames: u64) -> Result<(), Failure> {
        match self.program.wait() {
            Ok(status) if status.success() && frames > 0 => Ok(()),
            Ok(status) if status.success() => Err(self.failed("it found no frame")),
            Ok(status) => Err(self.failed(&format!("it exited with {status}"))),
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    fn failed(&mut self, what: &str) -> Failure {
        let mut said = String::new();
        let length = self.stderr_log.seek(SeekFrom::End(0)).unwrap_or(0);
        let mut last = Vec::new();
        // What cannot be read is left out of the message.
        let _ = self.stderr_log.seek(SeekFrom::Start(length.saturating_sub(STDERR_TAIL_BYTES)));
        let _ = (&self.stderr_log).take(STDERR_TAIL_BYTES).read_to_end(&mut last);
        for line in String::from_utf8_lossy(&last).lines() {
            said = format!("{said} {}", line.trim());
        }
        let said = if said.is_empty() { said } else { format!("; it printed:{said}") };
        Failure::new(Status::BrokenImage, format!("ffmpeg cannot read the video: {what}{said}"))
    }
}

/// Starts ffmpeg so that it writes consecutive BMP files of upright frames.
fn start(path: &Path, options: &VideoOptions) -> Result<Running, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(Status::Unreadable, error.to_string());
    open_regular_file(path).map_err(|error| file::not_opened(path, error))?;
    // With an explicit protocol, no file name is mistaken for another protocol.
    let mut input = OsString::from("file:");
    input.push(std::path::absolute(path).map_err(unreadable)?);
    let filter = match options.sampling {
        // New time stamps; otherwise the gaps would be filled with copies.
        FrameSampling::Every(step) => format!("select=not(mod(n\\,{step})),setpts=N/FRAME_RATE/TB"),
        FrameSampling::PerSecond(rate) => format!("fps={rate}"),
    };
    let stderr_log = tempfile::tempfile().map_err(unreadable)?;
    let mut command = Command::new("ffmpeg");
    // One thread each for decoding, filters and encoding: frames are not needed faster than they
    // are consumed, and the other cores belong to the run.
    command.args(["-nostdin", "-v", "error", "-filter_threads", "1"]);
    command.args(["-threads", "1", "-protocol_whitelist", "file"]);
    command.arg("-i").arg(input).args(["-map", "0:v:0", "-vf", &filter, "-threads", "1"]);
    command.args(["-pix_fmt", "bgr24", "-c:v", "bmp", "-f", "image2pipe", "pipe:1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(stderr_log.try_clone().map_err(unreadable)?);
    let mut program = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(Status::UnsupportedImage, NOT_INSTALLED),
        _ => Failure::new(Status::UnsupportedImage, format!("cannot start ffmpeg: {error}")),
    })?;
    let images = program.stdout.take().expect("its output is piped: this is a bug");
    Ok(Running { program, images: BufReader::with_capacity(1 << 18, images), stderr_log })
}
