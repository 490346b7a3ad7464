//! Figures from known numbers: where the data are drawn, and the files' formats.

use attn_fiqa_eval::edc::Series;
use attn_fiqa_eval::figure::{
    Bar, BoxGroup, BoxPanel, DetPanel, DetSeries, DistributionPanel, EdcPanel, EdcSeries, Figure,
    FigureError, Histogram, ScoreGroup, SvgColours, bars, box_plots, det_curves, edc_grid,
    page_css, score_distributions,
};

fn series(name: &str, kind: Series, points: &[(f64, f64)]) -> EdcSeries {
    EdcSeries { name: name.to_owned(), kind, points: points.to_vec(), band: Vec::new() }
}

/// A curve over the papers' grid that falls from `from` with exponent `bend`.
fn falling(name: &str, kind: Series, from: f64, bend: f64) -> EdcSeries {
    let grid = (0..20).map(|step| f64::from(step) * 0.05);
    let mut curve = series(name, kind, &[]);
    curve.points = grid.map(|x| (x, from * (1.0 - x).powf(bend))).collect();
    if kind == Series::Method {
        curve.band = curve.points.iter().map(|&(x, y)| (x, y * 0.8, y * 1.2)).collect();
    }
    curve
}

fn panel(title: &str, methods: usize) -> EdcPanel {
    let mut series: Vec<EdcSeries> = (0..methods)
        .map(|n| falling(&format!("method-{n}"), Series::Method, 0.05, 1.0 + n as f64))
        .collect();
    series.push(falling("random", Series::Random, 0.05, 0.0));
    series.push(falling("theoretical best", Series::TheoreticalBest, 0.05, 30.0));
    EdcPanel { title: title.to_owned(), series, steps: false }
}

/// One figure of every kind.
fn every_kind() -> Vec<(&'static str, Figure)> {
    let normal = |mean: f64, count: u32| -> Vec<f64> {
        // Equally spaced quantiles of a logistic distribution.
        let share = |n: u32| (f64::from(n) + 0.5) / f64::from(count);
        (0..count).map(|n| mean + 0.08 * (share(n) / (1.0 - share(n))).ln()).collect()
    };
    let (mated, non_mated) = (normal(0.6, 3000), normal(0.05, 3000));
    let histograms = Histogram::of(&[&mated, &non_mated]).expect("scores");
    let scores = |title: &str| DistributionPanel {
        title: title.to_owned(),
        x_title: "cosine".to_owned(),
        groups: vec![
            ScoreGroup { name: "mated", scores: &histograms[0] },
            ScoreGroup { name: "non-mated", scores: &histograms[1] },
        ],
    };
    let boxes = |title: &str| BoxPanel {
        title: title.to_owned(),
        groups: (0..11)
            .map(|level| {
                let values = normal(-0.1 * f64::from(level), 300);
                BoxGroup::of(&level.to_string(), &values).expect("values")
            })
            .collect(),
    };
    let det = |shift: f64| -> Vec<(f64, f64)> {
        (0..=60)
            .map(|n| f64::from(n) / 60.0)
            .map(|t| ((1.0 - t).powf(9.0), t.powf(shift)))
            .collect()
    };
    let ranking: Vec<Bar> = (0..9)
        .map(|n| Bar {
            label: format!("method-{n}@block={n}"),
            value: 20.0 + f64::from(n),
            interval: Some((18.0 + f64::from(n), 23.0 + f64::from(n))),
            text: format!("{}.00 · rank {}", 20 + n, n + 1),
            reference: n == 8,
        })
        .collect();
    let det_panel = DetPanel {
        title: "LFW".to_owned(),
        series: vec![
            DetSeries { name: "SFace".to_owned(), points: det(8.0) },
            DetSeries { name: "MobileFaceNet".to_owned(), points: det(5.0) },
        ],
        resolution: [1.0 / 3000.0; 2],
    };
    let grid =
        ["LFW · SFace", "LFW · MobileFaceNet", "a name too long for its panel, by far, truly"];
    let grid: Vec<EdcPanel> = grid.map(|title| panel(title, 11)).into();
    let kinds = ["blur", "JPEG", "noise", "darkness"].map(boxes);
    vec![
        ("edc", edc_grid("EDC at FMR 1e-3", &[panel("LFW", 4)], 1, Some(0.3)).expect("a figure")),
        ("edc-grid", edc_grid("EDC at FMR 1e-3", &grid, 2, Some(0.3)).expect("a figure")),
        ("scores", score_distributions("Scores", &[scores("LFW")], 1).expect("a figure")),
        (
            "scores-grid",
            score_distributions("", &[scores("LFW"), scores("XQLFW")], 3).expect("a figure"),
        ),
        ("boxes", box_plots("", ("level", "score"), &kinds, 2).expect("a figure")),
        ("det", det_curves("DET", &[det_panel], 1).expect("a figure")),
        ("bars", bars("Mean pAUC", "pAUC ×1000", &ranking).expect("a figure")),
    ]
}

