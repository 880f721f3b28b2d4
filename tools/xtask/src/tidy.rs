//! What compilers do not check: names, manifests, forbidden calls, links.

mod calls;
mod links;

use crate::Findings;
use crate::workspace::Workspace;

/// A file longer than this may hold two concepts.
const FILE_LINES_HINT: usize = 700;

/// What the top level holds besides dotfiles.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "bench",
    "coord",
    "engine",
    "net",
    "replication",
    "tools",
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "manager"];

/// The crate whose generated module is unsafe, so that it denies what the others forbid.
const DENIES_UNSAFE: &str = "net/wire";

/// The crates that reach the kernel.
const UNSAFE_CRATES: &[&str] = &["engine/reactor", "bench/device"];

const GENERATED: &str = "/generated/";

/// Marks of unfinished work, put together so that this file does not hold them.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Beginnings of paths that exist on one machine only, put together for the same reason.
const MACHINE_PATHS: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
];

/// Runs every check and reports all that they find.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Findings> {
    let checks = [
        manifests,
        headers,
        names,
        top_level,
        texts,
        calls::check,
        links::check,
    ];
    let mut findings = Findings::new();
    for check in checks {
        findings.extend(check(workspace)?);
    }
    hint_long_files(workspace)?;
    if findings.is_empty() {
        println!("tidy: {} files are in order", workspace.files.len());
        Ok(())
    } else {
        findings.sort();
        Err(findings)
    }
}

/// Every crate inherits the lints, and is named as the design says.
fn manifests(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for member in &workspace.crates {
        let manifest = format!("{}/Cargo.toml", member.folder);
        if !workspace
            .read(&manifest)?
            .contains("[lints]\nworkspace = true")
        {
            findings.push(format!(
                "{manifest}: does not inherit the workspace's lints"
            ));
        }
        let named = ["ringlog", "xtask"].contains(&member.name.as_str())
            || member.name.starts_with("ringlog-");
        if !named {
            findings.push(format!("{manifest}: a crate is named ringlog-<name>"));
        }
    }
    Ok(findings)
}

/// Every crate says what it thinks of unsafe code.
fn headers(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for member in &workspace.crates {
        let folder = member.folder.as_str();
        let level = match folder {
            _ if UNSAFE_CRATES.contains(&folder) => continue,
            DENIES_UNSAFE => "#![deny(unsafe_code)]",
            _ => "#![forbid(unsafe_code)]",
        };
        for root in ["lib.rs", "main.rs"] {
            let file = format!("{folder}/src/{root}");
            if workspace.files.contains(&file) && !workspace.read(&file)?.contains(level) {
                findings.push(format!("{file}: lacks {level}"));
            }
        }
    }
    Ok(findings)
}

/// No `mod.rs`, no names that say nothing.
fn names(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for file in workspace.files_ending(".rs") {
        if file.ends_with("/mod.rs") {
            findings.push(format!("{file}: name the file after its module instead"));
        }
        let stems = file.split('/').map(|part| part.trim_end_matches(".rs"));
        let empty = stems
            .flat_map(|stem| stem.split('_'))
            .find(|word| EMPTY_NAMES.contains(word));
        if let Some(word) = empty {
            findings.push(format!("{file}: \"{word}\" does not say what is inside"));
        }
    }
    Ok(findings)
}

/// The top level holds the folders of the design, each with its document.
fn top_level(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for file in &workspace.files {
        let entry = file.split('/').next().unwrap_or_default();
        if !entry.starts_with('.') && !TOP_LEVEL.contains(&entry) {
            findings.push(format!("{file}: {entry} does not belong to the top level"));
        }
    }
    for entry in TOP_LEVEL {
        let document = format!("{entry}/DESIGN.md");
        let is_folder = workspace.root.join(entry).is_dir();
        if is_folder && !workspace.files.contains(&document) {
            findings.push(format!("{document}: is missing"));
        }
    }
    Ok(findings)
}

/// No marks of unfinished work, no paths of one machine.
fn texts(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for file in &workspace.files {
        // What is not text is not looked into.
        let Ok(text) = workspace.read(file) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if let Some(mark) = UNFINISHED.iter().find(|mark| line.contains(**mark)) {
                findings.push(format!("{file}:{number}: {mark}: do it, or file an issue"));
            }
            if let Some(path) = MACHINE_PATHS.iter().find(|path| is_absolute(line, path)) {
                findings.push(format!("{file}:{number}: {path} is a path of one machine"));
            }
        }
    }
    Ok(findings)
}

/// Whether the line holds the path from the root of the file system, not in the middle of another path.
fn is_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|char| char.is_alphanumeric() || "_-.~}/".contains(char))
    })
}

fn hint_long_files(workspace: &Workspace) -> Result<(), Findings> {
    for file in workspace.files_ending(".rs") {
        let lines = workspace.read(file)?.lines().count();
        if lines > FILE_LINES_HINT && !file.contains(GENERATED) {
            println!("tidy: hint: {file} has {lines} lines: are there two concepts in it?");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_are_told_from_paths_in_the_project() {
        let home = MACHINE_PATHS[1];
        assert!(is_absolute(&format!("see {home}x"), home));
        assert!(is_absolute(&format!("\"{home}x\""), home));
        assert!(!is_absolute(&format!("net{home}x"), home));
    }
}
