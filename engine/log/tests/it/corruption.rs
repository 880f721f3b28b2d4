//! A changed byte anywhere: what recovery keeps and what it refuses, against what the history of writes says.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ringlog_log::{Damage, Log, LogConfig, OpenError, ReadError, ReadRequest};
use ringlog_reactor::OpenOptions;
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    DIRECTORY, World, batch, env_without_bulk, numbered_value, read_values, segment_file, try_open,
};

/// A flush group: what may be torn behind the end.
const WINDOW_BYTES: u64 = 4 << 20;
/// The first two sizes of segment files.
const FILES_BYTES: [u64; 2] = [1 << 20, 16 << 20];

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 16 << 20,
        max_batch_bytes: 4 << 20,
        ..LogConfig::default()
    }
}

/// A batch that the test wrote.
#[derive(Clone, Copy, Debug)]
struct Written {
    segment: u64,
    position: u64,
    len_bytes: u64,
    offset: u64,
    end_offset: u64,
}

/// What the test wrote, and how much of it a checkpoint calls durable.
#[derive(Clone, Debug, Default)]
struct History {
    batches: Vec<Written>,
    checkpointed: usize,
    /// By offset.
    values: Rc<RefCell<Vec<Vec<u8>>>>,
}

/// What must come of a changed byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The log ends there, with all that is before.
    Ends { offset: u64 },
    /// Everything is there but that batch, which readers are refused.
    Unreadable { offset: u64 },
    /// The log is not opened, because of what is there.
    Refused { position: u64, offset: u64 },
}

impl History {
    fn end(&self) -> u64 {
        self.batches.last().map_or(0, |last| last.end_offset)
    }

    /// Where the next batch of `len_bytes` goes: segment and position.
    fn place(&self, len_bytes: u64) -> (u64, u64) {
        let Some(last) = self.batches.last() else {
            return (0, 0);
        };
        let file_bytes = FILES_BYTES[usize::from(last.segment > 0)];
        let position = last.position + last.len_bytes;
        if position + len_bytes <= file_bytes {
            (last.segment, position)
        } else {
            (last.end_offset, 0)
        }
    }

    /// What must come of a change of the byte at `position` of `segment`.
    fn outcome(&self, segment: u64, position: u64) -> Outcome {
        let hit = self.batches.iter().position(|batch| {
            let inside = position.wrapping_sub(batch.position) < batch.len_bytes;
            batch.segment == segment && position >= batch.position && inside
        });
        let Some(hit) = hit else {
            return Outcome::Ends { offset: self.end() };
        };
        let (index, hit) = (hit, self.batches[hit]);
        let last = self.batches[self.batches.len() - 1];
        if index < self.checkpointed {
            Outcome::Unreadable { offset: hit.offset }
        } else if last.segment != segment || last.position >= hit.position + WINDOW_BYTES {
            Outcome::Refused {
                position: hit.position,
                offset: hit.offset,
            }
        } else {
            Outcome::Ends { offset: hit.offset }
        }
    }
}

