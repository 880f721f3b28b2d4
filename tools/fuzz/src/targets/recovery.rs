//! The whole directory of a log, opened on a simulated disk: checkpoint, index, two segments, prepared file.
//!
//! The input is one length for each file, and their bytes. A length of `ABSENT` says that the file is not there.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_log::{
    CacheBudget, Durability, Log, LogConfig, LogEnv, NoBulkFiles, OpenError, ReadError,
    ReadRequest, SpaceGauge,
};
use ringlog_reactor::sim::{CrashKind, NodeId, SimConfig, SimWorld};
use ringlog_reactor::{OpenOptions, Reactor};
use ringlog_record::batch::batches;
use ringlog_record::{LeaderEpoch, Offset};

use super::batch::{build, seal as seal_batches};
use crate::Target;
use crate::script::Script;

/// See the module.
pub const TARGET: Target = Target {
    name: "recovery",
    run: recovery,
    samples,
    seal,
    // Windows on segments, of 4 MiB where a batch is as large, and the simulated disk.
    memory_bytes_max: 96 << 20,
    rounds: 3_000,
};

const DIRECTORY: &str = "/log";
const SEGMENT_BYTES: u64 = 1 << 20;
/// Where the second segment of the samples begins.
const SECOND_BASE: u64 = 6;
const ABSENT: u32 = u32::MAX;
const FILES: [&str; 5] = [
    "checkpoint",
    "00000000000000000000.log",
    "00000000000000000000.index",
    "00000000000000000006.log",
    "next",
];
/// Virtual time that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

type Contents = [Option<Vec<u8>>; FILES.len()];

/// Opening ends, and either refuses, leaving the segments as they were, or gives a log of which every offset is served
/// soundly or said to be damaged, that takes a batch and still has it after a crash.
pub fn recovery(data: &[u8]) -> bool {
    let contents = parse(data);
    let disk = Disk::new(&contents);
    // Without a first segment it is to be in memory: whatever else is there, and if it is empty.
    let durability = match contents[1] {
        Some(_) => Durability::Sync,
        None => Durability::Memory,
    };
    let first = disk.open_and_use(durability);
    disk.world.crash(disk.node, CrashKind::Process);
    let is_served = matches!(first, Opened::Used { .. });
    match first {
        Opened::Corrupt => {
            for (name, content) in FILES.iter().zip(&contents) {
                let found = disk.world.read_file(disk.node, &path_of(name)).ok();
                if name.ends_with(".log") && found.as_ref() != content.as_ref() {
                    panic!("{name} was changed by an open that refused it");
                }
            }
        }
        Opened::Refused => {}
        Opened::Used {
            end,
            durability: was,
        } => match disk.open_and_use(durability) {
            Opened::Used { end: again, .. } if was == Durability::Memory => {
                assert!(again > end, "an offset is given out twice");
            }
            Opened::Used { end: again, .. } => assert_eq!(again.get(), end.get() + 1),
            other => panic!("a log that was used does not open again: {other:?}"),
        },
    }
    is_served
}

/// What came of opening a log, and appending a batch of one record.
#[derive(Debug)]
enum Opened {
    Corrupt,
    Refused,
    Used { end: Offset, durability: Durability },
}

struct Disk {
    world: SimWorld,
    node: NodeId,
}

impl Disk {
    fn new(contents: &Contents) -> Self {
        let world = SimWorld::new(1, SimConfig::default());
        let node = world.add_node();
        let made = world.make_dir_all(node, Path::new(DIRECTORY));
        assert!(made.is_ok());
        let disk = Self { world, node };
        for (name, content) in FILES.iter().zip(contents) {
            if let Some(content) = content {
                disk.write(path_of(name), content.clone());
            }
        }
        disk
    }

