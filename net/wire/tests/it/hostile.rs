//! Bytes that are not what they should be: typed errors, never a panic.

use proptest::prelude::*;
use ringlog_wire::limits::{BODY_BYTES_MAX, HEADER_BYTES, PAYLOAD_BYTES_MAX};
use ringlog_wire::{Api, Direction, FrameError, FrameHeader, frame};

use crate::samples::{self, CORRELATION_ID, decode_body, decode_whatever};

/// The frame with a body of these bytes, padded, and a checksum that matches: it gets past the frame to the verifier.
fn sealed(api: u16, flags: u8, body: &[u8], payload_len: u32) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(8), 0);
    let mut bytes = frame::MAGIC.to_vec();
    bytes.extend([1, flags]);
    bytes.extend(api.to_le_bytes());
    bytes.extend(CORRELATION_ID.get().to_le_bytes());
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(payload_len.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    let checksum = crc32c::crc32c(&bytes);
    bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn reseal(bytes: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let header = FrameHeader::read(bytes).unwrap();
    let mut body = bytes[HEADER_BYTES..].to_vec();
    change(&mut body);
    let payload_len = u32::try_from(header.payload_len()).unwrap();
    sealed(header.api_raw(), bytes[5], &body, payload_len)
}

#[test]
fn sealing_by_hand_agrees_with_the_encoder() {
    for sample in samples::all() {
        let resealed = reseal(&sample.bytes, |_| {});
        assert_eq!(resealed, sample.bytes, "{}", sample.name);
    }
}

#[test]
fn every_truncation_is_incomplete() {
    for sample in samples::all() {
        for len in 0..sample.bytes.len() {
            match frame::parse(&sample.bytes[..len]) {
                Err(FrameError::Incomplete {
                    needed_bytes,
                    have_bytes,
                }) => {
                    assert_eq!(have_bytes, len);
                    assert!(needed_bytes > len && needed_bytes <= sample.bytes.len());
                }
                other => panic!("{} cut to {len}: {other:?}", sample.name),
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for sample in samples::all() {
        let mut bytes = sample.bytes.to_vec();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = frame::parse(&bytes);
            assert!(outcome.is_err(), "{} with bit {bit} flipped", sample.name);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_huge_length_is_refused_before_anything_is_received() {
    let header = |body_len: u32, payload_len: u32| {
        let mut bytes = sealed(3, 0, &[], payload_len);
        bytes[16..20].copy_from_slice(&body_len.to_le_bytes());
        FrameHeader::read(&bytes).map(|header| header.frame_len())
    };
    let body_max = u32::try_from(BODY_BYTES_MAX).unwrap();
    let payload_max = u32::try_from(PAYLOAD_BYTES_MAX).unwrap();
    assert!(header(body_max, payload_max).is_ok());
    assert!(matches!(
        header(body_max + 8, 0),
        Err(FrameError::BodyTooLong { .. })
    ));
    assert!(matches!(
        header(u32::MAX, u32::MAX),
        Err(FrameError::BodyTooLong { .. })
    ));
    assert!(matches!(
        header(9, 0),
        Err(FrameError::BodyNotPadded { body_bytes: 9 })
    ));
    assert!(matches!(
        header(8, payload_max + 1),
        Err(FrameError::PayloadTooLong { .. })
    ));
}

#[test]
fn no_message_is_taken_for_another() {
    for sample in samples::all() {
        let (header, body) = frame::parse(&sample.bytes).unwrap();
        for api in Api::ALL {
            for direction in [Direction::Request, Direction::Response, Direction::Error] {
                let same = direction == header.direction()
                    && (Ok(*api) == header.api() || direction == Direction::Error);
                assert_eq!(
                    decode_body(*api, direction, body),
                    same,
                    "{} as {direction:?} of {api}",
                    sample.name
                );
            }
        }
    }
}

#[test]
fn a_body_of_every_kind_cut_anywhere_never_panics() {
    for sample in samples::all() {
        for len in 0..sample.bytes.len() - HEADER_BYTES {
            let cut = sealed(
                FrameHeader::read(&sample.bytes).unwrap().api_raw(),
                sample.bytes[5],
                &sample.bytes[HEADER_BYTES..HEADER_BYTES + len],
                0,
            );
            decode_whatever(&cut);
        }
    }
}

#[test]
fn a_body_of_every_kind_with_any_byte_changed_never_panics() {
    for sample in samples::all() {
        for position in 0..sample.bytes.len() - HEADER_BYTES {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                decode_whatever(&reseal(&sample.bytes, |body| body[position] = value));
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(!decode_whatever(&bytes));
        prop_assert!(FrameHeader::read_hello(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bodies_behind_a_valid_checksum_never_panic(
        api in 0_u16..16,
        flags in 0_u8..4,
        payload_len in prop_oneof![Just(0_u32), any::<u32>()],
        body in prop::collection::vec(prop_oneof![0_u8..32, any::<u8>()], 0..512),
    ) {
        decode_whatever(&sealed(api, flags, &body, payload_len));
    }

    #[test]
    fn damaged_bodies_behind_a_valid_checksum_never_panic(
        sample in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let samples = samples::all();
        let sample = sample.get(&samples);
        decode_whatever(&reseal(&sample.bytes, |body| {
            for (position, value) in &damage {
                let position = position.index(body.len());
                body[position] = *value;
            }
        }));
    }
}
