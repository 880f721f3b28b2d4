//! The reserve of the file system: below it appends are refused, above a higher mark they are taken again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringlog_reactor::Space;

/// Most bytes that are kept free.
const RESERVE_BYTES_MAX: u64 = 2 << 30;

/// Says whether there is room to append. Clones share it; one task of the broker feeds it.
#[derive(Clone, Debug, Default)]
pub struct SpaceGauge(Arc<AtomicBool>);

impl SpaceGauge {
    /// A gauge that shows room.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of the space of the file system.
    pub fn update(&self, space: Space) {
        let reserve_bytes = reserve_bytes(space.total_bytes);
        let mark_bytes = if self.has_room() {
            reserve_bytes
        } else {
            reserve_bytes + reserve_bytes / 4
        };
        self.0
            .store(space.available_bytes < mark_bytes, Ordering::Relaxed);
    }

    /// Whether appends are taken.
    pub fn has_room(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// What is kept free of a file system: 2 GiB or 5 %, whichever is less.
pub fn reserve_bytes(total_bytes: u64) -> u64 {
    (total_bytes / 20).min(RESERVE_BYTES_MAX)
}

#[cfg(test)]
mod tests;
