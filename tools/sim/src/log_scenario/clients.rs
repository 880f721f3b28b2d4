//! What outlives the crashes of the node: what its clients know, and how far the life is that they see.

use std::rc::Rc;

use ringlog_log::LogCounters;

use super::trouble::Trouble;
use super::workload::Workload;
use crate::history::History;
use crate::report::SeedOutcome;
use crate::value::{RecordId, first_id};
use crate::violation::Violation;

/// What outlives the crashes of the node.
pub(crate) struct Clients {
    pub(crate) histories: Vec<History>,
    pub(crate) next_record: RecordId,
    pub(crate) violation: Option<Violation>,
    /// The latest epoch that was tried, of each partition.
    pub(crate) epochs: Vec<u32>,
    /// What the checkers met.
    pub(crate) met: SeedOutcome,
    /// How far this life is.
    pub(crate) life: LifeState,
}

/// How far a life is.
#[derive(Default)]
pub(crate) struct LifeState {
    /// Partitions that are recovered, or offline because of a failing device.
    pub(crate) settled: usize,
    pub(crate) offline: usize,
    pub(crate) closed: usize,
    /// What the device does in this life.
    pub(crate) trouble: Option<Trouble>,
    /// Its clients append.
    pub(crate) appends: bool,
    /// Closing was asked for.
    pub(crate) is_closing: bool,
    /// Records that became durable.
    pub(crate) durable_records: u64,
    pub(crate) counters: Option<Rc<LogCounters>>,
}

impl LifeState {
    /// Whether a partition may be offline because of its device.
    pub(crate) fn may_fail(&self, partition: u32) -> bool {
        self.trouble
            .is_some_and(|trouble| trouble.may_fail(partition))
    }
}

impl Clients {
    pub(crate) fn new(workload: &Workload) -> Self {
        let partitions = workload.partitions.iter().zip(0..);
        Self {
            histories: partitions
                .map(|(plan, index)| match plan.is_in_memory() {
                    true => History::in_memory(index),
                    false => History::new(index, plan.retention()),
                })
                .collect(),
            next_record: first_id(0),
            violation: None,
            epochs: vec![0; workload.partitions.len()],
            met: SeedOutcome::default(),
            life: LifeState::default(),
        }
    }

    /// Notes the first violation.
    pub(crate) fn check(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.violation.get_or_insert(violation);
        }
    }

    /// Rolls so far in this life.
    pub(crate) fn rolls(&self) -> u64 {
        self.life.counters.as_ref().map_or(0, |counters| {
            counters.rolls_prepared.get() + counters.rolls_unprepared.get()
        })
    }

    /// Takes the counters of a life that ends.
    pub(crate) fn end_life(&mut self) {
        let life = std::mem::take(&mut self.life);
        let met = &mut self.met;
        met.partitions_offline += u64::try_from(life.offline).unwrap_or(0);
        if let Some(counters) = life.counters {
            met.rolls_prepared += counters.rolls_prepared.get();
            met.rolls_unprepared += counters.rolls_unprepared.get();
            met.segments_removed += counters.segments_removed.get();
            met.appends_without_space += counters.appends_without_space.get();
            met.checkpoints += counters.checkpoints.get();
            met.memory_dropped_bytes += counters.memory_dropped_bytes.get();
        }
    }
}
