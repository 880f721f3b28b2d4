use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use ringlog_log::{
    AppendError, Durability, Log, LogConfig, LogEnv, ReadError, ReadRequest, TimestampType,
};
use ringlog_reactor::sim::{DiskConfig, SimConfig};
use ringlog_record::batch::{BatchError, BatchView};
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    World, append_numbered, batch, check_numbered, env, open, open_with, read_values,
};

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);

#[test]
fn logs_of_one_round_are_durable_each_by_itself_where_the_device_writes_through() {
    let disk = DiskConfig {
        writes_through: true,
        ..DiskConfig::default()
    };
    let config = SimConfig {
        disk,
        ..SimConfig::default()
    };
    let world = World::with(1, config);
    let open_all = async |env: &LogEnv| {
        let mut logs = Vec::new();
        for index in 0..5 {
            let path = PathBuf::from(format!("/data/{index}"));
            let opened = Log::open(env.clone(), path, LogConfig::default()).await;
            logs.push(opened.unwrap().0);
        }
        logs
    };
    world.run(move |env| async move {
        let logs = open_all(&env).await;
        for log in &logs {
            log.begin_epoch(EPOCH).await.unwrap();
        }
        for round in 1..=10 {
            for log in &logs {
                append_numbered(&env, log, round * 3, 9_000, 1).await;
            }
            for log in &logs {
                log.flush().await.unwrap();
                assert_eq!(log.stable_end(), Offset::new(round * 3));
            }
        }
        let counters = &env.counters;
        assert!(counters.flush_rounds.get() < counters.flush_groups.get());
    });
    world.lose_power();
    world.run(move |env| async move {
        for log in open_all(&env).await {
            assert_eq!(log.log_end(), Offset::new(30));
            check_numbered(&log, 0, 9_000, 1 << 20).await;
        }
    });
}

#[test]
fn what_was_appended_is_read() {
    World::new(1).run(|env| async move {
        let (log, report) = open(&env).await;
        assert_eq!(
            (report.log_start, report.log_end),
            (Offset::ZERO, Offset::ZERO)
        );
        let appended = log.append(&batch(&[b"a", b"b"]), EPOCH).unwrap();
        assert_eq!(appended.base_offset, Offset::ZERO);
        assert_eq!(appended.last_offset, Offset::new(1));
        assert_eq!(appended.log_end, Offset::new(2));
        assert_eq!(log.stable_end(), Offset::ZERO);
        log.flush().await.unwrap();
        assert_eq!(log.stable_end(), Offset::new(2));
        let two = [batch(&[b"c"]), batch(&[b"d", b"e"])].concat();
        let appended = log.append(&two, EPOCH).unwrap();
        assert_eq!(
            (appended.base_offset, appended.log_end),
            (Offset::new(2), Offset::new(5))
        );
        assert_eq!(
            read_values(&log, 0, 1 << 20).await,
            [b"a", b"b", b"c", b"d", b"e"]
        );
        assert_eq!(read_values(&log, 1, 1).await, [b"b", b"c", b"d", b"e"]);
    });
}

#[test]
fn the_stable_end_is_told() {
    World::new(2).run(|env| async move {
        let (log, _) = open(&env).await;
        let told = Rc::new(RefCell::new(Vec::new()));
        let ends = Rc::clone(&told);
        log.on_stable(move |end| ends.borrow_mut().push(end.unwrap().get()));
        for _ in 0..3 {
            log.append(&batch(&[b"a"]), EPOCH).unwrap();
            log.flush().await.unwrap();
        }
        assert_eq!(*told.borrow(), [1, 2, 3]);
    });
}

#[test]
fn a_bad_batch_takes_the_whole_append_with_it() {
    World::new(3).run(|env| async move {
        let (log, _) = open(&env).await;
        let mut bad = batch(&[b"b"]).to_vec();
        *bad.last_mut().unwrap() ^= 1;
        let refused = |bytes: &[u8], at| match log.append(bytes, EPOCH) {
            Err(AppendError::Batch {
                index,
                source: BatchError::Crc { .. },
            }) => assert_eq!(index, at),
            other => panic!("{other:?}"),
        };
        refused(&bad, 0);
        refused(&[&batch(&[b"a"])[..], &bad].concat(), 1);
        assert_eq!(log.log_end(), Offset::ZERO);
        let cut = batch(&[b"b"]);
        assert!(matches!(
            log.append(&cut[..cut.len() - 1], EPOCH),
            Err(AppendError::Batch {
                source: BatchError::Truncated { .. },
                ..
            })
        ));
        assert!(matches!(log.append(&[], EPOCH), Err(AppendError::Empty)));
        log.append(&cut, EPOCH).unwrap();
        assert!(matches!(
            log.append(&cut, LeaderEpoch::new(0)),
            Err(AppendError::StaleEpoch { .. })
        ));
        log.flush().await.unwrap();
        assert_eq!(read_values(&log, 0, 100).await, [b"b"]);
    });
}

