//! What a test does to machines, disks, clocks and networks, and sees of them, from outside.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{CoreSlot, Node, SimWorld};
use crate::op::DirEntry;
use crate::sim::NodeId;
use crate::sim::disk::{DiskFault, DiskStats};

impl SimWorld {
    /// Lets time pass as if the task that runs now held its core for so long. The other cores of the world stand still
    /// meanwhile, and what is due comes late.
    pub fn hold_core(&self, held: Duration) {
        let nanos = u64::try_from(held.as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.0.state.borrow_mut();
        state.now = state.now.saturating_add(nanos);
    }

    /// Cuts the network in one direction.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.0.state.borrow_mut().net.cut(from, to);
    }

    /// Ends a cut in one direction.
    pub fn heal(&self, from: NodeId, to: NodeId) {
        self.0
            .state
            .borrow_mut()
            .with_net(|net, cx| net.heal(from, to, cx));
    }

    /// Sets a node's wall clock off by so many milliseconds.
    pub fn skew_clock(&self, node: NodeId, skew_ms: i64) {
        self.with_node(node, |node| node.clock_skew_ms = skew_ms);
    }

    /// A node's wall clock, in milliseconds since the Unix epoch.
    pub fn unix_time_ms(&self, node: NodeId) -> i64 {
        self.0.state.borrow().unix_time_ms(node)
    }

    /// Makes operations of a node's disk fail.
    pub fn inject(&self, node: NodeId, fault: DiskFault) {
        self.with_node(node, |node| node.disk.inject(fault));
    }

    /// Ends all faults of a node's disk.
    pub fn clear_faults(&self, node: NodeId) {
        self.with_node(node, |node| node.disk.clear_faults());
    }

    /// Sets the size of a node's disk.
    pub fn set_capacity(&self, node: NodeId, capacity_bytes: u64) {
        self.with_node(node, |node| node.disk.set_capacity(capacity_bytes));
    }

    /// What became of a node's disk so far.
    pub fn disk_stats(&self, node: NodeId) -> DiskStats {
        self.with_node(node, |node| node.disk.stats)
            .unwrap_or_default()
    }

    /// Whether a loss of power now could lose something on a node's disk.
    pub fn has_unsynced(&self, node: NodeId) -> bool {
        self.with_node(node, |node| node.disk.has_unsynced())
            .unwrap_or(false)
    }

    /// Makes a directory and those above it, durable at once.
    ///
    /// # Errors
    ///
    /// When something on the way is not a directory.
    pub fn make_dir_all(&self, node: NodeId, path: &Path) -> io::Result<()> {
        self.with_node(node, |node| node.disk.make_dir_all(path))
            .unwrap_or_else(no_node)
    }

    /// The content of a file as a reader on the node sees it.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn read_file(&self, node: NodeId, path: &Path) -> io::Result<Vec<u8>> {
        self.with_node(node, |node| node.disk.read_file(path))
            .unwrap_or_else(no_node)
    }

    /// Overwrites a part of an existing file, durable at once, as a failing device does.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn overwrite(
        &self,
        node: NodeId,
        path: &Path,
        position: u64,
        data: &[u8],
    ) -> io::Result<()> {
        self.with_node(node, |node| node.disk.overwrite(path, position, data))
            .unwrap_or_else(no_node)
    }

    /// Turns one bit of a file over, for readers and on the medium: bit rot. Turning it over again mends it.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn flip_bit(&self, node: NodeId, path: &Path, position: u64, bit: u32) -> io::Result<()> {
        self.with_node(node, |node| node.disk.flip_bit(path, position, bit))
            .unwrap_or_else(no_node)
    }

    /// Exchanges the disks of two nodes on which nothing runs, as a hand does that puts the wrong one back.
    pub fn swap_disks(&self, one: NodeId, other: NodeId) {
        let state = &mut *self.0.state.borrow_mut();
        let runs = |slot: &CoreSlot| slot.node == one || slot.node == other;
        assert!(
            !state.cores.values().any(runs),
            "a disk cannot be exchanged while its node runs"
        );
        let (first, second) = (
            usize::from(one.0.min(other.0)),
            usize::from(one.0.max(other.0)),
        );
        if let Some((front, back)) = state.nodes.split_at_mut_checked(second)
            && let (Some(first), Some(second)) = (front.get_mut(first), back.first_mut())
        {
            std::mem::swap(&mut first.disk, &mut second.disk);
        }
    }

    /// The entries of a directory of a node.
    ///
    /// # Errors
    ///
    /// When there is no such directory.
    pub fn list_dir(&self, node: NodeId, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.with_node(node, |node| node.disk.list_dir(path))
            .unwrap_or_else(no_node)
    }

    fn with_node<R>(&self, node: NodeId, body: impl FnOnce(&mut Node) -> R) -> Option<R> {
        self.0
            .state
            .borrow_mut()
            .nodes
            .get_mut(usize::from(node.0))
            .map(body)
    }
}

fn no_node<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "the world has no such node",
    ))
}
