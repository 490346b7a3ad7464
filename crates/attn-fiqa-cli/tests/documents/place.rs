//! A folder with the files that documents name in their commands.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use attn_fiqa_eval::files::npy;
use tempfile::TempDir;

use crate::blocks::Block;

/// The address that documents give the service.
const DOCUMENTED_ADDRESS: &str = "127.0.0.1:8080";

pub(crate) struct Place {
    folder: TempDir,
    address: String,
    services: Vec<Child>,
}

impl Place {
    /// The repository's examples and models, the program, and these:
    ///
    /// - `photo.jpg`, `photos/`, `cfp/`: photos;
    /// - `faces/`, `faces.tar`: aligned faces of 18 invented persons, two images each; in `people/`
    ///   one folder per person;
    /// - `pair_list.txt`, `embeddings.npy`, `names.txt`: their comparisons;
    /// - `labels.csv`, `groups.csv`: their groups;
    /// - `study.toml`: a small study of them.
    pub(crate) fn new(root: &Path) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let here = folder.path();
        for part in ["examples", "models"] {
            copy(&root.join(part), &here.join(part));
        }
        let photo = here.join("examples/astronaut.png");
        for name in ["photo.jpg", "photos/one.png", "photos/more/two.jpg", "cfp/a/1.png"] {
            let path = here.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
            fs::copy(&photo, path).expect("a copy");
        }
        persons(here);
        fs::create_dir(here.join("bin")).expect("a new folder");
        let program = format!("attn-fiqa{}", std::env::consts::EXE_SUFFIX);
        let linked = here.join("bin").join(program);
        if fs::hard_link(env!("CARGO_BIN_EXE_attn-fiqa"), &linked).is_err() {
            fs::copy(env!("CARGO_BIN_EXE_attn-fiqa"), linked).expect("a copy");
        }
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address").to_string();
        Self { folder, address, services: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a block as `bash` does, and returns its output. The service is started and left
    /// running.
    pub(crate) fn run(&mut self, block: &Block) -> Result<String, String> {
        let text = block
            .text
            .replace("cargo run --release -- ", "attn-fiqa ")
            .replace(DOCUMENTED_ADDRESS, &self.address);
        if text.starts_with("attn-fiqa serve") {
            return self.serve(&text);
        }
        let output = self.bash(&text).output().expect("bash");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }

    fn serve(&mut self, text: &str) -> Result<String, String> {
        let service = self
            .bash(&format!("exec {text}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash");
        self.services.push(service);
        let started = Instant::now();
        while !self.bash("attn-fiqa serve --check").output().expect("bash").status.success() {
            if started.elapsed() > Duration::from_secs(60) {
                return Err("the service does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(String::new())
    }

    fn bash(&self, text: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", text])
            .current_dir(self.folder.path())
            .env("PATH", std::env::join_paths(path).expect("a search path"))
            .env("ATTN_FIQA_HOME", self.path("home"))
            .env("ATTN_FIQA_LISTEN", &self.address)
            .env("HF_HUB_OFFLINE", "1")
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        bash
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for service in &mut self.services {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).expect("a copy");
    }
}

/// Gives the example faces to invented persons, who are as easy to distinguish as real ones, and
/// lets a comparison of the worst image fail.
fn persons(here: &Path) {
    let mut faces: Vec<_> = fs::read_dir(here.join("examples/faces"))
        .expect("the example faces")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    faces.sort();
    fs::create_dir(here.join("faces")).expect("a new folder");
    let mut tar = tar::Builder::new(fs::File::create(here.join("faces.tar")).expect("a file"));
    let [mut names, mut pairs] = [const { String::new() }; 2];
    let mut labels = "path,age,gender,race\n".to_owned();
    let mut groups = "path,gender\n".to_owned();
    let mut rows = Vec::new();
    for (index, face) in faces.iter().enumerate() {
        let (person, image) = (index / 2, index % 2);
        let kind = face.extension().and_then(|kind| kind.to_str()).expect("an extension");
        let name = format!("Person{person:02}_{:04}.{kind}", image + 1);
        fs::copy(face, here.join("faces").join(&name)).expect("a copy");
        let own = here.join(format!("people/Person{person:02}"));
        fs::create_dir_all(&own).expect("a new folder");
        fs::copy(face, own.join(&name)).expect("a copy");
        tar.append_path_with_name(face, &name).expect("an entry");
        let gender = if person % 2 == 0 { "Female" } else { "Male" };
        let age = if person % 3 == 0 { "20-29" } else { "30-39" };
        let race = if person % 5 < 2 { "Indian" } else { "White" };
        names += &format!("{name}\n");
        labels += &format!("{name},{age},{gender},{race}\n");
        groups += &format!("{name},{gender}\n");
        let angle = person as f32 + 0.2 * image as f32;
        rows.extend(match index {
            7 => [0.1, 0.2, 1.0],
            _ => [angle.cos(), angle.sin(), person as f32 / 18.0],
        });
    }
    tar.finish().expect("the end of the archive");
    let names_of: Vec<&str> = names.lines().collect();
    for (one, name) in names_of.iter().enumerate() {
        for (other, next) in names_of.iter().enumerate().skip(one + 1) {
            let mated = u8::from(one / 2 == other / 2);
            pairs += &format!("{name} {next} {mated}\n");
        }
    }
    let embeddings = npy::to_bytes(&[names_of.len(), 3], &rows);
    let study = r#"[settings]
bootstrap = 20
fmr = [1e-1]

[[dataset]]
name = "invented"
kind = "pairs"
path = "faces"
pairs = "pair_list.txt"

[[recogniser]]
name = "precomputed"
embeddings = { invented = "embeddings.npy" }
lists = { invented = "names.txt" }

[[method]]
name = "attn"

[[method]]
name = "laplacian"
"#;
    for (name, bytes) in [
        ("pair_list.txt", pairs.as_bytes()),
        ("embeddings.npy", &embeddings),
        ("names.txt", names.as_bytes()),
        ("labels.csv", labels.as_bytes()),
        ("groups.csv", groups.as_bytes()),
        ("study.toml", study.as_bytes()),
    ] {
        fs::write(here.join(name), bytes).expect("a file");
    }
}
