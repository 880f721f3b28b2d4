//! Histogram logs: the format that HdrHistogram's own tools read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::result::Interval;
use crate::summary::Measured;

/// Writes the response times of each step, and the service times of the whole run with the tag `service`.
pub(crate) fn write(path: &Path, began: SystemTime, measured: &Measured) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut serializer = V2DeflateSerializer::new();
    let other = |error: &dyn std::fmt::Debug| io::Error::other(format!("{error:?}"));
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(
            "times in nanoseconds; without a tag: response times by when requests were due",
        )
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(1e6)
        .begin_log_with(&mut file, &mut serializer)
        .map_err(|error| other(&error))?;
    for (interval, times) in measured.figures.intervals.iter().zip(&measured.steps) {
        let Interval { at_s, length_s, .. } = *interval;
        let (at, length) = (seconds(at_s), seconds(length_s));
        log.write_histogram(times.histogram(), at, length, None)
            .map_err(|error| other(&error))?;
    }
    let length = seconds(measured.figures.elapsed_s);
    let service = measured.service.histogram();
    log.write_histogram(service, Duration::ZERO, length, Tag::new("service"))
        .map_err(|error| other(&error))?;
    file.flush()
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
