//! The curves against those of the CR-FIQA and dasec programs.

use attn_fiqa_eval::edc::{Evaluator, PAUC_LIMIT, Protocol, Ranking, Target, grid};

use crate::support::{Set, assert_near, golden, numbers};

#[test]
fn crfiqa_curves_match_published_code() {
    for golden in golden() {
        let set = Set::golden(&golden);
        let ranking = Ranking::new(&set.quality).expect("a ranking");
        let names = ["1e-2", "1e-3", "1e-4"];
        let targets = names.map(|name| Target::Fmr(name.parse().expect("a rate")));
        let evaluator = Evaluator::new(&set.comparisons);
        let curves = evaluator.curves(&ranking, Protocol::Crfiqa, &targets).expect("curves");
        let expected = &golden["crfiqa"];
        for (found, expected) in grid().iter().zip(numbers(&expected["discard"])) {
            assert_near(Some(*found), expected, "discard fraction");
        }
        for (curve, name) in curves.iter().zip(names) {
            let thresholds = numbers(&expected["threshold"][name]);
            let fnmr = numbers(&expected["fnmr"][name]);
            assert_eq!([curve.points.len(); 2], [thresholds.len(), fnmr.len()]);
            for (point, (threshold, fnmr)) in curve.points.iter().zip(thresholds.iter().zip(fnmr)) {
                assert_near(point.threshold, *threshold, "threshold");
                assert_near(point.fnmr, fnmr, "FNMR");
            }
            let area = |name_of_area: &str| expected[name_of_area][name].as_f64().expect("an area");
            assert_near(curve.auc(), area("auc"), "AUC");
            assert_near(curve.pauc(PAUC_LIMIT), area("pauc_030"), "pAUC");
        }
    }
}

#[test]
fn iso_curves_match_reference_code() {
    for golden in golden() {
        let set = Set::golden(&golden);
        let ranking = Ranking::new(&set.quality).expect("a ranking");
        let evaluator = Evaluator::new(&set.comparisons);
        let expected = golden["dasec"].as_object().expect("curves by starting FNMR");
        for (start, expected) in expected {
            let target = Target::Fnmr(start.parse().expect("a rate"));
            let curves = evaluator.curves(&ranking, Protocol::Iso, &[target]).expect("a curve");
            let curve = &curves[0];
            let discards = numbers(&expected["discard_fractions"]);
            let errors = numbers(&expected["error_fractions"]);
            assert_eq!([curve.points.len(); 2], [discards.len(), errors.len()]);
            for (point, (discard, error)) in curve.points.iter().zip(discards.iter().zip(errors)) {
                assert_near(Some(point.discard), *discard, "discard fraction");
                assert_near(point.fnmr, error, "error fraction");
            }
            for (limit, area) in expected["pauc"].as_object().expect("areas by limit") {
                let limit: f64 = limit.parse().expect("a limit");
                assert_near(curve.pauc(limit), area.as_f64().expect("an area"), "pAUC");
            }
            for (limit, area) in expected["best"].as_object().expect("areas by limit") {
                let limit: f64 = limit.parse().expect("a limit");
                assert_near(curve.ideal_pauc(limit), area.as_f64().expect("an area"), "best pAUC");
            }
        }
    }
}
