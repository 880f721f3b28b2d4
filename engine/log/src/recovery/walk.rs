//! Walking from the checkpoint to the end of the log, over all its segments.

use std::io;

use ringlog_reactor::File;
use ringlog_record::batch::{BatchError, BatchView};
use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use super::Segments;
use crate::checkpoint::Checkpoint;
use crate::directory::{Directory, Mode};
use crate::env::LogEnv;
use crate::epochs::EpochCache;
use crate::error::{BatchProblem, Corruption, Damage, FileError, OpenError};
use crate::limits::BLOCK_BYTES;
use crate::names::NEXT;
use crate::next_file::NextFile;
use crate::producers::{Producers, StoredBatch};
use crate::scan::{Scanner, Stop, begins_with_batch};
use crate::segment::{Segment, SegmentFile, SegmentName};
use crate::tail::block_floor;

/// A segment file as the directory lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) base: Offset,
    pub(super) len_bytes: u64,
    pub(super) has_index: bool,
}

/// Where the log ends as far as it was walked.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) offset: Offset,
    /// Base offset of the segment that was walked over last.
    pub(super) segment: Offset,
    /// What is behind the end, unless nobody looked.
    pub(super) stop: Option<Stop>,
}

pub(super) struct Recovering<'a> {
    pub(super) env: &'a LogEnv,
    pub(super) directory: &'a Directory,
    pub(super) checkpoint: Option<&'a Checkpoint>,
    pub(super) end: End,
    pub(super) epochs: EpochCache,
    pub(super) producers: Producers,
    pub(super) scanned_bytes: u64,
    /// The log was closed and nothing contradicts that.
    pub(super) is_clean: bool,
    /// The window on the segment that was walked over last, if it was.
    pub(super) scanner: Option<Scanner>,
}

impl<'a> Recovering<'a> {
    pub(super) fn new(
        env: &'a LogEnv,
        directory: &'a Directory,
        checkpoint: Option<&'a Checkpoint>,
        producers: Producers,
    ) -> Self {
        let offset = checkpoint.map_or(Offset::ZERO, |found| found.log_start);
        let epochs = checkpoint.map_or_else(EpochCache::default, |found| found.epochs.clone());
        Self {
            env,
            directory,
            checkpoint,
            end: End {
                offset,
                segment: offset,
                stop: None,
            },
            epochs,
            producers,
            scanned_bytes: 0,
            is_clean: checkpoint.is_some_and(|found| found.is_clean),
            scanner: None,
        }
    }

    /// Recovers the segments that stand under their own names: sealed ones from their index files where those are
    /// sound, the others by walking over them.
    pub(super) async fn recover_named(&mut self, named: &[Named]) -> Result<Segments, OpenError> {
        let mut segments = Segments::new();
        if let Some(first) = named.first() {
            if self.checkpoint.is_some() && first.base > self.end.offset {
                return Err(self.missing_segment().into());
            }
            self.end.offset = first.base;
        }
        for (index, segment) in named.iter().enumerate() {
            let next_base = named.get(index + 1).map(|next| next.base);
            let mut recovered = match self.load_sealed(segment, next_base).await? {
                Some(recovered) => recovered,
                None => {
                    let path = self.directory.segment_path(segment.base);
                    let file = self.directory.open(&path, Mode::Existing).await?;
                    self.walk_segment(segment, file).await?
                }
            };
            let is_walked = self.end.stop.is_some();
            if let Some(next_base) = next_base.filter(|&next| next != recovered.end) {
                return Err(
                    self.damage_at_end(&recovered, |batch| Damage::SealedSegment {
                        batch,
                        next_base,
                    }),
                );
            }
            if next_base.is_some() && is_walked {
                crate::index_file::write(self.env, self.directory, &recovered).await;
            }
            if next_base.is_some() {
                recovered.close_file();
            }
            self.end.offset = recovered.end;
            segments.insert(recovered.base, recovered);
        }
        Ok(segments)
    }

