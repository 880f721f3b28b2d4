//! A real broker in this process, on rings and loopback sockets.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ringlog_client::{Client, ClientConfig};
use ringlog_coord::store::MemoryStore;
use ringlog_log::NoBulkFiles;
use ringlog_reactor::{CoreHandle, UringPlatform};
use ringlog_server::{BrokerConfig, BrokerHandle, BulkFactory, Surroundings};
use tempfile::TempDir;

/// Metadata without a clock: what the broker does is prompted by what happens.
struct Timeless(MemoryStore);

impl Surroundings for Timeless {
    type Store = MemoryStore;

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(std::future::pending())
    }

    fn open(&self) -> Pin<Box<dyn Future<Output = Result<MemoryStore, String>>>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// A broker; it stops when this is dropped.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    handle: BrokerHandle,
    control: Option<JoinHandle<()>>,
    cores: Vec<CoreHandle>,
    _directory: TempDir,
}

impl Broker {
    /// A broker of two shards that tells clients an address, or its own.
    pub(crate) fn start(advertised: Option<String>) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let shards = NonZeroU16::new(2).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = BrokerConfig {
            shards,
            advertised,
            memory_bytes: BrokerConfig::memory_bytes_min(shards),
            ..BrokerConfig::new(directory.path().join("data"), listen)
        };
        let bulk: BulkFactory = Arc::new(|_| Rc::new(NoBulkFiles));
        let parts = ringlog_server::start(&UringPlatform::new(), config, bulk).unwrap();
        let control = parts.control;
        let control = std::thread::spawn(move || {
            futures_executor::block_on(control.run(Timeless(MemoryStore::new()))).unwrap();
        });
        Self {
            address: futures_executor::block_on(parts.ready).unwrap(),
            handle: parts.handle,
            control: Some(control),
            cores: parts.cores,
            _directory: directory,
        }
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&[self.bootstrap()], ClientConfig::default())
            .await
            .unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(futures_executor::block_on(self.handle.shutdown()));
        if let Some(control) = self.control.take() {
            control.join().unwrap();
        }
        for core in self.cores.drain(..) {
            core.join().unwrap();
        }
    }
}
