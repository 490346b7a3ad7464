//! Five bands of the quality range.

/// A band of the quality range 0 … 100.
///
/// With a [`QualityScale`](super::QualityScale), the limits say how often the recogniser of the
/// calibration matches such a face: below 20 less than half of the time, below 40 less than 80 %,
/// below 60 less than 95 %; from 80, an image is at least as good as the median clean one. With a
/// map of ranks, they are positions in its reference set. The measured cost of each band in false
/// non-matches is in `docs/quality.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// 0 … 19.
    Unusable,
    /// 20 … 39.
    Poor,
    /// 40 … 59.
    Fair,
    /// 60 … 79.
    Good,
    /// 80 … 100.
    Excellent,
}

impl Band {
    /// Every band, worst first.
    pub const ALL: [Self; 5] =
        [Self::Unusable, Self::Poor, Self::Fair, Self::Good, Self::Excellent];

    /// The band of a quality; `None` below 0, which means that none could be computed.
    pub fn of(quality: i8) -> Option<Self> {
        let reached = |band: &&Self| quality >= band.lowest();
        Self::ALL.iter().rev().find(reached).copied()
    }

    /// The lowest quality in the band.
    pub fn lowest(self) -> i8 {
        match self {
            Self::Unusable => 0,
            Self::Poor => 20,
            Self::Fair => 40,
            Self::Good => 60,
            Self::Excellent => 80,
        }
    }

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unusable => "unusable",
            Self::Poor => "poor",
            Self::Fair => "fair",
            Self::Good => "good",
            Self::Excellent => "excellent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quality_except_failure_has_a_band() {
        let found: Vec<Option<Band>> = (-1..=100).map(Band::of).collect();
        assert_eq!(found[0], None);
        assert!(found[1..].is_sorted() && found[1..].iter().all(Option::is_some));
        for band in Band::ALL {
            assert_eq!(Band::of(band.lowest()), Some(band));
            assert_ne!(Band::of(band.lowest() - 1), Some(band));
        }
        assert_eq!(Band::of(100), Some(Band::Excellent));
    }
}
