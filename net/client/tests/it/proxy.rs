//! A proxy that knows frames, and does to connections what networks and machines do to them: it cuts them before, within
//! and behind a frame, holds frames back, has the bytes of a cut connection arrive late, delivers requests twice, and
//! changes the order of answers. What it does is counted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ringlog_record::ProducerStamp;
use ringlog_wire::{Api, ErrorCode, FrameHeader, ProduceResponse, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::fake::stamp_of;

/// A batch of an idempotent producer: id, epoch, sequence, and the partition by a hash of what the request says of it.
type Key = (u64, u16, u32, u32);

/// What happened so far.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) cuts: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) doubled: AtomicU64,
    pub(crate) delayed: AtomicU64,
    pub(crate) reordered: AtomicU64,
    /// Batches that came from the client again.
    pub(crate) sent_again: AtomicU64,
    /// Batches that the broker acknowledged again.
    pub(crate) duplicates: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A proxy; it ends with the test.
pub(crate) struct Proxy {
    broker: SocketAddr,
    pub(crate) counts: Counts,
    /// Nothing goes wrong any more.
    pub(crate) is_calm: AtomicBool,
    seen: Mutex<HashSet<Key>>,
    acknowledged: Mutex<HashSet<Key>>,
}

/// What is done to a frame.
enum Fate {
    Forward,
    Delay,
    CutBefore,
    CutWithin,
    CutBehind,
    Late,
    Twice,
}

impl Proxy {
    /// Stands between the clients of `listener` and a broker.
    pub(crate) fn start(listener: TcpListener, broker: SocketAddr, seed: u64) -> Arc<Self> {
        let proxy = Arc::new(Self {
            broker,
            counts: Counts::default(),
            is_calm: AtomicBool::new(false),
            seen: Mutex::default(),
            acknowledged: Mutex::default(),
        });
        let serving = Arc::clone(&proxy);
        tokio::spawn(async move {
            let mut seeds = ChaCha8Rng::seed_from_u64(seed);
            while let Ok((client, _)) = listener.accept().await {
                let rng = ChaCha8Rng::seed_from_u64(seeds.random());
                let proxy = Arc::clone(&serving);
                // A connection that ends is no matter of the proxy.
                tokio::spawn(proxy.serve(client, rng));
            }
        });
        proxy
    }

    /// What is done to a request.
    fn fate(&self, api: Api, rng: &mut ChaCha8Rng) -> Fate {
        if self.is_calm.load(Ordering::Relaxed) {
            return Fate::Forward;
        }
        match (api, rng.random_range(0..100)) {
            (Api::Produce, 0..6) => Fate::Delay,
            (Api::Produce, 6..10) => Fate::Twice,
            (Api::Produce, 10..13) => Fate::Late,
            (Api::Produce, 13..16) => Fate::CutBehind,
            (_, 16..18) => Fate::CutBefore,
            (_, 18..20) => Fate::CutWithin,
            _ => Fate::Forward,
        }
    }

    async fn serve(self: Arc<Self>, client: TcpStream, mut rng: ChaCha8Rng) -> Option<()> {
        client.set_nodelay(true).ok()?;
        let (mut from_client, mut to_client) = client.into_split();
        let hello = read_frame(&mut from_client).await?;
        let (mut from_broker, mut to_broker, answer) = self.greet(&hello).await?;
        to_client.write_all(&answer).await.ok()?;
        let keys: Arc<Mutex<HashMap<u64, Key>>> = Arc::default();
        let (cut, is_cut) = watch::channel(false);
        let (frames, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(frame) = read_frame(&mut from_broker).await {
                if frames.send(frame).is_err() {
                    return;
                }
            }
        });
        let answering = Arc::clone(&self).answer(Answering {
            answers,
            to_client,
            is_cut,
            keys: Arc::clone(&keys),
            rng: ChaCha8Rng::seed_from_u64(rng.random()),
        });
        tokio::spawn(answering);
        // Whoever leaves this function cuts the connection: the client's end is dropped here and in `answer`.
        let cut = CutOnDrop(cut);
        loop {
            let frame = read_frame(&mut from_client).await?;
            let header = FrameHeader::read(&frame).unwrap();
            let api = header.api().unwrap();
            if api == Api::Produce {
                self.note(&frame, &header, &keys);
            }
            let counts = &self.counts;
            match self.fate(api, &mut rng) {
                Fate::Forward => to_broker.write_all(&frame).await.ok()?,
                Fate::Delay => {
                    count(&counts.delayed);
                    pause(&mut rng, 20).await;
                    to_broker.write_all(&frame).await.ok()?;
                }
                Fate::CutBefore => {
                    count(&counts.cuts);
                    return None;
                }
                Fate::CutWithin => {
                    count(&counts.cuts);
                    let part = rng.random_range(1..frame.len());
                    to_broker.write_all(&frame[..part]).await.ok()?;
                    return None;
                }
                Fate::CutBehind => {
                    count(&counts.cuts);
                    to_broker.write_all(&frame).await.ok()?;
                    drop((cut, from_client));
                    // The broker sees the end later than the client.
                    pause(&mut rng, 100).await;
                    return None;
                }
                Fate::Late => {
                    count(&counts.cuts);
                    count(&counts.late);
                    // With what the client has written behind it.
                    let mut held = VecDeque::from([frame]);
                    let more = async {
                        while let Some(frame) = read_frame(&mut from_client).await {
                            let header = FrameHeader::read(&frame).unwrap();
                            if header.api().unwrap() == Api::Produce {
                                self.note(&frame, &header, &keys);
                            }
                            held.push_back(frame);
                        }
                    };
                    // What is cut off within a frame is lost with the connection.
                    drop(tokio::time::timeout(Duration::from_millis(2), more).await);
                    drop((cut, from_client));
                    for frame in held {
                        pause(&mut rng, 60).await;
                        to_broker.write_all(&frame).await.ok()?;
                    }
                    pause(&mut rng, 60).await;
                    return None;
                }
                Fate::Twice => {
                    count(&counts.doubled);
                    to_broker.write_all(&frame).await.ok()?;
                    let keys = Arc::clone(&keys);
                    let (proxy, hello) = (Arc::clone(&self), hello.clone());
                    let late = rng.random_range(0..80);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(late)).await;
                        proxy.deliver_again(&hello, &frame, &keys).await
                    });
                }
            }
        }
    }

    /// A connection to the broker of its own, and the broker's answer to the hello.
    async fn greet(&self, hello: &[u8]) -> Option<(OwnedReadHalf, OwnedWriteHalf, Vec<u8>)> {
        let broker = TcpStream::connect(self.broker).await.ok()?;
        broker.set_nodelay(true).ok()?;
        let (mut from_broker, mut to_broker) = broker.into_split();
        to_broker.write_all(hello).await.ok()?;
        let answer = read_frame(&mut from_broker).await?;
        Some((from_broker, to_broker, answer))
    }

    /// Delivers a request once more, over another connection; nobody gets the answer.
    async fn deliver_again(
        &self,
        hello: &[u8],
        frame: &[u8],
        keys: &Mutex<HashMap<u64, Key>>,
    ) -> Option<()> {
        let (mut from_broker, mut to_broker, _) = self.greet(hello).await?;
        to_broker.write_all(frame).await.ok()?;
        let answer = read_frame(&mut from_broker).await?;
        self.note_answer(&answer, keys);
        Some(())
    }

    /// Notes the batch of a produce, which the answer does not name.
    fn note(&self, frame: &[u8], header: &FrameHeader, keys: &Mutex<HashMap<u64, Key>>) {
        let payload = &frame[header.head_len()..];
        let Some(ProducerStamp {
            id,
            epoch,
            base_sequence,
        }) = stamp_of(payload)
        else {
            return;
        };
        let (_, body) = frame::parse(&frame[..header.head_len()]).unwrap();
        let request = ringlog_wire::ProduceRequest::decode(body).unwrap();
        let partition = request.partitions().next().unwrap().id.partition.get();
        let key = (id.get(), epoch.get(), base_sequence.get(), partition);
        if !self.seen.lock().unwrap().insert(key) {
            count(&self.counts.sent_again);
        }
        let id = header.correlation_id().get();
        keys.lock().unwrap().insert(id, key);
    }

    fn note_answer(&self, frame: &[u8], keys: &Mutex<HashMap<u64, Key>>) {
        let header = FrameHeader::read(frame).unwrap();
        if !matches!(header.api(), Ok(Api::Produce)) {
            return;
        }
        let (_, body) = frame::parse(&frame[..header.head_len()]).unwrap();
        let Ok(response) = ProduceResponse::decode(body) else {
            return;
        };
        let is_stored = response
            .partitions()
            .all(|partition| partition.error == ErrorCode::None);
        let key = keys
            .lock()
            .unwrap()
            .get(&header.correlation_id().get())
            .copied();
        if let Some(key) = key
            && is_stored
            && !self.acknowledged.lock().unwrap().insert(key)
        {
            count(&self.counts.duplicates);
        }
    }

    /// Passes answers on, some of them behind the next one, until the connection is cut; what comes later is noted only.
    async fn answer(self: Arc<Self>, answering: Answering) {
        let Answering {
            mut answers,
            to_client,
            mut is_cut,
            keys,
            mut rng,
        } = answering;
        let mut to_client = Some(to_client);
        let mut held: Option<Vec<u8>> = None;
        loop {
            let next = tokio::time::timeout(Duration::from_millis(20), answers.recv());
            let next = tokio::select! {
                biased;
                _ = is_cut.changed(), if to_client.is_some() => {
                    to_client = None;
                    continue;
                }
                next = next => next,
            };
            let mut ready = Vec::new();
            match next {
                Ok(None) => return,
                Ok(Some(answer)) => {
                    self.note_answer(&answer, &keys);
                    let is_calm = self.is_calm.load(Ordering::Relaxed);
                    if held.is_none() && !is_calm && rng.random_ratio(1, 10) {
                        held = Some(answer);
                        continue;
                    }
                    if held.is_some() {
                        count(&self.counts.reordered);
                    }
                    ready.push(answer);
                    ready.extend(held.take());
                }
                // Nothing comes to overtake it.
                Err(_) => ready.extend(held.take()),
            }
            for answer in ready {
                if let Some(writing) = &mut to_client {
                    // The client may be gone.
                    writing.write_all(&answer).await.ok();
                }
            }
        }
    }
}

struct Answering {
    answers: mpsc::UnboundedReceiver<Vec<u8>>,
    to_client: OwnedWriteHalf,
    is_cut: watch::Receiver<bool>,
    keys: Arc<Mutex<HashMap<u64, Key>>>,
    rng: ChaCha8Rng,
}

struct CutOnDrop(watch::Sender<bool>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

async fn pause(rng: &mut ChaCha8Rng, millis_max: u64) {
    let millis = rng.random_range(0..millis_max);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// The next whole frame; none when the connection ends.
async fn read_frame(stream: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 32];
    stream.read_exact(&mut frame).await.ok()?;
    let header = FrameHeader::read(&frame).unwrap();
    frame.resize(header.frame_len(), 0);
    stream.read_exact(&mut frame[32..]).await.ok()?;
    Some(frame)
}
