//! Groups faces by person, using the network's embeddings.

/// Default cosine similarity at or above which two embeddings belong to one person.
pub const DEFAULT_SAME_IDENTITY: f32 = 0.4;

/// A person: the sum of the embeddings of all their faces, each normalised to length 1.
struct Person {
    sum: Vec<f32>,
    length: f32,
}

/// Groups faces by person, greedily: each face, in the given order, joins the person whose mean
/// embedding has the highest cosine similarity with it, if that is at least `threshold`; otherwise
/// it becomes a new person. Returns the group of each face, numbered from 0 in order of first
/// appearance.
///
/// Put the best faces first, since their embeddings are the most reliable. The result depends only
/// on the order. The running time is proportional to faces times persons.
///
/// `order` names each index of `embeddings` once; all embeddings have the same length. An all-zero
/// embedding is a person of its own.
pub fn group_by_identity(embeddings: &[Vec<f32>], order: &[usize], threshold: f32) -> Vec<usize> {
    let mut persons: Vec<Person> = Vec::new();
    let mut groups = vec![0; embeddings.len()];
    for &face in order {
        let embedding = unit(&embeddings[face]);
        let cosine = |person: &Person| match person.length {
            0.0 => f32::NEG_INFINITY,
            length => dot(&embedding, &person.sum) / length,
        };
        let nearest = persons.iter().map(cosine).enumerate().fold(
            None,
            |best: Option<(usize, f32)>, (index, cosine)| match best {
                Some((_, most)) if most >= cosine => best,
                _ => Some((index, cosine)),
            },
        );
        groups[face] = match nearest {
            Some((index, cosine)) if cosine >= threshold => {
                let person = &mut persons[index];
                person.sum.iter_mut().zip(&embedding).for_each(|(sum, value)| *sum += value);
                person.length = dot(&person.sum, &person.sum).sqrt();
                index
            }
            _ => {
                let length = dot(&embedding, &embedding).sqrt();
                persons.push(Person { sum: embedding, length });
                persons.len() - 1
            }
        };
    }
    groups
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn unit(embedding: &[f32]) -> Vec<f32> {
    let length = dot(embedding, embedding).sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    embedding.iter().map(|value| value * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(degrees: f32, length: f32) -> Vec<f32> {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        vec![cosine * length, sine * length]
    }

    #[test]
    fn faces_are_grouped_by_similarity_threshold() {
        // Two persons, at 0° and 90°, whatever the lengths of the embeddings.
        let faces = [at(0.0, 1.0), at(88.0, 5.0), at(10.0, 0.1), at(95.0, 1.0), at(-8.0, 3.0)];
        let threshold = 30.0_f32.to_radians().cos();
        assert_eq!(group_by_identity(&faces, &[0, 1, 2, 3, 4], threshold), [0, 1, 0, 1, 0]);
        // Groups are numbered in this order.
        assert_eq!(group_by_identity(&faces, &[1, 0, 2, 3, 4], threshold), [1, 0, 1, 0, 1]);
        assert_eq!(group_by_identity(&faces, &[0, 1, 2, 3, 4], 1.1), [0, 1, 2, 3, 4]);
        assert_eq!(group_by_identity(&faces, &[0, 1, 2, 3, 4], -1.0), [0; 5]);
    }

    #[test]
    fn faces_are_compared_with_the_identity_mean() {
        // 0° and 20° are one person at 10°; 45° is 35° away from it and 25° from its last face.
        let faces = [at(0.0, 1.0), at(20.0, 1.0), at(45.0, 1.0)];
        let threshold = 30.0_f32.to_radians().cos();
        assert_eq!(group_by_identity(&faces, &[0, 1, 2], threshold), [0, 0, 1]);
    }

    #[test]
    fn a_zero_embedding_matches_nothing() {
        let faces = [vec![0.0, 0.0], at(5.0, 1.0), vec![0.0, 0.0]];
        assert_eq!(group_by_identity(&faces, &[0, 1, 2], 0.4), [0, 1, 2]);
    }
}
