//! A client in another language, written from PROTOCOL.md and the schema alone, against a real broker.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{Guard, Start, directory};

/// What `cargo xtask test` prepares: packages for Python, and the code that flatc makes of the schema.
pub(crate) fn libraries() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("python");
    assert!(
        folder.join("ready").is_file(),
        "{} is not prepared: run `cargo xtask python`, which needs python3 with pip",
        folder.display()
    );
    folder
}

#[test]
fn a_client_written_from_the_document_produces_fetches_and_long_polls() {
    let libraries = libraries();
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new("python3");
    python
        .arg(crate_folder.join("tests/python/scenario.py"))
        .arg(broker.address.ip().to_string())
        .arg(broker.address.port().to_string())
        .arg(crate_folder.join("../../net/wire/tests/golden/v1"))
        .env("PYTHONPATH", libraries)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut python = Guard::of(python.spawn().unwrap());
    let mut stdout = BufReader::new(python.stdout());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    if line != "ready\n" {
        let mut said = String::new();
        python.stderr().read_to_string(&mut said).unwrap();
        panic!("{line}{said}");
    }

    let consumed = broker.ok(&["consume", "exchange", "--until-end", "--print", "key,value"]);
    assert_eq!(String::from_utf8(consumed).unwrap(), "key\tfrom python\n");
    broker.run(&["produce", "exchange"], b"from rust\n").ok();

    python.stdin().write_all(b"go on\n").unwrap();
    line.clear();
    stdout.read_line(&mut line).unwrap();
    let code = python.wait("the client in Python");
    let mut said = String::new();
    python.stderr().read_to_string(&mut said).unwrap();
    assert_eq!((code, line.as_str()), (Some(0), "done\n"), "{said}");
}
