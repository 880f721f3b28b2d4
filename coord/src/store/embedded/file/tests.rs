use redb::{Database, ReadableDatabase};
use tempfile::TempDir;

use super::*;

#[test]
fn golden_bytes_of_a_node() {
    let node = Node {
        data: b"{}".to_vec(),
        stat: Stat {
            czxid: Zxid::new(0x0102),
            mzxid: Zxid::new(3),
            version: Version::new(4),
            ephemeral_owner: None,
        },
    };
    let bytes = b"\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0{}";
    assert_eq!(encode(&node), bytes);
    assert_eq!(decode(bytes), Some(node));
    assert_eq!(decode(&bytes[..19]), None);
}

fn write_format(path: &Path, format: u64) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(COUNTERS)
        .unwrap()
        .insert("format", format)
        .unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_newer_format_is_refused_with_both_numbers_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("metadata.redb");
    write_format(&path, 2);
    let error = MetadataFile::open(&path).map(drop).unwrap_err();
    assert!(matches!(
        error,
        OpenError::NewerFormat {
            found: 2,
            supported: 1,
            ..
        }
    ));
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_read().unwrap();
    let counters = transaction.open_table(COUNTERS).unwrap();
    assert_eq!(counters.get("format").unwrap().unwrap().value(), 2);
    assert!(counters.get("last_session").unwrap().is_none());
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("metadata.redb");
    std::fs::write(&path, b"something else entirely").unwrap();
    let error = MetadataFile::open(&path).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"something else entirely");
}

#[test]
fn a_damaged_page_is_an_error_not_a_panic() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("metadata.redb");
    let Opened {
        file,
        tree,
        session,
    } = MetadataFile::open(&path).unwrap_or_else(|error| panic!("{error}"));
    let data = vec![b'x'; 3000];
    let op = super::super::MetaOp::Create {
        path: NodePath::root().join("a"),
        data: data.clone(),
    };
    let staged = tree.stage(session, &[op]).unwrap();
    file.commit(&staged).unwrap();
    drop(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes
        .windows(data.len())
        .position(|window| window == data)
        .unwrap();
    bytes[at + 1000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = MetadataFile::open(&path).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn what_a_crash_left_of_the_first_open_is_no_hindrance() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("metadata.redb");
    std::fs::write(directory.path().join("metadata.redb.new"), vec![0; 10_000]).unwrap();
    let opened = MetadataFile::open(&path).unwrap_or_else(|error| panic!("{error}"));
    drop(opened);
    let names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["metadata.redb"]);
}
