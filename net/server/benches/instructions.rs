//! A client and a broker on the simulated driver, for counting the instructions of a request: they are the same in each
//! run, whatever else the machine does.
//!
//! ```sh
//! cargo bench -p ringlog-server --bench instructions --no-run
//! valgrind --tool=callgrind target/release/deps/instructions-… produce 1024 1 4000
//! ```
//!
//! What is asked for (`produce` or `fetch`), bytes of a value, records of a batch, and requests; of two runs with different
//! numbers of requests the difference counts.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails for whoever runs it"
)]

#[path = "../tests/it/client.rs"]
#[expect(dead_code, reason = "tests ask for more")]
mod client;
#[path = "../tests/it/world.rs"]
#[expect(dead_code, reason = "tests ask for more")]
mod world;

use ringlog_wire::Acks;

use self::client::{Client, batch_of, partition, wanted};
use self::world::World;

/// Requests until the cache is full, in which each takes a chunk: from then on memory is used again.
const WARM_UP: u64 = 3_500;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let kind = next("produce");
    let value_bytes: usize = next("1024").parse().unwrap();
    let records: usize = next("1").parse().unwrap();
    // Cargo itself passes `--bench`.
    let requests: u64 = next("1000").parse().unwrap();
    let world = World::new(1, 1);
    let _running = world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let topic = client.topic("events").await;
        let id = partition(&topic, 0);
        let value = vec![7; value_bytes];
        let batch = batch_of(&vec![&value[..]; records]);
        for _ in 0..WARM_UP {
            client.send_produce(id, &batch, Acks::All).await;
            client.receive().await.expect("an answer");
        }
        for _ in 0..requests {
            if kind == "fetch" {
                let last = (WARM_UP - 1) * records as u64;
                client.fetch(&[wanted(id, last)], 1, 0).await;
            } else {
                client.send_produce(id, &batch, Acks::All).await;
                client.receive().await.expect("an answer");
            }
        }
    });
}
