//! Sharded safetensors checkpoints with an index, as Hugging Face's libraries write them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use attn_fiqa::checkpoint::{
    Checkpoint, CheckpointError, CheckpointOptions, ContainerFormat, ConvertOptions, Loading,
    write_canonical,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkpoint_support::network::{TINY, Tensor, to_safetensors};
use crate::checkpoint_support::reading::{heads, read, refused};

const INDEX: &str = "model.safetensors.index.json";
const SHARDS: [&str; 3] = [
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
];

/// A network's tensors distributed over three shards, and the index.
struct Sharded {
    folder: TempDir,
    tensors: Vec<Tensor>,
    places: BTreeMap<String, String>,
}

impl Sharded {
    fn new() -> Self {
        let sharded = Self {
            folder: tempfile::tempdir().expect("a folder"),
            tensors: TINY.tensors(1),
            places: BTreeMap::new(),
        };
        let shard = |index: usize| SHARDS[index % SHARDS.len()].to_owned();
        let named = sharded.tensors.iter().enumerate();
        let places = named.map(|(index, tensor)| (tensor.name.clone(), shard(index))).collect();
        let sharded = Self { places, ..sharded };
        for name in SHARDS {
            sharded.write(name, &to_safetensors(&sharded.tensors_in(name), &[("format", "pt")]));
        }
        sharded.write_index(&sharded.places);
        sharded
    }

    /// The tensors of a shard.
    fn tensors_in(&self, shard: &str) -> Vec<Tensor> {
        let inside = |tensor: &&Tensor| self.places[&tensor.name] == shard;
        self.tensors.iter().filter(inside).cloned().collect()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join(name), bytes).expect("a new file");
    }

    fn write_index(&self, places: &BTreeMap<String, String>) {
        let index = json!({ "metadata": { "total_size": 123 }, "weight_map": places });
        self.write(INDEX, index.to_string().as_bytes());
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join(INDEX)
    }

    fn open(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(&self.path(), &heads(2))
    }
}

#[test]
fn sharded_checkpoint_equals_single_file() {
    let sharded = Sharded::new();
    for loading in [Loading::Mapped, Loading::Copied] {
        let options = CheckpointOptions { loading, ..heads(2) };
        let checkpoint = Checkpoint::open(&sharded.path(), &options).expect("it opens");
        for tensor in &sharded.tensors {
            let found = checkpoint.read_f32(&tensor.name).expect("a tensor");
            assert_eq!(found, tensor.values, "{}", tensor.name);
        }
        let report = checkpoint.inspect();
        assert_eq!(report.format, ContainerFormat::SafetensorsShards);
        let size = |name: &str| fs::metadata(sharded.folder.path().join(name)).expect("").len();
        let sizes: u64 = SHARDS.iter().chain(&[INDEX]).map(|name| size(name)).sum();
        assert_eq!(report.file_size, sizes);
    }
    let whole = read(to_safetensors(&sharded.tensors, &[]), &heads(2)).expect("one file");
    let [one, other] = ["one", "other"].map(|name| sharded.folder.path().join(name));
    write_canonical(&whole, &one, ConvertOptions::default()).expect("written");
    let checkpoint = sharded.open().expect("it opens");
    write_canonical(&checkpoint, &other, ConvertOptions::default()).expect("written");
    assert_eq!(fs::read(one).expect("a file"), fs::read(other).expect("a file"));
    let shard = sharded.folder.path().join(SHARDS[1]);
    let error = write_canonical(&checkpoint, &shard, ConvertOptions::default()).unwrap_err();
    assert!(error.to_string().contains("both input and output"), "{error}");
}

#[test]
fn changing_a_shard_changes_the_hash() {
    let mut sharded = Sharded::new();
    let hash = |sharded: &Sharded| sharded.open().expect("it opens").inspect().sha256;
    let before = hash(&sharded);
    let last = sharded.tensors.iter().rposition(|t| sharded.places[&t.name] == SHARDS[2]);
    sharded.tensors[last.expect("a tensor")].values[0] += 1.0;
    let bytes = to_safetensors(&sharded.tensors_in(SHARDS[2]), &[("format", "pt")]);
    sharded.write(SHARDS[2], &bytes);
    assert_ne!(hash(&sharded), before);
}

