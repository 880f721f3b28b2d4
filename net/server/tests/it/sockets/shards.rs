//! Several shards behind one address.

use std::time::Duration;

use ringlog_record::ShardId;
use ringlog_wire::{Acks, ErrorCode, MetadataRequest, TopicSelection};

use super::stage::{Scene, on_all};
use super::wire::{Wire, acked, batch, found, from};

#[test]
fn a_connection_gets_the_shard_that_it_asks_for_wherever_it_comes_in() {
    on_all(3, |scene: Scene| Box::pin(hand_over(scene)));
}

async fn hand_over(scene: Scene) {
    let mut wires = Vec::new();
    for round in 0..30_u16 {
        // `connect` checks who answers.
        wires.push(Wire::connect(&scene.reactor, scene.address, Some(round % 3)).await);
    }
    for wire in &mut wires {
        let everything = MetadataRequest {
            topics: TopicSelection::All,
        };
        assert_eq!(wire.ask(&everything, &[]).await.refusal(), None);
    }
    let metrics = scene.broker.metrics().await.unwrap();
    let open: Vec<_> = metrics.iter().map(|shard| shard.connections).collect();
    assert_eq!(open, [10, 10, 10]);
}

#[test]
fn forwarded_produces_keep_their_order_and_say_that_they_were_forwarded() {
    on_all(3, |scene: Scene| Box::pin(forwards(scene)));
}

async fn forwards(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let ids = wire.create_topic("events", 3, &[]).await;
    let (id, owner) = *ids.iter().find(|(_, shard)| shard.get() == 2).unwrap();
    assert_eq!(owner, ShardId::new(2));
    // More than there are slots for calls.
    const PRODUCES: u64 = 600;
    let mut sent = Vec::new();
    for number in 0..PRODUCES {
        let batch = batch(&[&number.to_be_bytes()]);
        sent.push(wire.send_produce(Acks::Leader, &[(id, batch)]).await);
        // The answers must be read, or neither side gets on.
        while sent.len() > 100 {
            check(&mut wire, &mut sent).await;
        }
    }
    while !sent.is_empty() {
        check(&mut wire, &mut sent).await;
    }
    let mut next = 0;
    while next < PRODUCES {
        let found = wire.fetch(1, 1000, &[from(id, next)]).await.remove(0);
        assert_eq!((found.error, found.forwarded), (ErrorCode::None, true));
        for (offset, value) in found.records {
            assert_eq!((offset.get(), &value[..]), (next, &next.to_be_bytes()[..]));
            next += 1;
        }
    }
}

async fn check(wire: &mut Wire, sent: &mut Vec<u64>) {
    let answer = wire.receive().await.unwrap();
    sent.retain(|&id| id != answer.id());
    let acked = acked(&answer)[0];
    assert_eq!((acked.error, acked.forwarded), (ErrorCode::None, true));
}

#[test]
fn a_fetch_over_all_shards_is_answered_when_any_has_something() {
    on_all(3, |scene: Scene| Box::pin(long_poll(scene)));
}

async fn long_poll(scene: Scene) {
    let mut reader = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let mut writer = Wire::connect(&scene.reactor, scene.address, Some(1)).await;
    let ids = reader.create_topic("events", 3, &[]).await;
    for (round, &(id, _)) in ids.iter().enumerate() {
        let wanted: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(index, &(id, _))| from(id, u64::from(index < round)))
            .collect();
        let parked = reader.send_fetch(1, 60_000, &wanted).await;
        scene.reactor.sleep(Duration::from_millis(100)).await;
        let began = scene.reactor.now();
        writer.produce(Acks::All, &[(id, batch(&[b"x"]))]).await;
        let answer = reader.receive().await.unwrap();
        assert!(scene.reactor.now().since(began) < Duration::from_secs(10));
        assert_eq!(answer.id(), parked);
        let counts = found(&answer).into_iter().map(|one| one.records.len());
        assert_eq!(counts.sum::<usize>(), 1);
    }
    let began = scene.reactor.now();
    let wanted: Vec<_> = ids.iter().map(|&(id, _)| from(id, 1)).collect();
    let nothing = reader.fetch(1, 300, &wanted).await;
    assert!(nothing.iter().all(|one| one.records.is_empty()));
    assert!(scene.reactor.now().since(began) >= Duration::from_millis(300));
}

#[test]
fn no_number_of_parked_fetches_keeps_back_a_produce_to_another_shard() {
    on_all(2, |scene: Scene| Box::pin(many_parked(scene)));
}

async fn many_parked(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let ids = wire.create_topic("events", 2, &[]).await;
    let (id, _) = *ids.iter().find(|(_, shard)| shard.get() == 1).unwrap();
    let mut readers = Vec::new();
    for _ in 0..12 {
        let mut reader = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
        for _ in 0..120 {
            reader.send_fetch(1, 200_000, &[from(id, 0)]).await;
        }
        readers.push(reader);
    }
    scene.reactor.sleep(Duration::from_millis(200)).await;
    let began = scene.reactor.now();
    Wire::connect(&scene.reactor, scene.address, Some(1)).await;
    let acked = wire.produce(Acks::All, &[(id, batch(&[b"x"]))]).await;
    assert_eq!(
        (acked[0].error, acked[0].forwarded),
        (ErrorCode::None, true)
    );
    assert!(scene.reactor.now().since(began) < Duration::from_secs(20));
    for reader in &mut readers {
        for _ in 0..120 {
            let answer = reader.receive().await.unwrap();
            assert_eq!(found(&answer)[0].records.len(), 1);
        }
    }
    assert!(scene.reactor.now().since(began) < Duration::from_secs(60));
}
