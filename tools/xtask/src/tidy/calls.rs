//! Calls that would make a run differ from its replay: data-path crates reach clock, randomness, threads and files
//! through the reactor only.

use crate::Findings;
use crate::source::{code_only, imports, is_test_file, is_word, without_test_modules, words};
use crate::workspace::Workspace;

/// Crates that run inside the simulation.
const DATA_PATH: &[&str] = &[
    "engine/log/",
    "engine/record/",
    "engine/shard/",
    "net/server/",
    "net/wire/",
    "replication/",
];

/// The ends of paths that data-path code may not call, and what to use instead.
const CALLS: &[(&str, &str)] = &[
    ("Instant::now", "Reactor::now"),
    ("SystemTime::now", "Reactor::unix_time_ms"),
    ("thread::sleep", "Reactor::sleep"),
    ("thread::spawn", "Reactor::spawn"),
    ("HashMap::new", "BTreeMap, or fixed keys"),
    ("HashMap::with_capacity", "BTreeMap, or fixed keys"),
    ("HashSet::new", "BTreeSet, or fixed keys"),
    ("HashSet::with_capacity", "BTreeSet, or fixed keys"),
    ("env::var", "a value passed down"),
];

/// Parts of the standard library that data-path code may not name at all, and what to use instead.
const MODULES: &[(&str, &str)] = &[
    ("fs", "Reactor::open"),
    ("net::TcpStream", "Reactor::connect"),
    ("net::TcpListener", "Reactor::listen"),
    ("sync::Mutex", "state owned by one core"),
    ("sync::RwLock", "state owned by one core"),
];

/// Looks for them.
pub(super) fn check(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for file in workspace.files_ending(".rs") {
        let is_data_path = DATA_PATH.iter().any(|folder| file.starts_with(folder));
        if is_data_path && !is_test_file(file) {
            let found = find(&workspace.read(file)?);
            findings.extend(found.into_iter().map(|(line, called, instead)| {
                format!("{file}:{line}: {called} in data-path code: use {instead}")
            }));
        }
    }
    Ok(findings)
}

fn find(source: &str) -> Vec<(usize, String, &'static str)> {
    let code = without_test_modules(&code_only(source));
    let mut found = Vec::new();
    for (line, word) in words(&code) {
        for (call, instead) in CALLS {
            if ends_with_path(word, call) {
                found.push((line, (*call).to_owned(), *instead));
            }
        }
        for (module, instead) in MODULES {
            let path = format!("std::{module}");
            if word == path || word.starts_with(&format!("{path}::")) {
                found.push((line, path, *instead));
            }
        }
    }
    for (line, import) in imports(&code) {
        for (module, instead) in MODULES {
            if is_imported_in_braces(&import, module) {
                found.push((line, format!("std::{module}"), *instead));
            }
        }
    }
    found
}

fn ends_with_path(word: &str, path: &str) -> bool {
    word == path
        || word
            .strip_suffix(path)
            .is_some_and(|rest| rest.ends_with("::"))
}

/// Whether an import such as `usestd::sync::{Arc,Mutex};` brings in `sync::Mutex` through braces.
fn is_imported_in_braces(import: &str, module: &str) -> bool {
    let Some((path, names)) = import.split_once('{') else {
        return false;
    };
    let (parent, name) = match module.rsplit_once("::") {
        Some((parent, name)) => (format!("std::{parent}::"), name),
        None => ("std::".to_owned(), module),
    };
    path.ends_with(&format!("use{parent}"))
        && names
            .split(|char: char| !is_word(char))
            .any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_files_and_locks_are_found() {
        for source in [
            "let now = Instant::now();",
            "let now = std::time::Instant::now();",
            "use std::fs;",
            "use std::fs::File;",
            "use std::{fs, io};",
            "std::fs::read(path)?;",
            "use std::sync::{Arc, Mutex};",
            "use std::sync::Mutex;",
            "let map = HashMap::new();",
        ] {
            assert_eq!(find(source).len(), 1, "{source}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_found() {
        for source in [
            "// Instant::now",
            "reactor.now()",
            "use std::sync::Arc;",
            "let instant = MyInstant::nowhere();",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
            "use other::fs;",
        ] {
            assert_eq!(find(source), Vec::new(), "{source}");
        }
    }
}
