//! What is sent: values of random bytes that nothing on the way makes smaller, each with a stamp.

use rand::RngExt;

/// Bytes of a stamp: when the request was to be sent, in nanoseconds since the run began, and the record's number.
pub const STAMP_BYTES: usize = 16;

/// The records of one request. It owns its memory and is used again for another request when it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    values: Vec<u8>,
    record_bytes: usize,
    key: Option<Vec<u8>>,
}

impl Request {
    /// Records of random bytes, all of one size.
    pub fn random(records: usize, record_bytes: usize) -> Self {
        let mut values = vec![0; records * record_bytes];
        rand::rng().fill(&mut values[..]);
        Self {
            values,
            record_bytes,
            key: None,
        }
    }

    /// The key of all of its records.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// Gives all of its records one key, so that they belong to one partition.
    pub(crate) fn set_key(&mut self, number: u64) {
        let key = self.key.get_or_insert_default();
        key.clear();
        key.extend_from_slice(format!("key-{number:012}").as_bytes());
    }

    /// The values, one after the other.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.values.chunks_exact(self.record_bytes)
    }

    /// Number of records.
    pub fn records(&self) -> usize {
        self.values.len() / self.record_bytes
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.values.len()
    }

    /// Stamps each record: values that are too small for a stamp are left as they are.
    pub(crate) fn stamp(&mut self, intended_ns: u64, first: u64) {
        if self.record_bytes < STAMP_BYTES {
            return;
        }
        for (value, number) in self.values.chunks_exact_mut(self.record_bytes).zip(first..) {
            value[..8].copy_from_slice(&intended_ns.to_le_bytes());
            value[8..STAMP_BYTES].copy_from_slice(&number.to_le_bytes());
        }
    }
}

/// What the stamp of a value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When its request was to be sent, in nanoseconds since the run began.
    pub intended_ns: u64,
    /// The number of the record.
    pub number: u64,
}

impl Stamp {
    /// The stamp of a value; none when it is too small for one.
    pub fn of(value: &[u8]) -> Option<Self> {
        let intended_ns = value.get(..8)?.try_into().ok()?;
        let number = value.get(8..STAMP_BYTES)?.try_into().ok()?;
        Some(Self {
            intended_ns: u64::from_le_bytes(intended_ns),
            number: u64::from_le_bytes(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_random_of_one_size_and_carry_their_stamps() {
        let mut request = Request::random(3, 100);
        let before: Vec<Vec<u8>> = request.values().map(<[u8]>::to_vec).collect();
        assert_ne!(before[0][STAMP_BYTES..], before[1][STAMP_BYTES..]);
        request.stamp(77, 1000);
        assert_eq!((request.records(), request.bytes()), (3, 300));
        for ((value, was), number) in request.values().zip(&before).zip(1000..) {
            let intended_ns = 77;
            assert_eq!(
                Stamp::of(value),
                Some(Stamp {
                    intended_ns,
                    number
                })
            );
            assert_eq!(value[STAMP_BYTES..], was[STAMP_BYTES..]);
        }
    }

    #[test]
    fn a_value_that_is_too_small_has_no_stamp_and_is_left_alone() {
        let mut request = Request::random(1, 15);
        let before = request.clone();
        request.stamp(1, 2);
        assert_eq!(request.values, before.values);
        assert_eq!(Stamp::of(request.values().next().unwrap()), None);
    }

    #[test]
    fn all_records_of_a_request_have_its_key() {
        let mut request = Request::random(2, 16);
        assert_eq!(request.key(), None);
        request.set_key(7);
        request.set_key(42);
        assert_eq!(request.key(), Some(&b"key-000000000042"[..]));
    }
}
