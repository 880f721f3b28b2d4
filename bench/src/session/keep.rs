//! Keeping what was measured: histogram logs while it goes on, the rest at its end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Lane, Session};
use crate::error::BenchError;
use crate::hlog;
use crate::report::html;
use crate::result::RunResult;
use crate::summary::Measured;

impl Session<'_> {
    /// Writes the histogram log of a repetition, if results are kept.
    pub(super) fn keep(
        &self,
        measured: &mut Measured,
        began: SystemTime,
        lane: &Lane,
        index: usize,
        repetition: u32,
    ) -> Result<(), BenchError> {
        let Some(out) = &self.settings.out else {
            return Ok(());
        };
        let point = self.points_begun;
        let name = &self.targets[lane.target].info.name;
        // Targets may take part in several ways.
        let lane = index + 1;
        let file = format!("point-{point:03}-{lane}-{name}-run-{repetition}.hlog");
        std::fs::create_dir_all(out).map_err(cannot("make the folder of the result"))?;
        let written = hlog::write(&out.join(&file), began, measured);
        written.map_err(cannot("write a histogram log"))?;
        measured.figures.hlog = Some(file);
        Ok(())
    }
}

fn cannot(what: &'static str) -> impl FnOnce(io::Error) -> BenchError {
    BenchError::generator(what)
}

/// Writes a result as `result.json` and `report.html` in its folder; gives the path of the latter.
pub(crate) fn write_result(out: &Path, result: &RunResult) -> Result<PathBuf, BenchError> {
    std::fs::create_dir_all(out).map_err(cannot("make the folder of the result"))?;
    let path = out.join("result.json");
    let text = serde_json::to_string_pretty(result).map_err(io::Error::other);
    let text = text.map_err(cannot("write the result"))?;
    std::fs::write(&path, text).map_err(cannot("write the result"))?;
    let report = out.join("report.html");
    std::fs::write(&report, html(result)).map_err(cannot("write the report"))?;
    Ok(report)
}

/// A time in UTC.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    let round = jiff::TimestampRound::new().smallest(jiff::Unit::Second);
    time.round(round).unwrap_or(time).to_string()
}
