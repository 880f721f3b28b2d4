//! Sockets and addresses of the ring driver.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::driver::ListenOptions;
use crate::limits::LISTEN_BACKLOG;

/// Addresses that this process listens on with `reuse_port`, and how many listeners each has.
///
/// Shared between the shards of a process, which is what makes it the place to know whether a listener is the
/// first on its address. Touched only when a listener opens or closes.
static SHARED_ADDRESSES: Mutex<BTreeMap<SocketAddr, usize>> = Mutex::new(BTreeMap::new());

fn shared_addresses() -> MutexGuard<'static, BTreeMap<SocketAddr, usize>> {
    SHARED_ADDRESSES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Opens a listener; with the address that it got.
///
/// With `reuse_port` the first listener of this process on an address binds and listens without
/// `SO_REUSEPORT`, which fails when another process is there, and only then lets the others in. So a second
/// broker is refused instead of taking a share of the connections, and there is no moment between a check and
/// the bind in which it could slip in. `SO_REUSEADDR` is always set: connections left over by a process that was
/// killed do not keep the next one from starting.
pub(super) fn listen(
    address: SocketAddr,
    options: ListenOptions,
) -> io::Result<(OwnedFd, SocketAddr)> {
    if !options.reuse_port {
        let socket = bound(address, Sharing::Alone)?;
        let local = listening(&socket)?;
        return Ok((socket.into(), local));
    }
    let mut addresses = shared_addresses();
    let first = !addresses.contains_key(&address);
    let socket = bound(address, if first { Sharing::Alone } else { Sharing::Port })?;
    let local = listening(&socket)?;
    if first {
        socket.set_reuse_port(true)?;
    }
    *addresses.entry(local).or_insert(0) += 1;
    Ok((socket.into(), local))
}

/// Forgets a listener that was opened with `reuse_port`.
pub(super) fn forget_listener(local: SocketAddr) {
    let mut addresses = shared_addresses();
    if let Some(listeners) = addresses.get_mut(&local) {
        *listeners -= 1;
        if *listeners == 0 {
            addresses.remove(&local);
        }
    }
}

/// Fails when somebody listens on an address, as the first listener on it would.
///
/// # Errors
///
/// What `bind` and `listen` say, such as `AddrInUse`.
pub fn probe_address(address: SocketAddr) -> io::Result<()> {
    listening(&bound(address, Sharing::Alone)?).map(drop)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Port,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = stream_socket(address)?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn listening(socket: &Socket) -> io::Result<SocketAddr> {
    socket.listen(LISTEN_BACKLOG)?;
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// A TCP socket, closed on exec, without Nagle's algorithm (what a listener accepts inherits that).
pub(super) fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}
