use std::collections::BTreeSet;

use bytes::Bytes;

use super::*;
use crate::op::SyncKind;

/// A disk whose operations are begun and finished by hand.
struct Rig {
    disk: Disk,
    chance: Chance,
    handles: i64,
}

impl Rig {
    fn new(seed: u64) -> Self {
        Self {
            disk: Disk::new(1 << 30),
            chance: Chance::new(seed),
            handles: 0,
        }
    }

    fn begin(&mut self, op: Op) -> DiskToken {
        self.disk.begin(op, &mut self.chance).0
    }

    fn finish(&mut self, token: DiskToken) -> Output {
        self.handles += 1;
        self.disk
            .finish(token, Handle(self.handles), 0, &mut self.chance)
            .unwrap()
    }

    fn run(&mut self, op: Op) -> Output {
        let token = self.begin(op);
        self.finish(token)
    }

    fn unit(&mut self, op: Op) -> io::Result<()> {
        match self.run(op) {
            Output::Unit(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, path: &str) -> Handle {
        let options = OpenOptions {
            read: true,
            write: true,
            create: true,
            ..OpenOptions::default()
        };
        match self.run(Op::Open {
            path: path.into(),
            options,
        }) {
            Output::Handle(result) => result.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn write_op(file: Handle, position: u64, fill: u8, len: usize) -> Op {
        Op::WriteAt {
            file,
            position,
            data: Bytes::from(vec![fill; len]),
        }
    }

    fn write(&mut self, file: Handle, position: u64, fill: u8, len: usize) -> io::Result<usize> {
        match self.run(Self::write_op(file, position, fill, len)) {
            Output::Count(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn sync(&mut self, file: Handle) -> io::Result<()> {
        self.unit(Op::Sync {
            file,
            kind: SyncKind::Data,
        })
    }

    fn sync_dir(&mut self, path: &str) {
        self.unit(Op::SyncDir { path: path.into() }).unwrap();
    }

    fn crash(&mut self) {
        self.disk.crash(CrashKind::Power, &mut self.chance);
    }

    fn content(&self, path: &str) -> Vec<u8> {
        self.disk.read_file(Path::new(path)).unwrap()
    }

    /// A durable file of so many bytes of this value.
    fn durable_file(&mut self, path: &str, fill: u8, len: usize) -> Handle {
        let file = self.open(path);
        self.write(file, 0, fill, len).unwrap();
        self.sync(file).unwrap();
        self.sync_dir("/");
        file
    }
}

#[test]
fn what_was_synced_survives_and_what_was_not_may_not() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 4096);
        rig.write(file, 0, 2, 512).unwrap();
        assert_eq!(rig.content("a")[0], 2);
        rig.crash();
        let content = rig.content("a");
        assert_eq!(content.len(), 4096);
        assert!(content[512..].iter().all(|&byte| byte == 1));
        assert!(content.iter().all(|&byte| byte == 1 || byte == 2));
        seen.insert((content[0], content[511]));
    }
    assert!(seen.contains(&(1, 1)) && seen.contains(&(2, 2)), "{seen:?}");
    assert!(
        seen.contains(&(2, 1)) || seen.contains(&(1, 2)),
        "a torn sector: {seen:?}"
    );
}

#[test]
fn a_sync_does_not_cover_a_write_that_completed_after_its_submission() {
    let mut lost = 0;
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 512);
        let write = rig.begin(Rig::write_op(file, 0, 2, 512));
        let sync = rig.begin(Op::Sync {
            file,
            kind: SyncKind::Data,
        });
        rig.finish(write);
        rig.finish(sync);
        rig.crash();
        lost += usize::from(rig.content("a")[0] == 1);
    }
    assert!(lost > 0);
}

#[test]
fn a_completed_sync_covers_every_write_before_it() {
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 4096);
        rig.write(file, 100, 2, 3000).unwrap();
        rig.sync(file).unwrap();
        rig.crash();
        let content = rig.content("a");
        assert!(content[100..3100].iter().all(|&byte| byte == 2));
        assert_eq!((content[99], content[3100]), (1, 1));
    }
}

#[test]
fn any_unsynced_version_of_a_sector_may_survive() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 512);
        rig.write(file, 0, 2, 512).unwrap();
        rig.write(file, 0, 3, 512).unwrap();
        rig.crash();
        seen.insert(rig.content("a")[0]);
    }
    assert_eq!(seen, BTreeSet::from([1, 2, 3]));
}

#[test]
fn overlapping_writes_in_flight_land_in_any_order() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 1024);
        let older = rig.begin(Rig::write_op(file, 0, 2, 1024));
        let newer = rig.begin(Rig::write_op(file, 0, 3, 1024));
        rig.finish(older);
        rig.finish(newer);
        rig.sync(file).unwrap();
        let before = rig.content("a");
        rig.crash();
        assert_eq!(
            rig.content("a"),
            before,
            "both were durable, in the order in which they landed"
        );
        seen.insert((before[0], before[512]));
    }
    assert_eq!(seen, BTreeSet::from([(2, 2), (2, 3), (3, 2), (3, 3)]));
}

