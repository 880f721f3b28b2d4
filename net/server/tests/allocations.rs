//! What a request costs in allocations on the core of its shard, over a socket and to the device.
#![cfg(test)]

#[path = "it/sockets/real.rs"]
mod real;
#[path = "it/sockets/wire.rs"]
#[expect(dead_code, reason = "the other tests ask for more")]
mod wire;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ringlog_reactor::allocations::{CountingAllocator, count_this_thread_in};
use ringlog_reactor::{CoreHandle, CoreMain, CoreSpec, Platform, UringPlatform};
use ringlog_record::TopicPartition;
use ringlog_wire::{Acks, ErrorCode};

use self::real::{Scene, play};
use self::wire::{Wire, acked, batch, found, from};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What the core of the only shard has asked for.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Cores as the broker has them, whose allocations are counted.
struct Counted;

impl Platform for Counted {
    fn launch(&self, spec: CoreSpec, main: CoreMain) -> io::Result<CoreHandle> {
        let counted = move |reactor| {
            count_this_thread_in(&ALLOCATIONS);
            main(reactor)
        };
        UringPlatform::new().launch(spec, Box::new(counted))
    }
}

/// Rounds until all memory that is kept has been made: that of the cache, in which each flush group takes a chunk, too.
const WARM_UP: u32 = 3_500;
/// Rounds that are counted.
const ROUNDS: u32 = 500;

#[test]
fn a_request_of_a_steady_load_allocates_what_is_told_in_the_design() {
    play(&Counted, 1, |scene| Box::pin(all(scene)));
}

async fn all(scene: Scene) {
    let mut wires = Vec::new();
    for _ in 0..16 {
        wires.push(Wire::connect(&scene.reactor, scene.address, None).await);
    }
    let memory = [("durability", "memory"), ("retention_bytes", "1048576")];
    let sync = wires[0].create_topic("sync", 1, &[]).await[0].0;
    let memory = wires[0].create_topic("memory", 1, &memory).await[0].0;
    let batch = batch(&[&[7; 100]]);
    rounds(&mut wires[..1], Asked::Produce(sync), &batch, WARM_UP).await;
    // The chunk that is being filled is copied for its readers; a flush group closes it.
    for (id, of_fetch) in [(sync, 2), (memory, 4)] {
        for connections in [1, 16] {
            let wires = &mut wires[..connections];
            measure(&scene, wires, Asked::Produce(id), 1).await;
            // What is fetched lies in one piece of memory, as what was appended in one go does.
            let last = wires[0].produce(Acks::All, &[(id, batch.clone())]).await;
            let fetch = Asked::Fetch(id, last[0].base_offset.get());
            measure(&scene, wires, fetch, of_fetch).await;
        }
    }
}

/// What each connection asks for in each round.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Produce(TopicPartition),
    /// From an offset on.
    Fetch(TopicPartition, u64),
}

struct Counts {
    allocations: u64,
    flush_groups: u64,
}

impl Counts {
    async fn now(scene: &Scene) -> Self {
        let flush_groups = scene.broker.metrics().await.unwrap()[0].log.flush_groups;
        // Asking allocates, too.
        let allocations = ALLOCATIONS.load(Ordering::Relaxed);
        Self {
            allocations,
            flush_groups,
        }
    }
}

/// A receive makes its memory one that can be shared; so does a flush group, which is a future of its own on top; and a
/// fetch is a future. Nothing else is asked for but once in many requests: pieces of memory for the heads of answers, and
/// what a roll, a timer or somebody who asks for metrics needs.
async fn measure(scene: &Scene, wires: &mut [Wire], asked: Asked, of_each: u64) {
    rounds(wires, asked, &batch(&[&[7; 100]]), ROUNDS).await;
    let before = Counts::now(scene).await;
    rounds(wires, asked, &batch(&[&[7; 100]]), ROUNDS).await;
    let after = Counts::now(scene).await;
    let requests = u64::from(ROUNDS) * wires.len() as u64;
    let flush_groups = after.flush_groups - before.flush_groups;
    let allocations = after.allocations - before.allocations;
    let most = of_each * requests + 2 * flush_groups + requests / 40 + 100;
    assert!(
        allocations <= most,
        "{asked:?} by {} connections: {allocations} allocations of {requests} requests in {flush_groups} flush groups, \
         and not {most} at most",
        wires.len(),
    );
}

async fn rounds(wires: &mut [Wire], asked: Asked, batch: &Bytes, rounds: u32) {
    for _ in 0..rounds {
        for wire in &mut *wires {
            match asked {
                Asked::Produce(id) => wire.send_produce(Acks::All, &[(id, batch.clone())]).await,
                Asked::Fetch(id, offset) => wire.send_fetch(1, 0, &[from(id, offset)]).await,
            };
        }
        for wire in &mut *wires {
            let answer = wire.receive().await.unwrap();
            match asked {
                Asked::Produce(_) => assert_eq!(acked(&answer)[0].error, ErrorCode::None),
                Asked::Fetch(..) => assert!(found(&answer)[0].bytes > 0),
            }
        }
    }
}
