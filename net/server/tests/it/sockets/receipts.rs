//! Receipts, stage latencies and slow requests.

use std::time::Duration;

use ringlog_record::TopicPartition;
use ringlog_wire::{
    Acks, Api, ErrorCode, ProducePartition, ProduceReceipt, ProduceRequestDraft, ProduceResponse,
};

use super::stage::{Scene, on_all, on_sim};
use super::wire::{Wire, batch, from};

/// Produces with a request for a receipt; gives it with how long the client waited, in nanoseconds.
async fn receipt(
    scene: &Scene,
    wire: &mut Wire,
    acks: Acks,
    ids: &[TopicPartition],
) -> (Option<ProduceReceipt>, u64) {
    let batch = batch(&[b"value"]);
    let len_bytes = u32::try_from(batch.len()).unwrap();
    let partitions: Vec<_> = ids
        .iter()
        .map(|&id| ProducePartition::new(id, len_bytes))
        .collect();
    let draft = ProduceRequestDraft {
        acks,
        timeout_ms: 30_000,
        partitions: &partitions,
        wants_receipt: true,
    };
    let payload: Vec<_> = ids.iter().map(|_| batch.clone()).collect();
    let sent = scene.reactor.now();
    wire.send(&draft, &payload).await;
    let answer = wire.receive().await.unwrap();
    let waited = scene.reactor.now().since(sent);
    let response = ProduceResponse::decode(answer.body()).unwrap();
    (
        response.receipt(),
        u64::try_from(waited.as_nanos()).unwrap(),
    )
}

#[test]
fn a_receipt_tells_where_the_time_went_wherever_the_request_came_in() {
    on_all(2, |scene: Scene| Box::pin(asked(scene)));
}

async fn asked(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let durable = wire.create_topic("durable", 2, &[]).await;
    let ids: Vec<_> = durable.iter().map(|(id, _)| *id).collect();
    // One partition of this shard, one of the other, both in one request.
    for ids in [&ids[..1], &ids[1..], &ids[..]] {
        let (receipt, waited_ns) = receipt(&scene, &mut wire, Acks::All, ids).await;
        let receipt = receipt.unwrap();
        assert!(receipt.flushed_ns > 1_000, "{receipt:?}");
        assert!(receipt.total_ns() <= waited_ns, "{receipt:?}, {waited_ns}");
        assert!(receipt.flushed_ns >= receipt.replicated_ns, "{receipt:?}");
    }
    let unknown = TopicPartition {
        partition: ringlog_record::PartitionIndex::new(99),
        ..ids[0]
    };
    let (nothing, _) = receipt(&scene, &mut wire, Acks::All, &[unknown]).await;
    assert_eq!(nothing, None, "nothing was acknowledged");
    let acked = wire.produce(Acks::All, &[(ids[0], batch(&[b"a"]))]).await;
    assert_eq!(acked[0].error, ErrorCode::None);
}

#[test]
fn a_receipt_in_virtual_time_adds_up() {
    on_sim(1, |scene: Scene| Box::pin(adds_up(scene)));
}

async fn adds_up(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let sync = wire.create_topic("sync", 1, &[]).await[0].0;
    let memory = wire
        .create_topic("memory", 1, &[("durability", "async")])
        .await[0]
        .0;
    // Nothing takes time in a simulation but the disk and the network.
    let (of_sync, _) = receipt(&scene, &mut wire, Acks::All, &[sync]).await;
    let of_sync = of_sync.unwrap();
    assert_eq!(of_sync.total_ns(), of_sync.flushed_ns, "{of_sync:?}");
    assert!(
        of_sync.flushed_ns >= 75_000,
        "a write and a sync: {of_sync:?}"
    );
    let (of_async, _) = receipt(&scene, &mut wire, Acks::All, &[memory]).await;
    assert_eq!(of_async, Some(ProduceReceipt::default()));

    let metrics = scene.broker.metrics().await.unwrap();
    let stages: Vec<_> = metrics[0].stages.iter().collect();
    assert_eq!(stages.len(), ProduceReceipt::STAGES.len());
    for (name, ns) in stages {
        assert_eq!(ns.len(), 2, "{name}");
        let is_flush = name == "flushed";
        assert_eq!(ns.max() > 1, is_flush, "{name}");
    }
}

#[test]
fn slow_requests_are_told_with_their_stages_and_without_parked_time() {
    on_sim(2, |scene: Scene| Box::pin(slow(scene)));
}

async fn slow(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let ids = wire.create_topic("events", 2, &[]).await;
    let (id, _) = *ids.iter().find(|(_, shard)| shard.get() == 0).unwrap();
    let bytes = batch(&[b"a"]);
    wire.produce(Acks::All, &[(id, bytes.clone())]).await;
    // Parked for a second: there is nothing behind the first record.
    wire.fetch(1, 1_000, &[from(id, 1)]).await;
    let shards = scene.broker.slow().await.unwrap();
    assert_eq!(shards.len(), 2);
    assert!(
        shards[1]
            .requests
            .iter()
            .all(|(_, one)| one.api == Api::CreateTopic)
    );
    let requests = &shards[0].requests;
    let (topic, produce) = requests
        .iter()
        .find(|(_, one)| one.api == Api::Produce)
        .unwrap();
    assert_eq!(topic.as_deref(), Some("events"));
    assert_eq!(produce.partition, Some(id));
    assert_eq!(produce.bytes, bytes.len() as u64);
    assert_eq!(produce.error, ErrorCode::None);
    let stages = produce.stages.unwrap();
    assert_eq!(Duration::from_nanos(stages.total_ns()), produce.took);
    let fetch = requests.iter().find(|(_, one)| one.api == Api::Fetch);
    let took = fetch.map(|(_, one)| one.took);
    assert!(
        took.is_none_or(|took| took < Duration::from_millis(100)),
        "{took:?}"
    );
    assert!(requests.is_sorted_by_key(|(_, one)| std::cmp::Reverse(one.took)));
}
