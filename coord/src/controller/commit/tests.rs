use futures_executor::block_on;

use super::*;
use crate::store::MemoryStore;
use crate::store::conformance::{create, path, set};
use crate::store::faulty::{Fault, FaultyStore};

const FENCE: Fence = Fence {
    epoch: ControllerEpoch::new(1),
    version: Version::FIRST,
};

async fn store() -> MemoryStore {
    let store = MemoryStore::new();
    store
        .multi(vec![
            create("/controller_epoch", "{\"v\":1,\"epoch\":1}"),
            create("/a", "old"),
        ])
        .await
        .unwrap();
    store
}

async fn data(store: &MemoryStore) -> Vec<u8> {
    store.read(&path("/a")).await.unwrap().unwrap().data
}

fn ops(ops: impl Iterator<Item = MetaOp>) -> Vec<Op> {
    ops.map(|op| Op { op, about: None }).collect()
}

#[test]
fn batches_keep_the_order_and_the_bounds() {
    let check = FENCE.check();
    let many: Vec<MetaOp> = (0..450).map(|n| create(&format!("/{n}"), "")).collect();
    let packed = batches(ops(many.clone().into_iter()), &check);
    let lens = |packed: &[Vec<Op>]| packed.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lens(&packed), [198, 198, 54]);
    let unpacked: Vec<MetaOp> = packed.into_iter().flatten().map(|op| op.op).collect();
    assert_eq!(unpacked, many);

    let large = (0..5).map(|n| create(&format!("/{n}"), &"x".repeat(200 * 1024)));
    let packed = batches(ops(large), &check);
    assert_eq!(lens(&packed), [2, 2, 1]);
    assert!(batches(vec![], &check).is_empty());
}

#[test]
fn an_unknown_write_is_settled_by_trying_again() {
    block_on(async {
        for fault in [Fault::UnknownDone, Fault::UnknownNotDone] {
            let memory = store().await;
            let faulty = FaultyStore::new(memory.clone(), 0..1, fault);
            let ops = vec![set("/a", "new", Some(0)), create("/b", "x")];
            assert_eq!(FENCE.write(&faulty, "it", ops).await, Ok(()), "{fault:?}");
            assert_eq!(data(&memory).await, b"new");
            assert_eq!(
                memory
                    .read(&path("/a"))
                    .await
                    .unwrap()
                    .unwrap()
                    .stat
                    .version,
                Version::new(1)
            );
        }
    });
}

#[test]
fn a_write_that_stays_unknown_is_reported_as_such() {
    block_on(async {
        let faulty = FaultyStore::new(store().await, 0..99, Fault::UnknownNotDone);
        let outcome = FENCE
            .write(&faulty, "it", vec![set("/a", "new", Some(0))])
            .await;
        assert!(matches!(
            outcome,
            Err(ControllerError::UnknownOutcome { what: "it", .. })
        ));
    });
}

#[test]
fn somebody_elses_write_is_not_taken_for_ones_own() {
    block_on(async {
        let memory = store().await;
        memory
            .multi(vec![set("/a", "theirs", Some(0))])
            .await
            .unwrap();
        let faulty = FaultyStore::new(memory.clone(), 0..1, Fault::UnknownNotDone);
        let outcome = FENCE
            .write(&faulty, "it", vec![set("/a", "mine", Some(0))])
            .await;
        assert!(matches!(outcome, Err(ControllerError::Inconsistent { .. })));
        assert_eq!(data(&memory).await, b"theirs");
    });
}

#[test]
fn a_deposed_controller_writes_nothing() {
    block_on(async {
        let memory = store().await;
        memory
            .multi(vec![set("/controller_epoch", "2", Some(0))])
            .await
            .unwrap();
        let outcome = FENCE
            .write(&memory, "it", vec![set("/a", "new", Some(0))])
            .await;
        assert_eq!(
            outcome,
            Err(ControllerError::Deposed {
                epoch: ControllerEpoch::new(1)
            })
        );
        assert_eq!(data(&memory).await, b"old");
    });
}

#[test]
fn a_renewed_fence_lets_nothing_through_that_was_written_before() {
    block_on(async {
        for fault in [Fault::UnknownDone, Fault::UnknownNotDone] {
            let memory = store().await;
            let faulty = FaultyStore::new(memory.clone(), 0..1, fault);
            let mut fence = FENCE;
            fence.renew(&faulty).await.unwrap();
            let late = FENCE
                .write(&memory, "it", vec![set("/a", "late", Some(0))])
                .await;
            assert!(matches!(late, Err(ControllerError::Deposed { .. })));
            fence
                .write(&memory, "it", vec![set("/a", "new", Some(0))])
                .await
                .unwrap();
            assert_eq!(data(&memory).await, b"new");
        }
    });
}

#[test]
fn a_deposed_controller_cannot_renew_its_fence() {
    block_on(async {
        let memory = store().await;
        let successor = "{\"v\":1,\"epoch\":2}";
        memory
            .multi(vec![set("/controller_epoch", successor, Some(0))])
            .await
            .unwrap();
        let mut fence = FENCE;
        let refused = fence.renew(&memory).await;
        assert!(matches!(refused, Err(ControllerError::Deposed { .. })));
    });
}
