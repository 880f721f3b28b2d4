use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join};
use ringlog_log::{
    AppendError, BulkFiles, CacheBudget, Leisure, Log, LogConfig, LogEnv, OpenError, SpaceGauge,
    delete_directory,
};
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    Bulk, DIRECTORY, World, append_numbered, batch, check_numbered, numbered_value, open_with,
    read_values, try_open,
};

const SMALL: fn() -> LogConfig = || LogConfig {
    segment_bytes: 1 << 20,
    ..LogConfig::default()
};

#[test]
fn a_log_rolls_into_prepared_files() {
    let world = World::new(1);
    world.run(|env| async move {
        let (log, _) = open_with(&env, SMALL()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let mut end = 0;
        while log.segment_count() < 6 {
            end += 10;
            append_numbered(&env, &log, end, 9_000, 1).await;
            log.flush().await.unwrap();
            env.reactor.sleep(Duration::from_millis(5)).await;
        }
        check_numbered(&log, 0, 9_000, 1 << 20).await;
        assert_eq!(env.counters.rolls_prepared.get(), 5);
        assert_eq!(env.counters.rolls_unprepared.get(), 0);
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = open_with(&env, SMALL()).await;
        assert_eq!(report.segments, 6);
        check_numbered(&log, 0, 9_000, 1 << 20).await;
    });
}

#[test]
fn a_next_file_with_durable_batches_is_not_removed_because_one_is_damaged() {
    let world = World::new(4);
    let faults = world.faults();
    let slow = faults.clone();
    let end = world.run(move |env| async move {
        let (log, _) = open_with(&env, SMALL()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let next = format!("{DIRECTORY}/next");
        let mut end = 0;
        while log.segment_count() < 2 {
            end += 1;
            if env.reactor.stat(next.as_ref()).await.is_ok() {
                slow.delay_always(FaultyOp::Rename, "next", Duration::from_secs(60));
            }
            append_numbered(&env, &log, end, 9_000, 1).await;
            env.reactor.sleep(Duration::from_micros(300)).await;
        }
        assert_eq!(env.counters.rolls_prepared.get(), 1);
        // The checkpoint knows of what is durable under that name.
        log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
        assert_eq!(log.durable_end(), Offset::new(end));
        end
    });
    world.lose_power();
    faults.clear();
    let next = PathBuf::from(format!("{DIRECTORY}/next"));
    let sound = world.sim.read_file(world.node, &next).unwrap();
    world.overwrite(&next, 70, &[!sound[70]]);
    world.run(|env| async move {
        assert!(matches!(
            try_open(&env, SMALL()).await,
            Err(OpenError::Corrupt(_))
        ));
    });
    world.overwrite(&next, 70, &sound[70..71]);
    world.run(move |env| async move {
        let (log, _) = open_with(&env, SMALL()).await;
        assert_eq!(log.log_end(), Offset::new(end));
        check_numbered(&log, 0, 9_000, 1 << 20).await;
    });
}

#[test]
fn the_next_file_is_there_in_time_although_appends_grow_faster() {
    World::new(1).run(|env| async move {
        let config = LogConfig {
            segment_bytes: 16 << 20,
            ..LogConfig::default()
        };
        let (log, _) = open_with(&env, config).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let mut end = 0;
        let mut append_for = async |pause: Duration, segments: usize| {
            while log.segment_count() < segments {
                end += 10;
                append_numbered(&env, &log, end, 9_000, 1).await;
                log.flush().await.unwrap();
                env.reactor.sleep(pause).await;
            }
        };
        // At first the preparation of a file may take seconds, and then it may not.
        append_for(Duration::from_millis(5), 3).await;
        append_for(Duration::from_millis(20), 4).await;
        append_for(Duration::ZERO, 5).await;
        assert_eq!(env.counters.rolls_prepared.get(), 4);
        assert_eq!(env.counters.rolls_unprepared.get(), 0);
    });
}

#[test]
fn while_the_next_file_is_late_an_interim_one_is_small() {
    World::new(1).run(|env| async move {
        let config = LogConfig {
            segment_bytes: 64 << 20,
            ..LogConfig::default()
        };
        let (log, _) = open_with(&env, config).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let mut end = 0;
        // Nothing waits for the device: far faster than files can be made.
        while env.counters.rolls_prepared.get() < 2 {
            end += 10;
            append_numbered(&env, &log, end, 90_000, 1).await;
        }
        assert!(env.counters.rolls_unprepared.get() > 0);
        log.flush().await.unwrap();
        let files = env.reactor.list_dir(log.directory()).await.unwrap();
        let large = files
            .iter()
            .filter(|file| file.name.ends_with(".log") && file.len_bytes > 16 << 20);
        assert_eq!(large.count(), 1, "only the prepared one: {files:?}");
    });
}

/// Never answers the first who ask, and prepares files for the others.
struct SilentAtFirst {
    unanswered: Cell<u32>,
    bulk: Bulk,
}

impl BulkFiles for SilentAtFirst {
    fn prepare(
        &self,
        path: PathBuf,
        len_bytes: u64,
        leisure: Leisure,
    ) -> LocalBoxFuture<'static, std::io::Result<()>> {
        if self.unanswered.get() == 0 {
            return self.bulk.prepare(path, len_bytes, leisure);
        }
        self.unanswered.set(self.unanswered.get() - 1);
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_next_file_that_does_not_come_is_asked_for_again() {
    World::new(1).run(|env| async move {
        let env = LogEnv::new(
            env.reactor.clone(),
            Rc::new(SilentAtFirst {
                unanswered: Cell::new(1),
                bulk: Bulk(env.reactor.clone()),
            }),
            CacheBudget::new(4 << 20),
            SpaceGauge::new(),
        );
        let (log, _) = open_with(&env, SMALL()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let mut end = 0;
        let mut append_until = async |segments: usize| {
            while log.segment_count() < segments {
                end += 10;
                append_numbered(&env, &log, end, 9_000, 1).await;
                log.flush().await.unwrap();
                env.reactor.sleep(Duration::from_millis(5)).await;
            }
        };
        append_until(4).await;
        assert_eq!(env.counters.rolls_unprepared.get(), 3);
        assert_eq!(env.counters.rolls_prepared.get(), 0);
        env.reactor.sleep(Duration::from_secs(60)).await;
        append_until(8).await;
        // One to learn that it does not come.
        assert_eq!(env.counters.rolls_unprepared.get(), 4);
        assert_eq!(env.counters.rolls_prepared.get(), 3);
        check_numbered(&log, 0, 9_000, 1 << 20).await;
    });
}

/// Records before the large one, and that.
const BEFORE_LARGE: u64 = 380;
const LARGE_BYTES: usize = 3 << 20;

async fn check_large(log: &Log) {
    let mut values = read_values(log, 0, 8 << 20).await;
    let large = values.pop().unwrap();
    assert!(large == vec![7; LARGE_BYTES]);
    assert_eq!(values.len() as u64, BEFORE_LARGE);
    for (offset, value) in (0..).zip(values) {
        assert!(value == numbered_value(offset, 9_000), "offset {offset}");
    }
}

#[test]
fn an_empty_segment_is_not_grown_while_it_gets_its_name() {
    for delay in 0..40 {
        let world = World::new(delay);
        world.run(move |env| async move {
            let by_age = LogConfig {
                segment_ms: 1_000,
                ..SMALL()
            };
            let (log, _) = open_with(&env, by_age).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, BEFORE_LARGE, 9_000, 1).await;
            log.flush().await.unwrap();
            // The segment is due, and its next file, as small as it, is there.
            env.reactor.sleep(Duration::from_secs(2)).await;
            log.set_config(LogConfig {
                segment_bytes: 16 << 20,
                max_batch_bytes: 4 << 20,
                segment_ms: 1_000,
                ..LogConfig::default()
            });
            let rolls = env.counters.rolls_prepared.get();
            let value = vec![7; LARGE_BYTES];
            let large = batch(&[&value]);
            let append = async {
                env.reactor.sleep(Duration::from_micros(delay * 25)).await;
                while let Err(error) = log.append(&large, LeaderEpoch::new(1)) {
                    assert!(matches!(error, AppendError::Throttled), "{error}");
                    env.reactor.sleep(Duration::from_micros(10)).await;
                }
            };
            let (retained, ()) = join(log.apply_retention(), append).await;
            retained.unwrap();
            assert_eq!(env.counters.rolls_prepared.get(), rolls + 1);
            log.flush().await.unwrap();
            check_large(&log).await;
        });
        world.lose_power();
        world.run(|env| async move {
            let (log, _) = open_with(&env, SMALL()).await;
            check_large(&log).await;
        });
    }
}

#[test]
fn a_log_that_is_closed_while_a_file_is_prepared_can_be_deleted() {
    for seed in 0..60 {
        World::new(seed).run(move |env| async move {
            let (log, _) = open_with(&env, SMALL()).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 60, 18_000, 1).await;
            env.reactor.sleep(Duration::from_micros(seed * 12)).await;
            log.close().await.unwrap();
            let directory = log.directory().to_owned();
            drop(log);
            delete_directory(&env.reactor, &directory).await.unwrap();
            env.reactor.sleep(Duration::from_millis(100)).await;
            let gone = env.reactor.stat(&directory).await.unwrap_err();
            assert_eq!(gone.kind(), std::io::ErrorKind::NotFound, "seed {seed}");
        });
    }
}

#[test]
fn a_crash_at_any_time_around_rolls_loses_nothing_durable() {
    for seed in 0..60 {
        let world = World::new(seed);
        let durable = world.run(move |env| async move {
            let (log, _) = open_with(&env, SMALL()).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 300 + 3 * seed, 9_000, 1).await;
            env.reactor.sleep(Duration::from_micros(seed * 150)).await;
            append_numbered(&env, &log, 600, 9_000, 1).await;
            env.reactor.sleep(Duration::from_micros(seed * 150)).await;
            log.durable_end()
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open_with(&env, SMALL()).await;
            assert!(report.log_end >= durable, "seed {seed}");
            check_numbered(&log, 0, 9_000, 1 << 20).await;
            log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
            append_numbered(&env, &log, 800, 9_000, 2).await;
            log.flush().await.unwrap();
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open_with(&env, SMALL()).await;
            assert_eq!(report.log_end, Offset::new(800), "seed {seed}");
            check_numbered(&log, 0, 9_000, 1 << 20).await;
        });
    }
}
