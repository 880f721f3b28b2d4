//! The content of one simulated file: what readers see, what is durable, and every version in between.
//!
//! Granularity is the 512-byte sector. A write lands when it completes; until a sync that was submitted later
//! completes, a loss of power may leave any version of a sector that came after the durable one, the durable one,
//! or a mix of two. Lengths have versions in the same way. It knows nothing of handles, paths and time.

use std::collections::BTreeMap;

use super::DiskStats;
use crate::sim::random::Chance;

pub(super) const SECTOR_BYTES: u64 = 512;
const SECTOR: usize = 512;
const BLOCK: usize = 4096;
const SECTORS_PER_BLOCK: u64 = 8;

type Sector = [u8; SECTOR];
const ZEROS: Sector = [0; SECTOR];

/// When something happened on a disk, in the order in which it happened.
pub(super) type Seq = u64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Write,
    /// A shorter length: kept at a loss of power if and only if that length, or a later one, is.
    Truncate,
}

struct Version {
    seq: Seq,
    cause: Cause,
    data: Box<Sector>,
    /// A sync failed over it: it is seen until the power goes and never reaches the medium.
    forgotten: bool,
}

/// A sector that differs from the medium, or may.
struct Dirty {
    durable: Box<Sector>,
    /// In the order in which they landed.
    versions: Vec<Version>,
}

/// How a file fares when the power goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing unsynced was left.
    Lost,
    /// Everything that landed was left.
    Kept,
    /// Each sector for itself.
    Mixed,
}

/// A write that was submitted and has not completed.
pub(super) struct Pending<'a> {
    pub(super) position: u64,
    pub(super) data: &'a [u8],
    pub(super) began: Seq,
}

#[derive(Default)]
pub(super) struct Content {
    /// What readers see, by block number; zeros where there is none.
    blocks: BTreeMap<u64, Box<[u8; BLOCK]>>,
    dirty: BTreeMap<u64, Dirty>,
    /// When a sector was last landed on, kept while several writes are in flight.
    landed: BTreeMap<u64, Seq>,
    len: u64,
    durable_len: u64,
    len_versions: Vec<(Seq, u64)>,
    allocated: u64,
    modified_ms: i64,
    durable_modified_ms: i64,
}

impl Content {
    pub(super) fn created(now_ms: i64) -> Self {
        Self {
            modified_ms: now_ms,
            durable_modified_ms: now_ms,
            ..Self::default()
        }
    }

    pub(super) fn modified_ms(&self) -> i64 {
        self.modified_ms
    }

    pub(super) fn note_modified(&mut self, now_ms: i64) {
        self.modified_ms = now_ms;
    }

    /// A sync of data and metadata completed.
    pub(super) fn metadata_synced(&mut self) {
        self.durable_modified_ms = self.modified_ms;
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Whether a loss of power could change anything.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.len_versions.is_empty()
    }

    fn sector(&self, number: u64) -> &[u8] {
        match self.blocks.get(&(number / SECTORS_PER_BLOCK)) {
            Some(block) => {
                let at = small(number % SECTORS_PER_BLOCK) * SECTOR;
                &block[at..at + SECTOR]
            }
            None => &ZEROS,
        }
    }

    fn put(&mut self, number: u64, data: &Sector) {
        let block = self
            .blocks
            .entry(number / SECTORS_PER_BLOCK)
            .or_insert_with(|| Box::new([0; BLOCK]));
        let at = small(number % SECTORS_PER_BLOCK) * SECTOR;
        block[at..at + SECTOR].copy_from_slice(data);
    }

    /// Reads into the front of `into`; the bytes read end at the end of the file.
    pub(super) fn read(&self, position: u64, into: &mut [u8]) -> usize {
        let available = small(self.len.saturating_sub(position));
        let wanted = into.len().min(available);
        let mut done = 0;
        while done < wanted {
            let at = position + done as u64;
            let within = small(at % BLOCK as u64);
            let part = (BLOCK - within).min(wanted - done);
            let target = &mut into[done..done + part];
            match self.blocks.get(&(at / BLOCK as u64)) {
                Some(block) => target.copy_from_slice(&block[within..within + part]),
                None => target.fill(0),
            }
            done += part;
        }
        wanted
    }

