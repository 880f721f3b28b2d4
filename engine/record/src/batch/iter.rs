//! Walking over the batches that lie one after the other in memory.

use super::error::BatchError;
use super::view::BatchView;

/// The batches in `bytes`, one after the other. The CRC is not checked.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches {
        rest: bytes,
        position: 0,
        ended: false,
    }
}

/// Iterator of [`batches`]. An error, `Truncated` for a partial batch at the end, is the last item.
#[derive(Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
    position: usize,
    ended: bool,
}

impl<'a> Batches<'a> {
    /// Bytes of the whole batches that were passed.
    pub fn position(&self) -> usize {
        self.position
    }

    /// What follows the whole batches that were passed.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.rest.is_empty() {
            return None;
        }
        let parsed = BatchView::parse(self.rest);
        match &parsed {
            Ok(view) => {
                self.rest = &self.rest[view.len_bytes()..];
                self.position += view.len_bytes();
            }
            Err(_) => self.ended = true,
        }
        Some(parsed)
    }
}
