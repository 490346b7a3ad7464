//! Qualities of 0–100 in four words.

/// A band of the quality range 0 … 100.
///
/// The limits are places in a calibration's reference set, half of which are faces
/// as they are and half damaged ones of all strengths: a score that followed utility
/// perfectly would put the damaged ones below 50 and the more damaged the lower. So
/// the lowest fifth is what is damaged beyond use, the next one damaged plainly;
/// from 60 up nearly all are faces as they are. What each band costs in false
/// non-matches was measured and is in `docs/quality.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// 0 … 19.
    Unusable,
    /// 20 … 39.
    Poor,
    /// 40 … 59.
    Fair,
    /// 60 … 100.
    Good,
}

impl Band {
    /// Every band, the worst first.
    pub const ALL: [Self; 4] = [Self::Unusable, Self::Poor, Self::Fair, Self::Good];

    /// The band of a quality; `None` below 0, where none could be computed.
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
        }
    }

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unusable => "unusable",
            Self::Poor => "poor",
            Self::Fair => "fair",
            Self::Good => "good",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quality_has_one_band_and_a_failure_none() {
        let found: Vec<Option<Band>> = (-1..=100).map(Band::of).collect();
        assert_eq!(found[0], None);
        assert!(found[1..].is_sorted() && found[1..].iter().all(Option::is_some));
        for band in Band::ALL {
            assert_eq!(Band::of(band.lowest()), Some(band));
            assert_ne!(Band::of(band.lowest() - 1), Some(band));
        }
        assert_eq!(Band::of(100), Some(Band::Good));
    }
}