#[test]
fn a_configuration_beside_the_index_is_read() {
    let sharded = Sharded::new();
    sharded.write("config.json", br#"{"heads": 4}"#);
    refused(sharded.open(), &["2 by the option", "4 by", "config.json"]);
    let checkpoint = Checkpoint::open(&sharded.path(), &CheckpointOptions::default());
    assert_eq!(checkpoint.expect("it opens").config().num_heads, 4);
}

#[test]
fn shards_that_do_not_fit_their_index_are_refused_by_name() {
    let sharded = Sharded::new();
    let first = sharded.tensors_in(SHARDS[0]).remove(0);
    let without = |shard: &str| -> Vec<Tensor> {
        sharded.tensors_in(shard).into_iter().filter(|tensor| tensor.name != first.name).collect()
    };
    let all = |shard: &str| to_safetensors(&sharded.tensors_in(shard), &[]);

    // A tensor that is missing, in another shard, in two shards, or unknown to the index.
    sharded.write(SHARDS[0], &to_safetensors(&without(SHARDS[0]), &[]));
    refused(sharded.open(), &[&first.name, "missing", SHARDS[0]]);
    let moved = [sharded.tensors_in(SHARDS[1]), vec![first.clone()]].concat();
    sharded.write(SHARDS[1], &to_safetensors(&moved, &[]));
    refused(sharded.open(), &[&first.name, SHARDS[0], "is in shard", SHARDS[1]]);
    sharded.write(SHARDS[0], &all(SHARDS[0]));
    refused(sharded.open(), &[&first.name, SHARDS[0], "is in shard", SHARDS[1]]);
    sharded.write(SHARDS[1], &all(SHARDS[1]));
    let mut places = sharded.places.clone();
    places.remove(&first.name);
    sharded.write_index(&places);
    refused(sharded.open(), &[&first.name, "nowhere", SHARDS[0]]);
    sharded.write_index(&sharded.places);
    sharded.open().expect("whole again");

    // Two values for one metadata key.
    sharded
        .write(SHARDS[0], &to_safetensors(&sharded.tensors_in(SHARDS[0]), &[("num_heads", "2")]));
    sharded
        .write(SHARDS[1], &to_safetensors(&sharded.tensors_in(SHARDS[1]), &[("num_heads", "4")]));
    refused(sharded.open(), &["num_heads", SHARDS[1]]);

    // A shard that is truncated, another kind of file, or missing.
    let bytes = all(SHARDS[0]);
    sharded.write(SHARDS[0], &bytes[..bytes.len() - 1]);
    refused(sharded.open(), &[SHARDS[0], "header"]);
    sharded.write(SHARDS[0], b"version https://git-lfs.github.com/spec/v1");
    refused(sharded.open(), &[SHARDS[0], "not a safetensors file"]);
    fs::remove_file(sharded.folder.path().join(SHARDS[0])).expect("removed");
    refused(sharded.open(), &[SHARDS[0], "not in the same folder"]);
}

#[test]
fn an_index_cannot_name_files_elsewhere() {
    let sharded = Sharded::new();
    let outside = Sharded::new();
    let absolute = outside.folder.path().join(SHARDS[0]).display().to_string();
    let up = Path::new("..").join(outside.folder.path().file_name().expect("a name"));
    let up = up.join(SHARDS[0]).display().to_string();
    for name in [&*absolute, &up, "..", ".", "", "a/b", "a\\b", "C:x", "x\0"] {
        let mut places = sharded.places.clone();
        places.values_mut().for_each(|place| name.clone_into(place));
        sharded.write_index(&places);
        refused(sharded.open(), &["in the same folder"]);
    }
    // The index itself is not a shard.
    let mut places = sharded.places.clone();
    places.values_mut().for_each(|place| INDEX.clone_into(place));
    sharded.write_index(&places);
    refused(sharded.open(), &[INDEX, "not a safetensors file"]);
}

#[test]
fn malformed_shard_indices_are_rejected() {
    let sharded = Sharded::new();
    let many: BTreeMap<String, String> =
        (0..600).map(|n| (format!("t{n}"), format!("s{n}"))).collect();
    let many = json!({ "weight_map": many }).to_string();
    let texts: [(&str, &str); 8] = [
        (r#"{"heads": 2}"#, "weight_map"),
        (r#"{"weight_map": {}}"#, "names no tensor"),
        (r#"{"weight_map": []}"#, "tensors and file names"),
        (r#"{"weight_map": {"a": 1}}"#, "string"),
        (r#"{"weight_map": {"a": "x", "a": "y"}}"#, "`a` twice"),
        (r#"{"weight_map": {"a": "x"}, "weight_map": {"a": "y"}}"#, "weight_map"),
        (r#"{"weight_map": {"a": "#, "EOF"),
        (&many, "600 files"),
    ];
    for (text, part) in texts {
        sharded.write(INDEX, text.as_bytes());
        refused(sharded.open(), &[part]);
    }
    // Bytes in memory have no folder for shards.
    let index: Value = json!({ "weight_map": sharded.places });
    refused(read(index.to_string().into_bytes(), &heads(2)), &["index of shards", "by its path"]);
}
