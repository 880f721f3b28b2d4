//! `ringlog log`: looks at the files of a log that no broker has open.

mod verify;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ringlog_log::inspect::{
    BatchReport, BatchState, CheckpointReport, IndexReport, Source, read_checkpoint, read_index,
    walk_segment,
};
use ringlog_record::Offset;
use serde_json::{Value, json};

use crate::cli::LogCommand;
use crate::error::CommandError;
use crate::output::{Format, outln};

/// A file that is only read.
struct ReadOnly(File);

impl ReadOnly {
    fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }
}

impl Source for ReadOnly {
    fn len_bytes(&mut self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&mut self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < buf.len() {
            match self.0.read_at(&mut buf[have..], position + have as u64)? {
                0 => break,
                read => have += read,
            }
        }
        Ok(have)
    }
}

pub(crate) fn run(command: &LogCommand) -> Result<(), CommandError> {
    match command {
        LogCommand::Dump { path, output } => {
            let mut files = files_of(path)?;
            if path.is_dir() {
                files.retain(|file| is_of_log(file));
                if files.is_empty() {
                    return Err(no_partition(&format!("dump {}", path.display())));
                }
            }
            for file in &files {
                dump(file, output.form).map_err(|error| {
                    CommandError::failed(&format!("read {}", file.display()), error)
                })?;
            }
            Ok(())
        }
        LogCommand::Verify { path, output } => verify::run(path, output.form),
    }
}

/// The file, or the files of the directory in the order of their names.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let what = format!("read {}", path.display());
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| CommandError::failed(&what, error))?;
    let mut files: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(no_partition(&what));
    }
    Ok(files)
}

fn no_partition(what: &str) -> CommandError {
    let advice = "give the directory of a partition, such as ringlog-data/topics/<id>/0";
    CommandError::failed(what, format!("there is no file of a log in it; {advice}"))
}

/// Whether a file has the name of one that a log makes.
fn is_of_log(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("log" | "index") => base_of(path).is_some(),
        _ => path.file_name().is_some_and(|name| name == "checkpoint"),
    }
}

/// Base offset that the name of a segment or index says.
fn base_of(path: &Path) -> Option<Offset> {
    let stem = path.file_stem()?.to_str()?;
    stem.parse().ok().map(Offset::new)
}

fn dump(path: &Path, output: Format) -> io::Result<()> {
    let mut source = ReadOnly::open(path)?;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let extension = path.extension().and_then(|extension| extension.to_str());
    match (name, extension, base_of(path)) {
        ("checkpoint", _, _) => dump_checkpoint(path, read_checkpoint(&mut source)?, output),
        (_, Some("index"), Some(base)) => {
            dump_index(path, read_index(&mut source, base)?.as_ref(), output);
        }
        (_, _, base) => return dump_segment(path, &mut source, base, output),
    }
    Ok(())
}

fn dump_segment(
    path: &Path,
    source: &mut ReadOnly,
    base: Option<Offset>,
    output: Format,
) -> io::Result<()> {
    if output == Format::Table {
        outln!("segment {}", path.display());
    }
    let report = walk_segment(source, base, |batch| match output {
        Format::Table => outln!("  {}", batch_line(batch)),
        Format::Json => outln!("{}", batch_json(path, batch)),
    })?;
    if report.batches == 0 && !is_of_log(path) {
        return Err(io::Error::other(
            "it is no segment, index or checkpoint of a log",
        ));
    }
    match output {
        Format::Table => outln!(
            "  ends at offset {}, byte {} of {}: {} batches, {} records",
            report.end,
            report.end_position,
            report.file_bytes,
            report.batches,
            report.records
        ),
        Format::Json => outln!(
            "{}",
            json!({
                "kind": "segment",
                "file": path.display().to_string(),
                "end_offset": report.end.get(),
                "end_position": report.end_position,
                "file_bytes": report.file_bytes,
                "batches": report.batches,
                "records": report.records,
            })
        ),
    }
    Ok(())
}

fn epoch_text(batch: &BatchReport) -> String {
    batch
        .epoch
        .map_or_else(|| "-".to_owned(), |epoch| epoch.to_string())
}

