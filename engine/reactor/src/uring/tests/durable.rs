//! Writes with the sync that is linked to them.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::limits::{BLOCK_BYTES, RING_ENTRIES};
use crate::op::OpenOptions;

fn open(rig: &mut Rig, path: &Path, write: bool) -> Handle {
    let options = OpenOptions {
        read: true,
        write,
        create: write,
        ..OpenOptions::default()
    };
    rig.handle(Op::Open {
        path: path.to_owned(),
        options,
    })
    .expect("the file opens")
}

fn write_sync(file: Handle, block: usize, byte: u8) -> Op {
    Op::WriteSync {
        file,
        position: (block * BLOCK_BYTES) as u64,
        data: Bytes::from(vec![byte; BLOCK_BYTES]),
    }
}

#[test]
fn a_durable_write_ends_once_and_is_read_back() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    let mut rig = Rig::new();
    let file = open(&mut rig, &path, true);
    let before = rig.driver.counts();
    rig.unit(write_sync(file, 1, 7)).unwrap();
    let after = rig.driver.counts();
    assert_eq!(after.submissions - before.submissions, 2);
    assert_eq!(
        after.completions - before.completions,
        1,
        "a write that went well is silent"
    );
    let content = std::fs::read(&path).unwrap();
    assert_eq!(content[BLOCK_BYTES..], [7; BLOCK_BYTES]);
}

#[test]
fn a_durable_write_is_one_submission_where_the_device_writes_through() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    let mut rig = Rig::with(UringConfig {
        writes_through: true,
        ..UringConfig::default()
    });
    let file = open(&mut rig, &path, true);
    let before = rig.driver.counts().submissions;
    rig.unit(write_sync(file, 1, 7)).unwrap();
    assert_eq!(rig.driver.counts().submissions - before, 1);
    assert_eq!(
        std::fs::read(&path).unwrap()[BLOCK_BYTES..],
        [7; BLOCK_BYTES]
    );
    let unwritable = open(&mut rig, &path, false);
    let error = Rig::count(rig.run(write_sync(unwritable, 0, 1))).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn a_write_that_fails_is_told_as_such_and_nothing_follows() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, b"").unwrap();
    let mut rig = Rig::new();
    let file = open(&mut rig, &path, false);
    for _ in 0..3 {
        let error = Rig::count(rig.run(write_sync(file, 0, 1))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
    // The slot is free: a second answer would be taken for that of whatever comes next.
    rig.turn_for(Duration::from_millis(50));
    assert!(rig.done.is_empty(), "{:?}", rig.done);
    assert_eq!(rig.driver.in_flight, 0);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
}

#[test]
fn a_sync_that_fails_is_told_as_such() {
    let mut rig = Rig::new();
    // What can be written and not be synced.
    let file = open(&mut rig, Path::new("/dev/null"), true);
    let error = rig.unit(write_sync(file, 0, 1)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    assert_eq!(rig.driver.in_flight, 0);
}

#[test]
fn more_than_the_queue_takes_all_end() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::new();
    let file = open(&mut rig, &dir.path().join("file"), true);
    let count = RING_ENTRIES as usize + 7;
    // Odd ones out: pairs that would not fit the queue as a whole.
    rig.submit(Op::Stat {
        path: dir.path().to_owned(),
    });
    let mut waiting: BTreeSet<OpId> = (0..count)
        .map(|block| rig.submit(write_sync(file, block % 16, 3)))
        .collect();
    let end = rig.driver.now() + Duration::from_secs(60);
    while !waiting.is_empty() {
        assert!(rig.driver.now() < end, "{} did not end", waiting.len());
        rig.turn(Wait::Until(Some(end)));
        for Completion { id, output } in rig.done.drain(..) {
            if waiting.remove(&id) {
                assert!(matches!(output, Output::Unit(Ok(()))), "{output:?}");
            }
        }
    }
    rig.turn_for(Duration::from_millis(10));
    assert!(rig.done.is_empty());
}

#[test]
fn dropping_the_driver_takes_durable_writes_back() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::new();
    let file = open(&mut rig, &dir.path().join("file"), true);
    for block in 0..64 {
        rig.submit(write_sync(file, block, 9));
    }
    rig.turn(Wait::Poll);
    let start = std::time::Instant::now();
    drop(rig);
    assert!(
        start.elapsed() < Duration::from_millis(RING_DRAIN_MS),
        "everything came back in time"
    );
}
