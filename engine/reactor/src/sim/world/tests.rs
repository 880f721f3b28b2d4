use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::mailbox;
use crate::op::OpenOptions;
use crate::sim::disk::{DiskFault, DiskStats};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn virtual_time_jumps_over_idle_spans() {
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let slept = world.block_on(node, LONG, |reactor| async move {
        let before = reactor.now();
        let wall_before = reactor.unix_time_ms();
        reactor.sleep(Duration::from_secs(30)).await;
        (
            reactor.now().since(before),
            reactor.unix_time_ms() - wall_before,
        )
    });
    assert_eq!(slept, Some((Duration::from_secs(30), 30_000)));
}

#[test]
fn a_core_that_is_not_done_in_time_is_ended() {
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let done = world.block_on(node, Duration::from_secs(1), |_| {
        std::future::pending::<()>()
    });
    assert!(done.is_none());
    assert_eq!(world.now(), Instant::from_nanos(1_000_000_000));
}

#[test]
fn a_message_wakes_a_core_that_waits() {
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let (to, mut from) = mailbox::channel::<u32>(1);
    world.launch_local(node, |reactor| async move {
        reactor.sleep(Duration::from_millis(5)).await;
        to.try_send(7).unwrap();
    });
    let got = world.block_on(node, LONG, move |_| async move { from.recv().await });
    assert_eq!(got, Some(Some(7)));
}

/// Files, timers and messages of three cores, with a crash in the middle.
fn busy_run(seed: u64) -> (u64, DiskStats, Vec<u8>) {
    let world = SimWorld::new(seed, SimConfig::default());
    let node = world.add_node();
    for core in 0..3 {
        world.launch_local(node, move |reactor| async move {
            let options = OpenOptions {
                read: true,
                write: true,
                create: true,
                ..OpenOptions::default()
            };
            let file = reactor.open(Path::new("/shared"), options).await.unwrap();
            reactor.sync_dir(Path::new("/")).await.unwrap();
            for round in 0..100u8 {
                let position = reactor.random_u64() % 64 * 100;
                file.write_at(position, Bytes::from(vec![round + core; 700]))
                    .await
                    .unwrap();
                if round % 10 == 9 {
                    file.sync_data().await.unwrap();
                    reactor
                        .sleep(Duration::from_micros(reactor.random_u64() % 500))
                        .await;
                }
            }
        });
    }
    world.run_for(Duration::from_millis(3));
    world.crash(node, CrashKind::Power);
    world.run_for(Duration::from_millis(1));
    let content = world
        .read_file(node, Path::new("/shared"))
        .unwrap_or_default();
    (world.trace_hash(), world.disk_stats(node), content)
}

#[test]
fn a_seed_names_a_run() {
    for seed in 0..20 {
        assert!(busy_run(seed) == busy_run(seed), "seed {seed}");
    }
    assert_ne!(busy_run(1).0, busy_run(2).0);
}

#[test]
fn dropping_a_world_with_busy_cores_drops_their_tasks() {
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let alive = Rc::new(());
    let inside = Rc::clone(&alive);
    world.launch_local(node, move |reactor| async move {
        let _inside = inside;
        let options = OpenOptions {
            write: true,
            create: true,
            ..OpenOptions::default()
        };
        let file = reactor.open(Path::new("/f"), options).await.unwrap();
        reactor.sleep(LONG).await;
        drop(file);
    });
    world.run_for(Duration::from_secs(1));
    drop(world);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn an_operation_that_a_disk_does_not_answer_is_given_up() {
    use crate::sim::{FaultEffect, FaultTrigger, FaultyOp};

    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    world.inject(
        node,
        DiskFault {
            op: FaultyOp::Write,
            path_contains: String::new(),
            trigger: FaultTrigger::Next(1),
            effect: FaultEffect::Hang,
        },
    );
    let given_up = world.block_on(node, LONG, |reactor| async move {
        let options = OpenOptions {
            write: true,
            create: true,
            ..OpenOptions::default()
        };
        let file = reactor.open(Path::new("/f"), options).await.unwrap();
        let began = reactor.now();
        let error = file.write_at(0, Bytes::from_static(b"x")).await;
        let waited = reactor.now().since(began);
        file.write_at(0, Bytes::from_static(b"y")).await.unwrap();
        (error.unwrap_err().kind(), waited.as_secs())
    });
    let patience = crate::limits::DISK_PATIENCE_SECONDS;
    assert_eq!(given_up, Some((io::ErrorKind::TimedOut, patience)));
    assert_eq!(world.disk_stats(node).hung_operations, 1);
}

#[test]
fn disks_that_are_exchanged_take_their_files_with_them() {
    let world = SimWorld::new(1, SimConfig::default());
    let (one, other) = (world.add_node(), world.add_node());
    world.make_dir_all(one, Path::new("/here")).unwrap();
    world.swap_disks(other, one);
    assert!(world.list_dir(one, Path::new("/here")).is_err());
    assert!(world.list_dir(other, Path::new("/here")).is_ok());
}

#[test]
fn a_durable_write_is_a_write_and_then_a_sync() {
    use crate::WriteSyncError;
    use crate::sim::{FaultEffect, FaultTrigger, FaultyOp};

    let strikes = |op, path: &str, effect| DiskFault {
        op,
        path_contains: path.to_owned(),
        trigger: FaultTrigger::Always,
        effect,
    };
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let other = FaultEffect::Error(io::ErrorKind::Other);
    world.inject(node, strikes(FaultyOp::Write, "unwritten", other));
    world.inject(node, strikes(FaultyOp::Sync, "unsynced", other));
    world.inject(node, strikes(FaultyOp::Sync, "slow", FaultEffect::Hang));
    let told = world.block_on(node, LONG, |reactor| async move {
        let options = OpenOptions {
            write: true,
            create: true,
            ..OpenOptions::default()
        };
        let mut told = Vec::new();
        for path in ["/good", "/unwritten", "/unsynced", "/slow"] {
            let file = reactor.open(Path::new(path), options).await.unwrap();
            let result = file.write_sync_at(0, Bytes::from_static(b"x")).await;
            told.push(match result {
                Ok(()) => "durable",
                Err(WriteSyncError::Write(_)) => "not written",
                Err(WriteSyncError::Sync(_)) => "not synced",
                Err(WriteSyncError::Unanswered(_)) => "unanswered",
            });
        }
        told
    });
    assert_eq!(
        told,
        Some(vec!["durable", "not written", "not synced", "unanswered"])
    );
    assert_eq!(world.disk_stats(node).syncs, 1);
    assert_eq!(world.read_file(node, Path::new("/good")).unwrap(), b"x");
}
