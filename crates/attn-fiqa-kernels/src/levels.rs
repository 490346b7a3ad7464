//! Sums of an image's rows.

use crate::isa::for_every_isa;

for_every_isa! {
    /// `sums[i] += weight · levels[i]`: a row's share in what covers it.
    ///
    /// # Panics
    ///
    /// When the two differ in length.
    pub fn add_levels(levels: &[u8], weight: f32, sums: &mut [f32]) {
        assert_eq!(levels.len(), sums.len(), "one sum a level");
        for (sum, &level) in sums.iter_mut().zip(levels) {
            *sum += weight * f32::from(level);
        }
    }
}
