//! What a log needs of the shard that owns it.

use std::rc::Rc;

use ringlog_reactor::Reactor;

use crate::bulk::BulkFiles;
use crate::cache::CacheBudget;
use crate::cold::ColdReads;
use crate::counters::LogCounters;
use crate::files::OpenFiles;
use crate::flusher::Flusher;
use crate::limits::{READ_AHEAD_BYTES, SEALED_FILES_MAX};
use crate::space::SpaceGauge;

/// What a log needs of the shard that owns it; shared by all logs of the shard.
#[derive(Clone)]
pub struct LogEnv {
    /// The reactor of the shard.
    pub reactor: Reactor,
    /// Who prepares files.
    pub bulk: Rc<dyn BulkFiles>,
    /// Who makes appends durable.
    pub flusher: Flusher,
    /// How much of the tails stays in memory.
    pub cache: CacheBudget,
    /// Reads from disk.
    pub cold: ColdReads,
    /// Files of sealed segments that are open.
    pub files: OpenFiles,
    /// Whether the device has room.
    pub space: SpaceGauge,
    /// What is counted.
    pub counters: Rc<LogCounters>,
}

impl LogEnv {
    /// Whether nothing is written to any log, nor was for a second.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.flusher.is_at_rest(self.reactor.now())
    }

    /// An environment with a flusher of its own, counters at zero, and a little memory to read ahead.
    pub fn new(
        reactor: Reactor,
        bulk: Rc<dyn BulkFiles>,
        cache: CacheBudget,
        space: SpaceGauge,
    ) -> Self {
        let counters = Rc::new(LogCounters::default());
        let flusher = Flusher::start(&reactor, Rc::clone(&counters));
        Self {
            reactor,
            bulk,
            flusher,
            cache,
            cold: ColdReads::new(READ_AHEAD_BYTES),
            files: OpenFiles::new(SEALED_FILES_MAX),
            space,
            counters,
        }
    }
}
