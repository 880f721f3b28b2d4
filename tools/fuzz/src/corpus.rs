//! Inputs that are kept: golden frames of the protocol, and what once was a bug.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Target;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the inputs of a target that are kept.
pub fn directory(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

/// The inputs of a target that are kept, in the order of their names.
///
/// # Errors
///
/// When a file cannot be read. A target without a folder has none.
pub fn kept(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    read_folder(&directory(target))
}

fn read_folder(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push((name, fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}

/// A frame of every message, of every version, from the tests of the protocol.
pub(crate) fn golden_frames() -> Vec<Vec<u8>> {
    let golden = workspace().join("net/wire/tests/golden");
    let versions = fs::read_dir(golden).into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path()).collect();
    folders.sort();
    let files = folders.iter().flat_map(|folder| read_folder(folder));
    files
        .flatten()
        .filter_map(|(_, hex)| from_hex(&hex))
        .collect()
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|&byte| char::from(byte).to_digit(16))
        .map(|digit| digit.and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes = digits.chunks(2).map(|two| match two {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    bytes.collect()
}
