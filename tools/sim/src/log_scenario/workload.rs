//! What a run of the log scenario does, drawn from its seed before it begins.

use std::time::Duration;

use ringlog_log::{Durability, LogConfig};
use ringlog_reactor::sim::{Chance, CrashKind};

use super::trouble::Trouble;
use crate::batch::value_bytes_for;
use crate::files::Bulk;
use crate::history::Retention;

/// A life in which few appends become durable, in microseconds.
const SHORT_LIFE_US: u64 = 500;

/// The same for all lives of a run.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) partitions: Vec<PartitionPlan>,
    /// Lives that end in a crash, before the last one.
    pub(crate) lives: u64,
    pub(crate) pause_us_max: u64,
    pub(crate) life_us_max: u64,
    pub(crate) cache_bytes: usize,
    pub(crate) bulk: Bulk,
    /// Whether devices misbehave in some of the lives.
    pub(crate) is_troubled: bool,
    /// Whether the trouble is a sync of a segment that fails.
    pub(crate) fails_syncs: bool,
    /// Whether the wall clock jumps in some of the lives.
    pub(crate) has_bad_clock: bool,
    /// Whether all lives but the first append in the epoch that they find, as those of a replica do.
    pub(crate) follows: bool,
}

/// What is done with a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionPlan {
    pub(crate) config: LogConfig,
    pub(crate) batches: Batches,
    /// One action in so many is not an append; none without.
    pub(crate) changes_one_in: Option<u64>,
}

/// The sizes of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batches {
    /// A few records of up to 200 bytes.
    Tiny,
    /// One record, and exactly a block or a part of it.
    Blocks(usize),
    /// A few records of up to 3 000 bytes.
    Mixed,
    /// A few records of up to 60 000 bytes.
    Large,
}

impl Batches {
    /// Value lengths of the records of a batch, from random numbers.
    pub(crate) fn draw(self, mut random_below: impl FnMut(u64) -> u64) -> Vec<usize> {
        let (records_max, bytes_max) = match self {
            Self::Blocks(bytes) => return vec![value_bytes_for(bytes)],
            Self::Tiny => (4, 200),
            Self::Mixed => (8, 3_000),
            Self::Large => (3, 60_000),
        };
        let records = 1 + random_below(records_max);
        (0..records)
            .map(|_| usize::try_from(random_below(bytes_max)).unwrap_or(0))
            .collect()
    }
}

impl Workload {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        match chance.below(12) {
            0 | 1 => return Self::draw_replica(chance),
            2 => return Self::draw_failing(chance),
            _ => {}
        }
        let pause_us_max = [20, 100, 400][chance.index(3)];
        let partitions = 1 + chance.below(3);
        let partitions = (0..partitions)
            .map(|_| PartitionPlan::draw(chance))
            .collect();
        // One run in forty goes on long enough for checkpoints that are due by size.
        let appends = if chance.one_in(40) { 500 } else { 50 };
        Self {
            partitions,
            lives: chance.between(2, 6),
            pause_us_max,
            life_us_max: pause_us_max * appends + 1_500,
            cache_bytes: if chance.coin() { 64 << 10 } else { 4 << 20 },
            bulk: match chance.below(8) {
                0 => Bulk::Nobody,
                1 => Bulk::Fails,
                _ => Bulk::Works,
            },
            is_troubled: chance.one_in(3),
            fails_syncs: false,
            has_bad_clock: chance.one_in(4),
            follows: chance.one_in(4),
        }
    }
}

impl Workload {
    /// Batches of a sector each, in groups that a crash tears, appended in the epoch that is there, in lives so short
    /// that the next one ends within what the last one left.
    fn draw_replica(chance: &mut Chance) -> Self {
        let plan = PartitionPlan {
            config: LogConfig {
                segment_bytes: 1 << 20,
                ..LogConfig::default()
            },
            batches: Batches::Blocks(512),
            changes_one_in: None,
        };
        Self {
            partitions: vec![plan; chance.index(3) + 1],
            lives: chance.between(4, 10),
            pause_us_max: 400,
            life_us_max: 1_500,
            cache_bytes: 4 << 20,
            bulk: Bulk::Works,
            is_troubled: false,
            fails_syncs: false,
            has_bad_clock: false,
            follows: true,
        }
    }
}

impl Workload {
    /// Syncs of segments fail in each life, and the power goes soon behind.
    fn draw_failing(chance: &mut Chance) -> Self {
        Self {
            is_troubled: true,
            fails_syncs: true,
            follows: chance.coin(),
            ..Self::draw_replica(chance)
        }
    }
}

