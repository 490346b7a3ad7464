//! Convolutions, pooling and other sliding-window operators.

use super::count;
use super::shape::{Call, Outcome};

impl Call<'_> {
    /// The value of an attribute for each spatial axis, or `otherwise` if it is absent.
    fn for_each_axis(&self, name: &str, count: usize, otherwise: u64) -> Option<Vec<u64>> {
        match self.node.list(name).filter(|list| !list.is_empty()) {
            None => Some(vec![otherwise; count]),
            Some(list) if list.len() == count => {
                list.iter().map(|&number| u64::try_from(number).ok()).collect()
            }
            Some(_) => None,
        }
    }

    /// Spatial output sizes of a sliding window of `kernel`.
    fn windows(&self, axes: &[u64], kernel: &[u64]) -> Option<Vec<u64>> {
        let sides = axes.get(2..)?;
        let n = sides.len();
        if kernel.len() != n {
            return None;
        }
        let strides = self.for_each_axis("strides", n, 1)?;
        let dilations = self.for_each_axis("dilations", n, 1)?;
        let pads = self.for_each_axis("pads", 2 * n, 0)?;
        let up = self.flag("ceil_mode");
        (0..n)
            .map(|i| {
                let stride = strides[i].max(1);
                if self.node.text("auto_pad").starts_with("SAME") {
                    return Some(sides[i].div_ceil(stride));
                }
                let window =
                    dilations[i].checked_mul(kernel[i].saturating_sub(1))?.checked_add(1)?;
                let padded = sides[i].checked_add(pads[i])?.checked_add(pads[n + i])?;
                let room = padded.saturating_sub(window);
                let steps = if up { room.div_ceil(stride) } else { room / stride };
                steps.checked_add(1)
            })
            .collect()
    }

    pub(super) fn pool(&self) -> Option<Outcome> {
        let axes = self.axes(0)?;
        let kernel: Option<Vec<u64>> =
            self.node.list("kernel_shape")?.iter().map(|&n| u64::try_from(n).ok()).collect();
        let kernel = kernel?;
        let out = [axes.get(..2)?.to_vec(), self.windows(axes, &kernel)?].concat();
        // Comparisons are made one at a time, unlike in a matrix product.
        let operations = count(&out).saturating_mul(count(&kernel)).saturating_mul(8);
        Some(Outcome { axes: Some(out), operations, ..Outcome::default() })
    }

    pub(super) fn conv(&self) -> Option<Outcome> {
        let (axes, weight) = (self.axes(0)?, self.axes(1)?);
        let out = [&[*axes.first()?, *weight.first()?][..], &self.windows(axes, weight.get(2..)?)?];
        let out = out.concat();
        let operations = count(&out).saturating_mul(count(&weight[1..]));
        Some(Outcome { axes: Some(out), operations, ..Outcome::default() })
    }

    pub(super) fn conv_transpose(&self) -> Option<Outcome> {
        let (axes, weight) = (self.axes(0)?, self.axes(1)?);
        let (sides, kernel) = (axes.get(2..)?, weight.get(2..)?);
        let n = sides.len();
        if kernel.len() != n || self.node.list("output_shape").is_some_and(|list| !list.is_empty())
        {
            return None;
        }
        let strides = self.for_each_axis("strides", n, 1)?;
        let dilations = self.for_each_axis("dilations", n, 1)?;
        let pads = self.for_each_axis("pads", 2 * n, 0)?;
        let more = self.for_each_axis("output_padding", n, 0)?;
        let groups = u64::try_from(self.node.number("group").unwrap_or(1)).ok()?.max(1);
        let mut out = vec![*axes.first()?, weight.get(1)?.checked_mul(groups)?];
        for i in 0..n {
            let window = dilations[i].checked_mul(kernel[i].saturating_sub(1))?.checked_add(1)?;
            let steps = strides[i].checked_mul(sides[i].saturating_sub(1))?;
            let padded = steps.checked_add(window)?.checked_add(more[i])?;
            out.push(match self.node.text("auto_pad").starts_with("SAME") {
                true => sides[i].checked_mul(strides[i])?,
                false => padded.saturating_sub(pads[i].checked_add(pads[n + i])?),
            });
        }
        let operations = count(axes).saturating_mul(count(&weight[1..]));
        let scratch = count(sides).saturating_mul(count(&weight[1..])).saturating_mul(groups);
        Some(Outcome { axes: Some(out), operations, scratch, ..Outcome::default() })
    }

    pub(super) fn depth_to_space(&self) -> Option<Vec<u64>> {
        let &[batch, channels, height, width] = self.axes(0)? else { return None };
        let side = u64::try_from(self.node.number("blocksize")?).ok()?.max(1);
        let area = side.checked_mul(side)?;
        Some(vec![batch, channels / area, height.checked_mul(side)?, width.checked_mul(side)?])
    }

    pub(super) fn global_pool(&self) -> Option<Vec<u64>> {
        let axes = self.axes(0)?;
        let (kept, pooled) = axes.split_at_checked(2)?;
        Some([kept, &vec![1; pooled.len()]].concat())
    }
}
