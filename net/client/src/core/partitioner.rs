//! Which partition a record goes to whose key does not say it: one until its batch is sent, then the next, which fills
//! batches; or record by record, which spreads small loads evenly and sends many small batches.

use std::collections::HashMap;

use ringlog_record::PartitionIndex;

/// The partition that records without a key stick to, for each topic.
#[derive(Debug, Default)]
pub struct Sticky {
    chosen: HashMap<String, u32>,
    next: u32,
}

impl Sticky {
    /// Starts anywhere, so that many producers do not start at the same partition.
    pub fn starting_at(next: u32) -> Self {
        Self {
            chosen: HashMap::new(),
            next,
        }
    }

    /// The partition among `partitions`, at least one, that records stick to now.
    pub fn partition(&mut self, topic: &str, partitions: u32) -> PartitionIndex {
        let partitions = partitions.max(1);
        if let Some(&chosen) = self.chosen.get(topic)
            && chosen < partitions
        {
            return PartitionIndex::new(chosen);
        }
        let chosen = self.next % partitions;
        self.next = self.next.wrapping_add(1);
        self.chosen.insert(topic.to_owned(), chosen);
        PartitionIndex::new(chosen)
    }

    /// A batch of the partition is complete: if records stuck to it, they go on with the next one.
    pub fn batch_done(&mut self, topic: &str, partition: PartitionIndex) {
        if self.chosen.get(topic) == Some(&partition.get()) {
            self.chosen.remove(topic);
        }
    }
}

/// One partition after the other, for each topic.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: HashMap<String, u32>,
    first: u32,
}

impl RoundRobin {
    /// Starts anywhere, so that many producers do not start at the same partition.
    pub fn starting_at(first: u32) -> Self {
        Self {
            next: HashMap::new(),
            first,
        }
    }

    /// The partition of the next record among `partitions`, at least one.
    pub fn partition(&mut self, topic: &str, partitions: u32) -> PartitionIndex {
        if !self.next.contains_key(topic) {
            self.next.insert(topic.to_owned(), self.first);
        }
        let chosen = self.next.get_mut(topic).map_or(0, |next| {
            let chosen = *next % partitions.max(1);
            *next = chosen.wrapping_add(1);
            chosen
        });
        PartitionIndex::new(chosen)
    }
}

#[cfg(test)]
mod tests;
