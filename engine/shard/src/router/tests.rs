use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use ringlog_reactor::{CoreMain, CoreSpec, Platform, Reactor, UringPlatform};

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
        CALLS_PER_PEER_MAX as u64 * 8,
        9 * CALLS_PER_PEER_MAX as u64 * 8,
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
                        async move { router.call(ShardId::new(peer), number).await }
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
                        assert_eq!(router.call(ShardId::new(1), 7).await, Err(Gone));
                    }
                    assert_eq!(router.call(ShardId::new(9), 7).await, Err(Gone));
                } else if me == ShardId::new(1) {
                    drop(inbox.next().await);
                }
            })
        })
    });
}
