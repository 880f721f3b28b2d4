//! Filling a stream before something is read from it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::{FILL_TELL, PointPlan, PointWork, Session};
use crate::driver::StreamSpec;
use crate::error::BenchError;
use crate::load::Shape;
use crate::payload::Request;

/// What a cold reader reads: records of a usual size in large batches.
pub(super) const COLD: Shape = Shape {
    record_bytes: 1024,
    batch_records: 1000,
    partitions: 1,
    keys: None,
};

/// Requests under way while a stream is filled.
const IN_FLIGHT: usize = 8;

impl Session<'_> {
    /// Streams that this point reads, one for each of the targets that need it.
    pub(super) async fn fill_for(
        &mut self,
        plan: &PointPlan,
        targets: &[usize],
    ) -> Result<Vec<Option<StreamSpec>>, BenchError> {
        let mut filled = Vec::with_capacity(targets.len());
        for &target in targets {
            if plan.has_cold_reader && self.targets[target].cold.is_none() {
                let cold = self.fill(target, COLD).await?;
                self.targets[target].cold = cold;
            }
            filled.push(match plan.work {
                PointWork::Consume { shape, .. } => self.fill(target, shape).await?,
                PointWork::Device { .. } | PointWork::Produce { .. } => None,
            });
        }
        Ok(filled)
    }

    /// Requests that fill a stream, the same number for each partition.
    fn fill_requests(&self, shape: Shape) -> u64 {
        let requests = self
            .settings
            .fill_bytes
            .div_ceil(shape.request_bytes() as u64);
        requests.next_multiple_of(u64::from(shape.partitions))
    }

    /// Records of each partition of a stream that was filled.
    pub(super) fn fill_records(&self, shape: Shape) -> u64 {
        self.fill_requests(shape) / u64::from(shape.partitions) * shape.batch_records as u64
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
        let durability = self.settings.durability;
        let stream = self.create(target, shape.partitions, durability).await?;
        let connection = driver.producer(&stream).await;
        let connection = connection.map_err(BenchError::of(&name))?;
        let request = Request::random(shape.batch_records, shape.record_bytes);
        let requests = self.fill_requests(shape);
        let mut told = Instant::now();
        let (mut sent, mut stored) = (0_u64, 0_u64);
        let mut under_way = FuturesUnordered::new();
        while stored < requests {
            while sent < requests && under_way.len() < IN_FLIGHT {
                let partition = u32::try_from(sent % u64::from(shape.partitions)).unwrap_or(0);
                under_way.push(connection.send(partition, &request));
                sent += 1;
            }
            if let Some(outcome) = under_way.next().await {
                outcome.map_err(BenchError::of(&name))?;
                stored += 1;
            }
            if told.elapsed() >= FILL_TELL {
                told = Instant::now();
                let percent = stored * 100 / requests;
                let mib = self.settings.fill_bytes >> 20;
                (self.progress)(&format!(
                    "{name}: writing {mib} MiB to be read, {percent} %"
                ));
            }
        }
        drop(under_way);
        // What is written behind must not disturb what is measured.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Some(stream))
    }
}
