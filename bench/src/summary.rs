//! From counts to figures: a repetition, all repetitions of a point, and those of another target beside them.

use crate::error::BenchError;
use crate::histogram::Times;
use crate::recorder::Recorder;
use crate::result::{Interval, Percentiles, Ratio, Repetition, Summary, SummarySpread};
use crate::run::{Seen, StepUse};
use crate::spread::Spread;
use crate::stages::StageTimes;

/// Part of its processor from which on the generator of a closed loop is said to be measured as well.
const GENERATOR_BOUND: f64 = 0.9;

/// A repetition with the histograms that its percentiles come from.
pub(crate) struct Measured {
    pub(crate) figures: Repetition,
    pub(crate) response: Times,
    pub(crate) service: Times,
    pub(crate) end_to_end: Times,
    pub(crate) stages: StageTimes,
    /// Histograms of the response time by step, for the histogram log.
    pub(crate) steps: Vec<Times>,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53"
)]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// What makes a run invalid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Part of the requests that may leave late.
    pub(crate) late_share_max: f64,
}

/// The figures of a run.
pub(crate) fn repetition(seen: Seen, limits: Limits) -> Measured {
    let Seen {
        recorder,
        generator_cpu_share,
        server,
        server_steps,
        missing,
    } = seen;
    let elapsed_s = recorder.window.duration().as_secs_f64();
    let late_share = if recorder.due == 0 {
        0.0
    } else {
        as_f64(recorder.late) / as_f64(recorder.due)
    };
    let mut invalid = Vec::new();
    if late_share > limits.late_share_max {
        invalid.push(format!(
            "the generator sent {:.2} % of the requests late, more than the {:.2} % allowed: the rate is more than \
             it or the target can take",
            late_share * 100.0,
            limits.late_share_max * 100.0
        ));
    }
    if recorder.requests == 0 {
        invalid.push("no request was answered within the measured time".to_owned());
    }
    if recorder.errors > 0 {
        let kinds: Vec<&str> = recorder.error_kinds.iter().map(String::as_str).collect();
        let (errors, kinds) = (recorder.errors, kinds.join("; "));
        invalid.push(format!("{errors} requests failed: {kinds}"));
    }
    if missing > 0 {
        invalid.push(format!(
            "{missing} acknowledged records did not reach the consumers"
        ));
    }
    let end_to_end_ns =
        (recorder.end_to_end.count() > 0).then(|| recorder.end_to_end.percentiles());
    let figures = Repetition {
        requests: recorder.requests,
        records: recorder.records,
        bytes: recorder.bytes,
        elapsed_s,
        requests_per_s: as_f64(recorder.requests) / elapsed_s,
        records_per_s: as_f64(recorder.records) / elapsed_s,
        bytes_per_s: as_f64(recorder.bytes) / elapsed_s,
        response_ns: recorder.response.percentiles(),
        service_ns: recorder.service.percentiles(),
        end_to_end_ns,
        due: recorder.due,
        late: recorder.late,
        late_share,
        late_max_ns: u64::try_from(recorder.late_max.as_nanos()).unwrap_or(u64::MAX),
        errors: recorder.errors,
        error_kinds: recorder.error_kinds.iter().cloned().collect(),
        invalid,
        generator_cpu_share,
        server,
        counters_before: crate::driver::Counters::new(),
        counters_after: crate::driver::Counters::new(),
        intervals: intervals(&recorder, &server_steps),
        idle_cpu_share: None,
        restart: None,
        background_bytes_per_s: None,
        hlog: None,
    };
    Measured {
        figures,
        response: recorder.response,
        service: recorder.service,
        end_to_end: recorder.end_to_end,
        stages: recorder.stages,
        steps: recorder
            .steps
            .into_iter()
            .map(|step| step.response)
            .collect(),
    }
}

fn intervals(recorder: &Recorder, server: &[StepUse]) -> Vec<Interval> {
    let window = recorder.window;
    let steps = recorder.steps.iter().zip(0_u32..);
    let intervals = steps.map(|(step, number)| {
        let at = window.step() * number;
        let length = window.step().min(window.duration().saturating_sub(at));
        let server = server.get(number as usize);
        Interval {
            at_s: at.as_secs_f64(),
            length_s: length.as_secs_f64(),
            requests: step.requests,
            bytes: step.bytes,
            response_p50_ns: step.response.percentile(50.0),
            response_p99_ns: step.response.percentile(99.0),
            response_p999_ns: step.response.percentile(99.9),
            response_max_ns: step.response.max_ns(),
            server_memory_bytes: server.map(|used| used.memory_bytes),
            server_written_bytes: server.map(|used| used.written_bytes),
            server_cpu_share: server.map(|used| used.cpu_share),
        }
    });
    intervals.collect()
}

