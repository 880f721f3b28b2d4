//! The driver of a simulated core: passes everything on to its world.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Weak;
use std::sync::Arc;

use crossbeam_queue::SegQueue;

use super::world::Shared;
use super::{CoreId, NodeId};
use crate::driver::{Driver, ListenOptions, Notify, Wait};
use crate::op::{Completion, Handle, Op, OpId};
use crate::time::Instant;

/// What a simulated core sees of its world. Once the world is gone it does nothing.
pub(super) struct SimDriver {
    pub(super) world: Weak<Shared>,
    pub(super) core: CoreId,
    pub(super) node: NodeId,
    /// The last time seen, told on when the world is gone.
    pub(super) last_now: Cell<Instant>,
}

impl Driver for SimDriver {
    fn submit(&mut self, id: OpId, op: Op) {
        if let Some(world) = self.world.upgrade() {
            world
                .state
                .borrow_mut()
                .submit(self.node, self.core, id, op);
        }
    }

    fn cancel(&mut self, id: OpId) {
        if let Some(world) = self.world.upgrade() {
            world.state.borrow_mut().cancel(self.core, id);
        }
    }

    fn turn(&mut self, _wait: Wait, _completions: &mut Vec<Completion>) -> io::Result<()> {
        // The world turns its cores; a core that turns itself would wait for ever.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<(Handle, SocketAddr)> {
        let world = self.world.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        world.state.borrow_mut().listen(self.node, address, options)
    }

    fn now(&self) -> Instant {
        if let Some(world) = self.world.upgrade() {
            self.last_now.set(world.state.borrow().now());
        }
        self.last_now.get()
    }

    fn writes_through(&self) -> bool {
        self.world
            .upgrade()
            .is_some_and(|world| world.state.borrow().writes_through())
    }

    fn unix_time_ms(&self) -> i64 {
        self.world
            .upgrade()
            .map_or(0, |world| world.state.borrow().unix_time_ms(self.node))
    }

    fn random_u64(&mut self) -> u64 {
        self.world
            .upgrade()
            .map_or(0, |world| world.state.borrow_mut().random_u64())
    }
}

/// Tells the world that a parked core has something to do.
pub(super) struct SimNotify {
    pub(super) core: CoreId,
    pub(super) woken: Arc<SegQueue<CoreId>>,
}

impl Notify for SimNotify {
    fn notify(&self) {
        self.woken.push(self.core);
    }
}
