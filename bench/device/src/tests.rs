//! A fraction of a second of every shape: counts and bytes, never times.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::{
    ConfigError, DeviceConfig, DeviceError, Idle, Measured, Placement, Replay, Script, Shape,
    replay_once, run_once,
};

fn tiny(shape: Shape, dir: &tempfile::TempDir) -> DeviceConfig {
    DeviceConfig {
        warm_up: Duration::from_millis(20),
        duration: Duration::from_millis(80),
        file_bytes: 1 << 20,
        placement: Placement::none(),
        ..DeviceConfig::new(shape, dir.path())
    }
}

/// Runs, and checks what holds for every run.
fn run(config: &DeviceConfig) -> Measured {
    let measured = run_once(config).unwrap();
    assert!(measured.requests > 0);
    assert!(measured.requests_in_all >= measured.requests);
    assert_eq!(
        measured.bytes,
        measured.requests * config.record_bytes as u64
    );
    assert_eq!(measured.latency.count(), measured.requests);
    assert!(measured.elapsed >= config.duration);
    assert_eq!(
        fs::read_dir(&config.dir).unwrap().count(),
        0,
        "the file is gone"
    );
    measured
}

#[test]
fn files_are_written_and_read_at_any_depth_and_size() {
    let dir = tempfile::tempdir().unwrap();
    for &shape in Shape::ALL.iter().filter(|shape| !shape.is_network()) {
        for (record_bytes, depth) in [(100, 1), (4096, 8), (65_536, 3)] {
            let config = DeviceConfig {
                record_bytes,
                depth,
                ..tiny(shape, &dir)
            };
            let measured = run(&config);
            let io_bytes = measured.file_bytes_per_request.unwrap();
            assert_eq!(io_bytes, record_bytes.next_multiple_of(4096));
        }
    }
}

#[test]
fn every_request_over_tcp_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    for shape in [Shape::TcpEcho, Shape::TcpOut] {
        for (record_bytes, depth, connections) in [(1, 1, 1), (1000, 8, 4), (200_000, 2, 2)] {
            let config = DeviceConfig {
                record_bytes,
                depth,
                connections,
                ..tiny(shape, &dir)
            };
            assert_eq!(run(&config).group_commits, None);
        }
    }
}

#[test]
fn durable_requests_share_syncs_and_blocks() {
    let dir = tempfile::tempdir().unwrap();
    for (record_bytes, depth, connections) in
        [(1000, 1, 1), (4096, 1, 16), (1000, 8, 4), (300_000, 1, 2)]
    {
        let shape = Shape::TcpDurable;
        let config = DeviceConfig {
            record_bytes,
            depth,
            connections,
            ..tiny(shape, &dir)
        };
        let measured = run(&config);
        let commits = measured.group_commits.unwrap();
        assert!(commits > 0 && commits <= measured.requests_in_all);
        if depth * connections == 1 {
            assert_eq!(commits, measured.requests_in_all);
        }
    }
}

#[test]
fn a_group_that_is_full_makes_requests_wait_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let config = DeviceConfig {
        record_bytes: 1 << 20,
        depth: 2,
        connections: 4,
        file_bytes: 16 << 20,
        ..tiny(Shape::TcpDurable, &dir)
    };
    run(&config);
}

#[test]
fn a_spinning_server_completes_as_a_parked_one_does() {
    let dir = tempfile::tempdir().unwrap();
    for shape in [Shape::WriteSync, Shape::TcpDurable] {
        run(&DeviceConfig {
            idle: Idle::Spin(Duration::from_micros(200)),
            ..tiny(shape, &dir)
        });
    }
}

