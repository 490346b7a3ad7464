//! Operators that move data: they compute nothing, yet can turn a small tensor into a huge one.

use super::content::{concatenated, gathered};
use super::shape::{Call, Outcome, broadcast, lengths, places, product};
use super::{Content, MAX_AXES};

impl Call<'_> {
    pub(super) fn concat(&self) -> Outcome {
        let axes = || {
            let mut axes = self.axes(0)?.to_vec();
            let [place] = places(&[self.node.number("axis")?], axes.len())?[..] else {
                return None;
            };
            for index in 1..self.given.len() {
                let other = self.axes(index)?;
                if other.len() != axes.len() {
                    return None;
                }
                for (at, (axis, &other)) in axes.iter_mut().zip(other).enumerate() {
                    *axis = if at == place { axis.checked_add(other)? } else { other.max(*axis) };
                }
            }
            Some(axes)
        };
        let axes = axes();
        let is_vector = axes.as_ref().is_some_and(|axes| axes.len() == 1);
        let known: Vec<_> = (0..self.given.len()).map(|index| self.content(index)).collect();
        let content = if is_vector { concatenated(&known) } else { None };
        Outcome { axes, content, ..Outcome::default() }
    }

    pub(super) fn expand(&self) -> Option<Vec<u64>> {
        Some(broadcast(self.axes(0)?, &lengths(self.content(1)?)?))
    }

    pub(super) fn flatten(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let axis = self.node.number("axis").unwrap_or(1);
        let axis = if axis < 0 { axis.checked_add(axes.len() as i64)? } else { axis };
        let (first, second) = axes.split_at_checked(usize::try_from(axis).ok()?)?;
        Some(vec![product(first), product(second)])
    }

    pub(super) fn gather(&self) -> Outcome {
        let axes = || {
            let (axes, indices) = (self.axes(0)?, self.axes(1)?);
            let axis = self.node.number("axis").unwrap_or(0);
            let [place] = places(&[axis], axes.len())?[..] else { return None };
            Some([&axes[..place], indices, &axes[place + 1..]].concat())
        };
        let is_vector = self.axes(0).is_some_and(|axes| axes.len() == 1);
        let content = match (self.content(0), self.content(1)) {
            (Some(content), Some(indices)) if is_vector => gathered(content, indices),
            _ => None,
        };
        Outcome { axes: axes(), content, ..Outcome::default() }
    }

    pub(super) fn pad(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let pads = self.numbers("pads", 1)??;
        let listed = match self.numbers("axes", 3)? {
            Some(listed) => places(&listed, axes.len())?,
            None => (0..axes.len()).collect(),
        };
        if pads.len() != 2 * listed.len() {
            return None;
        }
        let mut out = axes.to_vec();
        for (index, place) in listed.iter().enumerate() {
            let padded = i64::try_from(out[*place]).ok()?.checked_add(pads[index])?;
            let padded = padded.checked_add(pads[listed.len() + index])?;
            out[*place] = u64::try_from(padded).ok()?;
        }
        Some(out)
    }

    pub(super) fn reshape(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let asked = self.numbers("shape", 1)??;
        let copies = !self.flag("allowzero");
        let mut out = Vec::with_capacity(asked.len());
        let mut open = None;
        for (place, &length) in asked.iter().enumerate() {
            out.push(match length {
                0 if copies => *axes.get(place)?,
                -1 if open.is_none() => {
                    open = Some(place);
                    1
                }
                length => u64::try_from(length).ok()?,
            });
        }
        if let Some(open) = open {
            out[open] = product(axes).checked_div(product(&out))?;
        }
        Some(out)
    }

    pub(super) fn resize(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let (scales, sizes) = match (self.node.operator.as_str(), self.given.len()) {
            ("Upsample", _) | (_, 2) => (1, usize::MAX),
            _ => (2, 3),
        };
        let listed: Vec<usize> = match self.node.list("axes").filter(|list| !list.is_empty()) {
            Some(listed) => places(listed, axes.len())?,
            None => (0..axes.len()).collect(),
        };
        let mut out = axes.to_vec();
        // An empty vector stands for an omitted input.
        let has_scales = self.is_given(scales) && self.axes(scales)? != [0];
        if let Some(factors) = self.node.floats("scales").filter(|_| !self.is_given(1)) {
            resize_by(&mut out, &listed, factors.iter().copied())?;
        } else if has_scales {
            let factors = &self.content(scales)?.numbers;
            resize_by(&mut out, &listed, factors.iter().map(|&factor| factor as f32))?;
        } else {
            let sizes = lengths(self.content(sizes)?)?;
            if sizes.len() != listed.len() {
                return None;
            }
            listed.iter().zip(sizes).for_each(|(&place, size)| out[place] = size);
        }
        Some(out)
    }

    pub(super) fn slice(&self) -> Option<Outcome> {
        let axes = self.axes(0)?;
        let (starts, ends) = (self.numbers("starts", 1)??, self.numbers("ends", 2)??);
        let listed = match self.numbers("axes", 3)? {
            Some(listed) => places(&listed, axes.len())?,
            None => (0..starts.len()).collect(),
        };
        let steps = self.numbers("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        let counts = [ends.len(), listed.len(), steps.len()];
        if counts.iter().any(|&count| count != starts.len()) || starts.len() > axes.len() {
            return None;
        }
        let mut out = axes.to_vec();
        let mut content = self.content(0).cloned().filter(|_| axes.len() == 1);
        for (index, &place) in listed.iter().enumerate() {
            let length = i64::try_from(*out.get(place)?).ok()?;
            let step = steps[index];
            let from_end = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
            let (start, end) = (from_end(starts[index]), from_end(ends[index]));
            let kept: Vec<i64> = match step {
                0 => return None,
                1.. => vec![start.clamp(0, length), end.clamp(0, length)],
                _ => vec![end.clamp(-1, length - 1), start.clamp(-1, length - 1)],
            };
            let kept = (kept[1] - kept[0]).max(0).unsigned_abs();
            out[place] = kept.div_ceil(step.unsigned_abs());
            content = content.filter(|_| step == 1).and_then(|content| {
                let start = usize::try_from(start.clamp(0, length)).ok()?;
                let numbers = content.numbers.get(start..start + kept as usize)?.to_vec();
                Some(Content { numbers, ..content })
            });
        }
        Some(Outcome { axes: Some(out), content, ..Outcome::default() })
    }

    pub(super) fn split(&self) -> Option<Outcome> {
        let axes = self.axes(0)?;
        let [place] = places(&[self.node.number("axis").unwrap_or(0)], axes.len())?[..] else {
            return None;
        };
        let outputs = self.node.outputs.len();
        if self.node.number("num_outputs").is_some_and(|asked| asked != outputs as i64) {
            return None;
        }
        let parts: Vec<u64> = match self.numbers("split", 1)? {
            Some(parts) => {
                parts.iter().map(|&part| u64::try_from(part).ok()).collect::<Option<_>>()?
            }
            None => {
                let part = axes[place].div_ceil((outputs as u64).max(1));
                let start = |index: usize| part.saturating_mul(index as u64).min(axes[place]);
                (0..outputs).map(|index| start(index + 1) - start(index)).collect()
            }
        };
        if parts.len() != outputs {
            return None;
        }
        let mut largest = axes.to_vec();
        largest[place] = parts.iter().copied().max()?;
        Some(Outcome { axes: Some(largest), parts: Some((place, parts)), ..Outcome::default() })
    }

    pub(super) fn squeeze(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let listed = self.numbers("axes", 1)?;
        let listed = listed.map(|listed| places(&listed, axes.len()));
        let gone = |place: usize, length: u64| match &listed {
            Some(listed) => listed.as_ref().map(|listed| listed.contains(&place)),
            None => Some(length == 1),
        };
        let mut out = Vec::new();
        for (place, &length) in axes.iter().enumerate() {
            out.extend((!gone(place, length)?).then_some(length));
        }
        Some(out)
    }

    pub(super) fn tile(&self) -> Option<Vec<u64>> {
        let (axes, times) = (self.axes(0)?, lengths(self.content(1)?)?);
        if axes.len() != times.len() {
            return None;
        }
        axes.iter().zip(times).map(|(axis, times)| axis.checked_mul(times)).collect()
    }

    pub(super) fn top_k(&self) -> Option<Vec<u64>> {
        let mut axes = self.axes(0)?.to_vec();
        let axis = self.node.number("axis").unwrap_or(-1);
        let [place] = places(&[axis], axes.len())?[..] else { return None };
        let asked = match self.is_given(1) {
            false => self.node.number("k")?,
            true => *self.content(1)?.numbers.first()? as i64,
        };
        axes[place] = u64::try_from(asked).ok()?;
        Some(axes)
    }

    pub(super) fn transpose(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        match self.node.list("perm").filter(|list| !list.is_empty()) {
            None => Some(axes.iter().rev().copied().collect()),
            Some(order) => {
                places(order, axes.len())?.iter().map(|&place| axes.get(place).copied()).collect()
            }
        }
    }

    pub(super) fn unsqueeze(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let listed = self.numbers("axes", 1)??;
        let count = axes.len() + listed.len();
        if count > MAX_AXES {
            return None;
        }
        let listed = places(&listed, count)?;
        let mut rest = axes.iter();
        (0..count)
            .map(|at| if listed.contains(&at) { Some(1) } else { rest.next().copied() })
            .collect()
    }
}

/// Scales the axes `places`, rounding as `rten` does.
fn resize_by(
    axes: &mut [u64],
    places: &[usize],
    factors: impl ExactSizeIterator<Item = f32>,
) -> Option<()> {
    if factors.len() != places.len() {
        return None;
    }
    for (&place, factor) in places.iter().zip(factors) {
        axes[place] = (axes[place] as f32 * factor).floor() as u64;
    }
    Some(())
}
