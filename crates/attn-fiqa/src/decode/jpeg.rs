//! A JPEG's markers, read before decoding (ITU-T T.81, annex B).
//!
//! The decoder fills damaged or truncated data with grey and guesses colour models. A face that is
//! half grey or in wrong colours must not be scored as if it were intact, so the markers and the
//! entropy-coded data are checked here first, and ambiguous files are refused.

use std::borrow::Cow;

use image::metadata::Orientation;

use super::entropy::{Frame, FrameComponent, Huffman, Scan, ScanComponent, ScanEnd};
use super::memory::{Needs, times};
use super::orientation::OrientationReader;
use super::{DecodeLimits, broken, unsupported};
use crate::status::Failure;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const TEM: u8 = 0x01;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
const DHT: u8 = 0xC4;
const SOS: u8 = 0xDA;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;

/// The decoder's own limit; each scan costs a pass over the whole image.
const MAX_SCANS: usize = 100;

/// How a JPEG's samples encode colours, by libjpeg's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Inverted inks, as all common programs interpret them.
    Cmyk,
    /// Like `Cmyk`, with the first three channels as luma and chroma.
    Ycck,
}

/// What the markers of a complete, decodable JPEG say.
#[derive(Debug)]
pub(super) struct JpegFacts<'a> {
    pub(super) colours: Colours,
    /// Whether the decoder for ordinary files decodes this one correctly: it resolves contradicting
    /// colour markers differently, mixes up the rows of sequential files with several scans, and
    /// takes for granted that no chroma is sampled more finely than luma.
    pub(super) ordinary: bool,
    /// The file with what it omits filled in: standard Huffman tables, end marker.
    pub(super) complete: Cow<'a, [u8]>,
    /// Whether the end marker is missing.
    pub(super) no_end_marker: bool,
    /// Whether scans of a progressive image are missing.
    pub(super) scans_missing: bool,
    pub(super) orientation: Orientation,
}

/// Walks all markers to the end of the image.
pub(super) fn inspect<'a>(
    bytes: &'a [u8],
    limits: &'a DecodeLimits,
) -> Result<JpegFacts<'a>, Failure> {
    Walk::new(bytes, limits).run()
}

/// Memory that decoding needs, from the headers before the first scan.
pub(super) fn needs(bytes: &[u8], limits: &DecodeLimits) -> Result<Needs, Failure> {
    let mut walk = Walk::new(bytes, limits);
    let scan = walk.run_to_first_scan()?;
    let frame =
        walk.frame.as_ref().ok_or_else(|| damaged("a scan comes before the frame header"))?;
    let components = frame.components.len();
    let all_components = scan.first().map(|&count| usize::from(count)) == Some(components);
    let (_, agreed) = walk.colours(frame);
    let agreed = agreed && frame.has_common_sampling();
    // Grey is decoded as such and expanded to RGB afterwards. The decoder for files that are not
    // ordinary fills planes, interleaves them, and converts the result to RGB.
    let (samples, planes) = if !agreed || !(frame.progressive || all_components) {
        (components as u64 + 3, frame.coefficients())
    } else {
        (if components == 1 { 1 + 3 } else { 3 }, 0)
    };
    // 16-bit coefficients are kept from scan to scan, unless one scan holds them all.
    let one_scan = !frame.progressive && all_components;
    let coefficients = if one_scan { 0 } else { 2 * frame.coefficients() };
    let (width, height) = (frame.size.0 as u64, frame.size.1 as u64);
    Ok(Needs {
        width,
        height,
        decoding: times(width, height, samples).saturating_add(coefficients).saturating_add(planes),
        // The decoder's copy, the profiles and other segments that it collects, and the completed
        // file.
        copies: 3 * bytes.len() as u64,
        turned: walk.orientation.found() != Orientation::NoTransforms,
    })
}

