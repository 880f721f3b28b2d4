//! All files of a partition together.

use std::collections::BTreeMap;
use std::io;

use ringlog_record::{LeaderEpoch, Offset};

use super::report::{
    BatchReport, BatchState, CheckpointReport, DirectoryReport, Finding, IndexPoint, Problem,
    SegmentReport, Severity,
};
use super::{Source, read_checkpoint, read_index, walk_segment};
use crate::error::BatchProblem;
use crate::limits::{CHECKPOINT_SLOT_BYTES, FLUSH_GROUP_BYTES_MAX};
use crate::names::FileName;

/// Checks the files of a partition directory, given by name in any order, against each other.
///
/// # Errors
///
/// What the system says when a file is read.
pub fn verify_directory<S: Source>(files: Vec<(String, S)>) -> io::Result<DirectoryReport> {
    let mut verifying = Verifying::default();
    let (mut segments, mut indexes, mut next) = (BTreeMap::new(), BTreeMap::new(), None);
    for (name, mut source) in files {
        match FileName::parse(&name) {
            Some(FileName::Segment(base)) => {
                segments.insert(base, (name, source));
            }
            Some(FileName::Index(base)) => {
                indexes.insert(base, (name, source));
            }
            Some(FileName::Next) => next = Some((name, source)),
            Some(FileName::NextTemporary) => verifying.note(&name, 0, Problem::Leftover),
            Some(FileName::Checkpoint) => verifying.look_at_checkpoint(&name, &mut source)?,
            None => verifying.note(&name, 0, Problem::UnknownFile),
        }
    }
    if verifying.report.checkpoint.is_none() {
        verifying.note(crate::names::CHECKPOINT, 0, Problem::NoCheckpoint);
    }
    for (base, (name, mut source)) in segments {
        let index = indexes.remove(&base);
        verifying.look_at_segment(&name, base, &mut source, index)?;
    }
    if let Some((name, mut source)) = next {
        verifying.look_at_next(&name, &mut source)?;
    }
    for (name, _) in indexes.into_values() {
        verifying.note(&name, 0, Problem::IndexWithoutSegment);
    }
    verifying.compare_segments();
    Ok(verifying.report)
}

#[derive(Default)]
struct Verifying {
    report: DirectoryReport,
    /// Epoch of the batch before.
    epoch: Option<LeaderEpoch>,
}

impl Verifying {
    fn note(&mut self, file: &str, position: u64, problem: Problem) {
        self.find(Severity::Note, file, position, problem);
    }

    fn damage(&mut self, file: &str, position: u64, problem: Problem) {
        self.find(Severity::Damage, file, position, problem);
    }

    fn find(&mut self, severity: Severity, file: &str, position: u64, problem: Problem) {
        self.report.findings.push(Finding {
            severity,
            file: file.to_owned(),
            position,
            problem,
        });
    }

    fn look_at_checkpoint(&mut self, name: &str, source: &mut impl Source) -> io::Result<()> {
        let slots = read_checkpoint(source)?;
        for (slot, found) in (0..).zip(&slots) {
            let position = slot * CHECKPOINT_SLOT_BYTES as u64;
            let mut head = [0; 64];
            let len = source.read_at(position, &mut head)?;
            if found.is_none() && head[..len].iter().any(|&byte| byte != 0) {
                self.note(name, position, Problem::CheckpointSlot { slot });
            }
        }
        self.report.checkpoint = slots
            .into_iter()
            .flatten()
            .max_by_key(|found| found.sequence);
        Ok(())
    }

    fn look_at_segment<S: Source>(
        &mut self,
        name: &str,
        base: Offset,
        source: &mut S,
        index: Option<(String, S)>,
    ) -> io::Result<()> {
        let index = match index {
            Some((name, mut source)) => Some((read_index(&mut source, base)?, name)),
            None => None,
        };
        let mut points: Vec<IndexPoint> = index
            .iter()
            .flat_map(|(found, _)| found.iter().flat_map(|found| found.points.clone()))
            .collect();
        let walked = walk_segment(source, Some(base), |batch| {
            self.look_at_batch(name, batch);
            points.retain(|point| {
                (point.offset, point.position) != (batch.base_offset, batch.position)
            });
        })?;
        self.look_at_index(index, &points, &walked);
        for skipped in &walked.skipped {
            let problem = Problem::Skipped {
                bytes: skipped.bytes,
                expected: skipped.expected,
                problem: skipped.problem.clone(),
                later_offset: skipped.later_offset,
            };
            self.damage(name, skipped.position, problem);
        }
        self.report.segments.push((name.to_owned(), walked));
        Ok(())
    }

    fn look_at_index(
        &mut self,
        index: Option<(Option<super::IndexReport>, String)>,
        unmatched: &[IndexPoint],
        walked: &SegmentReport,
    ) {
        let Some((found, name)) = index else { return };
        let Some(found) = found else {
            return self.note(&name, 0, Problem::IndexDamaged);
        };
        if found.end != walked.end {
            let (index_end, end) = (found.end, walked.end);
            self.damage(&name, 0, Problem::IndexEnd { index_end, end });
        }
        for point in unmatched {
            let &IndexPoint {
                offset, position, ..
            } = point;
            self.damage(&name, 0, Problem::IndexPoint { offset, position });
        }
    }

