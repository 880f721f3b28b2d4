//! The side that asks, in a closed loop, and measures.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::Instant;

use super::Exchange;
use super::pipe::{Direction, MessageBytes, Pipe, read_token};
use super::replay::Answer;
use crate::config::{DeviceConfig, Idle};
use crate::cpu;
use crate::error::DeviceError;
use crate::measured::{Measured, Window};
use crate::memory::{Layout, Pages};
use crate::ring::{Completion, Ring};

/// Asks for as long as the settings say, waits for the last answers, closes the connections.
pub(super) fn run(
    config: &DeviceConfig,
    exchange: Exchange,
    sockets: Vec<TcpStream>,
) -> Result<Measured, DeviceError> {
    let pinned = cpu::pin(config.placement.client_cpu);
    let connections = sockets.len();
    let mut layout = Layout::default();
    let message = MessageBytes {
        incoming: exchange.answer_bytes,
        outgoing: exchange.request_bytes,
    };
    let pipes = Pipe::all(sockets, message, config.depth, &mut layout);
    let memory = Pages::random(config.check_memory(layout.len())?);
    let ring = Ring::new(connections * 2, memory, Idle::Park)?;
    let window = Window::start(&config.timing())?;
    let window = Client::new(ring, pipes, config.depth, Answers::Equal).ask(window)?;
    Ok(Measured {
        pinned,
        ..window.finish(config.record_bytes)?
    })
}

/// How answers are told apart.
pub(super) enum Answers {
    /// All have the length that the connection was made with.
    Equal,
    /// They say it.
    Told(Answer),
}

/// Connections in a closed loop.
pub(super) struct Client {
    ring: Ring,
    pipes: Vec<Pipe>,
    depth: usize,
    answers: Answers,
    /// When each request that is not answered yet was due to leave, by connection, oldest first. Answers come in
    /// the order of the requests.
    asked: Vec<VecDeque<Instant>>,
}

impl Client {
    /// `depth` requests are under way on each connection.
    pub(super) fn new(ring: Ring, pipes: Vec<Pipe>, depth: usize, answers: Answers) -> Self {
        Self {
            ring,
            asked: vec![VecDeque::with_capacity(depth); pipes.len()],
            pipes,
            depth,
            answers,
        }
    }

    /// Asks until the window is over, and waits for the last answers.
    pub(super) fn ask(mut self, mut window: Window) -> Result<Window, DeviceError> {
        let now = Instant::now();
        for connection in 0..self.pipes.len() {
            self.ask_more(connection, self.depth, now)?;
        }
        // An idle ring has nothing left to wait for: every request was answered.
        while !self.ring.is_idle() {
            let completions = self.ring.wait()?;
            let now = Instant::now();
            for completion in &completions {
                self.complete(*completion, now, &mut window)?;
            }
            self.ring.recycle(completions);
            window.advance(now)?;
        }
        Ok(window)
    }

    fn complete(
        &mut self,
        completion: Completion,
        now: Instant,
        window: &mut Window,
    ) -> Result<(), DeviceError> {
        match read_token(completion.token) {
            (connection, Direction::Out) => {
                let moved = completion.moved("send")?;
                self.pipes[connection].sent(moved, &mut self.ring)
            }
            (connection, Direction::In) => {
                let moved = completion.moved("receive")?;
                if moved == 0 {
                    return Err(DeviceError::Closed { connection });
                }
                self.answered(connection, moved, now, window)
            }
        }
    }

    fn answered(
        &mut self,
        connection: usize,
        moved_bytes: usize,
        now: Instant,
        window: &mut Window,
    ) -> Result<(), DeviceError> {
        let pipe = &mut self.pipes[connection];
        pipe.received(moved_bytes);
        let answers = match &self.answers {
            Answers::Equal => {
                let here = pipe.messages();
                pipe.consume(here, &mut self.ring);
                here
            }
            Answers::Told(answer) => pipe.take(answer, &mut self.ring)?,
        };
        for asked in self.asked[connection].drain(..answers) {
            window.record(asked, now);
        }
        let more = if window.is_open() { answers } else { 0 };
        self.ask_more(connection, more, now)
    }

    fn ask_more(
        &mut self,
        connection: usize,
        requests: usize,
        now: Instant,
    ) -> Result<(), DeviceError> {
        let pipe = &mut self.pipes[connection];
        self.asked[connection].extend(std::iter::repeat_n(now, requests));
        pipe.post(requests, &mut self.ring)?;
        if self.asked[connection].is_empty() {
            return Ok(());
        }
        pipe.receive(&mut self.ring)
    }
}
