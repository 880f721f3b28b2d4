//! Reads that go wrong: a device that fails them, and bits that are not what was written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ringlog_log::{AppendError, Log, LogConfig, LogEnv, ReadData, ReadError, ReadRequest};
use ringlog_reactor::sim::{FaultEffect, FaultTrigger, FaultyOp};
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    World, append_numbered, batch, check_numbered, open, read_all_batches, segment_file,
};

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);
const RECORDS: u64 = 30;
/// Bytes of the header of a batch.
const HEADER_BYTES: u64 = 61;

/// A log that was closed: what is read of it comes from the device.
fn closed_log(world: &World) {
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(EPOCH).await.unwrap();
        append_numbered(&env, &log, RECORDS, 3_000, 1).await;
        log.close().await.unwrap();
    });
}

async fn open_another(env: &LogEnv) -> Log {
    let directory = PathBuf::from("/data/topics/0/1");
    let opened = Log::open(env.clone(), directory, LogConfig::default()).await;
    let (log, _) = opened.unwrap();
    log.begin_epoch(EPOCH).await.unwrap();
    log
}

async fn read(log: &Log, offset: u64) -> Result<ReadData, ReadError> {
    let request = ReadRequest {
        offset: Offset::new(offset),
        max_bytes: 1,
        limit: Offset::MAX,
    };
    log.read(request).await
}

/// The log takes nothing more and says why; another one does not notice.
async fn check_offline(log: &Log, other: &Log, reason: &str) {
    let failure = log.failure().expect("it is offline").to_string();
    assert!(failure.contains(reason), "{failure}");
    let refused = log.append(&batch(&[b"refused"]), EPOCH);
    assert!(matches!(refused, Err(AppendError::Failed(_))));
    other.append(&batch(&[b"beside it"]), EPOCH).unwrap();
    other.flush().await.unwrap();
    assert_eq!(other.failure(), None);
}

#[test]
fn a_read_that_the_process_is_short_of_something_for_can_be_tried_again() {
    let world = World::new(3);
    let faults = world.faults();
    world.run(move |shared| async move {
        let env = crate::bench_world::env(&shared.reactor, 0);
        let (log, _) = open(&env).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_numbered(&env, &log, 100, 3_000, 1).await;
        log.flush().await.unwrap();
        let read = || {
            log.read(ReadRequest {
                offset: Offset::ZERO,
                max_bytes: 1 << 20,
                limit: Offset::MAX,
            })
        };
        faults.fail_once(FaultyOp::Read, ".log", ErrorKind::OutOfMemory);
        let error = read().await.unwrap_err();
        assert!(error.is_retriable(), "{error}");
        assert_eq!(log.failure(), None);
        read().await.unwrap();
    });
}

#[test]
fn a_read_that_the_device_fails_takes_its_log_offline() {
    let world = World::new(1);
    closed_log(&world);
    let faults = world.faults();
    world.run(move |env| async move {
        let (log, _) = open(&env).await;
        let other = open_another(&env).await;
        faults.fail_once(FaultyOp::Read, "topics/0/0/0", ErrorKind::Other);
        let error = read(&log, 3).await.unwrap_err();
        assert!(matches!(error, ReadError::File(_)), "{error}");
        check_offline(&log, &other, &error.to_string()).await;
        // What the device still gives can be read.
        check_numbered(&log, 0, 3_000, 1 << 20).await;
        assert_eq!(env.counters.failures.get(), 1);
    });
    world.run(|env| async move {
        let (log, report) = open(&env).await;
        assert_eq!(report.log_end, Offset::new(RECORDS));
        check_numbered(&log, 0, 3_000, 1 << 20).await;
    });
}

#[test]
fn a_bit_that_turned_over_takes_its_log_offline_and_is_never_served() {
    let world = World::new(1);
    closed_log(&world);
    let (segment, sim, node) = (segment_file(0), world.sim.clone(), world.node);
    let flip = move |path: &Path, position| sim.flip_bit(node, path, position, 5).unwrap();
    let place = world.run(|env| async move {
        let (log, _) = open(&env).await;
        let places = read_all_batches(&log).await;
        places[places.len() / 2]
    });
    let position = place.position + place.len_bytes / 2;
    flip(&segment, position);
    let path = segment.clone();
    world.run(move |env| async move {
        let (log, report) = open(&env).await;
        assert_eq!(report.log_end, Offset::new(RECORDS));
        let other = open_another(&env).await;
        read(&log, 0).await.unwrap();
        assert_eq!(log.failure(), None, "nobody has seen it yet");
        let error = read(&log, place.base_offset).await.unwrap_err();
        let ReadError::Corrupt {
            path: found,
            position,
            offset,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((found, *position), (&path, place.position));
        assert_eq!(*offset, Offset::new(place.base_offset));
        check_offline(&log, &other, &error.to_string()).await;
        read(&log, place.base_offset).await.unwrap_err();
    });
    flip(&segment, position);
    world.run(|env| async move {
        let (log, report) = open(&env).await;
        assert_eq!(report.log_end, Offset::new(RECORDS));
        check_numbered(&log, 0, 3_000, 1 << 20).await;
    });
}

/// Length, epoch, number of records: whatever the header says then, a reader is told of the damage. Nothing at all would
/// have it wait for ever.
#[test]
fn every_bit_of_a_header_is_missed_when_it_turns_over() {
    let world = World::new(1);
    closed_log(&world);
    let faults = world.faults();
    let segment = segment_file(0);
    world.run(move |env| async move {
        let (log, _) = open(&env).await;
        let places = read_all_batches(&log).await;
        let limit = log.log_end();
        let read = async |index: usize| {
            let request = ReadRequest {
                offset: Offset::new(places[index].base_offset),
                max_bytes: 1,
                limit,
            };
            log.read(request).await
        };
        for index in [0, places.len() / 2, places.len() - 1] {
            let sound = read(index).await.unwrap();
            assert_eq!(sound.bytes as u64, places[index].len_bytes);
            for bit in 0..8 * HEADER_BYTES {
                let position = places[index].position + bit / 8;
                let bit = u32::try_from(bit % 8).unwrap();
                faults.flip_bit(&segment, position, bit);
                let found = read(index).await;
                assert!(
                    matches!(found, Err(ReadError::Corrupt { .. })),
                    "byte {position}, bit {bit}: {found:?}"
                );
                // One that is read on the way to another is either found, or does no harm.
                if let Some(next) = (index + 1 < places.len()).then_some(index + 1) {
                    match read(next).await {
                        Ok(data) => assert_eq!(data.bytes as u64, places[next].len_bytes),
                        Err(error) => assert!(matches!(error, ReadError::Corrupt { .. })),
                    }
                }
                faults.flip_bit(&segment, position, bit);
                assert_eq!(read(index).await.unwrap(), sound);
            }
        }
    });
}

#[test]
fn a_bit_that_turned_over_on_its_way_is_read_again() {
    for seed in 0..20 {
        let world = World::new(seed);
        closed_log(&world);
        let faults = world.faults();
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            faults.strike(
                FaultyOp::Read,
                "topics/0/0/0",
                FaultEffect::FlipBit,
                FaultTrigger::Next(1),
            );
            check_numbered(&log, 0, 3_000, 1 << 20).await;
            assert_eq!(log.failure(), None);
        });
        assert_eq!(world.sim.disk_stats(world.node).flipped_reads, 1);
    }
}