    fn write(&self, path: PathBuf, content: Vec<u8>) {
        let written = self.run(move |reactor| async move {
            let options = OpenOptions {
                write: true,
                create: true,
                ..OpenOptions::default()
            };
            let file = reactor.open(&path, options).await?;
            if !content.is_empty() {
                file.write_at(0, Bytes::from(content)).await?;
            }
            file.sync_all().await?;
            reactor.sync_dir(Path::new(DIRECTORY)).await
        });
        assert!(written.is_ok());
    }

    fn run<T: 'static, F: Future<Output = T> + 'static>(
        &self,
        main: impl FnOnce(Reactor) -> F + 'static,
    ) -> T {
        match self.world.block_on(self.node, PATIENCE, main) {
            Some(result) => result,
            None => panic!("it does not end"),
        }
    }

    fn open_and_use(&self, durability: Durability) -> Opened {
        self.run(move |reactor| async move {
            let bulk = Rc::new(NoBulkFiles);
            let env = LogEnv::new(reactor, bulk, CacheBudget::new(1 << 20), SpaceGauge::new());
            let config = LogConfig {
                durability,
                segment_bytes: SEGMENT_BYTES,
                ..LogConfig::default()
            };
            let (log, report) = match Log::open(env, PathBuf::from(DIRECTORY), config).await {
                Ok(opened) => opened,
                Err(OpenError::Corrupt(_)) => return Opened::Corrupt,
                Err(_) => return Opened::Refused,
            };
            assert!(report.log_start <= report.log_end && report.log_end <= Offset::MAX);
            assert!(report.high_watermark <= report.log_end);
            read_all(&log).await;
            let (end, durability) = (log.log_end(), log.durability());
            match append(&log).await {
                true => Opened::Used { end, durability },
                false => Opened::Refused,
            }
        })
    }
}

/// Reads from every place where a reader may begin, and goes on behind what is damaged.
async fn read_all(log: &Log) {
    let (start, end) = (log.log_start(), log.log_end());
    let mut offset = start;
    let mut reads = 0;
    while offset < end {
        reads += 1;
        if reads > 64 {
            return;
        }
        let request = ReadRequest {
            offset,
            max_bytes: 4_096,
            limit: end,
        };
        match log.read(request).await {
            Ok(data) => match check(&data.slices, offset) {
                Some(next) => offset = next,
                None => return,
            },
            Err(ReadError::Corrupt { .. }) => offset = offset.next(),
            Err(error) => panic!("a read at {offset} of {start}..{end}: {error}"),
        }
    }
}

/// Whole batches that hold `offset` and follow one another; gives the offset behind them.
fn check(slices: &[Bytes], offset: Offset) -> Option<Offset> {
    let mut next: Option<Offset> = None;
    for batch in slices.iter().flat_map(|slice| batches(slice)) {
        let Ok(batch) = batch else {
            panic!("part of a batch was served");
        };
        assert!(batch.crc_is_valid(), "a damaged batch was served");
        match next {
            Some(next) => assert_eq!(batch.base_offset(), next),
            None => assert!(batch.base_offset() <= offset && batch.last_offset() >= offset),
        }
        next = Some(batch.last_offset().next());
    }
    next
}

/// Appends a batch of one record, durably, and reads it; false when the log has no offsets or epochs left.
async fn append(log: &Log) -> bool {
    let epoch = log.epochs().latest().unwrap_or(LeaderEpoch::new(0));
    let Some(epoch) = epoch.get().checked_add(1) else {
        return false;
    };
    if log.begin_epoch(LeaderEpoch::new(epoch)).await.is_err() {
        return false;
    }
    let batch = build(&[b"appended"], 0);
    let Ok(appended) = log.append(&batch, LeaderEpoch::new(epoch)) else {
        return false;
    };
    let flushed = log.flush().await;
    assert!(flushed.is_ok(), "{flushed:?}");
    let request = ReadRequest {
        offset: appended.base_offset,
        max_bytes: 4_096,
        limit: appended.log_end,
    };
    let Ok(read) = log.read(request).await else {
        panic!("what was appended cannot be read");
    };
    assert_eq!(
        check(&read.slices, appended.base_offset),
        Some(appended.log_end)
    );
    true
}

