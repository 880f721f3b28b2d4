//! `ringlog doctor`: whether this machine can run a broker, and what would make it run better.

use ringlog_reactor::uring::{Verdict, probe};
use serde_json::json;

use crate::cli::DoctorArguments;
use crate::error::CommandError;
use crate::output::{Format, Mood, coloured, outln, print_json};

pub(crate) fn run(arguments: &DoctorArguments) -> Result<(), CommandError> {
    let findings = probe(&arguments.data_dir);
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
