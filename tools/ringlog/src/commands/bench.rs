//! `ringlog bench`: figures of a broker beside those of the machine, from the same run.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ringlog_bench::{
    BenchError, ConsumeBench, DeviceBench, ProduceBench, Report, Row, Spread, Timing,
};
use ringlog_client::{Admin, Client};
use serde_json::json;

use super::connect::connect;
use crate::cli::{BenchCommand, BenchTiming};
use crate::error::CommandError;
use crate::output::{Format, outln, print_json, print_table};

pub(crate) async fn run(command: BenchCommand) -> Result<(), CommandError> {
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(200));
    let mut tell = |what: &str| progress.set_message(what.to_owned());
    let (report, output) = match command {
        BenchCommand::Device {
            shape,
            record_bytes,
            connections,
            dir,
            timing,
            output,
        } => {
            let bench = DeviceBench {
                shapes: shape,
                record_bytes,
                connections,
                dir,
                timing: timing_of(&timing),
            };
            (ringlog_bench::device(&bench, &mut tell), output)
        }
        BenchCommand::Produce {
            record_bytes,
            connections,
            config,
            dir,
            timing,
            bootstrap,
            output,
        } => {
            let client = connect(&bootstrap).await?;
            let topic = Topic::create(&client, &config).await?;
            let bench = ProduceBench {
                topic: topic.name.clone(),
                record_bytes,
                connections,
                dir,
                timing: timing_of(&timing),
            };
            let report = ringlog_bench::produce(&client, &bench, &mut tell).await;
            topic.delete().await;
            (report, output)
        }
        BenchCommand::Consume {
            fetch_bytes,
            config,
            dir,
            timing,
            bootstrap,
            output,
        } => {
            let client = connect(&bootstrap).await?;
            let topic = Topic::create(&client, &config).await?;
            let bench = ConsumeBench {
                topic: topic.name.clone(),
                fetch_bytes,
                dir,
                timing: timing_of(&timing),
            };
            let report = ringlog_bench::consume(&client, &bench, &mut tell).await;
            topic.delete().await;
            (report, output)
        }
    };
    progress.finish_and_clear();
    let report = report.map_err(|error: BenchError| CommandError::failed("measure", error))?;
    print(&report, output);
    Ok(())
}

fn timing_of(timing: &BenchTiming) -> Timing {
    Timing {
        warm_up: Duration::from_millis(timing.warm_up),
        duration: Duration::from_millis(timing.duration),
        repetitions: timing.repetitions,
    }
}

/// A topic for the measurement alone.
struct Topic {
    admin: Admin,
    name: String,
}

impl Topic {
    async fn create(client: &Client, config: &[String]) -> Result<Self, CommandError> {
        let admin = Admin::new(client);
        let name = format!("bench-{}", std::process::id());
        let settings = super::topic::settings(config)?;
        let created = admin.create_topic(&name, 1, settings).await;
        created.map_err(|error| CommandError::failed("make a topic to measure with", error))?;
        Ok(Self { admin, name })
    }

    async fn delete(&self) {
        if let Err(error) = self.admin.delete_topic(&self.name).await {
            eprintln!("warning: the topic {} is left behind: {error}", self.name);
        }
    }
}

fn print(report: &Report, output: Format) {
    if output == Format::Json {
        let conditions: serde_json::Map<_, _> = report
            .conditions
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        print_json(&json!({ "conditions": conditions, "rows": report.rows }));
        return;
    }
    for (name, value) in &report.conditions {
        outln!("{name}: {value}");
    }
    outln!();
    print_table(
        [
            "what",
            "bytes",
            "connections",
            "requests/s",
            "MB/s",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "of raw",
        ],
        report.rows.iter().map(|row: &Row| {
            [
                row.what.clone(),
                row.record_bytes.to_string(),
                row.connections.to_string(),
                spread(Some(&row.requests_per_s), 0),
                spread(Some(&row.megabytes_per_s), 1),
                spread(row.p50_us.as_ref(), 0),
                spread(row.p99_us.as_ref(), 0),
                spread(row.p999_us.as_ref(), 0),
                spread(row.of_raw.as_ref(), 2),
            ]
        }),
    );
    outln!(
        "\nEach figure is the median of the repetitions, with the smallest and the largest in brackets."
    );
}

fn spread(spread: Option<&Spread>, digits: usize) -> String {
    match spread {
        Some(Spread { min, median, max }) => {
            format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
        }
        None => "-".to_owned(),
    }
}