    /// A sealed segment as its index file describes it, if that is sound. Without a checkpoint nothing else tells of
    /// the leader epochs, so all batches are walked over then.
    async fn load_sealed(
        &mut self,
        segment: &Named,
        next_base: Option<Offset>,
    ) -> Result<Option<Segment>, FileError> {
        let (Some(next_base), Some(_), true) = (next_base, self.checkpoint, segment.has_index)
        else {
            return Ok(None);
        };
        let found =
            crate::index_file::load(&self.env.reactor, self.directory, segment.base).await?;
        let is_sound =
            |found: &Segment| found.end == next_base && found.len_bytes <= segment.len_bytes;
        let Some(found) = found.filter(is_sound) else {
            return Ok(None);
        };
        if !self.note_producers_of(&found).await? {
            return Ok(None);
        }
        self.end.stop = None;
        Ok(Some(Segment {
            capacity_bytes: segment.len_bytes,
            ..found
        }))
    }

    /// Notes the producers of a sealed segment that the checkpoint does not know yet, which its index file does not
    /// tell. False when the segment is not what the index file and the checkpoint say.
    async fn note_producers_of(&mut self, segment: &Segment) -> Result<bool, FileError> {
        let known = self.checkpoint.map_or(Offset::ZERO, |one| one.durable_end);
        if segment.end <= known {
            return Ok(true);
        }
        let path = self.directory.segment_path(segment.base);
        let file = self.directory.open(&path, Mode::Existing).await?;
        let mut scanner = Scanner::new(&self.env.reactor, file, segment.len_bytes);
        let (mut offset, mut position) = segment.position_at_or_before(known.max(segment.base));
        while offset < segment.end {
            let read = scanner.batch_at(position, offset).await;
            let read = read.map_err(|error| FileError::new("read", &path, error))?;
            let Ok(batch) = read else { return Ok(false) };
            // Walking over it says what is wrong.
            if self
                .lost_checkpoint(batch.header().leader_epoch())
                .is_some()
            {
                return Ok(false);
            }
            offset = batch.last_offset().next();
            position += batch.len_bytes() as u64;
            if batch.base_offset() >= known {
                self.note_producer(&batch);
            }
        }
        Ok(offset == segment.end)
    }

    /// Notes the producer of a batch that the checkpoint does not know yet.
    fn note_producer(&mut self, batch: &BatchView<'_>) {
        let (Ok(Some(stamp)), Some(records)) = (batch.header().producer(), batch.dense_records())
        else {
            return;
        };
        let stored = StoredBatch {
            epoch: stamp.epoch,
            base_sequence: stamp.base_sequence,
            records,
            base_offset: batch.base_offset(),
        };
        // When it was appended is not known: it is remembered too long rather than not long enough.
        let now = TimestampMs::new(self.env.reactor.unix_time_ms());
        self.producers.note_found(stamp.id, stored, now);
    }

    /// Decides about the file under the name of the prepared one: it is the active segment if its first batch is
    /// valid and begins where the named segments end.
    pub(super) async fn recover_next(
        &mut self,
        segments: &mut Segments,
        len_bytes: u64,
    ) -> Result<NextFile, OpenError> {
        let path = self.directory.join(NEXT);
        let base = self.end.offset;
        let file = self.directory.open(&path, Mode::Existing).await?;
        let mut scanner = Scanner::new(&self.env.reactor, file.clone(), len_bytes);
        let read_failed = |error| FileError::new("read", &path, error);
        let first = scanner
            .batch_at(0, base)
            .await
            .map_err(read_failed)?
            .map(|_| ());
        match first {
            Ok(()) if self.checkpoint.is_some() || !segments.is_empty() => self.is_clean = false,
            Err(BatchProblem::Offset { found }) if found > base => {
                let problem = || BatchProblem::Offset { found };
                let batch = self
                    .end
                    .stop
                    .as_ref()
                    .map_or_else(problem, |stop| stop.problem.clone());
                let damage = Damage::ValidBatchBeyond {
                    batch,
                    later_offset: found,
                    later_position: 0,
                };
                return Err(Corruption {
                    path,
                    position: 0,
                    offset: base,
                    damage,
                }
                .into());
            }
            _ if self.is_clean => {
                return Ok(NextFile::Ready { file, len_bytes });
            }
            _ => {
                // What was durable in it is damaged then, and is left as it is.
                self.check_durable_end()?;
                // Part of a flush group may lie in it. It is less work to make another.
                self.directory.remove(&path).await?;
                self.directory.sync().await?;
                return Ok(NextFile::Absent);
            }
        }
        self.directory
            .rename(&path, &self.directory.segment_path(base))
            .await?;
        self.directory.sync().await?;
        let active = self
            .walk_segment(
                &Named {
                    base,
                    len_bytes,
                    has_index: false,
                },
                file,
            )
            .await?;
        self.end.offset = active.end;
        // What was active is sealed.
        segments.values_mut().for_each(Segment::close_file);
        segments.insert(base, active);
        Ok(NextFile::Absent)
    }