#[test]
fn a_write_in_flight_at_the_crash_may_land_in_part() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 1024);
        rig.begin(Rig::write_op(file, 0, 2, 1024));
        rig.crash();
        let content = rig.content("a");
        seen.insert((content[0], content[1023]));
    }
    assert_eq!(seen, BTreeSet::from([(1, 1), (1, 2), (2, 1), (2, 2)]));
}

#[test]
fn the_length_of_an_extended_file_is_volatile() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 512);
        rig.write(file, 512, 2, 512).unwrap();
        rig.crash();
        let content = rig.content("a");
        assert!(content[..512].iter().all(|&byte| byte == 1));
        seen.insert(content.len());
    }
    assert_eq!(seen, BTreeSet::from([512, 1024]));
}

#[test]
fn a_truncation_is_lost_or_kept_as_a_whole() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 8192);
        rig.unit(Op::Truncate {
            file,
            len_bytes: 600,
        })
        .unwrap();
        rig.crash();
        let content = rig.content("a");
        assert!(content.iter().all(|&byte| byte == 1));
        seen.insert(content.len());
    }
    assert_eq!(seen, BTreeSet::from([600, 8192]));
}

#[test]
fn a_truncated_part_reads_as_zeros_when_the_file_grows_again() {
    let mut rig = Rig::new(1);
    let file = rig.durable_file("a", 1, 8192);
    rig.unit(Op::Truncate {
        file,
        len_bytes: 600,
    })
    .unwrap();
    rig.unit(Op::Allocate {
        file,
        len_bytes: 8192,
    })
    .unwrap();
    rig.sync(file).unwrap();
    rig.crash();
    let content = rig.content("a");
    assert_eq!(content.len(), 8192);
    assert!(content[..600].iter().all(|&byte| byte == 1));
    assert!(content[600..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_created_file_needs_its_directory_synced() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.open("a");
        rig.write(file, 0, 1, 512).unwrap();
        rig.sync(file).unwrap();
        rig.crash();
        seen.insert(rig.disk.read_file(Path::new("a")).is_ok());
    }
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn a_rename_is_never_half_kept_and_is_durable_after_a_directory_sync() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        rig.durable_file("a", 1, 512);
        rig.durable_file("b", 2, 512);
        rig.unit(Op::Rename {
            from: "a".into(),
            to: "b".into(),
        })
        .unwrap();
        if seed % 2 == 0 {
            rig.sync_dir("/");
        }
        rig.crash();
        let renamed = rig.content("b")[0] == 1;
        assert_eq!(rig.disk.read_file(Path::new("a")).is_err(), renamed);
        assert!(renamed || seed % 2 == 1);
        seen.insert(renamed);
    }
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn an_unsynced_unlink_may_come_back() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        rig.durable_file("a", 1, 512);
        rig.unit(Op::Unlink { path: "a".into() }).unwrap();
        rig.crash();
        seen.insert(rig.disk.read_file(Path::new("a")).is_ok());
    }
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn a_lost_directory_takes_its_files_along() {
    let mut lost = 0;
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        rig.unit(Op::Mkdir { path: "d".into() }).unwrap();
        let file = rig.open("d/a");
        rig.write(file, 0, 1, 512).unwrap();
        rig.sync(file).unwrap();
        rig.sync_dir("d");
        rig.crash();
        match rig.disk.list_dir(Path::new("d")) {
            Ok(entries) => assert_eq!(entries.len(), 1),
            Err(_) => lost += 1,
        }
    }
    assert!(lost > 0);
}

#[test]
fn the_death_of_the_process_alone_keeps_what_was_written_and_keeps_it_volatile() {
    let mut lost = 0;
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 512);
        rig.write(file, 0, 2, 512).unwrap();
        rig.disk.crash(CrashKind::Process, &mut rig.chance);
        assert_eq!(rig.content("a")[0], 2);
        rig.crash();
        lost += usize::from(rig.content("a")[0] == 1);
    }
    assert!(lost > 0);
}

#[test]
fn an_injected_failure_strikes_as_often_as_asked() {
    let mut rig = Rig::new(1);
    let file = rig.durable_file("dir-a", 1, 512);
    let fault = DiskFault {
        op: FaultyOp::Write,
        path_contains: "dir-a".to_owned(),
        trigger: FaultTrigger::After(1),
        effect: FaultEffect::Error(io::ErrorKind::Other),
    };
    rig.disk.inject(fault);
    rig.write(file, 0, 2, 512).unwrap();
    let error = rig.write(file, 0, 3, 512).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    rig.write(file, 0, 4, 512).unwrap();
}

