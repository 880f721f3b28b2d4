//! More connections than a broker takes.

use std::time::Duration;

use ringlog_server::BrokerHandle;

use super::client::Client;
use super::wire::{Stop, wrong};

/// Longest time that the crowd stays, in microseconds.
const STAY_US_MAX: u64 = 2_000;
/// Longest pause before it comes again, in microseconds.
const PAUSE_US_MAX: u64 = 4_000;

/// Comes and goes for ever: so many try to connect, one after the other, and those that are taken stay a while. No
/// shard ever has more connections than `shard_max`.
pub(crate) async fn crowd(client: Client, handle: BrokerHandle, size: u64, shard_max: u64) {
    loop {
        if let Err(Stop::Violation(violation)) = come(&client, &handle, size, shard_max).await {
            client.knowledge.borrow_mut().check(Err(violation));
            return;
        }
        client.pause(PAUSE_US_MAX).await;
    }
}

async fn come(
    client: &Client,
    handle: &BrokerHandle,
    size: u64,
    shard_max: u64,
) -> Result<(), Stop> {
    let mut taken = Vec::new();
    for _ in 0..size {
        match client.connect().await {
            Ok(connection) => taken.push(connection),
            Err(Stop::Gone) => client.knowledge.borrow_mut().met.connections_refused += 1,
            Err(stop) => return Err(stop),
        }
    }
    // A broker that stops does not say.
    let shards = handle.metrics().await.unwrap_or_default();
    for shard in shards {
        if shard.connections > shard_max {
            let what = format!("{} connections, and {shard_max} at most", shard.connections);
            return Err(wrong(0, what));
        }
    }
    let stay = Duration::from_micros(client.random_below(STAY_US_MAX));
    client.reactor.sleep(stay).await;
    Ok(())
}
