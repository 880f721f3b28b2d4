//! The highest rate that keeps the 99th percentile of the response time under a limit.

use std::time::Duration;

use super::{Extra, most, open, plans};
use crate::error::BenchError;
use crate::result::{Point, Summary};
use crate::session::Session;

/// Part of the most in a closed loop at which the search ends upwards: a schedule cannot be kept beyond it.
const HIGHEST: f64 = 1.1;

/// Looks for it, for each target on its own.
pub(super) async fn slo_search(
    session: &mut Session<'_>,
    p99_max: Duration,
    steps: u32,
) -> Result<(), BenchError> {
    for target in 0..session.target_count() {
        let mut range = Range::new(most(session, target).await? * HIGHEST);
        for _ in 0..steps {
            let points = try_rate(session, target, range.middle(), "search", 1).await?;
            range.narrow(points.iter().all(|point| keeps(&point.summary, p99_max)));
        }
        let name = session.target_name(target).to_owned();
        let limit = format!("{p99_max:?}");
        let Some(found) = range.kept else {
            session.note(format!(
                "{name}: no rate that was tried keeps the 99th percentile at or under {limit}."
            ));
            continue;
        };
        let times = session.settings().timing.repetitions;
        let points = try_rate(session, target, found, "found", times).await?;
        let note = if points.iter().all(|point| keeps(&point.summary, p99_max)) {
            format!("{name}: {found:.0} requests/s keep the 99th percentile at or under {limit}.")
        } else {
            format!(
                "{name}: {found:.0} requests/s kept the 99th percentile at or under {limit} in the search, but not when \
                 repeated: the machine is too noisy for so fine an answer."
            )
        };
        session.note(note);
    }
    Ok(())
}

async fn try_rate(
    session: &mut Session<'_>,
    target: usize,
    rate: f64,
    phase: &str,
    repetitions: u32,
) -> Result<Vec<Point>, BenchError> {
    let extra = Extra {
        phase: phase.to_owned(),
        load: Some(open(session, rate)),
        ..Extra::default()
    };
    let mut points = Vec::new();
    for plan in plans(session, &extra).iter().take(1) {
        points.extend(session.point_of(plan, &[target], repetitions).await?);
    }
    Ok(points)
}

/// Whether a rate was kept with the percentile under the limit. Too few samples for a percentile prove nothing.
fn keeps(summary: &Summary, p99_max: Duration) -> bool {
    let p99 = summary.response_ns.p99.map(Duration::from_nanos);
    summary.is_valid && p99.is_some_and(|p99| p99 <= p99_max)
}

/// Rates that were kept, and that were not.
#[derive(Debug)]
struct Range {
    kept: Option<f64>,
    not_kept: f64,
}

impl Range {
    fn new(highest: f64) -> Self {
        Self {
            kept: None,
            not_kept: highest.max(1.0),
        }
    }

    fn middle(&self) -> f64 {
        f64::midpoint(self.kept.unwrap_or(0.0), self.not_kept)
    }

    fn narrow(&mut self, middle_is_kept: bool) {
        let middle = self.middle();
        if middle_is_kept {
            self.kept = Some(middle);
        } else {
            self.not_kept = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_ends_close_to_the_limit_and_never_above_it() {
        let limit = 700.0;
        let mut range = Range::new(1000.0);
        for _ in 0..12 {
            let keeps = range.middle() <= limit;
            range.narrow(keeps);
        }
        let found = range.kept.unwrap();
        assert!((limit - 1.0..=limit).contains(&found), "{found}");
    }

    #[test]
    fn nothing_is_found_where_nothing_is_kept() {
        let mut range = Range::new(1000.0);
        (0..5).for_each(|_| range.narrow(false));
        assert_eq!(range.kept, None);
    }
}
