//! A broker that is killed with work under way and started again: how long until it serves.
//!
//! The broker is a process of this scenario's own, with a data directory that is gone afterwards. It is killed as by
//! `kill -9`: what the kernel has of its files stays, as it does when a process fails.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::driver::{
    Driver, DriverError, DriverKind, Durability, ProducerConnection, ProducerSpec, StreamSpec,
};
use crate::error::BenchError;
use crate::limits::RESTART_MAX;
use crate::load::{Load, Shape};
use crate::payload::Request;
use crate::result::{Point, Restart};
use crate::session::{
    FILL_SHAPE, PointPlan, PointWork, Session, fill_requests, of_restart, write_requests,
};
use crate::settings::BrokerCommand;
use crate::summary::summary;
use crate::warm::warm_memory;

/// How often a broker that starts is asked whether it serves.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Kills and starts a broker at each number of partitions, over and over.
pub(super) async fn restart(
    session: &mut Session<'_>,
    counts: &[u32],
    command: &BrokerCommand,
) -> Result<(), BenchError> {
    for &count in counts {
        let mut measured = Vec::new();
        let ended = at(session, count, command, &mut measured).await;
        if !measured.is_empty() {
            let shape = Shape {
                partitions: count,
                ..FILL_SHAPE
            };
            let work = PointWork::Produce {
                shape,
                load: Load::Closed { in_flight: 1 },
                is_followed: false,
            };
            let plan = PointPlan {
                phase: "kill -9 and start".to_owned(),
                ..PointPlan::new(work, 1, count)
            };
            let figures: Vec<_> = measured
                .into_iter()
                .map(of_restart)
                .collect::<Result<_, _>>()?;
            let point = Point {
                target: session.target_name(0).to_owned(),
                settings: plan.settings(Durability::Sync),
                summary: summary(&figures)?,
                ratios: Vec::new(),
                repetitions: figures.into_iter().map(|one| one.figures).collect(),
            };
            session.push_point(point);
        }
        ended?;
    }
    Ok(())
}

/// All repetitions at a number of partitions.
async fn at(
    session: &mut Session<'_>,
    partitions: u32,
    command: &BrokerCommand,
    measured: &mut Vec<Restart>,
) -> Result<(), BenchError> {
    let settings = session.settings();
    let directory = tempfile::Builder::new()
        .prefix("ringlog-restart-")
        .tempdir_in(&settings.dir)
        .map_err(BenchError::generator("make a data directory"))?;
    let place = Place::new(directory.path())?;
    let shape = Shape {
        partitions,
        ..FILL_SHAPE
    };
    let stream = StreamSpec {
        name: "restart".to_owned(),
        partitions,
        durability: Durability::Sync,
        settings: settings.stream_settings.clone(),
    };
    session.tell(&format!("starting a broker for {partitions} partitions"));
    let mut broker = Broker::start(command, &place)?;
    let driver = broker.served(&place).await?;
    driver.create(&stream).await.map_err(of_broker)?;
    let producer = driver.producer(&stream, ProducerSpec::default()).await;
    let producer = producer.map_err(of_broker)?;
    let requests = fill_requests(settings.fill_bytes, shape);
    write_requests(&*producer, shape, requests, |stored| {
        let (mib, percent) = (settings.fill_bytes >> 20, stored * 100 / requests);
        session.tell(&format!("writing {mib} MiB, {percent} %"));
        session.unless_stopped()
    })
    .await?;
    let mut log_bytes = requests * shape.request_bytes() as u64;
    let mut producer = Some(producer);
    for number in 1..=settings.timing.repetitions {
        session.tell(&format!(
            "{partitions} partitions: restart {number} of {}",
            settings.timing.repetitions
        ));
        if let Some(producer) = producer.take() {
            let written = write_for(&*producer, partitions, settings.timing.warm_up);
            log_bytes += written.await;
        }
        broker.kill()?;
        let bytes = settings.warm_memory_bytes;
        tokio::task::spawn_blocking(move || warm_memory(bytes))
            .await
            .ok();
        session.unless_stopped()?;
        let began = Instant::now();
        broker = Broker::start(command, &place)?;
        let driver = broker.served(&place).await?;
        let again = until_served(began, || async {
            driver.producer(&stream, ProducerSpec::default()).await
        });
        let again = again.await?;
        let answers = began.elapsed();
        let all = (0..partitions).map(|partition| takes(began, &*again, partition));
        try_join_all(all).await?;
        measured.push(Restart {
            answers_s: answers.as_secs_f64(),
            all_partitions_s: began.elapsed().as_secs_f64(),
            log_bytes,
        });
        producer = Some(again);
    }
    Ok(())
}

