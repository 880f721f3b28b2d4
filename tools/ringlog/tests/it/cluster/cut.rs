//! A broker whose link to ZooKeeper, and to all others, is cut.

use std::thread;
use std::time::{Duration, Instant};

use ringlog_client::{Admin, AdminError, Client, ClientConfig, ErrorCode};
use serde_json::Value;

use super::{Cluster, PARTITIONS, PATIENCE, PAUSE};

impl Cluster {
    /// A broker's answer about the cluster.
    fn status(&self, asked: u32) -> Value {
        let status = ["cluster", "status", "--output", "json"];
        self.broker(asked).run(&status, b"").json()
    }

    /// Produces a line to a partition, with the client beside its leader on the far side.
    fn produce_at_far(&self, partition: usize, line: &str) {
        let args = ["produce", "events", "--partition", &partition.to_string()];
        let line = format!("{line}\n");
        self.at_far(|| self.broker(1).run(&args, line.as_bytes()))
            .ok();
    }

    /// What the broker on the far side says when it is to make a topic.
    fn create_at_far(&self, name: &str) -> Result<(), AdminError> {
        let address = self.broker(1).address.to_string();
        self.at_far(|| {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let config = ClientConfig {
                    request_timeout: Duration::from_millis(500),
                    ..ClientConfig::default()
                };
                let client = Client::connect(&[address], config).await?;
                let created = Admin::new(&client).create_topic(name, 1, Vec::new()).await;
                created.map(drop)
            })
        })
    }
}

#[test]
fn a_controller_that_is_cut_off_serves_what_it_leads_governs_no_more_and_comes_back_by_itself() {
    let cluster = Cluster::with_link();
    let create = ["topic", "create", "events", "--partitions", "6"];
    cluster.broker(2).ok(&create);
    let home = cluster.leaders(2);
    assert_eq!(cluster.status(2)["controller"], 1);
    let own = home.iter().position(|leader| *leader == Some(1)).unwrap();
    cluster.produce(3, "before");

    cluster.cut();
    let began = Instant::now();
    cluster.produce_at_far(own, "cut off");
    // Its lease ends half a session after the last write that ZooKeeper answered: before others can take over.
    loop {
        match cluster.create_at_far("governed") {
            Err(error) if error.code() == ErrorCode::NotController => break,
            other => assert!(began.elapsed() < PATIENCE, "{other:?}"),
        }
    }
    println!(
        "link cut: the controller governs no more after {:?}",
        began.elapsed()
    );
    // What only it has, nobody else can acknowledge: it serves on without a lease.
    cluster.produce_at_far(own, "without a lease");
    loop {
        let status = cluster.status(2);
        let others = [Value::from(2), Value::from(3)];
        let is_known = status["brokers"].as_array().unwrap().len() == 2;
        if is_known && others.contains(&status["controller"]) {
            assert_eq!(status["offline"].as_array().unwrap().len(), 2, "{status}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{status}");
        thread::sleep(PAUSE);
    }
    println!(
        "link cut: another controller, and all know what is offline, after {:?}",
        began.elapsed()
    );
    cluster.broker(3).ok(&["topic", "create", "meanwhile"]);
    cluster.produce_at_far(own, "without a session");

    cluster.mend();
    cluster.settled("link mended", &home);
    cluster
        .broker(1)
        .wait_for_log("the broker is registered anew");
    cluster.produce(2, "after");
    let lines = cluster.lines(3);
    for (line, count) in [
        ("before", PARTITIONS),
        ("cut off", 1),
        ("without a lease", 1),
        ("without a session", 1),
        ("after", PARTITIONS),
    ] {
        assert_eq!(lines.get(line), Some(&count), "{line}: {lines:?}");
    }
    // It knows what was done without it.
    let described = ["topic", "describe", "meanwhile"];
    cluster.broker(1).ok(&described);
    assert_ne!(cluster.status(1)["controller"], 1);
}
