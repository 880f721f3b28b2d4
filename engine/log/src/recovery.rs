//! Recovery: what a log is after a stop of any kind.
//!
//! It begins at the checkpoint and walks over the batches behind it. Where the walk ends the log ends, unless that
//! cannot be the work of a crash: only one flush group was in flight, so only `FLUSH_GROUP_BYTES_MAX` behind the
//! last durable end can be torn. A bad batch below the durable end of the checkpoint, or one with a valid batch
//! further behind it than that, is corruption: the log is not opened, and nothing of it is changed.
//!
//! What was in flight may have reached the device in part: it is zeroed, so that no batch of it ever follows one
//! that is appended later. So is what a recycled file held there before: batches with offsets below those of the segment,
//! which are never taken for its own. They are left whole or cleared whole, so that what lies within them is not taken
//! for a batch. And what is found valid may never have been synced: the last flush group is written anew
//! and the file synced before anything of it counts as durable.

mod memory;
mod torn;
mod walk;

use std::collections::{BTreeMap, VecDeque};

use ringlog_record::{LeaderEpoch, Offset};

use self::walk::{Named, Recovering};
use crate::checkpoint::{self, CheckpointState};
use crate::config::{Durability, LogConfig};
use crate::directory::{Directory, Entry};
use crate::env::LogEnv;
use crate::error::{FileError, OpenError};
use crate::log::LogState;
use crate::names::{FileName, NEXT_TEMPORARY};
use crate::next_file::{NextFile, SpareFile};
use crate::roll::create_first_segment;
use crate::segment::Segment;
use crate::tail::Tail;

/// What recovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The first offset that can be read.
    pub log_start: Offset,
    /// The offset behind the last record, all durable.
    pub log_end: Offset,
    /// The high watermark of the checkpoint, at most the log end.
    pub high_watermark: Offset,
    /// The latest leader epoch.
    pub latest_epoch: Option<LeaderEpoch>,
    /// Segments of the log.
    pub segments: usize,
    /// Bytes of batches that were walked over.
    pub scanned_bytes: u64,
    /// Whether the log had been closed, so that nothing was walked over.
    pub is_clean: bool,
    /// What was cleared behind the end, if anything.
    pub torn_tail: Option<TornTail>,
}

/// The rest of a flush group that did not reach the device as a whole; in a recycled file, that and batches which it
/// held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Where in it the log ends.
    pub position: u64,
    /// Bytes behind that which were not zero.
    pub bytes: u64,
}

