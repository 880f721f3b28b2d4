//! Frames that were written once and must be read, and written, for ever: a folder for each version of the protocol.
//!
//! A frame that is missing or has changed fails. When a message is added, `cargo test -p ringlog-wire -- --ignored
//! write_missing_golden_frames` writes its file; an existing file is never overwritten.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ringlog_wire::{Api, Direction, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, frame};

use crate::{decode, samples};

fn folder(version: u8) -> PathBuf {
    let folder = format!("tests/golden/v{version}");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The frames of the version that is written here.
fn directory() -> PathBuf {
    folder(PROTOCOL_VERSION_MAX)
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let bytes = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]);
    bytes.map(|byte| u8::try_from(byte).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for word in line.chunks(4) {
            for byte in word {
                text.push_str(&format!("{byte:02x}"));
            }
            text.push(' ');
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[test]
fn every_message_is_written_as_its_golden_frame() {
    for sample in samples::all() {
        let path = directory().join(format!("{}.hex", sample.name));
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            to_hex(&sample.bytes),
            golden,
            "the layout of {} has changed",
            sample.name
        );
    }
}

#[test]
fn every_golden_frame_is_a_message_and_none_is_left_over() {
    let samples: BTreeSet<String> = samples::all()
        .iter()
        .map(|sample| format!("{}.hex", sample.name))
        .collect();
    let files: BTreeSet<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, samples);
}

/// The samples are read back where they are made; this reads what lies in the files, of every version.
#[test]
fn golden_frames_of_every_version_that_is_spoken_are_read() {
    for version in PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION_MAX {
        for entry in fs::read_dir(folder(version)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = from_hex(&fs::read_to_string(&path).unwrap());
            let (header, body) = frame::parse(&bytes).unwrap();
            assert_eq!(header.version(), version, "{}", path.display());
            let is_read = decode::any(header.api().unwrap(), body);
            assert_eq!(is_read, Ok(()), "{}", path.display());
        }
    }
}

#[test]
fn every_kind_and_direction_has_a_golden_frame() {
    let mut missing: BTreeSet<(Api, bool)> = Api::ALL
        .iter()
        .flat_map(|api| [(*api, false), (*api, true)])
        .collect();
    for sample in samples::all() {
        let (header, _) = frame::parse(&sample.bytes).unwrap();
        let is_response = header.direction() == Direction::Response;
        missing.remove(&(header.api().unwrap(), is_response));
    }
    assert_eq!(missing, BTreeSet::new());
}

#[test]
#[ignore = "writes files; run by hand when a message is added"]
fn write_missing_golden_frames() {
    for sample in samples::all() {
        let path = directory().join(format!("{}.hex", sample.name));
        if !path.exists() {
            fs::write(path, to_hex(&sample.bytes)).unwrap();
        }
    }
}
