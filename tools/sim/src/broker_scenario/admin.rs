//! An administrator: creates and deletes topics, deletes records.

use ringlog_record::Offset;
use ringlog_wire::{
    CreateTopicRequest, CreateTopicResponse, DeleteRecordsPartition, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicRequest, ErrorCode, Setting,
};

use super::client::Client;
use super::knowledge::{Existence, TopicKind};
use super::settings::alter;
use super::wire::{Connection, Stop, wrong};

/// Most topics at a time.
const TOPICS_MAX: usize = 4;

/// Administers until the connection is gone.
pub(crate) async fn administer(client: &Client, mut connection: Connection) -> Result<(), Stop> {
    loop {
        let topics = client.knowledge.borrow().topics.len();
        match client.random_below(8) {
            _ if topics == 0 => create(client, &mut connection).await?,
            0 if topics < TOPICS_MAX => create(client, &mut connection).await?,
            1 if topics > 2 => delete(client, &mut connection).await?,
            2 | 3 if client.alters => alter(client, &mut connection).await?,
            _ => delete_records(client, &mut connection).await?,
        }
        client.pause(2_000).await;
    }
}

/// Creates a topic.
pub(crate) async fn create(client: &Client, connection: &mut Connection) -> Result<(), Stop> {
    let partitions = u32::try_from(1 + client.random_below(3)).unwrap_or(1);
    let kind = match client.random_below(4) {
        0 if partitions == 3 => TopicKind::Memory,
        0 => TopicKind::Async,
        1 | 2 if client.alters => TopicKind::Altered,
        _ => TopicKind::Sync,
    };
    let name = client.knowledge.borrow_mut().new_topic(partitions, kind);
    let request = CreateTopicRequest {
        name: name.clone(),
        partitions,
        settings: vec![
            Setting::new("durability", kind.durability()),
            Setting::new("segment_bytes", "1MiB"),
            Setting::new("flush_ms", "5ms"),
            Setting::new("retention_bytes", kind.retention_bytes()),
        ],
        replication_factor: 0,
    };
    let answer = connection.call(&request).await?;
    if client.is_refused(&answer)? {
        return Ok(());
    }
    let created =
        CreateTopicResponse::decode(answer.body()?).map_err(|error| wrong(0, error.to_string()))?;
    let knowledge = &mut *client.knowledge.borrow_mut();
    if let Some(topic) = knowledge.topics.get_mut(&name) {
        topic.id = Some(created.topic);
        topic.existence = Existence::Yes;
        knowledge.met.topics_created += 1;
    }
    Ok(())
}

async fn delete(client: &Client, connection: &mut Connection) -> Result<(), Stop> {
    let random = client.reactor.random_u64();
    let name = {
        let knowledge = &mut *client.knowledge.borrow_mut();
        let Some((name, _)) = knowledge.any_partition(random) else {
            return Ok(());
        };
        if let Some(topic) = knowledge.topics.get_mut(&name) {
            topic.existence = Existence::Unknown;
        }
        name
    };
    let request = DeleteTopicRequest { name: name.clone() };
    let answer = connection.call(&request).await?;
    if client.is_refused(&answer)? {
        return Ok(());
    }
    let knowledge = &mut *client.knowledge.borrow_mut();
    if let Some(topic) = knowledge.topics.get_mut(&name) {
        topic.existence = Existence::No;
        knowledge.met.topics_deleted += 1;
    }
    Ok(())
}

async fn delete_records(client: &Client, connection: &mut Connection) -> Result<(), Stop> {
    let random = client.reactor.random_u64();
    let (name, index, wanted, known) = {
        let knowledge = &mut *client.knowledge.borrow_mut();
        let Some((name, index)) = knowledge.any_partition(random) else {
            return Ok(());
        };
        let Some(id) = knowledge.id(&name, index) else {
            return Ok(());
        };
        let Some((partition, _)) = knowledge.partition(&name, index) else {
            return Ok(());
        };
        let (start, end) = (partition.log_start, partition.high_watermark);
        let before = start + client.random_below(end.saturating_sub(start) / 2 + 1);
        partition.history.deletion_asked(before);
        let known = partition.known();
        let before = Offset::new(before);
        (name, index, DeleteRecordsPartition { id, before }, known)
    };
    let request = DeleteRecordsRequest {
        partitions: vec![wanted],
    };
    let answer = connection.call(&request).await?;
    if client.is_refused(&answer)? {
        return Ok(());
    }
    let response = DeleteRecordsResponse::decode(answer.body()?)
        .map_err(|error| wrong(0, error.to_string()))?;
    let knowledge = &mut *client.knowledge.borrow_mut();
    let is_gone = knowledge
        .topics
        .get(&name)
        .is_none_or(|topic| topic.existence != Existence::Yes);
    let Some((partition, is_sync)) = knowledge.partition(&name, index) else {
        return Ok(());
    };
    let number = partition.number;
    match response.partitions.first() {
        Some(one) if one.error.is_none() => {
            partition.stands(one.state, known)?;
            let now_ms = client.reactor.unix_time_ms();
            let start = one.state.log_start;
            partition.history.started_at(start.get(), now_ms)?;
            if start < wanted.before {
                return Err(wrong(number, "a deletion was answered and not done"));
            }
            knowledge.met.deletions += 1;
        }
        Some(one) if one.error.is_retriable() || is_gone => {}
        // What an async topic lost is above its end.
        Some(one) if one.error == ErrorCode::OffsetOutOfRange && !is_sync => {}
        Some(one) => return Err(wrong(number, format!("a deletion got {}", one.error))),
        None => {
            return Err(wrong(
                number,
                "a deletion was answered without its partition",
            ));
        }
    }
    Ok(())
}
