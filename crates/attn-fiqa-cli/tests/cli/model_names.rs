//! Models by name: `model list`, `pull`, `add`, `remove`, and `--model NAME`, with a local server
//! in place of the hub.

use std::process::Stdio;

use attn_fiqa::checkpoint::{ConvertOptions, WeightDtype, builtin, write_canonical};
use sha2::{Digest, Sha256};

use crate::support::hub::{FakeHub, FakeHubState};
use crate::support::{self, CommandResult, TestDir};

const PATH: &str = "somebody/a-vit/resolve/main/folder/model.safetensors";

/// A test directory with its own registry and cache, and a server that provides a model.
struct Place {
    here: TestDir,
    hub: FakeHub,
    hash: String,
}

impl Place {
    /// `etag` computes, from the SHA-256, the ETag that the server announces.
    fn new(etag: impl Fn(&str) -> String) -> Self {
        let here = TestDir::with_faces(&["blur-1.png"]);
        let options = ConvertOptions { dtype: WeightDtype::F16, quality_only: true };
        write_canonical(&builtin().unwrap(), &here.path("m.safetensors"), options).unwrap();
        let bytes = here.read("m.safetensors");
        let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        let hub = FakeHub::start(FakeHubState {
            path: PATH.to_owned(),
            bytes,
            etag: etag(&hash),
            ..FakeHubState::default()
        });
        let place = Self { here, hub, hash };
        place.know("");
        place
    }

    /// Writes the user's registry with a model from the server; `more` is added to its entry.
    fn know(&self, more: &str) {
        self.here.write(
            "names/models.toml",
            format!(
                "[[model]]\nname = \"theirs\"\nrepo = \"somebody/a-vit\"\nfile = \
                 \"folder/model.safetensors\"\nlicence = \"for research only\"\n{more}\n"
            ),
        );
    }

    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> CommandResult {
        let mut command = self.here.command(args);
        for (name, _) in std::env::vars() {
            let proxy = name.to_ascii_lowercase().ends_with("_proxy");
            if proxy || name.starts_with("HF_") || name.starts_with("HUGGINGFACE_") {
                command.env_remove(name);
            }
        }
        command
            .env("ATTN_FIQA_HOME", self.here.path("names"))
            .env("HF_HOME", self.here.path("hf"))
            .env("HF_ENDPOINT", &self.hub.endpoint)
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        CommandResult::from(command.output().unwrap())
    }

    fn run(&self, args: &[&str]) -> CommandResult {
        self.run_with(args, &[])
    }

    fn pull(&self) -> CommandResult {
        self.run(&["model", "pull", "theirs", "--accept-licence"])
    }
}

fn as_hash(hash: &str) -> String {
    hash.to_owned()
}

fn as_mark(_: &str) -> String {
    "0a1b2c".to_owned()
}

#[test]
fn pull_downloads_verifies_and_pins_model() {
    let place = Place::new(as_hash);
    let args = ["score", "blur-1.png", "--aligned", "--model", "theirs"];
    place.run(&args).refused(
        "the model 'theirs' is not on this machine yet; fetch it with `attn-fiqa model pull \
         theirs`",
    );
    assert_eq!(place.hub.asked(), [], "nothing is fetched unasked");

    let ran = place.pull().ended_with(0);
    let path = ran.stdout().trim_end().to_owned();
    assert_eq!(std::fs::read(&path).unwrap(), place.here.read("m.safetensors"));
    assert!(path.contains("hf") && path.ends_with("model.safetensors"), "{path}");
    for part in ["licence: for research only", "first download pins it", "use it with --model"] {
        assert!(ran.stderr.contains(part), "no '{part}' in {}", ran.stderr);
    }
    let pins = place.here.read_text("hf/attn-fiqa-pins.toml");
    assert!(pins.contains(&place.hash) && pins.contains("for research only"), "{pins}");

    let expected = place.run(&["score", "blur-1.png", "--aligned", "-m", "m.safetensors"]);
    assert_eq!(place.run(&args).ended_with(0).stdout(), expected.ended_with(0).stdout());
    let inspected = place.run(&["model", "inspect", "theirs"]).ended_with(0);
    assert!(inspected.stdout().contains(&place.hash));

    place.hub.asked();
    let again = place.run(&["model", "pull", "theirs"]).ended_with(0);
    assert_eq!(again.stdout().trim_end(), path);
    assert!(again.stderr.contains("already in the cache"), "{}", again.stderr);
    assert!(again.stderr.contains("as at the first download"), "{}", again.stderr);
    assert_eq!(place.hub.asked(), [], "what is here is not fetched");
}

