use super::*;
use crate::encoder::Encoder;
use crate::messages::error::ErrorResponse;
use crate::messages::hello::HelloRequest;

fn hello() -> Vec<u8> {
    let hello = HelloRequest::new(None, "test");
    let encoder = &mut Encoder::new();
    let bytes = encoder.encode(CorrelationId::new(1), &hello).unwrap();
    bytes.to_vec()
}

fn resealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut bytes);
    bytes[24..28].fill(0);
    let checksum = crc32c::crc32c(&bytes);
    bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn the_fields_lie_where_the_diagram_says() {
    let bytes = hello();
    assert_eq!(&bytes[..4], b"RLOG");
    assert_eq!(bytes[4..8], [1, 0, 1, 0]);
    assert_eq!(bytes[8..16], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(usize::from(bytes[16]), bytes.len() - HEADER_BYTES);
    assert_eq!(bytes[17..24], [0; 7]);
    assert_eq!(bytes[28..32], [0; 4]);
    assert_eq!(resealed(bytes.clone(), |_| {}), bytes);
}

#[test]
fn an_unknown_version_or_kind_leaves_the_stream_in_step() {
    let newer = resealed(hello(), |bytes| bytes[4] = 99);
    let (header, _) = parse(&newer).unwrap();
    let error = header.api().unwrap_err();
    assert_eq!(error, FrameError::UnsupportedVersion { version: 99 });
    assert!(error.stream_in_step());
    assert_eq!(error.error_code(), ErrorCode::UnsupportedVersion);

    let other = resealed(hello(), |bytes| bytes[6] = 99);
    let (header, _) = parse(&other).unwrap();
    let error = header.api().unwrap_err();
    assert_eq!(error, FrameError::UnknownApi { api: 99 });
    assert!(error.stream_in_step());
    let answer = Encoder::new().encode_error(
        header.api_raw(),
        header.correlation_id(),
        &ErrorResponse::from(&error),
    );
    let answer = answer.unwrap();
    let (_, body) = parse(&answer).unwrap();
    let refusal = body.refusal().unwrap().unwrap();
    assert_eq!(refusal.code, ErrorCode::UnknownApi);
}

#[test]
fn a_wrong_magic_or_checksum_puts_the_stream_out_of_step() {
    let mut bytes = hello();
    bytes[0] = b'G';
    let error = parse(&bytes).unwrap_err();
    assert_eq!(error, FrameError::BadMagic { found: *b"GLOG" });
    assert!(!error.stream_in_step());

    let mut bytes = hello();
    bytes[40] ^= 1;
    let error = parse(&bytes).unwrap_err();
    assert!(matches!(error, FrameError::BadChecksum { .. }));
    assert!(!error.stream_in_step());
    assert_eq!(error.error_code(), ErrorCode::CorruptFrame);
}

#[test]
fn only_a_short_hello_without_payload_opens_a_connection() {
    assert!(FrameHeader::read_hello(&hello()).is_ok());
    let changes: [fn(&mut [u8]); 4] = [
        |bytes| bytes[5] = FLAG_RESPONSE,
        |bytes| bytes[6] = 2,
        |bytes| bytes[17] = 0x11, // a body of more than 4 KiB
        |bytes| bytes[20] = 1,    // a payload
    ];
    for change in changes {
        let mut bytes = hello();
        change(&mut bytes);
        let refused = FrameHeader::read_hello(&bytes);
        assert!(matches!(refused, Err(FrameError::NotHello { .. })));
    }
}

#[test]
fn what_follows_the_body_is_left_alone() {
    let mut bytes = hello();
    let len = bytes.len();
    bytes.extend(b"the next frame");
    let (header, body) = parse(&bytes).unwrap();
    assert_eq!(header.frame_len(), len);
    assert_eq!(body.bytes().len(), header.body_len());
}
