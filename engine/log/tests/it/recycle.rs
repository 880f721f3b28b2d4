//! Files that retention takes leave as the next ones of their log, with what they held still in them.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use ringlog_log::inspect::{Severity, verify_directory};
use ringlog_log::{BulkFiles, Leisure, Log, LogConfig, LogEnv, OpenError, ReadError, ReadRequest};
use ringlog_reactor::Reactor;
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::batch::stamp;
use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use crate::bench_world::{
    Bulk, DIRECTORY, World, append_numbered, batch, check_numbered, env_with, env_without_bulk,
    numbered_value, open_with, read_values, segment_file, try_open,
};

const LEN_MAX: usize = 9_000;

/// Three or four full segments are kept.
fn retaining() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        retention_ms: None,
        retention_bytes: Some(3 << 20),
        ..LogConfig::default()
    }
}

/// Appends as a steady producer does, so that files are ready in time.
async fn append_steadily(env: &LogEnv, log: &Log, records: u64, epoch: u32) {
    let end = log.log_end().get() + records;
    while log.log_end().get() < end {
        let next = end.min(log.log_end().get() + 10);
        append_numbered(env, log, next, LEN_MAX, epoch).await;
        log.flush().await.unwrap();
        env.reactor.sleep(Duration::from_millis(5)).await;
    }
}

/// Reads all there is, which must be what was appended at those offsets.
async fn check(log: &Log) {
    check_numbered(log, log.log_start().get(), LEN_MAX, 1 << 20).await;
}

#[test]
fn once_retention_has_begun_no_file_is_made() {
    let world = World::new(1);
    world.run(|env| async move {
        let (log, _) = open_with(&env, retaining()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_steadily(&env, &log, 2_000, 1).await;
        let counters = &env.counters;
        let prepared_bytes = counters.prepared_bytes.get();
        let rolls = counters.rolls_prepared.get();
        append_steadily(&env, &log, 4_000, 1).await;
        assert!(counters.rolls_prepared.get() >= rolls + 15);
        assert_eq!(counters.rolls_unprepared.get(), 0);
        assert_eq!(counters.prepared_bytes.get(), prepared_bytes);
        assert!(counters.files_recycled.get() >= 15);
        // No look at the retention was needed for that.
        assert!(log.size_bytes() >= 3 << 20 && log.size_bytes() < 5 << 20);
        check(&log).await;
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = open_with(&env, retaining()).await;
        assert_eq!(report.log_end, Offset::new(6_000));
        check(&log).await;
    });
}

#[test]
fn files_are_recycled_where_nobody_prepares_them() {
    World::new(2).run(|shared| async move {
        let env = env_without_bulk(&shared.reactor);
        let (log, _) = open_with(&env, retaining()).await;
        append_steadily(&env, &log, 2_000, 0).await;
        let unprepared = env.counters.rolls_unprepared.get();
        append_steadily(&env, &log, 2_000, 0).await;
        assert_eq!(env.counters.rolls_unprepared.get(), unprepared);
        check(&log).await;
    });
}

/// Makes no file within any time that a test has.
struct Endless(Reactor);

impl BulkFiles for Endless {
    fn prepare(
        &self,
        path: PathBuf,
        len_bytes: u64,
        _leisure: Leisure,
    ) -> LocalBoxFuture<'static, std::io::Result<()>> {
        let reactor = self.0.clone();
        let leisure = Leisure::new(Duration::from_secs(86_400));
        Box::pin(async move { Bulk(reactor).prepare(path, len_bytes, leisure).await })
    }
}

