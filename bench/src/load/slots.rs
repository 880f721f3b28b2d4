//! Requests that are used again: memory is filled with random bytes once, and stamped for each use.

use std::time::Duration;

use super::{Shape, nanos};
use crate::payload::Request;

/// The requests of a worker: which comes next, to which partition, with which key.
#[derive(Debug)]
pub(super) struct Slots {
    shape: Shape,
    free: Vec<Request>,
    /// Requests made and not given back.
    out: usize,
    /// The number of the next request of this worker, and how far it is to the one after: workers take turns.
    next: u64,
    stride: u64,
}

/// A request that is ready to go.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) partition: u32,
    pub(super) request: Request,
}

impl Slots {
    pub(super) fn new(shape: Shape, worker: u32, workers: u32) -> Self {
        Self {
            shape,
            free: Vec::new(),
            out: 0,
            next: u64::from(worker),
            stride: u64::from(workers),
        }
    }

    /// Requests that are under way.
    pub(super) fn out(&self) -> usize {
        self.out
    }

    /// The next request, stamped.
    pub(super) fn take(&mut self, intended: Duration) -> Ready {
        let shape = self.shape;
        let number = self.next;
        self.next += self.stride;
        self.out += 1;
        let free = self.free.pop();
        let mut request =
            free.unwrap_or_else(|| Request::random(shape.batch_records, shape.record_bytes));
        let records = u64::try_from(shape.batch_records).unwrap_or(1);
        request.stamp(nanos(intended), number * records);
        let spread = match shape.keys {
            None => number,
            Some(keys) => {
                let key = mix(number) % keys.max(1);
                request.set_key(key);
                mix(key)
            }
        };
        let partition = spread % u64::from(shape.partitions.max(1));
        Ready {
            partition: u32::try_from(partition).unwrap_or(0),
            request,
        }
    }

    /// Gives a request back.
    pub(super) fn give(&mut self, request: Request) {
        self.out -= 1;
        self.free.push(request);
    }
}

/// The last step of SplitMix64: numbers that follow each other give numbers that do not.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::payload::Stamp;

    const SHAPE: Shape = Shape {
        record_bytes: 32,
        batch_records: 3,
        partitions: 4,
        keys: None,
    };

    #[test]
    fn workers_number_all_records_once_and_spread_them_evenly() {
        let mut numbers = BTreeSet::new();
        let mut partitions = BTreeMap::new();
        for worker in 0..2 {
            let mut slots = Slots::new(SHAPE, worker, 2);
            for _ in 0..100 {
                let ready = slots.take(Duration::ZERO);
                *partitions.entry(ready.partition).or_insert(0) += 1;
                let values = ready.request.values();
                numbers.extend(values.map(|value| Stamp::of(value).unwrap().number));
                slots.give(ready.request);
            }
            assert_eq!(
                (slots.out(), slots.free.len()),
                (0, 1),
                "memory is used again"
            );
        }
        assert_eq!(numbers, (0..600).collect());
        assert_eq!(partitions.into_values().collect::<Vec<_>>(), [50; 4]);
    }

    #[test]
    fn a_key_belongs_to_one_partition_and_all_keys_come() {
        let shape = Shape {
            keys: Some(10),
            ..SHAPE
        };
        let mut slots = Slots::new(shape, 0, 1);
        let mut homes: BTreeMap<Vec<u8>, BTreeSet<u32>> = BTreeMap::new();
        for _ in 0..1000 {
            let ready = slots.take(Duration::ZERO);
            let key = ready.request.key().unwrap().to_vec();
            homes.entry(key).or_default().insert(ready.partition);
            slots.give(ready.request);
        }
        assert_eq!(homes.len(), 10);
        assert!(homes.values().all(|partitions| partitions.len() == 1));
    }
}
