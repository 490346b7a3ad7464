//! A fixed part of all images, so that several machines can share a set without a coordinator.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Part number `index`, from 1, of `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shard {
    index: u64,
    count: u64,
}

/// More machines than anybody has.
const MAX_SHARDS: u64 = 1_000_000;

impl Shard {
    pub(crate) fn index(self) -> u64 {
        self.index
    }

    pub(crate) fn count(self) -> u64 {
        self.count
    }

    /// Whether an image belongs to this part, decided by its name relative to its input: the first
    /// eight bytes of the name's SHA-256, as a big-endian number, modulo the number of parts.
    pub(crate) fn takes(self, relative: &Path) -> bool {
        let digest = Sha256::digest(name(relative));
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first) % self.count == self.index - 1
    }
}

/// The bytes of a name, identical on every system.
#[cfg(not(windows))]
fn name(relative: &Path) -> &[u8] {
    relative.as_os_str().as_encoded_bytes()
}

#[cfg(windows)]
fn name(relative: &Path) -> Vec<u8> {
    relative.to_string_lossy().replace('\\', "/").into_bytes()
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected I/N with 1 ≤ I ≤ N ≤ {MAX_SHARDS}, such as 1/8");
        let (index, count) = text.split_once('/').ok_or_else(expected)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| expected());
        let (index, count) = (number(index)?, number(count)?);
        let valid = (1..=count).contains(&index) && count <= MAX_SHARDS;
        valid.then_some(Self { index, count }).ok_or_else(expected)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_maps_to_exactly_one_shard() {
        let shards: Vec<Shard> = (1..=4).map(|index| Shard { index, count: 4 }).collect();
        let mut sizes = [0; 4];
        for number in 0..1000 {
            let name = format!("folder/{number}.jpg");
            let takers: Vec<usize> =
                (0..4).filter(|&index| shards[index].takes(Path::new(&name))).collect();
            assert_eq!(takers.len(), 1, "{name}");
            sizes[takers[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (200..300).contains(size)), "{sizes:?}");
        // Python: int.from_bytes(hashlib.sha256(b"a/b.jpg").digest()[:8], "big") % 5 is 3.
        let taken = |index| Shard { index, count: 5 }.takes(Path::new("a/b.jpg"));
        assert_eq!((1..=5).filter(|&index| taken(index)).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 2, count: 8 }));
        for wrong in ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3", "1/2000000"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