    /// A write lands. `others` says whether more writes of this file are in flight: the sectors that such a one
    /// landed on since `write.began` are each overwritten, or had been overwritten, by chance.
    pub(super) fn land(
        &mut self,
        write: &Pending<'_>,
        seq: Seq,
        others: bool,
        chance: &mut Chance,
    ) {
        let end = write.position + write.data.len() as u64;
        if write.data.is_empty() {
            return;
        }
        for number in write.position / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let start = number * SECTOR_BYTES;
            let from = small(write.position.saturating_sub(start));
            let to = SECTOR.min(small(end - start));
            let source = small(start + from as u64 - write.position);
            let mut data = ZEROS;
            data.copy_from_slice(self.sector(number));
            data[from..to].copy_from_slice(&write.data[source..source + (to - from)]);
            self.land_sector(number, &data, write.began, seq, others, chance);
        }
        if !others {
            self.landed.clear();
        }
        if end > self.len {
            self.len = end;
            self.len_versions.push((seq, end));
        }
        self.allocated = self.allocated.max(end.next_multiple_of(BLOCK as u64));
    }

    fn land_sector(
        &mut self,
        number: u64,
        data: &Sector,
        began: Seq,
        seq: Seq,
        others: bool,
        chance: &mut Chance,
    ) {
        if let Some(&other) = self.landed.get(&number)
            && other > began
            && chance.coin()
        {
            // It had landed just before the other one, which readers therefore go on seeing.
            if let Some(dirty) = self.dirty.get_mut(&number)
                && let Some(index) = dirty
                    .versions
                    .iter()
                    .position(|version| version.seq >= other)
            {
                let data = Box::new(*data);
                dirty.versions.insert(
                    index,
                    Version {
                        seq: other,
                        cause: Cause::Write,
                        data,
                        forgotten: false,
                    },
                );
            }
            return;
        }
        if others {
            self.landed.insert(number, seq);
        }
        let version = || Version {
            seq,
            cause: Cause::Write,
            data: Box::new(*data),
            forgotten: false,
        };
        if let Some(dirty) = self.dirty.get_mut(&number) {
            dirty.versions.push(version());
        } else {
            let current = self.sector(number);
            if current == data {
                return;
            }
            let mut durable = Box::new(ZEROS);
            durable.copy_from_slice(current);
            self.dirty.insert(
                number,
                Dirty {
                    durable,
                    versions: vec![version()],
                },
            );
        }
        self.put(number, data);
    }

    /// Sets the length; what lies beyond a shorter one is gone.
    pub(super) fn set_len(&mut self, len: u64, seq: Seq) {
        if len == self.len {
            return;
        }
        if len < self.len {
            self.cut_sectors(len, seq);
            self.allocated = self.allocated.min(len.next_multiple_of(BLOCK as u64));
        }
        self.len = len;
        self.len_versions.push((seq, len));
    }

    /// Allocates up to `len`, growing the file to it.
    pub(super) fn allocate(&mut self, len: u64, seq: Seq) {
        self.allocated = self.allocated.max(len.next_multiple_of(BLOCK as u64));
        if len > self.len {
            self.len = len;
            self.len_versions.push((seq, len));
        }
    }

    fn cut_sectors(&mut self, len: u64, seq: Seq) {
        let first = len / SECTOR_BYTES;
        let mut numbers: Vec<u64> = self
            .blocks
            .range(first / SECTORS_PER_BLOCK..)
            .flat_map(|(block, _)| {
                (0..SECTORS_PER_BLOCK).map(move |sector| block * SECTORS_PER_BLOCK + sector)
            })
            .filter(|&number| number >= first)
            .collect();
        numbers.dedup();
        for number in numbers {
            let keep = small(len.saturating_sub(number * SECTOR_BYTES)).min(SECTOR);
            let mut data = ZEROS;
            data[..keep].copy_from_slice(&self.sector(number)[..keep]);
            let unchanged = self.sector(number) == data;
            if unchanged && !self.dirty.contains_key(&number) {
                continue;
            }
            let mut durable = Box::new(ZEROS);
            durable.copy_from_slice(self.sector(number));
            let dirty = self.dirty.entry(number).or_insert(Dirty {
                durable,
                versions: Vec::new(),
            });
            let data_boxed = Box::new(data);
            dirty.versions.push(Version {
                seq,
                cause: Cause::Truncate,
                data: data_boxed,
                forgotten: false,
            });
            self.put(number, &data);
        }
    }

    /// A sync that was submitted at `until` completed: what landed by then is on the medium.
    pub(super) fn synced(&mut self, until: Seq) {
        let mut clean = Vec::new();
        for (&number, dirty) in &mut self.dirty {
            let covered = dirty
                .versions
                .iter()
                .take_while(|version| version.seq <= until)
                .count();
            let mut forgot = false;
            for version in dirty.versions.drain(..covered) {
                forgot |= version.forgotten;
                if !version.forgotten {
                    dirty.durable = version.data;
                }
            }
            if dirty.versions.is_empty() {
                clean.push((number, forgot));
            }
        }
        for (number, forgot) in clean {
            let differs = forgot
                && self
                    .dirty
                    .get(&number)
                    .is_some_and(|dirty| self.sector(number) != *dirty.durable);
            if !differs {
                self.dirty.remove(&number);
            }
        }
        let covered = self
            .len_versions
            .iter()
            .take_while(|(seq, _)| *seq <= until)
            .count();
        if let Some((_, len)) = self.len_versions.drain(..covered).next_back() {
            self.durable_len = len;
        }
    }

    /// A sync that was submitted at `until` failed: some of what it covered will never be written.
    pub(super) fn sync_failed(&mut self, until: Seq, chance: &mut Chance) {
        for dirty in self.dirty.values_mut() {
            let forgotten = chance.coin();
            for version in dirty
                .versions
                .iter_mut()
                .filter(|version| version.seq <= until)
            {
                version.forgotten |= forgotten;
            }
        }
    }

    /// The process died with these writes in flight: each landed or did not.
    pub(super) fn lose_process(
        &mut self,
        in_flight: &[Pending<'_>],
        seq: Seq,
        chance: &mut Chance,
    ) {
        for write in in_flight {
            if chance.coin() {
                self.land(write, seq, true, chance);
            }
        }
        self.landed.clear();
    }

    /// The power went with these writes in flight.
    pub(super) fn lose_power(
        &mut self,
        in_flight: &[Pending<'_>],
        seq: Seq,
        chance: &mut Chance,
        stats: &mut DiskStats,
    ) {
        let fate = match chance.below(8) {
            0 | 1 => Fate::Lost,
            2 | 3 => Fate::Kept,
            _ => Fate::Mixed,
        };
        if fate != Fate::Lost {
            for write in in_flight {
                if chance.coin() {
                    self.land(write, seq, true, chance);
                }
            }
        }
        self.landed.clear();
        let kept_lens = match fate {
            Fate::Lost => 0,
            Fate::Kept => self.len_versions.len(),
            Fate::Mixed => chance.index(self.len_versions.len() + 1),
        };
        let (len_seq, len) = match kept_lens.checked_sub(1) {
            Some(last) => self.len_versions[last],
            None => (0, self.durable_len),
        };
        for (number, dirty) in std::mem::take(&mut self.dirty) {
            let survivor = dirty.survivor(fate, len_seq, chance, stats);
            self.put(number, &survivor);
        }
        self.len_versions.clear();
        self.cut_sectors(len, seq);
        self.dirty.clear();
        self.len = len;
        self.durable_len = len;
        self.modified_ms = self.durable_modified_ms;
    }

    /// Turns one bit over in every version there is of it.
    pub(super) fn flip_bit(&mut self, position: u64, bit: u32) {
        let number = position / SECTOR_BYTES;
        let at = small(position % SECTOR_BYTES);
        let mask = 1_u8 << (bit % 8);
        let mut current = ZEROS;
        current.copy_from_slice(self.sector(number));
        current[at] ^= mask;
        self.put(number, &current);
        if let Some(dirty) = self.dirty.get_mut(&number) {
            dirty.durable[at] ^= mask;
            for version in &mut dirty.versions {
                version.data[at] ^= mask;
            }
        }
    }

    /// Everything as it is now becomes durable at once.
    pub(super) fn make_durable(&mut self) {
        self.dirty.clear();
        self.len_versions.clear();
        self.durable_len = self.len;
        self.durable_modified_ms = self.modified_ms;
    }
}

impl Dirty {
    fn survivor(
        self,
        fate: Fate,
        len_seq: Seq,
        chance: &mut Chance,
        stats: &mut DiskStats,
    ) -> Sector {
        let mut candidates = vec![self.durable];
        for version in self.versions {
            if version.forgotten {
                continue;
            }
            if version.cause == Cause::Truncate {
                if version.seq > len_seq {
                    continue;
                }
                candidates.clear();
            }
            candidates.push(version.data);
        }
        let index = match fate {
            Fate::Lost => 0,
            Fate::Kept => candidates.len() - 1,
            Fate::Mixed => chance.index(candidates.len()),
        };
        let mut survivor = *candidates[index];
        if fate == Fate::Mixed && candidates.len() > 1 && chance.one_in(4) {
            let other = &candidates[chance.index(candidates.len())];
            let cut = small(chance.between(1, SECTOR_BYTES - 1));
            let whole = survivor;
            survivor[cut..].copy_from_slice(&other[cut..]);
            if survivor != whole && survivor != **other {
                stats.torn_sectors += 1;
            }
        }
        survivor
    }
}

/// A length or position inside a simulated file as an index; simulated files fit memory.
fn small(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
