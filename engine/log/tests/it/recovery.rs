use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{World, append_numbered, check_numbered, open};

#[test]
fn what_was_durable_survives_a_loss_of_power() {
    for seed in 0..40 {
        let world = World::new(seed);
        let durable = world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 50 + seed, 3_000, 1).await;
            log.flush().await.unwrap();
            append_numbered(&env, &log, 100 + seed, 3_000, 1).await;
            env.reactor
                .sleep(std::time::Duration::from_micros(seed * 7))
                .await;
            log.durable_end()
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open(&env).await;
            assert!(report.log_end >= durable, "seed {seed}");
            assert!(!report.is_clean);
            check_numbered(&log, 0, 3_000, 1 << 20).await;
            log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
            append_numbered(&env, &log, 200 + seed, 3_000, 2).await;
            log.flush().await.unwrap();
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open(&env).await;
            assert_eq!(report.log_end, Offset::new(200 + seed), "seed {seed}");
            check_numbered(&log, 0, 3_000, 1 << 20).await;
        });
    }
}

#[test]
fn a_log_that_was_closed_is_not_scanned() {
    let world = World::new(1);
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(LeaderEpoch::new(3)).await.unwrap();
        append_numbered(&env, &log, 100, 2_000, 3).await;
        log.set_high_watermark(Offset::new(90));
        log.close().await.unwrap();
        assert!(log.append(&[], LeaderEpoch::new(3)).is_err());
    });
    world.lose_power();
    for _ in 0..2 {
        world.run(|env| async move {
            let (log, report) = open(&env).await;
            assert!(report.is_clean);
            assert_eq!(
                (report.scanned_bytes, report.log_end),
                (0, Offset::new(100))
            );
            assert_eq!(report.high_watermark, Offset::new(90));
            assert_eq!(report.latest_epoch, Some(LeaderEpoch::new(3)));
            check_numbered(&log, 0, 2_000, 1 << 20).await;
        });
    }
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        append_numbered(&env, &log, 101, 2_000, 3).await;
        log.flush().await.unwrap();
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = open(&env).await;
        assert!(
            !report.is_clean,
            "an append behind a clean checkpoint makes it unclean first"
        );
        assert_eq!(report.log_end, Offset::new(101));
        check_numbered(&log, 0, 2_000, 1 << 20).await;
    });
}
