//! The side that answers.

use std::net::TcpStream;

use super::Exchange;
use super::group::{self, GroupCommit, Waiting};
use super::pipe::{Direction, MessageBytes, Pipe, read_token};
use crate::config::DeviceConfig;
use crate::cpu;
use crate::error::DeviceError;
use crate::file::DataFile;
use crate::memory::{Layout, Pages};
use crate::ring::{Completion, Ring};

/// What the server knows and the client does not.
pub(super) struct Served {
    pub(super) group_commits: Option<u64>,
    pub(super) memory_registered: bool,
    pub(super) pinned: bool,
}

/// Answers until every connection is closed; durably if there is a file.
pub(super) fn run(
    config: &DeviceConfig,
    exchange: Exchange,
    sockets: Vec<TcpStream>,
    data: Option<&DataFile>,
) -> Result<Served, DeviceError> {
    let pinned = cpu::pin(config.placement.server_cpu);
    let connections = sockets.len();
    let mut layout = Layout::default();
    let message = MessageBytes {
        incoming: exchange.request_bytes,
        outgoing: exchange.answer_bytes,
    };
    let group =
        data.map(|data| GroupCommit::new(config.group_bytes(), data.len_bytes(), &mut layout));
    let pipes = Pipe::all(sockets, message, config.depth, &mut layout);
    let memory = Pages::random(config.check_memory(layout.len())?);
    let mut ring = Ring::new(connections * 2 + 2, memory, config.idle)?;
    if let Some(data) = data {
        ring.register(data.file())?;
    }
    let mut server = Server {
        ring,
        pipes,
        group,
        request_bytes: exchange.request_bytes,
        blocked: Vec::new(),
    };
    server.serve()?;
    Ok(Served {
        group_commits: server.group.as_ref().map(GroupCommit::commits),
        memory_registered: server.ring.memory_registered(),
        pinned,
    })
}

struct Server {
    ring: Ring,
    pipes: Vec<Pipe>,
    group: Option<GroupCommit>,
    request_bytes: usize,
    /// Connections whose requests did not fit the next group.
    blocked: Vec<usize>,
}

impl Server {
    fn serve(&mut self) -> Result<(), DeviceError> {
        for pipe in &mut self.pipes {
            pipe.receive(&mut self.ring)?;
        }
        // A connection that is open has a receive in flight, or an answer to come.
        while !self.ring.is_idle() {
            let completions = self.ring.wait()?;
            for completion in &completions {
                self.complete(*completion)?;
            }
            self.ring.recycle(completions);
            if let Some(group) = &mut self.group {
                group.flush(&mut self.ring)?;
            }
        }
        Ok(())
    }

    fn complete(&mut self, completion: Completion) -> Result<(), DeviceError> {
        match (&mut self.group, completion.token) {
            (Some(group), group::WRITE) => group.written(completion),
            (Some(_), group::SYNC) => self.answer_group(completion),
            (_, token) => match read_token(token) {
                (connection, Direction::In) => {
                    self.received(connection, completion.moved("receive")?)
                }
                (connection, Direction::Out) => {
                    let moved = completion.moved("send")?;
                    self.pipes[connection].sent(moved, &mut self.ring)
                }
            },
        }
    }

    /// Nothing received means closed: no further receive.
    fn received(&mut self, connection: usize, moved_bytes: usize) -> Result<(), DeviceError> {
        let pipe = &mut self.pipes[connection];
        pipe.received(moved_bytes);
        if moved_bytes == 0 {
            return Ok(());
        }
        if self.group.is_some() {
            return self.admit(connection);
        }
        let requests = pipe.messages();
        pipe.consume(requests, &mut self.ring);
        pipe.post(requests, &mut self.ring)?;
        pipe.receive(&mut self.ring)
    }

    /// Puts the requests of a connection into the next group, as many as it takes.
    fn admit(&mut self, connection: usize) -> Result<(), DeviceError> {
        let Some(group) = &mut self.group else {
            return Ok(());
        };
        let pipe = &mut self.pipes[connection];
        let here = pipe.messages();
        let requests = here.min(group.room() / self.request_bytes);
        if requests > 0 {
            let waiting = Waiting {
                connection,
                requests,
            };
            group.add(pipe.first(requests), waiting, &mut self.ring);
            pipe.consume(requests, &mut self.ring);
        }
        if requests < here {
            self.blocked.push(connection);
            return Ok(());
        }
        pipe.receive(&mut self.ring)
    }

    fn answer_group(&mut self, completion: Completion) -> Result<(), DeviceError> {
        let Some(group) = &mut self.group else {
            return Ok(());
        };
        let answered = group.synced(completion)?;
        for waiting in &answered {
            self.pipes[waiting.connection].post(waiting.requests, &mut self.ring)?;
        }
        group.recycle(answered);
        group.flush(&mut self.ring)?;
        for connection in std::mem::take(&mut self.blocked) {
            self.admit(connection)?;
        }
        Ok(())
    }
}
