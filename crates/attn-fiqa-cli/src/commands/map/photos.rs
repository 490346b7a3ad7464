//! Photos with the maps of their faces drawn onto them.

use std::collections::HashSet;
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
use super::section::{Reader, Section, write_section};
use super::spool::Spool;
use super::style::MapStyles;
use crate::journal::{RunFiles, RunLog};
use crate::output::name_hash;

/// Appended to the name of an image.
const PHOTO: &str = "photo.png";

/// Photos kept in the run's log until the colour range of the set is known.
pub(super) struct Photos {
    /// Photos are shrunk so that the longer side is at most this.
    max_side: usize,
    pool: ThreadPool,
    isa: Isa,
    photos: Vec<Photo>,
    /// Hashes of the assigned names.
    taken: HashSet<u64>,
    /// The image whose rows are being added, and its photo unless the name was already taken.
    current: Option<(String, Option<usize>)>,
}

struct Photo {
    name: PathBuf,
    place: u64,
    width: usize,
    height: usize,
    /// The factor by which it was shrunk.
    factor: f64,
    /// For each face, its number in the spool and how its crop was taken from the full photo.
    faces: Vec<(usize, Similarity)>,
}

impl Photos {
    pub(super) fn new(max_side: usize, jobs: usize, isa: Isa) -> anyhow::Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
        let (photos, taken) = (Vec::new(), HashSet::new());
        Ok(Self { max_side, pool, isa, photos, taken, current: None })
    }

    /// Records a photo that an earlier run wrote to the log.
    pub(super) fn found_photo(&mut self, at: u64, bytes: &[u8]) -> anyhow::Result<()> {
        let photo = Photo::decode(at, bytes).context(UNREADABLE)?;
        self.taken.insert(name_hash(photo.name.as_os_str().as_encoded_bytes()));
        self.photos.push(photo);
        Ok(())
    }

    /// Records a face in the previous photo.
    pub(super) fn found_face(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut reader = Reader(bytes);
        let photo = reader.count().and_then(|photo| self.photos.get_mut(photo));
        let face = reader.count().and_then(|number| {
            let (a, b) = (reader.number()?, reader.number()?);
            let shift = [reader.number()?, reader.number()?];
            Some((number, Similarity { a, b, shift }))
        });
        let (photo, face) = photo.zip(face).context(UNREADABLE)?;
        photo.faces.push(face);
        Ok(())
    }

    /// Records a face with a grid that will be number `number` in the spool; the first face of a
    /// photo also stores the photo. Returns the file of the photo, or `None` if the image itself is
    /// the crop.
    pub(super) fn add(
        &mut self,
        log: &mut RunLog,
        row: &Row,
        number: usize,
    ) -> anyhow::Result<Option<PathBuf>> {
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
                let hash = name_hash(name.as_os_str().as_encoded_bytes());
                let index = match self.taken.insert(hash) {
                    true => Some(self.put_aside(log, name, photo)?),
                    false => None,
                };
                (row.path.clone(), index)
            }
        };
        self.current = Some((path, index));
        let Some(index) = index else { return Ok(None) };
        let photo = &mut self.photos[index];
        photo.faces.push((number, to_crop));
        let mut bytes = Vec::new();
        for count in [index, number] {
            bytes.extend((count as u64).to_le_bytes());
        }
        for number in [to_crop.a, to_crop.b, to_crop.shift[0], to_crop.shift[1]] {
            bytes.extend(number.to_le_bytes());
        }
        write_section(log, Section::Face, &bytes)?;
        Ok(Some(photo.name.clone()))
    }

    fn put_aside(
        &mut self,
        log: &mut RunLog,
        name: PathBuf,
        photo: &Image,
    ) -> anyhow::Result<usize> {
        let longer = photo.width().max(photo.height());
        let factor = (longer as f64 / self.max_side as f64).max(1.0);
        let shrunk = |length: usize| ((length as f64 / factor).round() as usize).max(1);
        let (width, height) = (shrunk(photo.width()), shrunk(photo.height()));
        let smaller = self
            .pool
            .install(|| shrink_area(self.isa, photo, width, height))
            .context("a photo that cannot be shrunk: this is a bug")?;
        let mut photo = Photo { name, place: 0, width, height, factor, faces: Vec::new() };
        let mut bytes = photo.encode_head()?;
        let head = bytes.len() as u64;
        bytes.extend_from_slice(smaller.rgb());
        photo.place = write_section(log, Section::Photo, &bytes)? + head;
        self.photos.push(photo);
        Ok(self.photos.len() - 1)
    }

    /// Paints every photo.
    pub(super) fn write(
        mut self,
        log: &mut RunLog,
        spool: &Spool,
        (folder, painted): (&Path, &RunFiles),
        styles: &MapStyles,
    ) -> anyhow::Result<()> {
        for photo in std::mem::take(&mut self.photos) {
            let image = photo.read(log)?;
            let mut grids = Vec::new();
            for &(number, to_crop) in &photo.faces {
                let mut image = spool.get(log, number)?;
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
            painted.write(&folder.join(&photo.name), &png)?;
        }
        Ok(())
    }
}

const UNREADABLE: &str = "a photo that cannot be read back: this is a bug";

impl Photo {
    /// The header before the pixels: name, width, height and factor.
    fn encode_head(&self) -> anyhow::Result<Vec<u8>> {
        let name = self.name.as_os_str().as_encoded_bytes();
        let mut bytes = u32::try_from(name.len())?.to_le_bytes().to_vec();
        bytes.extend(name);
        for length in [self.width, self.height] {
            bytes.extend((length as u64).to_le_bytes());
        }
        bytes.extend(self.factor.to_le_bytes());
        Ok(bytes)
    }

    fn decode(at: u64, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let name = reader.path()?;
        let (width, height, factor) = (reader.count()?, reader.count()?, reader.number()?);
        let place = at + (bytes.len() - reader.0.len()) as u64;
        Some(Self { name, place, width, height, factor, faces: Vec::new() })
    }

    fn read(&self, log: &mut RunLog) -> anyhow::Result<Image> {
        let mut rgb = vec![0; self.width * self.height * 3];
        log.read_at(self.place, &mut rgb)?;
        Image::from_rgb(self.width, self.height, rgb).context(UNREADABLE)
    }

    /// Maps pixels of the shrunk photo to pixels of a crop; the outer edges of both photos
    /// coincide.
    fn shrunk_to_crop(&self, to_crop: &Similarity) -> Similarity {
        let first = (self.factor - 1.0) / 2.0;
        Similarity {
            a: to_crop.a * self.factor,
            b: to_crop.b * self.factor,
            shift: to_crop.apply([first, first]),
        }
    }
}
