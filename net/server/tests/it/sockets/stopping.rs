//! How connections end, and how the broker does.

use std::time::Duration;

use ringlog_wire::{Acks, ErrorCode};

use super::stage::{Scene, on_all, on_sim};
use super::wire::{Wire, acked, batch, found, from};

#[test]
fn a_broker_that_stops_answers_what_is_under_way_and_closes() {
    on_all(2, |scene: Scene| Box::pin(drain(scene)));
}

async fn drain(scene: Scene) {
    let mut parked = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let mut writer = Wire::connect(&scene.reactor, scene.address, Some(1)).await;
    let mut silent = Wire::silent(&scene.reactor, scene.address).await;
    let ids = parked.create_topic("events", 2, &[]).await;
    let wanted: Vec<_> = ids.iter().map(|&(id, _)| from(id, 0)).collect();
    parked.send_fetch(1 << 20, 300_000, &wanted).await;
    scene.reactor.sleep(Duration::from_millis(100)).await;
    let mut sent = Vec::new();
    for &(id, _) in ids.iter().cycle().take(20) {
        sent.push(
            writer
                .send_produce(Acks::All, &[(id, batch(&[b"x"]))])
                .await,
        );
    }
    let began = scene.reactor.now();
    scene.broker.shutdown().await.unwrap();
    assert!(scene.reactor.now().since(began) < Duration::from_secs(8));
    let answer = parked.receive().await.expect("a parked fetch is answered");
    assert_eq!(found(&answer).len(), 2);
    assert!(parked.receive().await.is_none());
    assert!(silent.receive().await.is_none());
    // Those that were read are answered, carried out or refused; then the connection ends.
    while let Some(answer) = writer.receive().await {
        sent.retain(|&id| id != answer.id());
        match answer.refusal() {
            Some(code) => assert_eq!(code, ErrorCode::ShuttingDown),
            None => assert!(matches!(
                acked(&answer)[0].error,
                ErrorCode::None | ErrorCode::ShuttingDown | ErrorCode::NotLeader
            )),
        }
    }
}

#[test]
fn a_client_that_goes_leaves_no_parked_fetch_behind() {
    on_all(2, |scene: Scene| Box::pin(gone(scene)));
}

async fn gone(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let ids = wire.create_topic("events", 2, &[]).await;
    let wanted: Vec<_> = ids.iter().map(|&(id, _)| from(id, 0)).collect();
    for _ in 0..5 {
        let mut reader = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
        for _ in 0..10 {
            reader.send_fetch(1, 300_000, &wanted).await;
        }
    }
    let mut under_way = (u64::MAX, u64::MAX, u64::MAX);
    for _ in 0..100 {
        scene.reactor.sleep(Duration::from_millis(50)).await;
        let metrics = scene.broker.metrics().await.unwrap();
        let sum = |of: fn(&ringlog_server::metrics::ShardMetrics) -> u64| {
            metrics.iter().map(of).sum::<u64>()
        };
        under_way = (
            sum(|shard| shard.connections),
            sum(|shard| shard.requests_in_flight),
            sum(|shard| shard.gauges.fetches_waiting),
        );
        if under_way == (1, 0, 0) {
            break;
        }
    }
    assert_eq!(
        under_way,
        (1, 0, 0),
        "connections, requests, waiting fetches"
    );
}

#[test]
fn a_connection_of_no_use_is_closed_and_one_with_a_request_under_way_is_not() {
    on_sim(1, |scene: Scene| {
        Box::pin(async move {
            let mut parked = Wire::connect(&scene.reactor, scene.address, None).await;
            let mut quiet = Wire::connect(&scene.reactor, scene.address, None).await;
            let id = parked.create_topic("events", 1, &[]).await[0].0;
            for _ in 0..2 {
                parked.send_fetch(1, 300_000, &[from(id, 0)]).await;
                scene.reactor.sleep(Duration::from_secs(299)).await;
            }
            let answer = parked.receive().await.unwrap();
            assert_eq!(found(&answer)[0].error, ErrorCode::None);
            let began = scene.reactor.now();
            assert!(quiet.receive().await.is_none());
            assert!(scene.reactor.now().since(began) < Duration::from_secs(10));
            parked.receive().await.unwrap();
            let found = parked.fetch(0, 0, &[from(id, 0)]).await;
            assert_eq!(found[0].error, ErrorCode::None);
        })
    });
}