    fn look_at_batch(&mut self, name: &str, batch: &BatchReport) {
        if let BatchState::Bad(problem) = &batch.state {
            let (expected, problem) = (batch.base_offset, problem.clone());
            return self.damage(name, batch.position, Problem::Batch { expected, problem });
        }
        let of_checkpoint = self.report.checkpoint.as_ref().and_then(|checkpoint| {
            let epochs = checkpoint.epochs.iter().rev();
            let mut before = epochs.skip_while(|begins| begins.start > batch.base_offset);
            before.next().map(|begins| begins.epoch)
        });
        let is_wrong = match (of_checkpoint, self.epoch) {
            (Some(expected), _) => (batch.epoch != Some(expected)).then_some(expected),
            (None, before) => before.filter(|&before| batch.epoch < Some(before)),
        };
        if let Some(expected) = is_wrong {
            let (offset, epoch) = (batch.base_offset, batch.epoch);
            let problem = Problem::Epoch {
                offset,
                epoch,
                expected,
            };
            self.damage(name, batch.position, problem);
        }
        self.epoch = batch.epoch.or(self.epoch);
    }

    /// The prepared file is the last segment if its first batch follows the one before.
    fn look_at_next(&mut self, name: &str, source: &mut impl Source) -> io::Result<()> {
        let end = self.report.segments.last().map(|(_, last)| last.end);
        let Some(end) = end else { return Ok(()) };
        let mut begins = false;
        walk_segment(source, Some(end), |batch| {
            begins |= batch.position == 0 && batch.state == BatchState::Valid;
        })?;
        if begins {
            let walked = walk_segment(source, Some(end), |batch| self.look_at_batch(name, batch))?;
            self.report.segments.push((name.to_owned(), walked));
        }
        Ok(())
    }

    /// Whether the segments follow each other from the log start to the durable end.
    fn compare_segments(&mut self) {
        let segments = std::mem::take(&mut self.report.segments);
        let checkpoint = self.report.checkpoint.take();
        if checkpoint.as_ref().is_some_and(|found| found.is_memory) {
            // It was in memory only; a crash may have left segments of a time when it was not.
            for (name, _) in &segments {
                self.note(name, 0, Problem::Leftover);
            }
            (self.report.segments, self.report.checkpoint) = (segments, checkpoint);
            return;
        }
        let log_start = checkpoint.as_ref().map(|found| found.log_start);
        if let (Some((name, first)), Some(log_start)) = (segments.first(), log_start)
            && first.base > log_start
        {
            self.damage(name, 0, Problem::NoFirstSegment { log_start });
        }
        for two in segments.windows(2) {
            let [(name, one), (_, next)] = two else {
                continue;
            };
            if one.end != next.base {
                let problem = Problem::Gap {
                    end: one.end,
                    next_base: next.base,
                    stop: one.stop.clone(),
                };
                self.damage(name, one.end_position, problem);
            }
        }
        match segments.last() {
            Some((name, last)) => self.look_at_end(name, last, checkpoint.as_ref()),
            None => {
                let missing = checkpoint
                    .as_ref()
                    .filter(|found| found.durable_end > found.log_start);
                if let Some(log_start) = missing.map(|found| found.log_start) {
                    self.damage(
                        crate::names::CHECKPOINT,
                        0,
                        Problem::NoFirstSegment { log_start },
                    );
                }
            }
        }
        (self.report.segments, self.report.checkpoint) = (segments, checkpoint);
    }

    fn look_at_end(
        &mut self,
        name: &str,
        last: &SegmentReport,
        checkpoint: Option<&CheckpointReport>,
    ) {
        self.forgive_torn_window(name, last, checkpoint);
        let (end, stop): (Offset, BatchProblem) = (last.end, last.stop.clone());
        let durable_end = checkpoint.map_or(Offset::ZERO, |found| found.durable_end);
        if end < durable_end {
            let problem = Problem::EndsTooEarly {
                end,
                durable_end,
                stop,
            };
            self.damage(name, last.end_position, problem);
        } else if last.nonzero_bytes_behind > 0 && !last.holds_old_batches {
            // Behind the end of a recycled file nothing tells a torn flush group from the batches that it held.
            let bytes = last.nonzero_bytes_behind;
            self.note(
                name,
                last.end_position,
                Problem::TornTail { bytes, end, stop },
            );
        }
    }

    /// What is bad behind the durable end is what a crash left of a flush group, unless more than one follows.
    fn forgive_torn_window(
        &mut self,
        name: &str,
        last: &SegmentReport,
        checkpoint: Option<&CheckpointReport>,
    ) {
        let durable_position = checkpoint
            .filter(|found| found.active_base == last.base)
            .map_or(0, |found| found.durable_position);
        let is_bad_batch = |found: &&mut Finding| {
            found.file == name
                && matches!(
                    found.problem,
                    Problem::Batch { .. } | Problem::Skipped { .. } | Problem::Epoch { .. }
                )
        };
        let bad: Vec<_> = self
            .report
            .findings
            .iter_mut()
            .filter(is_bad_batch)
            .collect();
        let Some(first) = bad.iter().map(|found| found.position).min() else {
            return;
        };
        if first >= durable_position && last.end_position <= first + FLUSH_GROUP_BYTES_MAX {
            for found in bad {
                found.severity = Severity::Note;
            }
        }
    }
}
