//! The network between (and inside) simulated nodes: reliable byte streams with delay, random segments, bounded
//! windows, resets and cuts.
//!
//! A stream delivers in order, like TCP: a cut delays its segments until it is healed. Addresses are global
//! names; listeners of one node may share one (`reuse_port`) and share its connections by chance. It never calls
//! a core: what is to happen goes into [`Effects`], and the world carries it out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use bytes::Bytes;

use super::random::Chance;
use super::{CoreId, NetConfig, NodeId};
use crate::buf::AlignedBuf;
use crate::driver::ListenOptions;
use crate::op::{Completion, Handle, OpId, Output};

/// Connections that wait to be accepted, per listener.
const BACKLOG_MAX: usize = 128;
/// How long a connect tries through a cut, in nanoseconds, and how often.
const CONNECT_TIMEOUT_NS: u64 = 3_000_000_000;
const CONNECT_RETRY_NS: u64 = 200_000_000;
/// Largest segment of a stream.
const SEGMENT_BYTES_MAX: u64 = 64 << 10;
const EPHEMERAL_PORT_FIRST: u16 = 32_768;

/// Gives out handles; no two things of a world ever have the same.
#[derive(Default)]
pub(crate) struct Handles(i64);

impl Handles {
    pub(crate) fn next(&mut self) -> Handle {
        self.0 += 1;
        Handle(self.0)
    }
}

/// What travels along a stream.
pub(crate) enum Part {
    Data(Bytes),
    Fin,
    Reset,
}

/// What the network has to do later.
pub(crate) enum NetEvent {
    Arrive {
        core: CoreId,
        id: OpId,
    },
    Deliver {
        from: Handle,
        to: Handle,
        part: Part,
    },
    Flush {
        to: Handle,
    },
}

/// What came of a step: events and completions, each with its time in nanoseconds.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) events: Vec<(u64, NetEvent)>,
    pub(crate) completions: Vec<(u64, CoreId, Completion)>,
}

/// What a step of the network needs of the world.
pub(crate) struct Context<'a> {
    pub(crate) now: u64,
    pub(crate) chance: &'a mut Chance,
    pub(crate) handles: &'a mut Handles,
    pub(crate) effects: &'a mut Effects,
}

impl Context<'_> {
    fn complete(&mut self, core: CoreId, id: OpId, output: Output) {
        let at = self.now + self.chance.between(500, 8_000);
        self.effects
            .completions
            .push((at, core, Completion { id, output }));
    }
}

struct Listener {
    node: NodeId,
    address: SocketAddr,
    shared: bool,
    backlog: VecDeque<(Handle, SocketAddr)>,
    accepts: VecDeque<(CoreId, OpId)>,
}

struct Connecting {
    node: NodeId,
    address: SocketAddr,
    deadline: u64,
}

struct PendingRecv {
    core: CoreId,
    id: OpId,
    buf: AlignedBuf,
    range: Range<usize>,
}

struct PendingSend {
    core: CoreId,
    id: OpId,
    data: Vec<Bytes>,
}

struct Socket {
    node: NodeId,
    peer: Handle,
    peer_node: NodeId,
    incoming: VecDeque<Bytes>,
    incoming_bytes: usize,
    /// Bytes on their way to this end.
    in_transit_bytes: usize,
    window_bytes: usize,
    /// When the last part sent to this end arrives.
    last_arrival: u64,
    /// Parts that a cut keeps back.
    held: VecDeque<(Handle, Part)>,
    fin: bool,
    reset: bool,
    shut: bool,
    recv: Option<PendingRecv>,
    send: Option<PendingSend>,
}

pub(crate) struct Net {
    config: NetConfig,
    listeners: BTreeMap<Handle, Listener>,
    sockets: BTreeMap<Handle, Socket>,
    connecting: BTreeMap<(CoreId, OpId), Connecting>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    next_port: u16,
}

/// The address of a node's own end of a connection.
fn node_ip(node: NodeId) -> IpAddr {
    let [high, low] = node.0.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
}

impl Net {
    pub(crate) fn new(config: NetConfig) -> Self {
        Self {
            config,
            listeners: BTreeMap::new(),
            sockets: BTreeMap::new(),
            connecting: BTreeMap::new(),
            cuts: BTreeSet::new(),
            next_port: EPHEMERAL_PORT_FIRST,
        }
    }

