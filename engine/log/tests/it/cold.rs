//! Reads from disk: in the background class, and ahead of readers that go on.

use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use ringlog_log::limits::{BACKGROUND_IN_FLIGHT_BYTES_MAX, READ_AHEAD_BYTES, READ_AHEAD_IDLE_MS};
use ringlog_log::{ColdReads, Log, LogConfig, LogEnv, ReadData, ReadRequest};
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    World, append_numbered, batch, check_numbered, env, numbered_value, open_with, read_values,
};

const LEN_MAX: usize = 20_000;
const RECORDS: u64 = 1_500;

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        ..LogConfig::default()
    }
}

/// An environment whose cache keeps next to nothing, so that all but the last records come from disk.
fn cold(shared: &LogEnv, read_ahead_bytes: usize) -> LogEnv {
    let mut env = env(&shared.reactor, 0);
    env.cold = ColdReads::new(read_ahead_bytes);
    env
}

async fn filled(env: &LogEnv, records: u64) -> Log {
    let (log, _) = open_with(env, small()).await;
    log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
    append_numbered(env, &log, records, LEN_MAX, 1).await;
    log.flush().await.unwrap();
    log
}

fn request(offset: u64, max_bytes: usize) -> ReadRequest {
    ReadRequest {
        offset: Offset::new(offset),
        max_bytes,
        limit: Offset::MAX,
    }
}

async fn read(log: &Log, offset: u64, max_bytes: usize) -> ReadData {
    log.read(request(offset, max_bytes)).await.unwrap()
}

/// The bytes of the whole log, as fetches of this size give them.
async fn bytes_of(log: &Log, max_bytes: usize) -> Vec<u8> {
    let (mut bytes, mut offset) = (Vec::new(), Offset::ZERO);
    loop {
        let data = read(log, offset.get(), max_bytes).await;
        for slice in &data.slices {
            bytes.extend_from_slice(slice);
            for batch in ringlog_record::batch::batches(slice) {
                offset = batch.unwrap().last_offset().next();
            }
        }
        if data.slices.is_empty() {
            return bytes;
        }
    }
}

#[test]
fn reading_ahead_gives_the_same_bytes() {
    World::new(1).run(|shared| async move {
        let without = cold(&shared, 0);
        let log = filled(&without, RECORDS).await;
        let sizes = [1, 10_000, 70_000, 300_000, 1 << 20, 32 << 20];
        let mut expected = Vec::new();
        for max_bytes in sizes {
            expected.push(bytes_of(&log, max_bytes).await);
        }
        assert_eq!(without.counters.reads_ahead.get(), 0);
        assert_eq!(without.counters.reads_from_read_ahead.get(), 0);
        log.close().await.unwrap();
        drop(log);

        let with = cold(&shared, READ_AHEAD_BYTES);
        let (log, _) = open_with(&with, small()).await;
        for (max_bytes, expected) in sizes.into_iter().zip(expected) {
            let ahead = with.counters.reads_from_read_ahead.get();
            assert!(bytes_of(&log, max_bytes).await == expected, "{max_bytes}");
            assert!(with.counters.reads_from_read_ahead.get() > ahead);
        }
    });
}

#[test]
fn a_reader_that_goes_on_has_windows_ahead_of_it() {
    World::new(7).run(|shared| async move {
        let env = cold(&shared, 16 << 20);
        let log = filled(&env, RECORDS).await;
        // Nobody writes any more.
        env.reactor.sleep(Duration::from_secs(2)).await;
        let (bytes, mut offset) = (300_000, 0);
        let mut most = 0;
        for fetch in 0..12 {
            let data = read(&log, offset, bytes).await;
            offset = last_of(&data);
            // Each but the first two, and those that begin in another segment, finds the window of its own begun when
            // the one before it was answered.
            let ahead = env.cold.read_ahead_bytes();
            assert!(fetch == 0 || ahead <= 3 * (512 << 10), "{ahead}");
            most = most.max(ahead);
            env.reactor.sleep(Duration::from_millis(20)).await;
        }
        assert!(env.counters.reads_from_read_ahead.get() >= 9);
        assert!(most > 2 * (512 << 10), "{most}");
        // Little is read twice.
        let windows = env.counters.reads_ahead.get();
        assert!(windows <= 18, "{windows}");
    });
}

