//! Sorts more fixed-size records than fit in memory: sorted runs in one temporary file, merged when
//! they are read. Records are compared as bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes read from one run at a time.
const CHUNK: usize = 64 << 10;

/// Takes records in any order.
pub(super) struct Sorter<'p, const N: usize> {
    waiting: Vec<[u8; N]>,
    /// Records held in memory.
    capacity: usize,
    folder: &'p Path,
    spilled: Option<Spilled>,
}

/// Sorted runs, one after the other.
struct Spilled {
    file: File,
    /// Where each run ends, in bytes.
    ends: Vec<u64>,
}

impl<'p, const N: usize> Sorter<'p, N> {
    /// `memory` is the maximum size of the records in memory, in bytes; the temporary file is
    /// created in `folder`, without a name there.
    pub(super) fn new(memory: usize, folder: &'p Path) -> Self {
        let capacity = (memory / N).max(1);
        Self { waiting: Vec::new(), capacity, folder, spilled: None }
    }

    pub(super) fn push(&mut self, record: [u8; N]) -> io::Result<()> {
        if self.waiting.len() == self.capacity {
            self.spill()?;
        }
        self.waiting.push(record);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.waiting.sort_unstable();
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => {
                none.insert(Spilled { file: tempfile::tempfile_in(self.folder)?, ends: Vec::new() })
            }
        };
        let mut writer = BufWriter::with_capacity(CHUNK, &spilled.file);
        self.waiting.iter().try_for_each(|record| writer.write_all(record))?;
        writer.flush()?;
        drop(writer);
        let start = spilled.ends.last().copied().unwrap_or_default();
        spilled.ends.push(start + (self.waiting.len() * N) as u64);
        self.waiting.clear();
        Ok(())
    }

    /// All records, to be read in order any number of times.
    pub(super) fn finish(mut self) -> io::Result<Sorted<N>> {
        if self.spilled.is_some() {
            self.spill()?;
            // From here on, the memory is used for reading.
            self.waiting = Vec::new();
        }
        self.waiting.sort_unstable();
        Ok(Sorted { records: self.waiting, spilled: self.spilled })
    }
}

/// Records in order.
pub(super) struct Sorted<const N: usize> {
    /// All of them, unless they were spilled.
    records: Vec<[u8; N]>,
    spilled: Option<Spilled>,
}

impl<const N: usize> Sorted<N> {
    /// Calls `take` with every record, the smallest first.
    pub(super) fn each(
        &mut self,
        mut take: impl FnMut(&[u8; N]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(Spilled { file, ends }) = &self.spilled else {
            return self.records.iter().try_for_each(take);
        };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let mut runs: Vec<Run<N>> =
            starts.zip(ends.iter().copied()).map(|(next, end)| Run::new(next, end)).collect();
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next(file)?.map(|record| Reverse((record, index))));
        }
        while let Some(Reverse((record, index))) = heads.pop() {
            take(&record)?;
            heads.extend(runs[index].next(file)?.map(|record| Reverse((record, index))));
        }
        Ok(())
    }
}

/// A run being read.
struct Run<const N: usize> {
    /// Where the next bytes are in the file, and where the run ends.
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl<const N: usize> Run<N> {
    fn new(next: u64, end: u64) -> Self {
        Self { next, end, buffer: Vec::new(), used: 0 }
    }

    fn next(&mut self, mut file: &File) -> io::Result<Option<[u8; N]>> {
        if self.used == self.buffer.len() {
            let whole = (CHUNK / N).max(1) * N;
            let length = (self.end - self.next).min(whole as u64);
            if length == 0 {
                return Ok(None);
            }
            self.buffer.resize(length as usize, 0);
            file.seek(SeekFrom::Start(self.next))?;
            file.read_exact(&mut self.buffer)?;
            self.next += length;
            self.used = 0;
        }
        let record = self.buffer[self.used..self.used + N].try_into();
        self.used += N;
        Ok(Some(record.expect("a buffer holds whole records: this is a bug")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted<const N: usize>(records: &[[u8; N]], memory: usize) -> Vec<[u8; N]> {
        let folder = std::env::temp_dir();
        let mut sorter = Sorter::new(memory, &folder);
        records.iter().try_for_each(|&record| sorter.push(record)).expect("pushed");
        let mut sorted = sorter.finish().expect("finished");
        let mut read = || {
            let mut found = Vec::new();
            let taken = sorted.each(|record| {
                found.push(*record);
                Ok(())
            });
            taken.expect("read");
            found
        };
        let first = read();
        assert_eq!(first, read(), "it can be read again");
        first
    }

    proptest! {
        #[test]
        fn records_are_sorted_for_any_memory_limit(
            records in prop::collection::vec(any::<[u8; 3]>(), 0..200),
            memory in 0_usize..700,
        ) {
            let mut expected = records.clone();
            expected.sort();
            prop_assert_eq!(sorted(&records, memory), expected);
        }
    }

    #[test]
    fn memory_limit_determines_the_runs() {
        let folder = std::env::temp_dir();
        // Runs of as many whole records as fit, at least one; the last one is shorter.
        for (memory, expected) in [(30, vec![30, 60, 75]), (11, vec![9, 18, 27]), (0, vec![3, 6])] {
            let mut sorter = Sorter::<3>::new(memory, &folder);
            let records = expected[expected.len() - 1] / 3;
            (0..records as u8).for_each(|n| sorter.push([n; 3]).expect("pushed"));
            let sorted = sorter.finish().expect("finished");
            assert!(sorted.records.is_empty());
            assert_eq!(sorted.spilled.expect("runs").ends, expected, "{memory}");
        }
        let mut sorter = Sorter::<3>::new(30, &folder);
        (0..10).for_each(|n| sorter.push([n; 3]).expect("pushed"));
        assert!(sorter.finish().expect("finished").spilled.is_none());
    }

    #[test]
    fn runs_longer_than_a_chunk_are_read_to_their_end() {
        let records: Vec<[u8; 3]> = (0..60_000_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[..3].try_into().expect("three"))
            .collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        assert!(sorted(&records, 90_000) == expected);
    }

    #[test]
    fn chunks_hold_whole_records_of_any_size() {
        // 33 does not divide the size of a chunk, and each run has several chunks.
        let records: Vec<[u8; 33]> = (0..5_000_u32)
            .map(|n| {
                let mut record = [0; 33];
                record[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
                record
            })
            .collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        assert!(sorted(&records, 70_000) == expected);
    }
}