    fn delay(&self, chance: &mut Chance) -> u64 {
        let NetConfig {
            latency_us_min,
            latency_us_max,
            stall_one_in,
            stall_us_max,
            ..
        } = self.config;
        let stall = if chance.one_in(stall_one_in.max(1)) {
            chance.below(stall_us_max * 1000)
        } else {
            0
        };
        chance.between(latency_us_min * 1000, latency_us_max * 1000) + stall
    }

    fn ephemeral_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(EPHEMERAL_PORT_FIRST);
        port
    }

    pub(crate) fn listen(
        &mut self,
        node: NodeId,
        mut address: SocketAddr,
        options: ListenOptions,
        handles: &mut Handles,
    ) -> io::Result<(Handle, SocketAddr)> {
        if address.port() == 0 {
            address.set_port(self.ephemeral_port());
        }
        let shareable = |other: &Listener| other.node == node && other.shared && options.reuse_port;
        if self
            .listeners
            .values()
            .any(|other| other.address == address && !shareable(other))
        {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let handle = handles.next();
        let shared = options.reuse_port;
        let listener = Listener {
            node,
            address,
            shared,
            backlog: VecDeque::new(),
            accepts: VecDeque::new(),
        };
        self.listeners.insert(handle, listener);
        Ok((handle, address))
    }

    pub(crate) fn accept(
        &mut self,
        core: CoreId,
        id: OpId,
        listener: Handle,
        cx: &mut Context<'_>,
    ) {
        let Some(listener) = self.listeners.get_mut(&listener) else {
            cx.complete(core, id, Output::Accepted(Err(bad_handle())));
            return;
        };
        match listener.backlog.pop_front() {
            Some(connection) => cx.complete(core, id, Output::Accepted(Ok(connection))),
            None => listener.accepts.push_back((core, id)),
        }
    }

    pub(crate) fn connect(
        &mut self,
        core: CoreId,
        id: OpId,
        node: NodeId,
        address: SocketAddr,
        cx: &mut Context<'_>,
    ) {
        let deadline = cx.now + CONNECT_TIMEOUT_NS;
        self.connecting.insert(
            (core, id),
            Connecting {
                node,
                address,
                deadline,
            },
        );
        let at = cx.now + self.delay(cx.chance);
        cx.effects.events.push((at, NetEvent::Arrive { core, id }));
    }

    fn arrive(&mut self, core: CoreId, id: OpId, cx: &mut Context<'_>) {
        let Some(&Connecting {
            node,
            address,
            deadline,
        }) = self.connecting.get(&(core, id))
        else {
            return;
        };
        let matches = |listener: &Listener| {
            listener.address == address
                || (listener.address.ip().is_unspecified()
                    && listener.address.port() == address.port())
        };
        let candidates: Vec<Handle> = self
            .listeners
            .iter()
            .filter(|(_, other)| matches(other))
            .map(|(&handle, _)| handle)
            .collect();
        let chosen = candidates.get(cx.chance.index(candidates.len())).copied();
        let Some((handle, listener)) =
            chosen.and_then(|handle| Some((handle, self.listeners.get_mut(&handle)?)))
        else {
            self.connecting.remove(&(core, id));
            cx.complete(
                core,
                id,
                Output::Handle(Err(io::ErrorKind::ConnectionRefused.into())),
            );
            return;
        };
        let server = listener.node;
        if self.cuts.contains(&(node, server)) || self.cuts.contains(&(server, node)) {
            if cx.now >= deadline {
                self.connecting.remove(&(core, id));
                cx.complete(
                    core,
                    id,
                    Output::Handle(Err(io::ErrorKind::TimedOut.into())),
                );
            } else {
                cx.effects
                    .events
                    .push((cx.now + CONNECT_RETRY_NS, NetEvent::Arrive { core, id }));
            }
            return;
        }
        self.connecting.remove(&(core, id));
        if listener.backlog.len() >= BACKLOG_MAX {
            cx.complete(
                core,
                id,
                Output::Handle(Err(io::ErrorKind::ConnectionRefused.into())),
            );
            return;
        }
        let (near, far) = (cx.handles.next(), cx.handles.next());
        let from = SocketAddr::new(node_ip(node), self.ephemeral_port());
        let window = self.window(cx.chance);
        self.sockets
            .insert(near, Socket::new(node, far, server, window));
        self.sockets
            .insert(far, Socket::new(server, near, node, window));
        if let Some(listener) = self.listeners.get_mut(&handle) {
            match listener.accepts.pop_front() {
                Some((core, id)) => cx.complete(core, id, Output::Accepted(Ok((far, from)))),
                None => listener.backlog.push_back((far, from)),
            }
        }
        let at = cx.now + self.delay(cx.chance);
        cx.effects.completions.push((
            at,
            core,
            Completion {
                id,
                output: Output::Handle(Ok(near)),
            },
        ));
    }

    fn window(&self, chance: &mut Chance) -> usize {
        let bytes = chance.between(self.config.window_bytes_min, self.config.window_bytes_max);
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    pub(crate) fn send(
        &mut self,
        core: CoreId,
        id: OpId,
        socket: Handle,
        data: Vec<Bytes>,
        cx: &mut Context<'_>,
    ) {
        match self.sockets.get_mut(&socket) {
            Some(open) if open.send.is_none() => {
                open.send = Some(PendingSend { core, id, data });
                self.try_send(socket, cx);
            }
            Some(_) => {
                let busy = Err(io::ErrorKind::ResourceBusy.into());
                cx.complete(core, id, Output::Sent(busy, data));
            }
            None => cx.complete(core, id, Output::Sent(Err(bad_handle()), data)),
        }
    }

    fn try_send(&mut self, handle: Handle, cx: &mut Context<'_>) {
        let Some(socket) = self.sockets.get(&handle) else {
            return;
        };
        let broken = socket.reset || socket.shut;
        let peer = socket.peer;
        let free = self.sockets.get(&peer).map_or(usize::MAX, |peer| {
            peer.window_bytes
                .saturating_sub(peer.incoming_bytes + peer.in_transit_bytes)
        });
        let Some(socket) = self.sockets.get_mut(&handle) else {
            return;
        };
        let Some(PendingSend { core, id, data }) = socket.send.take() else {
            return;
        };
        if broken {
            let kind = if socket.reset {
                io::ErrorKind::ConnectionReset
            } else {
                io::ErrorKind::BrokenPipe
            };
            cx.complete(core, id, Output::Sent(Err(kind.into()), data));
            return;
        }
        let total: usize = data.iter().map(Bytes::len).sum();
        if free == 0 && total > 0 {
            socket.send = Some(PendingSend { core, id, data });
            return;
        }
        let mut count = total.min(free);
        if count > 1 && cx.chance.one_in(8) {
            count = 1 + cx.chance.index(count);
        }
        self.transmit(handle, peer, &data, count, cx);
        cx.complete(core, id, Output::Sent(Ok(count), data));
    }

    fn transmit(
        &mut self,
        from: Handle,
        to: Handle,
        data: &[Bytes],
        count: usize,
        cx: &mut Context<'_>,
    ) {
        if !self.sockets.contains_key(&to) {
            self.post(to, from, Part::Reset, cx);
            return;
        }
        let mut left = count;
        for slice in data {
            let mut slice = slice.slice(..slice.len().min(left));
            left -= slice.len();
            while !slice.is_empty() {
                let most = if cx.chance.one_in(10) {
                    100
                } else {
                    SEGMENT_BYTES_MAX
                };
                let least = if most == SEGMENT_BYTES_MAX { 2048 } else { 1 };
                let len = usize::try_from(cx.chance.between(least, most))
                    .unwrap_or(1)
                    .min(slice.len());
                // The kernel copies too: what is under way holds none of the sender's buffers.
                let segment = Bytes::copy_from_slice(&slice.split_to(len));
                if let Some(peer) = self.sockets.get_mut(&to) {
                    peer.in_transit_bytes += segment.len();
                }
                self.post(from, to, Part::Data(segment), cx);
            }
        }
    }

    /// Sends a part on its way, behind all that were sent to that end before.
    fn post(&mut self, from: Handle, to: Handle, part: Part, cx: &mut Context<'_>) {
        let mut at = cx.now + self.delay(cx.chance);
        if let Some(socket) = self.sockets.get_mut(&to) {
            at = at.max(socket.last_arrival + 1);
            socket.last_arrival = at;
        }
        cx.effects
            .events
            .push((at, NetEvent::Deliver { from, to, part }));
    }

    pub(crate) fn recv(
        &mut self,
        core: CoreId,
        id: OpId,
        socket: Handle,
        buf: AlignedBuf,
        range: Range<usize>,
        cx: &mut Context<'_>,
    ) {
        match self.sockets.get_mut(&socket) {
            Some(open) if open.recv.is_none() => {
                open.recv = Some(PendingRecv {
                    core,
                    id,
                    buf,
                    range,
                });
                self.try_recv(socket, cx);
            }
            Some(_) => cx.complete(
                core,
                id,
                Output::Buf(Err(io::ErrorKind::ResourceBusy.into()), buf),
            ),
            None => cx.complete(core, id, Output::Buf(Err(bad_handle()), buf)),
        }
    }

    fn try_recv(&mut self, handle: Handle, cx: &mut Context<'_>) {
        let Some(socket) = self.sockets.get_mut(&handle) else {
            return;
        };
        let Some(PendingRecv {
            core,
            id,
            mut buf,
            range,
        }) = socket.recv.take()
        else {
            return;
        };
        let wanted = range.len();
        let mut count = wanted.min(socket.incoming_bytes);
        if socket.reset {
            cx.complete(
                core,
                id,
                Output::Buf(Err(io::ErrorKind::ConnectionReset.into()), buf),
            );
            return;
        }
        if count == 0 {
            if socket.fin || socket.shut || wanted == 0 {
                cx.complete(core, id, Output::Buf(Ok(0), buf));
            } else {
                socket.recv = Some(PendingRecv {
                    core,
                    id,
                    buf,
                    range,
                });
            }
            return;
        }
        if count > 1 && cx.chance.one_in(6) {
            count = 1 + cx.chance.index(count);
        }
        let mut at = range.start;
        let end = at + count;
        while at < end {
            let Some(mut segment) = socket.incoming.pop_front() else {
                break;
            };
            let part = segment.split_to(segment.len().min(end - at));
            buf[at..at + part.len()].copy_from_slice(&part);
            at += part.len();
            if !segment.is_empty() {
                socket.incoming.push_front(segment);
            }
        }
        socket.incoming_bytes -= count;
        let peer = socket.peer;
        cx.complete(core, id, Output::Buf(Ok(count), buf));
        self.try_send(peer, cx);
    }

    /// Carries out what was due.
    pub(crate) fn event(&mut self, event: NetEvent, cx: &mut Context<'_>) {
        match event {
            NetEvent::Arrive { core, id } => self.arrive(core, id, cx),
            NetEvent::Deliver { from, to, part } => {
                let Some(socket) = self.sockets.get_mut(&to) else {
                    if matches!(part, Part::Data(_)) && self.sockets.contains_key(&from) {
                        self.post(to, from, Part::Reset, cx);
                    }
                    return;
                };
                if !socket.held.is_empty() || self.cuts.contains(&(socket.peer_node, socket.node)) {
                    socket.held.push_back((from, part));
                } else {
                    self.deliver(to, part, cx);
                }
            }
            NetEvent::Flush { to } => loop {
                let Some(socket) = self.sockets.get_mut(&to) else {
                    return;
                };
                if self.cuts.contains(&(socket.peer_node, socket.node)) {
                    return;
                }
                let Some((_, part)) = socket.held.pop_front() else {
                    return;
                };
                self.deliver(to, part, cx);
            },
        }
    }

    fn deliver(&mut self, to: Handle, part: Part, cx: &mut Context<'_>) {
        let Some(socket) = self.sockets.get_mut(&to) else {
            return;
        };
        match part {
            Part::Data(data) => {
                socket.in_transit_bytes -= data.len();
                if !socket.shut && !socket.reset {
                    socket.incoming_bytes += data.len();
                    socket.incoming.push_back(data);
                }
            }
            Part::Fin => socket.fin = true,
            Part::Reset => {
                socket.reset = true;
                socket.incoming.clear();
                socket.incoming_bytes = 0;
            }
        }
        self.try_recv(to, cx);
        self.try_send(to, cx);
    }

    pub(crate) fn shutdown(&mut self, handle: Handle, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(socket) = self.sockets.get_mut(&handle) else {
            return Err(bad_handle());
        };
        if socket.reset {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !std::mem::replace(&mut socket.shut, true) {
            let peer = socket.peer;
            socket.incoming.clear();
            socket.incoming_bytes = 0;
            self.post(handle, peer, Part::Fin, cx);
        }
        self.try_recv(handle, cx);
        self.try_send(handle, cx);
        Ok(())
    }

    /// Whether this is a listener or socket of the network.
    pub(crate) fn owns(&self, handle: Handle) -> bool {
        self.listeners.contains_key(&handle) || self.sockets.contains_key(&handle)
    }

    /// Closes a listener or socket; nothing happens when it is neither.
    pub(crate) fn close(&mut self, handle: Handle, cx: &mut Context<'_>) {
        if let Some(listener) = self.listeners.remove(&handle) {
            for (core, id) in listener.accepts {
                cx.complete(core, id, Output::Accepted(Err(cancelled())));
            }
            for (socket, _) in listener.backlog {
                self.close(socket, cx);
            }
        }
        if let Some(mut socket) = self.sockets.remove(&handle) {
            if let Some(PendingRecv { core, id, buf, .. }) = socket.recv.take() {
                cx.complete(core, id, Output::Buf(Err(cancelled()), buf));
            }
            if let Some(PendingSend { core, id, data }) = socket.send.take() {
                cx.complete(core, id, Output::Sent(Err(cancelled()), data));
            }
            let part = if socket.incoming_bytes > 0 {
                Part::Reset
            } else {
                Part::Fin
            };
            let told = socket.reset || (socket.shut && matches!(part, Part::Fin));
            if !told {
                self.post(handle, socket.peer, part, cx);
            }
        }
    }

    /// Ends a receive, send, accept or connect early.
    pub(crate) fn cancel(&mut self, core: CoreId, id: OpId, cx: &mut Context<'_>) {
        if self.connecting.remove(&(core, id)).is_some() {
            cx.complete(core, id, Output::Handle(Err(cancelled())));
            return;
        }
        for listener in self.listeners.values_mut() {
            let before = listener.accepts.len();
            listener.accepts.retain(|&accept| accept != (core, id));
            if listener.accepts.len() < before {
                cx.complete(core, id, Output::Accepted(Err(cancelled())));
                return;
            }
        }
        let waits = |recv: &mut PendingRecv| recv.core == core && recv.id == id;
        let sends = |send: &mut PendingSend| send.core == core && send.id == id;
        for socket in self.sockets.values_mut() {
            if let Some(recv) = socket.recv.take_if(waits) {
                cx.complete(core, id, Output::Buf(Err(cancelled()), recv.buf));
                return;
            }
            if let Some(send) = socket.send.take_if(sends) {
                cx.complete(core, id, Output::Sent(Err(cancelled()), send.data));
                return;
            }
        }
    }

    /// A core has ended: nothing of it waits any more.
    pub(crate) fn forget_core(&mut self, core: CoreId) {
        self.connecting.retain(|(owner, _), _| *owner != core);
        for listener in self.listeners.values_mut() {
            listener.accepts.retain(|(owner, _)| *owner != core);
        }
        for socket in self.sockets.values_mut() {
            socket.recv.take_if(|recv| recv.core == core);
            socket.send.take_if(|send| send.core == core);
        }
    }

    /// A node died: its peers are told by a reset.
    pub(crate) fn crash(&mut self, node: NodeId, cx: &mut Context<'_>) {
        self.listeners.retain(|_, listener| listener.node != node);
        let gone: Vec<Handle> = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.node == node)
            .map(|(&handle, _)| handle)
            .collect();
        for handle in gone {
            if let Some(socket) = self.sockets.remove(&handle)
                && socket.peer_node != node
            {
                self.post(handle, socket.peer, Part::Reset, cx);
            }
        }
    }

    /// Nothing passes from one node to the other until [`Net::heal`].
    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cuts.insert((from, to));
    }

    pub(crate) fn heal(&mut self, from: NodeId, to: NodeId, cx: &mut Context<'_>) {
        self.cuts.remove(&(from, to));
        for (&handle, socket) in &self.sockets {
            if socket.peer_node == from && socket.node == to && !socket.held.is_empty() {
                let at = cx.now + self.delay(cx.chance);
                cx.effects.events.push((at, NetEvent::Flush { to: handle }));
            }
        }
    }
}

impl Socket {
    fn new(node: NodeId, peer: Handle, peer_node: NodeId, window_bytes: usize) -> Self {
        Self {
            node,
            peer,
            peer_node,
            incoming: VecDeque::new(),
            incoming_bytes: 0,
            in_transit_bytes: 0,
            window_bytes,
            last_arrival: 0,
            held: VecDeque::new(),
            fin: false,
            reset: false,
            shut: false,
            recv: None,
            send: None,
        }
    }
}

fn bad_handle() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

fn cancelled() -> io::Error {
    io::Error::from_raw_os_error(libc::ECANCELED)
}

#[cfg(test)]
mod tests;
