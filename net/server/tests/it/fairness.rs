//! Clients that are no good: others are served all the same, and who is held back is told.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_reactor::Reactor;
use ringlog_wire::{
    Acks, Encoder, ErrorCode, HelloRequest, MetadataRequest, ProduceResponse, TopicSelection,
};

use crate::client::{Client, batch_of, partition, wanted};
use crate::world::World;

fn ask() -> Bytes {
    let request = MetadataRequest {
        topics: TopicSelection::All,
    };
    Encoder::new()
        .encode(ringlog_wire::CorrelationId::new(1), &request)
        .unwrap()
}

/// Asks as much as the broker takes, and reads nothing.
async fn ask_and_never_read(reactor: Reactor) {
    let (client, _) = Client::connect(&reactor, None).await;
    let asks = vec![ask(); 32];
    while client.stream.send(&mut asks.clone()).await.is_ok() {}
}

/// Sends a byte a second, until the broker has enough of it.
async fn creep(reactor: Reactor) {
    let client = Client::raw(&reactor).await;
    for byte in ask() {
        let byte = Bytes::copy_from_slice(&[byte]);
        if client.stream.send(&mut vec![byte]).await.is_err() {
            return;
        }
        reactor.sleep(Duration::from_secs(1)).await;
    }
}

/// Connects and vanishes, over and over.
async fn vanish(reactor: Reactor, times: Rc<Cell<u32>>) {
    loop {
        let client = Client::raw(&reactor).await;
        if times.get().is_multiple_of(2) {
            let hello = HelloRequest::new(None, "gone");
            let hello = Encoder::new().encode(ringlog_wire::CorrelationId::new(1), &hello);
            client.send_bytes(&hello.unwrap()).await;
        }
        times.set(times.get() + 1);
        reactor.sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_well_behaved_producer_gets_all_answers_among_a_hostile_crowd() {
    let world = World::new(80, 1);
    world.start();
    let vanished = Rc::new(Cell::new(0));
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
    });
    let idle = Rc::new(Cell::new(0));
    let count = Rc::clone(&idle);
    world
        .sim
        .launch_local(world.client, move |reactor| async move {
            let mut crowd = Vec::new();
            for _ in 0..200 {
                crowd.push(Client::connect(&reactor, None).await);
                count.set(crowd.len());
            }
            std::future::pending::<()>().await;
        });
    let patience = Duration::from_secs(60);
    assert!(world.sim.run_until(patience, || idle.get() == 200));
    world.sim.launch_local(world.client, ask_and_never_read);
    world.sim.launch_local(world.client, creep);
    let times = Rc::clone(&vanished);
    world
        .sim
        .launch_local(world.client, move |reactor| vanish(reactor, times));
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let id = partition(&client.topic("events").await, 0);
        let began = reactor.now();
        for offset in 0..2_000 {
            let produced = client.produce(id, &[b"value"]).await;
            assert_eq!(
                (produced.error, produced.base_offset),
                (ErrorCode::None, offset)
            );
            reactor.sleep(Duration::from_millis(50)).await;
        }
        assert!(reactor.now().since(began) < Duration::from_secs(300));
        let found = client.fetch(&[wanted(id, 1_999)], 1, 0).await;
        assert_eq!(found[0].values, [b"value"]);
    });
    assert!(vanished.get() > 1_000, "{} vanished", vanished.get());
}

#[test]
fn who_sends_more_than_the_broker_takes_is_told_how_long_it_was_held_back() {
    let world = World::new(81, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let id = partition(&client.topic("events").await, 0);
        let throttle_ms = |frame: &crate::client::Frame| {
            let response = ProduceResponse::decode(frame.body()).unwrap();
            let error = response.partitions().next().unwrap().error;
            assert_eq!(error, ErrorCode::None);
            response.throttle_ms()
        };
        let batch = batch_of(&[b"value"]);
        for _ in 0..10 {
            client.send_produce(id, &batch, Acks::All).await;
            let answer = client.receive().await.unwrap();
            assert_eq!(throttle_ms(&answer), 0, "one at a time is never held back");
        }
        let began = reactor.now();
        for _ in 0..1_000 {
            client.send_produce(id, &batch, Acks::All).await;
        }
        let mut sum_ms = 0;
        for _ in 0..1_000 {
            sum_ms += u64::from(throttle_ms(&client.receive().await.unwrap()));
        }
        assert!(sum_ms > 0, "a thousand at a time are");
        // Each is rounded up.
        let took_ms = reactor.now().since(began).as_millis();
        assert!(
            u128::from(sum_ms) <= took_ms + 1_000,
            "{sum_ms} ms of {took_ms}"
        );
    });
}
