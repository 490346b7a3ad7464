//! Runs the program in a folder of its own, and parses its output.

pub(crate) mod hub;
#[cfg(feature = "remote")]
pub(crate) mod objects;
pub(crate) mod onnx;
pub(crate) mod page;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// How much scores may differ between machines: matrix products depend on the processor.
pub(crate) const SCORE_TOLERANCE: f32 = 1e-3;

/// The header of a run without additional columns.
pub(crate) const HEADING: &str = "path,face,status,score,quality,crop_origin,box_x,box_y,box_width,box_height,\
                                  detection_score,inter_eye_distance,roll,yaw,message";

/// The header with `--aligned`.
pub(crate) const ALIGNED_HEADING: &str = "path,status,score,quality,message";

pub(crate) const EMPTY: &str = "the file is empty";
pub(crate) const CUT: &str =
    "the file ends before the image is complete: copy or download it again";
pub(crate) const MISSING: &str = "no such file";
pub(crate) const NOT_AN_IMAGE: &str = "the file is not an image in a known format: JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000, JPEG XL, PPM, PGM and QOI are supported";
pub(crate) const WRONG_SIZE: &str = "the image is 512×512 pixels but the network takes 112×112: \
                                     detect and align its faces or, if it is already an aligned \
                                     face, resize it (leave out --aligned to find and align faces, \
                                     or add --resize)";

/// The cell in the column 'quality' of an image that the built-in model could not score: -1, or
/// empty if that model has no calibration.
pub(crate) fn quality_of_failure() -> &'static str {
    let model = attn_fiqa::checkpoint::builtin().expect("the built-in model");
    if model.calibration().is_some() { "-1" } else { "" }
}

/// The repository's example images.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// `../shared` next to the checkout; `None`, with a recorded skip, if absent.
pub(crate) fn shared() -> Option<PathBuf> {
    attn_fiqa_testing::shared("")
}

/// The program, with nothing in its environment that affects its output.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attn-fiqa"));
    for variable in ["COLUMNS", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    // Not where the user of this machine keeps named models.
    command.env("ATTN_FIQA_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/no-models"));
    command
}

/// A folder in which the program runs, so that paths are short and the same everywhere.
pub(crate) struct TestDir(TempDir);

impl TestDir {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    /// Creates one with these example faces.
    pub(crate) fn with_faces(faces: &[&str]) -> Self {
        let here = Self::new();
        for face in faces {
            here.face(face, face);
        }
        here
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and creates the folders for it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        fs::write(path, bytes).expect("a new file");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// Copies an example face here under another name.
    pub(crate) fn face(&self, face: &str, name: &str) {
        self.write(name, face_bytes(face));
    }

    /// Writes one image for every way in which a file can be bad.
    pub(crate) fn bad_images(&self, folder: &str) {
        let picture = face_bytes("blur-1.png");
        self.write(&format!("{folder}/cut.png"), &picture[..picture.len() / 2]);
        self.write(&format!("{folder}/empty.png"), "");
        self.write(&format!("{folder}/text.png"), "this is a text and no picture\n");
        self.write(&format!("{folder}/wide.png"), wide_image());
    }

    /// The names of all files below a folder, sorted, with `/` as separator.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let root = self.path(folder);
        let mut names = Vec::new();
        let mut to_open = vec![root.clone()];
        while let Some(folder) = to_open.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    to_open.push(path);
                } else {
                    let name = path.strip_prefix(&root).expect("a name below the folder");
                    names.push(name.to_string_lossy().replace('\\', "/"));
                }
            }
        }
        names.sort();
        names
    }

    /// The program, ready to run here; models that it is told to name are also registered here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.current_dir(self.0.path()).args(args).env("ATTN_FIQA_HOME", self.path(".home"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> CommandResult {
        self.run_with_stdin(args, b"")
    }

    /// Runs the program with bytes on its standard input.
    pub(crate) fn run_with_stdin(&self, args: &[&str], input: &[u8]) -> CommandResult {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let mut stdin = child.stdin.take().expect("its input");
        // A program that does not read its input may have exited already.
        let _ = stdin.write_all(input);
        drop(stdin);
        CommandResult::from(child.wait_with_output().expect("its output"))
    }
}

