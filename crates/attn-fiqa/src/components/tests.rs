use super::*;
use crate::align::align;

/// A face with the landmarks of the 616-pixel template, scaled by a half, on a photo of 400×400
/// pixels with colours given by position.
fn components_of(colour: impl Fn(usize, usize) -> [u8; 3]) -> Components {
    let side = 400;
    let pixels = (0..side * side).flat_map(|index| colour(index % side, index / side));
    let photo = Image::from_rgb(side, side, pixels.collect()).expect("an image");
    let points = [[251.0, 272.0], [364.0, 272.0], [308.0, 336.0], [262.0, 402.0], [355.0, 402.0]];
    let landmarks = Landmarks(points.map(|[x, y]: [f32; 2]| [x / 2.0 + 40.0, y / 2.0 + 20.0]));
    let crop = align(&photo, &landmarks, 112).expect("a face").crop;
    let input = ComponentInput {
        photo: &photo,
        landmarks: &landmarks,
        crop: &crop,
        faces: &[FaceBox { x: 100.0, y: 100.0, width: 180.0, height: 200.0 }],
        jpeg_quality: None,
    };
    Components::measure(&input).expect("a face")
}

fn value(components: &Components, component: Component) -> ComponentValue {
    components.get(component).unwrap_or_else(|| panic!("{}", component.name()))
}

fn native(components: &Components, component: Component) -> f32 {
    value(components, component).native
}

fn scalar(components: &Components, component: Component) -> u8 {
    value(components, component).scalar.unwrap_or_else(|| panic!("{}", component.name()))
}

#[test]
fn component_names_round_trip() {
    for component in Component::ALL {
        assert_eq!(Component::from_name(component.name()), Some(component));
    }
    assert_eq!(Component::from_name("interEyeDistance"), None);
}

#[test]
fn geometry_matches_landmarks() {
    let face = components_of(|_, _| [120, 100, 90]);
    // Eyes 56.5 pixels apart at x = 165.5 and 222, y = 156; mouth 65 below; the nose a quarter of a
    // pixel to the right of their midpoint.
    let distance = native(&face, Component::InterEyeDistance);
    assert!((distance - 56.5).abs() < 0.1, "{distance}");
    assert_eq!(scalar(&face, Component::InterEyeDistance), 34);
    assert_eq!(scalar(&face, Component::SingleFacePresent), 100);
    let left = native(&face, Component::LeftwardCropOfTheFaceImage);
    assert!((left - 165.5 / 56.5).abs() < 1e-4, "{left}");
    let right = native(&face, Component::RightwardCropOfTheFaceImage);
    assert!((right - 178.0 / 56.5).abs() < 1e-4, "{right}");
    assert_eq!(native(&face, Component::HeadPoseRoll), 0.0);
    assert_eq!(scalar(&face, Component::HeadPoseRoll), 100);
    let (above, below) = (
        native(&face, Component::MarginAboveOfTheFaceImage),
        native(&face, Component::MarginBelowOfTheFaceImage),
    );
    assert!((below / above - 244.0 / 156.0).abs() < 1e-4, "{above} {below}");
    let head = native(&face, Component::HeadSize);
    assert!((head * (above + below) - 1.0).abs() < 1e-5, "{head}");
}

#[test]
fn side_lighting_is_not_uniform_illumination() {
    let even = components_of(|_, _| [150, 120, 100]);
    assert_eq!(native(&even, Component::IlluminationUniformity), 1.0);
    assert_eq!(native(&even, Component::DynamicRange), 0.0);
    assert_eq!(native(&even, Component::LuminanceVariance), 0.0);
    let side = components_of(|x, _| if x < 194 { [200, 180, 170] } else { [40, 30, 25] });
    assert_eq!(native(&side, Component::IlluminationUniformity), 0.0);
    assert_eq!(scalar(&side, Component::IlluminationUniformity), 0);
    assert!((native(&side, Component::DynamicRange) - 1.0).abs() < 0.05);
}

