//! A broker on rings and loopback sockets, and a core beside it that plays its client.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use ringlog_coord::store::MemoryStore;
use ringlog_log::NoBulkFiles;
use ringlog_reactor::{CoreSpec, Platform, Reactor, UringPlatform};
use ringlog_server::{BrokerConfig, BrokerHandle, BulkFactory, Surroundings};

/// What a scene is played with.
pub(crate) struct Scene {
    pub(crate) reactor: Reactor,
    pub(crate) address: SocketAddr,
    pub(crate) broker: BrokerHandle,
}

fn bulk() -> BulkFactory {
    Arc::new(|_| Rc::new(NoBulkFiles))
}

fn config(data_dir: PathBuf, listen: &str, shards: u16) -> BrokerConfig {
    let shards = NonZeroU16::new(shards).unwrap();
    BrokerConfig {
        shards,
        memory_bytes: BrokerConfig::memory_bytes_min(shards),
        ..BrokerConfig::new(data_dir, listen.parse().unwrap())
    }
}

/// Without a clock: what the broker does is prompted by what happens.
struct Timeless(MemoryStore);

impl Surroundings for Timeless {
    type Store = MemoryStore;

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> LocalBoxFuture<'static, ()> {
        futures_util::future::pending().boxed_local()
    }

    fn open(&self) -> LocalBoxFuture<'static, Result<MemoryStore, String>> {
        futures_util::future::ready(Ok(self.0.clone())).boxed_local()
    }
}

/// Plays on a real broker of so many shards, whose cores `platform` starts.
pub(crate) fn play(
    platform: &impl Platform,
    shards: u16,
    play: impl FnOnce(Scene) -> LocalBoxFuture<'static, ()> + Send + 'static,
) {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path().join("data"), "127.0.0.1:0", shards);
    let parts = ringlog_server::start(platform, config, bulk()).unwrap();
    let control = parts.control;
    let control = std::thread::spawn(move || {
        futures_executor::block_on(control.run(Timeless(MemoryStore::new()))).unwrap();
    });
    let address = futures_executor::block_on(parts.ready).unwrap();
    let spec = CoreSpec {
        name: "client".to_owned(),
        cpu: None,
        spin: Duration::ZERO,
        pool_bytes: 256 << 20,
    };
    let broker = parts.handle.clone();
    let client = UringPlatform::new().launch(
        spec,
        Box::new(move |reactor| {
            play(Scene {
                reactor,
                address,
                broker,
            })
        }),
    );
    client.unwrap().join().unwrap();
    // The play may have stopped it.
    drop(futures_executor::block_on(parts.handle.shutdown()));
    control.join().unwrap();
    for core in parts.cores {
        core.join().unwrap();
    }
}
