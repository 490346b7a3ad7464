//! The worst and the best faces, with what the table says about them.

use maud::{Markup, html};

use super::super::html::{data_uri, warning};
use super::causes::words;
use crate::overview::{Overview, RankedFace, Thumbnails};

pub(super) fn content(overview: &Overview, thumbnails: &Thumbnails) -> Markup {
    let lists = [("Worst", &overview.worst), ("Best", &overview.best)];
    let shown = lists.iter().map(|(_, faces)| faces.len()).sum::<usize>();
    let all = || overview.worst.iter().chain(&overview.best);
    let by_cause = all().any(|face| face.main_cause.is_some() || !face.causes.is_empty());
    let by_measure = all().any(|face| !has_cause(face) && !face.lowest.is_empty());
    html! {
        p {
            "Sorted by quality, then by score. "
            @if by_cause { "The number after a cause is its strength, 0 to 1. " }
            @if by_measure {
                @if by_cause { "A face without a cause" } @else { "Each face" }
                " lists the measures in which it is in the lowest tenth of the set, which need not \
                 be why its quality is low."
            }
        }
        @if let Some((name, problem)) = thumbnails.missing.first() {
            (warning(&format!(
                "{} of the {shown} faces have no thumbnail, since their images could not be read, \
                 such as {name}: {problem}",
                all().filter(|face| thumbnails.of(face).is_none()).count()
            )))
        }
        @for (title, faces) in lists {
            @if !faces.is_empty() {
                h3 { (title) }
                ul.faces { @for face in faces { (item(face, thumbnails)) } }
            }
        }
    }
}

fn item(face: &RankedFace, thumbnails: &Thumbnails) -> Markup {
    let name = match face.face {
        None | Some(0) => face.path.clone(),
        Some(number) => format!("{}#{number}", face.path),
    };
    let short = name.rsplit('/').next().unwrap_or(&name);
    html! {
        li {
            @if let Some(jpeg) = thumbnails.of(face) {
                img src=(data_uri("image/jpeg", jpeg)) alt={ "Face of " (name) } width="112"
                    height="112" loading="lazy";
            }
            b { (face.quality) }
            span title=(name) { (short) }
            @for reason in reasons(face) { small { (reason) } }
        }
    }
}

fn has_cause(face: &RankedFace) -> bool {
    face.main_cause.is_some() || !face.causes.is_empty()
}

/// Its causes, the main one first, or else its lowest measures.
fn reasons(face: &RankedFace) -> Vec<String> {
    let strength = |cause: &str, strength: f32| format!("{} {strength:.2}", words(cause));
    if !has_cause(face) {
        let lowest = face.lowest.iter();
        return lowest.map(|(component, value)| format!("{} {value}", component.name())).collect();
    }
    let is_main = |cause: &str| face.main_cause.as_deref() == Some(cause);
    let main = face.main_cause.iter().map(|main| {
        let found = face.causes.iter().find(|(cause, _)| cause == main);
        found.map_or_else(|| words(main), |(cause, value)| strength(cause, *value))
    });
    let others = face.causes.iter().filter(|(cause, _)| !is_main(cause));
    main.chain(others.map(|(cause, value)| strength(cause, *value))).collect()
}