#[test]
fn exposure_counts_dark_and_bright_pixels() {
    let dark = components_of(|_, _| [20, 20, 20]);
    assert_eq!(native(&dark, Component::UnderExposurePrevention), 1.0);
    assert_eq!(scalar(&dark, Component::UnderExposurePrevention), 0);
    assert_eq!(scalar(&dark, Component::OverExposurePrevention), 100);
    let bright = components_of(|_, _| [255, 255, 255]);
    assert_eq!(native(&bright, Component::OverExposurePrevention), 1.0);
    assert_eq!(scalar(&bright, Component::OverExposurePrevention), 1);
    assert_eq!(scalar(&bright, Component::UnderExposurePrevention), 100);
    assert_eq!(native(&bright, Component::LuminanceMean), 1.0);
    assert!(scalar(&bright, Component::LuminanceMean) <= 2);
}

#[test]
fn only_skin_tones_are_natural_colours() {
    assert_eq!(scalar(&components_of(|_, _| [205, 160, 130]), Component::NaturalColour), 100);
    assert_eq!(native(&components_of(|_, _| [60, 120, 200]), Component::NaturalColour), 100.0);
    let grey = components_of(|_, _| [128, 128, 128]);
    assert_eq!(native(&grey, Component::ColourRange), 0.0);
    assert_eq!(native(&components_of(|_, _| [205, 160, 130]), Component::ColourRange), 75.0);
}

#[test]
fn scalar_mappings_match_iso_29794_5() {
    // Computed by hand from the formulas.
    let cases = [
        (Component::InterEyeDistance, 70.0, 50),
        (Component::SingleFacePresent, 0.25, 75),
        (Component::IlluminationUniformity, 0.5, 81),
        (Component::NaturalColour, 0.0, 100),
        (Component::NaturalColour, 10.0, 54),
        (Component::LeftwardCropOfTheFaceImage, 0.9, 50),
        (Component::HeadPoseYaw, 60.0, 25),
        (Component::HeadPoseRoll, 120.0, 0),
        (Component::LuminanceMean, 0.2, 50),
        (Component::LuminanceMean, 0.5, 100),
        (Component::LuminanceVariance, 1.0 / 60.0, 100),
        (Component::UnderExposurePrevention, 0.0, 100),
        (Component::UnderExposurePrevention, 0.92, 40),
        (Component::OverExposurePrevention, 0.0, 100),
        (Component::OverExposurePrevention, 0.09, 10),
        (Component::DynamicRange, 7.0, 88),
        (Component::HeadSize, 0.45, 100),
        (Component::HeadSize, 0.5, 54),
        (Component::MarginAboveOfTheFaceImage, 1.4, 50),
        (Component::MarginBelowOfTheFaceImage, 1.8, 50),
    ];
    for (component, native, expected) in cases {
        assert_eq!(
            mapping::scalar(component, native),
            Some(expected),
            "{} {native}",
            component.name()
        );
    }
}

#[test]
fn unmeasurable_components_have_no_value() {
    let photo = Image::from_rgb(60, 400, vec![90; 60 * 400 * 3]).expect("an image");
    let points = [[5.0, 100.0], [55.0, 100.0], [30.0, 128.0], [10.0, 156.0], [50.0, 156.0]];
    let landmarks = Landmarks(points);
    let crop = align(&photo, &landmarks, 112).expect("a face").crop;
    let input = ComponentInput {
        photo: &photo,
        landmarks: &landmarks,
        crop: &crop,
        faces: &[],
        jpeg_quality: None,
    };
    let components = Components::measure(&input).expect("a face");
    for component in [
        Component::IlluminationUniformity,
        Component::NaturalColour,
        Component::SingleFacePresent,
        Component::JpegQuality,
        Component::EffectiveResolution,
    ] {
        assert_eq!(components.get(component), None, "{}", component.name());
    }
    assert!(components.get(Component::LuminanceMean).is_some());
}
