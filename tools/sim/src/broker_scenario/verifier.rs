//! What a restarted broker holds, before anybody else talks to it, against all that is known.

use ringlog_record::{LeaderEpoch, Offset, TopicPartition};
use ringlog_wire::{ErrorCode, FetchPartition, MetadataResponse, PartitionState};

use super::client::{Client, Fetched, fetch_draft, fetched};
use super::knowledge::{Existence, Position};
use super::settings;
use super::wire::{Connection, Stop, wrong};
use crate::history::{Found, ReadRecord};
use crate::violation::not_served;

/// What a restart may not lose of what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// Nothing of it.
    Everything,
    /// It may lose the end of it.
    APrefix,
    /// It may lose all.
    Nothing,
}

/// Compares everything.
pub(crate) async fn verify(client: &Client) -> Result<(), Stop> {
    let mut connection = client.connect().await?;
    let metadata = client.metadata(&mut connection).await?;
    compare_topics(client, &metadata)?;
    for topic in &metadata.topics {
        settings::compare(client, &mut connection, &topic.name).await?;
    }
    let all: Vec<(String, u32)> = {
        let knowledge = client.knowledge.borrow();
        let topics = knowledge.topics.iter();
        topics
            .flat_map(|(name, topic)| (0..topic.partition_count).map(|index| (name.clone(), index)))
            .collect()
    };
    for (name, index) in all {
        compare_partition(client, &mut connection, &name, index).await?;
    }
    Ok(())
}

fn compare_topics(client: &Client, metadata: &MetadataResponse) -> Result<(), Stop> {
    let knowledge = &mut *client.knowledge.borrow_mut();
    for found in &metadata.topics {
        let Some(topic) = knowledge.topics.get_mut(&found.name) else {
            return Err(wrong(0, format!("nobody made {}", found.name)));
        };
        if topic.existence == Existence::No {
            return Err(wrong(0, format!("{} was deleted and is back", found.name)));
        }
        let is_same = topic.id.is_none_or(|id| id == found.topic)
            && u32::try_from(found.partitions.len()) == Ok(topic.partition_count);
        if !is_same {
            return Err(wrong(0, format!("{} is another topic", found.name)));
        }
        topic.id = Some(found.topic);
        topic.existence = Existence::Yes;
    }
    let present = |name: &String| metadata.topics.iter().any(|found| found.name == *name);
    for (name, topic) in &knowledge.topics {
        if topic.existence == Existence::Yes && !present(name) {
            return Err(wrong(0, format!("{name} is gone")));
        }
    }
    knowledge.topics.retain(|name, _| present(name));
    Ok(())
}

async fn compare_partition(
    client: &Client,
    connection: &mut Connection,
    name: &str,
    index: u32,
) -> Result<(), Stop> {
    let (id, number, reader, log_start, epoch, promise) = {
        let knowledge = &mut *client.knowledge.borrow_mut();
        let id = knowledge.id(name, index);
        let partition = knowledge.partition(name, index);
        let (Some(id), Some((partition, is_sync))) = (id, partition) else {
            return Ok(());
        };
        (
            id,
            partition.number,
            partition.reader,
            partition.log_start,
            partition.leader_epoch,
            if partition.history.is_in_memory() {
                Promise::Nothing
            } else if is_sync {
                Promise::Everything
            } else {
                Promise::APrefix
            },
        )
    };
    let (state, records) = read_all(connection, id, number, log_start).await?;
    if state.leader_epoch <= epoch {
        let what = format!(
            "leader epoch {} after a start, before it {epoch}",
            state.leader_epoch
        );
        return Err(wrong(number, what));
    }
    let (first, end) = (state.log_start.get(), state.high_watermark.get());
    let position = check_reader(
        client,
        connection,
        id,
        number,
        reader,
        (first, end),
        promise,
    );
    let position = position.await?;
    let knowledge = &mut *client.knowledge.borrow_mut();
    let Some((partition, _)) = knowledge.partition(name, index) else {
        return Ok(());
    };
    partition.stands(state, (LeaderEpoch::new(0), 0))?;
    partition.high_watermark = end;
    partition.reader = position;
    let found = Found {
        log_start: first,
        log_end: end,
        now_ms: client.reactor.unix_time_ms(),
    };
    Ok(partition.history.restarted(found, records)?)
}

/// Reads a partition from its start to its end, which is where it stood at the first answer. Where retention removes
/// records meanwhile, it begins again.
async fn read_all(
    connection: &mut Connection,
    id: TopicPartition,
    number: u32,
    known_start: u64,
) -> Result<(PartitionState, Vec<ReadRecord>), Stop> {
    let (mut next, mut found) = (known_start, None);
    let mut records = Vec::new();
    loop {
        let from = Position {
            next,
            last_epoch: None,
        };
        let read = fetch(connection, id, from).await?;
        let log_start = read.state.log_start.get();
        if read.error == ErrorCode::OffsetOutOfRange && log_start > next {
            (next, found) = (log_start, None);
            records.clear();
            continue;
        }
        if read.error != ErrorCode::None {
            return Err(not_served(number, &read.error).into());
        }
        let state = *found.get_or_insert(read.state);
        let last = read.records.last().map(|last| last.offset + 1);
        let first = state.log_start.get();
        records.extend(read.records.into_iter().filter(|one| one.offset >= first));
        match last {
            Some(last) if last < state.high_watermark.get() => next = last,
            _ => return Ok((state, records)),
        }
    }
}

async fn fetch(
    connection: &mut Connection,
    id: TopicPartition,
    from: Position,
) -> Result<Fetched, Stop> {
    let wanted = [FetchPartition {
        id,
        offset: Offset::new(from.next),
        max_bytes: 256 << 10,
        last_epoch: from.last_epoch,
    }];
    let frame = connection.call(&fetch_draft(&wanted, 0)).await?;
    let found = fetched(&frame)?.into_iter().next();
    found.ok_or_else(|| wrong(0, "a fetch was answered without its partition"))
}

/// A reader that saw more than there is now must be told, and others must not.
async fn check_reader(
    client: &Client,
    connection: &mut Connection,
    id: TopicPartition,
    number: u32,
    reader: Position,
    (first, end): (u64, u64),
    promise: Promise,
) -> Result<Position, Stop> {
    if reader.last_epoch.is_none() {
        let next = reader.next.clamp(first, end);
        return Ok(Position { next, ..reader });
    }
    let found = fetch(connection, id, reader).await?;
    let is_lost = match promise {
        // What it had read is gone, and what lies behind that is not known to be all.
        Promise::Nothing => reader.next < first,
        Promise::APrefix | Promise::Everything => reader.next > end,
    };
    let first = first.max(found.state.log_start.get());
    match found.error {
        ErrorCode::LogTruncated if is_lost && promise != Promise::Everything => {
            let agreed_end = found.agreed_end.map(Offset::get);
            let Some(next) = agreed_end.filter(|agreed| *agreed <= end) else {
                return Err(wrong(number, format!("agreed end {agreed_end:?} of {end}")));
            };
            client.knowledge.borrow_mut().met.truncations_told += 1;
            Ok(Position {
                next: next.max(first),
                last_epoch: None,
            })
        }
        ErrorCode::None if !is_lost => Ok(reader),
        ErrorCode::OffsetOutOfRange if reader.next < first && !is_lost => Ok(Position {
            next: first,
            last_epoch: None,
        }),
        error => {
            let what = format!("a reader at {} of {end} was told {error}", reader.next);
            Err(wrong(number, what))
        }
    }
}
