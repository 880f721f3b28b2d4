//! What a well-behaved producer feels of clients that are not: `ringlog bench hostile`.
//!
//! The crowd runs on a thread of its own, so that it takes turns with the load only where the machine makes it. It speaks
//! with frames that never change, the golden ones of the protocol, since it wants nothing of the answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Extra, every};
use crate::error::BenchError;
use crate::session::Session;

/// A hello without a shard.
const HELLO: &str = include_str!("../../../net/wire/tests/golden/v1/hello_request_any_shard.hex");

/// A request for all topics: short, and its answer is not.
const ASK: &str = include_str!("../../../net/wire/tests/golden/v1/metadata_request_all.hex");

/// How many connect at the same time: as many as a listener lets wait.
const CONNECTING_MAX: usize = 64;

/// How long a connection may take to be made and answered.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Clients that are no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Connections that say hello and nothing more.
    pub idle: usize,
    /// Connections that are made and let go of while the load goes on, over and over.
    pub vanishing: usize,
}

/// What the crowd did.
#[derive(Debug, Default)]
struct Done {
    /// Connections that say nothing and are open.
    idle: AtomicU64,
    /// Bytes of requests of the client that reads no answer.
    unread_bytes: AtomicU64,
    /// Bytes of the client that sends one a second.
    slow_bytes: AtomicU64,
    /// Connections that vanished.
    vanished: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
}

