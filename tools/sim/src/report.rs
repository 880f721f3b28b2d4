//! What a run of one seed, and of many, came to.

use std::fmt;
use std::time::Duration;

use crate::history::Violation;

/// What a seed that passed went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeedOutcome {
    /// Crashes, of the power or of the process.
    pub crashes: u64,
    /// Crashes that found something that was not durable yet.
    pub crashes_with_unsynced: u64,
    /// Crashes while a log recovered.
    pub crashes_in_recovery: u64,
    /// Sectors left as a mix of two versions.
    pub torn_sectors: u64,
    /// Logs that recovery found with a torn tail.
    pub torn_tails: u64,
    /// Records appended.
    pub records_appended: u64,
    /// Records read and compared with their history.
    pub records_checked: u64,
    /// Failures of the device that were injected.
    pub injected_failures: u64,
    /// Equal for two runs of one seed.
    pub trace_hash: u64,
}

/// Why a seed failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A checker found something.
    Checker(Violation),
    /// An assertion failed.
    Panic(String),
}

impl Failure {
    /// The name of the checker, or `panic`.
    pub const fn checker(&self) -> &'static str {
        match self {
            Self::Checker(violation) => violation.checker(),
            Self::Panic(_) => "panic",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checker(violation) => write!(f, "{}: {violation}", violation.checker()),
            Self::Panic(message) => write!(f, "panic: {message}"),
        }
    }
}

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Seeds run.
    pub seeds: u64,
    /// Seeds with a crash that found something that was not durable yet.
    pub seeds_with_unsynced: u64,
    /// The sums of all seeds that passed; its trace hash means nothing.
    pub sum: SeedOutcome,
    /// The seeds that failed, ascending.
    pub failures: Vec<(u64, Failure)>,
    /// Real time that the run took.
    pub elapsed: Duration,
}

impl Totals {
    /// Adds a seed.
    pub fn add(&mut self, seed: u64, result: Result<SeedOutcome, Failure>) {
        self.seeds += 1;
        match result {
            Ok(outcome) => {
                self.seeds_with_unsynced += u64::from(outcome.crashes_with_unsynced > 0);
                self.sum.crashes += outcome.crashes;
                self.sum.crashes_with_unsynced += outcome.crashes_with_unsynced;
                self.sum.crashes_in_recovery += outcome.crashes_in_recovery;
                self.sum.torn_sectors += outcome.torn_sectors;
                self.sum.torn_tails += outcome.torn_tails;
                self.sum.records_appended += outcome.records_appended;
                self.sum.records_checked += outcome.records_checked;
                self.sum.injected_failures += outcome.injected_failures;
            }
            Err(failure) => self.failures.push((seed, failure)),
        }
    }

    /// Adds the totals of another part of the run.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.seeds_with_unsynced += other.seeds_with_unsynced;
        self.sum.crashes += other.sum.crashes;
        self.sum.crashes_with_unsynced += other.sum.crashes_with_unsynced;
        self.sum.crashes_in_recovery += other.sum.crashes_in_recovery;
        self.sum.torn_sectors += other.sum.torn_sectors;
        self.sum.torn_tails += other.sum.torn_tails;
        self.sum.records_appended += other.sum.records_appended;
        self.sum.records_checked += other.sum.records_checked;
        self.sum.injected_failures += other.sum.injected_failures;
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|(seed, _)| *seed);
    }

    /// Seeds per minute of real time.
    pub fn seeds_per_minute(&self) -> f64 {
        let seeds = u32::try_from(self.seeds).unwrap_or(u32::MAX);
        f64::from(seeds) * 60.0 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = &self.sum;
        writeln!(f, "seeds                          {}", self.seeds)?;
        writeln!(f, "  failed                       {}", self.failures.len())?;
        writeln!(
            f,
            "  with unsynced data at crash  {}",
            self.seeds_with_unsynced
        )?;
        writeln!(f, "crashes                        {}", sum.crashes)?;
        writeln!(
            f,
            "  with unsynced data           {}",
            sum.crashes_with_unsynced
        )?;
        writeln!(
            f,
            "  during recovery              {}",
            sum.crashes_in_recovery
        )?;
        writeln!(f, "torn sectors                   {}", sum.torn_sectors)?;
        writeln!(f, "torn tails met                 {}", sum.torn_tails)?;
        writeln!(
            f,
            "injected device failures       {}",
            sum.injected_failures
        )?;
        writeln!(f, "records appended               {}", sum.records_appended)?;
        writeln!(f, "records checked                {}", sum.records_checked)?;
        write!(
            f,
            "seeds per minute               {:.0}",
            self.seeds_per_minute()
        )
    }
}
