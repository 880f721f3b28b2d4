//! The slices of frames as one buffer, written without putting them together.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Slices, none of them empty, in the order in which they are to be written.
#[derive(Debug, Default)]
pub(super) struct FrameSlices(VecDeque<Bytes>);

impl FrameSlices {
    /// Puts the slices of another frame behind.
    pub(super) fn push(&mut self, slices: Vec<Bytes>) {
        self.0
            .extend(slices.into_iter().filter(|slice| !slice.is_empty()));
    }
}

impl Buf for FrameSlices {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |slice| slice)
    }

    fn chunks_vectored<'a>(&'a self, slots: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, slice) in slots.iter_mut().zip(&self.0) {
            *slot = IoSlice::new(slice);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.0.front_mut() {
            let part = count.min(front.len());
            front.advance(part);
            count -= part;
            if !front.is_empty() {
                return;
            }
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_written_in_order_however_much_is_taken_at_once() {
        let whole: Vec<u8> = (0..60).collect();
        for step in 1..61 {
            let mut slices = FrameSlices::default();
            for part in whole.chunks(17) {
                slices.push(vec![Bytes::copy_from_slice(part), Bytes::new()]);
            }
            let mut written = Vec::new();
            while slices.has_remaining() {
                let mut slots = [IoSlice::new(&[]); 3];
                let count = slices.chunks_vectored(&mut slots);
                let gathered: Vec<u8> = slots[..count]
                    .iter()
                    .flat_map(|slot| slot.to_vec())
                    .collect();
                let take = step.min(gathered.len());
                written.extend_from_slice(&gathered[..take]);
                slices.advance(take);
            }
            assert_eq!(written, whole);
        }
    }
}
