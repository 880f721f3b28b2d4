//! A broker whose metadata is in ZooKeeper.

mod access;

use std::path::Path;
use std::time::Duration;

use ringlog_coord::controller::registered_brokers;
use ringlog_coord::store::{ZooKeeperAccess, ZooKeeperStore};
use ringlog_zookeeper::{Ensemble, Proxy, Server};

use crate::process::{Broker, Start, directory};

fn root(address: std::net::SocketAddr) -> String {
    format!("{address}/deep/ringlog")
}

/// The brokers that anybody who asks ZooKeeper finds, with their addresses.
fn registered(server: &Server) -> Vec<(u32, Vec<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let address = root(server.address()).parse().unwrap();
        let seconds = Duration::from_secs(30);
        let access = ZooKeeperAccess::default();
        let store = ZooKeeperStore::connect(&address, &access, seconds, seconds)
            .await
            .unwrap();
        let brokers = registered_brokers(&store).await.unwrap();
        let brokers = brokers.into_iter();
        brokers
            .map(|(id, live)| (id.get(), live.registration.addresses))
            .collect()
    })
}

fn broker_on(zookeeper: &str, directory: &Path) -> Broker {
    let start = Start {
        args: &["--zookeeper", zookeeper, "--broker-id", "1"],
        ..Start::new(directory)
    };
    start.broker()
}

fn consume(broker: &Broker) -> Vec<u8> {
    broker.ok(&["consume", "events", "--until-end"])
}

#[test]
fn a_broker_keeps_its_metadata_in_zookeeper_and_comes_back_to_it() {
    let server = Server::start().unwrap();
    let zookeeper = root(server.address());
    let directory = directory();
    let args = ["--zookeeper", &zookeeper, "--broker-id", "7"];
    let start = Start {
        args: &args,
        ..Start::new(directory.path())
    };
    let broker = start.broker();
    assert_eq!(registered(&server), [(7, vec![broker.address.to_string()])]);
    broker.ok(&["topic", "create", "events", "--partitions", "3"]);
    broker.run(&["produce", "events"], b"one\n").ok();

    // Another data directory may not take its number.
    let other = crate::process::directory();
    Start {
        args: &args,
        ..Start::new(other.path())
    }
    .refused(1, &["broker 7 is already running"]);

    // Its old session lives on: it is its own, and is taken over at once.
    broker.kill();
    assert_eq!(registered(&server).len(), 1);
    let broker = start.broker();
    assert_eq!(registered(&server), [(7, vec![broker.address.to_string()])]);
    assert_eq!(consume(&broker), b"one\n");

    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(registered(&server).is_empty(), "{log}");
}

#[test]
fn a_broker_serves_while_zookeeper_is_away_and_registers_anew_when_its_session_is_over() {
    let server = Server::start().unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let zookeeper = root(proxy.address());
    let directory = directory();
    let broker = broker_on(&zookeeper, directory.path());
    broker.ok(&["topic", "create", "events"]);
    proxy.cut();
    broker.run(&["produce", "events"], b"cut\n").ok();
    broker.wait_for_log("the session with the metadata store has ended");
    broker.run(&["produce", "events"], b"served\n").ok();
    assert_eq!(consume(&broker), b"cut\nserved\n");

    proxy.open();
    broker.wait_for_log("the broker is registered anew");
    // The answer comes when it has taken its partitions again.
    broker.ok(&["topic", "create", "later"]);
    broker.run(&["produce", "events"], b"again\n").ok();
    assert_eq!(consume(&broker), b"cut\nserved\nagain\n");
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_broker_serves_without_a_quorum_of_zookeeper_and_changes_topics_again_with_it() {
    let mut ensemble = Ensemble::start(3).unwrap();
    let zookeeper = format!("{}/ringlog", ensemble.addresses());
    let directory = directory();
    let broker = broker_on(&zookeeper, directory.path());
    broker.ok(&["topic", "create", "events"]);
    ensemble.kill(0);
    broker.ok(&["topic", "create", "with-two"]);
    ensemble.kill(1);
    broker.run(&["produce", "events"], b"without\n").ok();
    broker.wait_for_log("the session with the metadata store has ended");
    let create = ["topic", "create", "with-one"];
    broker.run(&create, b"").refused(1, &["not_controller"]);
    broker.run(&["produce", "events"], b"still\n").ok();

    ensemble.restart(&[0, 1]).unwrap();
    broker.wait_for_log("the broker is registered anew");
    broker.ok(&["topic", "create", "with-three"]);
    broker.run(&["produce", "events"], b"with\n").ok();
    assert_eq!(consume(&broker), b"without\nstill\nwith\n");
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_zookeeper_that_comes_back_empty_costs_no_data() {
    let mut server = Server::start().unwrap();
    let zookeeper = root(server.address());
    let directory = directory();
    let broker = broker_on(&zookeeper, directory.path());
    broker.ok(&["topic", "create", "events"]);
    broker.run(&["produce", "events"], b"kept\n").ok();
    server.lose().unwrap();
    server.restart().unwrap();
    broker.wait_for_log("bring its data back");
    assert!(registered(&server).is_empty());
    broker.run(&["produce", "events"], b"served\n").ok();
    assert_eq!(consume(&broker), b"kept\nserved\n");
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
    let topics = std::fs::read_dir(crate::process::data_of(directory.path()).join("topics"));
    assert_eq!(topics.unwrap().count(), 1);
}

#[test]
fn settings_of_zookeeper_that_cannot_be_used_are_refused() {
    let directory = directory();
    let refused = |args: &[&str], said: &[&str]| {
        Start {
            args,
            ..Start::new(directory.path())
        }
        .refused(2, said);
    };
    refused(&["--zookeeper", "127.0.0.1:2181/r"], &["--broker-id"]);
    refused(
        &["--zookeeper", "127.0.0.1", "--broker-id", "1"],
        &["--zookeeper", "not host:port"],
    );
}
