//! Running seeds, one after the other or on several threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use ringlog_log::omit::Step;

use crate::log_scenario;
use crate::report::{Failure, SeedOutcome, Totals};

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Logs directly on the storage engine.
    Log,
    /// A broker and its clients.
    Broker,
    /// Controllers and brokers on one metadata store.
    Controller,
}

impl Scenario {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Broker => "broker",
            Self::Controller => "controller",
        }
    }
}

/// What runs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is simulated.
    pub scenario: Scenario,
    /// The step that the engine leaves out.
    pub omitted: Option<Step>,
    /// The step that the controller leaves out.
    pub omitted_decision: Option<ringlog_coord::omit::Step>,
}

impl Plan {
    /// With everything in place.
    pub const fn of(scenario: Scenario) -> Self {
        Self {
            scenario,
            omitted: None,
            omitted_decision: None,
        }
    }
}

/// Runs one seed.
///
/// # Errors
///
/// Why it failed. A panic is caught and told.
pub fn run_seed(plan: Plan, seed: u64) -> Result<SeedOutcome, Failure> {
    ringlog_log::omit::omit(plan.omitted);
    ringlog_coord::omit::omit(plan.omitted_decision);
    let run = || match plan.scenario {
        Scenario::Log => log_scenario::run(seed).map_err(Failure::Checker),
        Scenario::Broker => crate::broker_scenario::run(seed).map_err(Failure::Checker),
        Scenario::Controller => crate::controller_scenario::run(seed).map_err(Failure::Checker),
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Err(Failure::Panic(message))
    })
}

/// Runs the seeds from `start` on `jobs` threads and tells of each as it ends.
pub fn run_seeds(
    plan: Plan,
    start: u64,
    count: u64,
    jobs: u64,
    on_seed: impl Fn(u64, &Result<SeedOutcome, Failure>) + Sync,
) -> Totals {
    let began = Instant::now();
    let jobs = jobs.max(1);
    let mut totals = Totals::default();
    std::thread::scope(|scope| {
        let part = |job: u64| {
            let mut part = Totals::default();
            for seed in (start + job..start + count).step_by(usize::try_from(jobs).unwrap_or(1)) {
                let result = run_seed(plan, seed);
                on_seed(seed, &result);
                part.add(seed, result);
            }
            part
        };
        let handles: Vec<_> = (0..jobs)
            .map(|job| scope.spawn(move || part(job)))
            .collect();
        for part in handles.into_iter().filter_map(|handle| handle.join().ok()) {
            totals.merge(part);
        }
    });
    totals.elapsed = began.elapsed();
    totals
}
