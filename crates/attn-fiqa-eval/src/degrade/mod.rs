//! Degradations of aligned face crops, each with a continuous level.
//!
//! Every degradation is a function of a crop, a [`Level`] and a seed only: the same three give the
//! same pixels on every machine (the transcendental functions are `libm`'s, the random numbers
//! [`attn_fiqa::random`]'s). Level 0 is bit for bit the crop itself, and strength grows with the
//! level. Strengths in pixels are for a crop of 112×112 and scale with its side.

mod compression;
mod cover;
mod geometry;
mod light;
mod raster;
mod sharpness;
mod yaw;

use std::fmt;
use std::str::FromStr;

use attn_fiqa::causes::Cause;
use attn_fiqa::crop::Crop;
use attn_fiqa::random::Random;

pub use attn_fiqa::random::mix as seed_for;
pub use cover::cover_region;

/// The crop side, in pixels, to which strengths in pixels refer.
const NOMINAL_SIDE: f64 = 112.0;

/// The severity of a degradation, from 0 (the crop itself) to 1 (unusable).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Level(f64);

impl Level {
    /// No degradation.
    pub const NONE: Self = Self(0.0);
    /// The strongest.
    pub const FULL: Self = Self(1.0);

    /// `None` unless `level` is in 0 … 1.
    pub fn new(level: f64) -> Option<Self> {
        (0.0..=1.0).contains(&level).then_some(Self(level))
    }

    /// `count` equally spaced levels from [`Level::NONE`] to [`Level::FULL`]; at least these two.
    pub fn grid(count: usize) -> Vec<Self> {
        let last = count.max(2) - 1;
        (0..=last).map(|step| Self(step as f64 / last as f64)).collect()
    }

    /// The level as a number in 0 … 1.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A degradation of a face crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Degradation {
    /// Out of focus: a Gaussian, sigma 0 … 8 pixels (`8·level`).
    Blur,
    /// Low resolution: averaged to 112 … 8 pixels per side and enlarged again (`112·(8/112)^level`,
    /// rounded).
    Downsample,
    /// JPEG of quality 95 … 2 (`2 + 93·(1 − level)²`, rounded; quality 1 gives the same image as
    /// 2); level 0 is not encoded at all.
    Jpeg,
    /// Gaussian noise of 0 … 160 grey levels (`160·level²`) on each channel.
    Noise,
    /// 100 … 1.5 % of the light (`0.015^level`) on a sensor with constant read noise of 1.5 grey
    /// levels.
    Darkness,
    /// 1 … 16 times the grey levels (`16^level`), clipped at white.
    Overexposure,
    /// 100 … 1 % of the differences from the mean grey (`0.01^level`).
    Contrast,
    /// Occluded with one colour from one edge, 0 … 85 % of the side (`0.85·level`); edge and colour
    /// depend on the seed.
    Occlusion,
    /// Motion blur: the mean along a line of 0 … 40 pixels (`40·level²`); its direction depends on
    /// the seed.
    Motion,
    /// Rotated in the image plane by 0 … 90° (`90·level`); the direction depends on the seed. Black
    /// outside the original.
    Rotation,
    /// Shifted by 0 … 50 % of the side (`0.5·level`); the direction depends on the seed. Black
    /// outside the original.
    Shift,
    /// The head rotated about its vertical axis by 0 … 75° (`75·level`) and aligned again; the side
    /// depends on the seed. Black outside the original.
    Yaw,
}

