//! Results of earlier runs, cached by content.
//!
//! A table belongs to one network (by the hash of its weights), one preprocessing of images and one
//! version of the program: everything that affects a value is part of the table's name. Its rows
//! belong to images by the hash of their bytes. Rows are appended batch by batch, so that a killed
//! run loses only its last batch; a truncated row is dropped when the table is opened again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::StudyError;
use super::hash::hex;

/// Hash of an image's encoded bytes.
pub(super) type ImageHash = [u8; 32];

/// Bytes of a row's own hash, which detects a damaged row.
const CHECK: usize = 8;

/// Longer than any description.
const MAX_HEADER: u64 = 1 << 16;

/// Rows of a fixed number of values, by image. The values stay in the file: those of a large set
/// would fill the memory.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    file: File,
    width: usize,
    /// Where the rows begin.
    start: u64,
    rows: HashMap<ImageHash, u32>,
    count: u32,
}

impl Table {
    /// Opens the table for `description`, with `width` values per image.
    pub(super) fn open(folder: &Path, description: &str, width: usize) -> Result<Self, StudyError> {
        let name = hex(&Sha256::digest(description)[..16]);
        let path = folder.join(format!("{name}.rows"));
        fs::create_dir_all(folder).map_err(StudyError::io(folder, "cannot be made"))?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(StudyError::io(&path, "cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another run is writing it; wait for that run or end it".to_owned();
                return Err(StudyError::UnexpectedContent { path, problem });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StudyError::io(&path, "cannot be locked")(error));
            }
        }
        let header = format!("{description} width={width}\n");
        let start = header.len() as u64;
        let mut table = Self { path, file, width, start, rows: HashMap::new(), count: 0 };
        let mut found = Vec::new();
        let mut head = (&table.file).take(start.min(MAX_HEADER));
        head.read_to_end(&mut found).map_err(StudyError::io(&table.path, "cannot be read"))?;
        if found != header.as_bytes() {
            // A file with a truncated header contains nothing else.
            if !header.as_bytes().starts_with(&found) {
                let problem = "its first line names something else; delete it".to_owned();
                return Err(StudyError::UnexpectedContent { path: table.path, problem });
            }
            table.truncate(0)?;
            table.write(header.as_bytes())?;
            return Ok(table);
        }
        table.index().map_err(StudyError::io(&table.path.clone(), "cannot be read"))?;
        table.truncate(table.place(table.count))?;
        Ok(table)
    }

    /// Indexes the rows, up to the first damaged one.
    fn index(&mut self) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, &self.file);
        let mut row = vec![0; self.row_bytes() as usize];
        loop {
            match reader.read_exact(&mut row) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
            let (content, check) = row.split_at(row.len() - CHECK);
            if Sha256::digest(content)[..CHECK] != *check {
                return Ok(());
            }
            let mut image = ImageHash::default();
            image.copy_from_slice(&content[..size_of::<ImageHash>()]);
            self.rows.entry(image).or_insert(self.count);
            self.count += 1;
        }
    }

    /// Whether the image has a row.
    pub(super) fn contains(&self, image: &ImageHash) -> bool {
        self.rows.contains_key(image)
    }

    /// Reads rows, fastest in the order in which they were added.
    pub(super) fn reader(&self) -> Result<RowReader<'_>, StudyError> {
        let mut file = BufReader::new(&self.file);
        let cannot = StudyError::io(&self.path, "cannot be read");
        file.seek(SeekFrom::Start(self.start)).map_err(cannot)?;
        Ok(RowReader { table: self, file, at: self.start, bytes: vec![0; 4 * self.width] })
    }

    /// Adds rows and writes them to the file before it returns.
    pub(super) fn append<'v>(
        &mut self,
        rows: impl Iterator<Item = (ImageHash, &'v [f32])>,
    ) -> Result<(), StudyError> {
        let mut bytes = Vec::new();
        let end = self.place(self.count);
        for (image, values) in rows {
            assert_eq!(values.len(), self.width, "a row of another width: this is a bug");
            if self.rows.contains_key(&image) {
                continue;
            }
            let start = bytes.len();
            bytes.extend_from_slice(&image);
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let check = Sha256::digest(&bytes[start..]);
            bytes.extend_from_slice(&check[..CHECK]);
            self.rows.insert(image, self.count);
            self.count += 1;
        }
        // A reader may have moved the file position.
        let sought = self.file.seek(SeekFrom::Start(end));
        sought.map_err(StudyError::io(&self.path, "cannot be written"))?;
        self.write(&bytes)
    }

    fn row_bytes(&self) -> u64 {
        (size_of::<ImageHash>() + 4 * self.width + CHECK) as u64
    }

    /// Offset of a row in the file.
    fn place(&self, row: u32) -> u64 {
        self.start + u64::from(row) * self.row_bytes()
    }

    fn truncate(&mut self, length: u64) -> Result<(), StudyError> {
        let truncated =
            self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        truncated.map(drop).map_err(StudyError::io(&self.path, "cannot be written"))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StudyError> {
        self.file.write_all(bytes).map_err(StudyError::io(&self.path, "cannot be written"))
    }
}

/// Reads the rows of a [`Table`].
#[derive(Debug)]
pub(super) struct RowReader<'t> {
    table: &'t Table,
    file: BufReader<&'t File>,
    /// Position in `file`.
    at: u64,
    bytes: Vec<u8>,
}

