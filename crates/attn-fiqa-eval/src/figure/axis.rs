//! Axes: from values to pixels, and tick values.

/// How values are mapped to an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    /// Powers of ten; values must be above 0.
    Log10,
}

/// One axis: its range and its position on the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Pixels of `low` and `high`.
    from: f64,
    to: f64,
    /// Values that get a grid line and a label.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis over exactly `[low, high]`.
    pub(super) fn linear((low, high): (f64, f64), about: usize, (from, to): (f64, f64)) -> Self {
        let (low, high) = widened(low, high);
        Self { scale: Scale::Linear, low, high, from, to, ticks: ticks(low, high, about) }
    }

    /// A logarithmic axis over whole powers of ten around `[low, high]`, both above 0.
    pub(super) fn log10((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let last = last.max(first + 1);
        let ticks = (first..=last).map(|power| (10f64.powi(power), power_label(power))).collect();
        let (low, high) = (10f64.powi(first), 10f64.powi(last));
        Self { scale: Scale::Log10, low, high, from, to, ticks }
    }

    /// The pixel of a value, or of the nearer end if it is out of range.
    pub(super) fn at(&self, value: f64) -> f64 {
        let spread = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log10 => value.log10(),
        };
        let (low, high) = (spread(self.low), spread(self.high));
        let fraction =
            ((spread(value.clamp(self.low, self.high)) - low) / (high - low)).clamp(0., 1.);
        self.from + fraction * (self.to - self.from)
    }
}

/// A range that is not empty.
fn widened(low: f64, high: f64) -> (f64, f64) {
    if high > low {
        return (low, high);
    }
    let by = if low == 0.0 { 1.0 } else { low.abs() * 0.05 };
    (low - by, low + by)
}

/// `low` to `high`, both extended outwards to a tick.
pub(super) fn rounded_out(low: f64, high: f64, about: usize) -> (f64, f64) {
    let (low, high) = widened(low, high);
    let step = step(low, high, about);
    // A value on a tick, up to rounding, is not beyond it.
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
    (first * step, last * step)
}

/// 1, 2 or 5 times a power of ten, so that about this many ticks fit.
fn step(low: f64, high: f64, about: usize) -> f64 {
    let rough = (high - low) / about.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factor = match rough / power {
        ..1.5 => 1.0,
        ..3.5 => 2.0,
        ..7.5 => 5.0,
        _ => 10.0,
    };
    factor * power
}

fn ticks(low: f64, high: f64, about: usize) -> Vec<(f64, String)> {
    let step = step(low, high, about);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    let tick = |index: i64| {
        let value = index as f64 * step;
        (value, format!("{:.decimals$}", value + 0.0).replace('-', "−"))
    };
    (first..=last).map(tick).collect()
}

fn power_label(power: i32) -> String {
    match power {
        -2..=0 => format!("{}", 10f64.powi(power)),
        _ => format!("1e{power}").replace('-', "−"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        let axis = Axis::linear((0.0, 0.95), 5, (0.0, 95.0));
        assert_eq!(labels(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8"]);
        assert!((axis.at(0.2) - 20.0).abs() < 1e-9);
        let axis = Axis::linear((-1.0, 1.0), 4, (0.0, 1.0));
        assert_eq!(labels(&axis), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        let axis = Axis::linear((0.0, 3000.0), 3, (0.0, 1.0));
        assert_eq!(labels(&axis), ["0", "1000", "2000", "3000"]);
    }

    #[test]
    fn log_axis_spaces_powers_of_ten_evenly() {
        let axis = Axis::log10((2e-4, 0.5), (0.0, 100.0));
        assert_eq!(labels(&axis), ["1e−4", "1e−3", "0.01", "0.1", "1"]);
        assert!((axis.at(1e-2) - 50.0).abs() < 1e-9);
        assert_eq!(axis.at(1e-9), 0.0);
    }

    #[test]
    fn zero_width_range_is_widened() {
        assert!(Axis::linear((0.5, 0.5), 4, (0.0, 1.0)).at(0.5) > 0.4);
        assert_eq!(rounded_out(0.0, 0.0, 4), (-1.0, 1.0));
        let (low, high) = rounded_out(0.0, 0.0123, 4);
        assert!(low == 0.0 && (high - 0.014).abs() < 1e-9, "{low} {high}");
        let (low, high) = rounded_out(-1.7, -0.6, 5);
        assert!((low + 1.8).abs() < 1e-9 && (high + 0.6).abs() < 1e-9, "{low} {high}");
    }
}
