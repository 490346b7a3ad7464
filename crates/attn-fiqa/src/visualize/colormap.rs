//! Colour maps: 256 colours from low to high.

/// A scale of 256 RGB colours; entry 0 is the low end of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Colormap {
    /// Dark violet through green to yellow (van der Walt and Smith, for matplotlib). Its lightness
    /// increases evenly, so it is readable in greyscale and for colour-blind readers.
    #[default]
    Viridis,
    /// Blue, cyan, yellow, red: OpenCV's `COLORMAP_JET`, entry for entry, as used in the paper's
    /// figures. Here it is RGB, whereas OpenCV gives BGR.
    Jet,
}

impl Colormap {
    /// Every colour map, the default first.
    pub const ALL: [Self; 2] = [Self::Viridis, Self::Jet];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viridis => "viridis",
            Self::Jet => "jet",
        }
    }

    /// The colour map with this [`name`](Self::name), if any.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|map| map.name() == name)
    }

    /// Colour `index` of the scale: red, green, blue.
    pub fn color(self, index: u8) -> [u8; 3] {
        match self {
            Self::Viridis => {
                let color = colorous::VIRIDIS.eval_rational(usize::from(index), 256);
                [color.r, color.g, color.b]
            }
            Self::Jet => jet(index),
        }
    }

    /// All 256 colours.
    pub(super) fn table(self) -> [[u8; 3]; 256] {
        let mut index = 0u8;
        [(); 256].map(|()| {
            let color = self.color(index);
            index = index.wrapping_add(1);
            color
        })
    }
}

/// Each channel of the jet scale is a trapezoid over x = index / 255 with slopes of 4 and its peak,
/// for red, green and blue, at 3/4, 2/4 and 1/4: `1.5 − |4x − peak|`, clipped to 0…1.
fn jet(index: u8) -> [u8; 3] {
    let channel = |peak: i32| {
        // 2 · 255 times the trapezoid. It is odd, so half of it always lies midway between two
        // integers, of which OpenCV takes the even one.
        let doubled = 765 - (8 * i32::from(index) - 510 * peak).abs();
        let lower = doubled.div_euclid(2);
        let even = lower + lower.rem_euclid(2);
        even.clamp(0, 255) as u8
    };
    let [red, green, mut blue] = [channel(3), channel(2), channel(1)];
    if index == OPENCV_UNEVEN {
        blue = 1;
    }
    [red, green, blue]
}

/// The entry for which OpenCV's table has a blue of 1 instead of the 2 given by the rounding rule
/// that holds for all the other 767 numbers (measured with OpenCV 5.0).
const OPENCV_UNEVEN: u8 = 159;

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over the 768 bytes, to compare a table without listing it.
    fn fingerprint(table: &[[u8; 3]; 256]) -> u64 {
        table.as_flattened().iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    #[test]
    fn jet_is_opencv_jet_in_rgb() {
        let table = Colormap::Jet.table();
        let from_opencv = [
            (0, [0, 0, 128]),
            (31, [0, 0, 252]),
            (32, [0, 0, 255]),
            (33, [0, 4, 255]),
            (95, [0, 252, 255]),
            (96, [2, 255, 254]),
            (128, [130, 255, 126]),
            (158, [250, 255, 6]),
            (159, [254, 255, 1]),
            (160, [255, 252, 0]),
            (223, [255, 0, 0]),
            (224, [252, 0, 0]),
            (255, [128, 0, 0]),
        ];
        for (index, color) in from_opencv {
            assert_eq!(table[index], color, "entry {index}");
        }
        // From cv2.applyColorMap(0…255, COLORMAP_JET)[…, ::-1], OpenCV 5.0.
        assert_eq!(fingerprint(&table), JET_FINGERPRINT);
    }

    const JET_FINGERPRINT: u64 = 0xb9ca_a286_bcc1_eccc;

    #[test]
    fn viridis_runs_from_violet_to_yellow() {
        let table = Colormap::Viridis.table();
        assert_eq!(table[0], [68, 1, 84]);
        assert_eq!(table[255], [253, 231, 37]);
    }

    #[test]
    fn viridis_luminance_increases() {
        // CIE L* grows with the luminance Y of linear sRGB light.
        let luminance = |color: [u8; 3]| {
            let [r, g, b] = color.map(|v| {
                let v = f64::from(v) / 255.0;
                if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let table = Colormap::Viridis.table();
        // Rounded to 8 bits, neighbours may be equal, but not three in a row.
        for (index, run) in table.windows(4).enumerate() {
            assert!(luminance(run[3]) > luminance(run[0]), "after entry {index}");
        }
    }

    #[test]
    fn colormap_names_round_trip() {
        for map in Colormap::ALL {
            assert_eq!(Colormap::from_name(map.name()), Some(map));
        }
        assert_eq!(Colormap::from_name("Jet"), None);
        assert_eq!(Colormap::ALL[0], Colormap::default());
    }
}