/// An example face's file.
pub(crate) fn face_bytes(face: &str) -> Vec<u8> {
    let path = examples().join("faces").join(face);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A whole photograph, 512×512: not a crop.
pub(crate) fn wide_image() -> Vec<u8> {
    fs::read(examples().join("astronaut.png")).expect("examples/astronaut.png")
}

/// How a run ended and what it printed.
pub(crate) struct CommandResult {
    pub(crate) status: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stderr: String,
}

impl From<Output> for CommandResult {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("messages in UTF-8");
        Self { status: output.status.code(), bytes: output.stdout, stderr }
    }
}

impl CommandResult {
    #[track_caller]
    pub(crate) fn ended_with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "exit status; it said: {}", self.stderr);
        self
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("standard output in UTF-8")
    }

    /// Standard error without the duration of the run.
    pub(crate) fn said(&self) -> String {
        let lines = self.stderr.lines().map(|line| match line.rsplit_once(" in ") {
            Some((said, time)) if time.ends_with(" images/s") => said,
            _ => line,
        });
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The run did not start: exit code 2, no data, and exactly this error.
    #[track_caller]
    pub(crate) fn refused(self, message: &str) {
        let ran = self.ended_with(2);
        assert_eq!(ran.stderr, format!("error: {message}\n"));
        assert_eq!(ran.stdout(), "");
    }

    /// The run did not start: exit code 2, no data, and an error that contains this.
    #[track_caller]
    pub(crate) fn refused_with(self, part: &str) {
        let ran = self.ended_with(2);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(part), "'{part}' is not in: {}", ran.stderr);
        assert_eq!(ran.stdout(), "");
    }

    /// The same, where other output preceded the error.
    #[track_caller]
    pub(crate) fn refused_after_output(self, part: &str) {
        let ran = self.ended_with(2);
        let error = ran.stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: "), "{}", ran.stderr);
        assert!(error.contains(part), "'{part}' is not in: {}", ran.stderr);
        assert_eq!(ran.stdout(), "");
    }

    pub(crate) fn table(&self) -> Table {
        Table::parse(self.stdout())
    }
}

/// The rows of a CSV file.
pub(crate) struct Table {
    pub(crate) heading: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn parse(text: &str) -> Self {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let row = |record: Result<csv::StringRecord, csv::Error>| {
            record.expect("a CSV row").iter().map(str::to_owned).collect()
        };
        let mut rows: Vec<Vec<String>> = reader.records().map(row).collect();
        assert!(!rows.is_empty(), "no heading");
        Self { heading: rows.remove(0), rows }
    }

    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        let index = self.heading.iter().position(|heading| heading == name);
        let index = index.unwrap_or_else(|| panic!("no column {name} in {:?}", self.heading));
        self.rows.iter().map(|row| row[index].as_str()).collect()
    }

    /// A column with one number per row.
    pub(crate) fn numbers(&self, name: &str) -> Vec<f32> {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{name}: '{text}'"));
        self.column(name).into_iter().map(number).collect()
    }

    /// A column with a list per row.
    pub(crate) fn lists(&self, name: &str) -> Vec<Vec<f32>> {
        self.column(name).into_iter().map(numbers).collect()
    }

    /// The outcome of each image: path, status and message.
    pub(crate) fn outcomes(&self) -> Vec<[&str; 3]> {
        let (status, message) = (self.column("status"), self.column("message"));
        let rows = self.column("path").into_iter().zip(status).zip(message);
        rows.map(|((path, status), message)| [path, status, message]).collect()
    }
}

/// Numbers separated by spaces.
pub(crate) fn numbers(text: &str) -> Vec<f32> {
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[track_caller]
pub(crate) fn assert_near(found: f32, expected: f32, tolerance: f32) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected} ± {tolerance}");
}
