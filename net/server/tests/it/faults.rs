//! A device that fails and a device that is full, seen by clients: what was acknowledged stays, what was not is never
//! called failed once it was appended, and the rest of the broker goes on.

use std::io;
use std::time::Duration;

use ringlog_reactor::sim::{CrashKind, DiskFault, FaultEffect, FaultTrigger, FaultyOp};
use ringlog_record::TopicPartition;
use ringlog_wire::{DeleteTopicRequest, ErrorCode};

use crate::client::{Client, partition, wanted};
use crate::world::World;

fn segments_of(id: TopicPartition) -> String {
    format!("/topics/{}/{}/", id.topic, id.partition)
}

fn strike(world: &World, op: FaultyOp, path_contains: String, error: io::ErrorKind) {
    world.sim.inject(
        world.broker,
        DiskFault {
            op,
            path_contains,
            trigger: FaultTrigger::Always,
            effect: FaultEffect::Error(error),
        },
    );
}

#[test]
fn a_failed_device_takes_its_partition_offline_and_no_other() {
    let world = World::new(50, 1);
    let running = world.start();
    let ids = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 2, &[]).await;
        let topic = client.topic("events").await;
        let ids = [partition(&topic, 0), partition(&topic, 1)];
        for id in ids {
            client.produce(id, &[b"kept"]).await;
        }
        ids
    });
    strike(
        &world,
        FaultyOp::Sync,
        segments_of(ids[0]),
        io::ErrorKind::Other,
    );
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let (mut reader, _) = Client::connect(&reactor, None).await;
        let began = reactor.now();
        let own = reactor.clone();
        let parked = reactor.spawn("parked", async move {
            let found = reader.fetch(&[wanted(ids[0], 1)], 1, 60_000).await;
            (found, own.now())
        });
        reactor.sleep(Duration::from_millis(100)).await;
        let unsure = client.produce(ids[0], &[b"unsure"]).await;
        assert_eq!(unsure.error, ErrorCode::UnknownOutcome);
        let (found, at) = parked.await;
        assert_eq!(found[0].error, ErrorCode::StorageFailed);
        assert!(at.since(began) < Duration::from_secs(10), "it is let go");
        let refused = client.produce(ids[0], &[b"refused"]).await;
        assert_eq!(refused.error, ErrorCode::StorageFailed);
        assert_eq!(client.produce(ids[1], &[b"goes on"]).await.base_offset, 1);
        assert_eq!(client.values(ids[1], 0).await, [&b"kept"[..], b"goes on"]);
    });
    // A partition that is offline holds up no stop.
    world.stop(running);
    world.sim.clear_faults(world.broker);
    world.crash(CrashKind::Power);
    world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let values = client.values(ids[0], 0).await;
        assert_eq!(values[0], b"kept");
        assert!(values.len() <= 2, "{values:?}");
        assert!(values.get(1).is_none_or(|one| one == b"unsure"));
        assert_eq!(client.values(ids[1], 0).await, [&b"kept"[..], b"goes on"]);
        let next = client.produce(ids[0], &[b"again"]).await;
        assert_eq!(next.base_offset, values.len() as u64);
    });
}

#[test]
fn a_full_device_refuses_appends_and_holds_up_neither_a_removal_nor_a_stop() {
    let world = World::new(51, 1);
    let running = world.start();
    let ids = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let mut ids = Vec::new();
        for (name, partitions) in [("kept", 1), ("removed", 8)] {
            client.create_topic(name, partitions, &[]).await;
            let topic = client.topic(name).await;
            ids.extend((0..partitions).map(|index| partition(&topic, index)));
        }
        for &id in &ids {
            client.produce(id, &[b"first"]).await;
        }
        ids
    });
    for &id in &ids {
        strike(
            &world,
            FaultyOp::Write,
            segments_of(id),
            io::ErrorKind::StorageFull,
        );
    }
    let (kept, removed) = (ids[0], ids[1]);
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        for id in ids {
            let unsure = client.produce(id, &[b"unsure"]).await;
            assert_eq!(unsure.error, ErrorCode::UnknownOutcome);
            let refused = client.produce(id, &[b"refused"]).await;
            assert_eq!(refused.error, ErrorCode::NoSpace);
            assert_eq!(client.values(id, 0).await, [b"first"], "reads go on");
        }
        let began = reactor.now();
        let request = DeleteTopicRequest {
            name: "removed".to_owned(),
        };
        let answer = client.call(&request, &[]).await;
        assert_eq!(answer.refusal(), None);
        assert!(reactor.now().since(began) < Duration::from_secs(30));
    });
    let gone = format!("/data/topics/{}", removed.topic);
    assert!(world.sim.list_dir(world.broker, gone.as_ref()).is_err());
    world.stop(running);
    world.sim.clear_faults(world.broker);
    world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let values = client.values(kept, 0).await;
        assert_eq!(values[0], b"first");
        let next = client.produce(kept, &[b"again"]).await;
        assert_eq!(next.base_offset, values.len() as u64);
    });
}
