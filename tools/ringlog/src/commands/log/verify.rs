//! `ringlog log verify`: checks the files of a partition against each other, or those of all partitions below a
//! directory.

use std::io;
use std::path::{Path, PathBuf};

use ringlog_log::inspect::{Finding, Severity, verify_directory};
use serde_json::{Value, json};

use super::{ReadOnly, files_of, is_of_log};
use crate::error::CommandError;
use crate::output::{Format, counted, outln, print_json};

/// How far below the directory that is given a partition may lie: `<data>/topics/<topic id>/<partition>`.
const DEPTH_MAX: usize = 3;

/// What was found in a directory, or in a file alone.
struct Verified {
    path: PathBuf,
    files: usize,
    findings: Vec<Finding>,
}

pub(super) fn run(path: &Path, output: Format) -> Result<(), CommandError> {
    let failed = |error| CommandError::failed(&format!("read {}", path.display()), error);
    let mut partitions = Vec::new();
    find(path, 0, &mut partitions).map_err(failed)?;
    if partitions.is_empty() {
        return Err(CommandError::failed(
            &format!("verify {}", path.display()),
            "there is no partition in it; give the directory of a partition, or the data directory",
        ));
    }
    let mut all = Vec::new();
    for partition in partitions {
        let verified = verify(&partition)?;
        if output == Format::Table {
            tell(&verified);
        }
        all.push(verified);
    }
    if output == Format::Json {
        print_json(&all.iter().map(to_json).collect());
    }
    let damaged = all.iter().filter(|one| damage(one) > 0).count();
    if damaged > 0 {
        return Err(CommandError::Failed(format!(
            "{damaged} of {} damaged; nothing was changed",
            counted(all.len() as u64, "partition")
        )));
    }
    Ok(())
}

/// Whether a file is one that every partition has.
fn is_of_partition(path: &Path) -> bool {
    is_of_log(path) && path.extension().is_none_or(|extension| extension == "log")
}

/// Finds the directories of partitions at or below a path; a file is checked alone.
fn find(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let about = std::fs::metadata(path)?;
    if !about.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let mut below = Vec::new();
    for entry in std::fs::read_dir(path)? {
        below.push(entry?.path());
    }
    if below.iter().any(|path| is_of_partition(path)) {
        found.push(path.to_owned());
        return Ok(());
    }
    below.retain(|path| path.is_dir());
    below.sort();
    if depth < DEPTH_MAX {
        for directory in below {
            find(&directory, depth + 1, found)?;
        }
    }
    Ok(())
}

fn verify(path: &Path) -> Result<Verified, CommandError> {
    let files = files_of(path)?;
    let open = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default().to_owned();
        ReadOnly::open(file).map(|source| (name, source))
    };
    let opened: io::Result<Vec<_>> = files.iter().map(open).collect();
    let what = format!("read {}", path.display());
    let report = opened
        .and_then(verify_directory)
        .map_err(|error| CommandError::failed(&what, error))?;
    let mut findings = report.findings;
    if !path.is_dir() {
        // Of a file alone nothing can be said about those beside it.
        findings.retain(|finding| finding.severity == Severity::Damage);
    }
    Ok(Verified {
        path: path.to_owned(),
        files: files.len(),
        findings,
    })
}

fn damage(verified: &Verified) -> usize {
    let findings = verified.findings.iter();
    findings
        .filter(|finding| finding.severity == Severity::Damage)
        .count()
}

fn tell(verified: &Verified) {
    outln!(
        "{}: {}, {}, {} of them damage",
        verified.path.display(),
        counted(verified.files as u64, "file"),
        counted(verified.findings.len() as u64, "finding"),
        damage(verified)
    );
    for finding in &verified.findings {
        outln!("  {finding}");
    }
}

fn to_json(verified: &Verified) -> Value {
    let findings = verified.findings.iter().map(|finding| {
        json!({
            "severity": finding.severity.to_string(),
            "file": finding.file,
            "position": finding.position,
            "problem": finding.problem.to_string(),
        })
    });
    json!({
        "path": verified.path.display().to_string(),
        "files": verified.files,
        "is_damaged": damage(verified) > 0,
        "findings": findings.collect::<Vec<_>>(),
    })
}