#[test]
fn pull_requires_licence_acceptance() {
    let place = Place::new(as_hash);
    let ran = place.run(&["model", "pull", "theirs"]).ended_with(2);
    assert!(ran.stderr.contains("licence: for research only"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--accept-licence"), "{}", ran.stderr);
    assert_eq!((ran.stdout(), place.hub.asked().len()), ("", 0));
    place.run(&["model", "pull", "theirs", "--accept-license"]).ended_with(0);
    // It was accepted once: a cleared cache is filled again without asking.
    std::fs::remove_dir_all(place.here.path("hf/hub")).unwrap();
    let again = place.run(&["model", "pull", "theirs", "--quiet"]).ended_with(0);
    assert_eq!(again.stderr, "");
    std::fs::remove_dir_all(place.here.path("hf/hub")).unwrap();
    let changed = place.here.read_text("names/models.toml").replace("research", "nothing");
    place.here.write("names/models.toml", changed);
    place.run(&["model", "pull", "theirs", "--quiet"]).ended_with(2);
}

#[test]
fn interrupted_pull_resumes_with_range_request() {
    let place = Place::new(as_hash);
    let size = place.here.read("m.safetensors").len();
    place.hub.change(|shelf| shelf.break_after = Some(size / 8));
    let ran = place.pull().ended_with(2);
    assert!(ran.stderr.contains("the same command continues"), "{}", ran.stderr);
    assert_eq!(ran.stdout(), "");
    let ranges = |asked: Vec<support::hub::Asked>| -> Vec<usize> {
        let of = |range: &str| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok();
        asked.iter().filter_map(|asked| of(&asked.range)).collect()
    };
    let begun = ranges(place.hub.asked());
    assert!(begun.len() > 1 && begun[0] == 0 && begun.is_sorted(), "{begun:?}");
    place.run(&["score", "blur-1.png", "--aligned", "-m", "theirs"]).ended_with(2);

    place.hub.change(|shelf| shelf.break_after = None);
    let ran = place.pull().ended_with(0);
    assert!(ran.stderr.contains("resuming at "), "{}", ran.stderr);
    let resumed = ranges(place.hub.asked());
    assert!(resumed.len() == 1 && resumed[0] > *begun.last().unwrap(), "{resumed:?}");
    let path = ran.stdout().trim_end();
    assert_eq!(std::fs::read(path).unwrap(), place.here.read("m.safetensors"));
}

#[test]
fn registry_hash_mismatch_is_rejected() {
    for etag in [as_hash, as_mark] {
        let place = Place::new(etag);
        place.know(&format!("sha256 = \"{}\"", "0".repeat(64)));
        let ran = place.pull().ended_with(2);
        assert!(ran.stderr.contains("the registry has the SHA-256 0000"), "{}", ran.stderr);
        assert!(ran.stderr.contains(&place.hash), "{}", ran.stderr);
        place.run(&["model", "inspect", "theirs"]).refused_with("is not on this machine yet");
        place.know(&format!("sha256 = \"{}\"", place.hash));
        let ran = place.pull().ended_with(0);
        assert!(ran.stderr.contains("as in the registry"), "{}", ran.stderr);
    }
}

#[test]
fn pinned_hash_mismatch_is_rejected() {
    let place = Place::new(as_mark);
    place.pull().ended_with(0);
    std::fs::remove_dir_all(place.here.path("hf/hub")).unwrap();
    // Within the weights, where no check looks at values.
    place.hub.change(|shelf| {
        let middle = shelf.bytes.len() / 2;
        shelf.bytes[middle] ^= 1;
    });
    let ran = place.pull().ended_with(2);
    for part in ["the first download had", &place.hash, "attn-fiqa-pins.toml", "pull again"] {
        assert!(ran.stderr.contains(part), "no '{part}' in {}", ran.stderr);
    }
    place.run(&["model", "inspect", "theirs"]).ended_with(2);
    std::fs::remove_file(place.here.path("hf/attn-fiqa-pins.toml")).unwrap();
    place.pull().ended_with(0);
}

#[test]
fn corrupted_download_is_rejected() {
    let place = Place::new(as_hash);
    place.hub.change(|shelf| shelf.bytes[5000] ^= 1);
    let ran = place.pull().ended_with(2);
    assert!(ran.stderr.contains("damaged in transit"), "{}", ran.stderr);
    place.run(&["model", "inspect", "theirs"]).ended_with(2);
}

#[test]
fn hub_errors_are_explained() {
    let place = Place::new(as_hash);
    for (status, part) in [
        (404, "has no file 'folder/model.safetensors' in 'somebody/a-vit' (404)"),
        (401, "set HF_TOKEN to your token"),
        (403, "accept its terms"),
        (503, "answers 503"),
    ] {
        place.hub.change(|shelf| shelf.status = Some(status));
        place.hub.asked();
        let ran = place.pull().ended_with(2);
        assert!(ran.stderr.contains(part), "{status}: {}", ran.stderr);
        assert_eq!(place.hub.asked().len(), 1);
    }
    place.hub.change(|shelf| (shelf.status, shelf.etag) = (None, "../../../x".to_owned()));
    place.pull().refused_after_output("which cannot be file names");
    let ran = place
        .run_with(
            &["model", "pull", "theirs", "--accept-licence"],
            &[("HF_ENDPOINT", "http://127.0.0.1:1")],
        )
        .ended_with(2);
    assert!(ran.stderr.contains("is the network available"), "{}", ran.stderr);
}

#[test]
fn hf_environment_variables_are_honoured() {
    let place = Place::new(as_hash);
    let accept = ["model", "pull", "theirs", "--accept-licence"];
    place
        .run_with(&accept, &[("HF_HUB_OFFLINE", "1")])
        .refused_after_output("HF_HUB_OFFLINE forbids fetching it");
    assert_eq!(place.hub.asked(), []);

    let elsewhere = place.here.path("elsewhere/hub");
    let elsewhere = elsewhere.to_str().unwrap();
    let mirror = format!("{}/", place.hub.endpoint);
    let variables =
        [("HF_HUB_CACHE", elsewhere), ("HF_TOKEN", "hf_secret"), ("HF_ENDPOINT", &mirror)];
    let ran = place.run_with(&accept, &variables).ended_with(0);
    assert!(ran.stdout().contains("elsewhere"), "{}", ran.stdout());
    assert!(place.here.path("elsewhere/attn-fiqa-pins.toml").is_file());
    for asked in place.hub.asked() {
        assert_eq!((asked.path.as_str(), asked.authorization.as_str()), (PATH, "Bearer hf_secret"));
    }
    assert!(!ran.stderr.contains("hf_secret"));
    let variables = [("HF_HUB_CACHE", elsewhere), ("HF_HUB_OFFLINE", "1")];
    place.run_with(&accept, &variables).ended_with(0);
    place.run(&["model", "inspect", "theirs"]).refused_with("is not on this machine yet");
}

#[test]
fn builtin_registry_hash_is_enforced() {
    let place = Place::new(as_mark);
    place.hub.change(|shelf| {
        shelf.path =
            "minchul/cvlface_adaface_vit_base_webface4m/resolve/main/model.safetensors".to_owned();
    });
    let ran = place.run(&["model", "pull", "cvlface-vit-b", "--accept-licence"]).ended_with(2);
    for part in
        ["licence: code MIT", "WebFace4M", "see https://huggingface.co/minchul/", "5fafd6b7"]
    {
        assert!(ran.stderr.contains(part), "no '{part}' in {}", ran.stderr);
    }
}

#[test]
fn local_models_can_be_registered_and_removed() {
    let place = Place::new(as_hash);
    let score = |model: &str| {
        place.run(&["score", "blur-1.png", "--aligned", "--model", model]).ended_with(0)
    };
    let expected = score("m.safetensors");
    place.run(&["model", "add", "m.safetensors", "--name", "mine"]).ended_with(0);
    assert_eq!(score("mine").stdout(), expected.stdout());
    place
        .run(&["model", "add", "m.safetensors", "--name", "mine"])
        .refused_after_output("already exists; choose another --name, or --replace it");
    let copied = ["model", "add", "m.safetensors", "--name", "kept", "--copy", "--licence", "mine"];
    place.run(&copied).ended_with(0);
    place.here.write("text.safetensors", "no model");
    place
        .run(&["model", "add", "text.safetensors"])
        .refused_after_output("text.safetensors: is a text file");
    place
        .run(&["model", "add", "m.safetensors", "--name", "cvlface-vit-b"])
        .refused_after_output("is the name of a known model");
    place
        .run(&["model", "add", "m.safetensors", "--name", "a/b"])
        .refused_after_output("'a/b' is not a model name");

    let list = place.run(&["model", "list"]).ended_with(0).table();
    let state = |name: &str| {
        let index = list.column("name").iter().position(|&found| found == name);
        list.column("state")[index.unwrap_or_else(|| panic!("no {name}"))].to_owned()
    };
    assert_eq!(state("built-in"), "built-in");
    assert_eq!(state("mine"), "added");
    assert_eq!(state("theirs"), "added, not fetched");
    assert_eq!(state("cvlface-vit-b"), "not fetched");
    let lines = place.run(&["model", "list", "--format", "jsonl"]).ended_with(0);
    let lines: Vec<serde_json::Value> =
        lines.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), list.rows.len());
    let mine = lines.iter().find(|line| line["name"] == "mine").unwrap();
    assert_eq!((mine["sha256"].as_str(), &mine["state"]), (Some(&*place.hash), &"added".into()));
    place.pull().ended_with(0);
    let after = place.run(&["model", "list", "--format", "table"]).ended_with(0);
    let theirs = after.stdout().lines().find(|line| line.starts_with("theirs")).unwrap();
    assert!(theirs.contains("cached"), "{theirs}");

    // A name never overwrites its file, and a file that has changed loses its name.
    place
        .run(&["model", "convert", "mine", "m.safetensors"])
        .refused_with("is the file to read; name another to write");
    place.here.write("m.safetensors", "shorter");
    place
        .run(&["score", "blur-1.png", "-m", "mine"])
        .refused_with("add it again with --name mine --replace");
    assert_eq!(score("kept").stdout(), expected.stdout());
    std::fs::remove_file(place.here.path("m.safetensors")).unwrap();
    place.run(&["score", "blur-1.png", "-m", "mine"]).refused_with("which no longer exists");
    place.run(&["model", "remove", "mine"]).ended_with(0);
    place.run(&["model", "remove", "kept"]).ended_with(0);
    assert_eq!(place.here.files("names/models"), [""; 0]);
    place.run(&["model", "remove", "kept"]).refused_with("no model 'kept' was added");
    place.run(&["score", "blur-1.png", "-m", "kept"]).refused_with(
        "'kept' is neither a file nor the name of a model; `attn-fiqa model list` shows the names",
    );
}

#[test]
fn builtin_model_is_selectable_by_name() {
    let place = Place::new(as_hash);
    let expected = place.run(&["score", "blur-1.png", "--aligned"]).ended_with(0);
    let named = place.run(&["score", "blur-1.png", "--aligned", "-m", "built-in"]).ended_with(0);
    assert_eq!(named.stdout(), expected.stdout());
    place.run(&["model", "pull", "built-in"]).refused_with("there is nothing to fetch");
    place.run(&["model", "pull", "unheard-of"]).refused_with("no model 'unheard-of' is known");
    place.here.write("names/models.toml", "[[model]]\nname = \"x\"\n");
    place.run(&["model", "list"]).refused_with("either repo and file, or path");
}