/// Size in bytes of the samples that an ordinary file within the limits decodes to, if its header
/// can be read.
pub(super) fn ordinary_samples(bytes: &[u8], limits: &DecodeLimits) -> Option<usize> {
    let mut walk = Walk::new(bytes, limits);
    walk.run_to_first_scan().ok()?;
    let frame = walk.frame.as_ref()?;
    let (width, height) = frame.size;
    limits.check_pixels(width as u64, height as u64).ok()?;
    let channels = frame.components.len();
    // Inks are decoded differently.
    matches!(channels, 1 | 3).then(|| width.checked_mul(height)?.checked_mul(channels))?
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: &'a DecodeLimits,
    frame: Option<Frame>,
    dc_tables: [Option<Huffman>; 4],
    ac_tables: [Option<Huffman>; 4],
    restart_interval: usize,
    scans: usize,
    jfif: bool,
    adobe_transform: Option<u8>,
    orientation: OrientationReader,
    /// Position of the first scan's marker.
    first_scan: Option<usize>,
    any_table: bool,
    /// Whether the file uses the standard Huffman tables without defining them.
    standard_tables: bool,
    /// Whether a scan of a sequential image leaves out a component.
    several_scans: bool,
    no_end_marker: bool,
}

fn truncated() -> Failure {
    broken(
        "the file ends before the image is complete (no end-of-image marker): \
         copy or download it again",
    )
}