/// The points of every polyline of a colour.
fn lines(svg: &str, stroke: &str) -> Vec<Vec<(f64, f64)>> {
    let stroke = format!("stroke=\"{stroke}\"");
    let lines = svg.lines().filter(|line| line.starts_with("<polyline") && line.contains(&stroke));
    let points = lines.map(|line| line.split('"').nth(1).expect("points"));
    let point = |point: &str| {
        let (x, y) = point.split_once(',').expect("x,y");
        (x.parse().expect("x"), y.parse().expect("y"))
    };
    points.map(|points| points.split(' ').map(point).collect()).collect()
}

#[test]
fn every_figure_kind_renders_to_svg_and_png() {
    for (name, figure) in every_kind() {
        let svg = figure.svg(SvgColours::Fixed);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{name}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}: {svg}");
        assert_eq!(svg, figure.svg(SvgColours::Fixed), "{name}");
        assert!(!svg.contains("var("), "{name}");
        let inline = figure.svg(SvgColours::Page);
        let colours = page_css();
        for part in inline.split("var(").skip(1) {
            let property = part.split(')').next().expect("a property");
            assert!(colours.contains(&format!("{property}:")), "{name}: {property}");
        }
        assert!(!inline.contains("\"#"), "{name}: a colour that does not follow the page");

        let png = figure.png(1.0).expect("a picture");
        let picture = image::load_from_memory(&png).expect("a PNG").to_rgb8();
        let (width, height) = figure.size();
        let size = (f64::from(picture.width()), f64::from(picture.height()));
        assert_eq!(size, (width.ceil(), height.ceil()), "{name}");
        let dark =
            picture.pixels().filter(|pixel| pixel.0.iter().all(|&value| value < 100)).count();
        assert!(dark > 100, "{name}: {dark} dark pixels, so there are no words");
        if let Some(folder) = std::env::var_os("ATTN_FIQA_FIGURES") {
            let folder = std::path::Path::new(&folder);
            std::fs::write(folder.join(format!("{name}.svg")), svg).expect("a file");
            let png = figure.png(2.0).expect("a picture");
            std::fs::write(folder.join(format!("{name}.png")), png).expect("a file");
        }
    }
}

#[test]
fn edc_curve_is_drawn_to_scale() {
    let curve = series("m", Series::Method, &[(0.0, 0.4), (0.5, 0.1), (1.0, 0.0)]);
    let mut panel = EdcPanel { title: String::new(), series: vec![curve], steps: false };
    let svg = edc_grid("", &[panel.clone()], 1, None).expect("a figure").svg(SvgColours::Fixed);
    let all = lines(&svg, "#0072b2");
    // One of them is the curve, the other its sample in the legend.
    let curve = all.iter().find(|line| line.len() == 3).expect("the curve");
    let axis = lines(&svg, "#63676d").into_iter().find(|line| line.len() == 3).expect("the axes");
    let (top, bottom, left, right) = (axis[0].1, axis[1].1, axis[0].0, axis[2].0);
    let near = |a: f64, b: f64| (a - b).abs() < 0.011;
    assert!(near(curve[0].0, left) && near(curve[0].1, top), "{curve:?} {axis:?}");
    assert!(near(curve[1].0, (left + right) / 2.0), "{curve:?} {axis:?}");
    assert!(near(curve[1].1, bottom + (top - bottom) / 4.0), "{curve:?} {axis:?}");
    assert!(near(curve[2].0, right) && near(curve[2].1, bottom), "{curve:?} {axis:?}");

    panel.steps = true;
    let svg = edc_grid("", &[panel], 1, None).expect("a figure").svg(SvgColours::Fixed);
    let stepped = lines(&svg, "#0072b2").into_iter().find(|line| line.len() == 5).expect("steps");
    assert_eq!((stepped[0].1, stepped[1].0), (stepped[1].1, stepped[2].0));
}

