//! What the seed of a degradation determines: each choice occurs as often as it should.

use attn_fiqa::causes::FaceRegion;
use attn_fiqa::crop::Crop;
use attn_fiqa_eval::degrade::{Degradation, Level, cover_region, sample_degradation};

#[test]
fn occlusion_comes_from_every_edge() {
    let side = 20;
    let crop = Crop::from_rgb(side, vec![128; side * side * 3]).expect("a crop");
    let mut edges = [0; 4];
    for seed in 0..200 {
        // 0.425 of 20 pixels, rounded.
        let level = Level::new(0.5).expect("a level");
        let found = Degradation::Occlusion.apply(&crop, level, seed);
        let covered =
            |row: usize, column: usize| found.rgb()[(row * side + column) * 3..][..3] != [128; 3];
        let expected: [fn(usize, usize) -> bool; 4] = [
            |row, _| row < 9,
            |row, _| row >= 11,
            |_, column| column < 9,
            |_, column| column >= 11,
        ];
        let all = || (0..side * side).map(|index| (index / side, index % side));
        let edge = expected.iter().position(|inside| {
            all().all(|(row, column)| covered(row, column) == inside(row, column))
        });
        edges[edge.expect("one edge is covered")] += 1;
    }
    // 50 each, plus or minus 20 (more than three standard deviations).
    assert!(edges.iter().all(|count| (30..=70).contains(count)), "{edges:?}");
}

#[test]
fn covers_vary_in_colour_grain_and_edges() {
    let side = 112;
    let crop = Crop::from_rgb(side, vec![128; side * side * 3]).expect("a crop");
    let region = FaceRegion::ALL[0];
    let [left, top, right, bottom] = region.bounds();
    // Well inside, all of it is covered.
    let inside = |index: &usize| {
        let (x, y) = ((index % side) as f64, (index / side) as f64);
        x > left + 3.0 && x < right - 4.0 && y > top + 3.0 && y < bottom - 4.0
    };
    let inside: Vec<usize> = (0..side * side).filter(inside).collect();
    let count = inside.len() as f64;
    let (mut colours, mut grains, mut edges) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..150 {
        let covered = cover_region(&crop, region, seed);
        let levels = || inside.iter().map(|&index| f64::from(covered.rgb()[index * 3]));
        let mean = levels().sum::<f64>() / count;
        let variance = levels().map(|level| (level - mean).powi(2)).sum::<f64>() / count;
        colours.push(mean);
        // Elsewhere the ends of the scale cut the grain.
        if (100.0..155.0).contains(&mean) {
            grains.push(variance.sqrt());
        }
        let row = ((top + bottom) / 2.0) as usize;
        let changed = |column: &usize| covered.rgb()[(row * side + column) * 3..][..3] != [128; 3];
        edges.push((0..side).find(changed).expect("a cover") as f64 - left);
    }
    let extent = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        [low, mean, high]
    };
    // Uniform on 0 … 255, up to 40 and ±3: the mean of 150 is within three standard deviations.
    let [low, mean, high] = extent(&colours);
    assert!(low < 40.0 && (109.0..146.0).contains(&mean) && high > 215.0, "{colours:?}");
    let [low, mean, high] = extent(&grains);
    assert!(low < 12.0 && (12.0..28.0).contains(&mean) && high < 43.0, "{grains:?}");
    let [low, mean, high] = extent(&edges);
    assert!((-3.0..-1.5).contains(&low) && high > 1.5 && high <= 4.0, "{edges:?}");
    // The first whole column is half a pixel further.
    assert!((mean - 0.5).abs() < 0.6, "{mean}");
}

#[test]
fn a_mixed_set_has_its_fraction_of_each_kind() {
    let kinds = [Degradation::Blur, Degradation::Noise, Degradation::Shift];
    let sample =
        |fraction: f64| (0..3_000).map(move |seed| sample_degradation(&kinds, fraction, seed));
    assert!(sample(0.0).all(|found| found.is_none()));
    assert!(sample(1.0).all(|found| found.is_some()));
    assert_eq!(sample_degradation(&[], 1.0, 1), None);
    let degraded: Vec<(Degradation, Level)> = sample(0.3).flatten().collect();
    // 900 of 3,000, plus or minus 75 (three standard deviations).
    assert!((825..=975).contains(&degraded.len()), "{}", degraded.len());
    for kind in kinds {
        let own = degraded.iter().filter(|(other, _)| *other == kind).count() as f64;
        assert!((own / degraded.len() as f64 - 1.0 / 3.0).abs() < 0.05, "{kind}: {own}");
    }
    let mean = degraded.iter().map(|(_, level)| level.get()).sum::<f64>() / degraded.len() as f64;
    assert!((mean - 0.5).abs() < 0.03, "{mean}");
    assert_eq!(sample_degradation(&kinds, 0.3, 5), sample_degradation(&kinds, 0.3, 5));
}
