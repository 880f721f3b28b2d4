//! Files and directories.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::limits::BLOCK_BYTES;
use crate::op::{FileKind, OpenOptions, SyncKind};

const NEW_DIRECT: OpenOptions = OpenOptions {
    read: true,
    write: true,
    create: true,
    create_new: false,
    truncate: false,
    direct: true,
};

fn aligned(content: &[u8]) -> Bytes {
    let mut buf = AlignedBuf::unpooled(content.len());
    buf[..content.len()].copy_from_slice(content);
    buf.freeze(content.len())
}

fn create(rig: &mut Rig, path: &Path) -> Handle {
    rig.handle(Op::Open {
        path: path.to_owned(),
        options: NEW_DIRECT,
    })
    .expect("the file opens")
}

fn read_all(rig: &mut Rig, file: Handle, position: u64, len: usize) -> Vec<u8> {
    let buf = AlignedBuf::unpooled(len);
    let output = rig.run(Op::ReadAt {
        file,
        position,
        buf,
        at: 0,
        len,
    });
    let (read, buf) = Rig::buffer(output);
    buf[..read.expect("the read succeeds")].to_vec()
}

#[test]
fn a_direct_file_is_read_back_as_written() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    let mut rig = Rig::new();
    let file = create(&mut rig, &path);
    rig.unit(Op::Allocate {
        file,
        len_bytes: 1 << 20,
    })
    .unwrap();
    let content = pattern(64 * BLOCK_BYTES, 7);
    let written = rig.run(Op::WriteAt {
        file,
        position: 4096,
        data: aligned(&content),
    });
    assert_eq!(Rig::count(written).unwrap(), content.len());
    rig.unit(Op::Sync {
        file,
        kind: SyncKind::Data,
    })
    .unwrap();
    rig.unit(Op::Sync {
        file,
        kind: SyncKind::All,
    })
    .unwrap();
    assert_eq!(read_all(&mut rig, file, 4096, content.len()), content);
    let (read, buf) = Rig::buffer(rig.run(Op::ReadAt {
        file,
        position: 4096,
        buf: AlignedBuf::unpooled(4 * BLOCK_BYTES),
        at: BLOCK_BYTES,
        len: 2 * BLOCK_BYTES,
    }));
    assert_eq!(read.unwrap(), 2 * BLOCK_BYTES);
    assert_eq!(
        buf[BLOCK_BYTES..3 * BLOCK_BYTES],
        content[..2 * BLOCK_BYTES]
    );
    assert!(buf[..BLOCK_BYTES].iter().all(|&byte| byte == 0));
    assert!(buf[3 * BLOCK_BYTES..].iter().all(|&byte| byte == 0));
    assert_eq!(
        read_all(&mut rig, file, 1 << 20, 4096),
        b"",
        "the end of the file"
    );
    rig.unit(Op::Truncate {
        file,
        len_bytes: 8192,
    })
    .unwrap();
    rig.unit(Op::Close { handle: file }).unwrap();
    assert_eq!(std::fs::read(&path).unwrap()[4096..], content[..4096]);
}

#[test]
fn directories_are_made_listed_renamed_and_removed() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::new();
    let sub = dir.path().join("sub");
    rig.unit(Op::Mkdir { path: sub.clone() }).unwrap();
    let file = create(&mut rig, &sub.join("b"));
    rig.unit(Op::Allocate {
        file,
        len_bytes: 12_288,
    })
    .unwrap();
    rig.unit(Op::Close { handle: file }).unwrap();
    rig.unit(Op::Mkdir {
        path: sub.join("a"),
    })
    .unwrap();
    rig.unit(Op::SyncDir { path: sub.clone() }).unwrap();
    let Output::Entries(entries) = rig.run(Op::ListDir { path: sub.clone() }) else {
        panic!("entries")
    };
    let entries: Vec<_> = entries
        .unwrap()
        .into_iter()
        .map(|e| (e.name, e.kind, e.len_bytes))
        .collect();
    let expected = [
        ("a".to_owned(), FileKind::Directory, 0),
        ("b".to_owned(), FileKind::File, 12_288),
    ];
    assert_eq!(entries, expected);
    rig.unit(Op::Rename {
        from: sub.join("b"),
        to: sub.join("c"),
    })
    .unwrap();
    let Output::Stat(stat) = rig.run(Op::Stat {
        path: sub.join("c"),
    }) else {
        panic!("stat")
    };
    let stat = stat.unwrap();
    assert_eq!(
        (stat.len_bytes, stat.allocated_bytes, stat.kind),
        (12_288, 12_288, FileKind::File)
    );
    let modified = UNIX_EPOCH + Duration::from_millis(stat.modified_ms.cast_unsigned());
    let since = modified.elapsed().unwrap();
    assert!(since < Duration::from_secs(600), "{since:?}");
    assert_eq!(
        rig.unit(Op::Rmdir { path: sub.clone() })
            .unwrap_err()
            .kind(),
        io::ErrorKind::DirectoryNotEmpty
    );
    rig.unit(Op::Unlink {
        path: sub.join("c"),
    })
    .unwrap();
    rig.unit(Op::Rmdir {
        path: sub.join("a"),
    })
    .unwrap();
    rig.unit(Op::Rmdir { path: sub.clone() }).unwrap();
    assert!(!sub.exists());
}

