//! Starting cores inside a simulated node.

use std::io;

use super::NodeId;
use super::world::SimWorld;
use crate::buf::BufferPool;
use crate::platform::{CoreHandle, CoreMain, CoreSpec, Platform};

/// Starts cores on one node of a world.
#[derive(Clone)]
pub struct SimPlatform {
    world: SimWorld,
    node: NodeId,
}

impl SimPlatform {
    pub(super) fn new(world: SimWorld, node: NodeId) -> Self {
        Self { world, node }
    }
}

impl Platform for SimPlatform {
    fn launch(&self, spec: CoreSpec, main: CoreMain) -> io::Result<CoreHandle> {
        let pool = BufferPool::new(spec.pool_bytes);
        Ok(self.world.launch_core(self.node, pool, main).1)
    }
}
