//! Accumulating an image's rows, for downscaling by area.

use crate::isa::for_every_isa;

for_every_isa! {
    /// `sums[i] += weight · levels[i]`, where levels are pixel values of 0 to 255.
    ///
    /// # Panics
    ///
    /// If the two differ in length.
    pub fn add_levels(levels: &[u8], weight: f32, sums: &mut [f32]) {
        assert_eq!(levels.len(), sums.len(), "levels and sums differ in length");
        for (sum, &level) in sums.iter_mut().zip(levels) {
            *sum += weight * f32::from(level);
        }
    }
}
