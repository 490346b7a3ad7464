//! Operations on embeddings before they are compared.

use crate::crop::Crop;

/// The Euclidean norm. Networks trained with a margin loss give clear faces larger norms, so it is
/// a quality score in its own right.
pub fn norm(embedding: &[f32]) -> f32 {
    embedding.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt() as f32
}

/// The embedding scaled to unit length; a zero embedding stays unchanged.
pub fn normalised(embedding: &[f32]) -> Vec<f32> {
    let norm = norm(embedding);
    if norm == 0.0 {
        return embedding.to_vec();
    }
    embedding.iter().map(|value| value / norm).collect()
}

/// The embeddings of a face and of its mirror image, each normalised, concatenated (definitions
/// §4): twice as many elements, of norm √2.
pub fn joined_with_mirror(embedding: &[f32], mirror: &[f32]) -> Vec<f32> {
    [normalised(embedding), normalised(mirror)].concat()
}

/// A crop and its landmarks flipped horizontally: left becomes right.
pub fn mirrored(crop: &Crop) -> Crop {
    let row = crop.side() * 3;
    let mut rgb = Vec::with_capacity(crop.rgb().len());
    for row in crop.rgb().chunks_exact(row.max(1)) {
        row.chunks_exact(3).rev().for_each(|pixel| rgb.extend_from_slice(pixel));
    }
    let mirror = Crop::from_rgb(crop.side(), rgb);
    let mirror = mirror.expect("a mirror image is of the same size: this is a bug");
    let Some(landmarks) = crop.landmarks() else { return mirror };
    let [left_eye, right_eye, nose, left_mouth, right_mouth] =
        landmarks.map(|[x, y]| [(crop.side() - 1) as f32 - x, y]);
    mirror.with_landmarks([right_eye, left_eye, nose, right_mouth, left_mouth])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_swaps_pixels_but_not_channels() {
        let rgb: Vec<u8> = (0..12).collect();
        let crop = Crop::from_rgb(2, rgb).expect("a crop");
        assert_eq!(mirrored(&crop).rgb(), [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]);
        assert_eq!(mirrored(&mirrored(&crop)), crop);
    }

    #[test]
    fn mirroring_swaps_left_and_right_landmarks() {
        let crop = Crop::from_rgb(4, vec![0; 48]).expect("a crop");
        let crop =
            crop.with_landmarks([[0.0, 1.0], [3.0, 0.0], [1.5, 2.0], [0.5, 3.0], [2.0, 3.5]]);
        let expected = [[0.0, 0.0], [3.0, 1.0], [1.5, 2.0], [1.0, 3.5], [2.5, 3.0]];
        assert_eq!(mirrored(&crop).landmarks(), Some(expected));
        assert_eq!(mirrored(&mirrored(&crop)), crop);
    }

    #[test]
    fn joined_halves_have_unit_norm() {
        let joined = joined_with_mirror(&[3.0, 4.0], &[0.0, 10.0]);
        assert_eq!(joined, [0.6, 0.8, 0.0, 1.0]);
        assert_eq!(normalised(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