impl PartitionPlan {
    fn draw(chance: &mut Chance) -> Self {
        let batches = match chance.below(8) {
            0 | 1 => Batches::Tiny,
            2 | 3 => Batches::Blocks([512, 1_024, 2_048, 4_096, 4_096][chance.index(5)]),
            4 | 5 => Batches::Mixed,
            _ => Batches::Large,
        };
        let mut config = LogConfig {
            durability: if chance.one_in(4) {
                Durability::Async
            } else {
                Durability::Sync
            },
            segment_bytes: [1 << 20, 1 << 20, 2 << 20, 16 << 20][chance.index(4)],
            flush_ms: chance.between(1, 5),
            ..LogConfig::default()
        };
        // No draw of its own, so that other partitions stay what they were.
        let is_in_memory = config.durability == Durability::Async && config.flush_ms >= 4;
        if is_in_memory {
            config.durability = Durability::Memory;
            config.max_batch_bytes = 512 << 10;
        }
        let rolls_by_age = chance.one_in(3);
        if rolls_by_age {
            config.segment_ms = chance.between(1, 10);
        }
        let is_removing = chance.one_in(3);
        if is_removing && chance.coin() {
            config.retention_bytes = Some(chance.between(0, 2 << 20));
        } else if is_removing {
            config.retention_ms = Some(chance.between(2, 40));
        }
        if is_in_memory {
            config.retention_bytes.get_or_insert(1 << 20);
        }
        Self {
            config,
            batches,
            changes_one_in: (rolls_by_age || is_removing || chance.one_in(3))
                .then(|| chance.between(4, 30)),
        }
    }

    /// Whether what is acknowledged is durable.
    pub(crate) fn is_sync(&self) -> bool {
        self.config.durability == Durability::Sync
    }

    /// Whether it is in memory only.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.config.durability == Durability::Memory
    }

    pub(crate) fn retention(&self) -> Retention {
        let default = LogConfig::default();
        Retention {
            by_size: self.config.retention_bytes.is_some(),
            ms: self
                .config
                .retention_ms
                .filter(|_| self.config.retention_ms != default.retention_ms),
        }
    }
}

/// One life of the node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) role: Role,
    pub(crate) ending: Ending,
    pub(crate) crash: CrashKind,
    pub(crate) trouble: Option<Trouble>,
    /// How far the wall clock is set off, from the middle of the life on.
    pub(crate) clock_jump_ms: Option<i64>,
}

/// What happens in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Begins an epoch, appends and reads.
    Leads,
    /// Appends in the epoch that is there, as a replica does.
    Follows,
    /// Reads only.
    Reads,
    /// As a leader, but with an end, nothing hindering it.
    Finishes,
}

/// How a life ends; each time with a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At any time.
    Crash,
    /// Before or while the logs recover.
    InRecovery,
    /// Shortly after a roll has begun.
    InRoll,
    /// After the logs were closed in order.
    Closed,
}

impl Life {
    pub(crate) fn draw(chance: &mut Chance, workload: &Workload, is_first: bool) -> Self {
        let role = match chance.below(8) {
            0 | 1 => Role::Follows,
            2..7 if workload.follows && !is_first => Role::Follows,
            2 if !is_first => Role::Reads,
            _ => Role::Leads,
        };
        let ending = match chance.below(12) {
            0 | 1 if !is_first => Ending::InRecovery,
            2 | 3 => Ending::InRoll,
            4 => Ending::Closed,
            _ => Ending::Crash,
        };
        let trouble = (workload.is_troubled && chance.coin()).then(|| match workload.fails_syncs {
            true => Trouble::draw_failing_sync(chance, workload.partitions.len()),
            false => Trouble::draw(chance, workload.partitions.len()),
        });
        let clock_jump_ms = (workload.has_bad_clock && chance.coin()).then(|| draw_jump(chance));
        let crash = if chance.one_in(3) {
            CrashKind::Process
        } else {
            CrashKind::Power
        };
        Self {
            role,
            ending,
            crash,
            trouble,
            clock_jump_ms,
        }
    }

    pub(crate) const LAST: Self = Self {
        role: Role::Finishes,
        ending: Ending::Closed,
        crash: CrashKind::Process,
        trouble: None,
        clock_jump_ms: None,
    };

    /// How long the node goes on after its logs have recovered.
    pub(crate) fn length(self, chance: &mut Chance, workload: &Workload) -> Duration {
        let us_max = match self.role {
            Role::Reads => 2_000,
            // Some lives end with their first appends.
            _ if chance.one_in(4) => SHORT_LIFE_US,
            _ => workload.life_us_max,
        };
        Duration::from_micros(chance.below(us_max))
    }
}

/// A few milliseconds, or hours, to either side.
fn draw_jump(chance: &mut Chance) -> i64 {
    let ms_max = [60, 60, 5 * 3_600_000][chance.index(3)];
    let ms = i64::try_from(chance.below(ms_max)).unwrap_or(0);
    if chance.coin() { ms } else { -ms }
}
