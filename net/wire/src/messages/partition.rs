//! What messages share: ids, the state of a partition, settings, texts that explain errors.

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};

use crate::encoder::{Writer, cut};
use crate::error_code::ErrorCode;
use crate::generated as fbs;
use crate::limits::RESPONSE_ERROR_MESSAGES_MAX;

/// Where a partition stands. Every response about a partition carries it; all zero where the partition is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionState {
    /// Records below it are committed and can be read.
    pub high_watermark: Offset,
    /// Records below it are gone.
    pub log_start: Offset,
    /// The epoch of the leader that answers.
    pub leader_epoch: LeaderEpoch,
}

impl PartitionState {
    pub(crate) fn to_wire(self) -> fbs::PartitionState {
        fbs::PartitionState::new(
            self.high_watermark.get(),
            self.log_start.get(),
            self.leader_epoch.get(),
        )
    }

    pub(crate) fn from_wire(state: Option<&fbs::PartitionState>) -> Self {
        state.map_or_else(Self::default, |state| Self {
            high_watermark: Offset::new(state.high_watermark()),
            log_start: Offset::new(state.log_start()),
            leader_epoch: LeaderEpoch::new(state.leader_epoch()),
        })
    }
}

/// A setting of a topic, as a person writes it: `retention_ms`, `7d`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Whether the topic has no value of its own and this is the default. Meaningless in requests.
    pub is_default: bool,
}

impl Setting {
    /// A setting that the topic is to have.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            is_default: false,
        }
    }
}

pub(crate) fn write_settings(
    writer: &mut Writer,
    settings: &[Setting],
) -> WIPOffset<Vector<'static, ForwardsUOffset<fbs::Setting<'static>>>> {
    writer.tables(settings, |builder, setting| {
        let key = builder.create_string(&setting.key);
        let value = builder.create_string(&setting.value);
        let args = fbs::SettingArgs {
            key: Some(key),
            value: Some(value),
            is_default: setting.is_default,
        };
        fbs::Setting::create(builder, &args)
    })
}

pub(crate) fn read_settings(
    settings: Vector<'_, ForwardsUOffset<fbs::Setting<'_>>>,
) -> Vec<Setting> {
    settings
        .iter()
        .map(|setting| Setting {
            key: setting.key().to_owned(),
            value: setting.value().to_owned(),
            is_default: setting.is_default(),
        })
        .collect()
}

pub(crate) fn topic_to_wire(topic: TopicId) -> fbs::TopicId {
    let bytes = topic.get().to_be_bytes();
    let (high, low) = bytes.split_at(8);
    let half = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |half, byte| half << 8 | u64::from(*byte))
    };
    fbs::TopicId::new(half(high), half(low))
}

pub(crate) fn topic_from_wire(topic: &fbs::TopicId) -> TopicId {
    TopicId::new(u128::from(topic.high()) << 64 | u128::from(topic.low()))
}

pub(crate) fn id_from_wire(topic: &fbs::TopicId, partition: u32) -> TopicPartition {
    TopicPartition {
        topic: topic_from_wire(topic),
        partition: PartitionIndex::new(partition),
    }
}

/// Texts of the partitions of one response: short, and only for the first few, so that a response always fits.
#[derive(Debug, Default)]
pub(crate) struct ErrorTexts {
    written: usize,
}

impl ErrorTexts {
    pub(crate) fn write(
        &mut self,
        builder: &mut FlatBufferBuilder<'static>,
        error: ErrorCode,
        message: Option<&str>,
    ) -> Option<WIPOffset<&'static str>> {
        let message = message.filter(|_| !error.is_none())?;
        if self.written == RESPONSE_ERROR_MESSAGES_MAX {
            return None;
        }
        self.written += 1;
        Some(builder.create_string(cut(message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_survive_the_split_into_halves() {
        for id in [
            0,
            1,
            u128::from(u64::MAX),
            1 << 64,
            0x0123_4567_89ab_cdef_0011_2233_4455_6677,
            u128::MAX,
        ] {
            let wire = topic_to_wire(TopicId::new(id));
            assert_eq!(topic_from_wire(&wire), TopicId::new(id));
        }
        assert_eq!(topic_to_wire(TopicId::new(1)).low(), 1);
    }
}
