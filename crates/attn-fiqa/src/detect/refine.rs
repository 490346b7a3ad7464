//! A second look at each face, for exacter landmarks.
//!
//! A detector sees faces at any place, size and turn, and pays for it in exactness.
//! Its landmarks are good enough to turn a face upright and bring it to one size at
//! which the network sees well, and there it is asked again: once as it is, once in
//! the mirror, and the two answers are averaged.

use crate::align::{Landmarks, Similarity, TEMPLATE_112, similarity_to_template, warp};
use crate::crop::Crop;
use crate::picture::Picture;
use crate::recognise::mirrored;

/// Pixels on a side of a view: most of the head, and little to look at in vain.
pub(super) const VIEW: usize = 128;
/// Pixels between the eyes of a face that fits the template. Of 24, 32, 38, 44, 50 and 56
/// this gave the least error on LFW (`models/detector.md`).
const EYES: f64 = 44.0;
/// How sure the detector must be of a face in a view: there is one, it was found before.
pub(super) const MIN_CONFIDENCE: f32 = 0.2;
/// Mean way of the five points, as a share of the distance between the eyes of the
/// template laid on the face, from which on the new points are not believed.
const TOO_FAR: f64 = 0.5;
/// Mirroring exchanges the eyes and the corners of the mouth.
const MIRRORED: [usize; 5] = [1, 0, 2, 4, 3];

/// Where a face is looked at again.
pub(super) struct View {
    to_picture: Similarity,
    pixels: Crop,
}

impl View {
    /// The upright view of a face by its rough landmarks; `None` where they are no face's.
    pub(super) fn of(picture: &Picture, rough: &Landmarks) -> Option<Self> {
        let to_view = in_view(&similarity_to_template(rough, 112).ok()?);
        let to_picture = to_view.inverse()?;
        Some(Self { to_picture, pixels: warp(picture, &to_view, VIEW) })
    }

    /// What the view shows.
    pub(super) fn pixels(&self) -> Picture {
        picture_of(&self.pixels)
    }

    /// The same in the mirror.
    pub(super) fn mirrored(&self) -> Picture {
        picture_of(&mirrored(&self.pixels))
    }

    /// What was found in the view and in its mirror image, of several faces that in the
    /// middle, averaged, in the picture; `None` where nothing was found in the middle.
    pub(super) fn landmarks(
        &self,
        found: &[Landmarks],
        found_in_mirror: &[Landmarks],
    ) -> Option<Landmarks> {
        let seen = [middle(found), middle(found_in_mirror).map(|points| mirror(&points))];
        let seen: Vec<Landmarks> = seen.into_iter().flatten().collect();
        let mean = |index: usize, axis: usize| {
            let sum: f64 = seen.iter().map(|points| f64::from(points.0[index][axis])).sum();
            sum / seen.len() as f64
        };
        let back = |index| self.to_picture.apply([mean(index, 0), mean(index, 1)]);
        (!seen.is_empty())
            .then(|| Landmarks(std::array::from_fn(|index| back(index).map(|v| v as f32))))
    }
}

fn picture_of(crop: &Crop) -> Picture {
    Picture::from_rgb(VIEW, VIEW, crop.rgb().to_vec()).expect("a crop is a picture: this is a bug")
}

/// Whether points are a face's in the picture and near enough to where it was found.
pub(super) fn believable(rough: &Landmarks, found: &Landmarks, picture: &Picture) -> bool {
    let (Ok(before), Ok(_), Ok(())) = (
        similarity_to_template(rough, 112),
        similarity_to_template(found, 112),
        found.check_within(picture.width(), picture.height()),
    ) else {
        return false;
    };
    let eyes = template_eyes() / before.scale();
    let ways =
        rough.0.iter().zip(&found.0).map(|(a, b)| f64::from((a[0] - b[0]).hypot(a[1] - b[1])));
    ways.sum::<f64>() / 5.0 <= TOO_FAR * eyes
}

fn template_eyes() -> f64 {
    let [[lx, ly], [rx, ry], ..] = TEMPLATE_112;
    (rx - lx).hypot(ry - ly)
}

/// From a picture to a view: the template's pixels scaled, the middle of its points in
/// the middle of the view.
fn in_view(to_template: &Similarity) -> Similarity {
    let scale = EYES / template_eyes();
    let middle = (VIEW as f64 - 1.0) / 2.0;
    let mean = |axis: usize| TEMPLATE_112.iter().map(|point| point[axis]).sum::<f64>() / 5.0;
    let shift = [0, 1].map(|axis| (to_template.shift[axis] - mean(axis)) * scale + middle);
    Similarity { a: to_template.a * scale, b: to_template.b * scale, shift }
}

/// The face whose points' mean is nearest to the view's middle, if it is near.
fn middle(found: &[Landmarks]) -> Option<Landmarks> {
    let centre = (VIEW as f32 - 1.0) / 2.0;
    let away = |points: &Landmarks| {
        let mean = |axis: usize| points.0.iter().map(|point| point[axis]).sum::<f32>() / 5.0;
        (mean(0) - centre).abs().max((mean(1) - centre).abs())
    };
    let near = found.iter().map(|points| (away(points), points));
    let nearest = near.min_by(|(a, _), (b, _)| a.total_cmp(b));
    nearest.filter(|&(away, _)| f64::from(away) < EYES).map(|(_, points)| *points)
}