/// Of windows of 256 KiB a third is left when such a reader has taken what it wants.
#[test]
fn little_is_read_twice_whatever_a_reader_takes_at_a_time() {
    for bytes in [20_000, 120_000, 200_000, 240_000, 262_144, 500_000] {
        World::new(8).run(move |shared| async move {
            let env = cold(&shared, 16 << 20);
            let log = filled(&env, RECORDS).await;
            let all = bytes_of(&log, bytes).await.len() as u64;
            let windows = env.counters.reads_ahead.get();
            let window_bytes = bytes.max(256 << 10) as u64;
            // A window of its own for each piece, the overlap of two, and those that a change of segments makes useless.
            let most = all / window_bytes * 3 / 2 + 4 * log.segment_count() as u64;
            assert!(windows <= most, "{bytes}: {windows} of {most}");
        });
    }
}

#[test]
fn a_reader_that_jumps_about_has_nothing_read_ahead() {
    World::new(2).run(|shared| async move {
        let env = cold(&shared, READ_AHEAD_BYTES);
        let log = filled(&env, RECORDS).await;
        for step in 0..200 {
            let offset = (step * 641) % RECORDS;
            assert!(!read(&log, offset, 30_000).await.slices.is_empty());
        }
        assert_eq!(env.counters.reads_ahead.get(), 0);
        assert_eq!(env.cold.read_ahead_bytes(), 0);
    });
}

#[test]
fn batches_larger_than_what_is_read_at_a_time_are_read_ahead_whole() {
    World::new(3).run(|shared| async move {
        let env = cold(&shared, 16 << 20);
        let config = LogConfig {
            max_batch_bytes: 4 << 20,
            ..LogConfig::default()
        };
        let (log, _) = open_with(&env, config).await;
        let value = vec![7; 3 << 20];
        for _ in 0..12 {
            let appended = log.append(&batch(&[&value]), LeaderEpoch::new(1));
            appended.unwrap();
            log.flush().await.unwrap();
        }
        let values = read_values(&log, 0, 1).await;
        assert!(values.len() == 12 && values.iter().all(|found| *found == value));
        // The first two fetches, and whatever was still in memory, apart.
        assert!(env.counters.reads_from_read_ahead.get() >= 8);
    });
}

#[test]
fn many_readers_stay_within_the_budget() {
    World::new(4).run(|shared| async move {
        let budget_bytes = 3 << 20;
        let env = cold(&shared, budget_bytes);
        let log = filled(&env, RECORDS).await;
        let reactor = env.reactor.clone();
        let (cold, watched) = (env.cold.clone(), Rc::new(std::cell::Cell::new((0, 0))));
        let seen = Rc::clone(&watched);
        let watch = env.reactor.spawn("watch", async move {
            loop {
                let (ahead, in_flight) = seen.get();
                seen.set((
                    cold.read_ahead_bytes().max(ahead),
                    cold.in_flight_bytes().max(in_flight),
                ));
                reactor.sleep(Duration::from_micros(20)).await;
            }
        });
        join_all((0..12).map(|reader| check_numbered(&log, reader * 7, LEN_MAX, 500_000))).await;
        drop(watch);
        let (ahead, in_flight) = watched.get();
        assert!(ahead > 0 && ahead <= budget_bytes, "{ahead}");
        assert!(in_flight > 0 && in_flight <= BACKGROUND_IN_FLIGHT_BYTES_MAX);

        // They are gone: what was read for them is given back.
        let patience = Duration::from_millis(READ_AHEAD_IDLE_MS);
        env.reactor.sleep(patience * 2).await;
        assert_eq!(env.cold.read_ahead_bytes(), 0);
        assert_eq!(env.cold.in_flight_bytes(), 0);
    });
}

#[test]
fn what_was_read_ahead_is_given_back_with_its_reader_and_its_log() {
    World::new(5).run(|shared| async move {
        let env = cold(&shared, READ_AHEAD_BYTES);
        let log = filled(&env, RECORDS).await;
        let go_on = async || {
            let mut offset = 0;
            for _ in 0..3 {
                offset = last_of(&read(&log, offset, 300_000).await);
            }
        };
        go_on().await;
        assert!(env.cold.read_ahead_bytes() > 0);
        env.reactor
            .sleep(Duration::from_millis(2 * READ_AHEAD_IDLE_MS))
            .await;
        assert_eq!(env.cold.read_ahead_bytes(), 0);

        go_on().await;
        // Let it come to its end, so that nothing of it is under way.
        env.reactor.sleep(Duration::from_millis(100)).await;
        assert!(env.cold.read_ahead_bytes() > 0);
        log.close().await.unwrap();
        drop(log);
        assert_eq!(env.cold.read_ahead_bytes(), 0);
    });
}

