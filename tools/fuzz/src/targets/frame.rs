//! A frame, as it comes in on a connection.

use ringlog_wire::limits::{
    BODY_BYTES_MAX, FRAME_BYTES_MAX, HEADER_BYTES, HELLO_BODY_BYTES_MAX, PAYLOAD_BYTES_MAX,
};
use ringlog_wire::{Api, Direction, FrameError, FrameHeader, frame};

use crate::{INPUT_BYTES_MAX, Target, corpus};

/// See the module.
pub const TARGET: Target = Target {
    name: "frame",
    run: frame,
    samples: corpus::golden_frames,
    seal,
    memory_bytes_max: INPUT_BYTES_MAX,
    rounds: 400_000,
};

/// A header that is accepted stays within the limits, so that its reader knows what to receive; a frame that is
/// accepted says the same of itself as its header, and nothing is asked for that is there already.
pub fn frame(data: &[u8]) -> bool {
    let header = FrameHeader::read(data);
    match &header {
        Ok(header) => {
            assert!(header.body_len() <= BODY_BYTES_MAX && header.body_len() % 8 == 0);
            assert!(header.payload_len() <= PAYLOAD_BYTES_MAX);
            assert!(header.frame_len() <= FRAME_BYTES_MAX);
            assert_eq!(header.head_len(), HEADER_BYTES + header.body_len());
        }
        Err(FrameError::Incomplete {
            needed_bytes,
            have_bytes,
        }) => assert!(data.len() == *have_bytes && have_bytes < needed_bytes),
        Err(_) => assert!(data.len() >= HEADER_BYTES),
    }
    match FrameHeader::read_hello(data) {
        Ok(hello) => {
            assert_eq!(header.as_ref(), Ok(&hello));
            assert!(hello.payload_len() == 0 && hello.body_len() <= HELLO_BODY_BYTES_MAX);
            assert_eq!(hello.direction(), Direction::Request);
            assert_eq!(Api::from_wire(hello.api_raw()), Some(Api::Hello));
        }
        Err(FrameError::NotHello { .. }) => assert!(header.is_ok()),
        Err(error) => assert_eq!(header.as_ref(), Err(&error)),
    }
    match frame::parse(data) {
        Ok((found, body)) => {
            assert_eq!(header, Ok(found));
            assert_eq!(body.header(), &found);
            let head = &data[..found.head_len()];
            for at in [0, head.len() - 1] {
                let mut changed = head.to_vec();
                changed[at] ^= 1;
                assert!(frame::parse(&changed).is_err(), "byte {at} is not covered");
            }
            true
        }
        Err(FrameError::Incomplete { needed_bytes, .. }) => {
            assert!(needed_bytes > data.len());
            false
        }
        Err(_) => false,
    }
}

/// Computes the checksum of header and body anew.
pub(super) fn seal(data: &mut [u8]) {
    let Ok(header) = FrameHeader::read(data) else {
        return;
    };
    let Some(head) = data.get_mut(..header.head_len()) else {
        return;
    };
    head[24..28].fill(0);
    let crc = crc32c::crc32c(head);
    head[24..28].copy_from_slice(&crc.to_le_bytes());
}
