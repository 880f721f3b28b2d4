//! One end of a connection: messages of one length come in, messages of one length go out.
//!
//! At most one receive and one send are in flight. What goes out is not looked at by anybody: it is sent from one
//! part of the ring's memory again and again, going on after a short send where it broke off.

use std::net::TcpStream;
use std::ops::Range;

use crate::error::DeviceError;
use crate::limits::COALESCE_BYTES;
use crate::memory::Layout;
use crate::ring::{Ring, Token};

/// What a token of a connection stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// The connection and the direction of a token that [`token`] made.
pub(super) fn read_token(token: Token) -> (usize, Direction) {
    let direction = if token & 1 == 0 {
        Direction::In
    } else {
        Direction::Out
    };
    ((token >> 1) as usize, direction)
}

fn token(connection: usize, direction: Direction) -> Token {
    (connection as Token) << 1 | Token::from(direction == Direction::Out)
}

/// Room for messages of `message_bytes`: one large one, or as many small ones as may be in flight, up to a bound.
pub(super) fn room(message_bytes: usize, depth: usize) -> usize {
    message_bytes * depth.min(COALESCE_BYTES / message_bytes).max(1)
}

/// Lengths of the messages of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageBytes {
    pub(super) incoming: usize,
    pub(super) outgoing: usize,
}

pub(super) struct Pipe {
    connection: usize,
    socket: TcpStream,
    message: MessageBytes,
    incoming: Range<usize>,
    filled: usize,
    receiving: bool,
    outgoing: Range<usize>,
    /// Where in the current message the next send goes on.
    sent_of_message: usize,
    owed_bytes: usize,
    sending: bool,
}

impl Pipe {
    /// An end for each socket, each with room of its own to receive, and one part that all send from.
    pub(super) fn all(
        sockets: Vec<TcpStream>,
        message: MessageBytes,
        depth: usize,
        layout: &mut Layout,
    ) -> Vec<Self> {
        let outgoing = layout.part(room(message.outgoing, depth));
        let ends = sockets.into_iter().enumerate();
        ends.map(|(connection, socket)| Self {
            connection,
            socket,
            message,
            incoming: layout.part(room(message.incoming, depth)),
            filled: 0,
            receiving: false,
            outgoing: outgoing.clone(),
            sent_of_message: 0,
            owed_bytes: 0,
            sending: false,
        })
        .collect()
    }

    /// Receives more, unless that is under way or there is no room.
    pub(super) fn receive(&mut self, ring: &mut Ring) -> Result<(), DeviceError> {
        let room = self.incoming.len() - self.filled;
        if self.receiving || room == 0 {
            return Ok(());
        }
        self.receiving = true;
        let start = self.incoming.start + self.filled;
        let token = token(self.connection, Direction::In);
        ring.recv(token, &self.socket, start..start + room)
    }

    /// Notes that a receive has ended.
    pub(super) fn received(&mut self, moved_bytes: usize) {
        self.receiving = false;
        self.filled += moved_bytes;
    }

    /// How many whole messages are here.
    pub(super) fn messages(&self) -> usize {
        self.filled / self.message.incoming
    }

    /// Where the first `count` of them are.
    pub(super) fn first(&self, count: usize) -> Range<usize> {
        let start = self.incoming.start;
        start..start + count * self.message.incoming
    }

    /// Forgets the first `count` of them.
    pub(super) fn consume(&mut self, count: usize, ring: &mut Ring) {
        let first = self.first(count);
        let rest = first.end..self.incoming.start + self.filled;
        self.filled = rest.len();
        if !rest.is_empty() && !first.is_empty() {
            ring.memory_mut().copy_within(rest, first.start);
        }
    }

    /// Sends `count` more messages, as soon as the send before them has ended.
    pub(super) fn post(&mut self, count: usize, ring: &mut Ring) -> Result<(), DeviceError> {
        self.owed_bytes += count * self.message.outgoing;
        self.send(ring)
    }

    /// Notes that a send has ended, and sends what is still owed.
    pub(super) fn sent(&mut self, moved_bytes: usize, ring: &mut Ring) -> Result<(), DeviceError> {
        self.sending = false;
        self.owed_bytes -= moved_bytes;
        self.sent_of_message = (self.sent_of_message + moved_bytes) % self.message.outgoing;
        self.send(ring)
    }

    fn send(&mut self, ring: &mut Ring) -> Result<(), DeviceError> {
        if self.sending || self.owed_bytes == 0 {
            return Ok(());
        }
        self.sending = true;
        let start = self.outgoing.start + self.sent_of_message;
        let end = self.outgoing.end.min(start + self.owed_bytes);
        let token = token(self.connection, Direction::Out);
        ring.send(token, &self.socket, start..end)
    }
}