#[test]
fn a_read_ahead_that_fails_is_nobody_elses_trouble() {
    let world = World::new(6);
    let faults = world.faults();
    world.run(move |shared| async move {
        let env = cold(&shared, READ_AHEAD_BYTES);
        let log = filled(&env, RECORDS).await;
        let mut offset = 0;
        let mut next = async || {
            offset = last_of(&read(&log, offset, 300_000).await);
            offset
        };
        next().await;
        for _ in 0..6 {
            next().await;
            // What is being read ahead now fails, unless it is there already.
            faults.fail_once(FaultyOp::Read, ".log", ErrorKind::Other);
            let end = log.log_end();
            append_numbered(&env, &log, end.get() + 1, LEN_MAX, 1).await;
            log.flush().await.unwrap();
        }
        faults.clear();
        assert!(log.failure().is_none());
        check_numbered(&log, 0, LEN_MAX, 300_000).await;

        // A fetch that needs what cannot be read says so, and the log is offline. What can be read still is.
        env.reactor
            .sleep(Duration::from_millis(2 * READ_AHEAD_IDLE_MS))
            .await;
        faults.fail_always(FaultyOp::Read, ".log", ErrorKind::Other);
        assert!(log.read(request(0, 300_000)).await.is_err());
        faults.clear();
        let first = read(&log, 0, 1).await;
        assert!(!first.slices.is_empty() && log.failure().is_some());
    });
}

/// The device takes 10 ms for each read. However many readers there are, only so much is under way at a time, and the
/// flush groups, which the device would put behind it, are written meanwhile.
#[test]
fn reads_from_disk_queue_up_before_the_device_and_not_in_it() {
    let world = World::new(7);
    let faults = world.faults();
    world.run(move |shared| async move {
        let env = cold(&shared, 16 << 20);
        let log = filled(&env, RECORDS).await;
        let delay = Duration::from_millis(10);
        faults.delay_always(FaultyOp::Read, ".log", delay);
        let began = env.reactor.now();
        let readers = (0..8).map(|_| read(&log, 0, 1 << 20));
        let appending = async {
            let before = env.reactor.now();
            let end = log.log_end();
            append_numbered(&env, &log, end.get() + 1, LEN_MAX, 1).await;
            log.flush().await.unwrap();
            env.reactor.now().since(before)
        };
        let (all, appended_within) = futures_util::join!(join_all(readers), appending);
        let took = env.reactor.now().since(began);
        let bytes: usize = all.iter().map(|data| data.bytes).sum();
        assert!(bytes > 4 << 20);
        let turns = u32::try_from(bytes / BACKGROUND_IN_FLIGHT_BYTES_MAX).unwrap();
        assert!(took >= delay * turns, "{took:?} for {bytes}");
        assert!(appended_within < delay, "{appended_within:?}");
    });
}

#[test]
fn appends_get_the_memory_that_was_read_ahead_with() {
    World::new(8).run(|shared| async move {
        let env = cold(&shared, 256 << 20);
        let log = filled(&env, RECORDS).await;
        for reader in 0..3 {
            let mut offset = reader;
            for _ in 0..3 {
                let data = read(&log, offset, 400_000).await;
                offset = last_of(&data);
            }
        }
        env.reactor.sleep(Duration::from_millis(50)).await;
        let held = env.cold.read_ahead_bytes();
        assert!(held > 0);
        // Somebody takes all that is left.
        let mut taken = Vec::new();
        for len in [8 << 20, 1 << 20, 64 << 10, 4 << 10] {
            while let Some(buf) = env.reactor.buffer(len) {
                taken.push(buf);
            }
        }
        let end = log.log_end().get();
        log.append(
            &batch(&[&numbered_value(end, LEN_MAX)]),
            LeaderEpoch::new(1),
        )
        .unwrap();
        assert!(env.cold.read_ahead_bytes() < held);
        drop(taken);
        log.flush().await.unwrap();
        check_numbered(&log, 0, LEN_MAX, 400_000).await;
    });
}

fn last_of(data: &ReadData) -> u64 {
    let last = data.slices.last().unwrap();
    let last = ringlog_record::batch::batches(last).last().unwrap();
    last.unwrap().last_offset().next().get()
}
