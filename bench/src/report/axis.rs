//! Axes: where a value lies, and what stands beside it.

use super::plot::Series;

/// A value as it is written beside an axis.
pub(super) type Written = fn(f64) -> String;

/// An axis from 0 (left, or below) to 1.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) label: String,
    scale: Scale,
    written: Written,
    from: f64,
    to: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
    /// Each step is a tenth of what is left: 0, 90, 99, 99.9 … The value 100 is at the end.
    Percentile,
}

/// Space that is left beyond the smallest and the largest value of a logarithmic axis.
const LOG_MARGIN: f64 = 1.15;

/// Ticks that fit beside an axis.
const TICKS_MAX: usize = 9;

impl Axis {
    /// From zero to the largest value.
    pub(super) fn from_zero(
        label: &str,
        written: Written,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        let largest = values.into_iter().fold(0.0, f64::max);
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            written,
            from: 0.0,
            to: if largest > 0.0 { largest * 1.05 } else { 1.0 },
        }
    }

    /// Seconds from zero.
    pub(super) fn time(label: &str, series: &[Series]) -> Self {
        let xs = series.iter().flat_map(Series::xs);
        Self::from_zero(label, seconds, xs)
    }

    /// From the smallest to the largest value, in equal factors.
    pub(super) fn logarithmic(
        label: &str,
        written: Written,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        let (mut smallest, mut largest) = (f64::INFINITY, 0.0_f64);
        for value in values {
            if value > 0.0 && value.is_finite() {
                smallest = smallest.min(value);
                largest = largest.max(value);
            }
        }
        if !smallest.is_finite() {
            (smallest, largest) = (1.0, 10.0);
        }
        Self {
            label: label.to_owned(),
            scale: Scale::Logarithmic,
            written,
            from: smallest / LOG_MARGIN,
            to: largest * LOG_MARGIN,
        }
    }

    /// Percentiles up to the last one that is told.
    pub(super) fn percentile(label: &str, series: &[Series]) -> Self {
        let told = series.iter().flat_map(Series::xs).filter(|&x| x < 100.0);
        let last = told.map(nines).fold(1.0, f64::max);
        Self {
            label: label.to_owned(),
            scale: Scale::Percentile,
            written: |percentile| {
                if percentile >= 100.0 {
                    "slowest".to_owned()
                } else {
                    format!("{}", (percentile * 1e6).round() / 1e6)
                }
            },
            from: 0.0,
            // Room for the slowest one behind the last percentile.
            to: last + 0.4,
        }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Logarithmic => {
                let value = value.max(self.from);
                (value / self.from).ln() / (self.to / self.from).ln()
            }
            Scale::Percentile if value >= 100.0 => 1.0,
            Scale::Percentile => nines(value) / self.to,
        };
        place.clamp(0.0, 1.0)
    }

    /// Values with what is written beside them.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let values = match self.scale {
            Scale::Linear => linear_ticks(self.to),
            Scale::Logarithmic => logarithmic_ticks(self.from, self.to),
            Scale::Percentile => {
                let told = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
                let end = self.to - 0.3;
                let mut told: Vec<f64> = told.into_iter().filter(|&p| nines(p) < end).collect();
                told.push(100.0);
                told
            }
        };
        let write = |value| (value, (self.written)(value));
        values.into_iter().map(write).collect()
    }
}

/// How many nines a percentile has: 0 for 0, 1 for 90, 2 for 99.
fn nines(percentile: f64) -> f64 {
    -((100.0 - percentile).max(1e-9) / 100.0).log10()
}

/// Round steps from zero.
fn linear_ticks(to: f64) -> Vec<f64> {
    let rough = to / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|&step| step >= rough)
        .unwrap_or(rough);
    let mut ticks = Vec::new();
    let mut number = 0_u32;
    while f64::from(number) * step <= to && ticks.len() <= TICKS_MAX {
        ticks.push(f64::from(number) * step);
        number += 1;
    }
    ticks
}

