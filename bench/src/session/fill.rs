//! Filling a stream before something is read from it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::{Lane, PointWork, Session};
use crate::driver::{DriverError, ProducerConnection, ProducerSpec, StreamSpec};
use crate::error::BenchError;
use crate::limits::ERROR_PAUSE;
use crate::load::Shape;
use crate::payload::Request;

/// What fills a log, or is there for a cold reader: records of a usual size in large batches.
pub(crate) const FILL_SHAPE: Shape = Shape {
    record_bytes: 1024,
    batch_records: 1000,
    partitions: 1,
    keys: None,
};

/// How often is told how far it is.
const TELL: Duration = Duration::from_millis(500);

/// How often a request is sent until it must have been taken.
const TRIES_MAX: u32 = 500;

/// Requests under way while a stream is filled.
const IN_FLIGHT: usize = 8;

impl Session<'_> {
    /// Streams that these lanes read, one for each that needs it.
    pub(super) async fn fill_for(
        &mut self,
        lanes: &[Lane],
    ) -> Result<Vec<Option<StreamSpec>>, BenchError> {
        let mut filled = Vec::with_capacity(lanes.len());
        for Lane { target, plan, .. } in lanes {
            let target = *target;
            if plan.has_cold_reader && self.targets[target].cold.is_none() {
                let cold = self.fill(target, FILL_SHAPE).await?;
                self.targets[target].cold = cold;
            }
            filled.push(match plan.work {
                PointWork::Consume { shape, .. } => self.fill(target, shape).await?,
                PointWork::Device { .. } | PointWork::Append { .. } | PointWork::Produce { .. } => {
                    None
                }
            });
        }
        Ok(filled)
    }

    /// Records of each partition of a stream that was filled.
    pub(super) fn fill_records(&self, shape: Shape) -> u64 {
        let requests = fill_requests(self.settings.fill_bytes, shape);
        requests / u64::from(shape.partitions) * shape.batch_records as u64
    }

    /// A new stream with as many bytes as the settings say; none for the raw programs.
    async fn fill(
        &mut self,
        target: usize,
        shape: Shape,
    ) -> Result<Option<StreamSpec>, BenchError> {
        let Some(driver) = self.targets[target].driver.clone() else {
            return Ok(None);
        };
        let name = self.targets[target].info.name.clone();
        let stream = self.create(target, shape.partitions, None).await?;
        let connection = driver.producer(&stream, ProducerSpec::default()).await;
        let connection = connection.map_err(BenchError::of(&name))?;
        let fill_bytes = self.settings.fill_bytes;
        let requests = fill_requests(fill_bytes, shape);
        write_requests(&*connection, shape, requests, |stored| {
            let (mib, percent) = (fill_bytes >> 20, stored * 100 / requests);
            self.tell(&format!(
                "{name}: writing {mib} MiB to be read, {percent} %"
            ));
            self.unless_stopped()
        })
        .await?;
        // What is written behind must not disturb what is measured.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Some(stream))
    }
}

/// Requests that fill a stream, the same number for each partition.
pub(crate) fn fill_requests(fill_bytes: u64, shape: Shape) -> u64 {
    let requests = fill_bytes.div_ceil(shape.request_bytes() as u64);
    requests.next_multiple_of(u64::from(shape.partitions))
}

/// Writes requests to the partitions in turns, some at a time. From time to time `tell` is told how many are stored, and
/// may end it.
pub(crate) async fn write_requests(
    connection: &dyn ProducerConnection,
    shape: Shape,
    requests: u64,
    mut tell: impl FnMut(u64) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let request = Request::random(shape.batch_records, shape.record_bytes);
    let mut told = Instant::now();
    let (mut sent, mut stored) = (0_u64, 0_u64);
    let mut under_way = FuturesUnordered::new();
    while stored < requests {
        while sent < requests && under_way.len() < IN_FLIGHT {
            let partition = u32::try_from(sent % u64::from(shape.partitions)).unwrap_or(0);
            under_way.push(store(connection, partition, &request));
            sent += 1;
        }
        if let Some(outcome) = under_way.next().await {
            outcome.map_err(BenchError::of("writing what is to be read"))?;
            stored += 1;
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            tell(stored)?;
        }
    }
    Ok(())
}

/// Sends until it is taken: a system that has no room for a moment says so, and nothing is measured yet.
async fn store(
    connection: &dyn ProducerConnection,
    partition: u32,
    request: &Request,
) -> Result<(), DriverError> {
    let mut tries_left = TRIES_MAX;
    loop {
        tries_left -= 1;
        match connection.send(partition, request).await {
            Err(DriverError::Failed(_)) if tries_left > 0 => tokio::time::sleep(ERROR_PAUSE).await,
            outcome => return outcome.map(drop),
        }
    }
}