#[test]
fn settings_over_a_limit_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let base = tiny(Shape::Write, &dir);
    let bad = [
        DeviceConfig {
            record_bytes: 0,
            ..base.clone()
        },
        DeviceConfig {
            depth: 0,
            ..base.clone()
        },
        DeviceConfig {
            connections: 2,
            ..base.clone()
        },
        DeviceConfig {
            depth: 1000,
            ..base.clone()
        },
        DeviceConfig {
            shape: Shape::TcpEcho,
            connections: 1000,
            record_bytes: 32 << 20,
            ..base
        },
    ];
    for config in bad {
        assert!(
            matches!(run_once(&config), Err(DeviceError::Config(_))),
            "{config:?}"
        );
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_run_that_is_told_to_end_keeps_what_it_measured() {
    let dir = tempfile::tempdir().unwrap();
    for shape in [Shape::WriteSync, Shape::TcpDurable] {
        let config = DeviceConfig {
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(3600),
            ..tiny(shape, &dir)
        };
        let ending = config.ending.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            ending.tell();
        });
        let measured = run_once(&config).unwrap();
        assert!(measured.requests > 0 && measured.elapsed < config.duration);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = DeviceConfig {
        dir: dir.path().join("none"),
        ..tiny(Shape::Write, &dir)
    };
    let error = run_once(&config).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}

/// A server that answers `request NN\n` with `NN` and as many dots and a line's end, in pieces; to a request that is not
/// the one that comes next it says no.
fn peculiar_server(connections: usize, refuse_after: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for _ in 0..connections {
            let (socket, _) = listener.accept().unwrap();
            socket.set_nodelay(true).unwrap();
            std::thread::spawn(move || answer_peculiarly(&socket, refuse_after));
        }
    });
    address
}

fn answer_peculiarly(mut socket: &TcpStream, refuse_after: usize) {
    let mut lines = BufReader::new(socket).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "hello");
    socket.write_all(b"welcome\n").unwrap();
    for count in 0.. {
        let Some(Ok(line)) = lines.next() else { return };
        let number = count % ROUND;
        let answer = if line == request_line(number).trim_end() && count < refuse_after {
            format!("{number:02}{}\n", ".".repeat(number))
        } else {
            "no\n".to_owned()
        };
        let (first, second) = answer.split_at(count % answer.len());
        for piece in [first, second] {
            if socket.write_all(piece.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Requests that differ.
const ROUND: usize = 7;

fn request_line(number: usize) -> String {
    format!("request {number:02}\n")
}

fn peculiar(connections: usize, depth: usize, refuse_after: usize) -> Replay {
    let script = Script {
        address: peculiar_server(connections, refuse_after),
        greeting: b"hello\n".to_vec(),
        requests: (0..ROUND).map(|n| request_line(n).into_bytes()).collect(),
    };
    Replay {
        scripts: vec![script; connections],
        depth,
        record_bytes: 3,
        answer: Arc::new(|bytes| {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            match end {
                Some(end) if &bytes[..end] == b"no" => Err("it says no".to_owned()),
                end => Ok(end.map(|end| end + 1)),
            }
        }),
        client_cpu: None,
        warm_up: Duration::from_millis(20),
        duration: Duration::from_millis(80),
        ending: crate::Ending::default(),
    }
}

#[test]
fn requests_made_beforehand_go_out_in_turn_and_answers_of_any_length_are_told_apart() {
    for (connections, depth) in [(1, 1), (2, 5), (3, 40)] {
        let measured = replay_once(&peculiar(connections, depth, usize::MAX)).unwrap();
        assert!(measured.requests > 0);
        assert_eq!(measured.bytes, measured.requests * 3);
        assert_eq!(measured.latency.count(), measured.requests);
    }
}

#[test]
fn an_answer_that_says_no_ends_a_replay() {
    let error = replay_once(&peculiar(2, 3, 5)).err().unwrap();
    assert!(error.to_string().contains("it says no"), "{error}");
    let mut nobody = peculiar(1, 1, 0);
    nobody.scripts[0].address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let error = replay_once(&nobody).err().unwrap();
    assert!(error.to_string().contains("connect"), "{error}");
}

#[test]
fn shapes_are_found_by_name() {
    for shape in Shape::ALL {
        assert_eq!(shape.name().parse::<Shape>(), Ok(*shape));
    }
    let error = "paint".parse::<Shape>().unwrap_err();
    assert!(matches!(error, ConfigError::UnknownShape { .. }));
    assert!(error.to_string().contains("tcp-durable"));
}
