//! The page of refused faces.

use std::io::Write;
use std::path::Path;

use attn_fiqa::gate::Verdict;
use attn_fiqa::visualize::{ColorRange, MapStyle, PatchGrid, RangeOverSet, encode_png, overlay};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::is_refused;
use super::rows::GateResult;
use crate::output::{NewFile, printable};

/// The page allows only its own style: nothing is fetched and nothing runs.
const SECURITY_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// Cards are kept until the end, when the counts shown above them are known.
pub(super) struct Page {
    file: NewFile,
    cards: Vec<Markup>,
    limit: usize,
    left_out: usize,
}

impl Page {
    pub(super) fn create(file: &Path, limit: usize) -> anyhow::Result<Self> {
        Ok(Self { file: NewFile::create(file)?, cards: Vec::new(), limit, left_out: 0 })
    }

    pub(super) fn add(&mut self, judged: &GateResult) -> anyhow::Result<()> {
        if !is_refused(judged) {
            return Ok(());
        }
        if self.cards.len() == self.limit {
            self.left_out += 1;
            return Ok(());
        }
        self.cards.push(card(judged)?);
        Ok(())
    }

    pub(super) fn finish(mut self, policy: &str, counts: [u64; 3]) -> anyhow::Result<()> {
        let [accepted, retake, rejected] = counts;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(SECURITY_POLICY);
                    title { "Refused faces" }
                    style { (PreEscaped(include_str!("page.css"))) }
                }
                body {
                    header {
                        h1 { "Refused faces" }
                        p {
                            "By the policy '" (printable(policy)) "': " (accepted) " accepted, "
                            (retake) " to be retaken, " (rejected) " rejected."
                        }
                        @if self.left_out > 0 {
                            p { (self.left_out) " further refused faces are not shown." }
                        }
                    }
                    main { @for card in &self.cards { (card) } }
                    footer {
                        "The map shows which parts of the face the quality comes from: bright \
                         parts carry it. Quality is about recognition, not about looks."
                    }
                }
            }
        };
        self.file.write_all(page.into_string().as_bytes())?;
        self.file.finish()
    }
}

fn card(judged: &GateResult) -> anyhow::Result<Markup> {
    let GateResult { row, quality, verdict } = judged;
    let images = images(judged)?;
    let name = printable(&row.label());
    Ok(html! {
        article class=(verdict.decision.name()) {
            h2 { (name) }
            @if let Some([face, map]) = images {
                img src=(face) alt={ "The face of " (name) } width="112" height="112";
                img src=(map) alt="Its map" width="112" height="112";
            }
            p class="decision" {
                strong { (verdict.decision.name()) }
                @if let Some(quality) = quality { ", quality " (quality) }
            }
            (reasons(verdict))
        }
    })
}

fn reasons(verdict: &Verdict) -> Markup {
    html! {
        ul { @for reason in verdict.explanations() { li { (printable(&reason)) } } }
        @for advice in verdict.advice() { p class="advice" { (advice) "." } }
    }
}

/// The crop, and the crop with the map over it, as data URIs; `None` without a crop.
fn images(judged: &GateResult) -> anyhow::Result<Option<[String; 2]>> {
    let Some(crop) = &judged.row.crop else { return Ok(None) };
    let uri = |bytes: Vec<u8>| format!("data:image/png;base64,{}", STANDARD.encode(bytes));
    let face = uri(encode_png(crop.rgb(), crop.side(), crop.side())?);
    let map = judged.row.outcome.as_ref().ok().and_then(|found| found.received.as_ref());
    let Some(map) = map else { return Ok(None) };
    let values = map.mean.values();
    let side = map.mean.grid();
    let mut range = RangeOverSet::default();
    range.include(values);
    let range = range.range().map_or_else(|| ColorRange::new(0.0, 1.0), Ok)?;
    let over = overlay(crop, &PatchGrid::new(values, side, side)?, &MapStyle::new(range))?;
    Ok(Some([face, uri(encode_png(&over.rgb, over.width, over.height)?)]))
}
