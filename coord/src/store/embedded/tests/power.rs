//! The store on a device that keeps nothing until it is synced, when the power goes at each sync in turn.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_executor::block_on;
use redb::{Database, StorageBackend};

use super::super::file::MetadataFile;
use super::super::{EmbeddedStore, OpenError};
use crate::store::conformance::{create, path, set};
use crate::store::{MetadataStore, MultiError, SessionStatus, StoreError};

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

#[derive(Debug, Default)]
struct Disk {
    /// What the processor sees.
    seen: Vec<u8>,
    /// What is on the device for certain.
    synced: Vec<u8>,
    /// What may or may not be.
    unsynced: Vec<Change>,
    syncs_left: usize,
}

#[derive(Debug, Clone, Default)]
struct Device(Arc<Mutex<Disk>>);

impl Device {
    fn holding(bytes: Vec<u8>, syncs_left: usize) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            seen: bytes.clone(),
            synced: bytes,
            unsynced: Vec::new(),
            syncs_left,
        })))
    }

    /// What is found after the power went: some of the changes that were not synced are there.
    fn after_power_loss(&self, mut seed: u64) -> Vec<u8> {
        let disk = self.0.lock().unwrap();
        let mut bytes = disk.synced.clone();
        for change in &disk.unsynced {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if seed >> 63 == 0 {
                change.apply(&mut bytes);
            }
        }
        bytes
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.syncs_left == 0 {
            return Err(io::Error::other("no power"));
        }
        change.apply(&mut disk.seen);
        disk.unsynced.push(change);
        Ok(())
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl StorageBackend for Device {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.0.lock().unwrap().seen.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let from = index(offset);
        let found = disk.seen.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(index(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.syncs_left <= 1 {
            disk.syncs_left = 0;
            return Err(io::Error::other("no power"));
        }
        disk.syncs_left -= 1;
        disk.synced = disk.seen.clone();
        disk.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(index(offset), data.to_vec()))
    }
}

fn open(device: &Device) -> Result<EmbeddedStore, OpenError> {
    let name = Path::new("device");
    let database = Database::builder().create_with_backend(device.clone());
    let database = database.map_err(|error| OpenError::Damaged {
        path: name.to_owned(),
        reason: error.to_string(),
    })?;
    EmbeddedStore::serve(MetadataFile::load_from(name, database)?)
}

/// Sets `/n` to 1, 2, 3, … and returns the last number that was acknowledged.
async fn count_up(store: &EmbeddedStore, from: u32, to: u32) -> u32 {
    for number in from..=to {
        let ops = vec![set("/n", &number.to_string(), Some(number - 1))];
        if let Err(error) = store.multi(ops).await {
            assert!(matches!(error, MultiError::Unknown { .. }), "{error}");
            return number - 1;
        }
    }
    to
}

async fn read_number(store: &EmbeddedStore) -> u32 {
    let node = store.read(&path("/n")).await.unwrap().unwrap();
    let number = String::from_utf8(node.data).unwrap().parse().unwrap();
    assert_eq!(node.stat.version.get(), number);
    number
}

/// A device with a store that holds `/n` = 0.
fn prepared() -> Vec<u8> {
    let device = Device::holding(Vec::new(), usize::MAX);
    let store = open(&device).unwrap();
    block_on(store.multi(vec![create("/n", "0")])).unwrap();
    drop(store);
    device.after_power_loss(0)
}

#[test]
fn what_was_acknowledged_survives_a_power_loss_at_any_sync() {
    const WRITES: u32 = 8;
    let before = prepared();
    let mut losses = 0;
    for syncs in 1.. {
        let device = Device::holding(before.clone(), syncs);
        let acknowledged = match open(&device) {
            Ok(store) => block_on(count_up(&store, 1, WRITES)),
            Err(_) => 0,
        };
        for seed in 0..8 {
            let found = Device::holding(device.after_power_loss(seed), usize::MAX);
            let store = open(&found).unwrap();
            let number = block_on(read_number(&store));
            assert!(
                number == acknowledged || number == acknowledged + 1,
                "sync {syncs}, seed {seed}: {number} after {acknowledged} was acknowledged"
            );
            assert_eq!(
                block_on(count_up(&store, number + 1, number + 3)),
                number + 3
            );
            losses += 1;
        }
        if acknowledged == WRITES {
            break;
        }
    }
    assert!(losses >= 64, "{losses}");
}

#[test]
fn a_failed_commit_is_unknown_and_ends_the_store() {
    let before = prepared();
    block_on(async {
        let device = Device::holding(before, usize::MAX);
        let store = open(&device).unwrap();
        let seen = store.session();
        device.0.lock().unwrap().syncs_left = 1;
        let failed = store.multi(vec![set("/n", "1", Some(0))]).await;
        assert!(
            matches!(failed, Err(MultiError::Unknown { .. })),
            "{failed:?}"
        );
        assert!(matches!(
            store.read(&path("/n")).await,
            Err(StoreError::Failed { .. })
        ));
        let refused = store.multi(vec![set("/n", "1", Some(0))]).await;
        assert!(matches!(
            refused,
            Err(MultiError::NotDone(StoreError::Failed { .. }))
        ));
        assert_eq!(
            store.session_changed(&seen).await.status,
            SessionStatus::Ended
        );
    });
}
