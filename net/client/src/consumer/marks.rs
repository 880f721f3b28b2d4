//! The high watermarks that brokers told: written by fetchers, read by whoever polls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ringlog_record::Offset;

use super::Source;

/// High watermarks by partition. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Arc<Mutex<BTreeMap<Source, Offset>>>);

impl Marks {
    /// What was told last.
    pub(super) fn get(&self, source: &Source) -> Option<Offset> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(source).copied()
    }

    /// Remembers what was told.
    pub(super) fn set(&self, source: &Source, high_watermark: Offset) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.insert(source.clone(), high_watermark);
    }
}