impl Done {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// The quiet figure, then the one among the crowd.
pub(super) async fn run(session: &mut Session<'_>, crowd: Crowd) -> Result<(), BenchError> {
    let addresses: Vec<_> = (session.settings().targets.iter())
        .map(|target| target.bootstrap.clone())
        .collect();
    measure(session, "quiet").await?;
    for address in addresses {
        let running = Running::start(&address, crowd)?;
        running.settled(crowd).await?;
        let measured = measure(session, "among the crowd").await;
        let done = running.stop();
        measured?;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        session.note(format!(
            "The crowd at {address}: {} connections that say nothing; one that asks and never reads, {} bytes of requests; one \
             that sends a byte a second, {} bytes; {} connections that vanished; {} attempts to connect that failed.",
            count(&done.idle),
            count(&done.unread_bytes),
            count(&done.slow_bytes),
            count(&done.vanished),
            count(&done.failed),
        ));
    }
    let of_phase = |phase: &str| -> Vec<_> {
        let points = session
            .points()
            .iter()
            .filter(|point| point.settings.phase == phase);
        let figures = points.map(|point| {
            let requests = point.repetitions.iter().map(|one| one.requests);
            (point.summary.response_ns.p99, requests.sum::<u64>())
        });
        figures.collect()
    };
    let notes: Vec<String> = (of_phase("quiet").into_iter())
        .zip(of_phase("among the crowd"))
        .map(|((quiet, quiet_served), (crowded, crowded_served))| {
            let served = format!(
                "requests served: {quiet_served} quiet, {crowded_served} among the crowd"
            );
            let (Some(quiet), Some(crowded)) = (quiet, crowded) else {
                return format!("Too few requests for a 99th percentile; {served}");
            };
            let (quiet_us, crowded_us) = (micros(quiet), micros(crowded));
            format!(
                "p99 of the response time: {quiet_us:.0} us quiet, {crowded_us:.0} us among the crowd, ratio {:.2}; {served}",
                crowded_us / quiet_us
            )
        })
        .collect();
    notes.into_iter().for_each(|note| session.note(note));
    Ok(())
}

fn micros(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

async fn measure(session: &mut Session<'_>, phase: &str) -> Result<(), BenchError> {
    let extra = Extra {
        phase: phase.to_owned(),
        ..Extra::default()
    };
    every(session, &extra).await
}

/// A crowd on its thread.
struct Running {
    done: Arc<Done>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(bootstrap: &str, crowd: Crowd) -> Result<Self, BenchError> {
        let address: SocketAddr = bootstrap.parse().map_err(|_| {
            BenchError::Settings(format!(
                "{bootstrap:?}: hostile needs an address with digits, such as 127.0.0.1:9400"
            ))
        })?;
        let failed = |reason: std::io::Error| BenchError::Generator {
            what: "begin the crowd",
            reason: reason.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let done = Arc::new(Done::default());
        let shared = Arc::clone(&done);
        let thread = std::thread::Builder::new()
            .name("crowd".to_owned())
            .spawn(move || runtime.block_on(gather(address, crowd, shared)))
            .map_err(failed)?;
        Ok(Self { done, thread })
    }

    /// Waits until all that say nothing are there.
    async fn settled(&self, crowd: Crowd) -> Result<(), BenchError> {
        while self.done.idle.load(Ordering::Relaxed) < crowd.idle as u64 {
            let failed = self.done.failed.load(Ordering::Relaxed);
            if failed > 0 || self.thread.is_finished() {
                self.done.is_over.store(true, Ordering::Relaxed);
                return Err(BenchError::Generator {
                    what: "connect the crowd",
                    reason: format!(
                        "{failed} connections were not made: `ulimit -n` of this program and of the broker must be above {}",
                        crowd.idle
                    ),
                });
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn stop(self) -> Arc<Done> {
        self.done.is_over.store(true, Ordering::Relaxed);
        // It looks several times a second.
        drop(self.thread.join());
        self.done
    }
}

/// The crowd, until it is over.
async fn gather(address: SocketAddr, crowd: Crowd, done: Arc<Done>) {
    let mut idle = Vec::with_capacity(crowd.idle);
    while idle.len() < crowd.idle && !done.is_over() {
        let more = (crowd.idle - idle.len()).min(CONNECTING_MAX);
        let connecting: Vec<_> = (0..more).map(|_| tokio::spawn(greet(address))).collect();
        for connecting in connecting {
            match connecting.await {
                Ok(Some(stream)) => idle.push(stream),
                _ => {
                    done.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        done.idle.store(idle.len() as u64, Ordering::Relaxed);
    }
    let others = [
        tokio::spawn(ask_and_never_read(address, Arc::clone(&done))),
        tokio::spawn(creep(address, Arc::clone(&done))),
        tokio::spawn(vanish(address, crowd.vanishing, Arc::clone(&done))),
    ];
    while !done.is_over() {
        sleep(Duration::from_millis(100)).await;
    }
    others.iter().for_each(|other| other.abort());
}

/// A connection that has said hello.
async fn greet(address: SocketAddr) -> Option<TcpStream> {
    let greet = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(&frame(HELLO)).await.ok()?;
        let mut header = [0; 32];
        stream.read_exact(&mut header).await.ok()?;
        Some(stream)
    };
    timeout(CONNECT_TIMEOUT, greet).await.ok().flatten()
}

/// Asks as fast as the broker takes it, and reads nothing.
async fn ask_and_never_read(address: SocketAddr, done: Arc<Done>) {
    let ask = frame(ASK).repeat(64);
    loop {
        let Some(mut stream) = greet(address).await else {
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        while let Ok(bytes) = stream.write(&ask).await {
            done.unread_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// Sends a byte a second.
async fn creep(address: SocketAddr, done: Arc<Done>) {
    let ask = frame(ASK);
    loop {
        let Some(mut stream) = greet(address).await else {
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        for byte in ask.iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            done.slow_bytes.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Connects and vanishes, before and after a hello in turns: so many in ten seconds.
async fn vanish(address: SocketAddr, count: usize, done: Arc<Done>) {
    let pause = Duration::from_secs(10) / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    for round in 0_u64.. {
        let gone = async {
            let mut stream = TcpStream::connect(address).await?;
            if round % 2 == 0 {
                stream.write_all(&frame(HELLO)).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        match timeout(CONNECT_TIMEOUT, gone).await {
            Ok(Ok(())) => done.vanished.fetch_add(1, Ordering::Relaxed),
            _ => done.failed.fetch_add(1, Ordering::Relaxed),
        };
        sleep(pause).await;
    }
}

/// A golden frame as bytes.
fn frame(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> = hexadecimal
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    let (pairs, _) = digits.as_chunks::<2>();
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}