/// A log that fills segments faster than files are made: one is being made whenever another leaves.
#[test]
fn a_file_that_leaves_comes_before_one_that_is_being_made() {
    let world = World::new(3);
    world.run(|shared| async move {
        let endless = Rc::new(Endless(shared.reactor.clone()));
        let env = env_with(&shared.reactor, endless, 4 << 20);
        let (log, _) = open_with(&env, retaining()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_steadily(&env, &log, 2_000, 1).await;
        let counters = &env.counters;
        assert!(counters.files_recycled.get() > 0);
        let unprepared = counters.rolls_unprepared.get();
        append_steadily(&env, &log, 2_000, 1).await;
        assert_eq!(counters.rolls_unprepared.get(), unprepared);
        check(&log).await;
        log.close().await.unwrap();
    });
    world.run(|env| async move {
        let (log, report) = open_with(&env, retaining()).await;
        assert!(report.is_clean);
        check(&log).await;
    });
}

/// What recycled files held is valid, and behind the end, at every start: it must never be taken for the log.
#[test]
fn a_crash_at_any_time_never_brings_old_batches_back() {
    for seed in 0..80_u64 {
        let world = World::new(seed);
        let mut durable = Offset::ZERO;
        for life in 1..5_u32 {
            durable = world.run(move |env| async move {
                let (log, report) = open_with(&env, retaining()).await;
                assert!(report.log_end >= durable, "seed {seed}, life {life}");
                check(&log).await;
                log.begin_epoch(LeaderEpoch::new(life)).await.unwrap();
                append_steadily(&env, &log, 700, life).await;
                // In the middle of groups, rolls, and files that change their names.
                append_numbered(&env, &log, report.log_end.get() + 900, LEN_MAX, life).await;
                let time_us = (seed * 131 + u64::from(life) * 977) % 6_000;
                env.reactor.sleep(Duration::from_micros(time_us)).await;
                log.durable_end()
            });
            if seed % 3 > 0 {
                world.lose_power();
            }
        }
        world.run(move |env| async move {
            let (log, report) = open_with(&env, retaining()).await;
            assert!(report.log_end >= durable, "seed {seed}");
            check(&log).await;
        });
    }
}

/// A log that is closed leaves a recycled file ready, and takes it into use after the next start.
#[test]
fn a_recycled_file_survives_a_close() {
    let world = World::new(4);
    world.run(|env| async move {
        let (log, _) = open_with(&env, retaining()).await;
        append_steadily(&env, &log, 2_000, 0).await;
        assert!(env.counters.files_recycled.get() > 0);
        log.close().await.unwrap();
    });
    world.run(|env| async move {
        let (log, report) = open_with(&env, retaining()).await;
        assert!(report.is_clean);
        append_steadily(&env, &log, 150, 0).await;
        assert_eq!(env.counters.prepared_bytes.get(), 0);
        assert_eq!(env.counters.rolls_prepared.get(), 1);
        check(&log).await;
    });
}

/// A batch that was copied into a value, at an offset far above the log's.
fn embedded(offset: u64) -> Bytes {
    let inner = batch(&[&numbered_value(offset, 50)]);
    let mut inner = inner.to_vec();
    stamp(&mut inner, Offset::new(offset), LeaderEpoch::new(1)).unwrap();
    Bytes::from(inner)
}

/// Values may be segments of another log. In a recycled file they lie behind the end, valid, and with offsets above it.
#[test]
fn batches_within_old_values_are_no_sign_of_damage() {
    let config = LogConfig {
        segment_bytes: 16 << 20,
        retention_ms: None,
        retention_bytes: Some(16 << 20),
        ..LogConfig::default()
    };
    for seed in 0..6_u64 {
        let world = World::new(seed);
        let durable = world.run(move |env| async move {
            let (log, _) = open_with(&env, config).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            let value: Vec<u8> = (0..1_000)
                .flat_map(|at| embedded(1 << 40 | at).to_vec())
                .collect();
            let one = batch(&[&value]);
            while env.counters.files_recycled.get() < 3 {
                log.append(&one, LeaderEpoch::new(1)).unwrap();
                log.flush().await.unwrap();
                env.reactor.sleep(Duration::from_millis(1)).await;
            }
            // In front of what is left of the old ones, near the front, in the middle, or near the end of the file.
            for _ in 0..seed * 20 {
                log.append(&one, LeaderEpoch::new(1)).unwrap();
                log.flush().await.unwrap();
            }
            log.durable_end()
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open_with(&env, config).await;
            assert_eq!(report.log_end, durable, "seed {seed}");
            let values = read_values(&log, log.log_start().get(), 1 << 20).await;
            assert_eq!(values.len() as u64, durable.since(log.log_start()));
            let files = files(&env).await;
            let files = files.iter().map(|(name, bytes)| (name.clone(), &bytes[..]));
            let found = verify_directory(files.collect()).unwrap();
            let damage = found.findings.iter();
            let damage: Vec<_> = damage
                .filter(|finding| finding.severity == Severity::Damage)
                .collect();
            assert!(damage.is_empty(), "seed {seed}: {damage:?}");
        });
    }
}

/// The files of the log, as they are.
async fn files(env: &LogEnv) -> Vec<(String, Bytes)> {
    let mut files = Vec::new();
    for entry in env.reactor.list_dir(DIRECTORY.as_ref()).await.unwrap() {
        let path = std::path::Path::new(DIRECTORY).join(&entry.name);
        let options = ringlog_reactor::OpenOptions {
            read: true,
            ..ringlog_reactor::OpenOptions::default()
        };
        let file = env.reactor.open(&path, options).await.unwrap();
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < entry.len_bytes {
            let buf = ringlog_reactor::AlignedBuf::unpooled(1 << 20);
            let (read, buf) = file.read_at(bytes.len() as u64, buf, 1 << 20).await;
            let read = read.unwrap();
            if read == 0 {
                break;
            }
            bytes.extend_from_slice(&buf[..read]);
        }
        files.push((entry.name, Bytes::from(bytes)));
    }
    files
}

/// A valid batch where no group can have been torn is damage in a recycled file too.
#[test]
fn damage_is_found_in_a_recycled_file() {
    let world = World::new(6);
    let config = LogConfig {
        segment_bytes: 16 << 20,
        retention_ms: None,
        retention_bytes: Some(16 << 20),
        ..LogConfig::default()
    };
    let faults = world.faults();
    let (base, position) = world.run(move |env| async move {
        let (log, _) = open_with(&env, config).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let one = batch(&[&[7; 60_000]]);
        while env.counters.files_recycled.get() < 3 {
            log.append(&one, LeaderEpoch::new(1)).unwrap();
            log.flush().await.unwrap();
            env.reactor.sleep(Duration::from_millis(1)).await;
        }
        let rolls = env.counters.rolls_prepared.get();
        while env.counters.rolls_prepared.get() == rolls {
            log.append(&one, LeaderEpoch::new(1)).unwrap();
            log.flush().await.unwrap();
        }
        let base = log.log_end().get() - 1;
        // A checkpoint comes after 4 MiB of it, and none any more that would know of what is damaged.
        for index in 0..200 {
            if index == 80 {
                faults.delay_always(FaultyOp::Write, "checkpoint", Duration::from_secs(60));
            }
            log.append(&one, LeaderEpoch::new(1)).unwrap();
            log.flush().await.unwrap();
        }
        faults.clear();
        let files = files(&env).await;
        let files = files.iter().map(|(name, bytes)| (name.clone(), &bytes[..]));
        let found = verify_directory(files.collect()).unwrap();
        let checkpoint = found.checkpoint.unwrap();
        assert_eq!(checkpoint.active_base, Offset::new(base));
        (base, checkpoint.durable_position)
    });
    world.overwrite(&segment_file(base), position + 100, &[9; 10]);
    world.run(move |env| async move {
        match try_open(&env, config).await {
            Err(OpenError::Corrupt(found)) => assert_eq!(found.position, position),
            _ => panic!("acknowledged batches are gone"),
        }
    });
}

/// Has a slow reader look at the log while its files are recycled, 20 times from the log start of that moment. Gives how
/// often `look` said yes.
fn while_recycled(
    seed: u64,
    delay: Duration,
    look: impl AsyncFn(&Log, Offset) -> bool + 'static,
) -> u32 {
    let world = World::new(seed);
    let faults = world.faults();
    world.run(move |shared| async move {
        let env = crate::bench_world::env(&shared.reactor, 0);
        let (log, _) = open_with(&env, retaining()).await;
        append_steadily(&env, &log, 2_000, 0).await;
        let slow = faults.clone();
        let (reader, reactor) = (log.clone(), env.reactor.clone());
        let looking = env.reactor.spawn("reader", async move {
            let mut found = 0;
            for _ in 0..20 {
                let start = reader.log_start();
                slow.delay_once(FaultyOp::Read, ".log", delay);
                found += u32::from(look(&reader, start).await);
                reactor.sleep(Duration::from_micros(100)).await;
            }
            found
        });
        append_steadily(&env, &log, 4_000, 0).await;
        faults.clear();
        let found = looking.await;
        check(&log).await;
        found
    })
}

/// Readers that are slow find their segment gone, not the new batches in its file.
#[test]
fn a_reader_of_a_segment_that_is_recycled_learns_that_it_is_gone() {
    let mut gone = 0;
    for seed in 0..20_u64 {
        let delay = Duration::from_millis(100 + 50 * seed);
        gone += while_recycled(seed, delay, async move |log: &Log, offset| {
            let request = ReadRequest {
                offset,
                max_bytes: 256 << 10,
                limit: Offset::MAX,
            };
            match log.read(request).await {
                Ok(data) => {
                    let first = ringlog_record::batch::batches(&data.slices[0]).next();
                    assert_eq!(first.unwrap().unwrap().base_offset(), offset);
                    false
                }
                Err(ReadError::OffsetOutOfRange { .. }) => true,
                Err(error) => panic!("seed {seed}: {error}"),
            }
        });
    }
    assert!(gone > 20, "{gone}");
}

/// So does who looks for a time: what is left has an answer.
#[test]
fn a_time_is_found_in_what_is_left_when_the_rest_is_recycled_meanwhile() {
    let mut moved = 0;
    for seed in 0..10_u64 {
        let delay = Duration::from_millis(100 + 100 * seed);
        moved += while_recycled(seed, delay, async move |log: &Log, start| {
            let first = TimestampMs::new(0);
            let found = log.offset_for_timestamp(first, Offset::MAX).await;
            let found = found.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            found.unwrap().offset > start
        });
    }
    assert!(moved > 10, "{moved}");
}

/// Nothing is kept back when the disk is full: then files leave to make room.
#[test]
fn a_full_disk_gets_its_files_back() {
    World::new(8).run(|env| async move {
        let (log, _) = open_with(&env, retaining()).await;
        append_steadily(&env, &log, 2_000, 0).await;
        let space = ringlog_reactor::Space {
            total_bytes: 1 << 40,
            available_bytes: 0,
        };
        env.space.update(space);
        let recycled = env.counters.files_recycled.get();
        log.delete_records(log.log_end()).await.unwrap();
        assert_eq!(env.counters.files_recycled.get(), recycled);
        assert_eq!(log.segment_count(), 1);
    });
}
