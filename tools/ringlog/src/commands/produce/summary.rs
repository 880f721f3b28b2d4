//! What `produce` says at the end.

use std::time::Duration;

use ringlog_client::{Acks, DeliveryError, ErrorCode, ProducerStats};
use serde_json::json;

use super::Sent;
use super::acknowledgements::Outcome;
use super::receipts;
use crate::error::CommandError;
use crate::output::{Format, bytes, counted, print_error_json};

/// What was done.
pub(super) struct Summary {
    pub(super) sent: Sent,
    pub(super) outcome: Outcome,
    pub(super) stats: ProducerStats,
    pub(super) took: Duration,
    pub(super) acks: Acks,
    /// Whether to tell where the broker's time went.
    pub(super) wants_receipts: bool,
}

impl Summary {
    /// Records that were read but neither stored, refused nor left open.
    fn not_sent(&self) -> u64 {
        let Outcome {
            stored,
            failed,
            unknown,
            ..
        } = self.outcome;
        self.sent.records.saturating_sub(stored + failed + unknown)
    }

    /// Prints it on standard error.
    pub(super) fn print(&self, format: Format) {
        match format {
            Format::Table => {
                eprintln!("{}", self.sentence());
                if self.wants_receipts {
                    eprintln!("{}", receipts::table(&self.stats.stages));
                }
            }
            Format::Json => print_error_json(&self.json()),
        }
    }

    fn p99_us(&self) -> u64 {
        self.stats.ack_us.value_at_quantile(0.99)
    }

    fn sentence(&self) -> String {
        let records = self.sent.records;
        let stored = self.outcome.stored;
        let rate = per_second(stored, self.took);
        let bytes_rate = bytes(per_second(self.sent.bytes, self.took));
        let seconds = self.took.as_secs_f64();
        let verb = if self.acks == Acks::None {
            "sent"
        } else {
            "acknowledged"
        };
        let bytes = bytes(self.sent.bytes);
        let mut text = if stored == records {
            format!(
                "{} {verb}, {bytes}, in {seconds:.2} s: {rate} records/s, {bytes_rate}/s",
                counted(stored, "record")
            )
        } else {
            format!(
                "{stored} of {} {verb} in {seconds:.2} s",
                counted(records, "record")
            )
        };
        if self.acks != Acks::None && !self.stats.ack_us.is_empty() {
            let micros = self.p99_us();
            let (whole, hundredths) = (micros / 1000, micros % 1000 / 10);
            text += &format!(", p99 of acknowledgement {whole}.{hundredths:02} ms");
        }
        if self.stats.retries > 0 {
            text += &format!(", {} retries", self.stats.retries);
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let mut summary = json!({
            "records_read": self.sent.records,
            "records": self.outcome.stored,
            "failed": self.outcome.failed,
            "unknown": self.outcome.unknown,
            "not_sent": self.not_sent(),
            "record_bytes": self.sent.bytes,
            "seconds": self.took.as_secs_f64(),
            "records_per_second": per_second(self.outcome.stored, self.took),
            "ack_p99_us": self.p99_us(),
            "retries": self.stats.retries,
        });
        if self.wants_receipts {
            summary["stages_ns"] = receipts::json(&self.stats.stages);
        }
        summary
    }

    /// Whether everything was stored; otherwise what was not, and what to do.
    pub(super) fn verdict(&self, topic: &str) -> Result<(), CommandError> {
        let Some(error) = &self.outcome.error else {
            return match self.sent.records == self.outcome.stored {
                true => Ok(()),
                false => Err(CommandError::Failed(
                    "not every record was acknowledged".to_owned(),
                )),
            };
        };
        let Outcome {
            failed, unknown, ..
        } = self.outcome;
        let mut parts = Vec::new();
        if failed > 0 {
            parts.push(format!("refused: {}", counted(failed, "record")));
        }
        if unknown > 0 {
            parts.push(format!(
                "of {} nobody can say whether it was stored: look before sending again",
                counted(unknown, "record")
            ));
        }
        let not_sent = self.not_sent();
        if not_sent > 0 {
            parts.push(format!("{not_sent} more were read and not waited for"));
        }
        let advice = match error {
            DeliveryError::Refused {
                code: ErrorCode::BatchTooLarge,
                ..
            } => format!(
                "; give a smaller --batch-bytes, or raise max_batch_bytes of topic {topic:?}"
            ),
            _ => String::new(),
        };
        Err(CommandError::Failed(format!(
            "{error}{advice}; {}",
            parts.join("; ")
        )))
    }
}

/// How many a second.
fn per_second(count: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}
