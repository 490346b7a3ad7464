//! A small zip writer whose fields can be set to arbitrary values.

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    /// Compression method in the headers; the data stay uncompressed.
    pub(crate) method: u16,
    /// General-purpose flags; bit 0 means encrypted.
    pub(crate) flags: u16,
    /// Size in the headers, instead of the true one.
    pub(crate) declared_size: Option<u32>,
    /// Offset of the local header in the directory, instead of the true one.
    pub(crate) declared_offset: Option<u32>,
}

impl Entry {
    pub(crate) fn new(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            data: data.to_vec(),
            method: 0,
            flags: 0x0800,
            declared_size: None,
            declared_offset: None,
        }
    }
}

pub(crate) fn write(entries: &[Entry]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = entry.declared_offset.unwrap_or(file.len() as u32);
        let size = entry.declared_size.unwrap_or(entry.data.len() as u32);
        // From "version needed" to "extra field length", the same in both headers.
        let mut common = Vec::new();
        for field in [20, entry.flags, entry.method, 0, 0x21] {
            common.extend(u16::to_le_bytes(field));
        }
        for field in [0, size, size] {
            common.extend(u32::to_le_bytes(field));
        }
        common.extend((entry.name.len() as u16).to_le_bytes());
        common.extend([0, 0]);

        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(entry.name.as_bytes());
        file.extend(&entry.data);

        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        // Comment length, disk, internal and external attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(count);
    file.extend(count);
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// The entries of a PyTorch file: `data.pkl`, `byteorder` and storages by number.
pub(crate) fn torch_entries(pickle: &[u8], storages: &[Vec<u8>]) -> Vec<Entry> {
    let mut entries =
        vec![Entry::new("model/data.pkl", pickle), Entry::new("model/byteorder", b"little")];
    for (key, storage) in storages.iter().enumerate() {
        entries.push(Entry::new(&format!("model/data/{key}"), storage));
    }
    entries
}

pub(crate) fn torch_zip(pickle: &[u8], storages: &[Vec<u8>]) -> Vec<u8> {
    write(&torch_entries(pickle, storages))
}