fn damaged(what: &str) -> Failure {
    broken(format!("the image's data are damaged: {what}"))
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], limits: &'a DecodeLimits) -> Self {
        Self {
            bytes,
            at: 2,
            limits,
            frame: None,
            dc_tables: [const { None }; 4],
            ac_tables: [const { None }; 4],
            restart_interval: 0,
            scans: 0,
            jfif: false,
            adobe_transform: None,
            orientation: OrientationReader::default(),
            first_scan: None,
            any_table: false,
            standard_tables: false,
            several_scans: false,
            no_end_marker: false,
        }
    }

    /// The header of the first scan.
    fn run_to_first_scan(&mut self) -> Result<&'a [u8], Failure> {
        loop {
            match self.next_marker()? {
                EOI => return Err(damaged("there is no scan")),
                SOI | TEM | RST0..=RST7 => {}
                SOS => return self.segment(),
                marker => {
                    let segment = self.segment()?;
                    self.take(marker, segment)?;
                }
            }
        }
    }

    fn run(mut self) -> Result<JpegFacts<'a>, Failure> {
        loop {
            match self.next_marker_or_end()? {
                EOI => return self.facts(),
                SOI | TEM => {}
                // Some writers also end the last interval with one.
                RST0..=RST7 if self.is_at_marker() => {}
                RST0..=RST7 => return Err(damaged("data follow the last block of a scan")),
                marker => {
                    let segment = self.segment()?;
                    self.take(marker, segment)?;
                }
            }
        }
    }

    /// The next marker, or [`EOI`] if the file ends after its last block without one, as files from
    /// many cameras do.
    fn next_marker_or_end(&mut self) -> Result<u8, Failure> {
        let complete = self.frame.as_ref().is_some_and(Frame::is_complete);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if complete && !rest.windows(2).any(|pair| pair[0] == 0xFF && is_code(pair[1])) {
            self.no_end_marker = true;
            return Ok(EOI);
        }
        self.next_marker()
    }

    /// Moves past the next marker. Stray bytes before it are skipped, as every decoder does.
    fn next_marker(&mut self) -> Result<u8, Failure> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && is_code(pair[1]))
            .ok_or_else(truncated)?;
        let marker = rest[found + 1];
        self.at += found + 2;
        Ok(marker)
    }

    fn is_at_marker(&self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let code = rest.iter().position(|&byte| byte != 0xFF);
        code.is_none_or(|at| at > 0 && is_code(rest[at]))
    }

    /// A segment's body, without its two length bytes.
    fn segment(&mut self) -> Result<&'a [u8], Failure> {
        let length = self.bytes.get(self.at..self.at + 2).ok_or_else(truncated)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length < 2 {
            return Err(damaged("a segment's length is less than its own two bytes"));
        }
        let end = self.at + length;
        let body = self.bytes.get(self.at + 2..end).ok_or_else(truncated)?;
        self.at = end;
        Ok(body)
    }

    fn take(&mut self, marker: u8, segment: &[u8]) -> Result<(), Failure> {
        match marker {
            APP1 => self.orientation.read(segment),
            APP0 => self.jfif |= segment.starts_with(b"JFIF\0"),
            APP14 if segment.starts_with(b"Adobe") => {
                const TRANSFORM_AT: usize = 11;
                self.adobe_transform = segment.get(TRANSFORM_AT).copied();
            }
            DHT => self.huffman_tables(segment)?,
            DRI => {
                if let [high, low, ..] = *segment {
                    self.restart_interval = usize::from(u16::from_be_bytes([high, low]));
                }
            }
            // Start of frame: baseline, extended and progressive, Huffman-coded.
            0xC0..=0xC2 => self.start_frame(marker, segment)?,
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(unsupported(
                    "the JPEG is lossless, hierarchical or arithmetic-coded: \
                     save it as an ordinary JPEG or as PNG",
                ));
            }
            SOS => self.scan(segment)?,
            _ => {}
        }
        Ok(())
    }

    fn huffman_tables(&mut self, mut rest: &[u8]) -> Result<(), Failure> {
        while let Some((&class_and_slot, body)) = rest.split_first() {
            let (table, after) =
                Huffman::parse(body).ok_or_else(|| damaged("a Huffman table is not valid"))?;
            let tables = match class_and_slot >> 4 {
                0 => &mut self.dc_tables,
                1 => &mut self.ac_tables,
                _ => return Err(damaged("a Huffman table has no such class")),
            };
            *tables
                .get_mut(usize::from(class_and_slot & 15))
                .ok_or_else(|| damaged("a Huffman table has no such slot"))? = Some(table);
            self.any_table = true;
            rest = after;
        }
        Ok(())
    }

    fn start_frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), Failure> {
        if self.frame.is_some() {
            return Err(damaged("there are two frame headers"));
        }
        let [precision, h1, h0, w1, w0, count, ref parts @ ..] = *segment else {
            return Err(damaged("the frame header is too short"));
        };
        let height = u16::from_be_bytes([h1, h0]);
        let width = u16::from_be_bytes([w1, w0]);
        self.limits.check_pixels(u64::from(width), u64::from(height))?;
        if precision != 8 {
            return Err(unsupported(format!(
                "the JPEG has {precision} bits per sample, but only 8 are supported: save it as an \
                 8-bit JPEG or as 16-bit PNG"
            )));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(format!(
                "the JPEG has {count} colour components; expected 1, 3 or 4"
            )));
        }
        if parts.len() < 3 * usize::from(count) {
            return Err(damaged("the frame header is too short"));
        }
        let components = parts
            .chunks_exact(3)
            .take(usize::from(count))
            .map(|part| FrameComponent::new(part[0], part[1] >> 4, part[1] & 15))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| damaged("a sampling factor is not 1, 2, 3 or 4"))?;
        let progressive = marker == 0xC2;
        self.frame = Some(Frame::new(width, height, progressive, components));
        Ok(())
    }

    fn scan(&mut self, segment: &[u8]) -> Result<(), Failure> {
        // The marker, the two length bytes and the body precede this position.
        self.first_scan.get_or_insert(self.at - segment.len() - 4);
        if !self.any_table {
            self.standard_tables = true;
            self.huffman_tables(&super::standard_tables::SEGMENT)?;
        }
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(unsupported(format!("the JPEG has more than {MAX_SCANS} scans")));
        }
        let frame =
            self.frame.as_mut().ok_or_else(|| damaged("a scan comes before the frame header"))?;
        let too_short = || damaged("a scan header is too short");
        let (&count, rest) = segment.split_first().ok_or_else(too_short)?;
        let count = usize::from(count);
        let parts = rest.get(..2 * count).ok_or_else(too_short)?;
        let parameters = rest.get(2 * count..2 * count + 3).ok_or_else(too_short)?;
        let components = parts
            .chunks_exact(2)
            .map(|part| {
                let index = frame.components.iter().position(|c| c.id == part[0])?;
                Some(ScanComponent {
                    index,
                    dc: self.dc_tables.get(usize::from(part[1] >> 4))?.as_ref(),
                    ac: self.ac_tables.get(usize::from(part[1] & 15))?.as_ref(),
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| damaged("a scan refers to a component or table that does not exist"))?;
        self.several_scans |= !frame.progressive && count < frame.components.len();
        let scan = Scan {
            components,
            first: parameters[0],
            last: parameters[1],
            refining: parameters[2] >> 4 != 0,
            leaves_bits: parameters[2] & 15 != 0,
            restart_interval: self.restart_interval,
        };
        let data = self.bytes.get(self.at..).unwrap_or_default();
        match frame.walk_scan(&scan, data) {
            ScanEnd::Complete { used } => {
                self.at += used;
                Ok(())
            }
            ScanEnd::OutOfData => Err(truncated()),
            ScanEnd::Damaged(what) => Err(damaged(what)),
        }
    }

    /// The facts once the end of the image is reached.
    fn facts(self) -> Result<JpegFacts<'a>, Failure> {
        let frame = self.frame.as_ref().ok_or_else(|| damaged("there is no frame header"))?;
        if !frame.is_seen() {
            return Err(damaged("a colour component has no data"));
        }
        let (colours, agreed) = self.colours(frame);
        let ordinary = agreed && frame.has_common_sampling() && !self.several_scans;
        if !ordinary && frame.progressive && frame.has_factor_of_four() {
            // The other decoder mixes up the columns of these.
            return Err(super::not_handled());
        }
        Ok(JpegFacts {
            colours,
            ordinary,
            complete: self.complete(),
            no_end_marker: self.no_end_marker,
            scans_missing: !frame.is_complete(),
            orientation: self.orientation.found(),
        })
    }

    /// The colours by libjpeg's rules, and whether the decoder for ordinary files agrees.
    fn colours(&self, frame: &Frame) -> (Colours, bool) {
        // That decoder takes components with these names for colours, whatever the markers say.
        let named_rgb = frame.components.iter().map(|component| component.id).eq(*b"RGB");
        match (frame.components.len(), self.adobe_transform) {
            (1, _) => (Colours::Grey, true),
            // libjpeg gives a JFIF marker precedence over an Adobe one.
            (3, Some(0)) if self.jfif => (Colours::YCbCr, false),
            (3, Some(0)) => (Colours::Rgb, true),
            (3, None) if !self.jfif && named_rgb => (Colours::Rgb, false),
            (3, _) => (Colours::YCbCr, !named_rgb),
            (_, Some(0)) => (Colours::Cmyk, true),
            (_, Some(transform)) => (Colours::Ycck, transform == 2),
            (_, None) => (Colours::Cmyk, false),
        }
    }

    fn complete(&self) -> Cow<'a, [u8]> {
        if !self.standard_tables && !self.no_end_marker {
            return Cow::Borrowed(self.bytes);
        }
        let at = self.first_scan.unwrap_or(self.bytes.len());
        let (before, after) = self.bytes.split_at(at.min(self.bytes.len()));
        let mut whole = before.to_vec();
        if self.standard_tables {
            let table = super::standard_tables::SEGMENT;
            whole.extend([0xFF, DHT]);
            whole.extend((table.len() as u16 + 2).to_be_bytes());
            whole.extend(table);
        }
        if self.no_end_marker {
            // Stray bytes after the last block are dropped.
            whole.extend(&after[..self.at.max(at) - at]);
            whole.extend([0xFF, EOI]);
        } else {
            whole.extend(after);
        }
        Cow::Owned(whole)
    }
}

/// Whether a byte after FF makes a marker: neither stuffing nor fill.
fn is_code(byte: u8) -> bool {
    byte != 0xFF && byte != 0
}
