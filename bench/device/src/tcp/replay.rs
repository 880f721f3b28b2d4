//! A server elsewhere under the client of this crate: what is sent was made beforehand, and goes out again and again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::client::{self, Client};
use super::pipe::{MessageBytes, Parts, Pipe};
use super::refused;
use crate::config::{Idle, check_memory, within};
use crate::cpu;
use crate::ending::Ending;
use crate::error::{ConfigError, DeviceError};
use crate::limits::{CONNECTIONS_MAX, DEPTH_MAX, REPLAY_ANSWER_BYTES_MAX, REPLAY_ROUND_BYTES};
use crate::measured::{Measured, Timing, Window};
use crate::memory::{Layout, Pages};
use crate::ring::Ring;
use crate::run::on_thread;

/// How long a server may take to greet.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// The length of the answer that bytes begin with; none while it is not all there; an error when it is none, or not the
/// one that is wanted.
pub type Answer = Arc<dyn Fn(&[u8]) -> Result<Option<usize>, String> + Send + Sync>;

/// What a connection sends.
#[derive(Clone, Debug)]
pub struct Script {
    /// Where to.
    pub address: SocketAddr,
    /// Sent first and answered once, before anything is measured.
    pub greeting: Vec<u8>,
    /// Requests of one length, sent one after the other, and from the first one again.
    pub requests: Vec<Vec<u8>>,
}

/// A closed loop on a server that runs elsewhere.
#[derive(Clone)]
pub struct Replay {
    /// One for each connection.
    pub scripts: Vec<Script>,
    /// Requests under way on a connection.
    pub depth: usize,
    /// Bytes of a request that count.
    pub record_bytes: usize,
    /// Tells answers apart, greetings too.
    pub answer: Answer,
    /// The core that asks.
    pub client_cpu: Option<usize>,
    /// How long it runs before it measures.
    pub warm_up: Duration,
    /// How long it measures.
    pub duration: Duration,
    /// Ends it before its time.
    pub ending: Ending,
}

/// How many requests of this length a [`Script`] should have, so that those under way at a time differ: `depth`, unless
/// they are large.
#[must_use]
pub fn requests_of_round(request_bytes: usize, depth: usize) -> usize {
    depth.min(REPLAY_ROUND_BYTES / request_bytes.max(1)).max(1)
}

/// Measures one repetition. Makes its own thread, and blocks. The server's processor time is not known here.
///
/// # Errors
///
/// A number over its limit, a server that cannot be reached, an answer that `answer` does not take.
pub fn replay_once(replay: &Replay) -> Result<Measured, DeviceError> {
    replay.validate()?;
    on_thread("replay", || run(replay))
}

impl Replay {
    fn validate(&self) -> Result<(), ConfigError> {
        within("connections", self.scripts.len(), CONNECTIONS_MAX)?;
        within("depth", self.depth, DEPTH_MAX)
    }
}

fn run(replay: &Replay) -> Result<Measured, DeviceError> {
    let pinned = cpu::pin(replay.client_cpu);
    let mut sockets = Vec::with_capacity(replay.scripts.len());
    for script in &replay.scripts {
        sockets.push(greet(script, &replay.answer)?);
    }
    let mut layout = Layout::default();
    let mut pipes = Vec::with_capacity(sockets.len());
    let mut outgoing = Vec::with_capacity(sockets.len());
    for (connection, (socket, script)) in sockets.into_iter().zip(&replay.scripts).enumerate() {
        let request_bytes = script.requests.first().map_or(0, Vec::len);
        let round = script.requests.concat();
        let parts = Parts {
            incoming: layout.part(REPLAY_ANSWER_BYTES_MAX),
            // Twice, so that a send may go on from the end of a round to its begin.
            outgoing: layout.part(round.len() * 2),
            round_bytes: round.len(),
        };
        let message = MessageBytes {
            incoming: REPLAY_ANSWER_BYTES_MAX,
            outgoing: request_bytes,
        };
        outgoing.push((parts.outgoing.clone(), round));
        pipes.push(Pipe::new(connection, socket, message, parts));
    }
    let connections = pipes.len();
    let bytes = check_memory(connections, replay.depth, replay.record_bytes, layout.len())?;
    let mut memory = Pages::random(bytes);
    for (part, round) in outgoing {
        let (once, again) = memory.bytes_mut()[part].split_at_mut(round.len());
        once.copy_from_slice(&round);
        again.copy_from_slice(&round);
    }
    let ring = Ring::new(connections * 2, memory, Idle::Park)?;
    let window = Window::start(&Timing {
        warm_up: replay.warm_up,
        duration: replay.duration,
        ending: replay.ending.clone(),
    })?;
    let answers = client::Answers::Told(Arc::clone(&replay.answer));
    let window = Client::new(ring, pipes, replay.depth, answers).ask(window)?;
    Ok(Measured {
        pinned,
        ..window.finish(replay.record_bytes)?
    })
}

/// Connects and greets.
fn greet(script: &Script, answer: &Answer) -> Result<TcpStream, DeviceError> {
    let mut socket =
        TcpStream::connect(script.address).map_err(|error| refused("connect", error))?;
    socket
        .set_nodelay(true)
        .and_then(|()| socket.set_read_timeout(Some(GREETING_TIMEOUT)))
        .and_then(|()| socket.write_all(&script.greeting))
        .map_err(|error| refused("greet", error))?;
    let mut room = vec![0; REPLAY_ANSWER_BYTES_MAX];
    let mut here = 0;
    loop {
        let received = socket.read(&mut room[here..]);
        let received = received.map_err(|error| refused("receive a greeting", error))?;
        if received == 0 {
            let reason = "the connection was closed, or the greeting is too long";
            return Err(DeviceError::Answer(reason.to_owned()));
        }
        here += received;
        if answer(&room[..here]).map_err(DeviceError::Answer)? == Some(here) {
            return Ok(socket);
        }
    }
}