fn batch_line(batch: &BatchReport) -> String {
    let state = match &batch.state {
        BatchState::Valid => "ok".to_owned(),
        BatchState::Bad(problem) => format!("BAD: {problem}"),
    };
    format!(
        "byte {} len {} offsets {}..={} records {} epoch {} time {}..{} compression {} {state}",
        batch.position,
        batch.len_bytes,
        batch.base_offset,
        batch.last_offset,
        batch.records,
        epoch_text(batch),
        batch.base_timestamp,
        batch.max_timestamp,
        batch.compression_code,
    )
}

fn batch_json(path: &Path, batch: &BatchReport) -> Value {
    json!({
        "kind": "batch",
        "file": path.display().to_string(),
        "position": batch.position,
        "len_bytes": batch.len_bytes,
        "base_offset": batch.base_offset.get(),
        "last_offset": batch.last_offset.get(),
        "records": batch.records,
        "leader_epoch": batch.epoch.map(|epoch| epoch.get()),
        "base_timestamp": batch.base_timestamp.get(),
        "max_timestamp": batch.max_timestamp.get(),
        "compression": batch.compression_code,
        "error": match &batch.state {
            BatchState::Valid => None,
            BatchState::Bad(problem) => Some(problem.to_string()),
        },
    })
}

fn dump_checkpoint(path: &Path, slots: [Option<CheckpointReport>; 2], output: Format) {
    let latest = slots.into_iter().flatten().max_by_key(|slot| slot.sequence);
    let Some(slot) = latest else {
        tell_damage(path, "checkpoint", "neither slot is valid", output);
        return;
    };
    match output {
        Format::Table => {
            outln!("checkpoint {}", path.display());
            outln!(
                "  sequence {} {}{}\n  log start {} high watermark {} durable end {} (byte {} of segment {})",
                slot.sequence,
                if slot.is_clean { "clean" } else { "in use" },
                if slot.is_memory {
                    ", in memory only"
                } else {
                    ""
                },
                slot.log_start,
                slot.high_watermark,
                slot.durable_end,
                slot.durable_position,
                slot.active_base,
            );
            for epoch in &slot.epochs {
                outln!("  leader epoch {} from offset {}", epoch.epoch, epoch.start);
            }
        }
        Format::Json => outln!(
            "{}",
            json!({
                "kind": "checkpoint",
                "file": path.display().to_string(),
                "sequence": slot.sequence,
                "is_clean": slot.is_clean,
                "is_memory": slot.is_memory,
                "log_start": slot.log_start.get(),
                "high_watermark": slot.high_watermark.get(),
                "durable_end": slot.durable_end.get(),
                "durable_position": slot.durable_position,
                "active_base": slot.active_base.get(),
                "epochs": slot.epochs.iter().map(|epoch| json!({
                    "epoch": epoch.epoch.get(),
                    "start": epoch.start.get(),
                })).collect::<Vec<_>>(),
            })
        ),
    }
}

/// A file that cannot be read as what it is.
fn tell_damage(path: &Path, kind: &str, damage: &str, output: Format) {
    let file = path.display();
    match output {
        Format::Table => outln!("{kind} {file}: {damage}"),
        Format::Json => outln!(
            "{}",
            json!({ "kind": kind, "file": file.to_string(), "error": damage })
        ),
    }
}

fn dump_index(path: &Path, index: Option<&IndexReport>, output: Format) {
    let Some(index) = index else {
        let damage = "damaged; the next start rebuilds it";
        tell_damage(path, "index", damage, output);
        return;
    };
    match output {
        Format::Table => {
            outln!(
                "index {}\n  offsets {}..{} in {} bytes, {} points",
                path.display(),
                index.base,
                index.end,
                index.len_bytes,
                index.points.len()
            );
            for point in &index.points {
                outln!("  offset {} at byte {}", point.offset, point.position);
            }
        }
        Format::Json => outln!(
            "{}",
            json!({
                "kind": "index",
                "file": path.display().to_string(),
                "base": index.base.get(),
                "end": index.end.get(),
                "len_bytes": index.len_bytes,
                "points": index.points.iter().map(|point| json!({
                    "offset": point.offset.get(),
                    "position": point.position,
                })).collect::<Vec<_>>(),
            })
        ),
    }
}
