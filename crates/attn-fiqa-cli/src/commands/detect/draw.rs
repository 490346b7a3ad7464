//! Pictures with their faces' boxes and landmarks drawn.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use attn_fiqa::pipeline::FacesRow;
use attn_fiqa::status::{Failure, Status};
use attn_fiqa::visualize::{draw_faces, encode_png};

use crate::summary::Summary;

/// The ending after an image's own name.
const ENDING: &str = ".faces.png";

pub(super) struct Drawing {
    folder: PathBuf,
    taken: HashSet<PathBuf>,
}

impl Drawing {
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), taken: HashSet::new() })
    }

    /// Draws an image that could be searched, whether or not it has faces.
    pub(super) fn draw(&mut self, row: &FacesRow, summary: &mut Summary) -> anyhow::Result<()> {
        let (Some(photo), Ok(faces)) = (&row.photo, &row.faces) else { return Ok(()) };
        let mut name = row.relative.as_os_str().to_owned();
        name.push(ENDING);
        let path = self.folder.join(name);
        if !self.taken.insert(path.clone()) {
            let message = "another image of this run has the same name inside its input, and its \
                           drawing was written; draw the inputs into folders of their own";
            summary.count_failure(&row.path, &Failure::new(Status::NotWritten, message));
            return Ok(());
        }
        let drawn = draw_faces(photo, faces);
        let png = encode_png(drawn.rgb(), drawn.width(), drawn.height())?;
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, png))
            .with_context(|| format!("cannot write '{}'", path.display()))
    }
}
