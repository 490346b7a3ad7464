//! What was computed before, kept by content.
//!
//! A table belongs to one network (by the hash of its weights), one way of
//! preparing images and one version of the program: whatever changes a number
//! changes the table's name. Its rows belong to images by the hash of their
//! bytes. Rows are appended batch by batch, so that a killed run has lost only
//! the batch in hand; a row that was cut off is dropped when the table is opened
//! again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::StudyError;
use super::hash::hex;

/// Hash of an image's encoded bytes.
pub(super) type ImageHash = [u8; 32];

/// Bytes of a row's own hash, which tells a whole row from a damaged one.
const CHECK: usize = 8;

/// Rows of a fixed number of values, by image.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    file: File,
    width: usize,
    rows: HashMap<ImageHash, usize>,
    values: Vec<f32>,
}

impl Table {
    /// Opens the table of what `description` says, `width` numbers an image.
    pub(super) fn open(folder: &Path, description: &str, width: usize) -> Result<Self, StudyError> {
        let name = hex(&Sha256::digest(description)[..16]);
        let path = folder.join(format!("{name}.rows"));
        fs::create_dir_all(folder).map_err(StudyError::io(folder, "cannot be made"))?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(StudyError::io(&path, "cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another run is writing it; wait for that run or end it".to_owned();
                return Err(StudyError::Foreign { path, problem });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StudyError::io(&path, "cannot be locked")(error));
            }
        }
        let header = format!("{description} width={width}\n");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(StudyError::io(&path, "cannot be read"))?;
        let mut table = Self { path, file, width, rows: HashMap::new(), values: Vec::new() };
        if !bytes.starts_with(header.as_bytes()) {
            // A header that was cut off is the whole file.
            if !header.as_bytes().starts_with(&bytes) {
                let problem = "its first line names something else; delete it".to_owned();
                return Err(StudyError::Foreign { path: table.path, problem });
            }
            table.rewind(0)?;
            table.write(header.as_bytes())?;
            return Ok(table);
        }
        let rows = &bytes[header.len()..];
        let mut whole = 0;
        for row in rows.chunks_exact(table.row_bytes()) {
            let (content, check) = row.split_at(row.len() - CHECK);
            if Sha256::digest(content)[..CHECK] != *check {
                break;
            }
            let (hash, values) = content.split_at(size_of::<ImageHash>());
            let mut image = ImageHash::default();
            image.copy_from_slice(hash);
            table.remember(
                image,
                values.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            );
            whole += row.len();
        }
        table.rewind((header.len() + whole) as u64)?;
        Ok(table)
    }

    /// The row of an image.
    pub(super) fn get(&self, image: &ImageHash) -> Option<&[f32]> {
        let row = *self.rows.get(image)?;
        Some(&self.values[row * self.width..][..self.width])
    }

    /// Adds rows and hands them to the operating system before it returns.
    pub(super) fn append<'v>(
        &mut self,
        rows: impl Iterator<Item = (ImageHash, &'v [f32])>,
    ) -> Result<(), StudyError> {
        let mut bytes = Vec::new();
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
            self.remember(image, values.iter().copied());
        }
        self.write(&bytes)
    }

    fn row_bytes(&self) -> usize {
        size_of::<ImageHash>() + 4 * self.width + CHECK
    }

    fn remember(&mut self, image: ImageHash, values: impl Iterator<Item = f32>) {
        let row = self.values.len() / self.width;
        if self.rows.insert(image, row).is_none() {
            self.values.extend(values);
        }
    }

    fn rewind(&mut self, length: u64) -> Result<(), StudyError> {
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map(drop).map_err(StudyError::io(&self.path, "cannot be written"))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StudyError> {
        self.file.write_all(bytes).map_err(StudyError::io(&self.path, "cannot be written"))
    }
}

/// A value that was computed from `key` before, or is computed now and kept.
///
/// The file appears whole or not at all.
pub(super) fn kept<T: serde::Serialize + serde::de::DeserializeOwned>(
    folder: &Path,
    key: &[u8],
    compute: impl FnOnce() -> Result<T, StudyError>,
) -> Result<T, StudyError> {
    let path = folder.join(format!("{}.json", hex(&Sha256::digest(key)[..16])));
    if let Ok(bytes) = fs::read(&path)
        && let Ok(value) = serde_json::from_slice(&bytes)
    {
        return Ok(value);
    }
    let value = compute()?;
    let foreign = |error: serde_json::Error| StudyError::Foreign {
        path: path.clone(),
        problem: error.to_string(),
    };
    let json = serde_json::to_vec(&value).map_err(foreign)?;
    write_whole(&path, &json)?;
    // As the next run will read it, to the last bit of every number.
    serde_json::from_slice(&json).map_err(foreign)
}

/// Writes a file that appears whole or not at all, and the folders it lies in.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StudyError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(StudyError::io(folder, "cannot be made"))?;
    let mut builder = tempfile::Builder::new();
    // Temporary files are their owner's alone; a result is for whom the user's mask lets in.
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

    #[test]
    fn rows_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Table::open(folder.path(), "network", 2).unwrap();
        append(&mut open(), &[(1, 0.5), (2, 0.25)]);
        append(&mut open(), &[(2, 9.0), (3, 0.125)]);
        let table = open();
        assert_eq!(table.get(&image(2)), Some(&[0.25, -0.25][..]));
        assert_eq!(table.get(&image(3)), Some(&[0.125, -0.125][..]));
        assert_eq!(table.get(&image(4)), None);
        let other = Table::open(folder.path(), "another network", 2).unwrap();
        assert_eq!(other.get(&image(2)), None);
    }

    #[test]
    fn whatever_was_cut_off_is_dropped_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Table::open(folder.path(), "network", 2).unwrap();
        append(&mut open(), &[(1, 0.5), (2, 0.25)]);
        let path = open().path;
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut table = open();
            assert_eq!(table.get(&image(2)), None, "at {length}");
            append(&mut table, &[(1, 0.5), (2, 0.25)]);
            drop(table);
            assert_eq!(fs::read(&path).unwrap(), whole, "at {length}");
        }
        let mut damaged = whole.clone();
        let last = damaged.len() - CHECK - 1;
        damaged[last] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let table = open();
        assert!(table.get(&image(1)).is_some() && table.get(&image(2)).is_none());
    }

    #[test]
    fn two_runs_do_not_write_one_table() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Table::open(folder.path(), "network", 2).unwrap();
        let message = Table::open(folder.path(), "network", 2).unwrap_err().to_string();
        assert!(message.contains("another run"), "{message}");
    }
}
