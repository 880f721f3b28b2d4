//! Listeners and connections.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use bytes::{Buf, Bytes};

use crate::buf::AlignedBuf;
use crate::op::{Handle, Op, Output};
use crate::reactor::{Reactor, unexpected};

/// Accepts connections; closed when dropped.
pub struct Listener {
    reactor: Reactor,
    handle: Handle,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn new(reactor: Reactor, handle: Handle, address: SocketAddr) -> Self {
        Self {
            reactor,
            handle,
            address,
        }
    }

    /// The address that it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next connection and its peer.
    ///
    /// # Errors
    ///
    /// What `accept` says, such as too many open files; the listener stays usable.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self
            .reactor
            .run(Op::Accept {
                listener: self.handle,
            })
            .await
        {
            Output::Accepted(result) => result
                .map(|(handle, peer)| (TcpStream::new(self.reactor.clone(), handle, peer), peer)),
            other => Err(unexpected(&other)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.reactor.run_detached(Op::Close {
            handle: self.handle,
        });
    }
}

/// A connection taken off its core, on its way to another one of the same broker. It must be adopted
/// ([`Reactor::adopt`]) to be used or closed; no operation may be in flight on it.
#[derive(Debug)]
#[must_use = "a socket that is not adopted again is never closed"]
pub struct RawSocket {
    pub(crate) handle: Handle,
    pub(crate) peer: SocketAddr,
}

/// A connection of this core; closed when dropped.
pub struct TcpStream {
    reactor: Reactor,
    handle: Option<Handle>,
    peer: SocketAddr,
}

impl TcpStream {
    pub(crate) fn new(reactor: Reactor, handle: Handle, peer: SocketAddr) -> Self {
        Self {
            reactor,
            handle: Some(handle),
            peer,
        }
    }

    /// The other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Receives between 1 and `range.len()` bytes into `buf[range]`; 0 is the end of the stream. The buffer
    /// comes back whatever the result.
    pub async fn recv(
        &self,
        buf: AlignedBuf,
        range: Range<usize>,
    ) -> (io::Result<usize>, AlignedBuf) {
        let Some(socket) = self.handle else {
            return (Err(io::ErrorKind::NotConnected.into()), buf);
        };
        match self.reactor.run(Op::Recv { socket, buf, range }).await {
            Output::Buf(result, buf) => (result, buf),
            other => (Err(unexpected(&other)), AlignedBuf::unpooled(0)),
        }
    }

    /// Sends all of `data`, and leaves it empty with its memory. One send at a time: a second one in flight would
    /// interleave.
    ///
    /// # Errors
    ///
    /// What `send` says; how much left is then unknown.
    pub async fn send(&self, data: &mut Vec<Bytes>) -> io::Result<()> {
        let Some(socket) = self.handle else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut sent = 0;
        loop {
            take_front(data, sent);
            if data.is_empty() {
                return Ok(());
            }
            let op = Op::Send {
                socket,
                data: std::mem::take(data),
            };
            let (result, back) = match self.reactor.run(op).await {
                Output::Sent(result, back) => (result, back),
                other => return Err(unexpected(&other)),
            };
            *data = back;
            sent = result?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
    }

    /// Shuts both directions down: a pending receive ends, the peer sees the end of the stream.
    ///
    /// # Errors
    ///
    /// What `shutdown` says.
    pub async fn shutdown(&self) -> io::Result<()> {
        let Some(socket) = self.handle else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        self.reactor.run_unit(Op::Shutdown { socket }).await
    }

    /// Takes the connection off this core. No operation may be in flight.
    pub fn into_raw(mut self) -> Option<RawSocket> {
        let handle = self.handle.take()?;
        Some(RawSocket {
            handle,
            peer: self.peer,
        })
    }
}

/// Takes `bytes` off the front, and slices that are empty.
fn take_front(data: &mut Vec<Bytes>, mut bytes: usize) {
    let mut whole = 0;
    for slice in data.iter_mut() {
        if slice.len() > bytes {
            slice.advance(bytes);
            break;
        }
        bytes -= slice.len();
        whole += 1;
    }
    data.drain(..whole);
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.reactor.run_detached(Op::Close { handle });
        }
    }
}
