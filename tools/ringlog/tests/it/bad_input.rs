//! What must not work, and must say why.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::process::{Start, data_of, directory, run};

#[test]
fn config_file_is_used_and_a_flag_wins_over_it() {
    let directory = directory();
    let file = directory.path().join("broker.toml");
    fs::write(&file, "shards = 2\nlog = \"error\"\n").unwrap();
    let path = file.to_str().unwrap();
    let broker = Start {
        args: &["--config", path, "--log", "info"],
        ..Start::new(directory.path())
    }
    .broker();
    assert!(broker.log().contains("shards=2"), "{}", broker.log());
}

#[track_caller]
fn check_config(text: &str, said: &[&str]) {
    let directory = directory();
    let file = directory.path().join("broker.toml");
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    Start {
        args: &["--config", path],
        ..Start::new(directory.path())
    }
    .refused(2, said);
    assert!(
        !data_of(directory.path()).exists(),
        "the data directory was made"
    );
}

#[test]
fn unknown_key_is_refused_with_key_line_and_allowed_values() {
    check_config(
        "shards = 1\nmemroy = \"1GiB\"\n",
        &["line 2", "memroy", "memory", "data_dir", "spin_us"],
    );
}

#[test]
fn bad_unit_is_refused_with_key_line_and_allowed_values() {
    check_config(
        "shards = 1\n\nmemory = \"1GB\"\n",
        &["line 3", "memory", "GB", "KiB", "GiB"],
    );
}

#[test]
fn bad_values_are_refused_with_key_line_and_allowed_values() {
    check_config(
        "log = \"loud\"\n",
        &["line 1", "log", "loud", "error", "debug"],
    );
    check_config("# spin\nspin_us = 1000000\n", &["line 2", "spin_us", "200"]);
    check_config("admin = 3\n", &["line 1", "admin"]);
}

#[test]
fn too_little_memory_is_refused_with_how_much_is_needed() {
    let directory = directory();
    let start = Start {
        args: &["--shards", "9"],
        ..Start::new(directory.path())
    };
    start.refused(2, &["memory", "864"]);
}

#[test]
fn a_port_in_use_is_one_sentence_and_costs_nothing() {
    let (one, other) = (directory(), directory());
    let first = Start::new(one.path()).broker();
    let second = Start {
        port: first.address.port(),
        ..Start::new(other.path())
    };
    second.refused(1, &[&first.address.to_string(), "in use", "another port"]);
    first.ok(&["topic", "list"]);
}

#[test]
fn an_admin_port_in_use_is_one_sentence() {
    let directory = directory();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let log = run(
        &[
            "broker",
            "--cores",
            "none",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            &address,
            "--data-dir",
            data_of(directory.path()).to_str().unwrap(),
        ],
        b"",
    );
    log.refused(1, &[&address, "admin"]);
}

#[test]
fn a_data_directory_in_use_is_one_sentence() {
    let directory = directory();
    let start = Start::new(directory.path());
    let first = start.broker();
    start.refused(1, &["in use by another broker", "another"]);
    first.ok(&["topic", "list"]);
}

#[test]
fn a_newer_format_is_refused() {
    let directory = directory();
    let start = Start::new(directory.path());
    start.broker().terminate();
    let format = data_of(directory.path()).join("format.json");
    let text = fs::read_to_string(&format).unwrap();
    let newer = text.replace("\"format_version\": 1", "\"format_version\": 2");
    assert_ne!(text, newer);
    fs::write(&format, &newer).unwrap();
    start.refused(1, &["format 2", "newer program"]);
    assert_eq!(fs::read_to_string(&format).unwrap(), newer);
}

#[test]
fn a_lost_metadata_store_costs_no_data() {
    let directory = directory();
    let start = Start::new(directory.path());
    let broker = start.broker();
    broker.ok(&["topic", "create", "t"]);
    broker.run(&["produce", "t"], b"kept\n").ok();
    broker.terminate();
    let store = data_of(directory.path()).join("metadata.redb");
    let kept = directory.path().join("kept.redb");
    fs::rename(&store, &kept).unwrap();
    start.refused(1, &["metadata store", "nothing was deleted"]);
    fs::rename(&kept, &store).unwrap();
    assert_eq!(
        start.broker().ok(&["consume", "t", "--until-end"]),
        b"kept\n"
    );
}

#[test]
fn a_data_directory_that_cannot_be_made_is_one_sentence() {
    let directory = directory();
    fs::write(data_of(directory.path()), "a file").unwrap();
    Start::new(directory.path()).refused(1, &["make the data directory", "--data-dir"]);
}

#[test]
fn doctor_finds_the_build_directory_fit_for_a_broker() {
    let directory = directory();
    let path = directory.path().to_str().unwrap();
    let findings = run(&["doctor", "--data-dir", path, "--output", "json"], b"").json();
    let findings = findings.as_array().unwrap();
    assert!(findings.len() >= 6, "{findings:?}");
    assert!(
        findings.iter().all(|one| one["verdict"] != "fail"),
        "{findings:?}"
    );
}

#[test]
fn what_is_no_request_ends_its_connection_and_no_other() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let mut stalled = TcpStream::connect(broker.address).unwrap();
    stalled.write_all(&[0x52]).unwrap();
    for garbage in [
        vec![0; 64],
        vec![0xff; 4096],
        b"GET / HTTP/1.1\r\n\r\n".repeat(4),
    ] {
        let mut stream = TcpStream::connect(broker.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        // The broker may have closed it half-way.
        stream.write_all(&garbage).ok();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(
            !matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
            "{ended:?}"
        );
    }
    broker.run(&["produce", "t"], b"fine\n").ok();
    assert_eq!(broker.ok(&["consume", "t", "--until-end"]), b"fine\n");
    drop(stalled);
}

#[test]
fn the_first_record_that_is_not_stored_ends_produce() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t", "--config", "max_batch_bytes=64KiB"]);
    let mut input = b"small\n".to_vec();
    input.extend(vec![b'x'; 100 << 10]);
    input.extend(b"\nnever sent\n");
    let refused = broker.run(&["produce", "t"], &input);
    refused.refused(1, &["line 2", "65536"]);
    assert_eq!(broker.ok(&["consume", "t", "--until-end"]), b"small\n");
}

#[test]
fn files_of_no_log_are_not_taken_for_one() {
    let directory = directory();
    let path = directory.path().join("application.log");
    fs::write(&path, "nothing of a log\n".repeat(100)).unwrap();
    let (file, folder) = (path.to_str().unwrap(), directory.path().to_str().unwrap());
    run(&["log", "dump", file], b"").refused(1, &[file, "no segment"]);
    run(&["log", "dump", folder], b"").refused(1, &[folder, "topics/<id>/0"]);
    run(&["log", "verify", folder], b"").refused(1, &[folder, "no partition"]);
}

#[test]
fn a_service_that_is_no_broker_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut frame_header = [0; 32];
        stream.read_exact(&mut frame_header).unwrap();
        stream
            .write_all(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )
            .unwrap();
    });
    run(&["topic", "list", "--bootstrap", &address], b"")
        .refused(1, &[&address, "does not answer as a broker"]);
    serve.join().unwrap();
}