impl Degradation {
    /// Every degradation, in the order of reports.
    pub const ALL: [Self; 12] = [
        Self::Blur,
        Self::Downsample,
        Self::Jpeg,
        Self::Noise,
        Self::Darkness,
        Self::Overexposure,
        Self::Contrast,
        Self::Occlusion,
        Self::Motion,
        Self::Rotation,
        Self::Shift,
        Self::Yaw,
    ];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blur => "blur",
            Self::Downsample => "downsample",
            Self::Jpeg => "jpeg",
            Self::Noise => "noise",
            Self::Darkness => "darkness",
            Self::Overexposure => "overexposure",
            Self::Contrast => "contrast",
            Self::Occlusion => "occlusion",
            Self::Motion => "motion",
            Self::Rotation => "rotation",
            Self::Shift => "shift",
            Self::Yaw => "yaw",
        }
    }

    /// The cause of low quality that it produces.
    pub fn cause(self) -> Cause {
        match self {
            Self::Blur => Cause::Blur,
            Self::Downsample => Cause::LowResolution,
            Self::Jpeg => Cause::Compression,
            Self::Noise => Cause::Noise,
            Self::Darkness => Cause::TooDark,
            Self::Overexposure => Cause::TooBright,
            Self::Contrast => Cause::LowContrast,
            Self::Occlusion => Cause::Occlusion,
            Self::Motion => Cause::Motion,
            Self::Rotation => Cause::Rotation,
            Self::Shift => Cause::Shift,
            Self::Yaw => Cause::Pose,
        }
    }

    /// The unit of [`Degradation::parameter`].
    pub fn unit(self) -> &'static str {
        match self {
            Self::Blur => "sigma, pixels",
            Self::Downsample => "pixels per side",
            Self::Jpeg => "quality",
            Self::Noise => "sigma, grey levels",
            Self::Darkness => "fraction of the light",
            Self::Overexposure => "gain",
            Self::Contrast => "fraction of the contrast",
            Self::Occlusion => "fraction of the side",
            Self::Motion => "length, pixels",
            Self::Rotation | Self::Yaw => "degrees",
            Self::Shift => "fraction of the side",
        }
    }

    /// The physical strength at a level, in the unit given by [`Degradation::unit`]; pixels refer
    /// to a 112×112 crop.
    pub fn parameter(self, level: Level) -> f64 {
        let level = level.get();
        match self {
            Self::Blur => 8.0 * level,
            Self::Downsample => (112.0 * libm::pow(8.0 / 112.0, level)).round(),
            Self::Jpeg => (2.0 + 93.0 * (1.0 - level) * (1.0 - level)).round(),
            Self::Noise => 160.0 * level * level,
            Self::Darkness => libm::pow(0.015, level),
            Self::Overexposure => libm::pow(16.0, level),
            Self::Contrast => libm::pow(0.01, level),
            Self::Occlusion => 0.85 * level,
            Self::Motion => 40.0 * level * level,
            Self::Rotation => 90.0 * level,
            Self::Shift => 0.5 * level,
            Self::Yaw => 75.0 * level,
        }
    }

    /// Its position in the order in which an image is formed.
    fn stage(self) -> usize {
        match self {
            Self::Yaw => 0,
            Self::Occlusion => 1,
            Self::Darkness => 2,
            Self::Overexposure => 3,
            Self::Contrast => 4,
            Self::Blur => 5,
            Self::Motion => 6,
            Self::Noise => 7,
            Self::Downsample => 8,
            Self::Jpeg => 9,
            Self::Rotation => 10,
            Self::Shift => 11,
        }
    }

    /// Degrades the crop. The same crop, level and seed give the same pixels; landmarks stay as
    /// found before, even under a wrong alignment.
    pub fn apply(self, crop: &Crop, level: Level, seed: u64) -> Crop {
        if level == Level::NONE {
            return crop.clone();
        }
        let strength = self.parameter(level);
        let pixels = strength * crop.side() as f64 / NOMINAL_SIDE;
        let degraded = match self {
            Self::Blur => sharpness::blur(crop, pixels),
            Self::Downsample => sharpness::downsample(crop, (pixels.round() as usize).max(1)),
            Self::Jpeg => compression::jpeg(crop, strength as u8),
            Self::Noise => light::noise(crop, strength, seed),
            Self::Darkness => light::darken(crop, strength, seed),
            Self::Overexposure => light::expose(crop, strength),
            Self::Contrast => light::flatten(crop, strength),
            Self::Occlusion => geometry::occlude(crop, strength, seed),
            Self::Motion => sharpness::motion(crop, pixels, seed),
            Self::Rotation => geometry::rotate(crop, strength, seed),
            Self::Shift => geometry::shift(crop, strength, seed),
            Self::Yaw => yaw::turn(crop, strength, seed),
        };
        with_landmarks_of(crop, degraded)
    }
}

/// Gives the degraded crop the landmarks of `original`, if they are known.
fn with_landmarks_of(original: &Crop, degraded: Crop) -> Crop {
    match original.landmarks() {
        Some(landmarks) => degraded.with_landmarks(landmarks),
        None => degraded,
    }
}

/// Several degradations of one crop, applied in the order in which an image is formed: scene,
/// light, optics, sensor, file, and last a wrong alignment. All use the same seed, so that each
/// does what it would do alone.
pub fn apply_together(crop: &Crop, degradations: &[(Degradation, Level)], seed: u64) -> Crop {
    let mut ordered = degradations.to_vec();
    ordered.sort_by_key(|(kind, _)| kind.stage());
    ordered.iter().fold(crop.clone(), |crop, &(kind, level)| kind.apply(&crop, level, seed))
}

/// The degradation of one image of a mixed set, using its own seed: with probability `fraction` one
/// of `kinds`, all equally likely, at a level uniform in 0 … 1; otherwise none.
pub fn sample_degradation(
    kinds: &[Degradation],
    fraction: f64,
    seed: u64,
) -> Option<(Degradation, Level)> {
    let mut random = Random::new(seed, "mixed");
    if kinds.is_empty() || random.uniform() >= fraction {
        return None;
    }
    let kind = kinds[random.below(kinds.len())];
    Some((kind, Level(random.uniform())))
}

impl fmt::Display for Degradation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An unknown degradation name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown degradation '{name}'; expected one of {}", Degradation::ALL.map(Degradation::name).join(", "))]
pub struct UnknownDegradation {
    name: String,
}

impl FromStr for Degradation {
    type Err = UnknownDegradation;

    fn from_str(name: &str) -> Result<Self, UnknownDegradation> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownDegradation { name: name.to_owned() })
    }
}
