use super::*;

#[test]
fn values_are_permanent() {
    let values: Vec<(u16, &str)> = ErrorCode::ALL
        .iter()
        .map(|code| (code.to_wire(), code.name()))
        .collect();
    let permanent = [
        "none",
        "corrupt_frame",
        "unsupported_version",
        "unknown_api",
        "invalid_request",
        "unknown_topic",
        "unknown_partition",
        "topic_exists",
        "invalid_topic_name",
        "invalid_config",
        "offset_out_of_range",
        "log_truncated",
        "corrupt_batch",
        "invalid_batch",
        "batch_too_large",
        "not_leader",
        "fenced_leader_epoch",
        "not_enough_replicas",
        "no_space",
        "throttled",
        "storage_failed",
        "unknown_outcome",
        "shutting_down",
        "unsupported",
        "internal",
        "out_of_order_sequence",
        "fenced_producer",
        "duplicate_sequence",
        "unexpected_offset",
        "offsets_full",
        "not_controller",
    ];
    let permanent: Vec<(u16, &str)> = (0..).zip(permanent).collect();
    assert_eq!(values, permanent);
}

#[test]
fn every_value_comes_back_and_unknown_ones_are_unrecognized() {
    for value in 0..=u16::MAX {
        let code = ErrorCode::from_wire(value);
        assert!(code.to_wire() == value || code == ErrorCode::Unrecognized);
    }
}

#[test]
fn an_unknown_outcome_is_never_sent_again() {
    assert!(!ErrorCode::UnknownOutcome.is_retriable());
    assert!(!ErrorCode::Unrecognized.is_retriable());
    assert!(!ErrorCode::Internal.is_retriable());
}

#[test]
fn every_code_has_a_sentence() {
    for code in ErrorCode::ALL {
        assert!(code.sentence().ends_with('.'), "{code}");
    }
}
