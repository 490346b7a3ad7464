//! Malicious files: each is refused with a specific message, and none makes the reader panic or
//! allocate memory based on a declared size.

use crate::checkpoint_support;
use crate::checkpoint_support::hostile::{VIEW, read, refused, torch};
use crate::checkpoint_support::network::{TINY, Tensor, raw_safetensors, to_safetensors, to_torch};
use crate::checkpoint_support::pickle::{View, one_tensor};
use crate::checkpoint_support::zip::{self, Entry, torch_entries};

#[test]
fn the_helpers_make_files_that_are_read() {
    read(to_safetensors(&TINY.tensors(1), &[])).unwrap();
    read(to_torch(&TINY.tensors(1), &[])).unwrap();
    // A single tensor is read, and then found not to be a network.
    refused(torch(&one_tensor("w", &VIEW), 16), &["none of its 1 tensors", "`w`"]);
}

#[test]
fn a_file_truncated_anywhere_is_refused() {
    // One small tensor, so that truncation at every length can be tested.
    let small = vec![Tensor::zeros("pos_embed", &[1, 4, 8])];
    for whole in [to_safetensors(&small, &[("num_heads", "2")]), to_torch(&small, &[])] {
        for len in 0..whole.len() {
            let text = read(whole[..len].to_vec()).unwrap_err().to_string();
            let is_about_the_cut = ["empty", "truncated", "format", "text", "JSON", "zip"]
                .iter()
                .any(|part| text.contains(part));
            assert!(is_about_the_cut, "{len}: {text}");
        }
    }
    // The pickle truncated, inside a complete zip file.
    let pickle = checkpoint_support::pickle::state_dict(&small, &["model"]);
    for len in 0..pickle.len() {
        refused(torch(&pickle[..len], 128), &["data.pkl"]);
    }
    // A whole network with its end missing.
    for whole in [to_safetensors(&TINY.tensors(1), &[]), to_torch(&TINY.tensors(1), &[])] {
        for cut in [1, 2, 10, 100, 1000, whole.len() / 2] {
            assert!(read(whole[..whole.len() - cut].to_vec()).is_err());
        }
    }
}

#[test]
fn safetensors_headers_are_checked() {
    let one = |shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (header, part) in [
        (one("[4]", "[0,15]"), "invalid"),
        (one("[4]", "[4,20]"), "offset"),
        (one("[5]", "[0,16]"), "invalid"),
        (one("[4]", "[16,0]"), "offset"),
        (one("[4294967296,4294967296,4]", "[0,16]"), "overflow"),
        (one("[4611686018427387904]", "[0,16]"), "overflow"),
        (one("[1099511627776]", "[0,4398046511104]"), "4398046511104 bytes"),
        (one("[-1]", "[0,16]"), "invalid"),
        (one("[2]", "[0,8]"), "8 bytes of tensors, but the file has 16"),
        (one("[4]", "[0,16]").replace("F32", "F99"), "F99"),
        (one("[4]", "[0,16]").replace("}}", ""), "EOF"),
        ("{\"w\": 3}".to_owned(), "invalid"),
        (format!("{{\"w\":{}", "[".repeat(100_000)), "EOF"),
        (r#"{"__metadata__":{"a":"1","a":"2"}}"#.to_owned(), "two entries named `a`"),
    ] {
        refused(raw_safetensors(&header, &[0; 16]), &[part]);
    }
    // Two tensors with the same name, and two that overlap.
    let entry = r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let twice = format!(r#"{{"w":{entry},"w":{}}}"#, entry.replace("[0,8]", "[8,16]"));
    refused(raw_safetensors(&twice, &[0; 16]), &["two entries named `w`"]);
    let overlap = format!(r#"{{"v":{entry},"w":{}}}"#, entry.replace("[0,8]", "[4,12]"));
    refused(raw_safetensors(&overlap, &[0; 12]), &["offset", "`w`"]);
    // Lengths that add up to almost the whole address space, without a byte of data.
    let size = (1_u64 << 61) - 1;
    let huge: Vec<String> = (0..8)
        .map(|i| {
            let (start, end) = (i * size, (i + 1) * size);
            format!(r#""{i}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", huge.join(","));
    let total = (8 * size).to_string();
    refused(raw_safetensors(&header, &[]), &[&total, "the file has 0"]);
    // A header longer than the file.
    let mut file = raw_safetensors(&one("[4]", "[0,16]"), &[0; 16]);
    file[3] = 1;
    refused(file, &["longer than the file"]);
}

#[test]
fn storage_key_path_traversal_is_rejected() {
    for key in ["../data.pkl", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:x", "0\0"] {
        let view = View { key, ..VIEW };
        let mut entries = torch_entries(&one_tensor("w", &view), &[vec![0; 16]]);
        entries.push(Entry::new(&format!("model/data/{key}"), &[0; 16]));
        refused(zip::write(&entries), &["tensor `w`", "not a plain name"]);
    }
    let long = "1".repeat(70);
    refused(torch(&one_tensor("w", &View { key: &long, ..VIEW }), 16), &["not a plain name"]);
}

#[test]
fn zip_entries_are_checked() {
    let pickle = one_tensor("w", &VIEW);
    let entries = || torch_entries(&pickle, &[vec![0; 16]]);
    let with = |index: usize, change: fn(&mut Entry)| {
        let mut entries = entries();
        change(&mut entries[index]);
        zip::write(&entries)
    };
    refused(with(0, |entry| entry.method = 8), &["`model/data.pkl`", "compressed"]);
    refused(with(2, |entry| entry.method = 8), &["`model/data/0`", "compressed"]);
    refused(with(2, |entry| entry.flags |= 1), &["`model/data/0`", "encrypted"]);
    refused(with(2, |entry| entry.declared_size = Some(u32::MAX - 1)), &["`model/data/0`"]);
    refused(with(2, |entry| entry.declared_size = Some(17)), &["`model/data/0`", "not lie"]);
    refused(with(2, |entry| entry.declared_offset = Some(0)), &["overlaps"]);
    refused(with(2, |entry| entry.declared_offset = Some(1 << 30)), &["zip"]);
    refused(with(1, |entry| entry.data = b"big".to_vec()), &["big-endian"]);
    refused(with(1, |entry| entry.data = b"middle".to_vec()), &["neither"]);
    for name in ["../data.pkl", "/data.pkl", "data.pkl", "a/b/data.pkl", "a\\b/data.pkl"] {
        let mut entries = entries();
        entries[0].name = name.to_owned();
        refused(zip::write(&entries), &["without `<folder>/data.pkl`"]);
    }
    let doubled = |name: &str| {
        let mut entries = entries();
        entries.push(Entry::new(name, &[0; 16]));
        zip::write(&entries)
    };
    refused(doubled("model/data/0"), &["two entries named `model/data/0`"]);
    refused(doubled("model/data.pkl"), &["two entries named `model/data.pkl`"]);
    refused(doubled("other/data.pkl"), &["several networks", "`model`", "`other`"]);
    refused(doubled("model/constants.pkl"), &["TorchScript", "state_dict()"]);
    refused(zip::write(&[Entry::new("a.npy", b"")]), &["without `<folder>/data.pkl`"]);
    refused(zip::write(&[]), &["without `<folder>/data.pkl`"]);
}

#[test]
fn zip_declaring_too_many_entries_is_rejected() {
    let mut file = torch(&one_tensor("w", &VIEW), 16);
    let end = file.len() - 22;
    file[end + 8..end + 12].copy_from_slice(&[0xfe, 0xff, 0xfe, 0xff]);
    refused(file, &["zip"]);
}
