//! A fraction of a second of every shape: counts and bytes, never times.

use std::fs;
use std::time::Duration;

use crate::{ConfigError, DeviceConfig, DeviceError, Idle, Measured, Placement, Shape, run_once};

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

#[test]
fn shapes_are_found_by_name() {
    for shape in Shape::ALL {
        assert_eq!(shape.name().parse::<Shape>(), Ok(*shape));
    }
    let error = "paint".parse::<Shape>().unwrap_err();
    assert!(matches!(error, ConfigError::UnknownShape { .. }));
    assert!(error.to_string().contains("tcp-durable"));
}