/// Powers of ten, with 2 and 5 between when there is room.
fn logarithmic_ticks(from: f64, to: f64) -> Vec<f64> {
    let first = from.log10().floor();
    for factors in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
        let mut ticks = Vec::new();
        let mut power = first;
        while 10_f64.powf(power) <= to {
            let values = factors.iter().map(|factor| factor * 10_f64.powf(power));
            ticks.extend(values.filter(|value| (from..=to).contains(value)));
            power += 1.0;
        }
        if ticks.len() > TICKS_MAX && factors.len() > 1 {
            continue;
        }
        if ticks.len() < 2 {
            // Less than a factor of two or so: the ends say more than nothing.
            return vec![from * LOG_MARGIN, to / LOG_MARGIN];
        }
        return ticks;
    }
    Vec::new()
}

/// At most three digits that matter, without zeros at the end.
fn digits(value: f64) -> String {
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Nanoseconds with a unit that fits.
pub(super) fn duration(ns: f64) -> String {
    let (value, unit) = if ns < 1e3 {
        (ns, "ns")
    } else if ns < 1e6 {
        (ns / 1e3, "µs")
    } else if ns < 1e9 {
        (ns / 1e6, "ms")
    } else {
        (ns / 1e9, "s")
    };
    format!("{} {unit}", digits(value))
}

/// Seconds with a unit that fits.
fn seconds(seconds: f64) -> String {
    if seconds >= 600.0 {
        format!("{} min", digits(seconds / 60.0))
    } else {
        format!("{} s", digits(seconds))
    }
}

/// A count, with k or M for thousands and millions.
pub(super) fn plain_count(count: f64) -> String {
    if count >= 1e6 {
        format!("{} M", digits(count / 1e6))
    } else if count >= 1e4 {
        format!("{} k", digits(count / 1e3))
    } else {
        digits(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_they_belong_and_never_beside_the_axis() {
        let axis = Axis::logarithmic("", plain_count, [10.0, 1000.0]);
        let middle = axis.place(100.0);
        assert!((middle - 0.5).abs() < 1e-9, "{middle}");
        assert!(axis.place(10.0) > 0.0 && axis.place(1000.0) < 1.0);
        assert!((axis.place(1e9) - 1.0).abs() < 1e-9 && axis.place(0.0).abs() < 1e-9);
        let nothing = Axis::logarithmic("", plain_count, []);
        assert!(nothing.place(5.0).is_finite());
    }

    #[test]
    fn percentiles_have_a_tick_for_each_nine_that_is_told_and_one_for_the_slowest() {
        let series = [Series::new("a", [(0.0, 1.0), (99.9, 2.0), (100.0, 3.0)])];
        let axis = Axis::percentile("", &series);
        let ticks: Vec<String> = axis.ticks().into_iter().map(|tick| tick.1).collect();
        assert_eq!(ticks, ["0", "50", "90", "99", "99.9", "slowest"]);
        assert!(axis.place(99.9) < 0.95 && (axis.place(100.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn ticks_are_round_and_few() {
        let ticks = |from: f64, to: f64| logarithmic_ticks(from, to).len();
        for (from, to) in [(1.0, 2.0), (90.0, 110.0), (1.0, 1e9), (3.0, 700.0)] {
            assert!(
                (2..=TICKS_MAX + 1).contains(&ticks(from, to)),
                "{from} {to}"
            );
        }
        assert_eq!(linear_ticks(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }

    #[test]
    fn numbers_are_written_with_a_unit_that_fits() {
        assert_eq!(duration(950.0), "950 ns");
        assert_eq!(duration(1500.0), "1.5 µs");
        assert_eq!(duration(20_000_000.0), "20 ms");
        assert_eq!(duration(3e9), "3 s");
        assert_eq!(plain_count(1500.0), "1500");
        assert_eq!(plain_count(50_000.0), "50 k");
        assert_eq!(seconds(1800.0), "30 min");
    }
}
