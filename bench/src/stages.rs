//! Where the time of requests went, by how long they took: in which stage the tail arises.
//!
//! A system that gives receipts says how long each of its stages took. They are added up by the response time, in steps
//! of a sixteenth of a factor of two; what is told are means over ranges of percentiles.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::driver::Receipt;
use crate::result::StageBand;
use crate::summary::as_f64;

/// Ranges of percentiles that are told.
const BANDS: [(f64, f64); 5] = [
    (0.0, 50.0),
    (50.0, 90.0),
    (90.0, 99.0),
    (99.0, 99.9),
    (99.9, 100.0),
];

/// Binary digits behind the first one that tell steps apart.
const DIGITS: u32 = 4;

/// What is left of the response time when all stages are taken away.
const REST: &str = "outside of the server";

#[derive(Clone, Debug, Default)]
struct Sums {
    requests: u64,
    response_ns: u64,
    stages_ns: Vec<u64>,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.response_ns += other.response_ns;
        self.stages_ns.resize(other.stages_ns.len(), 0);
        for (sum, ns) in self.stages_ns.iter_mut().zip(&other.stages_ns) {
            *sum += ns;
        }
    }
}

/// Sums by response time.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageTimes {
    names: &'static [&'static str],
    steps: BTreeMap<u64, Sums>,
}

impl StageTimes {
    /// Takes the receipt of a request.
    pub(crate) fn record(&mut self, response: Duration, receipt: &Receipt) {
        self.names = receipt.names;
        let response_ns = u64::try_from(response.as_nanos()).unwrap_or(u64::MAX);
        let one = Sums {
            requests: 1,
            response_ns,
            stages_ns: receipt.stages_ns.clone(),
        };
        self.steps.entry(step(response_ns)).or_default().add(&one);
    }

    /// Takes what another one has.
    pub(crate) fn merge(&mut self, other: &Self) {
        if !other.steps.is_empty() {
            self.names = other.names;
        }
        for (&step, sums) in &other.steps {
            self.steps.entry(step).or_default().add(sums);
        }
    }

    /// Means over ranges of percentiles; nothing without receipts. A step belongs to the range that its middle is in.
    pub(crate) fn bands(&self) -> Vec<StageBand> {
        let all: u64 = self.steps.values().map(|sums| sums.requests).sum();
        let mut bands: Vec<Sums> = vec![Sums::default(); BANDS.len()];
        let mut before = 0;
        for sums in self.steps.values() {
            let middle = (as_f64(before) + as_f64(sums.requests) / 2.0) * 100.0 / as_f64(all);
            let band = BANDS.iter().position(|band| middle < band.1);
            bands[band.unwrap_or(BANDS.len() - 1)].add(sums);
            before += sums.requests;
        }
        let bands = BANDS
            .iter()
            .zip(bands)
            .filter(|(_, sums)| sums.requests > 0);
        bands.map(|(&band, sums)| self.told(band, &sums)).collect()
    }

    fn told(&self, (from, to): (f64, f64), sums: &Sums) -> StageBand {
        let mean = |ns: u64| ns / sums.requests;
        let inside: u64 = sums.stages_ns.iter().sum();
        let named = self.names.iter().zip(&sums.stages_ns);
        let mut stages: Vec<(String, u64)> = named
            .map(|(name, &ns)| ((*name).to_owned(), mean(ns)))
            .collect();
        let rest = sums.response_ns.saturating_sub(inside);
        stages.push((REST.to_owned(), mean(rest)));
        StageBand {
            from_percentile: from,
            to_percentile: to,
            requests: sums.requests,
            response_mean_ns: mean(sums.response_ns),
            stages_mean_ns: stages,
        }
    }
}

/// The step of a time: its first five binary digits and how many come behind.
fn step(ns: u64) -> u64 {
    let behind = (u64::BITS - ns.leading_zeros()).saturating_sub(DIGITS + 1);
    u64::from(behind) << (DIGITS + 1) | ns >> behind
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["queued", "flushed"];

    fn receipt(stages_ns: [u64; 2]) -> Receipt {
        Receipt {
            names: NAMES,
            stages_ns: stages_ns.to_vec(),
        }
    }

    #[test]
    fn steps_follow_each_other_as_times_do() {
        let times = [0, 1, 15, 31, 32, 33, 63, 64, 1000, 1100, 1 << 40, u64::MAX];
        let steps = times.map(step);
        assert!(steps.is_sorted(), "{steps:?}");
        assert_ne!(step(1000), step(1100));
    }

    #[test]
    fn the_tail_is_told_by_the_stage_that_makes_it() {
        let (mut one, mut other) = (StageTimes::default(), StageTimes::default());
        for number in 0..1000_u64 {
            // Ten of a thousand wait for the device.
            let flushed = if number % 100 == 0 { 900_000 } else { 50_000 };
            let response = Duration::from_nanos(flushed + 30_000);
            let half = if number % 2 == 0 {
                &mut one
            } else {
                &mut other
            };
            half.record(response, &receipt([10_000, flushed]));
        }
        one.merge(&other);
        let bands = one.bands();
        let slowest = bands.last().unwrap();
        assert_eq!((slowest.requests, slowest.response_mean_ns), (10, 930_000));
        let stages: Vec<(&str, u64)> = slowest
            .stages_mean_ns
            .iter()
            .map(|(name, ns)| (&**name, *ns))
            .collect();
        assert_eq!(
            stages,
            [("queued", 10_000), ("flushed", 900_000), (REST, 20_000)]
        );
        assert_eq!(bands.iter().map(|band| band.requests).sum::<u64>(), 1000);
        assert!(StageTimes::default().bands().is_empty());
    }
}
