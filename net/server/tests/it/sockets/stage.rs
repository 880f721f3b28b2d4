//! Brokers to be asked: on the simulated driver, and on rings and loopback sockets.

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

use crate::world::World;

/// What a scene is played with.
pub(crate) struct Scene {
    pub(crate) reactor: Reactor,
    pub(crate) address: SocketAddr,
    pub(crate) broker: BrokerHandle,
}

/// Something that a client does, on either stage.
pub(crate) type Play = fn(Scene) -> LocalBoxFuture<'static, ()>;

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

/// Plays on simulated brokers of so many shards, with some seeds.
#[expect(clippy::print_stdout, reason = "a test that fails tells its seed")]
pub(crate) fn on_sim(shards: u16, play: Play) {
    for seed in 1..=3 {
        println!("seed {seed}");
        let world = World::new(seed, shards);
        let running = world.start();
        let broker = running.handle.clone();
        let address = World::address();
        world.client(move |reactor| {
            play(Scene {
                reactor,
                address,
                broker,
            })
        });
        let broker = running.handle.clone();
        if world.client(|_| async move { broker.health().await.is_ok() }) {
            world.stop(running);
        }
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

/// Plays on a real broker of so many shards.
pub(crate) fn on_uring(shards: u16, play: Play) {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path().join("data"), "127.0.0.1:0", shards);
    let platform = UringPlatform::new();
    let parts = ringlog_server::start(&platform, config, bulk()).unwrap();
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
    let client = platform.launch(
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

/// Plays on both.
pub(crate) fn on_all(shards: u16, play: Play) {
    on_sim(shards, play);
    on_uring(shards, play);
}
