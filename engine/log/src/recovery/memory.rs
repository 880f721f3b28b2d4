//! The recovery of a log that was in memory only: it is empty, and goes on at an offset that was never given out.

use std::collections::{BTreeMap, VecDeque};

use ringlog_reactor::File;
use ringlog_record::Offset;

use super::RecoveryReport;
use crate::checkpoint::{Checkpoint, CheckpointState};
use crate::config::{Durability, LogConfig};
use crate::directory::{Directory, Entry};
use crate::error::OpenError;
use crate::limits::OFFSETS_RESERVED;
use crate::log::LogState;
use crate::memory::{MemoryState, segment_in_memory};
use crate::names::{FileName, NEXT, NEXT_TEMPORARY};
use crate::next_file::{NextFile, SpareFile};
use crate::producers::Producers;
use crate::roll::create_first_segment;
use crate::tail::Tail;

/// What the checkpoint file holds.
pub(super) struct Found {
    pub(super) file: File,
    /// None when the log is new.
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) producers: Producers,
}

/// Recovers a log that was in memory, to memory or to the device.
pub(super) async fn recover(
    directory: &Directory,
    config: LogConfig,
    files: &[Entry],
    found: Found,
) -> Result<(LogState, RecoveryReport), OpenError> {
    let Found {
        file,
        checkpoint,
        producers,
    } = found;
    // It came to memory when it was empty, or was about to leave it.
    for entry in files {
        match entry.name {
            FileName::Segment(base) => directory.remove(&directory.segment_path(base)).await?,
            FileName::Index(base) => directory.remove(&directory.index_path(base)).await?,
            FileName::Next => directory.remove(&directory.join(NEXT)).await?,
            FileName::NextTemporary => directory.remove(&directory.join(NEXT_TEMPORARY)).await?,
            FileName::Checkpoint => {}
        }
    }
    let is_new = checkpoint.is_none();
    let start = checkpoint
        .as_ref()
        .map_or(Offset::ZERO, |found| found.log_start);
    let (memory, segment) = match config.durability {
        Durability::Memory => {
            let memory = MemoryState {
                log_start: start,
                reserved: start,
                ahead: OFFSETS_RESERVED,
            };
            (Some(memory), segment_in_memory(start, &config))
        }
        Durability::Sync | Durability::Async => {
            // Those that were removed are gone before another one has the name of one of them.
            directory.sync().await?;
            let file_bytes = config.file_bytes(0, 0);
            let segment = create_first_segment(directory, start, file_bytes).await?;
            (None, segment)
        }
    };
    let epochs = checkpoint
        .as_ref()
        .map(|found| found.epochs.clone())
        .unwrap_or_default();
    let report = RecoveryReport {
        log_start: start,
        log_end: start,
        high_watermark: start,
        latest_epoch: epochs.latest(),
        segments: 1,
        scanned_bytes: 0,
        is_clean: checkpoint.as_ref().is_some_and(|found| found.is_clean),
        torn_tail: None,
    };
    let checkpoint = CheckpointState {
        file,
        sequence: checkpoint.as_ref().map_or(0, |found| found.sequence),
        durable_bytes: 0,
        // It says that the log is in memory: nothing is written before the next one.
        is_clean: !is_new,
        log_start: start,
        latest_epoch: checkpoint.and_then(|found| found.epochs.entries().last().copied()),
        is_busy: false,
        is_wanted: false,
    };
    let state = LogState {
        config,
        memory,
        is_moving: false,
        lost_below: start,
        wanted_log_start: start,
        log_end: start,
        durable_end: start,
        flush_wanted: start,
        stable_floor: start,
        high_watermark: start,
        epochs,
        producers,
        segments: BTreeMap::from([(start, segment)]),
        tail: Tail::new(start, 0, start, Vec::new()),
        in_flight: VecDeque::new(),
        appended_bytes: 0,
        durable_bytes: 0,
        waiting_for_space: 0,
        is_closed: false,
        failure: None,
        checkpoint,
        next: NextFile::Absent,
        spare: SpareFile::Absent,
        missed_rolls: 0,
    };
    Ok((state, report))
}
