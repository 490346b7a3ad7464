//! The README's first command on the example faces: along each row of `examples/README.md` the
//! built-in model's quality must decrease.

#![allow(clippy::print_stdout, reason = "the figures are shown with --nocapture")]

use attn_fiqa_eval::statistics::spearman;

use crate::support::{self, examples};

/// Minimum rank correlation between quality and decreasing strength, face and five steps.
const WANTED: f64 = 0.94;

const KINDS: [&str; 7] = ["blur", "downsample", "dark", "noise", "jpeg", "occlude", "turn"];

#[test]
fn quality_decreases_with_degradation_level() {
    let here = support::TestDir::new();
    let faces = examples().join("faces");
    let faces = faces.to_str().expect("a path in UTF-8");
    let table = here.run(&["score", faces, "--aligned"]).ended_with(0).table();
    let model = attn_fiqa::checkpoint::builtin().expect("the built-in model");
    // The map to 0-100 is monotone: without it the raw score has the same order.
    let has_map = model.calibration().is_some();
    let values = table.numbers(if has_map { "quality" } else { "score" });
    let of = |stem: &str| {
        let place = table.column("path").iter().position(|path| {
            let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
            name.split('.').next() == Some(stem)
        });
        f64::from(values[place.unwrap_or_else(|| panic!("no {stem}"))])
    };
    let mut short = Vec::new();
    for kind in KINDS {
        let mut row = vec![of("astronaut")];
        row.extend((1..=5).map(|step| of(&format!("{kind}-{step}"))));
        let falling: Vec<f64> = (0..6).map(|step| -f64::from(step)).collect();
        let found = spearman(&row, &falling).expect("values that vary");
        println!("{kind:<11} {found:>6.3}  {row:?}");
        // Whatever happens in between: the unusable image is below the clean face.
        if found < WANTED || row[5] >= row[0] {
            short.push(format!("{kind}: {found:.3}, but at least {WANTED} is expected: {row:?}"));
        }
    }
    assert!(short.is_empty(), "{}", short.join("\n"));
    if has_map {
        // At least as good as an ordinary clean face.
        let best = of("astronaut");
        assert!(best >= 80.0, "a sharp, well-lit, frontal face has only {best}");
    }
}
