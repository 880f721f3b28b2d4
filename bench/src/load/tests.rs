//! The generator against a stub that stalls for a known time at a known moment, in virtual time: every percentile can be
//! computed on paper. The same check is made with mistakes put in, and each must fail it.

use std::ops::Range;

use async_trait::async_trait;
use tokio::task::LocalSet;

use super::*;
use crate::driver::{DriverError, Receipt};
use crate::fault::{self, Fault};
use crate::histogram::Times;
use crate::pacer::Pacer;
use crate::payload::Request;
use crate::recorder::{Belongs, Window};
use crate::schedule::Schedule;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Answers each request after a millisecond, those that come in a stall a millisecond after its end.
struct Stub {
    begin: Instant,
    stall: Range<Duration>,
    is_refusing: bool,
}

#[async_trait]
impl ProducerConnection for Stub {
    async fn send(
        &self,
        _partition: u32,
        _request: &Request,
    ) -> Result<Option<Receipt>, DriverError> {
        let came = self.begin.elapsed();
        let from = if self.stall.contains(&came) {
            self.stall.end
        } else {
            came
        };
        tokio::time::sleep_until(self.begin + from + ms(1)).await;
        if self.is_refusing {
            return Err(DriverError::Failed("no".to_owned()));
        }
        Ok(None)
    }
}

/// Time stands still but for sleeping.
fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, work)
}

const SHAPE: Shape = Shape {
    record_bytes: 100,
    batch_records: 2,
    partitions: 1,
    keys: None,
};

fn share(begin: Instant, worker: u32, workers: u32, stub: Stub, seen: Recorder) -> Share {
    Share {
        worker,
        workers,
        connections: vec![Arc::new(stub)],
        shape: SHAPE,
        outstanding_max: SHAPE.outstanding_max(),
        acknowledged: Arc::default(),
        begin,
        seen: Rc::new(RefCell::new(seen)),
        stop: Stop::new(),
    }
}

/// Two workers send 500 requests a second each for 200 s; the connection of the first stalls from 185 s to 205 s.
async fn stalling_at_the_end() -> Vec<Recorder> {
    let window = Window::new(Duration::ZERO, secs(200));
    let begin = Instant::now();
    let mut running = Vec::new();
    for worker in 0..2 {
        let stall = if worker == 0 {
            secs(185)..secs(205)
        } else {
            secs(0)..secs(0)
        };
        let stub = Stub {
            begin,
            stall,
            is_refusing: false,
        };
        let seen = Recorder::new(window, Belongs::Due, ms(1)).unwrap();
        let share = share(begin, worker, 2, stub, seen);
        let seen = Rc::clone(&share.seen);
        let schedule = Schedule::new(Arrivals::Fixed, 1000.0, worker, 2, 0);
        let sending = async move { open_loop(share, schedule, &Pacer::Virtual).await };
        running.push((tokio::task::spawn_local(sending), seen));
    }
    let mut all = Vec::new();
    for (sending, seen) in running {
        sending.await.unwrap().unwrap();
        all.push(seen.borrow().clone());
    }
    all
}

/// Percentiles in milliseconds: 50, 99, 99.9 and the slowest.
fn told(workers: &[Recorder]) -> [f64; 4] {
    let of = |times: &Times| {
        let percentiles = times.percentiles();
        let [p50, p99, p999, max] = [
            percentiles.p50,
            percentiles.p99,
            percentiles.p999,
            percentiles.max,
        ];
        [p50, p99, p999, max].map(|ns| ns.map_or(0.0, |ns| crate::summary::as_f64(ns) / 1e6))
    };
    if fault::is_made(Fault::AveragedPercentiles) {
        let each: Vec<[f64; 4]> = workers.iter().map(|one| of(&one.response)).collect();
        return std::array::from_fn(|i| f64::midpoint(each[0][i], each[1][i]));
    }
    let mut merged = workers[0].clone();
    merged.merge(&workers[1]).unwrap();
    of(&merged.response)
}

/// On paper: 200 000 requests are due. The 7 500 that are due on the first connection from 185 s on, one each 2 ms, are
/// answered at 205.001 s: after 20 001, 19 999 … 5 003 ms; all others after 1 ms. In ascending order request number
/// 198 000 is the 5 500th of the slow ones (16 001 ms), number 199 800 the 7 300th (19 601 ms). Within the time the others are answered, but for the one due in the
/// last millisecond: 192 499.
fn is_as_on_paper(workers: &[Recorder]) -> Result<(), String> {
    let due: u64 = workers.iter().map(|one| one.due).sum();
    let timed: u64 = workers.iter().map(|one| one.response.count()).sum();
    let answered: u64 = workers.iter().map(|one| one.requests).sum();
    let late: u64 = workers.iter().map(|one| one.late).sum();
    let counts = (due, timed, answered, late);
    if counts != (200_000, 200_000, 192_499, 0) {
        return Err(format!("due, timed, answered and late are {counts:?}"));
    }
    let told = told(workers);
    let paper = [1.0, 16_001.0, 19_601.0, 20_001.0];
    // Three digits are kept; virtual time moves in milliseconds, of which the short ones may take one more.
    let is_near = |(told, paper): (f64, f64)| (told - paper).abs() <= paper.mul_add(0.002, 1.0);
    if told.into_iter().zip(paper).all(is_near) {
        return Ok(());
    }
    Err(format!("{told:?} instead of {paper:?} ms"))
}

