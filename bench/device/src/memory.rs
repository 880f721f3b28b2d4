//! Memory that the kernel reads and writes: whole pages, filled once with bytes that nothing can compress.

use std::ops::Range;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::limits::BLOCK_BYTES;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
struct Page([u8; BLOCK_BYTES]);

const _: () = assert!(align_of::<Page>() == BLOCK_BYTES && size_of::<Page>() == BLOCK_BYTES);

/// A run of pages, aligned for direct I/O. Never moves, never grows.
pub(crate) struct Pages(Vec<Page>);

impl Pages {
    /// At least `len` bytes.
    pub(crate) fn random(len: usize) -> Self {
        let pages = len.div_ceil(BLOCK_BYTES);
        let zeroed = std::iter::repeat_with(Page::new_zeroed);
        let mut memory = Self(zeroed.take(pages).collect());
        fill_random(memory.bytes_mut());
        memory
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len() * BLOCK_BYTES
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_slice().as_bytes()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_slice().as_mut_bytes()
    }
}

/// Gives out parts of memory that is not made yet, one behind the other, each on a page boundary.
#[derive(Default)]
pub(crate) struct Layout {
    len: usize,
}

impl Layout {
    /// The next `len` bytes, and what is left of the last page.
    pub(crate) fn part(&mut self, len: usize) -> Range<usize> {
        let start = self.len;
        self.len = (start + len).next_multiple_of(BLOCK_BYTES);
        start..start + len
    }

    /// How much was given out.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// SplitMix64: fast, and good enough that no layer below finds anything to compress or to merge.
fn fill_random(bytes: &mut [u8]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
    }
}
