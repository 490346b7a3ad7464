//! The best few faces of each group, best first.

use super::{Thumbnail, best_first};

/// A candidate face.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The group it belongs to; any number.
    pub group: usize,
    /// Its score; higher is better.
    pub score: f32,
    /// Distance between the eyes in pixels, 0 if unknown; breaks ties between equal scores.
    pub inter_eye_distance: f32,
    /// What it looks like.
    pub thumbnail: Thumbnail,
}

/// How many faces are selected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelectOptions {
    /// The maximum number of faces per group; at least one.
    pub top: usize,
    /// Faces whose thumbnails are at least this similar count as one; a value above 1 keeps
    /// duplicates.
    pub same_image: f32,
}

/// A selected face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pick {
    /// The index of the candidate.
    pub index: usize,
    /// Its rank in its group, from 1.
    pub rank: usize,
    /// The number of faces in its group.
    pub of: usize,
    /// Worse faces of its group that were left out as near-duplicates of this one.
    pub duplicates: usize,
}

/// Selects the best faces of each group, without near-duplicates. The picks of a group are
/// consecutive, best first; groups are in the order in which their first members appear among the
/// candidates.
pub fn select(candidates: &[Candidate], options: &SelectOptions) -> Vec<Pick> {
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let place = *places.entry(candidate.group).or_insert_with(|| {
            groups.push((candidate.group, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(index);
    }
    groups
        .into_iter()
        .flat_map(|(_, members)| select_of_one(candidates, members, options))
        .collect()
}

fn select_of_one(
    candidates: &[Candidate],
    mut members: Vec<usize>,
    options: &SelectOptions,
) -> Vec<Pick> {
    let key = |index: usize| (candidates[index].score, candidates[index].inter_eye_distance, index);
    members.sort_by(|&a, &b| best_first(key(a), key(b)));
    let of = members.len();
    let mut picks: Vec<Pick> = Vec::new();
    for index in members {
        let look = &candidates[index].thumbnail;
        let same = picks.iter().position(|pick: &Pick| {
            candidates[pick.index].thumbnail.similarity(look) >= options.same_image
        });
        match same {
            Some(same) => picks[same].duplicates += 1,
            None if picks.len() < options.top.max(1) => {
                picks.push(Pick { index, rank: picks.len() + 1, of, duplicates: 0 });
            }
            None => {}
        }
    }
    picks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::Crop;

    /// A face with one of a few images that have nothing in common.
    fn face(group: usize, score: f32, inter_eye_distance: f32, image: usize) -> Candidate {
        let level = |i: usize| if ((i % 16) >> image) & 1 == 1 { 220 } else { 30 };
        let rgb = (0..16 * 16).flat_map(|i| [level(i); 3]).collect();
        let thumbnail = Thumbnail::of(&Crop::from_rgb(16, rgb).expect("a crop"));
        Candidate { group, score, inter_eye_distance, thumbnail }
    }

    fn picks(
        candidates: &[Candidate],
        top: usize,
        same_image: f32,
    ) -> Vec<(usize, usize, usize, usize)> {
        let picks = select(candidates, &SelectOptions { top, same_image });
        picks.iter().map(|pick| (pick.index, pick.rank, pick.of, pick.duplicates)).collect()
    }

    #[test]
    fn best_faces_per_group_are_selected_without_duplicates() {
        let faces = [
            face(7, 0.1, 40.0, 0),
            face(3, 0.9, 40.0, 1),
            face(7, 0.5, 40.0, 1),
            face(7, 0.4, 40.0, 1),
            face(7, 0.3, 40.0, 2),
            face(7, 0.2, 40.0, 2),
        ];
        assert_eq!(picks(&faces, 2, 0.9), [(2, 1, 5, 1), (4, 2, 5, 1), (1, 1, 1, 0)]);
        assert_eq!(picks(&faces, 1, 0.9), [(2, 1, 5, 1), (1, 1, 1, 0)]);
        // Above 1, nothing is a duplicate.
        assert_eq!(picks(&faces, 3, 1.1), [(2, 1, 5, 0), (3, 2, 5, 0), (4, 3, 5, 0), (1, 1, 1, 0)]);
        assert_eq!(picks(&[], 3, 0.9), []);
    }

    #[test]
    fn ties_prefer_larger_then_earlier_faces() {
        let faces = [face(0, 0.5, 30.0, 0), face(0, 0.5, 60.0, 1), face(0, 0.5, 30.0, 2)];
        assert_eq!(picks(&faces, 3, 0.9), [(1, 1, 3, 0), (0, 2, 3, 0), (2, 3, 3, 0)]);
    }
}
