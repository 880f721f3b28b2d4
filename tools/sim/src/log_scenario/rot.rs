//! A bit that turns over on the medium between two lives, and is turned back behind the second.
//!
//! It lies in an index file or in a part of a segment that is below the durable end of the newest checkpoint. Behind
//! that a change cannot be told from a tear. What is found there must be refused or said to be damaged, and be there
//! again when the bit is.

use std::path::PathBuf;

use ringlog_log::inspect::read_checkpoint;
use ringlog_reactor::sim::{Chance, NodeId, SimWorld};

/// A bit that was turned over.
#[derive(Debug)]
pub(super) struct Rot {
    path: PathBuf,
    position: u64,
    bit: u32,
    /// The byte with it.
    turned: u8,
}

impl Rot {
    /// Turns a bit in a directory of a log over, if there is a place for it.
    pub(super) fn begin(
        world: &SimWorld,
        node: NodeId,
        directory: &std::path::Path,
        chance: &mut Chance,
    ) -> Option<Self> {
        let places = places(world, node, directory);
        let (path, bytes) = places.get(chance.index(places.len()))?;
        let position = chance.below(*bytes);
        let bit = u32::try_from(chance.below(8)).unwrap_or(0);
        world.flip_bit(node, path, position, bit).ok()?;
        let turned = byte_at(world, node, path, position)?;
        Some(Self {
            path: path.clone(),
            position,
            bit,
            turned,
        })
    }

    /// Turns the bit back, unless the file is gone or was written anew.
    pub(super) fn end(self, world: &SimWorld, node: NodeId) {
        if byte_at(world, node, &self.path, self.position) == Some(self.turned) {
            // The file is there: its byte was just read.
            let turned_back = world.flip_bit(node, &self.path, self.position, self.bit);
            debug_assert!(turned_back.is_ok());
        }
    }
}

fn byte_at(world: &SimWorld, node: NodeId, path: &std::path::Path, position: u64) -> Option<u8> {
    let content = world.read_file(node, path).ok()?;
    content.get(usize::try_from(position).ok()?).copied()
}

/// Files, and how far from their beginning they may be changed.
fn places(world: &SimWorld, node: NodeId, directory: &std::path::Path) -> Vec<(PathBuf, u64)> {
    let mut places = Vec::new();
    let checkpoint = world.read_file(node, &directory.join("checkpoint"));
    let slots = checkpoint.map(|content| read_checkpoint(&mut content.as_slice()));
    let Ok(Ok(slots)) = slots else {
        return places;
    };
    let Some(newest) = slots.iter().flatten().max_by_key(|slot| slot.sequence) else {
        return places;
    };
    for entry in world.list_dir(node, directory).unwrap_or_default() {
        let path = directory.join(&entry.name);
        let bytes = match entry.name.split_once('.') {
            Some((_, "index")) => entry.len_bytes,
            Some((base, "log")) => match base.parse::<u64>() {
                Ok(base) if base < newest.active_base.get() => entry.len_bytes,
                Ok(base) if base == newest.active_base.get() => newest.durable_position,
                _ => 0,
            },
            _ => 0,
        };
        if bytes > 0 {
            places.push((path, bytes.min(entry.len_bytes)));
        }
    }
    places
}
