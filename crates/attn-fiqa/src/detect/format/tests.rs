//! Decodes both formats from outputs into which faces were encoded.

use proptest::prelude::*;

use super::*;
use crate::align::Landmarks;
use crate::detect::FaceBox;

const INPUT: InputSize = InputSize { width: 96, height: 64 };
const FLOOR: f32 = 0.5;

/// A face to encode at a cell (or anchor) of a stride.
#[derive(Debug, Clone)]
struct Planted {
    level: usize,
    cell: usize,
    confidence: f32,
    bounds: [f32; 4],
    points: [f32; 10],
}

const STRIDES: [usize; 3] = [8, 16, 32];

fn planted(anchors: usize) -> impl Strategy<Value = Vec<Planted>> {
    let one = (
        0usize..3,
        0usize..1000,
        0.55f32..1.0,
        [-30.0f32..90.0, -30.0..60.0, 4.0..80.0, 4.0..80.0],
    )
        .prop_flat_map(|(level, cell, confidence, bounds)| {
            proptest::array::uniform10(-20.0f32..100.0).prop_map(move |points| Planted {
                level,
                cell,
                confidence,
                bounds,
                points,
            })
        });
    proptest::collection::vec(one, 0..6).prop_map(move |faces| {
        let mut faces: Vec<Planted> = faces
            .into_iter()
            .map(|face| {
                let (columns, rows) = INPUT.cells(STRIDES[face.level]);
                Planted { cell: face.cell % (columns * rows * anchors), ..face }
            })
            .collect();
        faces.sort_by_key(|face| (face.level, face.cell));
        faces.dedup_by_key(|face| (face.level, face.cell));
        faces
    })
}

fn output(name: String, shape: Vec<usize>) -> Output {
    let values = vec![0.0; shape.iter().product()];
    Output { name, shape, values }
}

fn assert_found(found: &[Face], expected: &[Planted]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
    for (found, expected) in found.iter().zip(expected) {
        let FaceBox { x, y, width, height } = found.bounds;
        let bounds = [x, y, width, height].into_iter().zip(expected.bounds);
        for (found, expected) in bounds {
            prop_assert!(near(found, expected), "{found} {expected}");
        }
        let Landmarks(points) = found.landmarks;
        for (found, expected) in points.into_iter().flatten().zip(expected.points) {
            prop_assert!(near(found, expected), "{found} {expected}");
        }
        prop_assert!(near(found.confidence, expected.confidence));
    }
    Ok(())
}

/// The corner of a cell in pixels, by counting.
fn corner(cell: usize, stride: usize) -> (f32, f32) {
    let (columns, _) = INPUT.cells(stride);
    let (mut column, mut row) = (0, 0);
    for _ in 0..cell {
        column += 1;
        if column == columns {
            (column, row) = (0, row + 1);
        }
    }
    ((column * stride) as f32, (row * stride) as f32)
}

/// Outputs not sorted by stride, as in real files.
fn yunet(faces: &[Planted]) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (kind, numbers) in [("kps", 10), ("cls", 1), ("bbox", 4), ("obj", 1)] {
        for stride in [32, 8, 16] {
            let (columns, rows) = INPUT.cells(stride);
            outputs.push(output(format!("{kind}_{stride}"), vec![1, columns * rows, numbers]));
        }
    }
    for face in faces {
        let stride = STRIDES[face.level];
        let (x, y) = corner(face.cell, stride);
        let s = stride as f32;
        let [left, top, width, height] = face.bounds;
        let mut write = |kind: &str, numbers: &[f32]| {
            let name = format!("{kind}_{stride}");
            let output = outputs.iter_mut().find(|output| output.name == name).unwrap();
            output.values[face.cell * numbers.len()..][..numbers.len()].copy_from_slice(numbers);
        };
        write("cls", &[face.confidence.powf(0.5)]);
        write("obj", &[face.confidence.powf(1.5)]);
        let centre = [(left + width / 2.0 - x) / s, (top + height / 2.0 - y) / s];
        write("bbox", &[centre[0], centre[1], (width / s).ln(), (height / s).ln()]);
        let points: Vec<f32> = face
            .points
            .iter()
            .enumerate()
            .map(|(i, point)| (point - if i % 2 == 0 { x } else { y }) / s)
            .collect();
        write("kps", &points);
    }
    outputs
}

