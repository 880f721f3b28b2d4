use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use ringlog_reactor::sim::{SimConfig, SimWorld};
use ringlog_reactor::{CoreHandle, CoreMain, CoreSpec, Platform, Reactor, UringPlatform};

use super::*;

const SHARDS: NonZeroU16 = NonZeroU16::new(3).unwrap();

/// Runs one core for each shard until all are done.
fn run(make: impl Fn(Port<u64, u64>) -> CoreMain) {
    let cores: Vec<_> = mesh(SHARDS)
        .into_iter()
        .map(|port| {
            let spec = CoreSpec {
                name: format!("shard-{}", port.me()),
                cpu: None,
                spin: Duration::ZERO,
                pool_bytes: 1 << 20,
            };
            UringPlatform::new().launch(spec, make(port)).unwrap()
        })
        .collect();
    for core in cores {
        core.join().unwrap();
    }
}

/// Answers with the double of what is asked, after others had their turn.
fn answer(reactor: &Reactor, mut inbox: Inbox<u64, u64>) {
    let inner = reactor.clone();
    let serve = async move {
        while let Some(call) = inbox.next().await {
            let (request, reply) = call.into_parts();
            inner.yield_now().await;
            reply.answer(request * 2);
        }
    };
    reactor.spawn("answer", serve).detach();
}

#[test]
fn every_shard_calls_every_other_beyond_all_bounds_and_none_waits_for_ever() {
    let answered = Arc::new(AtomicU64::new(0));
    let (calls, goal) = (
        WORK_CALLS_PER_PEER_MAX as u64 * 8,
        9 * WORK_CALLS_PER_PEER_MAX as u64 * 8,
    );
    let count = Arc::clone(&answered);
    run(move |port| {
        let answered = Arc::clone(&count);
        Box::new(move |reactor| {
            Box::pin(async move {
                let (router, inbox) = port.open();
                answer(&reactor, inbox);
                let all = (0..SHARDS.get()).flat_map(|peer| {
                    let router = router.clone();
                    (0..calls).map(move |number| {
                        let router = router.clone();
                        async move { router.call(ShardId::new(peer), Lane::Work, number).await }
                    })
                });
                for (index, reply) in join_all(all).await.into_iter().enumerate() {
                    assert_eq!(reply, Ok(index as u64 % calls * 2));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                // A shard serves until all have their answers.
                while answered.load(Ordering::Relaxed) < goal {
                    reactor.sleep(Duration::from_millis(1)).await;
                }
            })
        })
    });
    assert_eq!(answered.load(Ordering::Relaxed), goal);
}

#[test]
fn a_peer_that_drops_a_call_or_has_ended_is_gone() {
    run(|port| {
        Box::new(move |_| {
            Box::pin(async move {
                let me = port.me();
                let (router, mut inbox) = port.open();
                if me == ShardId::new(0) {
                    for _ in 0..2 {
                        assert_eq!(router.call(ShardId::new(1), Lane::Work, 7).await, Err(Gone));
                    }
                    assert_eq!(router.call(ShardId::new(9), Lane::Work, 7).await, Err(Gone));
                } else if me == ShardId::new(1) {
                    drop(inbox.next().await);
                }
            })
        })
    });
}

/// Runs three cores of a simulated machine for a while.
fn simulate(make: impl Fn(Port<u64, u64>) -> CoreMain) {
    let world = SimWorld::new(7, SimConfig::default());
    let platform = world.platform(world.add_node());
    let cores: Vec<_> = mesh(SHARDS)
        .into_iter()
        .map(|port| {
            let spec = CoreSpec {
                name: format!("shard-{}", port.me()),
                cpu: None,
                spin: Duration::ZERO,
                pool_bytes: 1 << 20,
            };
            platform.launch(spec, make(port)).unwrap()
        })
        .collect();
    let ended = world.run_until(Duration::from_secs(60), || {
        cores.iter().all(CoreHandle::is_finished)
    });
    assert!(ended, "a core waits for ever");
}

#[test]
fn calls_that_wait_do_not_keep_back_calls_that_work() {
    simulate(|port| {
        Box::new(move |reactor| {
            Box::pin(async move {
                let me = port.me();
                let (router, mut inbox) = port.open();
                if me == ShardId::new(0) {
                    let peer = ShardId::new(1);
                    answer(&reactor, inbox);
                    let waits: Vec<_> = (0..2 * WAIT_CALLS_PER_PEER_MAX as u64)
                        .map(|_| {
                            let router = router.clone();
                            let wait = async move { router.call(peer, Lane::Wait, 0).await };
                            reactor.spawn("wait", wait)
                        })
                        .collect();
                    reactor.sleep(Duration::from_millis(1)).await;
                    for number in 1..1000 {
                        assert_eq!(router.call(peer, Lane::Work, number).await, Ok(number));
                    }
                    drop(waits);
                    // The slots of the waits that were given up come back when the peer is done with them.
                    let mut slots = Vec::new();
                    for _ in 0..WAIT_CALLS_PER_PEER_MAX {
                        slots.push(router.slot(peer, Lane::Wait).await.unwrap());
                    }
                    let another = router.slot(peer, Lane::Wait);
                    let one_too_many = reactor.timeout(Duration::from_millis(1), another).await;
                    assert!(one_too_many.is_err());
                    assert_eq!(router.call(peer, Lane::Work, u64::MAX).await, Err(Gone));
                } else if me == ShardId::new(1) {
                    while let Some(call) = inbox.next().await {
                        match call.into_parts() {
                            (0, mut reply) => reactor
                                .spawn("never", async move { reply.abandoned().await })
                                .detach(),
                            (u64::MAX, _) => break,
                            (number, reply) => reply.answer(number),
                        }
                    }
                }
            })
        })
    });
}

#[test]
fn calls_to_one_peer_arrive_in_the_order_in_which_they_were_sent() {
    simulate(|port| {
        Box::new(move |reactor| {
            Box::pin(async move {
                let me = port.me();
                let (router, mut inbox) = port.open();
                if me == ShardId::new(0) {
                    let peer = ShardId::new(1);
                    let mut replies = Vec::new();
                    for number in 0..4 * WORK_CALLS_PER_PEER_MAX as u64 {
                        let slot = router.slot(peer, Lane::Work).await.unwrap();
                        let reply = router.send(peer, slot, number).unwrap();
                        replies.push(reactor.spawn("reply", reply));
                    }
                    for (number, reply) in replies.into_iter().enumerate() {
                        assert_eq!(reply.await, Ok(number as u64));
                    }
                } else if me == ShardId::new(1) {
                    let mut expected = 0;
                    while let Some(call) = inbox.next().await {
                        let (number, reply) = call.into_parts();
                        assert_eq!(number, expected);
                        expected += 1;
                        reply.answer(number);
                        if expected == 4 * WORK_CALLS_PER_PEER_MAX as u64 {
                            break;
                        }
                    }
                }
            })
        })
    });
}