#[test]
fn limits_of_the_topic_hold() {
    World::new(4).run(|env| async move {
        let (log, _) = open_with(
            &env,
            LogConfig {
                max_batch_bytes: 100,
                ..LogConfig::default()
            },
        )
        .await;
        assert!(matches!(
            log.append(&batch(&[&[0; 100]]), EPOCH),
            Err(AppendError::Batch {
                source: BatchError::TooLarge { .. },
                ..
            })
        ));
        log.set_config(LogConfig {
            max_batch_bytes: 4 << 20,
            ..LogConfig::default()
        });
        let large = batch(&[&vec![0; 3 << 20]]);
        let both = [&large[..], &large].concat();
        assert!(matches!(
            log.append(&both, EPOCH),
            Err(AppendError::TooLarge { .. })
        ));
        log.append(&large, EPOCH).unwrap();
        log.append(&large, EPOCH).unwrap();
        log.flush().await.unwrap();
        assert_eq!(log.segment_count(), 1, "the empty segment has grown");
        assert_eq!(read_values(&log, 0, 1).await.len(), 2);
    });
}

#[test]
fn reads_come_from_memory_and_disk_alike() {
    World::new(5).run(|big| async move {
        let small = env(&big.reactor, 512 << 10);
        let (log, _) = open(&small).await;
        for end in (0..=3_000).step_by(100) {
            append_numbered(&small, &log, end, 900, 1).await;
            log.flush().await.unwrap();
        }
        for max_bytes in [1, 1_000, 100_000, 8 << 20] {
            check_numbered(&log, if max_bytes == 1 { 2_500 } else { 0 }, 900, max_bytes).await;
        }
        assert!(small.counters.reads_from_disk.get() > 0);
        assert!(small.counters.reads_from_memory.get() > 0);
        assert!(small.cache.used_bytes() <= 512 << 10);
    });
}

#[test]
fn no_read_reaches_the_limit() {
    World::new(6).run(|env| async move {
        let (log, _) = open(&env).await;
        append_numbered(&env, &log, 10, 100, 1).await;
        let read = |offset, limit| {
            let (offset, limit) = (Offset::new(offset), Offset::new(limit));
            log.read(ReadRequest {
                offset,
                max_bytes: 1 << 20,
                limit,
            })
        };
        let last = |data: ringlog_log::ReadData| {
            let last = data
                .slices
                .iter()
                .flat_map(|slice| ringlog_record::batch::batches(slice))
                .last();
            last.map(|batch| batch.unwrap().last_offset().get())
        };
        assert_eq!(last(read(0, 4).await.unwrap()), Some(3));
        assert_eq!(last(read(4, 4).await.unwrap()), None);
        assert_eq!(last(read(10, 20).await.unwrap()), None);
        assert!(matches!(
            read(11, 20).await,
            Err(ReadError::OffsetOutOfRange { .. })
        ));
    });
}

#[test]
fn async_appends_are_stable_at_once_and_written_behind() {
    World::new(7).run(|env| async move {
        let config = LogConfig {
            durability: Durability::Async,
            ..LogConfig::default()
        };
        let (log, _) = open_with(&env, config).await;
        append_numbered(&env, &log, 5, 100, 1).await;
        assert_eq!(
            (log.stable_end(), log.durable_end()),
            (Offset::new(5), Offset::ZERO)
        );
        check_numbered(&log, 0, 100, 1 << 20).await;
        env.reactor
            .sleep(std::time::Duration::from_millis(10))
            .await;
        assert_eq!(log.durable_end(), Offset::ZERO);
        env.reactor
            .sleep(std::time::Duration::from_millis(40))
            .await;
        assert_eq!(log.durable_end(), Offset::new(5));
        append_numbered(&env, &log, 6, 100, 1).await;
        log.set_config(LogConfig::default());
        assert_eq!(
            log.stable_end(),
            Offset::new(6),
            "the stable end does not go back"
        );
    });
}

#[test]
fn append_time_is_stamped() {
    World::new(8).run(|env| async move {
        let config = LogConfig {
            timestamp_type: TimestampType::Append,
            ..LogConfig::default()
        };
        let (log, _) = open_with(&env, config).await;
        log.append(&batch(&[b"a"]), EPOCH).unwrap();
        let request = ReadRequest {
            offset: Offset::ZERO,
            max_bytes: 1,
            limit: Offset::MAX,
        };
        let data = log.read(request).await.unwrap();
        let view = BatchView::parse(&data.slices[0]).unwrap();
        assert!(view.crc_is_valid());
        assert_eq!(
            view.header().attributes().timestamp_type(),
            TimestampType::Append
        );
        assert_eq!(view.max_timestamp().get(), env.reactor.unix_time_ms());
    });
}