fn scrfd(faces: &[Planted], batch: bool) -> Vec<Output> {
    let mut outputs = Vec::new();
    for numbers in [1, 4, 10] {
        for stride in STRIDES {
            let (columns, rows) = INPUT.cells(stride);
            let mut shape = vec![columns * rows * 2, numbers];
            if batch {
                shape.insert(0, 1);
            }
            outputs.push(output(format!("{}", 440 + outputs.len()), shape));
        }
    }
    for face in faces {
        let stride = STRIDES[face.level];
        let (x, y) = corner(face.cell / 2, stride);
        let s = stride as f32;
        let [left, top, width, height] = face.bounds;
        let mut write = |kind: usize, numbers: &[f32]| {
            let output = &mut outputs[kind * 3 + face.level];
            output.values[face.cell * numbers.len()..][..numbers.len()].copy_from_slice(numbers);
        };
        write(0, &[face.confidence]);
        write(1, &[x - left, y - top, left + width - x, top + height - y].map(|d| d / s));
        let points: Vec<f32> = face
            .points
            .iter()
            .enumerate()
            .map(|(i, point)| (point - if i % 2 == 0 { x } else { y }) / s)
            .collect();
        write(2, &points);
    }
    outputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn yunet_faces_round_trip(faces in planted(1)) {
        let outputs = yunet(&faces);
        let format = recognise(&outputs, INPUT).expect("YuNet's outputs");
        prop_assert_eq!(format.name(), "YuNet");
        prop_assert!(format.pixels().blue_first);
        assert_found(&format.candidates(&outputs, INPUT, FLOOR).unwrap(), &faces)?;
    }

    #[test]
    fn builtin_format_is_rgb_with_half_pixel_offset(faces in planted(1)) {
        let outputs = yunet(&faces);
        let format = YuNet::recognise(&outputs).expect("YuNet's outputs").builtin();
        prop_assert!(!format.pixels().blue_first);
        let mut faces = faces;
        for face in &mut faces {
            face.bounds[..2].iter_mut().for_each(|place| *place -= 0.5);
            face.points.iter_mut().for_each(|place| *place -= 0.5);
        }
        assert_found(&format.candidates(&outputs, INPUT, FLOOR).unwrap(), &faces)?;
    }

    #[test]
    fn scrfd_faces_round_trip(faces in planted(2), batch: bool) {
        let outputs = scrfd(&faces, batch);
        let format = recognise(&outputs, INPUT).expect("SCRFD's outputs");
        prop_assert_eq!(format.name(), "SCRFD");
        assert_found(&format.candidates(&outputs, INPUT, FLOOR).unwrap(), &faces)?;
    }

    /// Whatever a file outputs, the result is faces or an error.
    #[test]
    fn arbitrary_outputs_give_finite_faces_or_error(
        values in proptest::collection::vec(proptest::num::f32::ANY, 1..40),
        floor in 0.0f32..=1.0,
    ) {
        for mut outputs in [yunet(&[]), scrfd(&[], false)] {
            let format = recognise(&outputs, INPUT).unwrap();
            for output in &mut outputs {
                let values = values.iter().cycle();
                output.values.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
            }
            if let Ok(faces) = format.candidates(&outputs, INPUT, floor) {
                prop_assert!(faces.iter().all(Face::is_finite));
            }
        }
    }
}

#[test]
fn unknown_or_short_outputs_are_rejected() {
    let mut outputs = yunet(&[]);
    outputs.remove(0);
    assert!(recognise(&outputs, INPUT).is_none());
    let without_landmarks = &scrfd(&[], false)[..6];
    assert!(recognise(without_landmarks, INPUT).is_none());

    let mut outputs = yunet(&[]);
    let format = recognise(&outputs, INPUT).unwrap();
    let last = outputs.last_mut().unwrap();
    last.values.pop();
    let BadOutput(message) = format.candidates(&outputs, INPUT, FLOOR).unwrap_err();
    assert!(message.starts_with("output 'obj_16' holds "), "{message}");
}

#[test]
fn objectness_above_one_is_clamped() {
    let face = Planted {
        level: 0,
        cell: 5,
        confidence: 0.6,
        bounds: [1.0, 2.0, 20.0, 30.0],
        points: [3.0; 10],
    };
    let mut outputs = yunet(&[face]);
    for output in outputs.iter_mut().filter(|output| output.name == "obj_8") {
        output.values[5] = 4.0;
    }
    for output in outputs.iter_mut().filter(|output| output.name == "cls_8") {
        output.values[5] = 0.36;
    }
    let format = recognise(&outputs, INPUT).unwrap();
    let found = format.candidates(&outputs, INPUT, FLOOR).unwrap();
    assert!((found[0].confidence - 0.6).abs() < 1e-6);
}

#[test]
fn empty_boxes_are_skipped_and_logits_rejected() {
    let planted = |confidence, width| Planted {
        level: 0,
        cell: 3,
        confidence,
        bounds: [10.0, 10.0, width, 20.0],
        points: [12.0; 10],
    };
    let candidates = |face: Planted| {
        let outputs = scrfd(&[face], false);
        Scrfd::recognise(&outputs, INPUT).unwrap().candidates(&outputs, INPUT, FLOOR)
    };
    assert_eq!(candidates(planted(0.9, 20.0)).map(|found| found.len()), Ok(1));
    assert_eq!(candidates(planted(0.9, 0.0)).map(|found| found.len()), Ok(0));
    assert_eq!(candidates(planted(0.9, -5.0)).map(|found| found.len()), Ok(0));
    let BadOutput(message) = candidates(planted(7.5, 20.0)).unwrap_err();
    assert_eq!(message, "a face score is 7.5, expected 0 to 1");
}