/// A disk after a loss of power, and what was written to it.
struct Disk {
    world: World,
    history: History,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Disk {
    /// Batches with these sizes of values, one to three records each; a checkpoint after the first `checkpointed`.
    fn written(lens: Vec<usize>, checkpointed: usize) -> Self {
        let world = World::new(7);
        let faults = world.faults();
        let history = world.run(move |env| async move {
            let env = env_without_bulk(&env.reactor);
            let (log, _) = try_open(&env, config()).await.unwrap();
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            let mut history = History::default();
            let mut epoch = 1;
            for (index, len_max) in lens.into_iter().enumerate() {
                if index == checkpointed {
                    epoch += 1;
                    log.begin_epoch(LeaderEpoch::new(epoch)).await.unwrap();
                    history.checkpointed = index;
                    faults.delay_always(FaultyOp::Write, "checkpoint", Duration::from_secs(60));
                }
                let offset = history.end();
                let end_offset = offset + 1 + index as u64 % 3;
                let values: Vec<_> = (offset..end_offset)
                    .map(|offset| numbered_value(offset, len_max))
                    .collect();
                let bytes = batch(&values.iter().map(|value| &value[..]).collect::<Vec<_>>());
                history.values.borrow_mut().extend(values);
                let len_bytes = bytes.len() as u64;
                let (segment, position) = history.place(len_bytes);
                history.batches.push(Written {
                    segment,
                    position,
                    len_bytes,
                    offset,
                    end_offset,
                });
                log.append(&bytes, LeaderEpoch::new(epoch)).unwrap();
                log.flush().await.unwrap();
            }
            faults.clear();
            history
        });
        world.lose_power();
        let mut segments: Vec<u64> = history.batches.iter().map(|batch| batch.segment).collect();
        segments.dedup();
        let mut paths: Vec<PathBuf> = segments.into_iter().map(segment_file).collect();
        paths.push(PathBuf::from(format!("{DIRECTORY}/checkpoint")));
        let read = |path: PathBuf| {
            let bytes = world.sim.read_file(world.node, &path).unwrap();
            (path, bytes)
        };
        let files = paths.into_iter().map(read).collect();
        Self {
            world,
            history,
            files,
        }
    }

    fn image(&self, segment: u64) -> &[u8] {
        let path = segment_file(segment);
        &self
            .files
            .iter()
            .find(|(found, _)| *found == path)
            .unwrap()
            .1
    }

    /// Puts back what was on the disk: all blocks of a segment that recovery may write to, and the changed one.
    fn restore(&self, segment: u64, position: u64) {
        let written = self.history.batches[self.history.checkpointed..].iter();
        let written = written.filter(|batch| batch.segment == segment);
        let ends = written.flat_map(|batch| [batch.position, batch.position + batch.len_bytes]);
        let ends: Vec<u64> = ends.chain([position]).collect();
        let from = ends.iter().min().unwrap() / 4096 * 4096;
        let to = ends.iter().max().unwrap() / 4096 * 4096 + 4096;
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        let image = self.image(segment);
        let to = to.min(image.len());
        self.world
            .overwrite(&segment_file(segment), from as u64, &image[from..to]);
    }

    /// The byte at `position`, and what it is changed to.
    fn change(&self, segment: u64, position: u64) -> (u8, u8) {
        let byte = self.image(segment)[usize::try_from(position).unwrap()];
        (byte, byte ^ u8::try_from(1 + position % 255).unwrap())
    }

    /// What must come of a byte of a leader epoch that the checkpoint vouches for, if the epoch is later for it: no tear
    /// does that.
    fn outcome_of_epoch(&self, segment: u64, position: u64) -> Option<Outcome> {
        let written = self.history.batches[self.history.checkpointed..].iter();
        let of_epoch = |batch: &&Written| {
            batch.segment == segment
                && (batch.position + 12..batch.position + 16).contains(&position)
        };
        let batch = written.into_iter().find(of_epoch)?;
        let at = usize::try_from(batch.position + 12).unwrap();
        let mut epoch: [u8; 4] = self.image(segment)[at..at + 4].try_into().unwrap();
        let before = i32::from_be_bytes(epoch);
        epoch[usize::try_from(position).unwrap() - at] = self.change(segment, position).1;
        (i32::from_be_bytes(epoch) > before).then_some(Outcome::Refused {
            position: batch.position,
            offset: batch.offset,
        })
    }

    /// Changes a byte, opens the log, and compares with what must come of it.
    fn check(&self, segment: u64, position: u64, wanted: Outcome) {
        let path = segment_file(segment);
        let (_, changed) = self.change(segment, position);
        self.world.overwrite(&path, position, &[changed]);
        let read = || self.world.sim.read_file(self.world.node, &path).unwrap();
        let before = matches!(wanted, Outcome::Refused { .. }).then(read);
        let (end, values) = (self.history.end(), Rc::clone(&self.history.values));
        self.world.run(move |env| async move {
            let what = format!("byte {position} of segment {segment}, wanted {wanted:?}");
            let opened = try_open(&env, config()).await;
            match wanted {
                Outcome::Refused { position, offset } => {
                    let Err(OpenError::Corrupt(corrupt)) = opened.map(drop) else {
                        panic!("{what}: not refused");
                    };
                    assert_eq!(corrupt.position, position, "{what}");
                    assert_eq!(corrupt.offset, Offset::new(offset), "{what}");
                    assert_eq!(corrupt.path, segment_file(segment), "{what}");
                }
                Outcome::Ends { offset } => {
                    let (log, report) = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(report.log_end, Offset::new(offset), "{what}");
                    assert!(report.torn_tail.is_some(), "{what}");
                    check_values(&log, &values).await;
                }
                Outcome::Unreadable { offset } => {
                    let (log, report) = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(report.log_end, Offset::new(end), "{what}");
                    let read = log.read(ReadRequest {
                        offset: Offset::new(offset),
                        max_bytes: 1,
                        limit: Offset::MAX,
                    });
                    match read.await {
                        Err(ReadError::Corrupt { offset: found, .. }) => {
                            assert_eq!(found, Offset::new(offset), "{what}");
                        }
                        other => panic!("{what}: {other:?}"),
                    }
                }
            }
        });
        if let Some(before) = before {
            assert!(read() == before, "a refused log was changed");
        }
        self.restore(segment, position);
    }

    fn check_by_history(&self, segment: u64, position: u64) -> Outcome {
        let by_place = self.history.outcome(segment, position);
        let wanted = self.outcome_of_epoch(segment, position).unwrap_or(by_place);
        self.check(segment, position, wanted);
        wanted
    }
}

/// Everything up to the end of the log is as it was written.
async fn check_values(log: &Log, written: &RefCell<Vec<Vec<u8>>>) {
    let values = read_values(log, 0, 4 << 20).await;
    assert_eq!(values.len() as u64, log.log_end().get());
    assert!(values == written.borrow()[..values.len()]);
}

#[test]
fn each_byte_of_the_last_blocks() {
    // Small batches, some 120 bytes to 1 KiB; the last ten are behind the checkpoint.
    let lens: Vec<usize> = (0..40).map(|index| 20 + index * 7).collect();
    let disk = Disk::written(lens, 30);
    let last = disk.history.batches[disk.history.batches.len() - 1];
    let end = last.position + last.len_bytes;
    let from = (end / 4096 - 1) * 4096;
    let (mut cut, mut unreadable, mut behind, mut refused) = (0, 0, 0, 0);
    for position in from..from + 2 * 4096 {
        match disk.check_by_history(0, position) {
            Outcome::Ends { offset } if offset == disk.history.end() => behind += 1,
            Outcome::Ends { .. } => cut += 1,
            Outcome::Unreadable { .. } => unreadable += 1,
            // Less than a window was written: only epochs tell that it was no tear.
            Outcome::Refused { .. } => refused += 1,
        }
    }
    assert_eq!(cut + unreadable + behind + refused, 2 * 4096);
    assert!(
        cut > 2_000 && unreadable > 1_000 && behind > 100 && (10..=40).contains(&refused),
        "{cut} {unreadable} {behind} {refused}"
    );
}

#[test]
fn bytes_in_the_middle_of_more_than_a_window() {
    // The first segment is sealed with its 1 MiB; the checkpoint lies early in the second, and 6 MiB behind it.
    let lens: Vec<usize> = (0..170).map(|index| 30_000 + index * 300).collect();
    let disk = Disk::written(lens, 80);
    let segment = disk.history.batches[disk.history.checkpointed].segment;
    assert!(segment > 0);
    let (mut cut, mut refused, mut unreadable) = (0, 0, 0);
    let in_second = disk
        .history
        .batches
        .iter()
        .filter(|batch| batch.segment == segment);
    for (index, batch) in in_second.enumerate() {
        // Another byte of the header for each, and one of the records.
        let header = batch.position + (index as u64 * 7) % 61;
        let inside = batch.position + 61 + (index as u64 * 7_919) % (batch.len_bytes - 61);
        for position in [header, inside] {
            match disk.check_by_history(segment, position) {
                Outcome::Ends { .. } => cut += 1,
                Outcome::Refused { .. } => refused += 1,
                Outcome::Unreadable { .. } => unreadable += 1,
            }
        }
    }
    assert!(
        cut > 50 && refused > 20 && unreadable > 20,
        "{cut} {refused} {unreadable}"
    );
}

#[test]
fn bytes_of_a_sealed_segment() {
    let lens: Vec<usize> = (0..90).map(|index| 10_000 + index * 150).collect();
    let disk = Disk::written(lens, 85);
    let first: Vec<Written> = disk.history.batches.clone();
    let first: Vec<&Written> = first.iter().filter(|batch| batch.segment == 0).collect();
    // Its index vouches for it, and readers find what is wrong.
    for (index, batch) in first.iter().enumerate().step_by(5) {
        let position = batch.position + (index as u64 * 61) % batch.len_bytes;
        let offset = batch.offset;
        disk.check(0, position, Outcome::Unreadable { offset });
    }
    // Without an index it is walked over, and it must reach the next one.
    let index_path = PathBuf::from(format!("{DIRECTORY}/{:020}.index", 0));
    let index = disk
        .world
        .sim
        .read_file(disk.world.node, &index_path)
        .unwrap();
    disk.world.overwrite(&index_path, 20, &[index[20] ^ 1]);
    for (index, batch) in first.iter().enumerate().step_by(5) {
        let position = batch.position + (index as u64 * 61) % batch.len_bytes;
        let (at, offset) = (batch.position, batch.offset);
        disk.check(
            0,
            position,
            Outcome::Refused {
                position: at,
                offset,
            },
        );
    }
    // Unharmed it is walked over and served.
    let values = Rc::clone(&disk.history.values);
    disk.world.run(|env| async move {
        let (log, report) = try_open(&env, config()).await.unwrap();
        assert!(report.scanned_bytes > 1 << 19);
        check_values(&log, &values).await;
    });
}

#[test]
fn a_log_that_ends_below_its_checkpoint_is_refused() {
    let disk = Disk::written(vec![500; 20], 15);
    // All that was written is zeros again, as on a device that lost its cache in spite of the sync.
    let durable = disk.history.batches[14];
    let last = disk.history.batches[19];
    let end = last.position + last.len_bytes;
    let from = disk.history.batches[10].position;
    let zeros = vec![0; usize::try_from(end - from).unwrap()];
    disk.world.overwrite(&segment_file(0), from, &zeros);
    disk.world.run(move |env| async move {
        let (log, report) = try_open(&env, config()).await.unwrap();
        // What lies behind the checkpoint is all that recovery looks at: readers find the rest.
        assert_eq!(report.log_end, Offset::new(durable.end_offset));
        let read = log.read(ReadRequest {
            offset: Offset::new(durable.offset),
            max_bytes: 1,
            limit: Offset::MAX,
        });
        assert!(matches!(read.await, Err(ReadError::Corrupt { .. })));
    });
    disk.restore(0, from);
    // Without its file it is refused.
    let gone = disk.world.run(|env| async move {
        env.reactor.unlink(&segment_file(0)).await.unwrap();
        match try_open(&env, config()).await {
            Err(OpenError::Corrupt(corrupt)) => corrupt,
            other => panic!("{:?}", other.map(|(_, report)| report)),
        }
    });
    assert_eq!(gone.damage, Damage::MissingSegment);
}

#[test]
fn a_segment_that_ends_in_front_of_the_checkpoint_is_damage() {
    let world = World::new(3);
    world.run(|env| async move {
        let (log, _) = try_open(&env, config()).await.unwrap();
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        log.append(&batch(&[&[7; 60_000]]), LeaderEpoch::new(1))
            .unwrap();
        log.flush().await.unwrap();
        // Its checkpoint knows what was appended before.
        log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
        let options = OpenOptions {
            write: true,
            ..OpenOptions::default()
        };
        let file = env.reactor.open(&segment_file(0), options).await.unwrap();
        file.truncate(4096).await.unwrap();
        file.sync_all().await.unwrap();
    });
    world.run(|env| async move {
        match try_open(&env, config()).await.map(drop) {
            Err(OpenError::Corrupt(found)) => {
                assert!(matches!(found.damage, Damage::BelowDurableEnd { .. }));
            }
            other => panic!("{other:?}"),
        }
    });
}
