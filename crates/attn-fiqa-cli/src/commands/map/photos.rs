//! Photos with the maps of their faces drawn back onto them.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::align::{Similarity, similarity_to_template};
use attn_fiqa::pipeline::{CropOrigin, Row};
use attn_fiqa::pixels::Image;
use attn_fiqa::resize::shrink_area;
use attn_fiqa::threads::Isa;
use attn_fiqa::visualize::{MapOnPhoto, PatchGrid, encode_png, overlay_on_photo};
use rayon::ThreadPool;

use super::manifest::with_ending;
use super::spool::Spool;
use super::style::MapStyles;
use super::write_file;

/// The ending after an image's own name.
const PHOTO: &str = "photo.png";

/// Photos put aside on disk until the colours of the set are known.
pub(super) struct Photos {
    file: File,
    end: u64,
    /// Longer sides are shrunk to this.
    max_side: usize,
    pool: ThreadPool,
    isa: Isa,
    photos: Vec<Photo>,
    taken: HashSet<PathBuf>,
    /// The image whose rows are coming, and its photo unless its name was taken.
    current: Option<(String, Option<usize>)>,
}

struct Photo {
    name: PathBuf,
    place: u64,
    width: usize,
    height: usize,
    /// How many times it was shrunk.
    factor: f64,
    /// Each face's number in the spool, and how its crop was taken from the full photo.
    faces: Vec<(usize, Similarity)>,
}

impl Photos {
    pub(super) fn create(
        folder: &Path,
        max_side: usize,
        jobs: usize,
        isa: Isa,
    ) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder)
            .with_context(|| format!("cannot write into the folder '{}'", folder.display()))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
        Ok(Self {
            file,
            end: 0,
            max_side,
            pool,
            isa,
            photos: Vec::new(),
            taken: HashSet::new(),
            current: None,
        })
    }

    /// Takes note of a face whose grid will be number `number` of the spool, and
    /// puts its photo aside with the first of them. Returns the photo's file; none
    /// where the image itself is the crop.
    pub(super) fn add(&mut self, row: &Row, number: usize) -> anyhow::Result<Option<PathBuf>> {
        let (Some(photo), Some(face), Some(crop)) = (&row.photo, row.face, &row.crop) else {
            return Ok(None);
        };
        let Some(landmarks) = face.landmarks.filter(|_| face.crop_origin != CropOrigin::Aligned)
        else {
            return Ok(None);
        };
        let Ok(to_crop) = similarity_to_template(&landmarks, crop.side()) else {
            return Ok(None);
        };
        // Two inputs may hold the same name, and even be the same file.
        let known = self.current.take().filter(|(path, _)| !row.is_first && *path == row.path);
        let (path, index) = match known {
            Some(known) => known,
            None => {
                let name = with_ending(&row.relative, PHOTO);
                let index = match self.taken.insert(name.clone()) {
                    true => Some(self.put_aside(name, photo)?),
                    false => None,
                };
                (row.path.clone(), index)
            }
        };
        self.current = Some((path, index));
        Ok(index.map(|index| {
            let photo = &mut self.photos[index];
            photo.faces.push((number, to_crop));
            photo.name.clone()
        }))
    }

    fn put_aside(&mut self, name: PathBuf, photo: &Image) -> anyhow::Result<usize> {
        let longer = photo.width().max(photo.height());
        let factor = (longer as f64 / self.max_side as f64).max(1.0);
        let shrunk = |length: usize| ((length as f64 / factor).round() as usize).max(1);
        let (width, height) = (shrunk(photo.width()), shrunk(photo.height()));
        let smaller = self
            .pool
            .install(|| shrink_area(self.isa, photo, width, height))
            .context("a photo that cannot be shrunk: this is a bug")?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(smaller.rgb()).context("cannot put a photo aside on disk")?;
        self.photos.push(Photo { name, place: self.end, width, height, factor, faces: Vec::new() });
        self.end += smaller.rgb().len() as u64;
        Ok(self.photos.len() - 1)
    }

    /// Paints every photo.
    pub(super) fn write(
        mut self,
        spool: &mut Spool,
        folder: &Path,
        styles: &MapStyles,
    ) -> anyhow::Result<()> {
        for photo in std::mem::take(&mut self.photos) {
            let image = self.read(&photo).context("cannot read back a spooled photo")?;
            let mut grids = Vec::new();
            for &(number, to_crop) in &photo.faces {
                let mut image = spool.get(number)?;
                let grid = image.grids.swap_remove(0);
                grids.push((image.crop.side(), grid, photo.shrunk_to_crop(&to_crop)));
            }
            let maps = grids
                .iter()
                .map(|(crop_side, values, to_crop)| {
                    let side = values.len().isqrt();
                    Ok(MapOnPhoto {
                        to_crop: *to_crop,
                        grid: PatchGrid::new(values, side, side)?,
                        style: styles.style(values, *crop_side, false)?,
                    })
                })
                .collect::<anyhow::Result<Vec<_>>>()?;
            let drawn = overlay_on_photo(&image, &maps)?;
            let png = encode_png(&drawn.rgb, drawn.width, drawn.height)?;
            write_file(&folder.join(&photo.name), &png)?;
        }
        Ok(())
    }

    fn read(&mut self, photo: &Photo) -> anyhow::Result<Image> {
        let mut rgb = vec![0; photo.width * photo.height * 3];
        self.file.seek(SeekFrom::Start(photo.place))?;
        self.file.read_exact(&mut rgb)?;
        Image::from_rgb(photo.width, photo.height, rgb).context("a photo without pixels")
    }
}

impl Photo {
    /// From pixels of the shrunk photo to those of a crop; both photos have their
    /// outer edges in common.
    fn shrunk_to_crop(&self, to_crop: &Similarity) -> Similarity {
        let first = (self.factor - 1.0) / 2.0;
        Similarity {
            a: to_crop.a * self.factor,
            b: to_crop.b * self.factor,
            shift: to_crop.apply([first, first]),
        }
    }
}
