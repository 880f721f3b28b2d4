//! Each example, run against a real broker.

use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;

use crate::broker::Broker;

#[path = "../../examples/custom_partitioner.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod custom_partitioner;
#[path = "../../examples/http_gateway.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod http_gateway;
#[path = "../../examples/pass_through.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod pass_through;
#[path = "../../examples/produce_consume.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod produce_consume;

#[tokio::test]
async fn what_is_produced_is_consumed() {
    let broker = Broker::start(None);
    let mut out = Vec::new();
    produce_consume::run(&broker.bootstrap(), "events", &mut out)
        .await
        .unwrap();
    let out = String::from_utf8(out).unwrap();
    for number in 0..10 {
        let read = out.lines().filter(|line| line.starts_with("read"));
        let value = format!(": record {number}");
        assert_eq!(read.filter(|line| line.ends_with(&value)).count(), 1);
    }
    assert_eq!(out.matches("all_durable").count(), 10, "{out}");
}

#[tokio::test]
async fn a_function_chooses_the_partition() {
    let broker = Broker::start(None);
    let mut out = Vec::new();
    custom_partitioner::run(&broker.bootstrap(), "orders", &mut out)
        .await
        .unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.lines().count(), 5);
    for line in out.lines() {
        let is_first = line.ends_with("partition 0");
        assert_eq!(is_first, line.starts_with("premium-"), "{line}");
    }
}

#[tokio::test]
async fn batches_are_passed_through_whole() {
    let broker = Broker::start(None);
    let mut out = Vec::new();
    pass_through::run(&broker.bootstrap(), "foreign", &mut out)
        .await
        .unwrap();
    let out = String::from_utf8(out).unwrap();
    for partition in 0..3_u32 {
        let records = partition + 1;
        for part in [
            format!(
                "partition {partition}: stored at 0 (all_durable), high watermark {records}, leader epoch "
            ),
            format!("partition {partition}: a batch of {records} records"),
        ] {
            assert!(out.contains(&part), "{part:?} is not in: {out}");
        }
    }
    assert_eq!(out.matches("Some(Lz4)").count(), 3, "{out}");
}

/// An HTTP request, off the runtime: status and body.
async fn http(method: &'static str, url: String, body: &'static str) -> (u16, String) {
    let asked = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut response = match method {
            "POST" => agent.post(url).send(body).unwrap(),
            _ => agent.get(url).call().unwrap(),
        };
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), text)
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn the_http_gateway_posts_records_and_waits_for_them() {
    let broker = Broker::start(None);
    let client = broker.client().await;
    ringlog_client::Admin::new(&client)
        .create_topic("events", 1, Vec::new())
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/topics", listener.local_addr().unwrap());
    let bootstrap = broker.bootstrap();
    let serving = async move {
        let served = http_gateway::serve(&bootstrap, listener).await;
        served.map_err(|error| error.to_string())
    };
    let asking = async {
        let parse = |(status, body): (u16, String)| -> Value {
            assert_eq!(status, 200, "{body}");
            serde_json::from_str(&body).unwrap()
        };
        // A reader waits before there is anything.
        let wait = http("GET", format!("{base}/events/0?offset=0&wait_ms=60000"), "");
        let post = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            http("POST", format!("{base}/events?key=k"), "hello").await
        };
        let (read, posted) = tokio::join!(wait, post);
        let (read, posted) = (parse(read), parse(posted));
        assert_eq!(posted["offset"], 0);
        assert_eq!(posted["level"], "all_durable");
        assert_eq!(read["records"][0]["value"], "hello");
        assert_eq!(read["records"][0]["key"], "k");
        assert_eq!(read["next_offset"], 1);
        let (status, body) = http("POST", format!("{base}/nothing"), "x").await;
        assert_eq!(status, 404, "{body}");
        let (status, body) = http("GET", format!("{base}/events/0?offset=99"), "").await;
        assert_eq!(status, 416, "{body}");
        let (status, _) = http("GET", format!("{base}/events/7"), "").await;
        assert_eq!(status, 404);
    };
    tokio::select! {
        ended = serving => panic!("the gateway ended: {ended:?}"),
        () = asking => {}
    }
}
