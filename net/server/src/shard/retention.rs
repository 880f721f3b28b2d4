//! What a shard looks at from time to time: the age and size of its partitions, and the space of the file system.

use std::rc::{Rc, Weak};
use std::time::Duration;

use ringlog_record::ShardId;

use super::Shard;
use crate::limits::SPACE_INTERVAL;

impl Shard {
    /// Starts looking.
    pub(crate) fn start_retention(self: &Rc<Self>, interval: Duration) {
        let look = retain(Rc::downgrade(self), interval);
        self.reactor.spawn("retention", look).detach();
        // One shard looks for all: the gauge is shared.
        if self.me == ShardId::new(0) {
            let look = measure_space(Rc::downgrade(self));
            self.reactor.spawn("space", look).detach();
        }
    }
}

async fn retain(shard: Weak<Shard>, interval: Duration) {
    loop {
        let Some(reactor) = shard.upgrade().map(|shard| shard.reactor.clone()) else {
            return;
        };
        reactor.sleep(interval).await;
        let Some(shard_now) = shard.upgrade() else {
            return;
        };
        if shard_now.is_draining() {
            continue;
        }
        shard_now.forget_stale_offsets().await;
        let partitions = shard_now.open_now();
        drop(shard_now);
        for partition in partitions {
            if partition.has_ended() {
                continue;
            }
            match partition.apply_retention().await {
                Ok(0) => {}
                Ok(removed) => {
                    tracing::debug!(partition = %partition.id(), removed, "segments were removed");
                }
                Err(error) => {
                    tracing::warn!(partition = %partition.id(), %error, "retention was not applied");
                }
            }
        }
    }
}

async fn measure_space(shard: Weak<Shard>) {
    loop {
        let Some(shard_now) = shard.upgrade() else {
            return;
        };
        let (reactor, gauge) = (shard_now.reactor.clone(), shard_now.env.space.clone());
        let data_dir = shard_now.data_dir.clone();
        drop(shard_now);
        match reactor.space_of(&data_dir).await {
            Ok(space) => {
                let had_room = gauge.has_room();
                gauge.update(space);
                if had_room != gauge.has_room() {
                    let available_bytes = space.available_bytes;
                    tracing::warn!(
                        available_bytes,
                        takes_appends = gauge.has_room(),
                        "the free space of the data directory crossed its reserve"
                    );
                }
            }
            Err(error) => tracing::debug!(%error, "the free space cannot be told"),
        }
        reactor.sleep(SPACE_INTERVAL).await;
    }
}
