//! How many files of sealed segments are open.

use std::time::Duration;

use futures_util::future::join_all;
use ringlog_log::{Log, LogConfig, LogEnv, OpenFiles, ReadError, ReadRequest};
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{World, append_numbered, check_numbered, env, open_with};

const LEN_MAX: usize = 2_000;

/// Each look at the retention rolls.
fn short_lived() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        segment_ms: 1,
        retention_ms: None,
        ..LogConfig::default()
    }
}

/// An environment in which all but the last records come from disk and few files are open.
fn with_files(shared: &LogEnv, files_max: usize) -> LogEnv {
    let mut env = env(&shared.reactor, 0);
    env.files = OpenFiles::new(files_max);
    env
}

/// A log with a segment for each record.
async fn filled(env: &LogEnv, segments: u64) -> Log {
    let (log, _) = open_with(env, short_lived()).await;
    log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
    for end in 1..=segments {
        append_numbered(env, &log, end, LEN_MAX, 1).await;
        log.flush().await.unwrap();
        env.reactor.sleep(Duration::from_millis(20)).await;
        log.apply_retention().await.unwrap();
    }
    log.flush().await.unwrap();
    env.reactor.sleep(Duration::from_millis(100)).await;
    assert_eq!(log.segment_count() as u64, segments + 1);
    log
}

#[test]
fn thousands_of_segments_are_read_through_a_few_files() {
    World::new(1).run(|shared| async move {
        let env = with_files(&shared, 8);
        let segments = 2_000;
        let log = filled(&env, segments).await;
        assert!(env.files.is_empty());
        check_numbered(&log, 0, LEN_MAX, 1 << 20).await;
        assert_eq!(env.files.len(), 8);
        // Readers at many places at a time.
        join_all((0..20).map(|reader| {
            let (log, files) = (&log, &env.files);
            async move {
                check_numbered(log, reader * 97, LEN_MAX, 1 << 20).await;
                assert!(files.len() <= 8);
            }
        }))
        .await;
        // What was read last is still open; a file that is open is not opened again.
        assert_eq!(env.files.len(), 8);
        log.close().await.unwrap();
        drop(log);
        env.reactor.sleep(Duration::from_millis(1)).await;
        assert!(env.files.is_empty());
    });
}

#[test]
fn recovery_leaves_no_sealed_file_open() {
    let world = World::new(2);
    world.run(|shared| async move {
        let log = filled(&with_files(&shared, 4), 50).await;
        assert_eq!(log.log_end(), Offset::new(50));
    });
    world.lose_power();
    world.run(|shared| async move {
        let env = with_files(&shared, 4);
        let (log, _) = open_with(&env, short_lived()).await;
        assert!(env.files.is_empty());
        check_numbered(&log, 0, LEN_MAX, 1 << 20).await;
        assert_eq!(env.files.len(), 4);
    });
}

#[test]
fn a_segment_leaves_while_it_is_read() {
    let world = World::new(3);
    let faults = world.faults();
    world.run(move |shared| async move {
        for round in 0..20_u64 {
            let env = with_files(&shared, 2);
            let log = if round == 0 {
                filled(&env, 40).await
            } else {
                let (log, _) = open_with(&env, short_lived()).await;
                log
            };
            let start = log.log_start().get();
            faults.delay_always(FaultyOp::Read, ".log", Duration::from_millis(3));
            let reads = join_all((0..4).map(|behind| {
                let log = &log;
                let request = ReadRequest {
                    offset: Offset::new(start + behind % 2),
                    max_bytes: 1 << 20,
                    limit: Offset::MAX,
                };
                async move { (request.offset, log.read(request).await) }
            }));
            let deletes = async {
                env.reactor.sleep(Duration::from_micros(round * 400)).await;
                log.delete_records(Offset::new(start + 1)).await.unwrap();
            };
            let (reads, ()) = futures_util::join!(reads, deletes);
            faults.clear();
            for (offset, read) in reads {
                match read {
                    Ok(data) => {
                        let first = ringlog_record::batch::batches(&data.slices[0]).next();
                        assert_eq!(first.unwrap().unwrap().base_offset(), offset);
                    }
                    Err(ReadError::OffsetOutOfRange { .. }) => {
                        assert_eq!(offset, Offset::new(start));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(log.failure().is_none());
            check_numbered(&log, start + 1, LEN_MAX, 1 << 20).await;
            log.close().await.unwrap();
        }
    });
}
