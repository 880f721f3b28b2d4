//! A producer: several produces under way on one connection, to any partition.

use std::collections::BTreeMap;

use ringlog_wire::{
    AckLevel, Acks, ErrorCode, ProducePartition, ProduceRequestDraft, ProduceResponse,
};

use super::client::Client;
use super::knowledge::Existence;
use super::wire::{Connection, Frame, Stop, wrong};
use crate::batch::build;
use crate::value::RecordId;

/// Most produces under way on a connection.
const DEPTH_MAX: u64 = 8;

/// A produce that was not answered.
struct Sent {
    name: String,
    index: u32,
    ids: Vec<RecordId>,
}

/// Produces until the connection is gone.
pub(crate) async fn produce(
    client: &Client,
    producer: u32,
    large_one_in: u64,
    mut connection: Connection,
) -> Result<(), Stop> {
    let mut sent: BTreeMap<u64, Sent> = BTreeMap::new();
    loop {
        let depth = 1 + client.random_below(DEPTH_MAX);
        while (sent.len() as u64) < depth {
            let Some((id, one)) =
                produce_one(client, producer, large_one_in, &mut connection).await?
            else {
                client.pause(500).await;
                break;
            };
            sent.insert(id, one);
        }
        if !sent.is_empty() {
            let frame = connection.receive().await?;
            let Some(one) = sent.remove(&frame.id) else {
                let what = format!("an answer to {}, which was not asked", frame.id);
                return Err(wrong(0, what));
            };
            answered(client, &frame, &one)?;
        }
        if client.random_below(3) == 0 {
            client.pause(300).await;
        }
    }
}

async fn produce_one(
    client: &Client,
    producer: u32,
    large_one_in: u64,
    connection: &mut Connection,
) -> Result<Option<(u64, Sent)>, Stop> {
    let now_ms = client.reactor.unix_time_ms();
    let random = client.reactor.random_u64();
    let count = 1 + client.random_below(4);
    let len_max = match client.random_below(large_one_in) {
        0 => 40_000,
        _ => 600,
    };
    let lens: Vec<usize> = (0..count)
        .map(|_| usize::try_from(client.random_below(len_max)).unwrap_or(0))
        .collect();
    let (id, one, batch) = {
        let knowledge = &mut *client.knowledge.borrow_mut();
        let Some((name, index)) = knowledge.any_partition(random) else {
            return Ok(None);
        };
        let Some(id) = knowledge.id(&name, index) else {
            return Ok(None);
        };
        let records: Vec<(RecordId, usize)> = lens
            .into_iter()
            .map(|len| (knowledge.next_id(producer), len))
            .collect();
        if let Some((partition, _)) = knowledge.partition(&name, index) {
            let history = &mut partition.history;
            records.iter().for_each(|&(id, _)| history.sent(id, now_ms));
        }
        let batch = build(index, &records, now_ms)?;
        let ids = records.into_iter().map(|(id, _)| id).collect();
        (id, Sent { name, index, ids }, batch)
    };
    let partitions = [ProducePartition::new(
        id,
        u32::try_from(batch.len()).unwrap_or(u32::MAX),
    )];
    let draft = ProduceRequestDraft {
        acks: if random & 1 == 0 {
            Acks::All
        } else {
            Acks::Leader
        },
        timeout_ms: 30_000,
        partitions: &partitions,
        wants_receipt: false,
    };
    let id = connection.send(&draft, batch).await?;
    Ok(Some((id, one)))
}

fn answered(client: &Client, frame: &Frame, one: &Sent) -> Result<(), Stop> {
    if frame.is_refused()? {
        // Of the request as a whole, such as a broker that stops.
        return Ok(());
    }
    let response =
        ProduceResponse::decode(frame.body()?).map_err(|error| wrong(0, error.to_string()))?;
    let knowledge = &mut *client.knowledge.borrow_mut();
    let is_gone = knowledge
        .topics
        .get(&one.name)
        .is_none_or(|topic| topic.existence != Existence::Yes);
    let appended = one.ids.len() as u64;
    let is_altered = knowledge
        .topics
        .get(&one.name)
        .is_some_and(|topic| topic.is_altered);
    let Some((partition, is_sync)) = knowledge.partition(&one.name, one.index) else {
        return Ok(());
    };
    let number = partition.number;
    let Some(produced) = response.partitions().next() else {
        return Err(wrong(
            number,
            "a produce was answered without its partition",
        ));
    };
    match produced.error {
        ErrorCode::None => {
            let is_durable = matches!(
                produced.level,
                AckLevel::LeaderDurable | AckLevel::AllDurable
            );
            if is_durable != is_sync && !is_altered {
                let what = format!("acknowledged as {}", produced.level);
                return Err(wrong(number, what));
            }
            let epoch = produced.state.leader_epoch.get();
            for (&id, offset) in one.ids.iter().zip(produced.base_offset.get()..) {
                match is_durable {
                    true => partition.history.acknowledged(id, offset, epoch)?,
                    false => partition.history.appended(id, offset, epoch)?,
                }
            }
            knowledge.met.records_appended += appended;
        }
        error if error.is_retriable() => {
            // Nothing was done, it says.
            one.ids.iter().for_each(|&id| partition.history.refused(id));
            knowledge.met.requests_refused += 1;
        }
        ErrorCode::UnknownOutcome => {}
        _ if is_gone => {}
        error => {
            let message = produced.message.unwrap_or_default();
            return Err(wrong(number, format!("a produce got {error}: {message}")));
        }
    }
    Ok(())
}
