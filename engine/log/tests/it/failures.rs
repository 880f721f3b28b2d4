use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use ringlog_log::{AppendError, ChangeError};
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{World, append_numbered, batch, check_numbered, open};

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);

#[test]
fn a_log_stops_for_good_at_the_first_device_error() {
    for (op, path) in [
        (FaultyOp::Write, ".log"),
        (FaultyOp::Sync, ".log"),
        (FaultyOp::Write, "checkpoint"),
        (FaultyOp::Sync, "checkpoint"),
    ] {
        let world = World::new(1);
        let faults = world.faults();
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            append_numbered(&env, &log, 10, 3_000, 1).await;
            log.flush().await.unwrap();
            let told = Rc::new(RefCell::new(Vec::new()));
            let ends = Rc::clone(&told);
            log.on_stable(move |end| ends.borrow_mut().push(end.ok()));
            faults.fail_once(op, path, ErrorKind::Other);
            append_numbered(&env, &log, 20, 3_000, 1).await;
            if path == "checkpoint" {
                let begun = log.begin_epoch(LeaderEpoch::new(2)).await;
                assert!(matches!(begun, Err(ChangeError::Failed(_))), "{begun:?}");
            } else {
                log.flush().await.unwrap_err();
                assert_eq!(log.durable_end(), Offset::new(10));
            }
            assert!(log.failure().is_some());
            env.reactor.sleep(Duration::from_secs(1)).await;
            assert!(matches!(
                log.append(&batch(&[b"a"]), LeaderEpoch::new(3)),
                Err(AppendError::Failed(_))
            ));
            assert!(log.begin_epoch(LeaderEpoch::new(3)).await.is_err());
            assert!(log.delete_records(Offset::new(5)).await.is_err());
            assert!(log.apply_retention().await.is_err());
            assert!(log.close().await.is_err());
            assert_eq!(
                told.borrow().last(),
                Some(&None),
                "nothing comes behind the failure"
            );
            assert_eq!(told.borrow().iter().filter(|end| end.is_none()).count(), 1);
            check_numbered(&log, 0, 3_000, 1 << 20).await;
            assert_eq!(env.counters.failures.get(), 1);
        });
        world.run(|env| async move {
            let (log, report) = open(&env).await;
            assert!(report.log_end >= Offset::new(10));
            check_numbered(&log, 0, 3_000, 1 << 20).await;
        });
    }
}

#[test]
fn a_group_that_ends_after_a_failure_is_not_told() {
    for seed in 0..40 {
        let world = World::new(seed);
        let faults = world.faults();
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            let told = Rc::new(RefCell::new(Vec::new()));
            let ends = Rc::clone(&told);
            log.on_stable(move |end| ends.borrow_mut().push(end.ok()));
            append_numbered(&env, &log, 1, 3_000, 1).await;
            log.flush().await.unwrap();
            faults.fail_once(FaultyOp::Write, "checkpoint", ErrorKind::Other);
            let failing = log.clone();
            // A checkpoint fails while a group is in flight.
            let begins = env.reactor.spawn("begin", async move {
                assert!(failing.delete_records(Offset::new(1)).await.is_err());
            });
            while log.failure().is_none() {
                if log.append(&batch(&[b"x"]), EPOCH).is_err() {
                    break;
                }
                env.reactor.sleep(Duration::from_micros(10)).await;
            }
            begins.await;
            env.reactor.sleep(Duration::from_secs(1)).await;
            let last = told.borrow().last().copied();
            assert_eq!(last, Some(None), "seed {seed}");
        });
    }
}