impl RowReader<'_> {
    /// Reads the row of an image into `values`, whose length is the table's width; returns whether
    /// there is one.
    pub(super) fn read(
        &mut self,
        image: &ImageHash,
        values: &mut [f32],
    ) -> Result<bool, StudyError> {
        let Some(&row) = self.table.rows.get(image) else { return Ok(false) };
        let place = self.table.place(row) + size_of::<ImageHash>() as u64;
        // If it is in the buffer, this reads nothing.
        let moved = self.file.seek_relative(place as i64 - self.at as i64);
        let read = moved.and_then(|()| self.file.read_exact(&mut self.bytes));
        read.map_err(StudyError::io(&self.table.path, "cannot be read"))?;
        self.at = place + self.bytes.len() as u64;
        let (numbers, _) = self.bytes.as_chunks();
        for (value, &bytes) in values.iter_mut().zip(numbers) {
            *value = f32::from_le_bytes(bytes);
        }
        Ok(true)
    }
}

/// The value stored under `key`, if any.
pub(super) fn load_stored<T: serde::de::DeserializeOwned>(
    folder: &Path,
    key: &ImageHash,
) -> Option<T> {
    serde_json::from_slice(&fs::read(stored_at(folder, key)).ok()?).ok()
}

/// Stores a value under `key` and returns it as the next run will read it, bit for bit. The write
/// is atomic.
pub(super) fn store<T: serde::Serialize + serde::de::DeserializeOwned>(
    folder: &Path,
    key: &ImageHash,
    value: &T,
) -> Result<T, StudyError> {
    let path = stored_at(folder, key);
    let unexpected = |error: serde_json::Error| StudyError::UnexpectedContent {
        path: path.clone(),
        problem: error.to_string(),
    };
    let json = serde_json::to_vec(value).map_err(unexpected)?;
    write_atomic(&path, &json)?;
    serde_json::from_slice(&json).map_err(unexpected)
}

fn stored_at(folder: &Path, key: &ImageHash) -> PathBuf {
    folder.join(format!("{}.json", hex(&key[..16])))
}

/// Writes a file atomically, and creates its folders.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), StudyError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(StudyError::io(folder, "cannot be made"))?;
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no permissions to set"))]
    let mut builder = tempfile::Builder::new();
    // Temporary files are private to their owner; a result follows the user's umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file =
        builder.tempfile_in(folder).map_err(StudyError::io(folder, "cannot be written into"))?;
    file.write_all(bytes).map_err(StudyError::io(path, "cannot be written"))?;
    let persisted = file.persist(path).map_err(|error| error.error);
    persisted.map(drop).map_err(StudyError::io(path, "cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(n: u8) -> ImageHash {
        [n; 32]
    }

    fn rows(numbers: &[(u8, f32)]) -> Vec<(ImageHash, Vec<f32>)> {
        numbers.iter().map(|&(n, value)| (image(n), vec![value, -value])).collect()
    }

    fn append(table: &mut Table, numbers: &[(u8, f32)]) {
        let rows = rows(numbers);
        table.append(rows.iter().map(|(image, row)| (*image, row.as_slice()))).unwrap();
    }

    fn get(table: &Table, n: u8) -> Option<Vec<f32>> {
        let mut values = vec![0.0; 2];
        let found = table.reader().unwrap().read(&image(n), &mut values).unwrap();
        found.then_some(values)
    }

    #[test]
    fn cached_rows_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Table::open(folder.path(), "network", 2).unwrap();
        append(&mut open(), &[(1, 0.5), (2, 0.25)]);
        append(&mut open(), &[(2, 9.0), (3, 0.125)]);
        let mut table = open();
        // In any order, and rows may be added after some were read.
        assert_eq!(get(&table, 3), Some(vec![0.125, -0.125]));
        assert_eq!(get(&table, 2), Some(vec![0.25, -0.25]));
        assert_eq!(get(&table, 4), None);
        append(&mut table, &[(4, 1.0)]);
        assert_eq!(get(&table, 4), Some(vec![1.0, -1.0]));
        drop(table);
        assert_eq!(get(&open(), 4), Some(vec![1.0, -1.0]));
        let other = Table::open(folder.path(), "another network", 2).unwrap();
        assert_eq!(get(&other, 2), None);
    }

    #[test]
    fn truncated_cache_rows_are_dropped_and_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Table::open(folder.path(), "network", 2).unwrap();
        append(&mut open(), &[(1, 0.5), (2, 0.25)]);
        let path = open().path;
        let complete = fs::read(&path).unwrap();
        for length in 0..complete.len() {
            fs::write(&path, &complete[..length]).unwrap();
            let mut table = open();
            assert!(!table.contains(&image(2)), "at {length}");
            append(&mut table, &[(1, 0.5), (2, 0.25)]);
            drop(table);
            assert_eq!(fs::read(&path).unwrap(), complete, "at {length}");
        }
        let mut damaged = complete.clone();
        let last = damaged.len() - CHECK - 1;
        damaged[last] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let table = open();
        assert!(table.contains(&image(1)) && !table.contains(&image(2)));
    }

    #[test]
    fn table_is_locked_against_a_second_run() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Table::open(folder.path(), "network", 2).unwrap();
        let message = Table::open(folder.path(), "network", 2).unwrap_err().to_string();
        assert!(message.contains("another run"), "{message}");
    }
}
