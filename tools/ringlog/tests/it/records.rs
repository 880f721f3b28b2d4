//! Texts to produce.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a text has at least.
const LINES_MIN: usize = 100_000;

/// A text of many lines: the sources that cargo has fetched, in a fixed order, and lines of every kind behind them.
/// Where cargo has fetched nothing, only those.
pub(crate) fn text() -> Vec<u8> {
    let mut text = Vec::new();
    let mut lines = 0;
    let mut files = Vec::new();
    if let Some(registry) = registry() {
        sources(&registry, &mut files);
    }
    for file in files {
        if lines >= LINES_MIN {
            break;
        }
        if let Ok(bytes) = fs::read(file) {
            lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
            text.extend(bytes);
        }
    }
    let mut number = 0;
    while lines < LINES_MIN || number < 2_000 {
        let line = match number % 5 {
            0 => String::new(),
            1 => format!("fn number_{number}() {{ println!(\"{number}\"); }}"),
            2 => format!("// Größe {number} 寸法 ✓"),
            3 => format!("ended by a carriage return {number}\r"),
            _ => format!("\ttab\tand a long tail {}", "x".repeat(number % 300)),
        };
        text.extend(line.as_bytes());
        text.push(b'\n');
        lines += 1;
        number += 1;
    }
    text
}

fn registry() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    Some(home?.join("registry").join("src"))
}

/// Sources below a directory, sorted; enough of them.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        if found.len() > 3_000 {
            return;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
