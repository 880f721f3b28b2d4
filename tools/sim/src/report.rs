//! What a run of one seed, and of many, came to.

use std::fmt;
use std::time::Duration;

use crate::violation::Violation;

macro_rules! outcome {
    ($($(#[doc = $doc:literal])+ $name:ident: $label:literal,)+) => {
        /// What a seed that passed went through.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct SeedOutcome {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// Equal for two runs of one seed.
            pub trace_hash: u64,
        }

        impl SeedOutcome {
            /// Adds the counts of another seed.
            fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }

            /// The counts with their names, as they are printed.
            fn lines(&self) -> Vec<(&'static str, u64)> {
                vec![$(($label, self.$name)),+]
            }
        }
    };
}

outcome! {
    /// Crashes, of the power or of the process.
    crashes: "crashes",
    /// Losses of power among them.
    power_losses: "  of the power",
    /// Crashes that found something written that was not durable yet.
    crashes_with_unsynced: "  with unsynced writes",
    /// Crashes while a log recovered.
    crashes_in_recovery: "  during recovery",
    /// Crashes shortly after a roll had begun.
    crashes_in_roll: "  during a roll",
    /// Nodes, or their logs, that were closed in order.
    closed_in_order: "closed in order",
    /// Sectors left as a mix of two versions.
    torn_sectors: "torn sectors",
    /// Logs that recovery found with a torn tail.
    torn_tails: "torn tails met",
    /// Failures of the device that were injected.
    injected_failures: "injected device failures",
    /// Operations of a device that never ended.
    hung_operations: "operations that never ended",
    /// Bits that turned over on the medium.
    bits_turned: "bits turned over at rest",
    /// Bits that turned over on their way to a reader.
    flipped_reads: "bits turned over on a read",
    /// Starts with another disk, which must be refused.
    disks_exchanged: "disks exchanged",
    /// Jumps of the wall clock.
    clock_jumps: "jumps of the clock",
    /// Partitions that a failing device took offline until the next start.
    partitions_offline: "  partitions offline by them",
    /// Appends refused because the device was full.
    appends_without_space: "appends refused, device full",
    /// Segments begun in a prepared file.
    rolls_prepared: "rolls with a prepared file",
    /// Segments begun in a file that nobody had prepared.
    rolls_unprepared: "rolls without",
    /// Segments removed by retention or deletion.
    segments_removed: "segments removed",
    /// Times that a log was found to begin where retention left it.
    removals_seen: "log starts moved by retention",
    /// Checkpoints written.
    checkpoints: "checkpoints",
    /// Logs in memory that went on at an offset that was never given out.
    restarts_in_memory: "logs in memory that began anew",
    /// Memory of records that left logs in memory.
    memory_dropped_bytes: "  bytes that left them",
    /// Deletions of records that were answered.
    deletions: "deletions of records",
    /// Leader epochs begun.
    epochs_begun: "leader epochs begun",
    /// Topics created.
    topics_created: "topics created",
    /// Topics deleted.
    topics_deleted: "topics deleted",
    /// Changes of settings that were answered.
    topics_altered: "settings changed",
    /// Administrative requests that the broker could not carry out, because its metadata store failed.
    store_failures: "refused by a failing store",
    /// Connections that were not taken.
    connections_refused: "connections refused",
    /// Requests that the broker refused for now.
    requests_refused: "produces refused for now",
    /// Readers that were told of a truncation.
    truncations_told: "truncations told",
    /// Records appended.
    records_appended: "records appended",
    /// Records read and compared with their history.
    records_checked: "records checked",
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
                self.sum.add(&outcome);
            }
            Err(failure) => self.failures.push((seed, failure)),
        }
    }

    /// Adds the totals of another part of the run.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.seeds_with_unsynced += other.seeds_with_unsynced;
        self.sum.add(&other.sum);
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
        let mut line = |label: &str, count: u64| writeln!(f, "{label:<32} {count}");
        line("seeds", self.seeds)?;
        line("  failed", self.failures.len() as u64)?;
        line("  crashed with unsynced writes", self.seeds_with_unsynced)?;
        for (label, count) in self.sum.lines() {
            if count > 0 {
                line(label, count)?;
            }
        }
        write!(
            f,
            "{:<32} {:.0}",
            "seeds per minute",
            self.seeds_per_minute()
        )
    }
}
