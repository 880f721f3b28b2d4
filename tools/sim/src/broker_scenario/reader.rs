//! A reader: long polls over several partitions at once, each from where it stands.

use ringlog_record::{LeaderEpoch, Offset};
use ringlog_wire::{ErrorCode, FetchPartition};

use super::client::{Client, Fetched, fetch_draft, fetched};
use super::knowledge::{Existence, Partition};
use super::wire::{Connection, Stop, wrong};
use crate::violation::Violation;

/// Most partitions in one fetch.
const PARTITIONS_MAX: u64 = 4;
/// Longest wait of a fetch in milliseconds.
const WAIT_MS_MAX: u64 = 20;

/// What a fetch asked for, and what was known then.
struct Asked {
    name: String,
    index: u32,
    wanted: FetchPartition,
    known: (LeaderEpoch, u64),
}

/// Reads until the connection is gone.
pub(crate) async fn read(client: &Client, mut connection: Connection) -> Result<(), Stop> {
    loop {
        let asked = choose(client);
        if asked.is_empty() {
            client.pause(1_000).await;
            continue;
        }
        let wanted: Vec<FetchPartition> = asked.iter().map(|asked| asked.wanted).collect();
        let wait_ms = u32::try_from(client.random_below(WAIT_MS_MAX)).unwrap_or(0);
        let frame = connection.call(&fetch_draft(&wanted, wait_ms)).await?;
        if frame.is_refused()? {
            client.pause(1_000).await;
            continue;
        }
        let found = fetched(&frame)?;
        if found.len() != asked.len() {
            return Err(wrong(0, "a fetch was answered with other partitions"));
        }
        for (asked, found) in asked.iter().zip(found) {
            take(client, asked, found)?;
        }
        client.pause(400).await;
    }
}

fn choose(client: &Client) -> Vec<Asked> {
    let count = 1 + client.random_below(PARTITIONS_MAX);
    let mut asked: Vec<Asked> = Vec::new();
    for _ in 0..count {
        let random = client.reactor.random_u64();
        let knowledge = &mut *client.knowledge.borrow_mut();
        let Some((name, index)) = knowledge.any_partition(random) else {
            break;
        };
        let Some(id) = knowledge.id(&name, index) else {
            break;
        };
        let Some((partition, _)) = knowledge.partition(&name, index) else {
            break;
        };
        if asked.iter().any(|one| one.wanted.id == id) {
            continue;
        }
        let wanted = FetchPartition {
            id,
            offset: Offset::new(partition.reader.next),
            max_bytes: 64 << 10,
            last_epoch: partition.reader.last_epoch,
        };
        let known = partition.known();
        asked.push(Asked {
            name,
            index,
            wanted,
            known,
        });
    }
    asked
}

fn take(client: &Client, asked: &Asked, found: Fetched) -> Result<(), Stop> {
    let knowledge = &mut *client.knowledge.borrow_mut();
    let is_gone = knowledge
        .topics
        .get(&asked.name)
        .is_none_or(|topic| topic.existence != Existence::Yes);
    let Some((partition, is_sync)) = knowledge.partition(&asked.name, asked.index) else {
        return Ok(());
    };
    let number = partition.number;
    if found.id != asked.wanted.id {
        return Err(wrong(number, "a fetch was answered with another partition"));
    }
    match found.error {
        ErrorCode::None => {
            partition.stands(found.state, asked.known)?;
            records(partition, is_sync, asked, &found)?;
        }
        ErrorCode::LogTruncated => {
            if is_sync {
                return Err(wrong(number, "records of a sync topic were truncated"));
            }
            let Some(agreed_end) = found.agreed_end else {
                return Err(wrong(number, "a truncation without an agreed end"));
            };
            partition.reader.next = agreed_end.get().max(found.state.log_start.get());
            partition.reader.last_epoch = None;
            knowledge.met.truncations_told += 1;
        }
        ErrorCode::OffsetOutOfRange if asked.wanted.offset < found.state.log_start => {
            partition.reader.next = found.state.log_start.get();
            partition.reader.last_epoch = None;
        }
        error if error.is_retriable() || is_gone => {}
        error => {
            let what = format!("a fetch at {} got {error}", asked.wanted.offset);
            return Err(wrong(number, what));
        }
    }
    Ok(())
}

fn records(
    partition: &mut Partition,
    is_sync: bool,
    asked: &Asked,
    found: &Fetched,
) -> Result<(), Stop> {
    let high_watermark = found.state.high_watermark.get();
    let Some(last) = found.records.last().copied() else {
        return Ok(());
    };
    if last.offset >= high_watermark {
        return Err(Violation::ReadPastLimit {
            partition: partition.number,
            offset: last.offset,
            limit: high_watermark,
        }
        .into());
    }
    let offset = asked.wanted.offset.get();
    let holds = found.records.iter().any(|one| one.offset == offset);
    if !holds {
        return Err(Violation::NotDense {
            partition: partition.number,
            offset: found.records.first().map_or(0, |one| one.offset),
            expected: offset,
        }
        .into());
    }
    let durable_end = if is_sync { high_watermark } else { 0 };
    // The first batch may begin in front of the log start.
    let log_start = found.state.log_start.get();
    let kept = found
        .records
        .iter()
        .copied()
        .filter(|one| one.offset >= log_start);
    partition.history.served(kept, durable_end)?;
    // Several readers share the position.
    if last.offset + 1 > partition.reader.next {
        partition.reader.next = last.offset + 1;
        partition.reader.last_epoch = Some(LeaderEpoch::new(last.epoch));
    }
    Ok(())
}