/// Where the points of a mirrored view lie in the view.
fn mirror(points: &Landmarks) -> Landmarks {
    Landmarks(MIRRORED.map(|index| {
        let [x, y] = points.0[index];
        [VIEW as f32 - 1.0 - x, y]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(turn: f64, scale: f64, shift: [f64; 2]) -> Similarity {
        Similarity { a: scale * turn.cos(), b: scale * turn.sin(), shift }
    }

    fn moved(landmarks: &Landmarks, by: &Similarity) -> Landmarks {
        Landmarks(landmarks.0.map(|point| by.apply(point.map(f64::from)).map(|v| v as f32)))
    }

    fn template() -> Landmarks {
        Landmarks(TEMPLATE_112.map(|[x, y]| [x as f32, y as f32]))
    }

    /// A picture, black but for one white pixel a landmark.
    fn marked(points: &Landmarks, side: usize) -> Picture {
        let mut rgb = vec![0; side * side * 3];
        for [x, y] in points.0 {
            let at = (y.round() as usize * side + x.round() as usize) * 3;
            rgb[at..at + 3].fill(255);
        }
        Picture::from_rgb(side, side, rgb).unwrap()
    }

    fn is_bright_near(view: &Picture, [x, y]: [f64; 2]) -> bool {
        let near = |at: f64| (at.round() as usize - 1)..=(at.round() as usize + 1);
        near(y).any(|y| near(x).any(|x| view.rgb()[(y * VIEW + x) * 3] > 60))
    }

    #[test]
    fn a_face_is_upright_in_the_middle_whatever_its_turn_and_size() {
        let upright = TEMPLATE_112.map(|point| in_view(&turned(0.0, 1.0, [0.0; 2])).apply(point));
        let eyes = (upright[1][0] - upright[0][0]).hypot(upright[1][1] - upright[0][1]);
        assert!((eyes - EYES).abs() < 1e-9);
        for (turn, scale) in [(0.0, 1.0), (0.6, 1.3), (-0.9, 1.2), (3.0, 0.9)] {
            // Around the middle of the picture.
            let by = turned(turn, scale, [0.0; 2]);
            let [x, y] = by.apply([56.0, 72.0]);
            let by = Similarity { shift: [150.0 - x, 150.0 - y], ..by };
            let points = moved(&template(), &by);
            let view = View::of(&marked(&points, 300), &points).unwrap();
            let mirrored = view.mirrored();
            for [x, y] in upright {
                assert!(is_bright_near(&view.pixels(), [x, y]), "{turn} {scale}");
                assert!(is_bright_near(&mirrored, [127.0 - x, y]), "{turn} {scale}");
            }
        }
    }

    #[test]
    fn what_is_found_in_a_view_is_mapped_back_to_the_picture() {
        let points = moved(&template(), &turned(0.4, 1.7, [120.0, 30.0]));
        let picture = marked(&points, 400);
        // Rough landmarks: turned, shrunk and moved a little.
        let rough = moved(&points, &turned(0.1, 0.9, [15.0, 25.0]));
        let view = View::of(&picture, &rough).unwrap();
        let to_view = view.to_picture.inverse().unwrap();
        let found = moved(&points, &to_view);
        let in_mirror = mirror(&found);
        assert!(in_mirror.0[0][0] < in_mirror.0[1][0], "left and right are the picture's");
        let far = moved(&found, &turned(0.0, 1.0, [60.0, 0.0]));
        let close = |landmarks: Option<Landmarks>| {
            let pairs = landmarks.unwrap().0.into_iter().zip(points.0);
            pairs.for_each(|(a, b)| assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 1e-2));
        };
        close(view.landmarks(&[far, found], &[in_mirror, far]));
        close(view.landmarks(&[found], &[]));
        close(view.landmarks(&[], &[in_mirror]));
        assert_eq!(view.landmarks(&[far], &[]), None);
        // Opposite errors in the two cancel each other.
        let off = |points: &Landmarks| moved(points, &turned(0.0, 1.0, [2.0, 0.0]));
        close(view.landmarks(&[off(&found)], &[off(&in_mirror)]));
    }

    #[test]
    fn points_far_from_the_rough_ones_or_of_no_face_are_not_believed() {
        let picture = Picture::from_rgb(200, 200, vec![0; 200 * 200 * 3]).unwrap();
        let rough = template();
        assert!(believable(&rough, &moved(&rough, &turned(0.0, 1.0, [12.0, 12.0])), &picture));
        assert!(!believable(&rough, &moved(&rough, &turned(0.0, 1.0, [13.0, 13.0])), &picture));
        assert!(!believable(&rough, &Landmarks([[56.0, 72.0]; 5]), &picture));
        let mut broken = rough;
        broken.0[2][0] = f32::NAN;
        assert!(!believable(&rough, &broken, &picture));
    }
}