fn path_of(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

fn parse(data: &[u8]) -> Contents {
    let mut script = Script(data);
    let lens = FILES.map(|_| script.word());
    lens.map(|len| {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        (len != ABSENT as usize).then(|| script.take(len).to_vec())
    })
}

fn join(contents: &Contents) -> Vec<u8> {
    let len = |content: &Option<Vec<u8>>| {
        let len = content.as_ref().map(Vec::len);
        len.and_then(|len| u32::try_from(len).ok())
            .unwrap_or(ABSENT)
    };
    let mut input: Vec<u8> = contents
        .iter()
        .flat_map(|one| len(one).to_le_bytes())
        .collect();
    for content in contents.iter().flatten() {
        input.extend_from_slice(content);
    }
    input
}

/// Makes the checksums of all files right again.
fn seal(data: &mut [u8]) {
    const SLOT_BYTES: usize = ringlog_log::limits::CHECKPOINT_SLOT_BYTES;
    let mut script = Script(data);
    let lens = FILES.map(|_| script.word());
    let mut at = 4 * FILES.len();
    for (name, len) in FILES.iter().zip(lens) {
        let len = if len == ABSENT { 0 } else { len };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let end = at.saturating_add(len).min(data.len());
        let file = &mut data[at.min(end)..end];
        match *name {
            "checkpoint" => file
                .chunks_mut(SLOT_BYTES)
                .for_each(ringlog_log::fuzz::seal),
            _ if name.ends_with(".index") => ringlog_log::fuzz::seal(file),
            _ => seal_batches(file),
        }
        at = end;
    }
}

/// Batches as they lie in a segment of epoch 3.
fn segment_of(first: u64, batches: u64) -> Vec<u8> {
    let batches = (first..first + batches).map(|offset| build(&[b"some value"], offset));
    batches.flatten().collect()
}

fn padded(mut bytes: Vec<u8>, len: usize) -> Vec<u8> {
    bytes.resize(len, 0);
    bytes
}

fn samples() -> Vec<Vec<u8>> {
    let first = segment_of(0, SECOND_BASE);
    let second = segment_of(SECOND_BASE, 4);
    let sizes = [first.len(), second.len()];
    let index = ringlog_log::fuzz::index_of(0, SECOND_BASE, sizes[0]);
    let checkpoint = |is_clean: bool, end: u64, position: usize| {
        ringlog_log::fuzz::checkpoint_of(is_clean, SECOND_BASE, end, position)
    };
    let crashed: Contents = [
        Some(checkpoint(false, SECOND_BASE + 2, sizes[1] / 2)),
        Some(padded(first.clone(), 4_096)),
        Some(index.clone()),
        Some(padded(second.clone(), 4_096)),
        Some(vec![0; 4_096]),
    ];
    let closed: Contents = [
        Some(checkpoint(true, SECOND_BASE + 4, sizes[1])),
        Some(first.clone()),
        Some(index),
        Some(padded(second.clone(), 8_192)),
        None,
    ];
    let fresh: Contents = [None, Some(padded(first.clone(), 4_096)), None, None, None];
    let rolled: Contents = [None, Some(first), None, None, Some(padded(second, 4_096))];
    let in_memory: Contents = [
        Some(ringlog_log::fuzz::checkpoint_in_memory(50)),
        None,
        None,
        None,
        None,
    ];
    // It came to memory, or left it, when the crash came.
    let moving: Contents = [
        Some(ringlog_log::fuzz::checkpoint_in_memory(50)),
        Some(vec![0; 4_096]),
        None,
        None,
        Some(vec![0; 4_096]),
    ];
    let nothing: Contents = [const { None }; FILES.len()];
    let all = [crashed, closed, fresh, rolled, in_memory, moving, nothing];
    all.iter().map(join).collect()
}
