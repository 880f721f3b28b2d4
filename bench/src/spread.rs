//! Figures of several repetitions.

use serde::{Deserialize, Serialize};

/// The smallest, the middle and the largest of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one; of two, their mean.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of figures; `None` of none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len().is_multiple_of(2) {
            f64::midpoint(figures[middle - 1], figures[middle])
        } else {
            figures[middle]
        };
        Some(Self { min, median, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_of_the_sorted_figures() {
        assert_eq!(Spread::of([]), None);
        let of_three = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            (of_three.min, of_three.median, of_three.max),
            (1.0, 2.0, 3.0)
        );
        let of_four = Spread::of([4.0, 1.0, 2.0, 9.0]).unwrap();
        assert_eq!((of_four.min, of_four.median, of_four.max), (1.0, 3.0, 9.0));
    }
}
