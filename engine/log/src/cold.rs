//! Cold reads: the background class of a shard, and reading ahead for those who go on.
//!
//! Everything that readers need from disk is read here, in pieces, and only so many bytes of a shard are under way at the
//! device at a time. A flush group therefore finds at most that much before it in the device's queue, however many
//! consumers read old records. Pieces of several reads alternate in order of arrival. After a second without any flush
//! group pieces are larger; the first group then finds more before it.
//!
//! A fetch that begins where one before it ended belongs to a [`Stream`]. From its second fetch on, the window of the
//! file that it will ask for next is read while the answer is on its way, and while nothing is written those behind it,
//! too. The memory for that comes out of a budget; who finds none there reads without. It is given back when the reader
//! stays away, and at once when an append is short of memory.

mod stream;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use ringlog_reactor::{AlignedBuf, Budget, Reactor};
use ringlog_record::Offset;

pub(crate) use self::stream::{Ahead, Stream, Windows};
pub(crate) use self::window::Window;
use crate::limits::{BACKGROUND_IN_FLIGHT_BYTES_MAX, READ_AHEAD_IDLE_MS, READ_STREAMS_MAX};
use crate::log::LogInner;

/// The cold reads of a shard. Clones share them.
#[derive(Clone)]
pub struct ColdReads(Rc<Shared>);

struct Shared {
    read_ahead_bytes: usize,
    /// Memory of windows that were, or are being, read ahead.
    memory: Budget,
    /// Bytes under way at the device; the large pieces that are read while nothing is written count as usual ones.
    in_flight: Budget,
    /// Those who may go on, the one that has been quiet longest first.
    streams: RefCell<VecDeque<Stream>>,
    is_swept: Cell<bool>,
}

impl ColdReads {
    /// Cold reads with a budget of this many bytes to read ahead; none are read ahead when it is 0.
    pub fn new(read_ahead_bytes: usize) -> Self {
        Self(Rc::new(Shared {
            read_ahead_bytes,
            memory: Budget::new(read_ahead_bytes),
            in_flight: Budget::new(BACKGROUND_IN_FLIGHT_BYTES_MAX),
            streams: RefCell::default(),
            is_swept: Cell::new(false),
        }))
    }

    /// Bytes of memory that hold what was, or is being, read ahead.
    pub fn read_ahead_bytes(&self) -> usize {
        self.0.read_ahead_bytes - self.0.memory.free_bytes()
    }

    /// Bytes under way at the device; the large pieces that are read while nothing is written count as usual ones.
    pub fn in_flight_bytes(&self) -> usize {
        BACKGROUND_IN_FLIGHT_BYTES_MAX - self.0.in_flight.free_bytes()
    }

    /// Whether half of the memory to read ahead is free.
    fn has_plenty(&self) -> bool {
        self.0.memory.free_bytes() >= self.0.read_ahead_bytes / 2
    }

    /// Drops the window of the reader that has been quiet longest; false when there is none.
    pub(crate) fn give_up_one(&self) -> bool {
        let given_up = self
            .0
            .streams
            .borrow_mut()
            .iter_mut()
            .find_map(Stream::give_up);
        given_up.is_some()
    }

    /// A buffer to read into, for which others' windows are given up when memory is short.
    fn buffer(&self, reactor: &Reactor, len: usize) -> Option<AlignedBuf> {
        loop {
            let found = reactor.buffer(len);
            if found.is_some() || !self.give_up_one() {
                return found;
            }
        }
    }

    /// The reader that goes on at `offset`.
    pub(crate) fn take_stream(
        &self,
        log: &Weak<LogInner>,
        segment: Offset,
        offset: Offset,
    ) -> Option<Stream> {
        let mut streams = self.0.streams.borrow_mut();
        let index = streams
            .iter()
            .position(|stream| stream.goes_on_at(log, segment, offset))?;
        streams.remove(index)
    }

    /// Remembers a reader that may go on.
    pub(crate) fn remember(&self, reactor: &Reactor, mut stream: Stream) {
        stream.used = reactor.now();
        let forgotten = {
            let mut streams = self.0.streams.borrow_mut();
            streams.push_back(stream);
            if streams.len() > READ_STREAMS_MAX {
                streams.pop_front()
            } else {
                None
            }
        };
        drop(forgotten);
        if !self.0.is_swept.replace(true) {
            let sweep = sweep(reactor.clone(), Rc::downgrade(&self.0));
            reactor.spawn("sweep cold reads", sweep).detach();
        }
    }

    /// Forgets the readers of a log.
    pub(crate) fn forget(&self, log: &Weak<LogInner>) {
        self.0.forget_if(|stream| stream.log.ptr_eq(log));
    }
}

impl Shared {
    fn forget_if(&self, is_forgotten: impl Fn(&Stream) -> bool) {
        let streams = std::mem::take(&mut *self.streams.borrow_mut());
        let kept = streams.into_iter().filter(|stream| !is_forgotten(stream));
        let kept = kept.collect();
        *self.streams.borrow_mut() = kept;
    }
}

/// Forgets readers that stay away, until there are none.
async fn sweep(reactor: Reactor, shared: Weak<Shared>) {
    let patience = Duration::from_millis(READ_AHEAD_IDLE_MS);
    loop {
        reactor.sleep(patience / 2).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let now = reactor.now();
        shared.forget_if(|stream| now.since(stream.used) >= patience);
        if shared.streams.borrow().is_empty() {
            shared.is_swept.set(false);
            return;
        }
    }
}
