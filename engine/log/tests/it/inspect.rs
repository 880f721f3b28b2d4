//! What `verify` says of the files that logs leave behind.

use std::path::Path;
use std::time::Duration;

use ringlog_log::LogConfig;
use ringlog_log::inspect::{self, DirectoryReport, Problem, Severity};
use ringlog_record::LeaderEpoch;

use crate::bench_world::{DIRECTORY, World, append_numbered, open_with, segment_file};

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        ..LogConfig::default()
    }
}

fn verify(world: &World) -> DirectoryReport {
    let directory = Path::new(DIRECTORY);
    let entries = world.sim.list_dir(world.node, directory).unwrap();
    let read = |name: String| {
        let bytes = world.sim.read_file(world.node, &directory.join(&name));
        (name, bytes.unwrap())
    };
    let files: Vec<(String, Vec<u8>)> = entries.into_iter().map(|entry| read(entry.name)).collect();
    let files = files.iter().map(|(name, bytes)| (name.clone(), &bytes[..]));
    inspect::verify_directory(files.collect()).unwrap()
}

#[test]
fn a_crash_leaves_no_damage_and_a_close_leaves_nothing() {
    for seed in 0..40 {
        let world = World::new(seed);
        world.run(move |env| async move {
            let (log, _) = open_with(&env, small()).await;
            for epoch in [1, 2] {
                log.begin_epoch(LeaderEpoch::new(epoch)).await.unwrap();
                let end = u64::from(epoch) * 150 + seed;
                append_numbered(&env, &log, end, 16_000, epoch).await;
                env.reactor.sleep(Duration::from_micros(seed * 90)).await;
            }
        });
        world.lose_power();
        let crashed = verify(&world);
        assert!(!crashed.is_damaged(), "seed {seed}: {:?}", crashed.findings);
        let (end, segments) = world.run(move |env| async move {
            let (log, report) = open_with(&env, small()).await;
            let found = (report.log_end, report.segments);
            log.close().await.unwrap();
            found
        });
        let closed = verify(&world);
        assert_eq!(closed.findings, [], "seed {seed}");
        assert!(closed.checkpoint.unwrap().is_clean);
        assert_eq!(closed.segments.len(), segments);
        let records: u64 = closed.segments.iter().map(|(_, one)| one.records).sum();
        assert_eq!(records, end.get());
        let last = crashed.segments.last().map(|(_, last)| last.end);
        assert!(last >= Some(end), "seed {seed}");
    }
}

#[test]
fn damage_is_found_that_recovery_does_not_look_for() {
    let world = World::new(1);
    world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_numbered(&env, &log, 200, 16_000, 1).await;
        log.close().await.unwrap();
    });
    assert_eq!(verify(&world).findings, []);
    world.overwrite(&segment_file(0), 500_000, b"not what was there");
    let report = verify(&world);
    assert!(report.is_damaged());
    let found = &report.findings[0];
    assert_eq!(
        (found.severity, &found.file[..]),
        (Severity::Damage, "00000000000000000000.log")
    );
    assert!(found.position <= 500_000 && found.position + 17_000 > 500_000);
    assert!(matches!(found.problem, Problem::Batch { .. }));
}
