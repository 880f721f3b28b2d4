//! What the clients of a broker know, across its crashes.

use std::collections::BTreeMap;

use ringlog_record::{LeaderEpoch, PartitionIndex, TopicId, TopicPartition};
use ringlog_wire::PartitionState;

use super::settings::Settings;
use crate::history::{History, Retention};
use crate::report::SeedOutcome;
use crate::value::{RecordId, first_id};
use crate::violation::Violation;

/// Whether a topic is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// Its creation was answered, or it was seen.
    Yes,
    /// It is being created or deleted, or nobody answered.
    Unknown,
    /// Its deletion was answered.
    No,
}

/// What a topic promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicKind {
    Sync,
    Async,
    /// In memory only.
    Memory,
    /// One or the other, and it changes.
    Altered,
}

impl TopicKind {
    /// What each of its partitions keeps at most, as it is made.
    pub(crate) fn retention_bytes(self) -> &'static str {
        match self {
            Self::Memory => "1048576",
            Self::Sync | Self::Async | Self::Altered => "-1",
        }
    }

    /// The durability that it is made with.
    pub(crate) fn durability(self) -> &'static str {
        match self {
            Self::Sync | Self::Altered => "sync",
            Self::Async => "async",
            Self::Memory => "memory",
        }
    }
}

/// A topic.
pub(crate) struct Topic {
    pub(crate) existence: Existence,
    /// Whether all that it ever acknowledged is durable.
    pub(crate) is_sync: bool,
    /// Whether its settings are changed, that of its durability included.
    pub(crate) is_altered: bool,
    pub(crate) settings: Settings,
    pub(crate) partition_count: u32,
    pub(crate) id: Option<TopicId>,
    pub(crate) partitions: Vec<Partition>,
}

/// How far a reader is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    pub(crate) next: u64,
    pub(crate) last_epoch: Option<LeaderEpoch>,
}

/// A partition.
pub(crate) struct Partition {
    pub(crate) history: History,
    /// The number that violations name.
    pub(crate) number: u32,
    pub(crate) reader: Position,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) high_watermark: u64,
    pub(crate) log_start: u64,
}

impl Partition {
    /// Notes where the partition stands, as an answer to a request said that was sent when `before` was known.
    pub(crate) fn stands(
        &mut self,
        state: PartitionState,
        before: (LeaderEpoch, u64),
    ) -> Result<(), Violation> {
        let (partition, now) = (self.number, state.high_watermark.get());
        let went_back = |what, before: u64, now: u64| Violation::WentBack {
            partition,
            what,
            before,
            now,
        };
        if state.leader_epoch < before.0 {
            let (before, now) = (before.0.get(), state.leader_epoch.get());
            return Err(went_back("the leader epoch", before.into(), now.into()));
        }
        if state.leader_epoch == before.0 && now < before.1 {
            return Err(went_back("the high watermark", before.1, now));
        }
        if state.leader_epoch > self.leader_epoch {
            self.leader_epoch = state.leader_epoch;
            self.high_watermark = now;
        }
        self.high_watermark = self.high_watermark.max(now);
        self.log_start = self.log_start.max(state.log_start.get());
        Ok(())
    }

    /// What is known when a request is sent.
    pub(crate) fn known(&self) -> (LeaderEpoch, u64) {
        (self.leader_epoch, self.high_watermark)
    }
}

/// What the clients know.
#[derive(Default)]
pub(crate) struct Knowledge {
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) violation: Option<Violation>,
    /// Whether the metadata store fails in this life.
    pub(crate) store_fails: bool,
    pub(crate) met: SeedOutcome,
    next_ids: BTreeMap<u32, RecordId>,
    partitions: u32,
    topics_named: u32,
}

impl Knowledge {
    /// Notes the first violation.
    pub(crate) fn check(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.violation.get_or_insert(violation);
        }
    }

    /// A name that no topic had.
    pub(crate) fn new_topic(&mut self, partition_count: u32, kind: TopicKind) -> String {
        self.topics_named += 1;
        let name = format!("topic-{}", self.topics_named);
        let partitions = (0..partition_count)
            .map(|_| {
                self.partitions += 1;
                Partition {
                    history: match kind {
                        TopicKind::Memory => History::in_memory(self.partitions),
                        _ => History::new(self.partitions, Retention::default()),
                    },
                    number: self.partitions,
                    reader: Position::default(),
                    leader_epoch: LeaderEpoch::new(0),
                    high_watermark: 0,
                    log_start: 0,
                }
            })
            .collect();
        let topic = Topic {
            existence: Existence::Unknown,
            is_sync: kind == TopicKind::Sync,
            is_altered: kind == TopicKind::Altered,
            settings: Settings::new(kind),
            partition_count,
            id: None,
            partitions,
        };
        self.topics.insert(name.clone(), topic);
        name
    }

    /// The next record of a producer.
    pub(crate) fn next_id(&mut self, producer: u32) -> RecordId {
        let next = self
            .next_ids
            .entry(producer)
            .or_insert_with(|| first_id(producer));
        let id = *next;
        *next += 1;
        id
    }

    /// A partition of a topic that is there, by a random number.
    pub(crate) fn any_partition(&self, random: u64) -> Option<(String, u32)> {
        let all: Vec<(&String, u32)> = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.existence == Existence::Yes && topic.id.is_some())
            .flat_map(|(name, topic)| (0..topic.partition_count).map(move |index| (name, index)))
            .collect();
        let index = usize::try_from(random % (all.len().max(1) as u64)).ok()?;
        all.get(index)
            .map(|(name, index)| ((*name).clone(), *index))
    }

    /// The id of a partition.
    pub(crate) fn id(&self, name: &str, index: u32) -> Option<TopicPartition> {
        let topic = self.topics.get(name)?.id?;
        Some(TopicPartition {
            topic,
            partition: PartitionIndex::new(index),
        })
    }

    /// A partition, and whether what it acknowledges is durable.
    pub(crate) fn partition(&mut self, name: &str, index: u32) -> Option<(&mut Partition, bool)> {
        let topic = self.topics.get_mut(name)?;
        let is_sync = topic.is_sync;
        let partition = topic.partitions.get_mut(usize::try_from(index).ok()?)?;
        Some((partition, is_sync))
    }
}
