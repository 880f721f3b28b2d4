//! One end of a connection: messages come in, messages of one length go out.
//!
//! At most one receive and one send are in flight. What goes out is sent from one part of the ring's memory again and
//! again, going on after a short send where it broke off. What comes in has one length, or says how long it is.

use std::net::TcpStream;
use std::ops::Range;

use super::replay::Answer;
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

/// Parts of the ring's memory that a connection moves messages to and from.
pub(super) struct Parts {
    pub(super) incoming: Range<usize>,
    /// What goes out: a round, and what begins the next one.
    pub(super) outgoing: Range<usize>,
    /// Whole messages after which what goes out begins again.
    pub(super) round_bytes: usize,
}

pub(super) struct Pipe {
    connection: usize,
    socket: TcpStream,
    message: MessageBytes,
    incoming: Range<usize>,
    filled: usize,
    receiving: bool,
    outgoing: Range<usize>,
    round_bytes: usize,
    /// Where in the current round the next send goes on.
    sent_of_round: usize,
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
        ends.map(|(connection, socket)| {
            let parts = Parts {
                incoming: layout.part(room(message.incoming, depth)),
                outgoing: outgoing.clone(),
                round_bytes: message.outgoing,
            };
            Self::new(connection, socket, message, parts)
        })
        .collect()
    }

    /// An end that nothing has moved through yet.
    pub(super) fn new(
        connection: usize,
        socket: TcpStream,
        message: MessageBytes,
        parts: Parts,
    ) -> Self {
        Self {
            connection,
            socket,
            message,
            incoming: parts.incoming,
            filled: 0,
            receiving: false,
            outgoing: parts.outgoing,
            round_bytes: parts.round_bytes,
            sent_of_round: 0,
            owed_bytes: 0,
            sending: false,
        }
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
        self.forget(self.first(count), ring);
    }

    /// Takes the whole messages that are here, told apart by `answer`, and says how many they were.
    pub(super) fn take(&mut self, answer: &Answer, ring: &mut Ring) -> Result<usize, DeviceError> {
        let start = self.incoming.start;
        let here = &ring.memory_mut()[start..start + self.filled];
        let (mut taken, mut taken_bytes) = (0, 0);
        while let Some(bytes) = answer(&here[taken_bytes..]).map_err(DeviceError::Answer)? {
            taken += 1;
            taken_bytes += bytes;
        }
        if taken == 0 && here.len() == self.incoming.len() {
            let room = here.len();
            return Err(DeviceError::Answer(format!(
                "it is longer than {room} bytes"
            )));
        }
        self.forget(start..start + taken_bytes, ring);
        Ok(taken)
    }

    /// Moves what lies behind the first bytes to the front.
    fn forget(&mut self, first: Range<usize>, ring: &mut Ring) {
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
        self.sent_of_round = (self.sent_of_round + moved_bytes) % self.round_bytes;
        self.send(ring)
    }

    fn send(&mut self, ring: &mut Ring) -> Result<(), DeviceError> {
        if self.sending || self.owed_bytes == 0 {
            return Ok(());
        }
        self.sending = true;
        let start = self.outgoing.start + self.sent_of_round;
        let end = self.outgoing.end.min(start + self.owed_bytes);
        let token = token(self.connection, Direction::Out);
        ring.send(token, &self.socket, start..end)
    }
}