    /// Walks over the batches of a segment, from the checkpoint if that lies in it.
    async fn walk_segment(&mut self, named: &Named, file: File) -> Result<Segment, OpenError> {
        let opened = SegmentFile::Open {
            file: file.clone(),
            name: SegmentName::BaseOffset,
        };
        let mut segment = Segment::new(named.base, named.len_bytes, opened);
        let checkpoint = self
            .checkpoint
            .filter(|found| found.active_base == named.base);
        if let Some(found) = checkpoint {
            segment.end = found.durable_end;
            segment.len_bytes = found.durable_position;
            segment.index = found.index.clone();
            segment.max_timestamp = found.max_timestamp;
            (segment.first_append, segment.last_append) = (found.first_append, found.last_append);
            if named.len_bytes < found.durable_position {
                return Err(self.cut_short(named, found));
            }
        }
        self.end.stop = None;
        let path = self.directory.segment_path(named.base);
        if self.is_clean && checkpoint.is_some() {
            // The newest slot may have gone bad, and the one before be of an earlier close.
            let looked = self
                .is_batch_at(&file, segment.len_bytes, segment.end)
                .await;
            self.is_clean = !looked.map_err(|error| FileError::new("read", &path, error))?;
            if self.is_clean {
                segment.durable_bytes = segment.len_bytes;
                return Ok(segment);
            }
        }
        let scanned_before = self.scanned_bytes;
        let mut scanner = Scanner::new(&self.env.reactor, file, named.len_bytes).keeping();
        let mut epoch = segment
            .end
            .checked_sub(1)
            .and_then(|last| self.epochs.epoch_at(last));
        let problem = loop {
            let (position, offset) = (segment.len_bytes, segment.end);
            let read = scanner.batch_at(position, offset).await;
            let batch = match read.map_err(|error| FileError::new("read", &path, error))? {
                Ok(batch) => batch,
                Err(problem) => break problem,
            };
            let of_batch = batch.header().leader_epoch();
            if let Some(damage) = self.lost_checkpoint(of_batch) {
                return Err(Corruption {
                    path,
                    position,
                    offset,
                    damage,
                }
                .into());
            }
            if let Err(problem) = self.follow_epoch(&mut epoch, of_batch, offset) {
                break problem;
            }
            let len_bytes = batch.len_bytes() as u64;
            segment.note_batch(
                offset,
                batch.last_offset().next(),
                len_bytes,
                batch.max_timestamp(),
            );
            if self.checkpoint.is_none_or(|one| offset >= one.durable_end) {
                self.note_producer(&batch);
            }
            self.scanned_bytes += len_bytes;
        };
        if self.scanned_bytes > scanned_before {
            // When its batches were appended is not known where the checkpoint does not tell: keep them too long. The
            // clock may be behind, as that of a machine is which has just started; the file knows when it was written.
            let now_ms = self.env.reactor.unix_time_ms();
            let modified_ms = match self.env.reactor.stat(&path).await {
                Ok(stat) => stat.modified_ms,
                Err(error) => return Err(FileError::new("stat", &path, error).into()),
            };
            segment.note_append(TimestampMs::new(now_ms.max(modified_ms)));
        }
        segment.durable_bytes = segment.len_bytes;
        self.scanner = Some(scanner);
        self.end.segment = segment.base;
        self.end.stop = Some(Stop {
            position: segment.len_bytes,
            offset: segment.end,
            problem,
        });
        Ok(segment)
    }

    /// What a batch says of the checkpoint, if it cannot be the last one that was written. A tear leaves earlier epochs
    /// only: what was known of those that came later, and how much was durable then, is gone.
    fn lost_checkpoint(&self, found: Option<LeaderEpoch>) -> Option<Damage> {
        let checkpoint = self.checkpoint?;
        let latest = checkpoint.epochs.latest().unwrap_or_default();
        let found = found.filter(|&found| found > latest)?;
        Some(Damage::CheckpointLost { found, latest })
    }