fn of_broker(source: DriverError) -> BenchError {
    BenchError::of("the broker")(source)
}

/// Writes to all partitions in turns for a while, and leaves the last requests under way; gives the bytes acknowledged.
async fn write_for(producer: &dyn ProducerConnection, partitions: u32, time: Duration) -> u64 {
    let request = Request::random(1, 4096);
    let began = Instant::now();
    let mut bytes = 0;
    for partition in (0..partitions).cycle() {
        let left = time.saturating_sub(began.elapsed());
        let sent = tokio::time::timeout(left, producer.send(partition, &request)).await;
        match sent {
            Ok(Ok(_)) => bytes += request.bytes() as u64,
            _ => break,
        }
    }
    bytes
}

/// Waits until a partition has taken a record.
async fn takes(
    began: Instant,
    producer: &dyn ProducerConnection,
    partition: u32,
) -> Result<(), BenchError> {
    let request = Request::random(1, 100);
    let sent = until_served(began, || producer.send(partition, &request));
    sent.await.map(drop)
}

/// Asks until it is answered.
async fn until_served<T, F: Future<Output = Result<T, DriverError>>>(
    began: Instant,
    ask: impl Fn() -> F,
) -> Result<T, BenchError> {
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if began.elapsed() > RESTART_MAX => return Err(of_broker(error)),
            Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

/// Where a broker is, and stays over its restarts.
struct Place {
    address: SocketAddr,
    data: PathBuf,
    log: PathBuf,
}

impl Place {
    /// With a port that is free now.
    fn new(directory: &Path) -> Result<Self, BenchError> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let address = free.and_then(|listener| listener.local_addr());
        Ok(Self {
            address: address.map_err(BenchError::generator("find a free port"))?,
            data: directory.join("data"),
            log: directory.join("broker.log"),
        })
    }
}

/// A broker's process, which ends with this.
struct Broker(Child);

impl Broker {
    fn start(command: &BrokerCommand, place: &Place) -> Result<Self, BenchError> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&place.log);
        let log = log.map_err(BenchError::generator("write the broker's log"))?;
        let mut broker = Command::new(&command.program);
        broker
            .args([
                "broker",
                "--admin",
                "none",
                "--listen",
                &place.address.to_string(),
            ])
            .arg("--data-dir")
            .arg(&place.data)
            .args(&command.arguments)
            // A Ctrl-C is for this process, which ends the broker itself.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = broker.spawn();
        child
            .map(Self)
            .map_err(BenchError::generator("start a broker"))
    }

    /// A connection, as soon as there is one.
    async fn served(&mut self, place: &Place) -> Result<Arc<dyn Driver>, BenchError> {
        let began = Instant::now();
        let address = place.address.to_string();
        loop {
            match DriverKind::Ringlog.connect(&address).await {
                Ok(driver) => return Ok(driver),
                Err(error) => {
                    let has_ended = !matches!(self.0.try_wait(), Ok(None));
                    if has_ended || began.elapsed() > RESTART_MAX {
                        return Err(failed(place, has_ended, &error));
                    }
                }
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn kill(&mut self) -> Result<(), BenchError> {
        let killed = self.0.kill().and_then(|()| self.0.wait());
        killed
            .map(drop)
            .map_err(BenchError::generator("kill the broker"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Why a broker does not serve, in its own last words.
fn failed(place: &Place, has_ended: bool, error: &DriverError) -> BenchError {
    let text = std::fs::read_to_string(&place.log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n");
    let what = if has_ended {
        "the broker ended"
    } else {
        "the broker does not serve"
    };
    of_broker(DriverError::Failed(format!(
        "{what} ({error}); the end of its log:\n{last}"
    )))
}
