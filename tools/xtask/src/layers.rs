//! Who may depend on whom.
//!
//! The table below is the rule; README shows it between two markers. Dependencies of tests are free, except on what
//! belongs to one crate only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::Findings;
use crate::source::{code_only, words};
use crate::workspace::{Crate, Workspace};

const README: &str = "README.md";
const BEGIN: &str = "<!-- layers: written by `cargo xtask layers --write` -->";
const END: &str = "<!-- /layers -->";

/// A crate's folder, and the folders of the crates that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("engine/record", &[]),
    ("engine/reactor", &[]),
    ("engine/shard", &["engine/reactor", "engine/record"]),
    ("engine/log", &["engine/reactor", "engine/record"]),
    ("engine/maintenance", &["engine/log", "engine/reactor"]),
    (
        "replication",
        &["engine/log", "engine/reactor", "engine/record"],
    ),
    ("coord", &["engine/record"]),
    ("net/wire", &["engine/record"]),
    ("net/client", &["engine/record", "net/wire"]),
    (
        "net/server",
        &[
            "coord",
            "engine/log",
            "engine/reactor",
            "engine/record",
            "engine/shard",
            "net/wire",
            "replication",
        ],
    ),
    ("bench/device", &[]),
    (
        "bench/append",
        &[
            "bench/device",
            "engine/log",
            "engine/maintenance",
            "engine/reactor",
            "engine/record",
        ],
    ),
    (
        "bench",
        &[
            "bench/append",
            "bench/device",
            "engine/record",
            "net/client",
            "net/wire",
        ],
    ),
    (
        "tools/fuzz",
        &[
            "coord",
            "engine/log",
            "engine/reactor",
            "engine/record",
            "net/wire",
        ],
    ),
    (
        "tools/sim",
        &[
            "coord",
            "engine/log",
            "engine/reactor",
            "engine/record",
            "engine/shard",
            "net/client",
            "net/server",
            "net/wire",
            "replication",
        ],
    ),
    (
        "tools/ringlog",
        &[
            "bench",
            "coord",
            "engine/log",
            "engine/maintenance",
            "engine/reactor",
            "engine/record",
            "net/client",
            "net/server",
        ],
    ),
    ("tools/zookeeper", &[]),
    ("tools/xtask", &["tools/zookeeper"]),
];

/// A package from outside, and the only folders whose crates may name it, in tests too.
const OWNED: &[(&str, &[&str])] = &[
    ("io-uring", &["engine/reactor", "bench/device"]),
    ("libc", &["engine/reactor", "bench/device"]),
    ("glommio", &["engine/maintenance"]),
    ("flatbuffers", &["net/wire"]),
    ("zookeeper-client", &["coord"]),
    ("redb", &["coord"]),
];

/// Folders whose code may be unsafe.
const UNSAFE: &[&str] = &[
    "engine/reactor/",
    "bench/device/",
    "net/wire/src/generated/",
];

/// Whether the table in README is written or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Checks dependencies, unsafe code and the table in README.
pub(crate) fn run(workspace: &Workspace, mode: Mode) -> Result<(), Findings> {
    let mut findings = check_dependencies(&workspace.crates);
    findings.extend(check_unsafe(workspace)?);
    if let Err(more) = readme_table(workspace, mode) {
        findings.extend(more);
    }
    if findings.is_empty() {
        println!(
            "layers: {} crates depend on each other as README says",
            workspace.crates.len()
        );
        Ok(())
    } else {
        Err(findings)
    }
}

fn check_dependencies(crates: &[Crate]) -> Findings {
    let folders: BTreeMap<&str, &str> = crates
        .iter()
        .map(|member| (member.name.as_str(), member.folder.as_str()))
        .collect();
    let mut findings = Findings::new();
    for member in crates {
        let folder = member.folder.as_str();
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == folder) else {
            findings.push(format!(
                "{folder}: is not in the table of tools/xtask/src/layers.rs"
            ));
            continue;
        };
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            if let Some(on) = folders.get(name).filter(|_| !dependency.for_tests_only)
                && !allowed.contains(on)
            {
                findings.push(format!("{folder}: may not depend on {on}"));
            }
            if let Some((_, owners)) = OWNED.iter().find(|(owned, _)| *owned == name)
                && !owners.contains(&folder)
            {
                let owners = owners.join(" and ");
                findings.push(format!("{folder}: may not name {name}, only {owners} may"));
            }
        }
    }
    let present: BTreeSet<&str> = folders.into_values().collect();
    let gone = ALLOWED.iter().filter(|(name, _)| !present.contains(name));
    findings.extend(gone.map(|(name, _)| {
        format!("{name}: is in the table of tools/xtask/src/layers.rs but not in the workspace")
    }));
    findings
}

fn check_unsafe(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for file in workspace.files_ending(".rs") {
        if UNSAFE.iter().any(|folder| file.starts_with(folder)) {
            continue;
        }
        let code = code_only(&workspace.read(file)?);
        let unsafe_words = words(&code).filter(|(_, word)| *word == "unsafe");
        findings.extend(unsafe_words.map(|(line, _)| format!("{file}:{line}: unsafe code")));
    }
    Ok(findings)
}

fn readme_table(workspace: &Workspace, mode: Mode) -> Result<(), Findings> {
    let readme = workspace.read(README)?;
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| {
        let (shown, after) = rest.split_once(END)?;
        Some((before, shown, after))
    });
    let Some((before, shown, after)) = parts else {
        return Err(vec![format!(
            "{README}: lacks the lines `{BEGIN}` and `{END}` with the table of layers between them"
        )]);
    };
    let table = table();
    match mode {
        _ if shown == table => Ok(()),
        Mode::Check => Err(vec![format!(
            "{README}: shows another table of layers; run `cargo xtask layers --write`"
        )]),
        Mode::Write => {
            let readme = format!("{before}{BEGIN}{table}{END}{after}");
            fs::write(workspace.root.join(README), readme)
                .map_err(|error| vec![format!("{README}: cannot be written: {error}")])
        }
    }
}

fn table() -> String {
    let mut table =
        String::from("\n| crate | may depend on | alone names |\n| --- | --- | --- |\n");
    for (folder, allowed) in ALLOWED {
        let owned = OWNED
            .iter()
            .filter(|(_, owners)| owners.contains(folder))
            .map(|(name, _)| *name);
        let is_unsafe = UNSAFE.contains(&format!("{folder}/").as_str());
        let owned: Vec<&str> = owned.chain(is_unsafe.then_some("unsafe")).collect();
        let row = format!(
            "| {folder} | {} | {} |\n",
            allowed.join(", "),
            owned.join(", ")
        );
        table.push_str(&row.replace("|  |", "| |").replace("|  |", "| |"));
    }
    table
}

#[cfg(test)]
mod tests;