#[test]
fn det_axes_end_at_the_lowest_rate_of_their_own_kind_of_comparison() {
    // 36 mated and 171 non-mated comparisons: 4 of 171 is less than 1 of 36.
    let points = vec![(0.0, 1.0), (0.0, 6.0 / 36.0), (4.0 / 171.0, 5.0 / 36.0), (1.0, 0.0)];
    let series = vec![DetSeries { name: "r".to_owned(), points }];
    let resolution = [1.0 / 171.0, 1.0 / 36.0];
    let panel = DetPanel { title: String::new(), series, resolution };
    let svg = det_curves("", &[panel], 1).expect("a figure").svg(SvgColours::Fixed);
    let all = lines(&svg, "#0072b2");
    let curve = all.iter().find(|line| line.len() == 4).expect("the curve");
    let axis = lines(&svg, "#63676d").into_iter().find(|line| line.len() == 3).expect("the axes");
    let (top, bottom, left, right) = (axis[0].1, axis[1].1, axis[0].0, axis[2].0);
    // Three decades of FMR and two of FNMR.
    let x = |fmr: f64| left + (right - left) * (1.0 + fmr.log10() / 3.0);
    let y = |fnmr: f64| bottom + (top - bottom) * (1.0 + fnmr.log10() / 2.0);
    let expected = [
        (x(1.0 / 171.0), y(1.0)),
        (x(1.0 / 171.0), y(6.0 / 36.0)),
        (x(4.0 / 171.0), y(5.0 / 36.0)),
        (x(1.0), y(1.0 / 36.0)),
    ];
    for (found, expected) in curve.iter().zip(expected) {
        let near = |a: f64, b: f64| (a - b).abs() < 0.011;
        assert!(near(found.0, expected.0) && near(found.1, expected.1), "{found:?} {expected:?}");
    }
}

#[test]
fn a_method_keeps_its_colour_from_panel_to_panel() {
    let flat = |name, rate| series(name, Series::Method, &[(0.0, rate), (0.3, rate), (0.95, rate)]);
    let panels = [vec![flat("a", 0.1), flat("b", 0.2)], vec![flat("b", 0.2)]]
        .map(|series| EdcPanel { title: String::new(), series, steps: false });
    let svg = edc_grid("", &panels, 2, None).expect("a figure").svg(SvgColours::Fixed);
    let curves = |colour| lines(&svg, colour).iter().filter(|line| line.len() == 3).count();
    assert_eq!((curves("#0072b2"), curves("#d55e00")), (1, 2));
}

#[test]
fn svg_text_is_escaped() {
    let name = "</text><script>alert('\"&\u{1}')</script>";
    let curve = series(name, Series::Method, &[(0.0, 0.1), (0.5, 0.05)]);
    let panel = EdcPanel { title: name.to_owned(), series: vec![curve], steps: false };
    let svg = edc_grid(name, &[panel], 1, None).expect("a figure").svg(SvgColours::Page);
    assert!(!svg.contains("<script") && !svg.contains('\u{1}'), "{svg}");
    assert!(svg.contains("&lt;script&gt;alert('&quot;&amp;\u{fffd}')"), "{svg}");
}

#[test]
fn empty_nan_and_oversized_figures_are_rejected() {
    let empty = edc_grid("EDC", &[], 1, None);
    assert!(matches!(empty, Err(FigureError::Empty { .. })));
    let gap = series("m", Series::Method, &[(0.0, f64::NAN)]);
    let panel = EdcPanel { title: String::new(), series: vec![gap], steps: false };
    let message = edc_grid("EDC", &[panel], 1, None).expect_err("no number").to_string();
    assert_eq!(message, "the figure 'EDC' has NaN in 'm'; expected a finite number");
    assert!(bars("b", "x", &[]).is_err());
    assert!(score_distributions("s", &[], 1).is_err());
    let (_, figure) = every_kind().remove(0);
    assert!(matches!(figure.png(1e6), Err(FigureError::TooLarge { .. })));
}
