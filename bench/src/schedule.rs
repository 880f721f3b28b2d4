//! When requests are due: a plan made before anything is sent, that no answer can change.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// How requests follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At equal distances.
    #[default]
    Fixed,
    /// At random, independently of each other, as those of many users are.
    Poisson,
}

impl Arrivals {
    /// The name on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Poisson => "poisson",
        }
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Arrivals {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "fixed" => Ok(Self::Fixed),
            "poisson" => Ok(Self::Poisson),
            _ => Err(format!("{name:?} is neither fixed nor poisson")),
        }
    }
}

/// The share of one worker in a plan: an endless run of times since the begin.
///
/// Workers together make the rate: with equal distances each takes its turn; Poisson processes add up to one.
#[derive(Debug)]
pub(crate) struct Schedule {
    kind: Kind,
    /// Seconds between two requests of this worker, on average.
    gap_s: f64,
}

#[derive(Debug)]
enum Kind {
    /// The number of the next request, and where the first one lies within the gap.
    Fixed { next: u64, offset_s: f64 },
    /// When the last one was.
    Poisson { last_s: f64, rng: Box<StdRng> },
}

impl Schedule {
    /// The share of worker `worker` of `workers` in `rate` requests a second.
    pub(crate) fn new(arrivals: Arrivals, rate: f64, worker: u32, workers: u32, seed: u64) -> Self {
        let gap_s = f64::from(workers) / rate;
        let kind = match arrivals {
            Arrivals::Fixed => Kind::Fixed {
                next: 0,
                offset_s: gap_s * f64::from(worker) / f64::from(workers),
            },
            Arrivals::Poisson => Kind::Poisson {
                last_s: 0.0,
                rng: Box::new(StdRng::seed_from_u64(seed.wrapping_add(u64::from(worker)))),
            },
        };
        Self { kind, gap_s }
    }

    /// When the next request is due.
    pub(crate) fn next(&mut self) -> Duration {
        let gap_s = self.gap_s;
        let at_s = match &mut self.kind {
            Kind::Fixed { next, offset_s } => {
                // From the number, not from the last one: errors of rounding do not add up.
                let at_s = count(*next).mul_add(gap_s, *offset_s);
                *next += 1;
                at_s
            }
            Kind::Poisson { last_s, rng } => {
                let uniform: f64 = rng.random();
                *last_s -= gap_s * (1.0 - uniform).ln();
                *last_s
            }
        };
        Duration::from_secs_f64(at_s)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a run has less than 2^53 requests"
)]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(schedule: &mut Schedule, n: usize) -> Vec<Duration> {
        std::iter::repeat_with(|| schedule.next()).take(n).collect()
    }

    #[test]
    fn equal_distances_do_not_drift() {
        let mut schedule = Schedule::new(Arrivals::Fixed, 3.0, 0, 1, 0);
        let times = first(&mut schedule, 3_000_001);
        assert_eq!(times[0], Duration::ZERO);
        assert_eq!(times[3_000_000], Duration::from_secs(1_000_000));
    }

    #[test]
    fn workers_with_equal_distances_take_turns() {
        let mut all: Vec<Duration> = (0..4)
            .flat_map(|worker| {
                let mut schedule = Schedule::new(Arrivals::Fixed, 1000.0, worker, 4, 0);
                first(&mut schedule, 250)
            })
            .collect();
        all.sort_unstable();
        let mut alone = Schedule::new(Arrivals::Fixed, 1000.0, 0, 1, 0);
        assert_eq!(all, first(&mut alone, 1000));
    }

    #[test]
    fn poisson_arrivals_of_all_workers_have_the_rate_and_the_variance_asked_for() {
        let (rate, seconds) = (1000.0, 100);
        let mut counts = vec![0_u32; seconds];
        for worker in 0..2 {
            let mut schedule = Schedule::new(Arrivals::Poisson, rate, worker, 2, 42);
            loop {
                let at = usize::try_from(schedule.next().as_secs()).unwrap();
                let Some(count) = counts.get_mut(at) else {
                    break;
                };
                *count += 1;
            }
        }
        let n = f64::from(u32::try_from(seconds).unwrap());
        let mean = counts.iter().map(|&count| f64::from(count)).sum::<f64>() / n;
        let deviation = |&count: &u32| (f64::from(count) - mean).powi(2);
        let variance = counts.iter().map(deviation).sum::<f64>() / n;
        // The variance of a Poisson process is its mean; the seed is fixed, so that this holds always or never.
        assert!((mean - rate).abs() < 10.0, "{mean}");
        assert!((0.6..1.6).contains(&(variance / rate)), "{variance}");
    }

    #[test]
    fn a_seed_gives_the_same_plan_again_and_another_one_another() {
        let plan = |seed| {
            let mut schedule = Schedule::new(Arrivals::Poisson, 10.0, 0, 1, seed);
            first(&mut schedule, 20)
        };
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }
}
