//! A file of manually marked faces.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail};
use attn_fiqa::align::Landmarks;
use attn_fiqa::detect::{Face, FaceBox};
use attn_fiqa::pipeline::FacesRow;

/// The faces of each image, keyed by its path in the file.
pub(super) struct Truth(HashMap<String, Vec<Face>>);

/// The columns after `path`: the box, also by the names that `detect` itself uses, and the
/// landmarks.
const BOX: [[&str; 2]; 4] =
    [["x", "box_x"], ["y", "box_y"], ["width", "box_width"], ["height", "box_height"]];

impl Truth {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        Self::parse(file).with_context(|| format!("{}: not usable as truth", file.display()))
    }

    fn parse(file: &Path) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_path(file)?;
        let heading = reader.headers()?.clone();
        let find = |names: &[&str]| {
            let index = heading.iter().position(|name| names.contains(&name.trim()));
            index.with_context(|| {
                format!(
                    "the heading has no column '{}'; expected \
                     path,x,y,width,height,lx1,ly1,lx2,ly2,…,lx5,ly5",
                    names[0]
                )
            })
        };
        let path_at = find(&["path"])?;
        let mut numbers_at = Vec::new();
        for names in BOX {
            numbers_at.push(find(&names)?);
        }
        for (point, name) in Landmarks::NAMES.iter().enumerate() {
            for axis in ["x", "y"] {
                let short = format!("l{axis}{}", point + 1);
                numbers_at.push(find(&[&short, &format!("{name}_{axis}")])?);
            }
        }
        let mut faces: HashMap<String, Vec<Face>> = HashMap::new();
        for row in reader.records() {
            let row = row?;
            let line = row.position().map_or(0, csv::Position::line);
            let path = row.get(path_at).unwrap_or_default();
            let of_picture = faces.entry(path.to_owned()).or_default();
            let cells: Vec<&str> =
                numbers_at.iter().map(|&at| row.get(at).unwrap_or_default().trim()).collect();
            if cells.iter().all(|cell| cell.is_empty()) {
                continue;
            }
            let mut numbers = [0.0f32; 14];
            for (number, cell) in numbers.iter_mut().zip(cells) {
                *number = match cell.parse::<f32>() {
                    Ok(value) if value.is_finite() => value,
                    _ => bail!(
                        "line {line}: '{cell}' is not a number; expected four for the box and ten \
                         for the landmarks, or none at all for an image without faces"
                    ),
                };
            }
            let [x, y, width, height, points @ ..] = numbers;
            if width <= 0.0 || height <= 0.0 {
                bail!("line {line}: a box of {width}×{height} pixels; expected positive sides");
            }
            let landmarks = Landmarks(std::array::from_fn(|i| [points[2 * i], points[2 * i + 1]]));
            if landmarks.inter_eye_distance() == 0.0 {
                bail!(
                    "line {line}: both eyes are at the same point; expected two, because landmark \
                     errors are fractions of their distance"
                );
            }
            of_picture.push(Face {
                bounds: FaceBox { x, y, width, height },
                landmarks,
                confidence: 1.0,
                refined: false,
            });
        }
        Ok(Self(faces))
    }

    /// The faces of an image, by its path as shown or inside its input; each image only once.
    pub(super) fn take(&mut self, row: &FacesRow) -> Option<Vec<Face>> {
        let relative = row.relative.to_string_lossy();
        self.0.remove(&row.path).or_else(|| self.0.remove(relative.as_ref()))
    }

    /// Number of images that were not asked for.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}