    /// Checks the leader epoch of a batch, which stands outside of its CRC, so that a torn sector can leave an old
    /// one there. No batch is written before the checkpoint knows its epoch; without a checkpoint, epochs must not go
    /// back along the log.
    fn follow_epoch(
        &mut self,
        previous: &mut Option<LeaderEpoch>,
        found: Option<LeaderEpoch>,
        offset: Offset,
    ) -> Result<(), BatchProblem> {
        let known = self
            .checkpoint
            .and_then(|checkpoint| checkpoint.epochs.epoch_at(offset));
        let is_expected = match known {
            Some(known) => found == Some(known),
            None => found >= *previous,
        };
        if !is_expected {
            let expected = known.or(*previous).unwrap_or_default();
            return Err(BatchProblem::Epoch { found, expected });
        }
        *previous = found;
        if let Some(epoch) = found {
            self.epochs.begin(epoch, offset);
        }
        Ok(())
    }

    /// Whether a valid batch that begins with `offset` lies at `position`. Reads little when there is none.
    async fn is_batch_at(&self, file: &File, position: u64, offset: Offset) -> io::Result<bool> {
        let (start, skipped) = (block_floor(position), position % BLOCK_BYTES);
        let (buf, len) = self
            .read_blocks(file, start, start + 2 * BLOCK_BYTES)
            .await?;
        let bytes = usize::try_from(skipped).map_or(&[][..], |skipped| &buf[skipped..len]);
        if !begins_with_batch(bytes, offset) {
            return Ok(false);
        }
        let mut scanner = Scanner::new(&self.env.reactor, file.clone(), u64::MAX);
        Ok(scanner.batch_at(position, offset).await?.is_ok())
    }

    /// What is said of a file that ends in front of what is durable in it.
    fn cut_short(&self, named: &Named, found: &Checkpoint) -> OpenError {
        let batch = BatchError::Truncated {
            available_bytes: usize::try_from(named.len_bytes).unwrap_or(usize::MAX),
            needed_bytes: usize::try_from(found.durable_position).unwrap_or(usize::MAX),
        };
        let durable_end = found.durable_end;
        Corruption {
            path: self.directory.segment_path(named.base),
            position: named.len_bytes,
            offset: durable_end,
            damage: Damage::BelowDurableEnd {
                durable_end,
                batch: batch.into(),
            },
        }
        .into()
    }

    /// A log that ends below the durable end of its checkpoint is damaged.
    pub(super) fn check_durable_end(&self) -> Result<(), Corruption> {
        let Some(durable_end) = self.checkpoint.map(|found| found.durable_end) else {
            return Ok(());
        };
        if self.end.offset >= durable_end {
            return Ok(());
        }
        match &self.end.stop {
            None => Err(self.missing_segment()),
            Some(stop) => {
                let batch = stop.problem.clone();
                Err(self.corruption_at(stop, Damage::BelowDurableEnd { durable_end, batch }))
            }
        }
    }

    fn missing_segment(&self) -> Corruption {
        let offset = self.end.offset;
        let path = self.directory.segment_path(offset);
        Corruption {
            path,
            position: 0,
            offset,
            damage: Damage::MissingSegment,
        }
    }

    pub(super) fn corruption_at(&self, stop: &Stop, damage: Damage) -> Corruption {
        let path = self.directory.segment_path(self.end.segment);
        Corruption {
            path,
            position: stop.position,
            offset: stop.offset,
            damage,
        }
    }

    fn damage_at_end(
        &self,
        segment: &Segment,
        damage: impl FnOnce(BatchProblem) -> Damage,
    ) -> OpenError {
        let path = self.directory.segment_path(segment.base);
        let problem = match &self.end.stop {
            Some(stop) => stop.problem.clone(),
            None => BatchProblem::Offset { found: segment.end },
        };
        let (position, offset) = (segment.len_bytes, segment.end);
        Corruption {
            path,
            position,
            offset,
            damage: damage(problem),
        }
        .into()
    }
}
