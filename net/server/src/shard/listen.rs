//! Taking connections.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ringlog_reactor::{ListenOptions, Listener, Task};

use super::Shard;
use crate::connection;
use crate::limits::ACCEPT_RETRY;

/// How far a shard has got with taking connections.
#[derive(Default)]
pub(crate) enum Listening {
    /// Nothing is bound.
    #[default]
    No,
    /// Connections wait.
    Bound(Listener),
    /// They are taken, as long as the task is there.
    Accepting { _task: Task<()> },
}

impl Shard {
    /// Binds the address, which all shards of a broker share.
    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let options = ListenOptions { reuse_port: true };
        let listener = self.reactor.listen(address, options)?;
        let address = listener.local_addr();
        self.listening.replace(Listening::Bound(listener));
        Ok(address)
    }

    /// Whether one more connection may be open here. One that may not is counted, logged, and to be closed.
    pub(crate) fn has_room_for_connection(&self, peer: SocketAddr) -> bool {
        let open = self.metrics.connections.get();
        let has_room = open < self.connections_max as u64;
        if !has_room {
            self.metrics.connections_refused.add(1);
            tracing::warn!(%peer, open, "a connection is refused: there are too many");
        }
        has_room
    }

    /// Takes connections from now on.
    pub(crate) fn accept(self: &Rc<Self>) {
        if let Listening::Bound(listener) = self.listening.take() {
            let accept = accept(Rc::clone(self), listener);
            let task = self.reactor.spawn("accept", accept);
            self.listening.replace(Listening::Accepting { _task: task });
        }
    }
}

async fn accept(shard: Rc<Shard>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if !shard.has_room_for_connection(peer) {
                    continue;
                }
                shard.metrics.connections_accepted.add(1);
                connection::greet(&shard, stream);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                shard.reactor.sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
