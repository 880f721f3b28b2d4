//! The timers of one core: a hierarchical wheel.
//!
//! Time is cut into ticks of 16 us. A timer further away than the current tick lies in a slot of the level that its
//! distance calls for: 64 slots of one tick, 64 of 64 ticks, and so on, so that registering and forgetting take the
//! same time however many there are. When the wheel reaches a slot, its timers move to finer slots, and from there
//! into `near`, which is ordered by deadline. They fire from `near` alone: never early, and among equals in the
//! order in which they were registered.
//!
//! The level of a timer is told by the highest bit in which its tick differs from the current one. So all timers of
//! a level are earlier than all of the levels above, and within a level those of lower slots are earlier.

use std::collections::BTreeMap;
use std::task::Waker;

use slab::Slab;

use crate::time::Instant;

/// Length of a tick: 2 to this power, in nanoseconds.
const TICK_BITS: u32 = 14;

/// Slots of a level: 2 to this power.
const SLOT_BITS: u32 = 6;

const SLOTS: usize = 1 << SLOT_BITS;

/// Levels, as many as cover every 64-bit time.
const LEVELS: usize = (64 - TICK_BITS).div_ceil(SLOT_BITS) as usize;

/// Names a registered timer, and no other one afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId {
    key: usize,
    sequence: u64,
}

/// Where a timer is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Near,
    Slot {
        level: usize,
        slot: usize,
        /// Position within the slot.
        index: usize,
    },
}

struct Timer {
    deadline: Instant,
    sequence: u64,
    waker: Waker,
    place: Place,
}

struct Level {
    /// Which slots are not empty.
    occupied: u64,
    slots: [Vec<usize>; SLOTS],
}

/// The timers that have not fired.
pub(crate) struct Timers {
    timers: Slab<Timer>,
    levels: Vec<Level>,
    /// Timers of the current tick and before, by deadline and registration.
    near: BTreeMap<(Instant, u64), usize>,
    /// The tick that the wheel has reached.
    current: u64,
    next_sequence: u64,
}

impl Default for Timers {
    fn default() -> Self {
        let level = || Level {
            occupied: 0,
            slots: std::array::from_fn(|_| Vec::new()),
        };
        Self {
            timers: Slab::new(),
            levels: (0..LEVELS).map(|_| level()).collect(),
            near: BTreeMap::new(),
            current: 0,
            next_sequence: 0,
        }
    }
}

fn tick_of(deadline: Instant) -> u64 {
    deadline.as_nanos() >> TICK_BITS
}

impl Timers {
    /// Registers `waker` to be woken at `deadline`.
    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerId {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let key = self.timers.insert(Timer {
            deadline,
            sequence,
            waker,
            place: Place::Near,
        });
        self.place(key);
        TimerId { key, sequence }
    }

    /// Replaces the waker of a timer that has not fired.
    pub(crate) fn update(&mut self, id: TimerId, waker: &Waker) {
        if let Some(timer) = self.timer_mut(id) {
            timer.waker.clone_from(waker);
        }
    }

    /// Forgets a timer; nothing happens when it has fired.
    pub(crate) fn remove(&mut self, id: TimerId) {
        if self.timer_mut(id).is_some() {
            let timer = self.timers.remove(id.key);
            self.displace(&timer);
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        if let Some((&(deadline, _), _)) = self.near.first_key_value() {
            return Some(deadline);
        }
        let (level, slot) = self.first_slot()?;
        let timers = self.levels[level].slots[slot].iter();
        timers
            .filter_map(|&key| self.timers.get(key))
            .map(|timer| timer.deadline)
            .min()
    }

    /// Takes one timer whose deadline is not after `now`: the earliest, and among equals the oldest.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        self.advance(tick_of(now));
        let entry = self.near.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let key = entry.remove();
        Some(self.timers.remove(key).waker)
    }

    fn timer_mut(&mut self, id: TimerId) -> Option<&mut Timer> {
        let timer = self.timers.get_mut(id.key)?;
        (timer.sequence == id.sequence).then_some(timer)
    }

    /// Puts a timer where its distance from the current tick calls for.
    fn place(&mut self, key: usize) {
        let Some(timer) = self.timers.get_mut(key) else {
            return;
        };
        let tick = tick_of(timer.deadline);
        if tick <= self.current {
            timer.place = Place::Near;
            self.near.insert((timer.deadline, timer.sequence), key);
            return;
        }
        // The two differ, so there is a highest bit that does.
        let level = ((tick ^ self.current).ilog2() / SLOT_BITS) as usize;
        let slot = slot_of(tick, level);
        let timers = &mut self.levels[level];
        timer.place = Place::Slot {
            level,
            slot,
            index: timers.slots[slot].len(),
        };
        timers.slots[slot].push(key);
        timers.occupied |= 1 << slot;
    }

    /// Takes a timer that was removed out of the place where it was.
    fn displace(&mut self, timer: &Timer) {
        let Place::Slot { level, slot, index } = timer.place else {
            self.near.remove(&(timer.deadline, timer.sequence));
            return;
        };
        let timers = &mut self.levels[level];
        timers.slots[slot].swap_remove(index);
        if timers.slots[slot].is_empty() {
            timers.occupied &= !(1 << slot);
        }
        // Another one has taken its position.
        if let Some(&moved) = timers.slots[slot].get(index)
            && let Some(moved) = self.timers.get_mut(moved)
        {
            moved.place = timer.place;
        }
    }

    /// The slot with the earliest timers.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        let slot = self.levels[level].occupied.trailing_zeros() as usize;
        Some((level, slot))
    }

    /// Moves the wheel on to `tick`.
    fn advance(&mut self, tick: u64) {
        while let Some((level, slot)) = self.first_slot() {
            let begin = self.begin_of(level, slot);
            if begin > tick {
                break;
            }
            self.current = begin;
            self.levels[level].occupied &= !(1 << slot);
            let timers = std::mem::take(&mut self.levels[level].slots[slot]);
            for &key in &timers {
                self.place(key);
            }
            // Keeps the memory of the slot, which is empty: nothing goes back to where it came from.
            let mut emptied = timers;
            emptied.clear();
            self.levels[level].slots[slot] = emptied;
        }
        self.current = self.current.max(tick);
    }

    /// The first tick of a slot: the current one's higher bits, the slot's own, and zeros.
    fn begin_of(&self, level: usize, slot: usize) -> u64 {
        let low_bits = SLOT_BITS * u32::try_from(level).unwrap_or(0);
        let above = self
            .current
            .checked_shr(low_bits + SLOT_BITS)
            .and_then(|bits| bits.checked_shl(low_bits + SLOT_BITS))
            .unwrap_or(0);
        above | (slot as u64) << low_bits
    }
}

fn slot_of(tick: u64, level: usize) -> usize {
    let shifted = tick >> (SLOT_BITS * u32::try_from(level).unwrap_or(0));
    usize::try_from(shifted & (SLOTS as u64 - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
