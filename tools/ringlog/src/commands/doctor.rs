//! `ringlog doctor`: whether this machine can run a broker, and what would make it run better.

use std::path::Path;

use ringlog_reactor::uring::{Finding, Verdict, descriptor_limit, probe};
use ringlog_server::{BrokerConfig, PartitionBudget};
use serde_json::json;

use crate::cli::DoctorArguments;
use crate::error::CommandError;
use crate::output::{Format, Mood, bytes, coloured, outln, print_json};

pub(crate) fn run(arguments: &DoctorArguments) -> Result<(), CommandError> {
    let mut findings = probe(&arguments.data_dir);
    findings.push(partitions(&arguments.data_dir));
    let word = |verdict| match verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    match arguments.output.form {
        Format::Table => {
            for finding in &findings {
                let mood = match finding.verdict {
                    Verdict::Ok => Mood::Good,
                    Verdict::Warn => Mood::Doubtful,
                    Verdict::Fail => Mood::Bad,
                };
                let word = format!("{:<5}", word(finding.verdict));
                outln!(
                    "{} {:<18} {}",
                    coloured(mood, &word),
                    finding.name,
                    finding.sentence
                );
            }
        }
        Format::Json => print_json(
            &findings
                .iter()
                .map(|finding| {
                    json!({
                        "check": finding.name,
                        "verdict": word(finding.verdict).to_lowercase(),
                        "finding": finding.sentence,
                    })
                })
                .collect(),
        ),
    }
    if findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Fail)
    {
        return Err(CommandError::Failed(
            "a broker cannot run here until what is marked FAIL is changed".to_owned(),
        ));
    }
    Ok(())
}

/// How many partitions a broker with the usual memory serves here.
fn partitions(data_dir: &Path) -> Finding {
    let mut config = BrokerConfig::new(data_dir.to_owned(), ([127, 0, 0, 1], 0).into());
    config.descriptors_max = descriptor_limit().ok().map(|limit| limit.hard);
    let budget = PartitionBudget::of(&config);
    let by_files = budget
        .partitions_by_descriptors()
        .map_or_else(|| "any number".to_owned(), |count| count.to_string());
    Finding {
        name: "partitions",
        verdict: Verdict::Ok,
        sentence: format!(
            "A broker with {} of memory and {} connections serves {} partitions on the device: its memory {}, the open files {by_files}.",
            bytes(config.memory_bytes as u64),
            config.connections_max,
            budget.partitions_max(),
            budget.partitions_by_memory(),
        ),
    }
}
