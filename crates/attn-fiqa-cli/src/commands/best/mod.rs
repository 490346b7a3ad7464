//! `attn-fiqa best`: the best faces of each folder, track or person.
//!
//! Faces are scored one by one; for each, only a row and a thumbnail stay in memory, and its crop
//! stays on disk if the winners' crops are to be written.

mod face;
mod rows;
mod spool;
mod tracks;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::SystemTime;

use attn_fiqa::best::{Candidate, SelectOptions, group_by_identity, select};
use attn_fiqa::engine::Request;
use attn_fiqa::pipeline::{Row, ScoreOptions};
use attn_fiqa::status::Status;

use super::crop_folder::CropFolder;
use super::session::Session;
use crate::args::{BestArgs, GroupBy, RunOptions};
use crate::exit::Exit;
use crate::journal::Images;
use crate::log;
use crate::output::{BeforeRun, open_folder, printable};
use crate::summary::Summary;
use face::{ScoredFace, video_or_folder};
use rows::{Rows, Winner};
use spool::CropSpool;
use tracks::Tracks;

pub(crate) fn run(args: &BestArgs, run: &RunOptions) -> anyhow::Result<Exit> {
    let group_by = args.group_by()?;
    args.input.refuse_as_output(args.output.as_deref())?;
    args.input.refuse_as_output_folder(args.crops.as_deref())?;
    let tracks = args.tracks.as_deref().map(Tracks::read).transpose()?;
    let identity = group_by == GroupBy::Identity;
    let session = Session::open(&args.model, run, args.method.as_slice(), identity)?;
    let method = args.method.unwrap_or_else(|| session.engine.default_method());
    let request = Request { embedding: identity, ..Request::new(method) };
    let faces = session.faces(&args.input, &args.faces)?;
    let options = ScoreOptions { best_only: args.best.best, ..request.into() };
    let pipeline = session.pipeline(faces, options)?;

    // Detect unreadable inputs and unwritable outputs before any work.
    let frames = args.video.options(args.input.limits().max_pixels);
    let sources = args.input.open_with_frames(frames)?;
    let mut rows = Rows::open(args)?;
    let existing = args.folder.existing();
    let before = BeforeRun::new(existing, SystemTime::now());
    if let Some(folder) = &args.crops {
        open_folder(folder, existing, None)?;
    }
    let crops = args.crops.as_deref();
    let mut crops = crops.map(|folder| CropFolder::new(folder, args.image_format, before));
    let mut spool = args.crops.as_deref().map(CropSpool::create).transpose()?;

    let mut faces: Vec<ScoredFace> = Vec::new();
    let (mut without_face, mut without_track) = (0_u64, 0_u64);
    let count = |summary: &mut Summary, row: &Row| {
        // Video frames without a face are not failures here.
        match &row.outcome {
            Err(failure) if failure.status == Status::NoFace => summary.count_skipped(&row.notes),
            _ => summary.count(row),
        }
    };
    let summary = session.run_counting(
        Images::all(sources),
        &pipeline,
        &args.input,
        run,
        count,
        |row, _| {
            if row.outcome.as_ref().is_err_and(|failure| failure.status == Status::NoFace) {
                without_face += 1;
            }
            let Some((mut face, crop)) = ScoredFace::from_row(row) else { return Ok(()) };
            if let Some(tracks) = &tracks {
                match tracks.track_of(&face) {
                    Some(track) => track.clone_into(&mut face.group),
                    None => {
                        without_track += 1;
                        return Ok(());
                    }
                }
            }
            if let Some(spool) = &mut spool {
                spool.push(&crop)?;
            }
            faces.push(face);
            Ok(())
        },
    )?;

    if identity {
        name_persons(&mut faces, args.same_identity);
    } else if group_by == GroupBy::Folder {
        for face in &mut faces {
            face.group = video_or_folder(face).to_owned();
        }
    }
    let picks = select(
        &candidates(&faces),
        &SelectOptions { top: args.top.get(), same_image: args.same_image },
    );
    let mut not_written = 0_u64;
    for pick in &picks {
        let face = &faces[pick.index];
        let mut file = None;
        if let (Some(folder), Some(spool)) = (&mut crops, &mut spool) {
            let stem = PathBuf::from(format!("{}.best-{}", file_name(&face.group), pick.rank));
            match folder.write(&stem, &spool.get(pick.index)?)? {
                Ok(name) => file = Some(name),
                Err(failure) => {
                    not_written += 1;
                    log::info(format!("{}: {}: {}", face.path, failure.status, failure.message));
                }
            }
        }
        rows.push(&Winner { face, pick, crop: file.as_deref() })?;
    }
    rows.finish()?;
    for (count, what) in [
        (without_face, "without a face"),
        (without_track, "left out, not in any track of --tracks"),
    ] {
        if count > 0 {
            log::note(format!("{count} × {what}"));
        }
    }
    let groups: HashSet<&str> = picks.iter().map(|pick| faces[pick.index].group.as_str()).collect();
    log::info(format!(
        "{} chosen of {} faces in {} groups",
        picks.len(),
        faces.len(),
        groups.len()
    ));
    let exit = summary.finish();
    Ok(if not_written > 0 { Exit::SomeFailed } else { exit })
}

fn candidates(faces: &[ScoredFace]) -> Vec<Candidate> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    faces
        .iter()
        .map(|face| {
            let next = numbers.len();
            let group = *numbers.entry(&face.group).or_insert(next);
            Candidate {
                group,
                score: face.score,
                inter_eye_distance: face
                    .landmarks
                    .map_or(0.0, |landmarks| landmarks.inter_eye_distance()),
                thumbnail: face.thumbnail.clone(),
            }
        })
        .collect()
}

/// Groups by person, the best faces first, and names them `person-1`, `person-2`, …
fn name_persons(faces: &mut [ScoredFace], threshold: f32) {
    let mut order: Vec<usize> = (0..faces.len()).collect();
    order.sort_by(|&a, &b| faces[b].score.total_cmp(&faces[a].score).then(a.cmp(&b)));
    let embeddings: Vec<Vec<f32>> =
        faces.iter_mut().map(|face| std::mem::take(&mut face.embedding)).collect();
    let groups = group_by_identity(&embeddings, &order, threshold);
    for (face, group) in faces.iter_mut().zip(groups) {
        face.group = format!("person-{}", group + 1);
    }
}

/// The name of a group as a file name, without anything that could lead elsewhere.
fn file_name(group: &str) -> String {
    const LONGEST: usize = 100;
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = printable(group).chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let name = name.trim_matches(['.', '_']);
    let name: String =
        name.chars().rev().take(LONGEST).collect::<Vec<_>>().into_iter().rev().collect();
    if name.is_empty() { "group".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn file_names_are_sanitized() {
        assert_eq!(file_name("faces/ada 1"), "faces_ada_1");
        assert_eq!(file_name("../../etc/passwd"), "etc_passwd");
        assert_eq!(file_name(r"C:\a"), "C__a");
        assert_eq!(file_name("."), "group");
        assert_eq!(file_name(&"x".repeat(900)).len(), 100);
    }
}
