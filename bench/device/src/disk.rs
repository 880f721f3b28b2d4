//! Write, write and sync, read: one thread, one ring, one file, a number of operations in flight.

use std::time::{Duration, Instant};

use crate::config::{DeviceConfig, Shape};
use crate::cpu;
use crate::error::DeviceError;
use crate::file::DataFile;
use crate::measured::{CpuTime, Measured, Window};
use crate::memory::Pages;
use crate::ring::{Block, Completion, Ring, Token, WriteKind};

/// Set in the token of a write whose sync is linked behind it.
const FIRST_OF_TWO: Token = 1 << 32;

/// Measures on the calling thread.
pub(crate) fn run(config: &DeviceConfig) -> Result<Measured, DeviceError> {
    let io_bytes = config.block_rounded_bytes();
    let memory = Pages::random(config.check_memory(io_bytes * config.depth)?);
    let pinned = cpu::pin(config.placement.server_cpu);
    let data = DataFile::create(&config.dir, config.file_bytes)?;
    let mut ring = Ring::new(config.depth * 2, memory, config.idle)?;
    if config.shape == Shape::WriteSyncPlain {
        ring.know(data.file());
    } else {
        ring.register(data.file())?;
    }
    let memory_registered = ring.memory_registered();

    let mut run = Run {
        shape: config.shape,
        io_bytes,
        positions: Positions::new(data.len_bytes(), io_bytes),
        submitted: vec![Instant::now(); config.depth],
        ring,
    };
    let window = run.measure(Window::start(&config.timing())?)?;
    let measured = window.finish(config.record_bytes)?;
    Ok(Measured {
        file_bytes_per_request: Some(io_bytes),
        // One thread does both: all of it is the cost of the I/O.
        cpu: CpuTime {
            client: Duration::ZERO,
            server: measured.cpu.server + measured.cpu.client,
        },
        memory_registered,
        pinned,
        ..measured
    })
}

struct Run {
    shape: Shape,
    io_bytes: usize,
    positions: Positions,
    submitted: Vec<Instant>,
    ring: Ring,
}

impl Run {
    fn measure(&mut self, mut window: Window) -> Result<Window, DeviceError> {
        for slot in 0..self.submitted.len() {
            self.submit(slot, Instant::now())?;
        }
        while !self.ring.is_idle() {
            let completions = self.ring.wait()?;
            let now = Instant::now();
            for completion in &completions {
                if let Some(slot) = self.complete(*completion)? {
                    window.record(self.submitted[slot], now);
                    if window.is_open() {
                        self.submit(slot, now)?;
                    }
                }
            }
            window.advance(now)?;
            self.ring.recycle(completions);
        }
        Ok(window)
    }

    fn submit(&mut self, slot: usize, now: Instant) -> Result<(), DeviceError> {
        let start = slot * self.io_bytes;
        let block = Block {
            part: start..start + self.io_bytes,
            position: self.positions.next(),
        };
        let token = slot as Token;
        self.submitted[slot] = now;
        match self.shape {
            Shape::Read => self.ring.read(token, block),
            Shape::WriteSync | Shape::WriteSyncPlain => {
                let first = token | FIRST_OF_TWO;
                self.ring.write(first, block, WriteKind::BeforeNext)?;
                self.ring.sync_data(token)
            }
            Shape::WriteDsync => self.ring.write(token, block, WriteKind::Durable),
            _ => self.ring.write(token, block, WriteKind::Alone),
        }
    }

    /// The slot that is free again, unless its sync is still to come.
    fn complete(&self, completion: Completion) -> Result<Option<usize>, DeviceError> {
        let is_first = completion.token & FIRST_OF_TWO != 0;
        match (self.shape, is_first) {
            (Shape::WriteSync | Shape::WriteSyncPlain, false) => {
                completion.moved_all("fdatasync", 0)?
            }
            (Shape::Read, _) => completion.moved_all("read", self.io_bytes)?,
            _ => completion.moved_all("write", self.io_bytes)?,
        }
        Ok((!is_first).then(|| slot_of(completion.token)))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "slots are below DEPTH_MAX, and the mark is cut off"
)]
fn slot_of(token: Token) -> usize {
    (token & !FIRST_OF_TWO) as usize
}

/// One block behind the other, and from the start again before the end. As many as are in flight at once never
/// meet, because the file holds at least as many.
struct Positions {
    next: u64,
    step: u64,
    end: u64,
}

impl Positions {
    fn new(len_bytes: u64, io_bytes: usize) -> Self {
        let step = io_bytes as u64;
        Self {
            next: 0,
            step,
            end: len_bytes - len_bytes % step,
        }
    }

    fn next(&mut self) -> u64 {
        let position = self.next;
        self.next = (position + self.step) % self.end;
        position
    }
}
