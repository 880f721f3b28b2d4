use super::*;
use crate::error_code::ErrorCode;
use crate::messages::delete_topic::DeleteTopicRequest;

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(cut("short"), "short");
    let text = "é".repeat(ERROR_MESSAGE_BYTES_MAX);
    assert_eq!(cut(&text).len(), ERROR_MESSAGE_BYTES_MAX);
    let text = format!("x{text}");
    assert_eq!(cut(&text).len(), ERROR_MESSAGE_BYTES_MAX - 1);
}

#[test]
fn frames_do_not_share_bytes_with_later_ones() {
    let mut encoder = Encoder::new();
    let mut encode = |name: &str| {
        let request = DeleteTopicRequest {
            name: name.to_owned(),
        };
        encoder.encode(CorrelationId::new(1), &request).unwrap()
    };
    let first = encode("first");
    let kept = first.to_vec();
    for _ in 0..1_000 {
        encode("another");
    }
    assert_eq!(first, kept);
}

#[test]
fn an_error_is_never_too_long_to_be_sent() {
    let error = ErrorResponse::new(ErrorCode::Internal, "x".repeat(BODY_BYTES_MAX * 2));
    let sent = Encoder::new().encode_error(1, CorrelationId::new(1), &error);
    assert!(sent.is_ok());
}