#[test]
fn errors_carry_what_the_system_said() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::new();
    let missing = dir.path().join("missing");
    let open = rig.handle(Op::Open {
        path: missing.clone(),
        options: OpenOptions::default(),
    });
    assert_eq!(open.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(
        rig.unit(Op::SyncDir {
            path: missing.clone()
        })
        .unwrap_err()
        .kind(),
        io::ErrorKind::NotFound
    );
    let Output::Stat(stat) = rig.run(Op::Stat {
        path: missing.clone(),
    }) else {
        panic!("stat")
    };
    assert_eq!(stat.unwrap_err().kind(), io::ErrorKind::NotFound);
    let Output::Entries(entries) = rig.run(Op::ListDir { path: missing }) else {
        panic!("entries")
    };
    assert_eq!(entries.unwrap_err().kind(), io::ErrorKind::NotFound);
    let zero = rig.unit(Op::Unlink {
        path: "a\0b".into(),
    });
    assert_eq!(zero.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    let bad = rig.unit(Op::Sync {
        file: Handle(-5),
        kind: SyncKind::Data,
    });
    assert_eq!(bad.unwrap_err().raw_os_error(), Some(libc::EBADF));
    let bad = rig.unit(Op::Truncate {
        file: Handle(-5),
        len_bytes: 0,
    });
    assert_eq!(bad.unwrap_err().raw_os_error(), Some(libc::EBADF));
}

#[test]
fn create_new_refuses_an_existing_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    let mut rig = Rig::new();
    let options = OpenOptions {
        create_new: true,
        write: true,
        ..OpenOptions::default()
    };
    rig.handle(Op::Open {
        path: path.clone(),
        options,
    })
    .unwrap();
    let again = rig.handle(Op::Open { path, options });
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_lock_is_exclusive_and_ends_with_its_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("lock");
    let options = OpenOptions {
        write: true,
        create: true,
        ..OpenOptions::default()
    };
    let mut rig = Rig::new();
    let first = rig
        .handle(Op::Open {
            path: path.clone(),
            options,
        })
        .unwrap();
    let second = rig.handle(Op::Open { path, options }).unwrap();
    rig.unit(Op::TryLock { file: first }).unwrap();
    assert_eq!(
        rig.unit(Op::TryLock { file: second }).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    rig.unit(Op::Close { handle: first }).unwrap();
    rig.unit(Op::TryLock { file: second }).unwrap();
}

#[test]
fn space_of_a_file_system_is_told() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::new();
    let Output::Space(space) = rig.run(Op::SpaceOf {
        path: dir.path().to_owned(),
    }) else {
        panic!("space")
    };
    let space = space.unwrap();
    assert!(
        space.available_bytes > 0 && space.available_bytes <= space.total_bytes,
        "{space:?}"
    );
}

#[test]
fn closing_a_file_does_not_redirect_a_truncate_that_is_on_its_way() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::new();
    let victim_path = dir.path().join("victim");
    std::fs::write(&victim_path, pattern(8192, 1)).unwrap();
    for round in 0..50 {
        let path = dir.path().join(format!("{round}"));
        let file = create(&mut rig, &path);
        let truncate = rig.submit(Op::Truncate { file, len_bytes: 0 });
        rig.unit(Op::Close { handle: file }).unwrap();
        let options = OpenOptions {
            write: true,
            ..OpenOptions::default()
        };
        let victim = rig
            .handle(Op::Open {
                path: victim_path.clone(),
                options,
            })
            .unwrap();
        let Output::Unit(result) = rig.wait_for(truncate) else {
            panic!("unit")
        };
        result.unwrap();
        rig.unit(Op::Close { handle: victim }).unwrap();
    }
    assert_eq!(std::fs::metadata(&victim_path).unwrap().len(), 8192);
}

#[test]
fn dropping_the_driver_takes_back_what_is_in_flight() {
    let dir = TempDir::new().unwrap();
    let pool = crate::buf::BufferPool::new(64 << 20);
    let mut rig = Rig::new();
    let file = create(&mut rig, &dir.path().join("file"));
    rig.unit(Op::Allocate {
        file,
        len_bytes: 16 << 20,
    })
    .unwrap();
    for i in 0..16 {
        let buf = pool.get(1 << 20).unwrap();
        rig.submit(Op::WriteAt {
            file,
            position: i << 20,
            data: buf.freeze(1 << 20),
        });
        rig.submit(Op::Sync {
            file,
            kind: SyncKind::Data,
        });
    }
    rig.submit(Op::SyncDir {
        path: dir.path().to_owned(),
    });
    rig.submit(Op::ListDir {
        path: dir.path().to_owned(),
    });
    rig.turn(Wait::Poll);
    let start = std::time::Instant::now();
    drop(rig);
    assert!(
        start.elapsed() < Duration::from_millis(RING_DRAIN_MS),
        "everything came back in time"
    );
}