/// All repetitions of a point.
pub(crate) fn summary(measured: &[Measured]) -> Result<Summary, BenchError> {
    let figures: Vec<&Repetition> = measured.iter().map(|one| &one.figures).collect();
    let spread = |of: fn(&Repetition) -> f64| Spread::of(figures.iter().map(|one| of(one)));
    let percentile = |of: fn(&Percentiles) -> Option<u64>| {
        let all: Option<Vec<f64>> = figures
            .iter()
            .map(|one| of(&one.response_ns).map(as_f64))
            .collect();
        Spread::of(all?)
    };
    let merged = |of: fn(&Measured) -> &Times| {
        let mut times = Times::new()?;
        for one in measured {
            times.merge(of(one))?;
        }
        Ok::<_, BenchError>(times.percentiles())
    };
    let median = |spread: Option<Spread>| spread.map_or(0.0, |spread| spread.median);
    let requests_per_s = spread(|one| one.requests_per_s);
    let bytes_per_s = spread(|one| one.bytes_per_s);
    let end_to_end_ns = merged(|one| &one.end_to_end)?;
    let (late, due) = figures
        .iter()
        .fold((0, 0), |(late, due), one| (late + one.late, due + one.due));
    let server_cpu: Option<Vec<f64>> = figures.iter().map(|one| server_cpu_us(one)).collect();
    let mut stages = StageTimes::default();
    for one in measured {
        stages.merge(&one.stages);
    }
    Ok(Summary {
        requests_per_s: median(requests_per_s),
        records_per_s: median(spread(|one| one.records_per_s)),
        bytes_per_s: median(bytes_per_s),
        response_ns: merged(|one| &one.response)?,
        service_ns: merged(|one| &one.service)?,
        end_to_end_ns: (end_to_end_ns.count > 0).then_some(end_to_end_ns),
        late_share: if due == 0 {
            0.0
        } else {
            as_f64(late) / as_f64(due)
        },
        errors: figures.iter().map(|one| one.errors).sum(),
        is_valid: figures.iter().all(|one| one.invalid.is_empty()),
        is_generator_bound: figures
            .iter()
            .any(|one| one.generator_cpu_share > GENERATOR_BOUND),
        stages: stages.bands(),
        spread: SummarySpread {
            requests_per_s,
            bytes_per_s,
            response_p50_ns: percentile(|one| one.p50),
            response_p99_ns: percentile(|one| one.p99),
            response_p999_ns: percentile(|one| one.p999),
            server_cpu_us_per_request: server_cpu.and_then(Spread::of),
        },
    })
}

/// CPU time of the server for a request, in microseconds.
fn server_cpu_us(one: &Repetition) -> Option<f64> {
    Some(one.server?.cpu_s * 1e6 / as_f64(one.requests.max(1)))
}

/// The figures of one beside those of another, repetition by repetition: each pair ran one after the other.
pub(crate) fn ratio(to: &str, first: &[Measured], other: &[Measured]) -> Ratio {
    let pairs = |figure: fn(&Repetition) -> Option<f64>, with: fn(f64, f64) -> Option<f64>| {
        let pairs = first.iter().zip(other);
        let all: Option<Vec<f64>> = pairs
            .map(|(first, other)| with(figure(&first.figures)?, figure(&other.figures)?))
            .collect();
        Spread::of(all?)
    };
    let of = |figure| {
        pairs(figure, |first, other| {
            (first > 0.0).then_some(other / first)
        })
    };
    let more = |figure| pairs(figure, |first, other| Some(other - first));
    Ratio {
        to: to.to_owned(),
        requests_per_s: of(|one| Some(one.requests_per_s)),
        bytes_per_s: of(|one| Some(one.bytes_per_s)),
        response_p50: of(|one| one.response_ns.p50.map(as_f64)),
        response_p99: of(|one| one.response_ns.p99.map(as_f64)),
        response_p999: of(|one| one.response_ns.p999.map(as_f64)),
        end_to_end_p50: of(|one| one.end_to_end_ns.as_ref()?.p50.map(as_f64)),
        end_to_end_p99: of(|one| one.end_to_end_ns.as_ref()?.p99.map(as_f64)),
        response_p50_more_ns: more(|one| one.response_ns.p50.map(as_f64)),
        server_cpu_more_us: more(server_cpu_us),
        background_bytes_per_s: None,
    }
}

/// What went on beside a load, by the bytes a second of those that did only that.
pub(crate) fn background_ratio(to: &str, first: &[Measured], other: &[Measured]) -> Ratio {
    let pairs = first.iter().zip(other);
    let ratios: Option<Vec<f64>> = pairs
        .map(|(first, other)| {
            let first = first.figures.bytes_per_s;
            let beside = other.figures.background_bytes_per_s?;
            (first > 0.0).then_some(beside / first)
        })
        .collect();
    Ratio {
        to: to.to_owned(),
        background_bytes_per_s: ratios.and_then(Spread::of),
        ..Ratio::default()
    }
}

#[cfg(test)]
mod tests;
