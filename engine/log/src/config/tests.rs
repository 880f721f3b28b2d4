use super::LogConfig;
use crate::limits::SMALL_INTERIM_FILES_MAX;

const MIB: u64 = 1 << 20;

#[test]
fn files_grow_by_a_class_up_to_the_setting() {
    let config = LogConfig::default();
    assert_eq!(config.file_bytes(0, 0), MIB);
    assert_eq!(config.file_bytes(MIB, 0), 16 * MIB);
    assert_eq!(config.file_bytes(16 * MIB, 0), 256 * MIB);
    assert_eq!(config.file_bytes(256 * MIB, 0), 256 * MIB);
    let small = LogConfig {
        segment_bytes: 8 * MIB,
        ..config
    };
    assert_eq!(small.file_bytes(MIB, 0), 8 * MIB);
    assert_eq!(small.file_bytes(8 * MIB, 0), 8 * MIB);
}

#[test]
fn an_interim_file_is_no_larger_than_it_must_be() {
    let config = LogConfig::default();
    assert_eq!(config.interim_file_bytes(MIB, 0, 0), MIB);
    assert_eq!(config.interim_file_bytes(16 * MIB, 0, 0), 16 * MIB);
    assert_eq!(config.interim_file_bytes(256 * MIB, 0, 0), 16 * MIB);
    assert_eq!(config.interim_file_bytes(MIB, 3 * MIB, 0), 16 * MIB);
    let small = LogConfig {
        segment_bytes: 8 * MIB,
        ..config
    };
    assert_eq!(small.interim_file_bytes(MIB, 0, 0), MIB);
    assert_eq!(small.interim_file_bytes(8 * MIB, 0, 0), 8 * MIB);
}

#[test]
fn interim_files_grow_when_the_next_one_does_not_come() {
    let config = LogConfig::default();
    let late = SMALL_INTERIM_FILES_MAX;
    assert_eq!(config.interim_file_bytes(MIB, 0, late - 1), MIB);
    assert_eq!(config.interim_file_bytes(MIB, 0, late), 16 * MIB);
    assert_eq!(config.interim_file_bytes(256 * MIB, 0, late), 16 * MIB);
    let small = LogConfig {
        segment_bytes: 8 * MIB,
        ..config
    };
    assert_eq!(small.interim_file_bytes(MIB, 0, late), 8 * MIB);
}

#[test]
fn a_large_batch_gets_the_smallest_file_that_holds_it() {
    let config = LogConfig::default();
    assert_eq!(config.file_bytes(0, 3 * MIB), 16 * MIB);
    let small = LogConfig {
        segment_bytes: MIB,
        ..config
    };
    assert_eq!(small.file_bytes(0, 3 * MIB), 16 * MIB);
    assert_eq!(small.file_bytes(16 * MIB, 10), MIB);
}