#[test]
fn a_sync_after_a_failed_one_does_not_bring_the_data_back() {
    let mut lost = 0;
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 512);
        rig.write(file, 0, 2, 512).unwrap();
        rig.disk.inject(DiskFault {
            op: FaultyOp::Sync,
            path_contains: "a".to_owned(),
            trigger: FaultTrigger::Next(1),
            effect: FaultEffect::Error(io::ErrorKind::Other),
        });
        rig.sync(file).unwrap_err();
        rig.sync(file).unwrap();
        assert_eq!(rig.content("a")[0], 2);
        rig.crash();
        lost += usize::from(rig.content("a")[0] == 1);
    }
    assert!(lost > 0);
}

#[test]
fn a_full_disk_refuses_growth_and_takes_overwrites() {
    let mut rig = Rig::new(1);
    rig.disk.set_capacity(8192);
    let file = rig.open("a");
    rig.write(file, 0, 1, 8192).unwrap();
    assert_eq!(
        rig.write(file, 8192, 1, 1).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    let grown = rig.unit(Op::Allocate {
        file,
        len_bytes: 8193,
    });
    assert_eq!(grown.unwrap_err().kind(), io::ErrorKind::StorageFull);
    rig.write(file, 0, 2, 8192).unwrap();
    rig.unit(Op::Unlink { path: "a".into() }).unwrap();
    assert_eq!(
        rig.disk.space().available_bytes,
        0,
        "an open file keeps its space"
    );
    rig.unit(Op::Close { handle: file }).unwrap();
    assert_eq!(rig.disk.space().available_bytes, 8192);
}

#[test]
fn a_lock_is_held_until_the_file_is_closed_or_the_node_dies() {
    let mut rig = Rig::new(1);
    let first = rig.open("lock");
    let second = rig.open("lock");
    rig.unit(Op::TryLock { file: first }).unwrap();
    rig.unit(Op::TryLock { file: first }).unwrap();
    assert_eq!(
        rig.unit(Op::TryLock { file: second }).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    rig.unit(Op::Close { handle: first }).unwrap();
    rig.unit(Op::TryLock { file: second }).unwrap();
    rig.sync_dir("/");
    rig.crash();
    let third = rig.open("lock");
    rig.unit(Op::TryLock { file: third }).unwrap();
}

#[test]
#[should_panic(expected = "not aligned")]
fn direct_writes_must_be_aligned() {
    let mut rig = Rig::new(1);
    let options = OpenOptions {
        write: true,
        create: true,
        direct: true,
        ..OpenOptions::default()
    };
    let Output::Handle(Ok(file)) = rig.run(Op::Open {
        path: "a".into(),
        options,
    }) else {
        panic!()
    };
    rig.write(file, 512, 1, 4096).unwrap();
}

#[test]
fn an_operation_that_hangs_may_have_happened_when_the_process_dies() {
    let mut landed = 0;
    for seed in 0..64 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 512);
        rig.disk.inject(DiskFault {
            op: FaultyOp::Write,
            path_contains: "a".to_owned(),
            trigger: FaultTrigger::Next(1),
            effect: FaultEffect::Hang,
        });
        let (_, delay) = rig
            .disk
            .begin(Rig::write_op(file, 0, 2, 512), &mut rig.chance);
        assert_eq!(delay, None);
        assert_eq!(rig.content("a")[0], 1);
        rig.disk.crash(CrashKind::Process, &mut rig.chance);
        landed += usize::from(rig.content("a")[0] == 2);
    }
    assert!((1..64).contains(&landed));
}

#[test]
fn a_bit_that_is_turned_over_stays_so_through_a_loss_of_power_and_is_mended_by_the_same() {
    for seed in 0..32 {
        let mut rig = Rig::new(seed);
        let file = rig.durable_file("a", 1, 1_024);
        rig.write(file, 0, 2, 1_024).unwrap();
        rig.disk.flip_bit(Path::new("/a"), 600, 3).unwrap();
        assert_eq!(rig.content("a")[600], 2 ^ 8);
        rig.crash();
        let content = rig.content("a");
        assert!([1 ^ 8, 2 ^ 8].contains(&content[600]));
        rig.disk.flip_bit(Path::new("/a"), 600, 3).unwrap();
        assert!([1, 2].contains(&rig.content("a")[600]));
    }
}

#[test]
fn a_read_with_a_flipped_bit_leaves_the_medium_as_it_is() {
    let mut rig = Rig::new(1);
    let file = rig.durable_file("a", 1, 512);
    rig.disk.inject(DiskFault {
        op: FaultyOp::Read,
        path_contains: "a".to_owned(),
        trigger: FaultTrigger::Next(1),
        effect: FaultEffect::FlipBit,
    });
    let mut read = || {
        let op = Op::ReadAt {
            file,
            position: 0,
            buf: crate::buf::AlignedBuf::unpooled(512),
            at: 0,
            len: 512,
        };
        match rig.run(op) {
            Output::Buf(Ok(512), buf) => buf[..512].iter().filter(|&&byte| byte != 1).count(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((read(), read()), (1, 0));
    assert_eq!(rig.disk.stats.flipped_reads, 1);
}
