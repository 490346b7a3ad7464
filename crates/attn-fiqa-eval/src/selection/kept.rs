//! One bit per row.

/// Which rows are kept, by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    words: Vec<u64>,
}

impl Kept {
    pub(super) fn insert(&mut self, row: u64) {
        let word = (row / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (row % 64);
    }

    pub(super) fn contains(&self, row: u64) -> bool {
        self.words.get((row / 64) as usize).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_rows_match_a_set() {
        let mut kept = Kept::default();
        assert_eq!((kept.count(), kept.contains(0), kept.contains(1_000)), (0, false, false));
        // Out of order, twice, and at both ends of a word.
        let rows = [700, 0, 63, 64, 127, 128, 65, 700, 321];
        rows.into_iter().for_each(|row| kept.insert(row));
        for row in 0..1_000 {
            assert_eq!(kept.contains(row), rows.contains(&row), "{row}");
        }
        assert_eq!(kept.count(), 8);
    }
}