#[test]
fn a_stall_shows_in_the_percentiles_as_computed_on_paper() {
    let workers = in_virtual_time(stalling_at_the_end());
    assert_eq!(is_as_on_paper(&workers), Ok(()));
}

#[test]
fn the_known_mistakes_of_load_generators_do_not_pass() {
    for fault in [
        Fault::CoordinatedOmission,
        Fault::AveragedPercentiles,
        Fault::ForgottenTail,
    ] {
        fault::make(Some(fault));
        let workers = in_virtual_time(stalling_at_the_end());
        let outcome = is_as_on_paper(&workers);
        fault::make(None);
        assert!(outcome.is_err(), "{fault:?} passes");
    }
}

/// A worker that may have ten requests under way sends 1 000 a second; the target stalls from 2 s to 3 s.
async fn saturated() -> Recorder {
    let begin = Instant::now();
    let stub = Stub {
        begin,
        stall: secs(2)..secs(3),
        is_refusing: false,
    };
    let window = Window::new(Duration::ZERO, secs(10));
    let seen = Recorder::new(window, Belongs::Due, ms(1)).unwrap();
    let mut share = share(begin, 0, 1, stub, seen);
    share.outstanding_max = 10;
    let seen = Rc::clone(&share.seen);
    let schedule = Schedule::new(Arrivals::Fixed, 1000.0, 0, 1, 0);
    open_loop(share, schedule, &Pacer::Virtual).await.unwrap();
    let seen = seen.borrow();
    seen.clone()
}

/// On paper: ten requests leave in the stall. The 990 behind them leave from 3.001 s on, ten a millisecond, and each
/// took more than 100 ms since it was due; so did the ten, but for none of them.
fn counts_from_when_they_were_due(seen: &Recorder) -> Result<(), String> {
    let slow = seen
        .response
        .histogram()
        .count_between(100_000_000, u64::MAX);
    let slow_to_serve = seen
        .service
        .histogram()
        .count_between(100_000_000, u64::MAX);
    let is_late = (980..=1200).contains(&seen.late);
    if (980..=1010).contains(&slow) && slow_to_serve == 10 && is_late {
        return Ok(());
    }
    let late = seen.late;
    Err(format!(
        "{slow} slow, {slow_to_serve} slow to serve, {late} late"
    ))
}

#[test]
fn a_request_that_leaves_late_is_late_and_its_response_time_counts_from_when_it_was_due() {
    let seen = in_virtual_time(saturated());
    assert_eq!(counts_from_when_they_were_due(&seen), Ok(()));
    assert_eq!(seen.due, 10_000);
    fault::make(Some(Fault::FromRealSend));
    let seen = in_virtual_time(saturated());
    fault::make(None);
    assert!(counts_from_when_they_were_due(&seen).is_err());
}

#[test]
fn what_is_never_answered_is_an_error_and_not_forgotten() {
    let seen = in_virtual_time(async {
        let begin = Instant::now();
        let stub = Stub {
            begin,
            stall: secs(5)..secs(100_000),
            is_refusing: false,
        };
        let window = Window::new(Duration::ZERO, secs(10));
        let seen = Recorder::new(window, Belongs::Due, ms(1)).unwrap();
        let share = share(begin, 0, 1, stub, seen);
        let seen = Rc::clone(&share.seen);
        let schedule = Schedule::new(Arrivals::Fixed, 100.0, 0, 1, 0);
        open_loop(share, schedule, &Pacer::Virtual).await.unwrap();
        let seen = seen.borrow();
        seen.clone()
    });
    assert_eq!((seen.due, seen.requests, seen.errors), (1000, 500, 500));
}

async fn in_a_closed_loop(in_flight: usize, is_refusing: bool) -> Recorder {
    let begin = Instant::now();
    let stub = Stub {
        begin,
        stall: secs(0)..secs(0),
        is_refusing,
    };
    let window = Window::new(ms(100), ms(200));
    let seen = Recorder::new(window, Belongs::Within, ms(1)).unwrap();
    let share = share(begin, 0, 1, stub, seen);
    let seen = Rc::clone(&share.seen);
    closed_loop(share, in_flight).await.unwrap();
    let seen = seen.borrow();
    seen.clone()
}

#[test]
fn in_a_closed_loop_the_next_request_waits_for_the_answer_and_only_the_window_counts() {
    for in_flight in [1, 7] {
        let seen = in_virtual_time(in_a_closed_loop(in_flight, false));
        let requests = 199 * in_flight as u64..=200 * in_flight as u64;
        assert!(requests.contains(&seen.requests), "{}", seen.requests);
        assert_eq!(seen.records, seen.requests * 2);
        assert_eq!(seen.bytes, seen.requests * 200);
        assert_eq!(seen.response.count(), seen.requests);
    }
}

#[test]
fn refusals_are_counted_and_do_not_flood_the_target() {
    let seen = in_virtual_time(in_a_closed_loop(1, true));
    assert_eq!((seen.requests, seen.response.count()), (0, 0));
    // One in 11 ms: the answer and the pause.
    assert!((25..=30).contains(&seen.errors), "{}", seen.errors);
    assert!(seen.error_kinds.contains("no"));
}