/// Recovers the log in `directory`, which is made when it is missing.
pub(crate) async fn recover(
    env: &LogEnv,
    directory: &Directory,
    config: LogConfig,
) -> Result<(LogState, RecoveryReport), OpenError> {
    directory.ensure().await?;
    let files = directory.list().await?;
    let checkpoint_bytes = files
        .iter()
        .find(|entry| entry.name == FileName::Checkpoint)
        .map_or(0, |entry| entry.len_bytes);
    let (file, whole) = checkpoint::load(&env.reactor, directory, checkpoint_bytes).await?;
    let (checkpoint, producers) = whole
        .map(|whole| (whole.checkpoint, whole.producers))
        .unzip();
    let is_in_memory = match &checkpoint {
        Some(checkpoint) => checkpoint.is_memory,
        None => config.durability == Durability::Memory && !files.iter().any(Entry::holds_records),
    };
    if is_in_memory {
        let found = memory::Found {
            file,
            checkpoint,
            producers: producers.unwrap_or_default(),
        };
        return memory::recover(directory, config, &files, found).await;
    }
    let log_start = checkpoint.as_ref().map(|found| found.log_start);
    let named = remove_leftovers(directory, &files, log_start.unwrap_or(Offset::ZERO)).await?;

    let mut recovering = Recovering::new(
        env,
        directory,
        checkpoint.as_ref(),
        producers.unwrap_or_default(),
    );
    let mut segments = recovering.recover_named(&named).await?;
    let next = match files.iter().find(|entry| entry.name == FileName::Next) {
        Some(entry) => {
            recovering
                .recover_next(&mut segments, entry.len_bytes)
                .await?
        }
        None => NextFile::Absent,
    };
    recovering.check_durable_end()?;
    if segments.is_empty() {
        let base = recovering.end.offset;
        segments.insert(
            base,
            create_first_segment(directory, base, config.file_bytes(0, 0)).await?,
        );
    }
    let first_base = segments
        .keys()
        .next()
        .copied()
        .unwrap_or(recovering.end.offset);
    let settled = match segments.values_mut().next_back() {
        Some(active) => recovering.settle(active, &config).await?,
        None => torn::Settled::default(),
    };

    let log_end = recovering.end.offset;
    recovering.epochs.come_back(log_end);
    let high_watermark = checkpoint
        .as_ref()
        .map_or(Offset::ZERO, |found| found.high_watermark);
    let report = RecoveryReport {
        log_start: log_start.unwrap_or(first_base).max(first_base),
        log_end,
        high_watermark: high_watermark.min(log_end),
        latest_epoch: recovering.epochs.latest(),
        segments: segments.len(),
        scanned_bytes: recovering.scanned_bytes,
        is_clean: recovering.is_clean,
        torn_tail: settled.torn_tail,
    };
    let checkpoint = CheckpointState {
        file,
        sequence: checkpoint.as_ref().map_or(0, |found| found.sequence),
        durable_bytes: 0,
        is_clean: checkpoint.as_ref().is_some_and(|found| found.is_clean),
        log_start: report.log_start,
        latest_epoch: checkpoint
            .as_ref()
            .and_then(|found| found.epochs.entries().last().copied()),
        is_busy: false,
        is_wanted: false,
    };
    let (active_base, position) = segments
        .values()
        .next_back()
        .map_or((log_end, 0), |active| (active.base, active.len_bytes));
    let state = LogState {
        config,
        memory: None,
        is_moving: false,
        lost_below: Offset::ZERO,
        wanted_log_start: report.log_start,
        log_end,
        durable_end: log_end,
        flush_wanted: log_end,
        stable_floor: log_end,
        high_watermark: report.high_watermark,
        epochs: recovering.epochs,
        producers: recovering.producers,
        tail: Tail::new(active_base, position, log_end, settled.carry),
        segments,
        in_flight: VecDeque::new(),
        appended_bytes: report.scanned_bytes,
        durable_bytes: report.scanned_bytes,
        waiting_for_space: 0,
        is_closed: false,
        failure: None,
        checkpoint,
        next,
        spare: SpareFile::Absent,
        missed_rolls: 0,
    };
    Ok((state, report))
}

/// Removes what no log needs: a half-made prepared file, and segments and indexes below the log start. Gives the
/// segments, in order.
async fn remove_leftovers(
    directory: &Directory,
    files: &[Entry],
    log_start: Offset,
) -> Result<Vec<Named>, FileError> {
    let mut named: BTreeMap<Offset, Named> = files
        .iter()
        .filter_map(|entry| match entry.name {
            FileName::Segment(base) => Some((
                base,
                Named {
                    base,
                    len_bytes: entry.len_bytes,
                    has_index: false,
                },
            )),
            _ => None,
        })
        .collect();
    let first = named.range(..=log_start).next_back().map(|(&base, _)| base);
    let kept = first.map(|first| named.split_off(&first));
    let gone = kept
        .map(|kept| std::mem::replace(&mut named, kept))
        .unwrap_or_default();
    for base in gone.keys() {
        directory.remove(&directory.segment_path(*base)).await?;
    }
    for entry in files {
        match entry.name {
            FileName::NextTemporary => directory.remove(&directory.join(NEXT_TEMPORARY)).await?,
            FileName::Index(base) => match named.get_mut(&base) {
                Some(segment) => segment.has_index = true,
                None => directory.remove(&directory.index_path(base)).await?,
            },
            _ => {}
        }
    }
    Ok(named.into_values().collect())
}

/// The segments of a log, as they are being recovered.
type Segments = BTreeMap<Offset, Segment>;
